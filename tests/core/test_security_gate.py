from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.finding_merge import merged
from cicd.core.findings import Finding, FindingException, Place, Scan, Security, SeverityPolicy
from cicd.core.reading import convert, schema_of
from cicd.core.security_gate import SecurityGate, exception_problem, judge_findings, matches
from cicd.core.security_summary import annotations, security_section
from cicd.errors import ConfigError, FindingsBlock, ScanUnfinished
from tests.core.scanned import found

TODAY = date(2026, 6, 1)


def judge(*findings: Finding, unfinished: str = "", policy: SeverityPolicy | None = None) -> SecurityGate:
    scan = Scan(tool="trivy", source="trivy.json", findings=findings, unfinished=unfinished)
    return judge_findings([scan], policy or SeverityPolicy(), TODAY)


def excepting(id: str = "CVE-2026-1000", until: str = "2026-12-31", **about: str) -> FindingException:
    return FindingException(id=id, reason="not reachable", until=until, **about)


def test_a_critical_finding_is_red() -> None:
    gate = judge(found(file="a.py", line=3), found("R2", "high", file="b.py"))
    assert not gate.passed
    assert gate.reason_code == "findings-block"
    assert gate.sentence == "1 finding of 2 blocks; the gate blocks critical and what is not rated"
    error = gate.error("security")
    assert isinstance(error, FindingsBlock)
    assert error.cause == "CVE-2026-1000 (critical) in a.py:3"


def test_below_the_gate_is_green_and_counted() -> None:
    gate = judge(found(severity="high"), found("R2", "low"))
    assert (gate.passed, gate.reason_code, gate.error("x")) == (True, "ok", None)
    assert "Below the gate: 1 high, 1 low." in security_section(gate, 10_000)


@pytest.mark.parametrize(
    ("severity", "blocking"),
    [
        ("critical", ["critical"]),
        ("high", ["critical", "high"]),
        ("low", ["critical", "high", "medium", "low"]),
        (["high"], ["high"]),
        ([], []),
    ],
)
def test_a_threshold_or_a_list(severity: str | list[str], blocking: list[str]) -> None:
    findings = [found(f"R{one}", one, file="a") for one in ("none", "low", "medium", "high", "critical")]
    gate = judge(*findings, policy=SeverityPolicy(severity=severity))  # type: ignore[arg-type]
    assert [one.severity for one in gate.blocking] == blocking


def test_the_policy_for_unknown() -> None:
    def gate(unknown: str) -> SecurityGate:
        return judge(found(severity="unknown"), policy=SeverityPolicy(unknown=unknown))  # type: ignore[arg-type]

    assert not judge(found(severity="unknown")).passed, "it blocks when nothing is said"
    assert gate("block").blocking
    assert (gate("warn").passed, len(gate("warn").warned)) == (True, 1)
    assert (gate("ignore").passed, len(gate("ignore").passed_by)) == (True, 1)
    assert [one.level for one in annotations(gate("warn"), 9)] == ["warning"]


def test_a_scanner_that_did_not_finish_is_red() -> None:
    gate = judge(unfinished="it was ended after its 60 s")
    error = gate.error("security")
    assert isinstance(error, ScanUnfinished)
    assert error.cause == "trivy (trivy.json): it was ended after its 60 s"
    assert "trivy did not finish" in gate.sentence
    assert isinstance(judge(found(), unfinished="x").error("security"), FindingsBlock), "what was found is graver"


def test_no_scanner_at_all_is_red() -> None:
    gate = judge_findings([], SeverityPolicy(), TODAY)
    assert not gate.passed
    assert gate.reason_code == "scan-unfinished"


def test_a_scan_that_need_not_finish() -> None:
    away = Scan(tool="pip-audit", unfinished="Max retries exceeded")
    gate = judge_findings([Scan(tool="bandit")], SeverityPolicy(), TODAY, excused=[away])
    assert gate.passed
    assert "pip-audit did not finish" in gate.sentence
    assert "⚠️ pip-audit did not finish" in security_section(gate, 10_000)
    assert not judge_findings([], SeverityPolicy(), TODAY, excused=[msg(away, found())]).passed, "what it found counts"


def msg(scan: Scan, *findings: Finding) -> Scan:
    return Scan(tool=scan.tool, unfinished=scan.unfinished, findings=findings)


def test_an_exception_by_any_name() -> None:
    finding = found("GHSA-x84v-xcm2-53pg", aliases=["CVE-2026-1000"], package="requests", version="1")
    gate = judge(finding, policy=SeverityPolicy(exceptions=[excepting("cve-2026-1000", owner="@acme/sec")]))
    assert gate.passed
    assert gate.notes == ()
    assert "1 excepted" in gate.sentence
    shown = security_section(gate, 10_000)
    assert "not reachable" in shown
    assert "2026-12-31" in shown


