"""SARIF 2.1.0 of any scanner: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html

Read is only what a finding needs. Snippets, code flows and contexts are not: they may hold a secret.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from cicd.core.findings import NAMED, NOT_SCANNED, Finding, Place, Scan, Severity, finding, line_of, place_of
from cicd.core.findings_json import invalid, shaped
from cicd.core.severity import Rate, rated

T = TypeVar("T")
SECRET_SCANNERS = {"gitleaks", "trufflehog", "detect-secrets", "ggshield"}  # what they find needs no rating
WORD_KEYS = ("severity", "issue_severity", "zizmor/severity")  # of property bags
NO_PROBLEM = {"pass", "notApplicable"}  # values of `kind`
NOT_ACCEPTED = {"underReview", "rejected"}  # values of a suppression's `status`
TRIVY = {"package": r"^Package: (.+)$", "version": r"^Installed Version: (.+)$", "fixed_in": r"^Fixed Version: (.+)$"}


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    """A part of the log; what is not named is skipped. Plain values are taken as they come and judged where used."""


class _Message(_Part, frozen=True):
    text: Any = ""
    markdown: Any = ""
    id: Any = ""
    arguments: Any = None


class _Level(_Part, frozen=True):
    level: Any = ""


class _Rule(_Part, frozen=True):
    id: Any = ""
    name: Any = ""
    guid: Any = ""
    short_description: _Message | None = None
    default_configuration: _Level | None = None
    deprecated_ids: Any = None
    help_uri: Any = ""
    message_strings: dict[str, _Message] | None = None
    properties: dict[str, Any] | None = None


class _Component(_Part, frozen=True):
    name: Any = ""
    guid: Any = ""
    rules: list[_Rule] | None = None


class _Tool(_Part, frozen=True):
    driver: _Component
    extensions: list[_Component] | None = None


class _ComponentReference(_Part, frozen=True):
    index: Any = None
    name: Any = ""
    guid: Any = ""


class _RuleReference(_Part, frozen=True):
    id: Any = ""
    index: Any = None
    guid: Any = ""
    tool_component: _ComponentReference | None = None


class _Artifact(_Part, frozen=True):
    uri: Any = ""
    uri_base_id: Any = ""
    index: Any = None


class _ArtifactOfRun(_Part, frozen=True):
    location: _Artifact | None = None


class _Region(_Part, frozen=True):
    start_line: Any = 0


class _Physical(_Part, frozen=True):
    artifact_location: _Artifact | None = None
    region: _Region | None = None


class _Location(_Part, frozen=True):
    physical_location: _Physical | None = None


class _Suppression(_Part, frozen=True):
    status: Any = "accepted"


class _Result(_Part, frozen=True):
    rule_id: Any = ""
    rule_index: Any = None
    rule: _RuleReference | None = None
    kind: Any = "fail"
    level: Any = ""
    message: _Message | None = None
    locations: list[_Location] | None = None
    suppressions: list[_Suppression] | None = None
    taxa: list[_RuleReference] | None = None
    baseline_state: Any = ""
    properties: dict[str, Any] | None = None


class _Notification(_Part, frozen=True):
    level: Any = "warning"
    message: _Message | None = None
    locations: list[_Location] | None = None


class _Invocation(_Part, frozen=True):
    execution_successful: Any = None
    process_start_failure_message: Any = ""
    exit_code_description: Any = ""
    tool_execution_notifications: list[_Notification] | None = None


class _Elsewhere(_Part, frozen=True):
    results: Any = None


class _Run(_Part, frozen=True):
    tool: _Tool
    results: list[_Result] | None = None
    invocations: list[_Invocation] | None = None
    artifacts: list[_ArtifactOfRun] | None = None
    original_uri_base_ids: dict[str, _Artifact] | None = None
    external_property_file_references: _Elsewhere | None = None


class _Log(_Part, frozen=True):
    version: Any = ""
    runs: list[_Run] | None = None


def read_sarif(value: Any, source: str, root: str, rate: Rate) -> list[Scan]:
    """One scan for each run of a SARIF log.

    Args:
        value: the log, as JSON.
        source: its name.
        root: absolute path of the repository.
        rate: scores CVSS vectors.

    Raises:
        ReportInvalid: it is not SARIF 2.1, or holds no run.
    """
    log = shaped(value, _Log, source, "SARIF")
    if not (isinstance(log.version, str) and re.fullmatch(r"2\.[12]\.\d+", log.version)):
        raise invalid(source, f"its version is `{line_of(log.version, 20)}`", "SARIF 2.1.0 is what scanners write")
    if not log.runs:
        raise invalid(source, "it holds no run of a scanner", "the scanner did not start")
    return [_Reader(run, source, root, rate).scan() for run in log.runs]


class _Reader:
    def __init__(self, run: _Run, source: str, root: str, rate: Rate) -> None:
        self.run, self.source, self.root, self.rate = run, source, root, rate
        self.tool = line_of(run.tool.driver.name, 60) or "scanner"
        self.components = [run.tool.driver, *(run.tool.extensions or [])]
        self.by_id: dict[Any, _Rule] = {}
        for component in self.components:
            for rule in component.rules or []:
                for key in (rule.id, rule.guid):
                    if isinstance(key, str) and key:
                        self.by_id.setdefault(key, rule)

    def scan(self) -> Scan:
        results = self.run.results or []
        open_ones = [result for result in results if not _is_suppressed(result)]
        counted = [result for result in open_ones if not _is_no_problem(result)]
        return Scan(
            tool=self.tool,
            source=self.source,
            findings=(*map(self.finding, counted), *self.left_out()),
            unfinished=self.unfinished(),
            suppressed=len(results) - len(open_ones),
        )

    def unfinished(self) -> str:
        elsewhere = self.run.external_property_file_references
        if elsewhere is not None and elsewhere.results:
            return "its results are in other files (externalPropertyFileReferences), which are not read"
        for invocation in self.run.invocations or []:
            said = line_of(invocation.process_start_failure_message, 200)
            if said or invocation.execution_successful is not True:
                why = said or line_of(invocation.exit_code_description, 200)
                says = "that it failed" if invocation.execution_successful is False else "not that it succeeded"
                return f"it says itself {says}" + (f": {why}" if why else "")
        return "it wrote no results, not even an empty list" if self.run.results is None else ""

    def left_out(self) -> Iterator[Finding]:
        """What the scanner could not look at: notifications that are errors (3.58.6 in the specification)."""
        for invocation in self.run.invocations or []:
            for notification in invocation.tool_execution_notifications or []:
                if notification.level == "error":
                    said = notification.message.text if notification.message else ""
                    title = said or "the scanner met an error and may have missed something"
                    yield finding(self.tool, NOT_SCANNED, title=title, place=self.place(notification.locations))

    def finding(self, result: _Result) -> Finding:
        rule, id = self.rule(result)
        text = _text(result.message, rule)
        short = rule.short_description.text if rule and rule.short_description else ""
        package, title = (_of_trivy(text), short or text) if self.tool == "Trivy" else ({}, text or short)
        return finding(
            self.tool,
            id,
            self.rated(result, rule),
            aliases=_aliases(result, rule, id),
            place=self.place(result.locations),
            title=title or (rule.name if rule else ""),
            url=rule.help_uri if rule else "",
            **package,
        )

    def rule(self, result: _Result) -> tuple[_Rule | None, str]:
        """The rule of a result, and its id: by index into the right component, else by id, else by the id's parent."""
        reference = result.rule or _RuleReference()
        id = line_of(result.rule_id, 200) or line_of(reference.id, 200)
        component = self.component(reference.tool_component)
        index = reference.index if result.rule_index is None else result.rule_index
        found = _at(component.rules or [], index)
        if found is not None and id and isinstance(found.id, str) and not _is_within(id, found.id):
            found = None  # the index leads elsewhere: the id says what it is
        parents = [id.rsplit("/", count)[0] for count in range(id.count("/") + 1)]
        keys = [reference.guid if isinstance(reference.guid, str) else "", *parents]
        found = found or next((self.by_id[key] for key in keys if key in self.by_id), None)
        return found, id or (line_of(found.id, 200) if found else "")

    def component(self, reference: _ComponentReference | None) -> _Component:
        if reference is None:
            return self.components[0]
        extension = _at(self.components[1:], reference.index)
        named = [
            one
            for one in self.components
            if (reference.guid and one.guid == reference.guid) or (reference.name and one.name == reference.name)
        ]
        return extension or next(iter(named), self.components[0])

    def rated(self, result: _Result, rule: _Rule | None) -> tuple[Severity, float | None]:
        bags = [result.properties or {}, (rule.properties or {}) if rule else {}]
        default = rule.default_configuration.level if rule and rule.default_configuration else ""
        found = rated(
            self.rate,
            vectors=[text for bag in bags for text in map(bag.get, ("cvssV4", "cvssV3", "cvss", "cvssVector")) if text],
            scores=[bag["security-severity"] for bag in bags if "security-severity" in bag],
            words=[bag[key] for bag in bags for key in WORD_KEYS if key in bag],
            level="" if result.kind in ("open", "review", "informational") else result.level or default,
        )
        if result.kind == "informational" and found[0] == "unknown":
            return "none", None
        if found[0] == "unknown" and self.tool.lower() in SECRET_SCANNERS:
            return "critical", None
        return found

    def place(self, locations: Sequence[_Location] | None) -> Place:
        """The first location that is a file of the repository."""
        for location in (locations or [])[:20]:
            physical = location.physical_location
            if physical is None or physical.artifact_location is None:
                continue
            line = physical.region.start_line if physical.region else 0
            place = place_of(self.path(physical.artifact_location), line, self.root)
            if place.file:
                return place
        return Place()

    def path(self, artifact: _Artifact) -> str:
        if not artifact.uri and (entry := _at(self.run.artifacts or [], artifact.index)) and entry.location:
            artifact = entry.location
        uri = artifact.uri if isinstance(artifact.uri, str) else ""
        bases = self.run.original_uri_base_ids or {}
        base = bases.get(artifact.uri_base_id) if isinstance(artifact.uri_base_id, str) else None
        if base and isinstance(base.uri, str) and base.uri.startswith("file:") and not uri.startswith(("/", "file:")):
            whole = _file(f"{base.uri.rstrip('/')}/{uri}")
            if self.root and whole.startswith(self.root.rstrip("/") + "/"):
                return whole
        return _file(uri)


