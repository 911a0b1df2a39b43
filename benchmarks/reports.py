"""How long a verdict takes to all of its reports, against LocalHub: files, check run and comment.

`PYTHONPATH=.:src python -m benchmarks.reports` prints a line of JSON for each size: seconds of reading the JUnit report
once, as the job does; seconds from what the jobs have left to LocalHub's last answer; calls; the most memory in MiB.
Every size is a process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cicd.adapters import process
from cicd.commands.run_suite import run_suite
from cicd.contract import RunSuite
from cicd.core.junit import read_report
from tests.commands.left import CONFIG, leave
from tests.fakes import runner
from tests.localhub.hub import ADMIN, Caller, git, make_repository, serving

SIZES = ((6_452, 0), (6_452, 300), (100_000, 0), (100_000, 300), (1_000, 0))
REPO = "/repos/acme/shop"


def measure(tests: int, failures: int, url: str, folder: Path) -> dict[str, float]:
    """One verdict of one suite of one shard, in this process."""
    (folder / ".github").mkdir(parents=True)
    (folder / ".github" / "cicd.yml").write_text(CONFIG)
    plan = leave(folder / "parts", tests, failures)
    admin = Caller(url, ADMIN)
    made = admin.post("/_localhub/tokens", {"kind": "app", "repo": "acme/shop"})
    env = {
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_API_URL": url,
        "GITHUB_RUN_ID": "7",
        "GITHUB_SHA": git(folder.parent / "repo", "rev-parse", "main"),
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_REF": "refs/heads/main",
        "RUNNER_TEMP": str(folder / "temp"),
    }
    began = time.monotonic()
    with (folder / "parts" / "cicd-part-unit-1" / "junit.xml").open("rb") as file:
        read_report(iter(lambda: file.read(1 << 20), b""), "junit.xml")
    read = time.monotonic()
    inputs = RunSuite(
        working_directory=str(folder), plan=plan, parts=str(folder / "parts"), publish="true", token=made["token"]
    )
    result = run_suite(inputs, runner(env), process.run)
    done = time.monotonic()
    assert not result.outputs["handover"]
    made_calls = admin.get("/_localhub/calls")["counts"]["calls"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"junit": read - began, "reports": done - read, "calls": made_calls, "peak_mib": peak}


def main() -> None:
    """One size in this process, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int)
    parser.add_argument("--failures", type=int, default=0)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.url:
        print(json.dumps(measure(asked.tests, asked.failures, asked.url, Path(asked.folder))))
        return
    for tests, failures in [(asked.tests, asked.failures)] if asked.tests else SIZES:
        print(json.dumps({"tests": tests, "failures": failures, **apart(tests, failures)}), flush=True)


def apart(tests: int, failures: int) -> dict[str, float]:
    """The same in a process of its own, with a LocalHub here."""
    with tempfile.TemporaryDirectory() as place, serving(Path(place), limits={"app": 0, "user": 0}) as url:
        folder = Path(place)
        make_repository(folder / "repo")
        admin = Caller(url, ADMIN)
        admin.post("/_localhub/repos", {"owner": "acme", "name": "shop", "path": str(folder / "repo")})
        admin.post(f"/_localhub{REPO}/pulls", {"title": "Mend it", "head": "acme:main"})
        argv = [sys.executable, "-m", "benchmarks.reports", "--tests", str(tests), "--failures", str(failures)]
        done = subprocess.run(
            [*argv, "--url", url, "--folder", str(folder / "work")], capture_output=True, text=True, check=True
        )
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return {name: round(value, 3) for name, value in found.items()}


if __name__ == "__main__":
    main()
