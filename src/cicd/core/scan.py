"""Scanners that a suite runs: how each is called, and what its end is worth. One that did not finish is red."""

import re
from collections.abc import Mapping

import msgspec

from cicd.core.findings import LONGEST, Scan, Scanned, line_of
from cicd.core.findings_formats import read_findings
from cicd.core.redaction import redacted
from cicd.core.severity import Rate
from cicd.errors import ReportInvalid

PROGRAMS: Mapping[Scanned, str] = {
    "dependencies": "pip-audit",
    "code": "bandit",
    "secrets": "gitleaks",
    "workflows": "zizmor",
}
TELLS_ON_STDOUT = {"zizmor"}  # the others write a file
# What a checkout holds and the project has not written. To bandit each is a piece of a path: without the slashes
# `venv` would also leave `src/my_venv.py` out.
FOREIGN = (".git", ".hg", ".svn", "__pycache__", ".tox", ".nox", ".eggs", ".venv", "venv", "node_modules")
NOT_OURS = ",".join(f"/{name}/" for name in (*FOREIGN, "site-packages"))
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# How requests, urllib3 and sockets say that there is no way to a server.
OFFLINE = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|NameResolutionError|Max retries exceeded"
    r"|Name or service not known|Temporary failure in name resolution|Network is unreachable"
)


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What is scanned.

    Attributes:
        folder: absolute path of the checkout.
        requirements: requirements files, below `folder`.
        site_packages: folders of the project's own environment; they go before `requirements`, for they say what is
            really installed.
    """

    folder: str
    requirements: tuple[str, ...] = ()
    site_packages: tuple[str, ...] = ()


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a scanner ended. `report`: what it wrote; None: nothing. `why`: why it could not be started."""

    code: int = 0
    output: str = ""
    report: bytes | None = None
    timed_out: bool = False
    why: str = ""


def scan_command(kind: Scanned, program: str, report: str, project: Project) -> list[str]:
    """argv of a scanner.

    Args:
        kind: what it looks for.
        program: its path; it is run in the project's folder.
        report: absolute path of the file that it is to write; its folder is ours.
        project: what is scanned.
    """
    if kind == "dependencies":
        fixed = ["--format", "json", "--output", report, "--progress-spinner", "off", "--cache-dir", f"{report}.cache"]
        if project.site_packages:
            return [program, *fixed, *(part for path in project.site_packages for part in ("--path", path))]
        files = [part for path in project.requirements for part in ("--requirement", path)]
        # No pip: it would run the build scripts of what it resolves. So the files have to name exact versions.
        return [program, *fixed, "--no-deps", "--disable-pip", *files]
    if kind == "code":
        wanted = ["--format", "json", "--output", report, "--exit-zero", "--quiet", "--exclude", NOT_OURS]
        return [program, "--recursive", ".", *wanted]  # so that the path to the checkout is not looked at
    if kind == "secrets":
        wanted = ["--report-format", "json", "--report-path", report, "--redact=100", "--exit-code", "0"]
        return [program, "dir", project.folder, *wanted, "--no-banner", "--no-color", "--log-level", "warn"]
    return [program, "--format", "json", "--offline", "--no-exit-codes", "--no-progress", project.folder]


def nothing_to_scan(kind: Scanned, project: Project) -> str:
    """Why a scanner cannot be started; empty: it can."""
    if kind == "dependencies" and not (project.requirements or project.site_packages):
        return "there is neither an environment of the project nor a requirements file to audit"
    return ""


def scan_of(kind: Scanned, ended: Ended, project: Project, limit: float, rate: Rate) -> Scan:
    """What a scanner's end is worth.

    Args:
        limit: seconds that it was given.
        rate: scores CVSS vectors.
    """
    tool = PROGRAMS[kind]
    if failed := _failed(tool, ended, limit):
        return Scan(tool=tool, source=kind, unfinished=redacted(line_of(failed, 600)))
    try:
        scan = read_findings(ended.report or b"", kind, rate, root=project.folder, tool=tool)[0]
    except ReportInvalid as error:
        return Scan(tool=tool, source=kind, unfinished=f"{error.what} ({error.cause})")
    if ended.code and not scan.findings:
        failed = f"it ended with {ended.code} and reports nothing: {last_words(ended.output)}"
        return Scan(tool=tool, source=kind, unfinished=failed)
    return scan


def is_offline(scan: Scan) -> bool:
    """Whether a scan did not finish for want of a network."""
    return scan.tool == PROGRAMS["dependencies"] and bool(OFFLINE.search(scan.unfinished))


def last_words(output: str) -> str:
    """The end of what a program said, in one line: without colours, and without what looks like a secret."""
    lines = [line for line in ANSI.sub("", output[-20_000:]).splitlines() if line.strip()]
    network = [line for line in lines if OFFLINE.search(line)][-1:]
    named = [line for line in lines if re.match(r"\s*(error|fatal)\b", line, re.IGNORECASE)][:2]
    return redacted(line_of("; ".join(network or named or lines[-1:]) or "it said nothing", LONGEST))


def _failed(tool: str, ended: Ended, limit: float) -> str:
    if ended.why:
        return ended.why
    if ended.timed_out:
        return f"it was ended after its {limit:g} s: {last_words(ended.output)}"
    # pip-audit ends with 1 both when it finds something and when it fails: then it has written nothing.
    if ended.code not in ((0, 1) if tool == "pip-audit" else (0,)):
        return f"it ended with {ended.code}: {last_words(ended.output)}"
    if ended.report is None:
        return f"it ended with {ended.code} and wrote no report: {last_words(ended.output)}"
    return ""
