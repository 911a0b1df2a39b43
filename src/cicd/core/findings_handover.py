"""Scans from the job that ran them to the one that gives the verdict. What comes from an artifact is hostile again."""

from collections.abc import Sequence

import msgspec

from cicd.core.findings import Finding, Place, Scan, finding, line_of, place_of
from cicd.core.findings_json import read_json, shaped
from cicd.core.redaction import redacted
from cicd.core.severity import score_of


def scans_json(scans: Sequence[Scan]) -> bytes:
    """The scans as JSON, for `read_scans`."""
    return msgspec.json.encode(scans)


def read_scans(data: bytes, source: str) -> list[Scan]:
    """Scans as `scans_json` wrote them, their texts and places made fit to be shown once more. Raises ReportInvalid."""
    scans = shaped(read_json(data, source), list[Scan], source, "this action")
    return [
        Scan(
            tool=line_of(scan.tool, 200) or "scanner",
            source=line_of(scan.source, 200),
            findings=tuple(map(_again, scan.findings)),
            unfinished=redacted(line_of(scan.unfinished, 1000)) or ("it does not say why" if scan.unfinished else ""),
            suppressed=max(0, min(scan.suppressed, 10**9)),
            note=redacted(line_of(scan.note, 1000)),
        )
        for scan in scans
    ]


def _again(one: Finding) -> Finding:
    made = finding(
        one.tool,
        one.id,
        (one.severity, score_of(one.score)),
        aliases=one.aliases,
        package=one.package,
        version=one.version,
        fixed_in=one.fixed_in,
        title=one.title,
        url=one.url,
    )
    places = tuple(dict.fromkeys(place_of(place.file, place.line) for place in one.places))
    return msgspec.structs.replace(made, places=places or (Place(),))
