"""Trivy's JSON (schema 2): vulnerabilities, misconfigurations, secrets and licences.

https://trivy.dev/latest/docs/configuration/reporting/#json
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from cicd.core.findings import Finding, Scan, finding, line_of, place_of
from cicd.core.findings_json import invalid, shaped
from cicd.core.severity import Rate, rated

NO_FILES = {"os-pkgs"}  # classes of results whose target is an image, no file


class _Part(msgspec.Struct, frozen=True, rename="pascal"):
    """A part of the report; what is not named is skipped."""


class _Score(_Part, frozen=True):
    v2_vector: Any = msgspec.field(name="V2Vector", default="")
    v3_vector: Any = msgspec.field(name="V3Vector", default="")
    v40_vector: Any = msgspec.field(name="V40Vector", default="")
    v3_score: Any = msgspec.field(name="V3Score", default=None)
    v40_score: Any = msgspec.field(name="V40Score", default=None)


class _Vulnerability(_Part, frozen=True):
    id: str = msgspec.field(name="VulnerabilityID")
    package: Any = msgspec.field(name="PkgName", default="")
    path: Any = msgspec.field(name="PkgPath", default="")
    installed_version: Any = ""
    fixed_version: Any = ""
    severity: Any = ""
    title: Any = ""
    url: Any = msgspec.field(name="PrimaryURL", default="")
    cvss: dict[str, _Score] | None = msgspec.field(name="CVSS", default=None)
    vendor_ids: list[Any] | None = msgspec.field(name="VendorIDs", default=None)


class _Cause(_Part, frozen=True):
    start_line: Any = 0


class _Misconfiguration(_Part, frozen=True):
    id: str = msgspec.field(name="ID")
    title: Any = ""
    message: Any = ""
    severity: Any = ""
    status: Any = "FAIL"
    url: Any = msgspec.field(name="PrimaryURL", default="")
    cause_metadata: _Cause | None = None


class _Secret(_Part, frozen=True):
    id: str = msgspec.field(name="RuleID")
    title: Any = ""
    severity: Any = ""
    start_line: Any = 0


class _Licence(_Part, frozen=True):
    name: str
    severity: Any = ""
    category: Any = ""
    package: Any = msgspec.field(name="PkgName", default="")
    file_path: Any = ""
    link: Any = ""


class _Result(_Part, frozen=True):
    target: Any = ""
    kind: Any = msgspec.field(name="Class", default="")
    vulnerabilities: list[_Vulnerability] | None = None
    misconfigurations: list[_Misconfiguration] | None = None
    secrets: list[_Secret] | None = None
    licenses: list[_Licence] | None = None
    modified: list[Any] | None = msgspec.field(name="ExperimentalModifiedFindings", default=None)


class _Trivy(_Part, frozen=True):
    schema_version: Any
    results: list[_Result] | None = None


def read_trivy(value: Any, source: str, root: str, rate: Rate) -> Scan:
    """Trivy's report. It leaves `Results` out when it found nothing."""
    report = shaped(value, _Trivy, source, "trivy")
    if report.schema_version != 2:
        raise invalid(source, "its schema is not 2", "another version of trivy wrote it")
    results = report.results or []
    found = tuple(one for result in results for one in _findings(result, root, rate))
    return Scan(tool="trivy", source=source, findings=found, suppressed=sum(len(one.modified or []) for one in results))


def _findings(result: _Result, root: str, rate: Rate) -> Iterator[Finding]:
    target = "" if isinstance(result.kind, str) and result.kind in NO_FILES else result.target
    for vulnerability in result.vulnerabilities or []:
        yield _vulnerability(vulnerability, target, root, rate)
    for wrong in result.misconfigurations or []:
        if wrong.status not in ("PASS", "EXCEPTION"):
            yield finding(
                "trivy",
                wrong.id,
                rated(rate, words=[wrong.severity]),
                place=place_of(target, wrong.cause_metadata.start_line if wrong.cause_metadata else 0, root),
                title=": ".join(filter(None, (line_of(wrong.title, 200), line_of(wrong.message, 200)))),
                url=wrong.url,
            )
    for secret in result.secrets or []:
        severity, _ = rated(rate, words=[secret.severity])
        yield finding(
            "trivy",
            secret.id,
            ("critical" if severity == "unknown" else severity, None),
            place=place_of(target, secret.start_line, root),
            title=line_of(secret.title, 200),
        )
    for licence in result.licenses or []:
        category, package = line_of(licence.category, 60), line_of(licence.package, 200)
        yield finding(
            "trivy",
            licence.name,
            rated(rate, words=[licence.severity]),
            place=place_of(licence.file_path or target, 0, root),
            package=package,
            title=f"licence {line_of(licence.name, 100)}" + (f" ({category})" if category else ""),
            url=licence.link,
        )


def _vulnerability(found: _Vulnerability, target: object, root: str, rate: Rate) -> Finding:
    scores = (found.cvss or {}).values()
    return finding(
        "trivy",
        found.id,
        rated(
            rate,
            vectors=[text for one in scores for text in (one.v2_vector, one.v3_vector, one.v40_vector)],
            scores=[number for one in scores for number in (one.v3_score, one.v40_score)],
            words=[found.severity],
        ),
        aliases=found.vendor_ids or [],
        place=place_of(found.path or target, 0, root),
        package=found.package,
        version=found.installed_version,
        fixed_in=found.fixed_version,
        title=found.title,
        url=found.url,
    )
