"""A pytest plugin: collects and runs one shard's part of the tests, and leaves a receipt of what it saw and ran.

PYTEST_DONT_REWRITE

It is loaded into the Python of the project that is tested, by `-p cicd_shard` and a PYTHONPATH with this folder, so it
needs nothing but the standard library, Python 3.8 and pytest 7. It does something only when the variable
CICD_SHARD_PLAN names a JSON file: {"suite", "plan" (digest), "attempt", "shard" (from 1), "shards", "files" (file ->
shard), "split" (file -> id -> shard), "receipt" (path)}.

A file belongs to a shard before it is imported: by `files`, or when the plan does not know it by a checksum of its
path, so that each file has one owner whatever collects it. A file in `split` is collected by the shards that have a
part of it, and they deselect the tests of the others; a test that the plan does not know belongs to one of them.

The receipt is a journal while tests run (a line each, so that a killed run leaves what it had), and one JSON value once
they have ended. cicd.core.receipt reads both, and says what the fields mean.
"""

from __future__ import annotations

import importlib.util
import json
import os
import time
import zlib
from pathlib import Path
from typing import Any, Generator, Iterable, List, Tuple

import pytest

VARIABLE = "CICD_SHARD_PLAN"
KEY = "cicd_shard"  # of the plan in what xdist hands to its workers
quoted = json.encoder.encode_basestring_ascii
LONGEST = 1000  # characters of an id or a path; longer ones are cut, and kept apart by a checksum
TEXT = 2000  # characters of an error that are kept: its end
SPLIT = 0  # the owner of a file that belongs to several shards
EXITS = {2: "it was interrupted", 3: "pytest itself, or one of its plugins, failed", 4: "pytest was called wrongly"}

Shared = List[Tuple[str, str, float]]  # file ("": several share it), class ("": the module's own), seconds of fixtures


def crc(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "backslashreplace"))


def clean(text: str) -> str:
    """An id or path that fits into JSON and a bounded place: the same in every shard, and as it is nearly always."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")  # a file's name need not be text
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 9]}…{crc(text):08x}"


class Plan:
    """Which tests belong to whom."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.receipt = os.path.abspath(data["receipt"])  # tests may change the current folder
        self.data = {**data, "receipt": self.receipt}
        self.shard = int(data["shard"])
        self.shards = int(data["shards"])
        self.files: dict[str, int] = data.get("files", {})
        self.split: dict[str, dict[str, int]] = data.get("split", {})
        self.about: dict[str, Any] = {
            "suite": str(data.get("suite", "")),
            "plan": str(data.get("plan", "")),
            "attempt": int(data.get("attempt", 1)),
            "shard": self.shard,
            "shards": self.shards,
        }
        self.sharers = {file: sorted(set(tests.values())) for file, tests in self.split.items()}
        owners = {*self.files.values(), *(owner for tests in self.split.values() for owner in tests.values())}
        if not all(isinstance(owner, int) and 1 <= owner <= self.shards for owner in owners | {self.shard}):
            raise ValueError(f"shards are numbers from 1 to {self.shards}")

    def owner(self, file: str) -> int:
        if file in self.split:
            return SPLIT
        return self.files.get(file) or crc(file) % self.shards + 1

    def takes(self, file: str) -> bool:
        """Whether this shard collects the file."""
        return self.owner(file) == self.shard or self.shard in self.sharers.get(file, ())

    def owner_of_test(self, file: str, test: str) -> int:
        """Of a test in a file that is split."""
        sharers = self.sharers[file]
        return self.split[file].get(test) or sharers[crc(test) % len(sharers)]


def pytest_configure(config: pytest.Config) -> None:
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None:
        if KEY in workerinput:
            plan = Plan(json.loads(workerinput[KEY]))
            stopwatch = Stopwatch()
            config.pluginmanager.register(Chooser(plan, config, str(workerinput["workerid"])), "cicd-chooser")
            config.pluginmanager.register(stopwatch, "cicd-stopwatch")
            config.pluginmanager.register(Courier(stopwatch), "cicd-courier")
        return
    path = os.environ.pop(VARIABLE, "")  # what the tests start, such as another pytest, is not a part of the shard
    if not path:
        return
    try:
        with open(path, encoding="utf-8") as file:
            plan = Plan(json.load(file))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise pytest.UsageError(f"the plan {path} ({VARIABLE}) cannot be read: {error!r}") from error
    chooser, stopwatch = Chooser(plan, config), Stopwatch()
    config.pluginmanager.register(chooser, "cicd-chooser")
    config.pluginmanager.register(stopwatch, "cicd-stopwatch")
    config.pluginmanager.register(Recorder(plan, chooser, stopwatch), "cicd-recorder")


