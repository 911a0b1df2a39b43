"""What scanners find, in one model, and the policy that it is held against.

The texts of a finding come from strangers: they are cut, and have neither line ends nor characters that hide. Where
they are shown they still have to be made Markdown (core/markdown.py). What a scanner took for a secret is in none.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from cicd.core.markdown import visible
from cicd.core.reading import Duration, Moment
from cicd.core.redaction import redacted

Severity = Literal["none", "low", "medium", "high", "critical", "unknown"]
Threshold = Literal["low", "medium", "high", "critical"]
Scanned = Literal["dependencies", "code", "secrets", "workflows"]
GRAVEST = ("critical", "unknown", "high", "medium", "low", "none")  # the order in which findings are told
NOT_SCANNED = "not-scanned"  # id of what a scanner says that it had to leave out: a file, a package

LONGEST = 300  # characters of a title
LONGEST_NAME = 200  # of ids, packages, versions
LONGEST_PATH = 500
MOST_ALIASES = 40
NAMED = re.compile(r"(?i)\b(CVE-\d{4}-\d{4,12}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}|PYSEC-\d{4}-\d{1,12})\b")
OTHERS = ("CVE-", "GHSA-", "PYSEC-")  # names that are known everywhere, the best known first


class Place(msgspec.Struct, frozen=True, order=True):
    """A file below the repository, with `/`, and a line from 1 on; empty and 0 where they are not known."""

    file: str = ""
    line: int = 0

    @property
    def shown(self) -> str:
        return f"{self.file}:{self.line}" if self.file and self.line else self.file


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One weakness at one place or in one package. Made by `finding`, which sees to its texts.

    Attributes:
        tool: the scanner; of merged ones all, with commas.
        id: the scanner's own name for it: a rule, or a vulnerability.
        aliases: other names of the same vulnerability (CVE, GHSA, PYSEC).
        score: CVSS, 0 to 10; None: nobody said.
        file, line: the first of `places`.
        places: all places, of merged ones more than one.
        package, version: what is vulnerable; empty for a weakness of the project's own files.
        fixed_in: versions without it, with commas.
    """

    tool: str
    id: str
    severity: Severity = "unknown"
    score: float | None = None
    aliases: tuple[str, ...] = ()
    places: tuple[Place, ...] = (Place(),)
    package: str = ""
    version: str = ""
    fixed_in: str = ""
    title: str = ""
    url: str = ""

    @property
    def file(self) -> str:
        return self.places[0].file

    @property
    def line(self) -> int:
        return self.places[0].line

    @property
    def names(self) -> frozenset[str]:
        """All names, in capitals."""
        return frozenset(name.upper() for name in (self.id, *self.aliases))

    @property
    def name(self) -> str:
        """The name that most people know: CVE before GHSA before PYSEC before the scanner's own."""
        known = sorted(
            (rank, name.upper())
            for name in (self.id, *self.aliases)
            for rank, begin in enumerate(OTHERS)
            if name.upper().startswith(begin)
        )
        return known[0][1] if known else self.id

    @property
    def fingerprint(self) -> str:
        """The same in every run as long as the finding is: lines, versions and scores may move.

        Two findings of one rule in one file with one title have the same.
        """
        parts = [self.name, package_name(self.package)] if self.package else [self.tool, self.id, self.file, self.title]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What one scanner said in one report.

    Attributes:
        tool: the scanner.
        source: the report, or what was scanned, for messages.
        unfinished: why its findings are not all; empty: it has finished.
        suppressed: findings that the project's own comments, ignore files and reviews took out.
        note: what else is to be said, such as why nothing is rated.
    """

    tool: str
    source: str = ""
    findings: tuple[Finding, ...] = ()
    unfinished: str = ""
    suppressed: int = 0
    note: str = ""


def finding(
    tool: str,
    id: str,
    rated: tuple[Severity, float | None] = ("unknown", None),
    *,
    aliases: Iterable[object] = (),
    place: Place | None = None,
    package: object = "",
    version: object = "",
    fixed_in: object = "",
    title: object = "",
    url: object = "",
) -> Finding:
    """A finding whose texts are fit to be shown. What is no text counts as empty."""
    own = line_of(id, LONGEST_NAME) or "unnamed"
    named = (line_of(alias, LONGEST_NAME) for alias in aliases)
    others = sorted({name.upper() if NAMED.fullmatch(name) else name for name in named} - {own, own.upper(), ""})
    return Finding(
        tool=line_of(tool, 60) or "scanner",
        id=own,
        severity=rated[0],
        score=rated[1],
        aliases=tuple(others[:MOST_ALIASES]),
        places=(place or Place(),),
        package=line_of(package, LONGEST_NAME),
        version=line_of(version, LONGEST_NAME),
        fixed_in=line_of(fixed_in, LONGEST_NAME),
        title=redacted(line_of(title, LONGEST)),
        url=web_address(url),
    )


def line_of(value: object, limit: int) -> str:
    """A text in one line that can be seen and written, cut at `limit` characters; empty if the value is no text."""
    if not isinstance(value, str):
        return ""
    # What is cut off is not looked at: a megabyte of title costs no more than a line of it.
    start = value[: limit * 4]
    text = " ".join((start if _is_plain(start) else visible(start)).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _is_plain(text: str) -> bool:
    """Whether nothing in it hides; asked first, for most texts are, and there are many."""
    return text.isascii() and text.isprintable()


def package_name(name: str) -> str:
    """A package's name as names are compared: in small letters, runs of `-_.` as `-` (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def web_address(value: object) -> str:
    """An address of a page; empty if it is none, or has a login, a secret or a blank in it."""
    text = value if isinstance(value, str) and len(value) <= 500 and redacted(value) == value else ""
    return text if re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[!-?A-~]*)?", text) else ""


