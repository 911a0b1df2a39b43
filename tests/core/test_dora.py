"""DORA's five, counted from a ledger whose times are written by hand."""

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.config import Targets
from cicd.core.dora import EARLIER, WEEK, Counts, count, measure, met, seconds_of, total
from cicd.core.dora_told import figure, picture, span, table, told
from cicd.core.ledger import Deployment, Payload, Verdict
from cicd.core.metrics import of_dora
from tests.core.histories import release

HOUR, DAY = 3600.0, 86400.0
START = datetime(2026, 11, 2, tzinfo=UTC).timestamp()


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def deployed(
    began: float,
    *verdicts: tuple[float, Verdict],
    changes: tuple[float, ...] = (),
    kind: Literal["promote", "rollback"] = "promote",
    rehearsal: bool = False,
) -> Deployment:
    """`began`, and all times: seconds after START."""
    made = release(str(began))
    at = [(iso(START + seconds), verdict) for seconds, verdict in verdicts]
    payload = Payload(
        kind=kind,
        release=made,
        release_id=made.id,
        key=str(began),
        at=START + began,
        changes=[START + change for change in changes],
        rehearsal=rehearsal,
    )
    return Deployment(
        id=int(began) + 10**6,
        environment="production",
        created_at=iso(START + began),
        verdict=verdicts[-1][1] if verdicts else "in-progress",
        verdicts=tuple(at),
        payload=payload,
    )


def counted(*ledger: Deployment) -> Counts:
    return count(ledger[::-1], START, START + WEEK)


def test_a_week() -> None:
    found = counted(
        deployed(0, (60, "stable"), changes=(-HOUR, -3 * HOUR)),
        deployed(DAY, (DAY + 100, "rolled-back")),  # by itself, in its watch
        deployed(2 * DAY, (2 * DAY + 60, "stable"), changes=(2 * DAY - HOUR,)),
        deployed(3 * DAY, (3 * DAY + 60, "stable"), (3 * DAY + 1860, "rolled-back")),  # by hand
        deployed(3 * DAY + 1800, (3 * DAY + 1860, "stable"), kind="rollback"),
        deployed(4 * DAY, (4 * DAY + 60, "failed")),  # users never met it
    )
    assert (found.promotions, found.failed, found.rollbacks, found.repairs) == (4, 2, 1, 1)
    assert found.lead == (HOUR + 60, 3 * HOUR + 60, HOUR + 60)
    assert found.recovery == (100.0, 1800.0)
    metrics = measure(found, WEEK)
    assert metrics.deployments_per_week == 4
    assert metrics.lead_time == HOUR + 60
    assert metrics.fail_rate == 50
    assert metrics.recovery_time == 950
    assert metrics.rework_rate == 40


def test_only_what_reached_users_within_counts_and_what_was_before_says_what_mends() -> None:
    found = counted(
        deployed(-DAY, (-DAY + 60, "rolled-back")),
        deployed(-60, (60, "stable")),
        deployed(WEEK - 60, (WEEK, "stable")),
    )
    assert (found.promotions, found.repairs) == (1, 1)


def test_rehearsals_are_no_deployments() -> None:
    found = counted(
        deployed(0, (60, "stable")),
        deployed(100, (160, "stable"), kind="rollback", rehearsal=True),
        deployed(200, (260, "stable"), kind="rollback", rehearsal=True),
    )
    assert (found.promotions, found.rollbacks, found.failed) == (1, 0, 0)


def test_clocks_that_differ_give_no_negative_times_and_are_told() -> None:
    found = counted(
        deployed(0, (60, "stable"), changes=(DAY,)),
        deployed(500, (400, "rolled-back")),
    )
    assert found.lead == (0.0,)
    assert found.recovery == (0.0,)
    assert found.clocks == 2
    assert "2 times lay after what followed them" in told(found, 0, 1, 7)


def test_nothing_is_no_figure() -> None:
    metrics = measure(Counts(), WEEK)
    assert (metrics.lead_time, metrics.fail_rate, metrics.recovery_time, metrics.rework_rate) == (None,) * 4
    assert met(metrics, Targets(lead_time=1, deployments_per_week=1)) == {
        "deployments_per_week": False,
        "lead_time": None,
        "fail_rate": None,
        "recovery_time": None,
        "rework_rate": None,
    }
    assert [one.name for one in of_dora("a/b", metrics)] == ["cicd_dora_deployments_per_week"], "that is known to be 0"


VERDICTS: st.SearchStrategy[Any] = st.lists(
    st.tuples(st.floats(-DAY, 9 * DAY), st.sampled_from(["stable", "failed", "inconclusive", "rolled-back"])),
    max_size=3,
)
DEPLOYMENTS = st.builds(
    lambda began, verdicts, changes, kind: deployed(began, *verdicts, changes=tuple(changes), kind=kind),
    st.floats(-DAY, 8 * DAY),
    VERDICTS,
    st.lists(st.floats(-9 * DAY, 9 * DAY), max_size=3),
    st.sampled_from(["promote", "rollback"]),
)


