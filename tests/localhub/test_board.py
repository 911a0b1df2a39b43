"""The board: what it shows, and that only its own form can approve."""

import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from cicd.localhub.board_data import read_board
from tests.localhub.hub import Caller, Hub, R, Reply, Run

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
HTML = {"accept": "text/html"}


def page(hub: Hub, target: str = "/board") -> str:
    reply = hub.caller(None).raw("GET", target, headers=HTML)
    assert reply.status == 200
    return str(reply.body.decode())


def text(html: str) -> str:
    """What a reader sees."""
    bare = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", bare)))


def waiting(hub: Hub, actor: str = "bob") -> tuple[Run, int]:
    number = hub.protect("production", "alice")
    run = hub.run(actor)
    hub.reach(run, "production")
    return run, number


def record(hub: Hub, environment: str, version: str, state: str, verdict: str, **more: Any) -> None:
    payload = {
        "cicd": 1,
        "kind": "promote",
        "release": {"id": f"id-{version}", "version": version},
        "approved_by": ["alice"],
    }
    body = {"ref": "main", "task": "cicd", "required_contexts": [], "environment": environment, "payload": payload}
    number = hub.alice.post(f"{R}/deployments", body | more)["id"]
    hub.alice.post(f"{R}/deployments/{number}/statuses", {"state": state, "description": verdict})