def _file(uri: str) -> str:
    """The path of a `file:` URI or of a relative one; empty for another."""
    uri = uri[:2000]
    scheme = found[1] if (found := re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", uri)) else ""
    if scheme not in ("", "file"):
        return ""
    path = uri.removeprefix("file:")
    if scheme and path.startswith("//"):
        path = "/" + path[2:].partition("/")[2]
    signs = re.sub(rb"%([0-9A-Fa-f]{2})", lambda code: bytes([int(code[1], 16)]), path.encode(errors="replace"))
    return signs.decode(errors="replace")


def _is_suppressed(result: _Result) -> bool:
    """3.27.23: none of the suppressions is still under review, or was rejected."""
    found = result.suppressions or []
    return bool(found) and all(one.status in ("accepted", None) for one in found)


def _is_no_problem(result: _Result) -> bool:
    return (isinstance(result.kind, str) and result.kind in NO_PROBLEM) or result.baseline_state == "absent"


def _is_within(id: str, rule: str) -> bool:
    """Ids may go on behind the rule's own, after a slash (3.27.5)."""
    return id == rule or id.startswith(f"{rule}/")


def _text(message: _Message | None, rule: _Rule | None) -> str:
    """The message, placeholders filled in (3.11)."""
    if message is None:
        return ""
    text = message.text or message.markdown
    if not text and rule and rule.message_strings and isinstance(message.id, str):
        named = rule.message_strings.get(message.id)
        text = (named.text or named.markdown) if named else ""
    if not isinstance(text, str):
        return ""
    arguments = message.arguments if isinstance(message.arguments, list) else []
    for number, argument in enumerate(arguments[:20]):
        text = text[:4000].replace(f"{{{number}}}", argument[:1000] if isinstance(argument, str) else "")
    return text


def _of_trivy(text: str) -> dict[str, str]:
    """Trivy's message has a line for each field."""
    return {name: found[1] for name, form in TRIVY.items() if (found := re.search(form, text[:4000], re.MULTILINE))}


def _aliases(result: _Result, rule: _Rule | None, id: str) -> list[str]:
    """Other names of the same vulnerability: from id, name, former ids (osv-scanner), tags and taxa."""
    texts: list[Any] = [id, *(taxon.id for taxon in result.taxa or [])]
    if rule:
        tags = (rule.properties or {}).get("tags")
        former = rule.deprecated_ids
        texts += [rule.name, *(former if isinstance(former, list) else []), *(tags if isinstance(tags, list) else [])]
    return [name for text in texts[:100] if isinstance(text, str) for name in NAMED.findall(text[:300])]


def _at(items: Sequence[T], index: object) -> T | None:
    """The item at an index; None for what is no index of it."""
    if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(items):
        return items[index]
    return None