@pytest.mark.parametrize(
    ("about", "holds"),
    [
        ({}, True),
        ({"package": "Foo_Bar"}, True),
        ({"package": "other"}, False),
        ({"path": "legacy/**"}, True),
        ({"path": "legacy/*"}, False),
        ({"path": "**/req.txt"}, True),
        ({"path": "./legacy/x/req.txt"}, True),
        ({"path": "legacy"}, False),
        ({"path": "*"}, False),
        ({"path": "legacy/x/req?txt"}, True),
        ({"path": "legacy/**", "package": "other"}, False),
    ],
)
def test_an_exception_for_a_package_or_path(about: dict[str, str], holds: bool) -> None:
    finding = found(package="foo.bar", version="1", file="legacy/x/req.txt")
    assert judge(finding, policy=SeverityPolicy(exceptions=[excepting(**about)])).passed is holds


def test_a_path_speaks_only_for_a_finding_that_is_nowhere_else() -> None:
    here = found(package="foo", version="1", file="legacy/req.txt")
    there = found(tool="other", package="foo", version="1", file="src/req.txt")
    nowhere = found(tool="pip-audit", package="foo", version="1")
    policy = SeverityPolicy(exceptions=[excepting(path="legacy/**")])
    assert judge(here, policy=policy).passed
    assert not judge(here, there, policy=policy).passed
    assert not judge(here, nowhere, policy=policy).passed


@pytest.mark.parametrize(
    ("until", "holds", "said"),
    [
        ("2026-06-01", True, ""),
        ("2026-05-31", False, "has ended on 2026-05-31: it counts no more"),
        ("2027-06-02", True, ""),
        ("2027-06-03", False, "a year is the longest"),
        ("2026-12-31 10:00", False, "is not valid (until: should be a day"),
        ("20261231", False, "is not valid"),
        ("never", False, "is not valid"),
    ],
)
def test_the_end_of_an_exception(until: str, holds: bool, said: str) -> None:
    gate = judge(found(), policy=SeverityPolicy(exceptions=[excepting(until=until)]))
    assert gate.passed is holds
    assert said in " ".join(gate.notes)
    assert bool(gate.notes) is not holds
    assert "- The exception" in security_section(gate, 10_000) or holds


def test_an_exception_that_matches_nothing_is_said() -> None:
    policy = SeverityPolicy(exceptions=[excepting("CVE-2026-2"), excepting("CVE-2026-3", "2020-01-01")])
    gate = judge(policy=policy)
    assert gate.passed
    assert gate.notes == (
        "The exception for CVE-2026-2 matches no finding: take it out",
        "The exception for CVE-2026-3 has ended on 2020-01-01: it counts no more, and matches nothing",
    )
    gate = judge(unfinished="x", policy=SeverityPolicy(exceptions=[excepting("CVE-2026-2")]))
    assert gate.notes == (), "who knows what the scanner would have found"


def test_one_vulnerability_of_two_scanners_is_one_finding() -> None:
    one = found("PYSEC-1-1", "unknown", tool="pip-audit", aliases=["CVE-2026-1"], package="Foo.Bar", version="1")
    two = found(
        "CVE-2026-1", "high", tool="trivy", package="foo-bar", version="1", file="r.txt", fixed_in="2", title="t"
    )
    three = found("GHSA-x84v-xcm2-53pg", "low", tool="grype", aliases=["PYSEC-1-1"], package="foo_bar")
    (whole,) = merged([one, two, three])
    assert (whole.tool, whole.severity, whole.name) == ("grype, pip-audit, trivy", "high", "CVE-2026-1")
    assert (whole.package, whole.version, whole.fixed_in, whole.title) == ("foo-bar", "1", "2", "t")
    assert whole.places == (Place("r.txt", 0), Place())
    assert whole.names == {"PYSEC-1-1", "CVE-2026-1", "GHSA-X84V-XCM2-53PG"}


def test_what_stays_apart() -> None:
    apart = [
        found(package="foo", version="1"),
        found(package="foo", version="2"),
        found(package="bar", version="1"),
        found("CVE-2026-2", package="bar", version="1"),
        found(file="a.py", line=1),
        found(file="a.py", line=2),
        found(tool="other", file="a.py", line=2),
    ]
    assert len(merged(apart)) == len(apart)
    assert len(merged([*apart, *apart])) == len(apart), "a report that is read twice"


def test_a_fingerprint_stays_when_lines_and_versions_move() -> None:
    assert found(file="a.py", line=1).fingerprint == found("CVE-2026-1000", "low", file="a.py", line=9).fingerprint
    assert found(file="a.py").fingerprint != found(file="b.py").fingerprint
    by_trivy = found("CVE-2026-1", aliases=["GHSA-x84v-xcm2-53pg"], package="foo", version="1")
    by_another = found("GHSA-x84v-xcm2-53pg", aliases=["CVE-2026-1"], tool="grype", package="Foo", version="2")
    assert by_trivy.fingerprint == by_another.fingerprint


