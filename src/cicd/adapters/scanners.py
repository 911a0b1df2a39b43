"""Scanners on this machine, side by side, and reports that others have left. What goes wrong is a scan that says so."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from cicd.adapters import osv, process
from cicd.adapters.cvss_scores import base_score
from cicd.adapters.measures import States
from cicd.adapters.suite_run import Start, state
from cicd.adapters.together import together
from cicd.adapters.tools import scanner_program
from cicd.core.findings import Scan, Scanned, Security, line_of
from cicd.core.findings_formats import read_findings
from cicd.core.findings_json import LARGEST
from cicd.core.osv import to_ask, with_advisories
from cicd.core.scan import (
    PROGRAMS,
    TELLS_ON_STDOUT,
    Ended,
    Project,
    is_offline,
    last_words,
    nothing_to_scan,
    scan_command,
    scan_of,
)
from cicd.errors import CommandFailed, ReportInvalid, ToolMissing

MOST_REPORTS = 1000  # of one pattern
Tell = Callable[..., bytes]  # process.output, or a fake
# Scanners read a stranger's files: they get what finds programs, servers and certificates, and no secret of the job.
PASSED_ON = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}
PASSED_ON |= {
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
}
WHERE = (
    "import sys, sysconfig as s; "
    "print('at', *dict.fromkeys(s.get_path(n) for n in ('purelib', 'platlib')), sep='\\n') "
    "if sys.prefix != sys.base_prefix else print('none')"
)


def run_scanners(
    security: Security,
    project: Project,
    env: Mapping[str, str],
    scratch: Path,
    *,
    start: Start = process.run,
    tell: Tell = process.output,
    lookup: osv.Lookup = osv.advisories,
    find: Callable[[str, Mapping[str, str]], Path] = scanner_program,
    say: Callable[[str], None],
) -> tuple[list[Scan], list[Scan]]:
    """Run the scanners of `security.scan`; their scans, and those that did not finish and need not (offline).

    Args:
        security: the suite's section.
        project: what is scanned.
        env: the job's variables; the scanners see a few of them.
        scratch: a folder of ours.
        start, tell, lookup, find: what starts programs, gives what one writes to stdout, asks OSV, and finds programs.
        say: told each command.

    Raises:
        Interrupted: a signal came; what ran was ended.
    """
    folder = Path(tempfile.mkdtemp(prefix="cicd-scan-", dir=scratch))
    run = partial(
        _run,
        project=project,
        env=env,
        folder=folder,
        limit=security.timeout,
        start=start,
        tell=tell,
        find=find,
        say=say,
    )
    try:
        found = together({kind: partial(run, kind) for kind in dict.fromkeys(security.scan)}, threading.Event())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    scans = [_rated(found[kind], lookup) for kind in dict.fromkeys(security.scan)]
    excused = [scan for scan in scans if security.offline == "warn" and is_offline(scan)]
    return [scan for scan in scans if scan not in excused], excused


def read_reports(
    patterns: Sequence[str], folder: Path, *, since: float = 0.0, before: States = MappingProxyType({})
) -> list[Scan]:
    """The reports that the patterns name, each run of a scanner in them as a scan.

    Args:
        patterns: such as `reports/*.sarif`, below `folder`. One that names no file is a scan that did not finish.
        since: seconds since 1970; a report that is older is not of this run, and counts as none.
        before: the reports that were there before the run; one that is still the same counts as none.
    """
    scans = []
    for pattern in dict.fromkeys(patterns):
        try:
            paths = sorted(folder.glob(pattern.removeprefix("./")))
        except (ValueError, NotImplementedError, OSError) as error:
            scans.append(_no_report(pattern, f"it is no pattern of files: {error}"))
            continue
        if not paths:
            scans.append(_no_report(pattern, "there is no such file"))
        if len(paths) > MOST_REPORTS:
            scans.append(_no_report(pattern, f"it names {len(paths):,} files, of which {MOST_REPORTS} are read"))
        for path in paths[:MOST_REPORTS]:
            scans += _report(path, folder, since, before)
    return scans


def site_packages(env: Mapping[str, str], folder: Path, start: Start = process.run) -> tuple[str, ...]:
    """Where the packages of the job's own Python environment are; empty if `python` is that of the machine."""
    try:
        done = start(["python", "-I", "-c", WHERE], env=env, cwd=folder, check=False, timeout=60)
    except ToolMissing:
        return ()
    lines = done.output.split("\n")
    return tuple(line for line in lines[lines.index("at") + 1 :] if line) if "at" in lines and not done.code else ()


def _run(
    kind: Scanned,
    *,
    project: Project,
    env: Mapping[str, str],
    folder: Path,
    limit: float,
    start: Start,
    tell: Tell,
    find: Callable[[str, Mapping[str, str]], Path],
    say: Callable[[str], None],
) -> Scan:
    why = nothing_to_scan(kind, project)
    ended = Ended(why=why) if why else _ended(kind, project, env, folder, limit, start, tell, find, say)
    return scan_of(kind, ended, project, limit, base_score)


def _ended(
    kind: Scanned,
    project: Project,
    env: Mapping[str, str],
    folder: Path,
    limit: float,
    start: Start,
    tell: Tell,
    find: Callable[[str, Mapping[str, str]], Path],
    say: Callable[[str], None],
) -> Ended:
    tool, report = PROGRAMS[kind], folder / f"{kind}.json"
    allowed = PASSED_ON | ({name for name in env if name.startswith("PIP_")} if kind == "dependencies" else set())
    seen = {name: value for name, value in env.items() if name in allowed}
    try:
        argv = scan_command(kind, str(find(tool, env)), str(report), project)
        say(f"$ {tool} {' '.join(argv[1:])}")
        if tool in TELLS_ON_STDOUT:
            return Ended(report=tell(argv, env=seen, timeout=limit))
        done = start(argv, env=seen, cwd=Path(project.folder), check=False, timeout=limit)
    except ToolMissing as error:
        return Ended(why=str(error)[:600])
    except CommandFailed as error:
        how, _, said = error.what.partition("\n")
        return Ended(why=f"it {how.rpartition('` ')[2].rstrip(':')}: {last_words(said)}")
    return Ended(code=done.code, output=done.output, timed_out=done.timed_out, report=_bytes(report))


def _bytes(report: Path) -> bytes | None:
    """A report, or as much of one that is too large as says so; None: it is not there."""
    try:
        with report.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError:
        return None


def _rated(scan: Scan, lookup: osv.Lookup) -> Scan:
    wanted = to_ask(scan)
    if not wanted:
        return scan
    found, missing = lookup(wanted)
    return with_advisories(scan, found, base_score, missing)


def _report(path: Path, folder: Path, since: float, before: States) -> list[Scan]:
    source = line_of(str(path.relative_to(folder)), 200)  # a name may be no text at all
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return [_no_report(source, "it is outside of the repository, or a link that leaves it")]
        if not path.is_file():
            return [_no_report(source, "it is no file")]
        if path.stat().st_mtime < since or before.get(path) == state(path):
            return [_no_report(source, "it is from before this run: no scanner wrote it now")]
        return read_findings(_bytes(path) or b"", source, base_score, root=str(folder.resolve()))
    except ReportInvalid as error:
        return [_no_report(source, f"{error.what} ({error.cause})")]
    except OSError as error:
        return [_no_report(source, f"it cannot be read: {error}")]


def _no_report(source: str, why: str) -> Scan:
    return Scan(tool=line_of(f"scanner of {source}", 200), source=line_of(source, 200), unfinished=line_of(why, 600))
