from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cicd.core.status_table import aligned, markdown, notes

SINCE = "2026-11-23T09:00:00Z"
RUNS = {"release": "0123456789ab", "version": "v12", "verdict": "stable", "since": SINCE, "slot": "blue"}


TEXTS = ("release", "version", "verdict", "since", "slot", "warm", "under_way", "held_by", "problem")
UNKNOWN: dict[str, Any] = {**dict.fromkeys(TEXTS, ""), "approved_by": [], "back_to": [], "unfinished": False}
UNKNOWN |= {"unrecorded": 0}


def row(environment: str, **values: Any) -> dict[str, Any]:
    return {**UNKNOWN, "environment": environment, **values}


def test_columns_stand_below_each_other() -> None:
    rows = [
        row("dev"),
        row("production", **RUNS, approved_by=["rita"], warm="green", back_to=["v11 ba9876543210"], unfinished=True),
        row("staging", problem="The journal cannot be read"),
    ]
    assert aligned(rows).splitlines() == [
        "ENVIRONMENT  RELEASE           VERDICT  SINCE                 APPROVED BY  SLOT",
        "dev          nothing           -        -                     -            -",
        "production   v12 0123456789ab  stable   2026-11-23T09:00:00Z  rita         blue (warm green)",
        "  a killed run is to be undone (`cicd recover`)",
        "  can go back to v11 ba9876543210",
        "staging      cannot be told    -        -                     -            -",
        "  ✗ its target cannot be read: The journal cannot be read",
    ]


def test_each_thing_to_know_is_told() -> None:
    much = row("dev", **{**RUNS, "slot": ""}, under_way="promote v13", unrecorded=1, held_by="dana")
    assert notes(much) == [
        "promote v13 is under way",
        "GitHub does not know all of it yet (`cicd recover`)",
        "held by dana",
        "its target is not on this machine",
    ]


@given(st.text(), st.text(), st.text())
def test_whatever_others_wrote_an_environment_is_one_line_and_its_notes(version: str, who: str, held: str) -> None:
    made = row("dev", **{**RUNS, "version": version}, approved_by=[who], held_by=held)
    assert len(aligned([made]).splitlines()) == 2 + len(notes(made))
    assert len(markdown([made]).splitlines()) == 5
