"""`cicd alerts`: Alertmanager's webhook on one side, GitHub's repository_dispatch on the other.

Alertmanager cannot say what GitHub wants to hear. This hears the one and says the other, and keeps nothing: which alert
has had its attempt is asked of ledger and journal by the rollback itself (core/alert.py).
"""

import argparse
import ipaddress
import re
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cicd.adapters.http import json_request
from cicd.adapters.runner import Runner
from cicd.adapters.webhook import serving
from cicd.core.alertmanager import EVENT, REPOSITORY, Asked, asked_for, read_message
from cicd.errors import CicdError, UsageError

REMEMBERED = 10_000  # alerts
EPILOG = """alertmanager.yml:
  receivers:
  - name: rollback
    webhook_configs: [{url: 'http://127.0.0.1:9095/', send_resolved: false}]

An alert that is to roll back has the labels `environment` and `release`: the bad one's id, as `cicd_release_info` of
`cicd exporter` has it. `repository` as a label is for several repositories. The token of GITHUB_TOKEN may write
contents of them. With CICD_ALERTS_TOKEN callers have to bear that token."""


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cicd alerts",
        description="Let alerts of Alertmanager start rollback.yml, one attempt for each.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--listen", default="127.0.0.1:9095", metavar="ADDRESS:PORT", help="(default: %(default)s)")
    parser.add_argument("--repository", default="", metavar="OWNER/NAME", help="where no label says it")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or Ctrl-C; 0 then, else an error's code."""
    given = options().parse_args(arguments)
    runner = Runner.here()
    try:
        host, port = address(given.listen)
        bearer = runner.env.get("CICD_ALERTS_TOKEN", "")
        require_ready(given.repository, host, bearer, runner.env.get("GITHUB_TOKEN", ""))
        return serve(host, port, bearer, Bridge.of(given.repository, runner))
    except CicdError as error:
        runner.annotate("error", str(error), title=f"cicd alerts: {error.reason}")
        return error.code


def address(given: str) -> tuple[str, int]:
    """`127.0.0.1:9095` → both parts. Raises UsageError."""
    host, _, port = given.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"`--listen {given}` is no ADDRESS:PORT", next_step="give one such as 127.0.0.1:9095")
    return host.strip("[]"), int(port)


def require_ready(repository: str, host: str, bearer: str, token: str) -> None:
    """Raises UsageError when something is missing without which it would be useless, or open to everybody."""
    if repository and not re.fullmatch(REPOSITORY, repository):
        raise UsageError(f"`--repository {repository}` is no OWNER/NAME")
    if not token:
        raise UsageError("There is no GITHUB_TOKEN", next_step="give one that may write the repository's contents")
    if not bearer and not is_loopback(host):
        raise UsageError(
            f"Everybody who reaches {host} could roll back",
            next_step="set CICD_ALERTS_TOKEN, and give it to Alertmanager's `http_config: {authorization: …}`",
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(host: str, port: int, bearer: str, bridge: "Bridge") -> int:
    """Until a signal comes. Raises UsageError when the address cannot be had."""
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    try:
        with serving(host, port, bearer, bridge.handle) as taken:
            bridge.say(
                f"listening on {host}:{taken}; alerts become {EVENT} of {bridge.repository or 'their repository'}"
            )
            ended.wait()
    except OSError as error:
        raise UsageError(
            f"Cannot listen on {host}:{port}: {error.strerror}", next_step="give another --listen"
        ) from None
    return 0


@dataclass
class Bridge:
    """Hands on what alerts ask for, each once."""

    repository: str
    url: str
    token: str
    say: Callable[[str], None]
    sent: dict[tuple[str, str], None] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, repository: str, runner: Runner) -> "Bridge":
        url = runner.env.get("GITHUB_API_URL") or "https://api.github.com"
        repository = repository or runner.env.get("GITHUB_REPOSITORY", "")
        return cls(
            repository,
            url.rstrip("/"),
            runner.env["GITHUB_TOKEN"],
            runner.say,
        )

    def handle(self, body: bytes) -> tuple[int, Any]:
        """One message. 502 when GitHub did not take it: Alertmanager then sends it again."""
        try:
            asked, others = asked_for(read_message(body), self.repository)
        except UsageError as error:
            self.say(str(error))
            return 400, {"error": str(error)}
        for other in others:
            self.say(f"no rollback: {other}")
        with self.lock:  # the same alert may come twice at once
            told = [self._dispatch(one) for one in asked]
        wrong = [one for one in told if one]
        return (502 if wrong else 200), {"asked": len(asked), "errors": wrong, "ignored": others}

    def _dispatch(self, asked: Asked) -> str:
        """Empty when GitHub knows it now; else what is wrong."""
        key = (asked.repository, asked.alert)
        if key in self.sent:
            return ""
        body = {"event_type": EVENT, "client_payload": asked.payload}
        try:
            status, _, _ = json_request("POST", f"{self.url}/repos/{asked.repository}/dispatches", self.token, body)
            wrong = "" if status == 204 else f"GitHub answered {status}"
        except (OSError, ValueError) as error:
            wrong = f"GitHub did not answer: {type(error).__name__}"
        if wrong:
            self.say(f"{asked.alert}: {wrong}")
            return f"{asked.alert}: {wrong}"
        self.say(f"{asked.alert}: {asked.repository} is asked to leave {asked.release} in {asked.environment}")
        self.sent[key] = None
        while len(self.sent) > REMEMBERED:
            del self.sent[next(iter(self.sent))]
        return ""
