"""What setup-env did, as a table for the job's summary."""

from collections.abc import Mapping
from typing import Any

from cicd.core.markdown import inline


def summary(data: Mapping[str, Any]) -> str:
    """The table; never with a URL, for a password is in it."""
    lines = ["### setup-env", "", "| what | version | from | ready in |", "| --- | --- | --- | ---: |"]
    for name, about in data["services"].items():
        took = "used again" if about["reused"] else f"{about['seconds']:.2f} s"
        version = inline(about["version"]) or "-"
        lines.append(f"| {inline(name)} | {version} | {about['source']}, port {about['port']} | {took} |")
    python = data["python"]
    took = "used again" if python["reused"] else f"{python['seconds']:.1f} s"
    lines.append(f"| Python | {python['version']} | {python['installer'] or 'as it is'} | {took} |")
    migrated = data["migrated"]
    if migrated:
        revision = inline(migrated["revision"]) or "-"
        lines.append(f"| schema | {revision} | {inline(migrated['command'])} | {migrated['seconds']:.1f} s |")
    lines += [f"| seed | - | {inline(seed)} | {seconds:.1f} s |" for seed, seconds in data.get("seeded", {}).items()]
    if "both_ways" in migrated:
        tried, rest = (inline(", ".join(migrated[name])) or "none" for name in ("both_ways", "up_only"))
        lines += ["", f"Migrations tried up, down and up again: {tried}; up only: {rest}."]
    return "\n".join(lines)