class Chooser:
    """Keeps to the shard's part while tests are collected. It is where they are: under xdist in each worker."""

    def __init__(self, plan: Plan, config: pytest.Config, worker: str = "") -> None:
        self.plan = plan
        self.config = config
        self.worker = worker
        self.seen: dict[str, int] = {}
        self.collected: list[str] = []
        self.deselected: list[str] = []
        self.others: list[str] = []
        self.renamed: dict[str, str] = {}
        self.files: dict[str, float] = {}
        self.seconds = 0.0
        self.began = 0.0
        self.choosing = False
        self.keys: dict[Any, str] = {}

    def file_of(self, node: Any) -> str:
        """The file part of a node's id: a path from rootdir on; a file's bare name where pytest gives it no path."""
        parent = node.parent
        if parent not in self.keys:
            self.keys[parent] = self.key(node.getparent(pytest.File), node)
        return self.keys[parent]

    def key(self, file: Any, node: Any) -> str:
        if file is None:
            return clean(node.nodeid.partition("::")[0])
        return clean(file.nodeid if file.nodeid not in ("", ".") else file.path.name)

    def id_of(self, item: pytest.Item, nodeid: str) -> str:
        return clean(self.file_of(item) + nodeid if nodeid.startswith("::") else nodeid)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, Any, None]:
        self.began = time.perf_counter()
        given = self.config.args
        self.config.args = [self.without_ids(arg) for arg in given]
        yield
        self.config.args = given

    def without_ids(self, arg: str) -> str:
        """An argument of the command, such as `a_test.py::test_one`; of another shard's file without the ids.

        pytest would say of such an id that it is not found, for nothing is found in the file.
        """
        name, ids, _ = arg.partition("[")[0].partition("::")
        if not ids:
            return arg
        path = self.config.invocation_params.dir / name
        if self.config.getoption("pyargs"):
            path = module_file(name) or path
        path = Path(os.path.abspath(str(path)))
        try:
            file = clean(path.relative_to(self.config.rootpath).as_posix())
        except ValueError:
            file = clean(path.name)
        return arg if self.plan.takes(file) else name

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collect_file(self, file_path: Path, parent: Any) -> Generator[None, Any, None]:
        """What others make of a file tells that it has tests; nothing of it is imported yet."""
        outcome = yield
        found = outcome.get_result()
        files = [one for one in found if not isinstance(one, pytest.Package)]  # pytest 7: a folder's __init__.py
        if files:
            file = self.key(files[0] if isinstance(files[0], pytest.File) else None, files[0])
            if not self.plan.takes(file):
                packages = [one for one in found if one not in files]
                outcome.force_result([*packages, OthersFile.from_parent(parent, path=file_path)])

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: Any) -> Generator[None, Any, None]:
        """A file counts as seen only here: pytest 8 also asks for the neighbours of those that it wants."""
        began = time.perf_counter()
        yield
        file = collector.getparent(pytest.File)
        if file is not None and not isinstance(file, pytest.Package):
            key = self.key(file, collector)
            self.seen[key] = self.plan.owner(key)
            if not isinstance(file, OthersFile):
                self.files[key] = self.files.get(key, 0.0) + time.perf_counter() - began

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, Any, None]:
        """Around all others: they filter, sort and rename first."""
        named = [(item, item.nodeid) for item in items] if self.config.getoption("dist", "no") == "loadgroup" else []
        yield
        for item, nodeid in named:
            if item.nodeid != nodeid:  # xdist has added `@group`
                self.renamed[item.nodeid] = self.id_of(item, nodeid)
        ours, theirs = [], []
        owners: dict[str, int] = {}
        for item in items:
            file, test = self.file_of(item), self.name_of(item)
            owner = owners.get(file)
            if owner is None:
                owner = owners[file] = self.plan.owner(file)
                self.seen.setdefault(file, owner)  # it may be collected past pytest_collect_file
            if (owner or self.plan.owner_of_test(file, test)) == self.plan.shard:
                ours.append(item)
                self.collected.append(test)
            else:
                theirs.append(item)
                self.others.append(test)
        if theirs:
            items[:] = ours
            self.choosing = True
            self.config.hook.pytest_deselected(items=theirs)
            self.choosing = False

    def name_of(self, item: pytest.Item) -> str:
        nodeid = item.nodeid
        return self.renamed.get(nodeid) or self.id_of(item, nodeid)

    def pytest_deselected(self, items: Iterable[pytest.Item]) -> None:
        if not self.choosing:
            self.deselected += [self.id_of(item, item.nodeid) for item in items]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.seconds = time.perf_counter() - self.began
        self.keys.clear()
        if self.worker:
            put(worker_file(self.plan.receipt, self.worker), {**self.said(), "renamed": self.renamed})

    def said(self) -> dict[str, Any]:
        return {
            "seen": self.seen,
            "collected": self.collected,
            "deselected": self.deselected,
            "others": self.others,
            "imports": self.files,
            "collect": self.seconds,
        }


