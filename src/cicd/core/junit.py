"""JUnit reports as values. A report is hostile until read: it is streamed, a DTD (where entities come from) is refused,
and what is kept of it has bounds, so that 100,000 tests need no more memory than 100.

Expat by itself, for what builds elements (junitparser a whole report, defusedxml's iterparse one element with all its
text) holds as much of it as a hostile report likes.
"""

import heapq
import math
import re
from collections.abc import Iterable
from xml.parsers import expat

import msgspec

from cicd.errors import ReportInvalid

KEPT_FAILURES = 1000
KEPT_TEXT = 32 * 1024  # characters of one traceback: its end, where the error stands
KEPT_TEXTS = 4 * 1024 * 1024  # of all of them
KEPT_SLOWEST = 10
LONGEST_TAG = 8 * 1024 * 1024  # bytes, with its attributes, which expat holds; a failure's message is one of them
LONGEST_PATH = 1000  # characters, with what stands around it
SUITES = {"testsuites", "testsuite"}
RERUNS = {"rerun", "rerunfailure", "rerunerror", "flakyfailure", "flakyerror"}
# XML has no place for these, and tools write them none the less. In UTF-16 they are halves of characters.
CONTROLS = bytes.maketrans(bytes(set(range(32)) - {9, 10, 13}), b"?" * 29)
NOT_OURS = re.compile(r"(^|/)(site-packages|dist-packages|node_modules|\.venv|\.tox|\.nox)/|^<|^\.\.")
PLACES = (
    re.compile(r'^\s*File "([^"]+)", line (\d+)'),
    re.compile(r"^\s*(?:at (?:.*\()?)?([^\s:()]+\.[A-Za-z]\w*):(\d+)(?=[:)\s]|$)"),
)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A test that failed, or could not run. `file` is below the project, with `line`; both may be unknown."""

    test: str
    kind: str = "failure"
    message: str = ""
    text: str = ""
    file: str = ""
    line: int = 0


class Timing(msgspec.Struct, frozen=True):
    """How long one test took."""

    seconds: float
    test: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a suite's tests showed.

    Attributes:
        tests: all of them, those skipped too.
        failed: tests with a failure or an error; `failures` has the first KEPT_FAILURES of them.
        skipped: tests that did not run; one that fails as expected (xfail) did.
        flaky: tests that passed when run again.
        claimed: failures by the report's own count; more than `marked` when the report hides some.
        marked: failure and error elements seen.
        seconds: all tests together.
        slowest: the longest first.
    """

    tests: int = 0
    failed: int = 0
    skipped: int = 0
    flaky: int = 0
    claimed: int = 0
    marked: int = 0
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()
    slowest: tuple[Timing, ...] = ()

    @property
    def ran(self) -> int:
        return self.tests - self.skipped

    @property
    def passed(self) -> int:
        return self.ran - self.failed


def read_report(chunks: Iterable[bytes], source: str, root: str = "") -> Report:
    """The report whose bytes `chunks` are.

    Args:
        chunks: the file, piece by piece.
        source: its name, for errors.
        root: absolute path of the project; paths below it are told from those of the libraries.

    Raises:
        ReportInvalid: it is empty, cut off, not XML, not JUnit, or has a DTD.
    """
    reader = _Reader(root)
    empty = True
    try:
        for chunk in chunks:
            if chunk:
                reader.feed(chunk, first=empty)
                empty = False
        if not empty:
            reader.end()
    except expat.ExpatError as error:
        raise _invalid(source, f"line {error.lineno}: {expat.ErrorString(error.code)}", CUT) from error
    except (_Refused, LookupError, ValueError) as error:
        raise _invalid(source, str(error), "it is no JUnit report") from error
    if empty:
        raise _invalid(source, "it is empty", CUT)
    return reader.report()


CUT = "the command was ended while it wrote the report, or the report is no XML"


def _invalid(source: str, problem: str, cause: str) -> ReportInvalid:
    return ReportInvalid(
        f"The JUnit report `{source}` cannot be read: {problem}",
        cause=cause,
        next_step="look at the end of the command's own output above",
    )


class _Refused(Exception):
    pass


def check_tag(parser: expat.XMLParserType, fed: int) -> None:
    """See that a tag (or a comment) that is not at its end yet is not too long: expat holds it, and begins anew with
    each piece of it. Raises ValueError.

    Args:
        fed: bytes that the parser was given.
    """
    if fed - parser.CurrentByteIndex > LONGEST_TAG:
        raise ValueError(f"it has a tag of more than {LONGEST_TAG // 1024 // 1024} MiB")


class _Case:
    """The testcase that is being read."""

    def __init__(self, attributes: dict[str, str]) -> None:
        name, group = attributes.get("name", ""), attributes.get("classname", "")
        self.test = "::".join(part for part in (group, name) if part) or "(a test without a name)"
        self.seconds = seconds_of(attributes.get("time", ""))
        file = attributes.get("file", "")
        self.file = file if len(file) <= LONGEST_PATH else ""
        self.line = int(attributes["line"]) if re.fullmatch(r"\d{1,7}", attributes.get("line", "")) else 0
        self.skipped = False
        self.reran = False
        self.problem: tuple[str, str] | None = None  # kind, message
        self.text = ""