NAMES = st.sampled_from(["CVE-2026-1", "CVE-2026-2", "GHSA-x84v-xcm2-53pg", "R1"])
FINDINGS = st.lists(
    st.builds(
        found,
        NAMES,
        st.sampled_from(["none", "low", "medium", "high", "critical", "unknown"]),
        tool=st.sampled_from(["a", "b"]),
        file=st.sampled_from(["", "x.py", "y/z.py"]),
        aliases=st.lists(NAMES, max_size=2),
        package=st.sampled_from(["", "foo", "bar"]),
        version=st.sampled_from(["", "1", "2"]),
    ),
    max_size=8,
)


@given(FINDINGS)
def test_merging_loses_no_name_no_place_and_no_severity(findings: list[Finding]) -> None:
    whole = merged(findings)
    for one in findings:
        holders = [each for each in whole if one.names <= each.names and each.package == one.package]
        assert any(set(one.places) <= set(each.places) and set(one.tool) <= set(each.tool) for each in holders)
        assert any(worse_or_same(each, one) for each in holders)
    assert merged(whole) == whole


def worse_or_same(one: Finding, other: Finding) -> bool:
    ranks = ["critical", "high", "medium", "low", "none", "unknown"]
    return ranks.index(one.severity) <= ranks.index(other.severity)


@given(FINDINGS, st.permutations(range(8)))
def test_the_order_of_findings_does_not_matter(findings: list[Finding], order: list[int]) -> None:
    shuffled = [findings[index] for index in order if index < len(findings)]
    verdicts = [judge(*some) for some in (findings, shuffled)]
    assert verdicts[0].sentence == verdicts[1].sentence


EXCEPTIONS = st.lists(
    st.builds(
        excepting,
        NAMES,
        st.dates(TODAY - timedelta(5), TODAY + timedelta(500)).map(str),
        package=st.sampled_from(["", "foo"]),
        path=st.sampled_from(["", "y/**"]),
    ),
    max_size=4,
)


@given(FINDINGS, EXCEPTIONS)
def test_green_means_that_a_valid_exception_speaks_for_all_that_is_critical(
    findings: list[Finding], exceptions: list[FindingException]
) -> None:
    gate = judge(*findings, policy=SeverityPolicy(exceptions=exceptions))
    valid = [one for one in exceptions if TODAY <= date.fromisoformat(one.until) <= TODAY + timedelta(366)]
    if gate.passed:
        for one in gate.excepted:
            assert one.exception in valid
            assert matches(one.exception, one.finding)
        red = {one.severity for one in gate.passed_by + gate.warned}
        assert not red & {"critical", "unknown"}
    total = len(gate.blocking) + len(gate.warned) + len(gate.passed_by) + len(gate.excepted)
    assert total == len(merged(findings))


def test_the_summary_keeps_to_its_budget_and_counts_the_rest() -> None:
    gate = judge(
        *(found(f"R{number}", file=f"src/{'a' * 90}.py", line=number, title="t" * 250) for number in range(900))
    )
    for budget in (2_000, 10_000, 1_000_000):
        text = security_section(gate, budget)
        assert len(text.encode()) <= budget
        assert f"… and {900 - text.count('❌') + 1} more" in text.replace(" findings", "")


def test_annotations_are_at_their_lines_and_bounded() -> None:
    gate = judge(
        *(found(f"R{number}", file="a.py", line=number + 1, title="bad", fixed_in="2") for number in range(20))
    )
    told = annotations(gate, 9)
    assert len(told) == 9
    assert (told[0].level, told[0].file, told[0].line) == ("error", "a.py", 1)
    assert told[0].message == "bad. Fixed in 2."


def test_the_section_of_a_config() -> None:
    text = """
    scan: [dependencies, code, secrets, workflows]
    findings: ["reports/*.sarif"]
    gate:
      severity: critical
      unknown: block
      exceptions: [{id: CVE-2026-1, reason: "not reachable", owner: "@acme/sec", until: 2026-12-31}]
    """
    security = convert(text, Security, "x.yml")
    assert security.gate.exceptions[0].until == "2026-12-31"
    assert convert("gate: {severity: [high, low]}", Security, "x.yml").gate.severity == ["high", "low"]
    assert schema_of(Security)["$defs"]["SeverityPolicy"]["properties"]["severity"]
    for wrong in (
        "gate: {severity: bad}",
        "scan: [all]",
        "gate: {unknown: maybe}",
        "gate: {exceptions: [{id: x, until: 2026-12-31}]}",
        "gate: {exceptions: [{id: x, reason: y}]}",
        "gate: {exceptions: [{id: x, reason: '', until: 2026-12-31}]}",
    ):
        with pytest.raises(ConfigError):
            convert(wrong, Security, "x.yml")


def test_what_is_wrong_with_an_exception() -> None:
    assert exception_problem(excepting()) is None
    assert "until" in (exception_problem(excepting(until="2026-12-31 10:00")) or "")
    assert "id" in (exception_problem(excepting(" ")) or "")