class OthersFile(pytest.File):
    """In the place of a file of another shard: it is there, and nothing comes of it."""

    def collect(self) -> Iterable[Any]:
        return []


def module_file(name: str) -> Path | None:
    """The file of a module that `--pyargs` names; None: there is none, or it is a package, whose folder counts."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or spec.submodule_search_locations is not None:
        return None
    return Path(spec.origin)


class Stopwatch:
    """Seconds of fixtures that several tests share; pytest counts them to the test that comes first or last."""

    def __init__(self) -> None:
        self.shared: Shared = []
        self.inner = [0.0]

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, Any, None]:
        scope = fixturedef.scope
        if scope == "function":
            yield
            return
        file, inside = self.place(request, scope)
        ending = Ending(self.shared, file, inside)
        fixturedef.addfinalizer(ending.stop)  # the last of all, for they are called in reverse
        self.inner.append(0.0)
        began = time.perf_counter()
        yield
        seconds = time.perf_counter() - began
        fixturedef.addfinalizer(ending.start)
        self.shared.append((file, inside, max(0.0, seconds - self.inner.pop())))
        self.inner[-1] += seconds

    def place(self, request: Any, scope: str) -> tuple[str, str]:
        """The file and the class that a fixture belongs to."""
        file = request.node.getparent(pytest.File) if scope in ("module", "class") else None
        if file is None:
            return "", ""
        inside = request.node is not file and isinstance(request.node, pytest.Class)
        return clean(file.nodeid or file.path.name), clean(request.node.nodeid) if inside else ""

    def take(self) -> Shared:
        """What has come together since the last report."""
        found = self.shared[:]
        self.shared.clear()
        self.inner[0] = 0.0
        return found


class Ending:
    """The time from a fixture's first finalizer to its last."""

    def __init__(self, shared: Shared, file: str, inside: str) -> None:
        self.shared = shared
        self.place = (file, inside)
        self.began: float | None = None

    def start(self) -> None:
        self.began = time.perf_counter()

    def stop(self) -> None:
        if self.began is not None:
            self.shared.append((*self.place, time.perf_counter() - self.began))