def place_of(path: object, line: object = 0, root: str = "") -> Place:
    """Where a scanner says that something is.

    Args:
        path: as the scanner has it: relative, absolute below `root`, with `/` or `\\`.
        line: from 1 on.
        root: absolute path of the repository.

    Returns:
        An empty place for a path that leaves the repository, or is none.
    """
    number = line if isinstance(line, int) and not isinstance(line, bool) and 0 < line < 10**8 else 0
    text = path.replace("\\", "/") if isinstance(path, str) and len(path) <= LONGEST_PATH * 2 else ""
    if root and text.startswith(root.rstrip("/") + "/"):
        text = text[len(root.rstrip("/")) + 1 :]
    parts = [part for part in text.split("/") if part not in ("", ".")]
    leaves = text.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", text)
    if (
        not parts
        or leaves
        or len(text) > LONGEST_PATH
        or not (_is_plain(text) or (text.isprintable() and visible(text) == text))
    ):
        return Place()
    return Place("/".join(parts), number)


class FindingException(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """A finding that may pass for a while.

    `id` is one of its names. `package` and `path` (a pattern: `*` within a folder, `**` across) limit it; with both
    empty it holds wherever it is found. `until` is the last day on which it holds (UTC), at most a year ahead.
    """

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    until: Moment
    owner: str = ""
    package: str = ""
    path: str = ""


class SeverityPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """Which findings are red.

    `severity` is the lowest that blocks, or a list of exactly those that do. `unknown` is for what nobody has rated.
    """

    severity: Threshold | list[Threshold] = "critical"
    unknown: Literal["block", "warn", "ignore"] = "block"
    exceptions: list[FindingException] = []


class Security(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """Scanners to run (`scan`), reports of others to read (`findings`: patterns of files), and the gate.

    `offline` says what it means when the database of vulnerabilities cannot be reached. `timeout` is for each scanner.
    """

    scan: list[Scanned] = []
    findings: list[str] = []
    gate: SeverityPolicy = SeverityPolicy()
    offline: Literal["block", "warn"] = "block"
    timeout: Duration = 600
