"""Commits and tags of a git repository, made without its work tree, its index, or its settings."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cicd.adapters.process import output

# As git reads no settings of whoever runs it, the same commit is made of the same parts anywhere.
ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


@dataclass(frozen=True)
class Repository:
    """A checkout. Every method raises CommandFailed when git does not do it, and ToolMissing without git.

    Attributes:
        env: of this process; git gets its PATH and HOME.
    """

    folder: Path
    env: Mapping[str, str]

    def sha(self, name: str) -> str:
        """Of the commit that `name` means."""
        return self._git("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").strip()

    def text(self, commit: str, path: str) -> str:
        return self._git("show", f"{commit}:{path}")

    def paths(self, commit: str, below: str) -> list[str]:
        """Files of a folder, those of folders in it left out."""
        return self._git("ls-tree", "--name-only", "-z", commit, f"{below.rstrip('/')}/").rstrip("\0").split("\0")

    def tags(self) -> set[str]:
        return set(self._git("tag", "--list").split())

    def changed(self) -> list[str]:
        """Files that differ from the commit, and those that git does not know."""
        return [line[3:] for line in self._git("status", "--porcelain").splitlines()]

    def parent(self, commit: str) -> str:
        return self.sha(f"{commit}^")

    def commit(self, parent: str, files: Mapping[str, str], message: str, author: str) -> str:
        """The parent's files with some of them rewritten; gives its sha. The same input gives the same sha.

        Args:
            author: `name <address>`; the time is the parent's.
        """
        at = self._git("show", "--no-patch", "--format=%ct", parent).strip()
        name, _, address = author.rstrip(">").partition(" <")
        who = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", name), ("EMAIL", address), ("DATE", f"{at} +0000"))
        }
        with self._index(parent) as env:
            for path, text in files.items():
                mode = self._git("ls-tree", "--format=%(objectmode)", parent, path).strip()
                blob = self._git("hash-object", "-w", "--stdin", stdin=text).strip()
                self._git("update-index", "--cacheinfo", f"{mode},{blob},{path}", env=env)
            tree = self._git("write-tree", env=env).strip()
        return self._git("commit-tree", tree, "-p", parent, stdin=message, env=who).strip()

    def tag(self, name: str, sha: str, *, move: bool = False) -> None:
        """A plain tag. `move`: also where it is elsewhere now."""
        self._git("tag", *(["--force"] if move else []), "--no-sign", name, sha)

    @contextmanager
    def _index(self, commit: str) -> Iterator[dict[str, str]]:
        with tempfile.TemporaryDirectory(prefix="cicd-index-") as place:
            env = {"GIT_INDEX_FILE": f"{place}/index"}
            self._git("read-tree", commit, env=env)
            yield env

    def _git(self, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
        kept = {name: self.env[name] for name in ("PATH", "HOME") if name in self.env}
        argv = ["git", "-C", str(self.folder), "-c", "core.quotePath=false", *arguments]
        return output(argv, env={**kept, **ALONE, **(env or {})}, stdin=stdin.encode()).decode(errors="surrogateescape")
