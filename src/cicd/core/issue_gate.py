"""The fallback gate: an issue asks for the approval where GitHub offers no required reviewers.

promote opens an issue with the plan and ends; no runner waits. An approver starts a workflow with the issue's number;
who he is, GitHub says, and the plan is made anew and must have the hash that the issue names.

Whoever may write to the repository may edit the issue, also what GitHub does not show of it. So what is read by cicd
stands there for people too, and neither is believed without the other.
"""

import re
from collections.abc import Sequence

import msgspec

from cicd.core.markdown import inline
from cicd.errors import NotApproved, UsageError

LABEL = "cicd-approval"
MARK = re.compile(r"<!-- cicd:approval (\{[^\n]*\}) -->")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an issue asks for; all that a promotion needs is in it.

    Attributes:
        plan: hash of the plan that was shown.
        by: login of who started the run that asked.
    """

    environment: str
    image: str
    sha: str
    plan: str
    version: str = ""
    by: str = ""


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


def body(asked: Asked, plan_text: str, approvers: Sequence[str]) -> str:
    """The issue's text: the plan for the one who approves, and the mark by which it is read again."""
    return "\n".join(
        [
            plan_text,
            "",
            f"One of {', '.join(f'@{who}' for who in approvers)} can let it through: run the workflow that calls"
            " `cicd approve`, with the number of this issue.",
            "To refuse, close the issue.",
            "",
            _wanted(asked),
        ]
    )


def _wanted(asked: Asked) -> str:
    """What an approval lets through: for people, and as the mark. The one follows from the other."""
    mark = msgspec.json.encode(asked).decode().replace("--", "-\\u002d")
    image, sha, plan, where = map(inline, (asked.image, asked.sha, asked.plan, asked.environment))
    return "\n".join(
        [
            f"{inline(asked.by) or 'Somebody'} wants {inline(asked.version) or 'this'} in `{where}`:",
            f"commit `{sha}`, image `{image}`, plan `{plan}`.",
            "",
            f"<!-- cicd:approval {mark} -->",
        ]
    )


OUR_TAGS = re.compile("</?code>")  # the only ones in a plan


def says_what_it_asks(text: str, asked: Asked) -> bool:
    """Whether an issue shows people what its mark says, with the plan of that hash, and hides nothing else."""
    lines = text.replace("\r\n", "\n").rstrip()
    shown, wanted = lines.removesuffix(_wanted(asked)), _wanted(asked)
    return lines.endswith(wanted) and "<" not in OUR_TAGS.sub("", shown) and f"\nPlan `{asked.plan}`\n" in f"\n{shown}"


def read_asked(text: str) -> Asked | None:
    """What an issue asks for; None if it is none of ours."""
    found = MARK.findall(text)
    try:
        return msgspec.json.decode(found[-1], type=Asked) if found else None
    except msgspec.MsgspecError:
        return None


def demand(issue: Issue, actor: str, event: str, approvers: Sequence[str]) -> Asked:
    """What was asked for, if this run is its approval.

    Args:
        actor: login of who started this run, by GitHub's word.
        event: that started it.

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
    if not says_what_it_asks(issue.body, asked):
        raise NotApproved(
            f"Issue #{issue.number} does not show what it asks for",
            cause="its text was changed by hand, or an older cicd has written it",
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
