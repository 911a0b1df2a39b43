import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.issue_gate import Asked, Issue, body, demand, read_asked, title
from cicd.errors import NotApproved, UsageError

ASKED = Asked(environment="production", image="sha256:1", sha="2" * 40, plan="abc", version="v3", by="dana")
APPROVERS = ["rita", "dana"]


def issue(text: str = "", *, open: bool = True, by_app: bool = True) -> Issue:
    return Issue(number=7, body=text or body(ASKED, "### the plan", APPROVERS), open=open, by_app=by_app)


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
        (issue("no mark"), "rita", "workflow_dispatch", UsageError),
        (issue("<!-- cicd:approval {} -->"), "rita", "workflow_dispatch", UsageError),
    ],
)
def test_nobody_else_does(found: Issue, actor: str, event: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        demand(found, actor, event, APPROVERS)
