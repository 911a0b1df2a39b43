"""Advisories of OSV (https://ossf.github.io/osv-schema/): what pip-audit does not say, how grave a vulnerability is."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cicd.core.findings import MOST_ALIASES, NAMED, NOT_SCANNED, Finding, Scan, finding
from cicd.core.findings_json import read_json, shaped
from cicd.core.severity import Rate, rated

FIRST = ("GHSA-", "PYSEC-", "CVE-")  # GitHub's have a severity nearly always


class Advisory(msgspec.Struct, frozen=True, kw_only=True):
    """What OSV knows of one vulnerability. `vectors` and `words` are what severities are made of."""

    id: str
    aliases: tuple[str, ...] = ()
    vectors: tuple[Any, ...] = ()
    words: tuple[Any, ...] = ()
    title: str = ""


class _Severity(msgspec.Struct, frozen=True):
    score: Any = ""


class _Affected(msgspec.Struct, frozen=True):
    severity: list[_Severity] | None = None
    database_specific: dict[str, Any] | None = None


class _Record(msgspec.Struct, frozen=True):
    id: str
    aliases: list[Any] | None = None
    summary: Any = ""
    severity: list[_Severity] | None = None
    affected: list[_Affected] | None = None
    database_specific: dict[str, Any] | None = None


def read_advisory(data: bytes, source: str) -> Advisory:
    """An advisory as `GET /v1/vulns/ID` gives it. Raises ReportInvalid."""
    record = shaped(read_json(data, source), _Record, source, "OSV")
    affected = record.affected or []
    bags = [record.database_specific or {}, *(one.database_specific or {} for one in affected)]
    stated = [*(record.severity or []), *(each for one in affected for each in one.severity or [])]
    return Advisory(
        id=record.id,
        aliases=tuple(one for one in record.aliases or [] if isinstance(one, str)),
        vectors=tuple(one.score for one in stated[:100]),
        words=tuple(bag["severity"] for bag in bags[:100] if isinstance(bag.get("severity"), str)),
        title=record.summary if isinstance(record.summary, str) else "",
    )


def to_ask(scan: Scan) -> list[list[str]]:
    """For each finding in a package that nobody has rated: its names, in the order in which to ask for them."""
    return [names_to_ask(one) for one in scan.findings if _is_unrated(one)]


def names_to_ask(finding: Finding) -> list[str]:
    """Names that OSV may know, as it writes them: what is known everywhere, GitHub's first."""
    known = [name for name in (finding.id, *finding.aliases) if NAMED.fullmatch(name)]
    spelled = [f"GHSA{name[4:].lower()}" if name.upper().startswith("GHSA") else name.upper() for name in known]
    return sorted(spelled, key=lambda name: ([name.startswith(begin) for begin in FIRST].index(True), name))


def with_advisories(scan: Scan, advisories: Mapping[str, Advisory], rate: Rate, missing: str = "") -> Scan:
    """The scan with what the advisories say of findings that nobody has rated.

    Args:
        advisories: by the names that were asked for.
        missing: why some could not be had, for the summary.
    """
    found = tuple(
        _told(one, [advisories[name] for name in names_to_ask(one) if name in advisories], rate)
        if _is_unrated(one)
        else one
        for one in scan.findings
    )
    unrated = sum(map(_is_unrated, found))
    note = f"{unrated} of {len(found)} findings are not rated: {missing}" if unrated and missing else scan.note
    return msgspec.structs.replace(scan, findings=found, note=note)


def _is_unrated(one: Finding) -> bool:
    return one.severity == "unknown" and bool(one.package) and one.id != NOT_SCANNED


def _told(one: Finding, advisories: Sequence[Advisory], rate: Rate) -> Finding:
    if not advisories:
        return one
    told = finding(
        one.tool,
        one.id,
        rated(
            rate,
            vectors=[vector for each in advisories for vector in each.vectors],
            words=[word for each in advisories for word in each.words],
        ),
        aliases=[*one.aliases, *(name for each in advisories for name in (each.id, *each.aliases))][:MOST_ALIASES],
        title=next((each.title for each in advisories if each.title), one.title),
    )
    return msgspec.structs.replace(
        one, severity=told.severity, score=told.score, aliases=told.aliases, title=told.title
    )