class Courier:
    """In a worker of xdist: sends with each report what the stopwatch has."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self.stopwatch = stopwatch

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        if self.stopwatch.shared:
            report.cicd_shared = [list(entry) for entry in self.stopwatch.take()]


class Test:
    """One id. `tries` counts how often it began: a second time is a rerun, or the second of several `same` tests."""

    __slots__ = ("ended", "nodeid", "outcome", "same", "seconds", "tries")
    __test__ = False

    def __init__(self, nodeid: str, same: int) -> None:
        self.nodeid = nodeid
        self.same = same
        self.outcome = ""
        self.seconds = 0.0
        self.tries = 0
        self.ended = False

    def begin(self) -> None:
        self.tries += 1
        if self.same == 1:
            self.outcome, self.seconds = "", 0.0

    def add(self, outcome: str) -> None:
        if GRAVITY[outcome] > GRAVITY[self.outcome]:
            self.outcome = outcome

    def line(self) -> str:
        """For the journal; there is one for each test, so it is put together by hand."""
        reruns = self.tries - self.same if self.tries > self.same else 0
        return '[%s,"%s",%.6f,%d]\n' % (quoted(self.nodeid), self.outcome, self.seconds, reruns)

    def said(self) -> dict[str, Any]:
        told = {"outcome": self.outcome or "error", "seconds": round(self.seconds, 6)}
        if self.tries > 1:  # else both are what they are by default
            told.update(reruns=max(0, self.tries - self.same), times=min(self.tries, self.same))
        return told


GRAVITY = {name: rank for rank, name in enumerate(("", "passed", "skipped", "xfailed", "xpassed", "error", "failed"))}


class Recorder:
    """Writes the receipt. It is where the reports come together: under xdist in the controller."""

    def __init__(self, plan: Plan, chooser: Chooser, stopwatch: Stopwatch) -> None:
        self.plan = plan
        self.chooser = chooser
        self.stopwatch = stopwatch
        self.began = time.perf_counter()
        self.collection: dict[str, Any] = {}
        self.renamed: dict[str, str] = {}
        self.twice: dict[str, int] = {}
        self.tests: dict[str, Test] = {}
        self.errors: dict[str, str] = {}
        self.fixtures: dict[str, dict[str, float]] = {}
        self.session_fixtures = 0.0
        self.why = ""
        self.journal: Any = None
        self.encode = json.JSONEncoder(separators=(",", ":")).encode

    def pytest_report_header(self) -> str:
        digest = str(self.plan.data.get("plan", ""))[:12]
        return f"cicd: shard {self.plan.shard} of {self.plan.shards}, plan {digest}"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        self.earlier = earlier_receipt(self.plan)
        os.makedirs(os.path.dirname(self.plan.receipt), exist_ok=True)
        self.journal = open(self.plan.receipt, "w", encoding="utf-8")  # noqa: SIM115 - open as long as tests run
        self.note({"cicd": "journal", **self.plan.about})

    def note(self, value: Any) -> None:
        self.journal.write(self.encode(value) + "\n")
        self.journal.flush()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[KEY] = json.dumps(self.plan.data)

    def pytest_collection_finish(self) -> None:
        self.keep(self.chooser.said())

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        path = worker_file(self.plan.receipt, str(node.gateway.id))
        try:
            with open(path, encoding="utf-8") as file:
                said = json.load(file)
            os.remove(path)
        except (OSError, ValueError):  # a worker on another machine
            said = {"seen": {}, "collected": [clean(one) for one in ids], "deselected": [], "others": [], "renamed": {}}
        self.renamed.update(said.pop("renamed"))
        if not self.collection:  # xdist itself sees to it that all workers have the same
            self.keep(said)

    def keep(self, said: dict[str, Any]) -> None:
        self.collection = said
        self.note({name: said[name] for name in ("seen", "collected", "deselected", "others")})
        collected = said["collected"]
        if len(set(collected)) != len(collected):
            counts: dict[str, int] = {}
            for test in collected:
                counts[test] = counts.get(test, 0) + 1
            self.twice = {test: count for test, count in counts.items() if count > 1}

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            text = str(report.longreprtext)[-TEXT:].encode("utf-8", "backslashreplace").decode("utf-8")
            self.errors[clean(report.nodeid)] = text
            self.note({"error": [clean(report.nodeid), text]})

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Three times for each test, so what is common comes first."""
        nodeid, when, about = report.nodeid, report.when, report.__dict__
        if nodeid[:2] == "::":  # a file outside of rootdir
            nodeid = os.path.basename(report.location[0]) + nodeid
        test = self.tests.get(nodeid) or self.begun(nodeid)
        if when == "setup":
            test.begin()
        if "context" in about:  # a subtest: it ends before its test, which has its seconds and its success
            if report.outcome == "failed":
                test.add("failed")
            return
        if report.outcome != "passed" or "wasxfail" in about:
            test.add(outcome_of(report))
        elif when == "call":
            test.add("passed")
        test.seconds += report.duration
        if self.stopwatch.shared or "cicd_shared" in about:
            test.seconds = max(0.0, test.seconds - self.shared_seconds(report))
        if when != "setup" and when != "call":
            test.ended = True
            self.journal.write(test.line())
            self.journal.flush()

    def begun(self, nodeid: str) -> Test:
        name = self.renamed.get(nodeid) or clean(nodeid)
        test = self.tests[nodeid] = Test(name, self.twice.get(name, 1))
        return test

    def shared_seconds(self, report: Any) -> float:
        """The part of a report's time that belongs to fixtures which other tests use, too."""
        found = self.stopwatch.take() or report.cicd_shared
        for file, inside, seconds in found:
            if file:
                places = self.fixtures.setdefault(file, {})
                places[inside] = places.get(inside, 0.0) + seconds
            else:
                self.session_fixtures += seconds
        return sum(seconds for _, _, seconds in found)

    def pytest_keyboard_interrupt(self, excinfo: Any) -> None:
        """Also for `--maxfail` under xdist, for pytest.exit(), and when something could not be collected."""
        self.why = str(getattr(excinfo.value, "msg", "") or excinfo.value) or EXITS[2]

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, Any, None]:
        yield
        if self.journal is None:
            return
        stopped = str(getattr(session, "shouldfail", "") or getattr(session, "shouldstop", "") or "")
        code = int(getattr(session, "exitstatus", exitstatus))
        why = self.why or stopped or EXITS.get(code, "")
        self.journal.close()
        put(self.plan.receipt, merged(self.earlier, self.receipt(why, code)))

    def receipt(self, why: str, code: int) -> dict[str, Any]:
        said = {**self.chooser.said(), **self.collection}
        files: dict[str, dict[str, Any]] = {file: {"collect": round(took, 6)} for file, took in said["imports"].items()}
        for file, places in self.fixtures.items():
            classes = {inside: round(took, 6) for inside, took in places.items() if inside}
            files.setdefault(file, {}).update(fixtures=round(places.get("", 0.0), 6), classes=classes)
        return {
            "cicd": "receipt",
            **self.plan.about,
            "seen": said["seen"],
            "collected": said["collected"],
            "deselected": sorted(set(said["deselected"])),
            "others": said["others"],
            "ran": {test.nodeid: test.said() for test in self.tests.values() if test.ended or test.outcome},
            "errors": self.errors,
            "files": files,
            "seconds": {
                "collect": round(said["collect"], 6),
                "session": round(self.session_fixtures, 6),
                "total": round(time.perf_counter() - self.began, 6),
            },
            "ended": not why,
            "why": why[:TEXT].encode("utf-8", "backslashreplace").decode("utf-8"),
            "exit": code,
        }


