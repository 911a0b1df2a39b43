"""Findings held against a policy. Nothing found is not the same as nothing there: what was not looked at is red."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from fnmatch import fnmatchcase

import msgspec

from cicd.core.finding_merge import merged
from cicd.core.findings import Finding, FindingException, Scan, SeverityPolicy, package_name
from cicd.core.words import counted
from cicd.errors import CicdError, FindingsBlock, ScanUnfinished

LEVELS = ("low", "medium", "high", "critical")
LONGEST = timedelta(days=366)  # of an exception: a year from today, leap days included


class Excepted(msgspec.Struct, frozen=True):
    """A finding that an exception lets pass."""

    finding: Finding
    exception: FindingException


class SecurityGate(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, sorted by what the policy says of it. Made by `judge_findings`.

    Attributes:
        policy: what is held against.
        scans: each scanner's report as it came.
        blocking: findings that are red, the gravest first.
        warned: of unknown severity, where the policy says `warn`.
        passed_by: findings below the gate.
        excepted: findings that an exception lets pass.
        notes: what is to be said of the exceptions: those that have ended, last too long, or match nothing.
        excused: scans that did not finish and need not, such as those without a network.
    """

    policy: SeverityPolicy
    scans: tuple[Scan, ...]
    blocking: tuple[Finding, ...] = ()
    warned: tuple[Finding, ...] = ()
    passed_by: tuple[Finding, ...] = ()
    excepted: tuple[Excepted, ...] = ()
    notes: tuple[str, ...] = ()
    excused: tuple[Scan, ...] = ()

    @property
    def unfinished(self) -> tuple[Scan, ...]:
        """Scans that had to finish and did not."""
        return tuple(scan for scan in self.scans if scan.unfinished)

    @property
    def passed(self) -> bool:
        return bool(self.scans or self.excused) and not self.unfinished and not self.blocking

    @property
    def reason_code(self) -> str:
        """`ok`, or the reason of the error."""
        error = self.error("security")
        return error.reason if error else "ok"

    @property
    def sentence(self) -> str:
        """The gate in words: what was found, policy, what the exceptions let pass."""
        if not self.scans and not self.excused:
            return f"No scanner has reported, and {self._policy}"
        parts = [f"{counted(len(self.blocking), 'finding')} of {self._total:,} {_block(len(self.blocking))}"]
        parts += [f"{len(self.warned):,} of unknown severity"] if self.warned else []
        parts += [f"{len(self.excepted):,} excepted"] if self.excepted else []
        suppressed = sum(scan.suppressed for scan in self.scans)
        parts += [f"{suppressed:,} suppressed by the project itself"] if suppressed else []
        parts += [f"{scan.tool} did not finish" for scan in (*self.unfinished, *self.excused)][:5]
        return ", ".join(parts) + f"; {self._policy}"

    @property
    def _total(self) -> int:
        return len(self.blocking) + len(self.warned) + len(self.passed_by) + len(self.excepted)

    @property
    def _policy(self) -> str:
        severity = self.policy.severity
        blocks = (
            f"{severity}{' and above' if severity != 'critical' else ''}"
            if isinstance(severity, str)
            else (", ".join(severity) or "nothing that is rated")
        )
        return f"the gate blocks {blocks}{' and what is not rated' if self.policy.unknown == 'block' else ''}"

    def error(self, name: str) -> CicdError | None:
        """Why the gate is red; None: it is green. What was found comes before what was not looked at.

        Args:
            name: the suite's.
        """
        if self.blocking:
            return FindingsBlock(
                f"{name}: {self.sentence}",
                cause="; ".join(map(_short, self.blocking[:3])) + ("; and more" if len(self.blocking) > 3 else ""),
                next_step="mend it, or write an exception with reason and expiry under `exceptions` of the gate",
            )
        if self.unfinished or not (self.scans or self.excused):
            causes = [f"{scan.tool} ({scan.source}): {scan.unfinished}" for scan in self.unfinished[:3]]
            return ScanUnfinished(
                f"{name}: {self.sentence}",
                cause="; ".join(causes) or "neither `scan` nor `findings` led to a report",
                next_step="look at what the scanner said above; nothing is green that was not looked at",
            )
        return None


