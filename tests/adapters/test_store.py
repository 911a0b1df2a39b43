import io
import tarfile
from pathlib import Path

import pytest

from cicd.adapters import store
from cicd.errors import BuildFailed, ImageMissing, PrepareFailed, UsageError
from tests.commands.site import Consumer


def tar_with(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, 1 if kind == tarfile.REGTYPE else 0
    return made


@pytest.mark.parametrize(
    "bad",
    [
        member("../outside"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.LNKTYPE, "../../outside"),
        member("device", tarfile.CHRTYPE),
    ],
)
def test_nothing_gets_outside_of_its_folder(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    image = tar_with(tmp_path / "image.tar", member("fine"), bad)
    with pytest.raises(PrepareFailed):
        store.unpack(image, tmp_path / "a" / "b")
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "a" / "outside").exists()


def test_a_file_that_is_no_tar(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_text("hello")
    with pytest.raises(PrepareFailed, match="cannot be unpacked"):
        store.unpack(tmp_path / "image.tar", tmp_path / "a")


@pytest.mark.real
def test_building_twice_gives_the_same_bytes_and_only_what_is_committed(tmp_path: Path) -> None:
    app = Consumer(tmp_path)
    app.repository.mkdir()
    sha = app.commit("v1")
    (app.repository / "secret.txt").write_text("not committed")
    first = store.build(tmp_path / "one", app.repository, sha, [])
    assert store.build(tmp_path / "two", app.repository, sha, []) == first
    assert "secret.txt" not in store.read_texts(store.verified(tmp_path / "one", first), (".txt", ".py"))
    only = store.build(tmp_path / "one", app.repository, sha, ["app.py"])
    assert list(store.read_texts(store.verified(tmp_path / "one", only), (".py", ".yml"))) == ["app.py"]
    assert store.tag_of(app.repository, sha) == "v1"


@pytest.mark.real
@pytest.mark.parametrize(("sha", "files"), [("0" * 40, []), ("", ["no-such-path"])])
def test_what_is_not_there_cannot_be_built(tmp_path: Path, sha: str, files: list[str]) -> None:
    app = Consumer(tmp_path)
    app.repository.mkdir()
    made = app.commit("v1")
    with pytest.raises(BuildFailed, match="cannot be packed"):
        store.build(tmp_path / "root", app.repository, sha or made, files)
    assert list((tmp_path / "root").rglob("*.tar")) == []


@pytest.mark.real
def test_a_commit_by_any_name_that_git_knows(tmp_path: Path) -> None:
    app = Consumer(tmp_path)
    app.repository.mkdir()
    sha = app.commit("v1")
    app.commit("v2")
    assert {store.commit_of(app.repository, name) for name in ("v1", "HEAD~1", sha[:8], sha)} == {sha}
    assert store.commit_of(app.repository) == app.git("rev-parse", "HEAD")
    for bad in ("v3", "--help", "", "HEAD:app.py"):
        with pytest.raises(UsageError, match=f"no commit `{bad}`"):
            store.commit_of(app.repository, bad)
    with pytest.raises(UsageError, match="no git checkout"):
        store.commit_of(tmp_path)


def test_an_image_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImageMissing):
        store.verified(tmp_path, "sha256:" + "0" * 64)
