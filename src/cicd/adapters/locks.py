"""Projects with a lock of uv, Poetry or PDM: what that tool is told to install, and where."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cicd.errors import DependenciesFailed

EXTRAS = ("test", "tests", "dev", "testing")  # of the project, where it has them
FILES = {"uv.lock": "uv", "poetry.lock": "poetry", "pdm.lock": "pdm"}
OPTIONS = {"uv": ("--extra", "--group"), "poetry": ("--extras", "--with"), "pdm": ("--group", "--group")}
DESCRIPTION = "pyproject.toml"


@dataclass(frozen=True)
class Lock:
    """A project's lock.

    Attributes:
        tool: that wrote it, and installs from it.
        extras: of the project, to be installed with it.
        groups: of dependencies, besides those that the tool installs by itself.
    """

    tool: str
    path: Path
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.path.parent

    def arguments(self, python: Path) -> list[str]:
        """What the tool is told. A lock that does not belong to pyproject.toml any more is an error in all three."""
        each = {"uv": ("--extra", "--group"), "poetry": ("--extras", "--with"), "pdm": ("--group", "--group")}[
            self.tool
        ]
        chosen = [word for extra in self.extras for word in (each[0], extra)]
        chosen += [word for group in self.groups for word in (each[1], group)]
        return {
            # --inexact: the venv's pip stays.
            "uv": ["sync", "--locked", "--inexact", "--python", str(python), *chosen],
            "poetry": ["install", "--no-interaction", *chosen],
            "pdm": ["install", "--check", "--frozen-lockfile", *chosen],
        }[self.tool]

    def environ(self, venv: Path) -> dict[str, str]:
        """The variables by which the tool installs into this venv and nowhere else."""
        return {
            "uv": {"UV_PROJECT_ENVIRONMENT": str(venv)},
            "poetry": {"VIRTUAL_ENV": str(venv)},
            "pdm": {"VIRTUAL_ENV": str(venv), "PDM_IGNORE_SAVED_PYTHON": "1", "PDM_CHECK_UPDATE": "0"},
        }[self.tool]

    def texts(self) -> Iterator[bytes]:
        """All that decides what would be installed: another text, another venv."""
        yield repr((self.tool, self.folder.resolve(), self.extras, self.groups)).encode()
        for path in (self.path, self.folder / DESCRIPTION):
            yield path.read_bytes()


def find_lock(folder: Path) -> Lock | None:
    """The lock of the project in a folder; None: it has none. Raises DependenciesFailed for one that cannot be read."""
    for name in FILES:
        if (folder / name).is_file() and (folder / DESCRIPTION).is_file():
            return read_lock(folder / name)
    return None


def read_lock(path: Path) -> Lock:
    """Raises DependenciesFailed."""
    tool, lock, about = FILES[path.name], read_toml(path), read_toml(path.parent / DESCRIPTION)
    poetry = _table(about, "tool", "poetry")
    extras = {*_table(about, "project", "optional-dependencies"), *_table(poetry, "extras")}
    groups = set(_table(about, "dependency-groups"))
    if tool == "poetry":  # it installs all groups that are not optional
        groups = {name for name, group in _table(poetry, "group").items() if _table({"x": group}, "x").get("optional")}
    elif tool == "pdm":  # it installs all groups for development, and knows those that were locked
        locked = lock.get("metadata", {}).get("groups", [])
        extras, groups = {extra for extra in extras if extra in locked}, set()
    chosen = [tuple(name for name in EXTRAS if name in names) for names in (extras, groups)]
    return Lock(tool, path, *chosen)


def _table(value: dict[str, Any], *keys: str) -> dict[str, Any]:
    for key in keys:
        value = value.get(key, {})
        if not isinstance(value, dict):
            return {}
    return value


def read_toml(path: Path) -> dict[str, Any]:
    """Raises DependenciesFailed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        tool = FILES.get(path.name)
        again = f"write it again by `{tool} lock`, and commit it" if tool else "mend the file"
        raise DependenciesFailed(f"{path} cannot be read: {error}", next_step=again) from error