def judge_findings(
    scans: Sequence[Scan], policy: SeverityPolicy, today: date, *, excused: Iterable[Scan] = ()
) -> SecurityGate:
    """The gate.

    Args:
        scans: what the scanners said; one that did not finish is red.
        policy: what blocks.
        today: by UTC.
        excused: scans that did not finish and need not; what they found counts.
    """
    excused = tuple(excused)
    named: dict[str, list[FindingException]] = {}
    for exception in policy.exceptions:
        named.setdefault(exception.id.strip().upper(), []).append(exception)
    holding = {id(one) for one in policy.exceptions if _standing(one, today) == "holds"}
    used: set[int] = set()
    sorted_out: dict[str, list[Finding]] = {"block": [], "warn": [], "pass": []}
    excepted: list[Excepted] = []
    found = merged(one for scan in (*scans, *excused) for one in scan.findings)
    for one in found:
        matching = [each for name in one.names if name in named for each in named[name] if matches(each, one)]
        used.update(map(id, matching))
        verdict = _verdict(one, policy)
        lets_pass = next((each for each in matching if id(each) in holding), None)
        if lets_pass is not None and verdict != "pass":
            excepted.append(Excepted(one, lets_pass))
        else:
            sorted_out[verdict].append(one)
    finished = not any(scan.unfinished for scan in (*scans, *excused))
    notes = [_note(one, today, id(one) in used, finished) for one in policy.exceptions]
    return SecurityGate(
        policy=policy,
        scans=tuple(scans),
        blocking=tuple(sorted_out["block"]),
        warned=tuple(sorted_out["warn"]),
        passed_by=tuple(sorted_out["pass"]),
        excepted=tuple(excepted),
        notes=tuple(note for note in notes if note),
        excused=excused,
    )


def exception_problem(exception: FindingException) -> str | None:
    """What is wrong with an exception whatever the day; None if nothing is."""
    try:
        if date.fromisoformat(exception.until).isoformat() != exception.until:
            raise ValueError
    except ValueError:
        return "until: should be a day such as `2026-12-31`"
    blank = next((name for name in ("id", "reason") if not getattr(exception, name).strip()), None)
    return f"{blank}: is empty" if blank else None


def matches(exception: FindingException, finding: Finding) -> bool:
    """Whether an exception speaks of a finding: by any of its names, its package, and every one of its places."""
    if exception.id.strip().upper() not in finding.names:
        return False
    if exception.package and package_name(exception.package) != package_name(finding.package):
        return False
    return not exception.path or all(_within(place.file, exception.path) for place in finding.places)


def _within(file: str, pattern: str) -> bool:
    """Whether a path matches. `**` is any number of folders, at the end also the file; `*` and `?` stay in one part."""
    parts, wanted = file.split("/"), pattern.strip().removeprefix("./").split("/")
    reached = {0} if file else set()  # how many parts of the path the pattern so far may stand for
    for index, one in enumerate(wanted):
        if not reached:
            return False
        if one == "**":
            least = min(reached) + (index == len(wanted) - 1)
            reached = set(range(least, len(parts) + 1))
        else:
            sign = one.replace("[", "[[]")
            reached = {at + 1 for at in reached if at < len(parts) and fnmatchcase(parts[at], sign)}
    return len(parts) in reached


def _verdict(finding: Finding, policy: SeverityPolicy) -> str:
    if finding.severity == "unknown":
        return "pass" if policy.unknown == "ignore" else policy.unknown
    if isinstance(policy.severity, str):
        blocking: Sequence[str] = LEVELS[LEVELS.index(policy.severity) :]
    else:
        blocking = policy.severity
    return "block" if finding.severity in blocking else "pass"


def _standing(exception: FindingException, today: date) -> str:
    if problem := exception_problem(exception):
        return f"is not valid ({problem})"
    until = date.fromisoformat(exception.until)
    if until < today:
        return f"has ended on {exception.until}"
    return "holds" if until - today <= LONGEST else f"lasts until {exception.until}, and a year is the longest"


def _note(exception: FindingException, today: date, used: bool, finished: bool) -> str:
    what = f"The exception for {exception.id}" + (f" of {exception.owner}" if exception.owner else "")
    standing = _standing(exception, today)
    if standing != "holds":
        return f"{what} {standing}: it counts no more" + ("" if used else ", and matches nothing")
    return f"{what} matches no finding: take it out" if finished and not used else ""


def _short(finding: Finding) -> str:
    where = finding.places[0].shown or " ".join(filter(None, (finding.package, finding.version)))
    return f"{finding.name} ({finding.severity})" + (f" in {where}" if where else "")


def _block(number: int) -> str:
    return "blocks" if number == 1 else "block"
