"""Rows of figures: printed as a table, kept as JSON."""

import json
from pathlib import Path
from typing import Any


def row(
    what: str, value: float | None, unit: str, goal: str = "", met: bool | None = None, **more: Any
) -> dict[str, Any]:
    """One figure; `peers`: name → value measured in the same run; `why`: there is no value."""
    return {"what": what, "value": value, "unit": unit, "goal": goal, "met": met, "peers": {}, **more}


def show(rows: list[dict[str, Any]], file: str | None) -> None:
    """Print the rows as Markdown, and keep them."""
    print("| what | value | unit | goal | met | peers |\n| --- | ---: | --- | --- | --- | --- |")
    for one in rows:
        met = {True: "yes", False: "no", None: ""}[one["met"]]
        peers = ", ".join(f"{name}: {value}" for name, value in one["peers"].items())
        beside = peers or one.get("why", "")
        print(f"| {one['what']} | {one['value']} | {one['unit']} | {one['goal']} | {met} | {beside} |")
    if file:
        Path(file).write_text(json.dumps(rows, indent=2) + "\n")
