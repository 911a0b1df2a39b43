"""What a commit is held against: where its change began, by the event that started the run."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
DEFAULTS = ("refs/remotes/origin/HEAD", "refs/remotes/origin/main", "refs/remotes/origin/master")
FETCH = "check out with `fetch-depth: 0`, so that git has the commits before"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Where to look for it.

    Attributes:
        names: commits or refs; the merge base with the first that is there is the base.
        or_parent: whether the commit before does where they lead nowhere else.
    """

    names: tuple[str, ...] = ()
    or_parent: bool = True


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """The base, or why there is none.

    Attributes:
        sha: empty: there is none.
        avoidable: whether somebody can do something about that; the first commit of all has none, and never will.
    """

    sha: str = ""
    why: str = ""
    next_step: str = ""
    avoidable: bool = False


def wanted_base(event: str, base_ref: str, payload: Mapping[str, Any]) -> Wanted:
    """Where a run's change began.

    Args:
        event: that started the run, such as `push`; empty outside of Actions.
        base_ref: branch that a pull request is for; empty: there is none.
        payload: of the event. https://docs.github.com/en/webhooks/webhook-events-and-payloads
    """
    if base_ref or event in ("pull_request", "pull_request_target", "merge_group"):
        branch = [f"refs/remotes/origin/{base_ref}"] if base_ref else []
        shas = [_text(payload, "pull_request", "base", "sha"), _text(payload, "merge_group", "base_sha")]
        return Wanted(names=(*branch, *filter(SHA.fullmatch, shas)), or_parent=False)
    default = _text(payload, "repository", "default_branch")
    if event == "push" and _text(payload, "ref") == f"refs/heads/{default}":
        before = _text(payload, "before")
        return Wanted(names=(before,) if SHA.fullmatch(before) and before.strip("0") else ())
    branch = [f"refs/remotes/origin/{default}"] if default else list(DEFAULTS)
    return Wanted(names=tuple(branch), or_parent=event != "push")


def _text(payload: Mapping[str, Any], *path: str) -> str:
    value: Any = payload
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
