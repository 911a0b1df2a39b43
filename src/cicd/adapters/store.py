"""Images of the process engine: tar files of a commit, named by their digest. Built once, then only read."""

import hashlib
import os
import tarfile
from pathlib import Path
from typing import IO

from cicd.adapters.process import run
from cicd.adapters.target import HERE, writing
from cicd.errors import BuildFailed, CommandFailed, ImageMissing, PrepareFailed, UsageError

LARGEST_TEXT = 4 * 1024 * 1024  # bytes of one file that is read
LARGEST_TEXTS = 128 * 1024 * 1024  # of all of them


def image_path(root: Path, image: str) -> Path:
    """Where the image `sha256:…` lies below the target root."""
    return root / "store" / "sha256" / f"{image.removeprefix('sha256:')}.tar"


def build(root: Path, folder: Path, sha: str, files: list[str]) -> str:
    """Make the image of a commit; gives its digest.

    Only what is committed gets in, with the commit's own times, so that building twice gives the same digest.

    Args:
        root: of the targets.
        folder: the application's folder in the repository.
        sha: full commit sha.
        files: paths to take; empty for all.

    Raises:
        BuildFailed: the commit or a path is not there. PrepareFailed: the store cannot be written.
    """
    store = root / "store" / "sha256"
    scratch = store / f".building.{os.getpid()}"
    with writing(root):
        HERE.make_folder(store, root)
        scratch.touch()
    try:
        argv = ["git", "-c", "tar.umask=0022", "-C", str(folder), "archive", "--format=tar", "-o", str(scratch), sha]
        run([*argv, "--", *files])
        image = "sha256:" + digest_of(scratch)
        scratch.replace(image_path(root, image))
    except CommandFailed as error:
        raise BuildFailed(
            f"Commit {sha[:12]} cannot be packed: {error.what}",
            cause="the commit is not in this checkout, or a path of deploy.files is not in the commit",
            next_step="check out with full history (`fetch-depth: 0`), and check deploy.files",
        ) from error
    finally:
        scratch.unlink(missing_ok=True)
    return image


def relation(folder: Path, base: str, head: str) -> str:
    """How `head` stands to `base` by this checkout: ahead, behind, diverged; empty if it does not know both."""
    ours = ["git", "-C", str(folder)]
    if run([*ours, "cat-file", "-e", f"{base}^{{commit}}"], check=False).code:
        return ""
    done = run([*ours, "rev-list", "--left-right", "--count", f"{base}...{head}"], check=False)
    if done.code or run([*ours, "rev-parse", "--is-shallow-repository"], check=False).output.strip() != "false":
        return ""
    behind, ahead = map(int, done.output.split())
    return "diverged" if behind and ahead else "behind" if behind else "ahead" if ahead else "identical"


def built_from(path: Path) -> str:
    """The commit that an image was packed from: git writes it into the archive's header."""
    try:
        with tarfile.open(path, "r:") as tar:
            tar.next()
            return str(tar.pax_headers.get("comment", ""))
    except (OSError, tarfile.TarError):
        return ""


def subjects(folder: Path, base: str, head: str, most: int = 20) -> list[str]:
    """`sha subject` of the commits that `head` has and `base` has not, newest first, one more than `most` at most."""
    argv = ["git", "-C", str(folder), "log", f"--max-count={most + 1}", "--format=%h %s", f"{base}..{head}"]
    done = run(argv, check=False)
    return done.output.splitlines() if done.code == 0 else []


def changed_at(folder: Path, base: str, head: str, most: int = 100) -> list[float]:
    """When each change that `head` has and `base` has not came to the branch, in seconds since 1970, newest first.

    Args:
        base: empty for none; then `head` itself is what changed.
    """
    what = [f"--max-count={most}", f"{base}..{head}"] if base else ["--max-count=1", head]
    argv = ["git", "-C", str(folder), "log", "--first-parent", "--format=%ct", *what]
    done = run(argv, check=False)
    return [float(line) for line in done.output.split()] if done.code == 0 else []