@given(st.lists(DEPLOYMENTS, max_size=12))
def test_any_ledger_has_figures_in_their_bounds(ledger: list[Deployment]) -> None:
    found = count(ledger, START, START + WEEK)
    metrics = measure(found, WEEK)
    assert found == count(ledger[::-1], START, START + WEEK) or len({one.id for one in ledger}) < len(ledger)
    assert 0 <= found.failed <= found.promotions <= len(ledger)
    assert found.repairs <= found.promotions
    assert min([*found.lead, *found.recovery, 0.0]) == 0
    for share in (metrics.fail_rate, metrics.rework_rate):
        assert share is None or 0 <= share <= 100
    assert table(metrics, Targets(), told(found, 0, 1, 7)).count("\n") == 6
    halves = (count(ledger, START, START + DAY), count(ledger, START + DAY, START + WEEK))
    both = total(halves)
    assert (both.promotions, both.failed, both.rollbacks) == (found.promotions, found.failed, found.rollbacks)


@given(st.lists(DEPLOYMENTS, max_size=8), st.lists(DEPLOYMENTS, max_size=4))
def test_older_deployments_that_are_known_or_not_change_nothing(
    ledger: list[Deployment], more: list[Deployment]
) -> None:
    ledger = list({one.id: one for one in ledger}.values())
    old = [made_at(one, seconds_of(one.created_at) - EARLIER - 10 * DAY) for one in more]
    assert count([*ledger, *old], START, START + WEEK) == count(ledger, START, START + WEEK)


def made_at(one: Deployment, at: float) -> Deployment:
    return msgspec.structs.replace(one, id=one.id - 10**9, created_at=iso(at))


HUGE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(HUGE, st.lists(HUGE, max_size=4)), min_size=1, max_size=4))
def test_times_that_cannot_be_give_figures_that_can_be_said(told_by_strangers: list[tuple[float, list[float]]]) -> None:
    good = deployed(0, (60, "stable"), (600, "rolled-back"))
    ledger = [
        msgspec.structs.replace(good, id=number, payload=msgspec.structs.replace(good.payload, at=at, changes=changes))
        for number, (at, changes) in enumerate(told_by_strangers)
    ]
    found = counted(*ledger)
    metrics = measure(found, WEEK)
    assert all(0 <= seconds < 10 * START for seconds in (*found.lead, *found.recovery))
    assert "inf" not in table(metrics, Targets(), told(found, 0, 1, 7))


@pytest.mark.parametrize(
    ("name", "value", "target", "held"),
    [
        ("fail_rate", 5.0, 5.0, False),  # the target is below 5%
        ("fail_rate", 4.9, 5.0, True),
        ("fail_rate", 0.0, 0.0, True),
        ("lead_time", 7200.0, 7200.0, False),
        ("deployments_per_week", 5.0, 5.0, True),
        ("deployments_per_week", 4.9, 5.0, False),
        ("rework_rate", None, 5.0, None),
        ("recovery_time", 1.0, None, None),
    ],
)
def test_what_the_table_says_of_a_target_is_what_it_is_held_against(
    name: str, value: float | None, target: float | None, held: bool | None
) -> None:
    metrics = msgspec.structs.replace(measure(Counts(), WEEK), **{name: value})
    assert met(metrics, Targets(**{name: target}))[name] is held


def test_a_promotion_that_brought_no_change_is_told() -> None:
    found = counted(deployed(0, (60, "stable")), deployed(DAY, (DAY + 60, "stable"), changes=(0,)))
    assert (found.untold, len(found.lead)) == (1, 1)
    assert "1 promotions brought no change" in told(found, 0, 1, 7)


@pytest.mark.parametrize(
    ("at", "seconds"),
    [("2026-11-02T00:00:00Z", START), ("2026-11-02T01:00:00+01:00", START), ("2026-11-02", START), ("", 0), ("x", 0)],
)
def test_seconds_of(at: str, seconds: float) -> None:
    assert seconds_of(at) == seconds


def test_words() -> None:
    assert [span(seconds) for seconds in (35, 250, 3600, 7320, 200 * 3600)] == [
        "35 s",
        "4 min 10 s",
        "1 h 0 min",
        "2 h 2 min",
        "8 d 8 h",
    ]
    assert figure("fail_rate", 4.04) == "4.0%"
    assert figure("lead_time", None) == "-"


def test_the_picture_stands_alone() -> None:
    drawn = picture(measure(Counts(), WEEK), Targets(), [("2026-11-02", 3), ("<b>", 0)], "3 promotions")
    assert drawn.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
    assert "<b>" not in drawn