class Browser:
    """Loads the board and sends its form."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.caller = Caller(hub.url, None)
        reply = self.caller.raw("GET", "/board", headers=HTML)
        self.cookie = reply.headers["set-cookie"].partition(";")[0]
        found = re.search(r'name="csrf" value="([^"]+)"', reply.body.decode())
        self.csrf = found.group(1) if found else ""

    def send(self, run: Run, number: int, headers: dict[str, str] | None = None, **fields: str) -> Reply:
        form = {
            "csrf": self.csrf,
            "environment_id": str(number),
            "login": "alice",
            "comment": "fine",
            "state": "approved",
        }
        usual = {"origin": self.hub.url, "cookie": self.cookie, "content-type": "application/x-www-form-urlencoded"}
        body = urlencode(form | fields).encode()
        sent = {name: value for name, value in (usual | (headers or {})).items() if value}
        return self.caller.raw("POST", f"/board/runs/{run.id}/review", body, sent)


def approvals(hub: Hub, run: Run) -> list[tuple[str, str, str]]:
    found = hub.alice.get(f"{R}/actions/runs/{run.id}/approvals")
    return [(entry["user"]["login"], entry["state"], entry["comment"]) for entry in found]


@pytest.mark.parametrize("state", ["approved", "rejected"])
def test_review_through_the_form(hub: Hub, state: str) -> None:
    run, number = waiting(hub)
    run.caller.post(
        f"/_localhub/runs/{run.id}/plan", {"environment": "production", "markdown": "# Plan\n- migrate"}, 204
    )
    shown = text(page(hub))
    assert "production · Deploy" in shown
    assert "Plan migrate" in shown
    assert f"Run {run.id}, started by bob" in shown
    reply = Browser(hub).send(run, number, state=state)
    assert (reply.status, reply.headers["location"]) == (303, f"/board?done={state}")
    assert approvals(hub, run) == [("alice", state, "fine")]
    assert 'method="post"' not in page(hub)


FORGED: list[tuple[str, dict[str, str], dict[str, str], int]] = [
    ("another site", {"origin": "https://evil.example"}, {}, 403),
    ("another port", {"origin": "http://127.0.0.1:1"}, {}, 403),
    ("no origin", {"origin": ""}, {}, 403),
    ("a null origin", {"origin": "null"}, {}, 403),
    ("no cookie", {"cookie": ""}, {}, 403),
    ("another's cookie", {"cookie": "localhub_1=x"}, {}, 403),
    ("no token", {}, {"csrf": ""}, 403),
    ("a wrong token", {}, {"csrf": "0" * 64}, 403),
    ("an odd token", {}, {"csrf": "é"}, 403),
    ("not a reviewer", {}, {"login": "bob"}, 403),
    ("nobody", {}, {"login": "mallory"}, 404),
    ("another environment", {}, {"environment_id": "99"}, 422),
    ("no number", {}, {"environment_id": "x"}, 422),
    ("another state", {}, {"state": "pending"}, 422),
]


@pytest.mark.parametrize(("_what", "headers", "fields", "status"), FORGED, ids=[row[0] for row in FORGED])
def test_forged_forms(hub: Hub, _what: str, headers: dict[str, str], fields: dict[str, str], status: int) -> None:
    run, number = waiting(hub)
    reply = Browser(hub).send(run, number, headers, **fields)
    assert reply.status == status
    assert "Not done" in reply.body.decode()
    assert approvals(hub, run) == []


def test_self_review_is_not_offered(hub: Hub) -> None:
    number = hub.protect("production", "alice", "bob", prevent_self_review=True)
    run = hub.run("alice")
    hub.reach(run, "production")
    html = page(hub)
    assert "<option>bob</option>" in html
    assert "<option>alice</option>" not in html
    assert Browser(hub).send(run, number).status == 403


def test_headers(hub: Hub) -> None:
    reply = hub.caller(None).raw("GET", "/board", headers=HTML)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "HttpOnly" in reply.headers["set-cookie"]
    assert "SameSite=strict" in reply.headers["set-cookie"]
    assert reply.headers["cache-control"] == "no-store"


def test_a_browser_at_the_root_and_at_githubs_paths(hub: Hub) -> None:
    assert page(hub, "/").startswith("<!doctype html>")
    assert hub.caller(None).raw("GET", "/").body["repository_url"], "a program gets the API's root"
    reply = hub.caller(None).raw("GET", "/acme/shop/actions/runs/1", headers=HTML)
    assert (reply.status, reply.headers["location"]) == (303, "/board")


def test_shows_what_runs_and_what_became_of_it(hub: Hub) -> None:
    for environment in ("dev", "production"):
        hub.protect(environment)
    record(hub, "dev", "v1", "success", "stable: 30 s without an error")
    record(hub, "production", "v1", "success", "stable: fine")
    record(hub, "production", "v2", "inactive", "rolled-back: 12 % errors")
    record(hub, "dev", "v3", "in_progress", "")
    html = page(hub)
    cards = re.findall(r'<li id="environment-[^"]*">(.*?)</li>\s*(?=<li id="environment|</ol>)', html, re.S)
    dev, production = (text(card) for card in cards)
    assert "dev no protection v1 ✓ stable" in dev
    assert "▶ in progress promote of v3" in dev
    assert "v1 ✓ stable" in production
    assert "approved by alice" in production
    assert "v2" not in production, "what was rolled back does not run"
    assert "v2" in text(html)
    assert "↩ rolled-back 12 % errors" in text(html)


ODD: list[Any] = [
    "",
    "plain words",
    HOSTILE,
    '{"release": 7}',
    "[1]",
    {},
    {"release": {"version": {"a": 1}}},
    {"approved_by": "x"},
]
ODD += [
    {"release": {"version": HOSTILE, "image": HOSTILE}, "kind": HOSTILE, "approved_by": [HOSTILE, {}]},
    {"kind": ["x"]},
]
ODD += ['"\\"{}\\""', "[" * 3000]


@pytest.mark.parametrize("payload", ODD)
def test_takes_any_payload(hub: Hub, payload: Any) -> None:
    record(hub, "dev", "", "success", HOSTILE[:140], payload=payload)
    html = page(hub)
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "dev" in text(html)


def test_everything_is_escaped(hub: Hub) -> None:
    number = hub.protect(HOSTILE.replace("/", "%2F").replace(" ", "%20"), "alice")
    branch = "x\"'><svg/onload=alert(1)>"
    hub.git("branch", branch)
    run = hub.run(ref=branch)
    hub.reach(run, HOSTILE)
    plan = {"environment": HOSTILE, "markdown": "</pre><script>alert(1)</script>\u202eevil"}
    run.caller.post(f"/_localhub/runs/{run.id}/plan", plan, 204)
    urls = {"environment_url": "javascript:alert(1)", "log_url": "data:text/html,x"}
    body = {"ref": branch, "auto_merge": False, "required_contexts": [], "environment": HOSTILE, "description": HOSTILE}
    deployment = hub.alice.post(f"{R}/deployments", body)["id"]
    status = {"state": "success", "description": HOSTILE, **urls}
    hub.alice.post(f"{R}/deployments/{deployment}/statuses", status)
    for target in ("/board", "/board?static=1", "/board?done=<script>alert(1)</script>"):
        html = page(hub, target)
        assert "<script>alert" not in html
        assert "<svg" not in html
        assert "<img" not in html
        assert "\u202e" not in html, "nothing turns the direction of the text"
        assert not re.search(r'href="(javascript|data:t)', html)
        assert HOSTILE in unescape(html)
    assert Browser(hub).send(run, number, comment=HOSTILE).status == 303
    assert approvals(hub, run)[0][2] == HOSTILE


def test_static_page(hub: Hub) -> None:
    waiting(hub)
    html = page(hub, "/board?static=1")
    assert "<script" not in html
    assert "<form" not in html
    assert "Waits for alice." in text(html)
    assert not re.search(r'(src|href)="(?!#|data:,)', html), "nothing comes from elsewhere"


def test_page_is_usable_without_eyes(hub: Hub) -> None:
    waiting(hub)
    record(hub, "dev", "v1", "success", "stable: yes")
    html = page(hub)
    assert '<html lang="en">' in html
    assert 'name="viewport"' in html
    assert 'href="#repositories"' in html
    assert 'role="status"' in html
    assert re.search(r'aria-label="Approve production of run \d+"', html)
    assert html.count("<caption>") == html.count("<table") == 2
    assert "<label>Reviewer<select" in html
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert len(re.findall(r"<h1", html)) == 1


def test_live_page_in_a_browser(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens after the page was loaded comes into it by itself."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")
    waiting(hub)
    loads: list[str] = []

    def read(db: Any) -> Any:
        loads.append("load")
        if len(loads) == 2:
            record(hub, "dev", "v9", "success", "stable: yes")
        return read_board(db)

    monkeypatch.setattr("cicd.localhub.board.read_board", read)
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    command = [chromium, *options, "--virtual-time-budget=15000", "--dump-dom", f"{hub.url}/board"]
    html = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert len(loads) >= 3
    assert "just now" in text(html), "the script ran under the page's own policy"
    assert "not connected" not in text(html)
    assert "v9 ✓ stable" in text(html)
    assert 'id="waiting-1"' in html
