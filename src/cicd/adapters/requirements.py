"""What a project needs installed: its lock, requirement files, or the project itself."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cicd.adapters.locks import DESCRIPTION, EXTRAS, FILES, Lock, find_lock, read_lock, read_toml
from cicd.errors import DependenciesFailed

FOUND_BY_NAME = ("requirements.txt", "requirements-dev.txt")
NESTED = re.compile(r"(?:-r|--requirement|-c|--constraint)[=\s]*(\S+)")
LOCAL = re.compile(r"(?:-e\s|--editable|\.|/|file:|\S+\s*@\s*file:)")
DESCRIPTIONS = ("pyproject.toml", "setup.py", "setup.cfg")


@dataclass(frozen=True)
class Requirements:
    """What to install: a lock, or requirement files and the project itself (editable, with extras) where it is one.

    `folder` is where installers run: paths inside requirement files count from there.
    """

    files: tuple[Path, ...] = ()
    project: Path | None = None
    extras: tuple[str, ...] = ()
    folder: Path | None = None
    lock: Lock | None = None

    @property
    def base(self) -> Path:
        return self.folder or self.project or self.files[0].parent

    def __bool__(self) -> bool:
        return bool(self.files or self.project or self.lock)

    def arguments(self) -> list[str]:
        """As pip and uv both read them."""
        arguments = [argument for file in self.files for argument in ("--requirement", str(file))]
        if self.project:
            arguments += [
                "--editable",
                f"{self.project}[{','.join(self.extras)}]" if self.extras else str(self.project),
            ]
        return arguments

    def texts(self) -> Iterator[bytes]:
        """All that decides what would be installed: another text, another venv."""
        if self.lock:
            yield from self.lock.texts()
        if self.project:
            yield repr((self.project.resolve(), self.extras)).encode()
            yield from _described(self.project)
        seen: set[Path] = set()
        for file in self.files:
            yield from _texts(file, self.base, seen)


def find_requirements(given: str, configured: Sequence[str], folder: Path) -> Requirements:
    """What a project in `folder` needs.

    Args:
        given: the input: files separated by spaces, `none`, or empty.
        configured: the config's files, used when the input is empty. Without either: the lock of uv, Poetry or PDM;
            else requirements.txt and requirements-dev.txt where they are; else the project of pyproject.toml or
            setup.py with its test extras.

    Raises:
        DependenciesFailed: a file that was named is not there, or pyproject.toml or a lock cannot be read.
    """
    if given.strip() == "none":
        return Requirements()
    folder, named = folder.resolve(), given.split() or list(configured)
    files = [folder / name for name in named or FOUND_BY_NAME]
    missing = [str(file) for file in files if not file.is_file()]
    if named and missing:
        raise DependenciesFailed(
            f"There is no {' and no '.join(missing)}",
            cause="the file was not committed, or working-directory is another",
            next_step="mend `requirements`, or say `none` to install nothing",
        )
    if lock := _named_lock(files) if named else find_lock(folder):
        return Requirements(folder=folder, lock=lock)
    present = tuple(file for file in files if file.is_file())
    return Requirements(present, folder=folder) if present else _project(folder)


def _named_lock(files: Sequence[Path]) -> Lock | None:
    """Raises DependenciesFailed: a lock says all, so nothing can be named beside it."""
    locks = [file for file in files if file.name in FILES]
    if locks and (len(files) > 1 or not (locks[0].parent / DESCRIPTION).is_file()):
        raise DependenciesFailed(
            f"{locks[0].name} cannot be installed from",
            cause="other files are named beside it" if len(files) > 1 else f"there is no {DESCRIPTION} beside it",
            next_step="name the lock alone, beside its pyproject.toml",
        )
    return read_lock(locks[0]) if locks else None


def _project(folder: Path) -> Requirements:
    path = folder / DESCRIPTION
    if not path.is_file():
        return Requirements(project=folder if (folder / "setup.py").is_file() else None)
    about = read_toml(path)
    if "project" not in about and "build-system" not in about:
        return Requirements()  # settings of tools, nothing to install
    known = about.get("project", {}).get("optional-dependencies", {})
    return Requirements(project=folder, extras=tuple(extra for extra in EXTRAS if extra in known))


def _described(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in DESCRIPTIONS if (folder / name).is_file()]


def _texts(file: Path, base: Path, seen: set[Path]) -> Iterator[bytes]:
    """The text of a requirement file and of all that it names; of local projects, where they are and their metadata."""
    if file in seen or not file.is_file():
        return
    seen.add(file)
    yield (content := file.read_bytes())
    for line in map(str.strip, content.decode(errors="replace").splitlines()):
        if nested := NESTED.match(line):
            yield from _texts(file.parent / nested[1], base, seen)
        elif LOCAL.match(line):
            yield str(base.resolve()).encode()
            yield from _described(base)