def tag_of(folder: Path, sha: str) -> str:
    """A tag of the commit, as a label for people; empty if it has none or is not in this checkout."""
    done = run(["git", "-C", str(folder), "tag", "--points-at", sha, "--sort=-version:refname"], check=False)
    lines = done.output.splitlines()
    return lines[0] if done.code == 0 and lines else ""


def commit_of(folder: Path, name: str = "HEAD") -> str:
    """Full sha of the commit that git calls `name` there: a short sha, a tag, a branch, `HEAD`. Raises UsageError."""
    argv = ["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    done = run(argv, check=False)
    if done.code:
        raise UsageError(
            f"There is no commit `{name}` in {folder.resolve()}",
            cause="nothing is committed, it is no git checkout, or one that holds the newest commit alone",
            next_step="commit first, give `sha` as git knows it there, or check out with `fetch-depth: 0`",
        )
    return done.output.strip().splitlines()[-1]


def uncommitted(folder: Path) -> list[str]:
    """Paths that differ from the newest commit, or are new and not ignored; none if it is no git checkout."""
    done = run(["git", "-C", str(folder), "status", "--porcelain", "-z"], check=False)
    return [line[3:] for line in done.output.split("\0") if line[3:]] if done.code == 0 else []


def digest_of(path: Path) -> str:
    """sha256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verified(root: Path, image: str) -> Path:
    """The image's file. Raises ImageMissing if it is not there or is not what its name says."""
    path = image_path(root, image)
    next_step = "build it on this target (`cicd build`), then promote the digest that this gives"
    if not path.exists():
        raise ImageMissing(f"Image {image} is not in the store", cause="it was built elsewhere", next_step=next_step)
    if "sha256:" + digest_of(path) != image:
        raise ImageMissing(f"Image {image} is damaged", cause="its bytes have another digest", next_step=next_step)
    return path


def read_texts(packed: Path | IO[bytes], suffixes: tuple[str, ...]) -> dict[str, str]:
    """The text files of a tar whose names end so: path → text. Raises PrepareFailed."""
    found, size = {}, 0
    try:
        with _opened(packed) as tar:
            for member in tar:
                if member.isfile() and member.name.endswith(suffixes) and (file := tar.extractfile(member)):
                    size += member.size  # of a sparse file, what it claims
                    if member.size > LARGEST_TEXT or size > LARGEST_TEXTS:
                        raise PrepareFailed(
                            f"The image's `{member.name[:200]}` is larger than what is read of one",
                            cause=f"a migration has at most {LARGEST_TEXT} bytes, all texts {LARGEST_TEXTS}",
                            next_step="keep data out of such files, or limit the image with deploy.files",
                        )
                    found[member.name] = file.read().decode(errors="replace")
    except (OSError, tarfile.TarError) as error:
        raise _unreadable(error) from error
    return found


def _opened(packed: Path | IO[bytes]) -> tarfile.TarFile:
    return tarfile.open(packed, "r:") if isinstance(packed, Path) else tarfile.open(fileobj=packed, mode="r:")


def _unreadable(error: Exception) -> PrepareFailed:
    return PrepareFailed(
        f"The image cannot be unpacked: {error}",
        cause="the disk is full, or the image is none of `cicd build`",
        next_step="free disk space, or build anew",
    )


def unpack(path: Path, folder: Path) -> None:
    """Lay an image out in `folder`. Nothing gets outside of it. Raises PrepareFailed."""
    try:
        with tarfile.open(path, "r:") as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(folder, filter="data")
            else:  # Python 3.11.0 to 3.11.3
                tar.extractall(folder, members=[member for member in tar if _stays_inside(member)])  # noqa: S202
    except (OSError, tarfile.TarError) as error:
        raise _unreadable(error) from error


def _stays_inside(member: tarfile.TarInfo) -> bool:
    if not (member.isfile() or member.isdir()) or member.name.startswith("/") or ".." in Path(member.name).parts:
        raise PrepareFailed(
            f"The image holds `{member.name}`, which is not a plain file below its folder",
            next_step="remove the link, or run cicd with Python 3.11.4 or later",
        )
    return True
