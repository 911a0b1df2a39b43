"""How this repository's own workflows refer to its actions and to each other, and how a version makes that exact.

On a branch they say `org/cicd/...@v1`. A commit cannot contain its own id, so a version is a short chain of commits: in
each, those workflows are rewritten whose references are all exact by then, to the id of the commit before. Nothing
else differs between them, so every reference is to the same code.
"""

import re
from collections.abc import Mapping

import msgspec

from cicd.errors import NotReleasable

OURS = re.compile(
    r"^(?P<head>\s*(?:-\s+)?uses:\s*)(?P<what>org/cicd(?:/[\w./-]+)?)@(?P<ref>[\w.-]+)(?P<tail>.*)$", re.M
)
EXACT = re.compile(r"[0-9a-f]{40}")
VERSION = re.compile(r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})")
WORKFLOWS = ".github/workflows/"


class Version(msgspec.Struct, frozen=True, order=True):
    """A version of cicd itself. `tag` never moves; `moving` is at the newest version of the same major number."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def tag(self) -> str:
        return f"v{self}"

    @property
    def moving(self) -> str:
        return f"v{self.major}"


class Reference(msgspec.Struct, frozen=True, order=True):
    """A `uses:` of ours. `path` is below the checkout's root: of a workflow's file, or of an action's folder."""

    path: str
    ref: str


def read_version(text: str) -> Version:
    """Of `1.2.3`. Raises NotReleasable."""
    found = VERSION.fullmatch(text)
    if not found:
        raise NotReleasable(f"`{text[:40]}` is no version", next_step="write it as 1.2.3, without a v")
    return Version(*map(int, found.groups()))


def require_next(version: Version, tags: set[str]) -> None:
    """Raises NotReleasable when the version is there already, or is older than one of the same major number."""
    found = [read_version(tag[1:]) for tag in tags if tag.startswith("v") and VERSION.fullmatch(tag[1:])]
    newest = max((one for one in found if one.major == version.major), default=None)
    if newest and version <= newest:
        raise NotReleasable(
            f"{newest.tag} is there, and {version.tag} is not newer",
            cause="a version never changes, and `v1` never goes back",
            next_step=f"take a number above {newest}",
        )


def references(text: str) -> list[Reference]:
    """Every `uses:` of ours in a workflow, in its order; comments are none."""
    return [
        Reference(found["what"].removeprefix("org/cicd").lstrip("/"), found["ref"]) for found in OURS.finditer(text)
    ]


def rounds(workflows: Mapping[str, str], version: Version) -> list[list[str]]:
    """Which workflows are rewritten in each commit of the chain, one after the other.

    Args:
        workflows: path → text, of all of them.

    Raises:
        NotReleasable: one refers to another ref than `v1`, to a workflow that is not there, or to itself by others.
    """
    waiting = {path: references(text) for path, text in workflows.items() if references(text)}
    for path, found in waiting.items():
        for one in found:
            _require_known(path, one, workflows, version)
    made: list[list[str]] = []
    while waiting:
        ready = sorted(path for path, found in waiting.items() if not any(one.path in waiting for one in found))
        if not ready:
            raise NotReleasable(f"{' and '.join(sorted(waiting))} call each other", next_step="mend the workflows")
        made.append(ready)
        waiting = {path: found for path, found in waiting.items() if path not in ready}
    return made


def _require_known(path: str, one: Reference, workflows: Mapping[str, str], version: Version) -> None:
    if one.ref != version.moving:
        raise NotReleasable(
            f"{path} refers to `{one.path or 'the root action'}` at `{one.ref}`",
            cause=f"what a version {version} is made of says `{version.moving}`",
            next_step=f"write `@{version.moving}` in all workflows",
        )
    if one.path.startswith(WORKFLOWS) and one.path not in workflows:
        raise NotReleasable(f"{path} calls {one.path}, which is not there", next_step="mend the workflow")


def pinned(text: str, sha: str, version: Version) -> str:
    """A workflow with each reference of ours made exact; the version stands beside it for people."""

    def exact(found: re.Match[str]) -> str:
        said = found["tail"].strip().removeprefix("#").strip()
        return f"{found['head']}{found['what']}@{sha} # {version.tag}{f'; {said}' if said else ''}"

    return OURS.sub(exact, text)


def notes(changelog: str, version: Version) -> str:
    """What CHANGELOG.md says of a version, below its heading `## 1.2.3 (2026-11-23)`. Raises NotReleasable."""
    heading = re.compile(rf"^## {re.escape(str(version))} \(\d{{4}}-\d\d-\d\d\)\n(.*?)(?=^## |\Z)", re.M | re.S)
    found = heading.search(changelog)
    if not found or not found[1].strip():
        raise NotReleasable(
            f"CHANGELOG.md says nothing of {version}",
            cause=f"it has no heading `## {version} (year-month-day)`, or nothing below it",
            next_step="say there what changed for those who use it",
        )
    return found[1].strip()
