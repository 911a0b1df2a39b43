"""The real scanners on a small bad project, and reports that others have left."""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cicd.adapters import osv
from cicd.adapters.measures import report_states
from cicd.adapters.process import Completed
from cicd.adapters.scanners import read_reports, run_scanners, site_packages
from cicd.adapters.tools import scanner_program
from cicd.core.findings import Scan, Security, SeverityPolicy
from cicd.core.findings_handover import scans_json
from cicd.core.findings_json import LARGEST
from cicd.core.scan import Project
from cicd.core.security_gate import judge_findings
from cicd.core.security_summary import annotations, security_section
from cicd.errors import CommandFailed, ToolMissing
from tests.core.scanned import SECRETS
from tests.core.test_scan import RECORD

SECRET = SECRETS["@GITHUB@"].replace("Zk3", "fK9")[:16] + "b7Qx2mN8vR4tY6wP0sLd1Ec3"


class Osv(BaseHTTPRequestHandler):
    """OSV's API with one advisory: for pip-audit (`POST /v1/query`), and for us (`GET /v1/vulns/ID`)."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        dates = {"published": "2018-10-29T19:06:46Z", "modified": "2024-10-16T01:49:42Z"}
        events = [{"introduced": "0"}, {"fixed": "2.20.0"}]
        package = {"ecosystem": "PyPI", "name": "requests"}
        affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}], "versions": ["2.19.0"]}]
        vulnerable = asked["package"]["name"] == "requests"
        self.answer({"vulns": [{**RECORD, **dates, "details": "x", "affected": affected}]} if vulnerable else {})

    def do_GET(self) -> None:
        if self.path == "/v1/vulns/GHSA-x84v-xcm2-53pg":
            return self.answer(RECORD)
        return self.answer({}, 500 if "CVE-2000" in self.path else 404)

    def answer(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".github" / "workflows").mkdir(parents=True)
    (folder / "app.py").write_text(
        "import subprocess\n\nPASSWORD = 'hunter2hunter2'\nsubprocess.call('x', shell=True)\n"
    )
    (folder / "src_venv.py").write_text("assert 1\n")
    (folder / "venv").mkdir()
    (folder / "venv" / "other.py").write_text("exec('1')\n")
    (folder / "settings.env").write_text(f"\nGITHUB_TOKEN={SECRET}\n")
    (folder / "requirements.txt").write_text("requests==2.19.0\njinja2==2.10\n")
    workflow = "on: push\njobs:\n  a:\n    runs-on: x\n    steps: [{run: 'echo ${{ github.event.issue.title }}'}]\n"
    (folder / ".github" / "workflows" / "ci.yml").write_text(workflow)
    return folder


def scan(
    folder: Path, *kinds: str, env: Mapping[str, str] | None = None, **about: Any
) -> tuple[list[Scan], list[Scan]]:
    security = Security(scan=list(kinds), offline=about.pop("offline", "block"), timeout=about.pop("timeout", 300))  # type: ignore[arg-type]
    what = Project(folder=str(folder), requirements=("requirements.txt",))
    about.setdefault("say", lambda _: None)
    return run_scanners(security, what, {**os.environ, **(env or {})}, folder.parent, **about)


@pytest.mark.real
def test_the_real_scanners(project: Path, server: str) -> None:
    said: list[str] = []
    env = {"PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": f"{server}/v1/query"}
    kinds = ("dependencies", "code", "secrets", "workflows")
    scans, excused = scan(
        project, *kinds, env=env, lookup=lambda names: osv.advisories(names, server=server), say=said.append
    )
    assert [one.tool for one in scans] == ["pip-audit", "bandit", "gitleaks", "zizmor"]
    assert [one.unfinished for one in scans] == [""] * 4
    assert excused == []
    audit, bandit, gitleaks, zizmor = (one.findings for one in scans)
    assert [(one.name, one.severity, one.package) for one in audit] == [("CVE-2018-18074", "critical", "requests")]
    assert {("B602", "app.py", 4), ("B101", "src_venv.py", 1)} <= {(one.id, one.file, one.line) for one in bandit}
    assert not any(one.file.startswith("venv/") for one in bandit)
    assert [(one.id, one.file, one.line) for one in gitleaks] == [("github-pat", "settings.env", 2)]
    assert ("template-injection", ".github/workflows/ci.yml", 5) in {(one.id, one.file, one.line) for one in zizmor}
    gate = judge_findings(scans, SeverityPolicy(), date(2026, 6, 1))
    assert {one.name for one in gate.blocking} == {"CVE-2018-18074", "github-pat"}
    told = [security_section(gate, 100_000), str(gate.error("x")), str(annotations(gate, 9)), str(said), str(scans)]
    assert not any(secret in text for text in told for secret in (SECRET, "hunter2"))
    assert list(project.parent.glob("cicd-scan-*")) == [], "a report may hold secrets"


@pytest.mark.real
def test_without_a_network_it_is_red_with_the_cause_unless_the_config_has_it_otherwise(project: Path) -> None:
    env = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    scans, excused = scan(project, "dependencies", env=env)
    assert excused == []
    assert "Max retries exceeded" in scans[0].unfinished
    assert not judge_findings(scans, SeverityPolicy(), date(2026, 6, 1)).passed
    scans, excused = scan(project, "dependencies", env=env, offline="warn")
    assert [one.tool for one in excused] == ["pip-audit"]
    assert judge_findings(scans, SeverityPolicy(), date(2026, 6, 1), excused=excused).passed


@pytest.mark.real
def test_real_scanners_that_find_nothing_to_scan(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    scans, _ = scan(folder, "dependencies", "code", "workflows")
    assert [one.unfinished.partition(":")[0] for one in scans] == [
        "it ended with 1 and wrote no report",
        "it found no Python to read",
        "it ended with 3",
    ]


@pytest.mark.real
def test_a_scanner_that_hangs_or_lies(project: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()

    def install(text: str) -> dict[str, str]:
        for name in ("bandit", "zizmor"):
            (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / "bin" / name).chmod(0o755)
        return {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}

    for text, why in (("exec sleep 100", "was ended after its"), ("exit 0", "report"), ("kill -9 $$", "ended with -9")):
        scans, _ = scan(project, "code", "workflows", env=install(text), timeout=1 if "sleep" in text else 60)
        assert [why in one.unfinished for one in scans] == [True, True], [one.unfinished for one in scans]


class Fake:
    """A machine whose scanners write this, and the variables that they were given."""

    def __init__(self, report: bytes | None) -> None:
        self.report, self.env = report, dict[str, str]()

    def start(self, argv: list[str], *, env: dict[str, str], **_: object) -> Completed:
        self.env = env
        if self.report is not None:
            Path(argv[argv.index("--output") + 1]).write_bytes(self.report)
        return Completed(tuple(argv), 0, "", 0.1)


def test_scanners_get_no_secret_of_the_job(tmp_path: Path) -> None:
    fake = Fake(b'{"results": [], "errors": []}')
    env = {"GITHUB_TOKEN": "x", "APP_ENV": "y", "PIP_INDEX_URL": "https://me:pw@index/", "PATH": "/usr/bin"}
    scans, _ = scan(tmp_path, "code", env=env, start=fake.start, find=lambda *_: Path("/bin/bandit"))
    assert scans[0].unfinished == ""
    assert fake.env.keys() & env.keys() == {"PATH"}
    scan(tmp_path, "dependencies", env=env, start=fake.start, find=lambda *_: Path("/bin/pip-audit"))
    assert fake.env.keys() & env.keys() == {"PATH", "PIP_INDEX_URL"}


def test_a_scanner_that_is_missing_or_fails_is_a_scan_that_did_not_finish(tmp_path: Path) -> None:
    def missing(*_: object) -> Path:
        raise ToolMissing("The wheels with the scanners cannot be installed", cause="no index")

    def failing(*_: object, **__: object) -> bytes:
        raise CommandFailed(f"`zizmor --x` ended with 3:\nfatal: {SECRET}\nmore")

    scans, _ = scan(tmp_path, "code", "secrets", find=missing)
    assert [one.unfinished.startswith("The wheels with the scanners") for one in scans] == [True, True]
    scans, _ = scan(tmp_path, "workflows", find=lambda *_: Path("zizmor"), tell=failing)
    assert scans[0].unfinished == "it ended with 3: fatal: ‹redacted›"
    scans, _ = scan(tmp_path, "code", start=Fake(b" " * (LARGEST + 1)).start, find=lambda *_: Path("bandit"))
    assert "64 MiB" in scans[0].unfinished


def test_reports_of_others(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "a.sarif").write_text(
        '{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": []}]}'
    )
    (reports / "b.json").write_text("[]")
    (reports / "bad.json").write_text("{")
    (reports / "folder.json").mkdir()
    (reports / "away.json").symlink_to("/etc/hostname")
    with (reports / "large.json").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    scans = read_reports(["reports/*.sarif", "./reports/*.json", "none/*.json", "/etc/*", "../*.json"], tmp_path)
    told = {one.source: one.unfinished for one in scans}
    assert told["reports/a.sarif"] == told["reports/b.json"] == ""
    assert "line 1" in told["reports/bad.json"]
    assert told["reports/folder.json"] == "it is no file"
    assert "outside of the repository" in told["reports/away.json"]
    assert "64 MiB" in told["reports/large.json"]
    assert told["none/*.json"] == "there is no such file"
    assert "no pattern" in told["/etc/*"]
    assert told["../*.json"] == "there is no such file"
    (tmp_path.parent / "x.json").write_text("[]")
    assert "outside" in read_reports(["../x.json"], tmp_path)[0].unfinished


def test_a_report_whose_name_is_no_text(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.json"
    with open(name, "wb") as file:
        file.write(b"[")
    (one,) = read_reports(["*.json"], tmp_path)
    assert one.unfinished
    assert scans_json([one])


def test_a_report_from_before_the_run_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    os.utime(tmp_path / "a.json", (1000, 1000))
    (one,) = read_reports(["a.json"], tmp_path, since=2000)
    assert "before this run" in one.unfinished
    assert read_reports(["a.json"], tmp_path, since=1000)[0].unfinished == ""
    there = report_states(["./*.json"], tmp_path)
    assert "before this run" in read_reports(["./*.json"], tmp_path, since=1000, before=there)[0].unfinished


@pytest.mark.real
def test_advisories(server: str) -> None:
    found, missing = osv.advisories([["CVE-2018-18074", "GHSA-x84v-xcm2-53pg"], ["PYSEC-1-1"]], server=server)
    assert (list(found), missing) == (["GHSA-x84v-xcm2-53pg"], "")
    assert osv.advisories([["CVE-2000-1"]], server=server)[1] == f"{server} answered 500"
    assert "cannot be asked" in osv.advisories([["CVE-2026-1"]], server="http://127.0.0.1:9")[1]
    assert "in time" in osv.advisories([["CVE-2026-1"]], server=server, limit=0)[1]
    assert osv.advisories([], server=server) == ({}, "")
    many = [[f"CVE-2026-{number}"] for number in range(osv.MOST + 1)]
    assert "are not asked for" in osv.advisories(many, server=server)[1]


@pytest.mark.real
def test_where_the_environment_of_the_job_is(tmp_path: Path) -> None:
    program = scanner_program("bandit", {**os.environ, "PATH": "/usr/bin:/bin"})
    (found, *_) = site_packages({"PATH": f"{program.parent}:/usr/bin"}, tmp_path)
    assert (Path(found) / "bandit").is_dir()
    assert site_packages({"PATH": str(tmp_path)}, tmp_path) == ()
