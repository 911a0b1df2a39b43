import gzip
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


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "gzip", "larger", "sparse"])
def test_texts_of_what_is_no_image(tmp_path: Path, damage: str) -> None:
    image, big = tmp_path / "image.tar", member("big.py")
    big.size = store.LARGEST_TEXT + 1 if damage == "larger" else 100_000
    whole = tar_with(image, member("app.py"), big).read_bytes()
    header = bytearray(big.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b"S"  # GNU's sparse file of 30 GiB, of which 512 bytes are there
    header[124:136] = b"%011o\0" % 512
    header[386:410] = b"%011o\0" % (30 * 2**30 - 512) + b"%011o\0" % 512
    header[483:495] = b"\x80" + (30 * 2**30).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    damaged = {
        "garbage": b"x" * 2000,
        "empty": b"",
        "cut": whole[:5000],
        "gzip": gzip.compress(whole),
        "sparse": bytes(header) + b"a" * 512 + whole,
    }
    image.write_bytes(damaged.get(damage, whole))
    with pytest.raises(PrepareFailed, match=r"cannot be unpacked|is larger than"):
        store.read_texts(image, (".py",))


@pytest.mark.parametrize("root", ["/etc/passwd", "/proc/nope"])
def test_a_store_that_cannot_be_written(tmp_path: Path, root: str) -> None:
    with pytest.raises(PrepareFailed, match="cannot be written"):
        store.build(Path(root), tmp_path, "0" * 40, [])


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