class _Reader:
    def __init__(self, root: str) -> None:
        self.root = root
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.stop
        self.parser.StartDoctypeDeclHandler = self.refuse
        self.translate = True
        self.fed = 0
        self.depth = 0
        self.suites: list[str] = []
        self.case: _Case | None = None
        self.listening = 0  # depth of the element whose text is kept
        self.whole_suite = False
        self.tests = self.failed = self.skipped = self.flaky = self.claimed = self.marked = 0
        self.seconds = 0.0
        self.failures: list[Failure] = []
        self.failed_tests: set[str] = set()
        self.texts = 0
        self.slowest: list[tuple[float, int, str]] = []

    def feed(self, chunk: bytes, *, first: bool) -> None:
        if first:
            self.translate = not chunk.startswith((b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<"))
        self.parser.Parse(chunk.translate(CONTROLS) if self.translate else chunk, False)
        self.fed += len(chunk)
        check_tag(self.parser, self.fed)

    def end(self) -> None:
        self.parser.Parse(b"", True)

    def refuse(self, *_: object) -> None:
        raise _Refused("it has a DTD, which no JUnit report needs and which can hold entity bombs")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2].lower()
        self.depth += 1
        if self.depth == 1 and tag not in SUITES:
            raise _Refused(f"its root is <{tag[:40]}>, not <testsuites>")
        if self.listening:
            return
        if tag in SUITES:
            self.suites.append(attributes.get("name", ""))
            counts = [attributes.get(key, "") for key in ("failures", "errors")]
            claimed = sum(int(count) for count in counts if re.fullmatch(r"\d{1,9}", count))
            self.claimed = max(self.claimed, claimed)
        elif tag == "testcase":
            self.finish()  # one inside another is wrong, and must not hide the outer one's failure
            self.case = _Case(attributes)
        elif tag in ("failure", "error"):
            self.problem(tag, attributes)
        elif self.case and tag == "skipped":
            self.case.skipped = attributes.get("type") != "pytest.xfail"
        elif self.case and tag in RERUNS:
            self.case.reran = True

    def problem(self, tag: str, attributes: dict[str, str]) -> None:
        self.marked += 1
        if self.case is None:  # of a whole suite, such as a fixture that failed
            self.case = _Case({"name": (self.suites or [""])[-1]})
            self.case.problem = (tag, attributes.get("message", ""))
            self.listen(whole_suite=True)
        elif self.case.problem is None:
            self.case.problem = (tag, attributes.get("message", ""))
            self.listen()

    def listen(self, *, whole_suite: bool = False) -> None:
        self.listening = self.depth
        self.whole_suite = whole_suite
        self.parser.CharacterDataHandler = self.hear

    def hear(self, text: str) -> None:
        if self.case:
            self.case.text = (self.case.text + text)[-KEPT_TEXT:]

    def stop(self, name: str) -> None:
        if self.listening == self.depth:
            self.listening = 0
            self.parser.CharacterDataHandler = None
            if self.whole_suite:
                self.finish()
        tag = name.rpartition(":")[2].lower()
        self.depth -= 1
        if self.listening:
            return
        if tag == "testcase":
            self.finish()
        elif tag in SUITES and self.suites:
            self.suites.pop()

    def finish(self) -> None:
        case, self.case = self.case, None
        if case is None:
            return
        self.seconds += case.seconds
        if case.problem and case.problem[0] == "error" and case.test in self.failed_tests:
            return  # pytest writes a second testcase when the teardown of a failed test fails too
        self.tests += 1
        self.remember_time(case)
        if case.problem:
            self.fail(case, *case.problem)
        elif case.skipped:
            self.skipped += 1
        elif case.reran:
            self.flaky += 1

    def fail(self, case: _Case, kind: str, message: str) -> None:
        self.failed += 1
        if len(self.failures) >= KEPT_FAILURES:
            return
        self.failed_tests.add(case.test)
        file, line = locate(case.text, self.root)
        if not file and case.file and not NOT_OURS.search(case.file):
            file, line = case.file, case.line
        text = case.text.strip() if self.texts < KEPT_TEXTS else ""
        self.texts += len(text)
        shown = message or next((part for part in text.splitlines() if part.strip()), "")
        self.failures.append(
            Failure(test=case.test[:500], kind=kind, message=shown[:2000], text=text, file=file, line=line)
        )

    def remember_time(self, case: _Case) -> None:
        entry = (case.seconds, -self.tests, case.test[:500])
        if len(self.slowest) < KEPT_SLOWEST:
            heapq.heappush(self.slowest, entry)
        elif entry > self.slowest[0]:
            heapq.heapreplace(self.slowest, entry)

    def report(self) -> Report:
        return Report(
            tests=self.tests,
            failed=self.failed,
            skipped=self.skipped,
            flaky=self.flaky,
            claimed=self.claimed,
            marked=self.marked,
            seconds=self.seconds,
            failures=tuple(self.failures),
            slowest=tuple(Timing(seconds, test) for seconds, _, test in sorted(self.slowest, reverse=True)),
        )


def seconds_of(text: str) -> float:
    """A `time` attribute: `1,234.5` is how some locales write it; what is no time counts as 0."""
    try:
        seconds = float(text.replace(",", ""))
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def locate(text: str, root: str = "") -> tuple[str, int]:
    """The deepest line of the project itself in a traceback: `("tests/test_a.py", 12)`, or `("", 0)`."""
    for line in reversed(text.splitlines()):
        if len(line) > LONGEST_PATH:
            continue
        for place in PLACES:
            if found := place.match(line):
                file = found[1].replace("\\", "/")
                if root and file.startswith(root.rstrip("/") + "/"):
                    file = file[len(root.rstrip("/")) + 1 :]
                file = file.removeprefix("./")
                if not file.startswith("/") and not NOT_OURS.search(file) and len(found[2]) < 8:
                    return file, int(found[2])
    return "", 0