def outcome_of(report: Any) -> str:
    """What a report of one phase (setup, call, teardown) says of the test."""
    if report.outcome == "failed":
        return "error" if report.when in ("setup", "teardown") else "failed"
    if report.outcome == "skipped":
        return "xfailed" if hasattr(report, "wasxfail") else "skipped"
    if report.outcome == "passed" and report.when == "call":
        return "xpassed" if hasattr(report, "wasxfail") else "passed"
    return ""  # of setup and teardown only their failures count; `rerun`: the next try does


def worker_file(receipt: str, worker: str) -> str:
    return f"{receipt}.{worker}"


def put(path: str, value: dict[str, Any]) -> None:
    """The whole file or none of it."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(json.dumps(value, separators=(",", ":")) + "\n")  # json.dump() is six times slower
    os.replace(path + ".new", path)


def earlier_receipt(plan: Plan) -> dict[str, Any] | None:
    """What this shard's command has already left, where it starts pytest more than once; None: nothing."""
    try:
        with open(plan.receipt, encoding="utf-8") as file:
            found = json.loads(file.readline())
    except (OSError, ValueError):
        return None
    names = ("plan", "attempt", "shard", "shards")
    if not isinstance(found, dict) or [found.get(name) for name in names] != [plan.about[name] for name in names]:
        return None
    return found


ONCE = {"reruns": 0, "times": 1}  # what a test that was run once does not say


def merged(earlier: dict[str, Any] | None, receipt: dict[str, Any]) -> dict[str, Any]:
    """One receipt of two sessions."""
    if earlier is None:
        return receipt
    if earlier.get("cicd") != "receipt":
        return {**receipt, "ended": False, "why": "pytest was started twice, and the first one was ended from outside"}
    tests = dict(earlier["ran"])
    for nodeid, test in receipt["ran"].items():
        if nodeid in tests:
            grave = max(tests[nodeid], test, key=lambda one: GRAVITY[one["outcome"]])
            test = {
                **grave,
                **{name: tests[nodeid].get(name, least) + test.get(name, least) for name, least in ONCE.items()},
            }
        tests[nodeid] = test
    totals = {name: earlier["seconds"][name] + receipt["seconds"][name] for name in receipt["seconds"]}
    lists = {name: earlier[name] + receipt[name] for name in ("collected", "deselected", "others")}
    dicts = {name: {**earlier[name], **receipt[name]} for name in ("seen", "errors", "files")}
    ends = {"ended": earlier["ended"] and receipt["ended"], "why": earlier["why"] or receipt["why"]}
    code = earlier["exit"] if earlier["exit"] not in (0, 5) else receipt["exit"]
    return {**receipt, **lists, **dicts, **ends, "ran": tests, "seconds": totals, "exit": code}
