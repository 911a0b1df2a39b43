"""DORA's figures as a table and as a picture."""

import math
from collections.abc import Sequence

import msgspec

from cicd.core.config import Targets
from cicd.core.dora import Counts, Metrics, met
from cicd.core.report_picture import bars
from cicd.core.shards import words

NAMES = {
    "deployments_per_week": "deployment frequency",
    "lead_time": "change lead time",
    "fail_rate": "change fail rate",
    "recovery_time": "failed deployment recovery time",
    "rework_rate": "deployment rework rate",
}


def figure(name: str, value: float | None) -> str:
    """A metric's value for people; `-` where there is none."""
    if value is None:
        return "-"
    if name.endswith("_time"):
        return span(value)
    return f"{value:.1f} a week" if name == "deployments_per_week" else f"{value:.1f}%"


def span(seconds: float) -> str:
    """`35 s`, `4 min 10 s`, `5 h 20 min`, `3 d 4 h`."""
    if seconds < 3600:
        return words(seconds)
    minutes = math.ceil(seconds / 60 - 0.5)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def target(name: str, targets: Targets) -> str:
    value = getattr(targets, name)
    if value is None:
        return ""
    if name == "deployments_per_week":
        return f"≥ {value:g} a week"
    return f"< {figure(name, value)}" if value else "none"


def rows(metrics: Metrics, targets: Targets) -> list[tuple[str, str, str, str]]:
    """Name, figure, target, and whether it is met, of each metric."""
    ends = {True: "yes", False: "no", None: ""}
    held = met(metrics, targets)
    return [
        (said, figure(name, getattr(metrics, name)), target(name, targets), ends[held[name]])
        for name, said in NAMES.items()
    ]


def table(metrics: Metrics, targets: Targets, about: str) -> str:
    """For a terminal."""
    cells = [("METRIC", "FIGURE", "TARGET", "MET"), *rows(metrics, targets)]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([*lines, about])


def markdown(metrics: Metrics, targets: Targets, about: str) -> str:
    """For a job's summary."""
    lines = ["### DORA", "", "| metric | figure | target | met |", "| --- | ---: | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows(metrics, targets)), "", about])


def told(counts: Counts, foreign: int, repositories: int, days: float, unread: Sequence[str] = ()) -> str:
    """What was counted, and what was not, in one line."""
    parts = [
        f"{counts.promotions} promotions and {counts.rollbacks} rollbacks in {days:g} days",
        f"{repositories} repositories" if repositories != 1 else "",
        f"{len(unread)} could not be read and are left out: {_some(unread)}" if unread else "",
        f"{foreign} deployments that are not cicd's were left out" if foreign else "",
        f"{counts.untold} promotions brought no change, or do not say when theirs came: they have no lead time"
        if counts.untold
        else "",
        f"{counts.clocks} times lay after what followed them and count as 0 s: clocks differ" if counts.clocks else "",
    ]
    return "; ".join(filter(None, parts))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def picture(metrics: Metrics, targets: Targets, weeks: Sequence[tuple[str, float]], about: str) -> str:
    """An HTML-free SVG: deployments of each week as bars."""
    drawn = bars("Deployments that reached production, by week", about, weeks, "")
    return drawn[drawn.index("<svg") : drawn.index("</svg>") + 6].replace(
        "<svg ", '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="13" fill="#3572b0" ', 1
    )


def as_data(metrics: Metrics, counts: Counts) -> dict[str, object]:
    """For JSON: the five, and what they were made of."""
    return {**msgspec.structs.asdict(metrics), "counted": msgspec.structs.asdict(counts)}
