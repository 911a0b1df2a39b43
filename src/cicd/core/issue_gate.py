"""The fallback gate: an issue asks for the approval where GitHub offers no required reviewers.

promote opens an issue with the plan and ends; no runner waits. An approver starts a workflow with the issue's number;
who he is, GitHub says, and the plan is made anew and must have the hash that the issue names.

Whoever may write to the repository may edit the issue, also what GitHub does not show of it. So all of its text is
signed with a key that only the target has (RFC 2104), and one whose signature does not fit is not believed. The issue's
own number is signed, too: else the text of one that was refused is put into the one that an approver has just read.
"""

import hmac
import re
from collections.abc import Sequence

import msgspec

from cicd.core.markdown import inline
from cicd.errors import NotApproved, UsageError

LABEL = "cicd-approval"
MARK = re.compile(r"<!-- cicd:approval (\{[^\n]*\})(?: ([0-9a-f]{64}))? -->")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an issue asks for; all that a promotion needs is in it.

    Attributes:
        plan: hash of the plan that was shown.
        by: login of who started the run that asked.
        run: number of that run.
    """

    environment: str
    image: str
    sha: str
    plan: str
    version: str = ""
    by: str = ""
    run: str = ""


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """An issue as GitHub has it; `by_app`: whether an app has opened it, and no person."""

    number: int
    body: str
    open: bool
    by_app: bool
    url: str = ""


def title(asked: Asked) -> str:
    """The issue's title; GitHub takes 256 characters."""
    return f"Approve {asked.version or asked.sha[:12]} for {asked.environment}?"[:256]


def body(asked: Asked, plan_text: str, approvers: Sequence[str], key: bytes, where: str = "") -> str:
    """The issue's text: the plan for the one who approves, and the mark by which it is read again.

    Args:
        key: of the target, see `Target.key`.
        where: it stands, see `place`; before it stands anywhere it is signed for nowhere, and not believed.
    """
    image, sha, plan, environment = map(inline, (asked.image, asked.sha, asked.plan, asked.environment))
    text = "\n".join(
        [
            plan_text,
            "",
            f"One of {', '.join(f'@{who}' for who in approvers)} can let it through: run the workflow that calls"
            " `cicd approve`, with the number of this issue.",
            "To refuse, close the issue.",
            "",
            f"{inline(asked.by) or 'Somebody'} wants {inline(asked.version) or 'this'} in `{environment}`:",
            f"commit `{sha}`, image `{image}`, plan `{plan}`.",
        ]
    )
    mark = msgspec.json.encode(asked).decode().replace("--", "-\\u002d")
    return f"{text}\n\n<!-- cicd:approval {mark} {_signature(text, mark, key, where)} -->"


def place(repository: str, number: int) -> str:
    """Names an issue, and no other."""
    return f"{repository}#{number}"


def _signature(text: str, mark: str, key: bytes, where: str) -> str:
    """Of all that an issue shows, its mark, and where it stands.

    Control characters are left out: GitHub changes ends of lines.
    """
    seen = CONTROL.sub("", text).strip()
    return hmac.digest(key, f"cicd:approval\n{where}\n{mark}\n{seen}".encode(), "sha256").hex()


def is_ours(issue: Issue, key: bytes, repository: str) -> bool:
    """Whether an issue's text is, to its end, as the owner of the key wrote it there."""
    text = issue.body
    found = [*MARK.finditer(text)][-1:]
    if not found or text[found[0].end() :].strip():
        return False
    mark, signature = found[0].groups("")
    wanted = _signature(text[: found[0].start()], mark, key, place(repository, issue.number))
    return hmac.compare_digest(signature, wanted)


def read_asked(text: str) -> Asked | None:
    """What an issue asks for; None if it is none of ours."""
    found = MARK.findall(text)
    try:
        return msgspec.json.decode(found[-1][0], type=Asked) if found else None
    except msgspec.MsgspecError:
        return None


def asks_for(issue: Issue, asked: Asked) -> bool:
    """Whether an issue of an app says that it asks for this already, whichever run has opened it."""
    there = read_asked(issue.body)
    return issue.by_app and there is not None and msgspec.structs.replace(there, run=asked.run) == asked


def demand(issue: Issue, actor: str, event: str, approvers: Sequence[str], key: bytes, repository: str) -> Asked:
    """What was asked for, if this run is its approval.

    Args:
        actor: login of who started this run, by GitHub's word.
        event: that started it.
        key: of the target, see `Target.key`.
        repository: that the issue is in.

    Raises:
        NotApproved: it is closed or was changed, its asker approves himself, or this is no approver. UsageError: it is
            none of ours.
    """
    asked = read_asked(issue.body)
    if asked is None or not issue.by_app:
        raise UsageError(
            f"Issue #{issue.number} asks for no approval",
            cause="only an issue that a promotion has opened with its run's own token is believed, none of a person's",
            next_step=f"give the number of an open issue with the label `{LABEL}`, or let the pipeline open one",
        )
    if not is_ours(issue, key, repository):
        raise NotApproved(
            f"Issue #{issue.number} is not as cicd wrote it: its signature does not fit",
            cause="it was changed by hand, an older cicd has written it, or the target has another key meanwhile",
            next_step="close it, and let the pipeline ask again",
        )
    if not issue.open:
        raise NotApproved(
            f"Issue #{issue.number} is closed", cause="it was refused, or done", next_step="let the pipeline ask again"
        )
    if event != "workflow_dispatch" or actor not in approvers:
        raise NotApproved(
            f"{actor or 'nobody'} cannot approve `{asked.environment}`"
            + ("" if event == "workflow_dispatch" else f" by an event `{event}`"),
            next_step=f"let one of {', '.join(approvers)} run the workflow by hand",
        )
    if actor == asked.by:
        raise NotApproved(
            f"{actor} asked for it, and cannot approve it too", next_step="let another approver look at it"
        )
    return asked
