import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.alert import attempts_by_alert, require_asked_for, require_first, require_running
from cicd.core.journal import Entry
from cicd.core.ledger import Deployment, Payload
from cicd.errors import AlertAnswered, Replaced, UsageError
from tests.core.histories import release

ALERTS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5)


def payload(alert: str) -> Payload:
    old = release("v1", "0001")
    return Payload(kind="rollback", release=old, release_id=old.id, key=f"k{alert}", alert=alert)


def entry(alert: str, environment: str = "production") -> Deployment:
    return Deployment(id=1, environment=environment, created_at="", verdict="failed", payload=payload(alert))


@given(st.lists(ALERTS), st.lists(ALERTS), ALERTS)
def test_an_alert_gets_one_attempt_whoever_remembers_it(ledger: list[str], journal: list[str], alert: str) -> None:
    entries = [Entry(at=0, deployment=f"k{one}", event="plan", payload=payload(one)) for one in journal]
    attempts = attempts_by_alert([entry(one) for one in ledger], entries, "production")
    if alert in ledger + journal:
        with pytest.raises(AlertAnswered, match="has had its attempt in `production`: back to v1"):
            require_first(alert, attempts, "production")
    else:
        require_first(alert, attempts, "production")
    require_first("", attempts, "production")


def test_what_was_tried_elsewhere_does_not_count() -> None:
    assert attempts_by_alert([entry("a", "staging"), entry("")], [], "production") == {}


def test_only_the_release_that_runs_is_left() -> None:
    one, two = release("v1", "0001"), release("v2", "0002")
    require_running(two.id, two, "production")
    require_running("", None, "production")
    with pytest.raises(Replaced, match=f"{one.id} does not run in `production`: {two.name.split()[0]}"):
        require_running(one.id, two, "production")
    with pytest.raises(Replaced, match="nothing does"):
        require_running(one.id, None, "production")


@pytest.mark.parametrize(
    ("alert", "of", "event", "fine"),
    [
        ("", "", "workflow_dispatch", True),
        ("", "abc", "workflow_dispatch", True),
        ("a1", "abc", "repository_dispatch", True),
        ("a1", "", "workflow_dispatch", False),
        ("a1", "", "repository_dispatch", False),
        ("", "abc", "repository_dispatch", False),
        ("", "", "repository_dispatch", False),
    ],
)
def test_an_alert_says_what_it_is_about(alert: str, of: str, event: str, fine: bool) -> None:
    if fine:
        require_asked_for(alert, of, event)
    else:
        with pytest.raises(UsageError):
            require_asked_for(alert, of, event)
