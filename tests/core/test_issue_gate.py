import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.issue_gate import Asked, Issue, body, demand, read_asked, title
from cicd.errors import NotApproved, UsageError

ASKED = Asked(environment="production", image="sha256:1", sha="2" * 40, plan="abc", version="v3", by="dana")
APPROVERS = ["rita", "dana"]
PLAN = "### promote v3 → production\n\n- **commit** `222222222222`\n\nPlan `abc`"


def issue(text: str = "", *, open: bool = True, by_app: bool = True) -> Issue:
    return Issue(number=7, body=text or body(ASKED, PLAN, APPROVERS), open=open, by_app=by_app)


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=200))
def test_what_was_asked_is_read_back_whatever_is_in_it(version: str, by: str, plan_text: str) -> None:
    asked = Asked(environment="production", image="sha256:1", sha="2", plan="abc", version=version, by=by)
    assert read_asked(body(asked, plan_text, APPROVERS)) == asked
    assert len(title(asked)) <= 256


def test_a_mark_in_the_plan_is_not_the_mark() -> None:
    """A commit's subject may say what it likes; the last mark is ours."""
    forged = body(Asked(environment="x", image="evil", sha="3", plan="d"), "", [])
    assert read_asked(body(ASKED, forged, APPROVERS)) == ASKED


def test_an_approver_lets_it_through() -> None:
    assert demand(issue(), "rita", "workflow_dispatch", APPROVERS) == ASKED


@pytest.mark.parametrize(
    ("found", "actor", "event", "error"),
    [
        (issue(), "mallory", "workflow_dispatch", NotApproved),
        (issue(), "", "workflow_dispatch", NotApproved),
        (issue(), "rita", "push", NotApproved),
        (issue(), "dana", "workflow_dispatch", NotApproved),
        (issue(open=False), "rita", "workflow_dispatch", NotApproved),
        (issue(by_app=False), "rita", "workflow_dispatch", UsageError),
        (issue(body(ASKED, "### another plan\n\nPlan `def`", APPROVERS)), "rita", "workflow_dispatch", NotApproved),
        (issue(f"{PLAN}\n\n<details>\n\n{body(ASKED, PLAN, APPROVERS)}"), "rita", "workflow_dispatch", NotApproved),
        (issue("no mark"), "rita", "workflow_dispatch", UsageError),
        (issue("<!-- cicd:approval {} -->"), "rita", "workflow_dispatch", UsageError),
    ],
)
def test_nobody_else_does(found: Issue, actor: str, event: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        demand(found, actor, event, APPROVERS)


@pytest.mark.parametrize(
    ("name", "value"),
    [("image", "sha256:9"), ("sha", "9" * 40), ("plan", "def"), ("by", "eve"), ("version", "v4"), ("environment", "x")],
)
def test_a_mark_that_was_changed_behind_its_text_is_not_believed(name: str, value: str) -> None:
    """Else an approver lets through what he was not shown, or the asker approves himself."""
    ours, theirs = body(ASKED, PLAN, APPROVERS), body(msgspec.structs.replace(ASKED, **{name: value}), PLAN, APPROVERS)
    forged = "\n".join([*ours.splitlines()[:-1], theirs.splitlines()[-1]])
    for text in (forged, f"{ours}\n{forged.splitlines()[-1]}"):
        with pytest.raises(NotApproved, match="does not show what it asks for"):
            demand(issue(text), "rita", "workflow_dispatch", APPROVERS)


def test_line_ends_of_another_kind_are_no_change() -> None:
    text = body(ASKED, PLAN, APPROVERS).replace("\n", "\r\n") + "\r\n"
    assert demand(issue(text), "rita", "workflow_dispatch", APPROVERS) == ASKED
