import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core import issue_gate
from cicd.core.issue_gate import Asked, Issue, asks_for, is_ours, place, read_asked, title
from cicd.errors import NotApproved, UsageError

ASKED = Asked(environment="production", image="sha256:1", sha="2" * 40, plan="abc", version="v3", by="dana", run="41")
APPROVERS = ["rita", "dana"]
PLAN = "### promote v3 → production\n\n- **commit** `222222222222`\n\nPlan `abc`"
KEY = b"of the target"
HERE = place("acme/tiny", 7)


def body(asked: Asked, plan_text: str, approvers: list[str], key: bytes = KEY, where: str = HERE) -> str:
    return issue_gate.body(asked, plan_text, approvers, key, where)


def demand(found: Issue, actor: str, event: str, approvers: list[str]) -> Asked:
    return issue_gate.demand(found, actor, event, approvers, KEY, "acme/tiny")


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
        (issue(f"nothing changes\n\n{body(ASKED, PLAN, APPROVERS)}"), "rita", "workflow_dispatch", NotApproved),
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
        with pytest.raises(NotApproved, match="signature does not fit"):
            demand(issue(text), "rita", "workflow_dispatch", APPROVERS)


@pytest.mark.parametrize("asked", [ASKED, msgspec.structs.replace(ASKED, image="sha256:9", plan="def", by="eve")])
def test_text_and_mark_that_were_changed_alike_are_not_believed(asked: Asked) -> None:
    """Whoever may edit the issue may make both fit each other; the key he has not."""
    forged = body(asked, PLAN.replace("abc", asked.plan), APPROVERS, b"another key")
    unsigned = f"{forged[: forged.rindex(' ', 0, -4)]} -->"  # as an older cicd wrote them
    old = f"{forged.rpartition(' -->')[0][:-64]}{body(ASKED, PLAN, APPROVERS).rpartition(' -->')[0][-64:]} -->"
    texts = [forged, unsigned] if asked == ASKED else [forged, unsigned, old]
    for text in texts:
        assert read_asked(text) == asked
        with pytest.raises(NotApproved, match="signature does not fit"):
            demand(issue(text), "rita", "workflow_dispatch", APPROVERS)


@given(st.data())
def test_no_character_of_it_can_be_changed(data: st.DataObject) -> None:
    text = body(ASKED, PLAN, APPROVERS)
    at, other = data.draw(st.integers(0, len(text) - 1)), data.draw(st.characters(categories=["L", "N", "P", "Cf"]))
    assert is_ours(issue(text), KEY, "acme/tiny")
    if text[at] != other:
        assert not is_ours(issue(text[:at] + other + text[at + 1 :]), KEY, "acme/tiny")


@pytest.mark.parametrize("where", ["", place("acme/tiny", 8), place("acme/other", 7)])
def test_the_text_of_another_issue_is_not_believed(where: str) -> None:
    """One that was refused, put into the one that an approver has just read; or one that is not signed for any yet."""
    with pytest.raises(NotApproved, match="signature does not fit"):
        demand(issue(body(ASKED, PLAN, APPROVERS, where=where)), "rita", "workflow_dispatch", APPROVERS)


def test_an_issue_of_another_run_asks_for_the_same() -> None:
    assert asks_for(issue(), msgspec.structs.replace(ASKED, run="42"))
    assert not asks_for(issue(), msgspec.structs.replace(ASKED, plan="def"))
    assert not asks_for(issue(by_app=False), ASKED)


def test_line_ends_of_another_kind_are_no_change() -> None:
    text = body(ASKED, PLAN, APPROVERS).replace("\n", "\r\n") + "\r\n"
    assert demand(issue(text), "rita", "workflow_dispatch", APPROVERS) == ASKED
