"""Check runs and comments over HTTP against LocalHub: made once, in few calls, and only ours are touched."""

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.adapters.github import GitHub
from cicd.adapters.github_reports import GitHubReports
from cicd.adapters.handover import fetch, unpacked
from cicd.core.check_run import check_run
from cicd.core.pr_comment import comment, mark
from cicd.core.verdict_report import LARGEST, VerdictReport, report_text
from cicd.errors import GitHubRefused, ReportInvalid
from tests.core.told import failed, small
from tests.fakes import runner
from tests.localhub.hub import Hub, R, populate, serving

pytestmark = pytest.mark.real

CI = ".github/workflows/ci.yml"
KEY = small().key(CI)
READS = {"contents": "read", "metadata": "read"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serving(tmp_path, limits={"app": 0, "user": 0}) as url:
        yield populate(url, tmp_path / "repo")


def token_of(hub: Hub, **permissions: str) -> str:
    return str(hub.app(**permissions).token)


def reports(hub: Hub, token: str = "") -> GitHubReports:
    token = token or token_of(hub, checks="write", pull_requests="write", **READS)
    env = {"GITHUB_REPOSITORY": "acme/shop", "GITHUB_API_URL": hub.url, "CICD_GITHUB_PATIENCE": "5"}
    return GitHub(runner(env), token).reports()


def pull(hub: Hub, head: str = "carol:mend", **more: str) -> int:
    body = {"title": "Mend it", "head": head, "sha": hub.git("rev-parse", "main"), **more}
    return int(hub.admin.post(f"/_localhub{R}/pulls", body)["number"])


def bodies(report: VerdictReport, hub: Hub, run: int = 7) -> list[dict[str, Any]]:
    return list(check_run(report, CI).requests(hub.git("rev-parse", "main"), "https://x.example/7", f"{KEY}.{run}.1"))


def told(report: VerdictReport, run: int = 7) -> str:
    return comment(report, mark(KEY, run, 1), "a" * 40, [("run", "https://x.example/7")])


def comments(hub: Hub, number: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = hub.alice.get(f"{R}/issues/{number}/comments?per_page=100")
    return found


def calls(hub: Hub) -> list[str]:
    return [f"{one['method']} {one['path']}" for one in hub.admin.get("/_localhub/calls")["calls"]]


def test_three_hundred_failures_are_six_requests(hub: Hub) -> None:
    page = reports(hub).check(bodies(failed(300), hub))
    (check,) = hub.alice.get(f"{R}/commits/main/check-runs")["check_runs"]
    assert page == check["html_url"]
    assert (check["name"], check["conclusion"], check["output"]["annotations_count"]) == ("cicd ci", "failure", 300)
    assert check["output"]["title"] == "300 of 300 tests failed"
    assert len([call for call in calls(hub) if "check-runs" in call and "GET" not in call]) == 6


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_lost_answer_doubles_nothing(hub: Hub, method: str) -> None:
    rule = {"method": method, "path": "*/check-runs*", "kind": "drop-after-write", "times": 1}
    hub.admin.expect(200, "PUT", "/_localhub/faults", {"faults": [rule]})
    reports(hub).check(bodies(failed(120), hub))
    found = hub.alice.get(f"{R}/commits/main/check-runs?filter=all")["check_runs"]
    assert [one["output"]["annotations_count"] for one in found] == [120]


def test_one_comment_that_is_kept_up_to_date(hub: Hub) -> None:
    number, ours = pull(hub), reports(hub)
    assert ours.comment(number, KEY, told(small()), 7, 1)
    assert ours.comment(number, KEY, told(failed(3), 8), 8, 1)
    (one,) = comments(hub, number)
    assert "3 of 120 tests failed" in one["body"]
    assert not ours.comment(number, KEY, told(small(), 7), 7, 2), "an older run that ends late"
    assert comments(hub, number)[0]["body"] == one["body"]


def test_a_lost_answer_makes_no_second_comment(hub: Hub) -> None:
    rule = {"method": "POST", "path": "*/comments", "kind": "drop-after-write", "times": 1}
    number = pull(hub)
    hub.admin.expect(200, "PUT", "/_localhub/faults", {"faults": [rule]})
    reports(hub).comment(number, KEY, told(small()), 7, 1)
    assert len(comments(hub, number)) == 1


def test_whoever_quotes_the_mark_keeps_his_comment(hub: Hub) -> None:
    number, ours = pull(hub), reports(hub)
    hub.bob.post(f"{R}/issues/{number}/comments", {"body": told(small(), 99)})
    for n in range(120):
        hub.bob.post(f"{R}/issues/{number}/comments", {"body": f"talk {n}"})
    ours.comment(number, KEY, told(small()), 7, 1)
    ours.comment(number, KEY, told(small(), 8), 8, 1)
    found = [one for page in (1, 2) for one in hub.alice.get(f"{R}/issues/{number}/comments?per_page=100&page={page}")]
    assert len(found) == 122
    assert found[0]["body"] == told(small(), 99)
    assert found[-1]["body"] == told(small(), 8)


def test_of_two_the_newest_is_kept(hub: Hub) -> None:
    number, app = pull(hub), hub.app(pull_requests="write")
    for run in (5, 6):
        app.post(f"{R}/issues/{number}/comments", {"body": told(small(), run)})
    reports(hub).comment(number, KEY, told(failed(1)), 7, 1)
    (one,) = comments(hub, number)
    assert "1 of 120" in one["body"]


def test_what_the_token_may_not_do_is_refused(hub: Hub) -> None:
    poor = reports(hub, token_of(hub, pull_requests="read", **READS))
    with pytest.raises(GitHubRefused) as refused:
        poor.check(bodies(small(), hub))
    assert refused.value.status == 403
    with pytest.raises(GitHubRefused):
        poor.comment(pull(hub), KEY, told(small()), 7, 1)


def test_a_pull_request_is_found_by_branch_and_commit(hub: Hub) -> None:
    here, sha = reports(hub), hub.git("rev-parse", "main")
    number = pull(hub, "carol:a branch/ü&head=x")
    assert here.pulls("carol", "a branch/ü&head=x", sha) == [number]
    assert here.pulls("carol", "a branch/ü&head=x", "0" * 40) == []
    assert here.pulls("dave", "mend", sha) == []


def zipped(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return made.getvalue()


def test_what_a_run_has_left_comes_by_its_artifact(hub: Hub) -> None:
    run = hub.run()
    data = base64.b64encode(zipped(verdict_json=report_text(failed(2)))).decode()
    hub.admin.post(f"/_localhub/runs/{run.id}/artifacts", {"name": "cicd-handover-1-1", "data": data})
    hub.admin.post(f"/_localhub/runs/{run.id}/artifacts", {"name": "other", "data": data})
    token = token_of(hub, actions="read", **READS)
    (one,) = reports(hub, token).artifacts(run.id, "cicd-handover-")
    assert fetch(hub.url, "acme/shop", one.id, token) == failed(2)
    with pytest.raises(OSError, match="404"):
        fetch(hub.url, "acme/shop", 99, token)


HUGE = b'{"suites": [' + b" " * (LARGEST + 10) + b"]}"


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"PK",
        b"no zip",
        zipped(),
        zipped(other_json=b"{}"),
        zipped(verdict_json=b"{"),
        zipped(verdict_json=json.dumps({"suites": [], "pull": 1}).encode()),
        zipped(verdict_json=HUGE),
        zipped(verdict_json=report_text(small()))[:-30],
    ],
    ids=range(9),
)
def test_a_hostile_archive_is_refused(archive: bytes) -> None:
    with pytest.raises(ReportInvalid):
        unpacked(archive)


@given(st.data())
def test_a_damaged_archive_is_refused_or_read(data: st.DataObject) -> None:
    archive = bytearray(zipped(verdict_json=report_text(small())))
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = unpacked(bytes(archive))
    except ReportInvalid:
        return
    assert isinstance(found, VerdictReport)
