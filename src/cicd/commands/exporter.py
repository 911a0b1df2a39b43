"""`cicd exporter`: what the ledger tells, for Prometheus to scrape. It lives long, and asks seldom."""

import argparse
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cicd.adapters.folders import environment_root
from cicd.adapters.github import GitHub
from cicd.adapters.github_deliveries import read_many, read_nodes
from cicd.adapters.prometheus_text import served
from cicd.adapters.runner import Runner
from cicd.commands.alerts import address
from cicd.core.dora import count, measure
from cicd.core.ledger import read_deployment
from cicd.core.metrics import Family, Sample, merged, of_dora, of_environment
from cicd.errors import CicdError, NoToken, UsageError

DAYS = 30  # of DORA's window
EPILOG = """prometheus.yml:
  scrape_configs:
  - {job_name: cicd, static_configs: [{targets: ["127.0.0.1:9469"]}]}

GITHUB_TOKEN may read deployments, and contents for the locks, of all repositories. Docs: docs/metrics.md."""


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cicd exporter",
        description="Serve what the ledgers of repositories tell, as metrics for Prometheus.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--listen", default="127.0.0.1:9469", metavar="ADDRESS:PORT", help="(default: %(default)s)")
    parser.add_argument("--repositories", default="", metavar="NAMES", help="owner/name, with spaces between")
    parser.add_argument(
        "--environments", default="dev staging production", metavar="NAMES", help="(default: %(default)s)"
    )
    parser.add_argument("--every", type=float, default=15.0, metavar="SECONDS", help="between two looks (default: 15)")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or Ctrl-C; 0 then, else an error's code."""
    given = options().parse_args(arguments)
    runner = Runner.here()
    try:
        host, port = address(given.listen)
        names = given.repositories.split() or ([runner.repository] if runner.repository else [])
        if not names:
            raise NoToken("No repository was given", next_step="give --repositories, or GITHUB_REPOSITORY")
        if given.every < 1:
            raise UsageError("--every is a second at least: GitHub counts requests")
        known = Known(names, given.environments.split(), runner)
        return serve(host, port, given.every, known)
    except CicdError as error:
        runner.annotate("error", str(error), title=f"cicd exporter: {error.reason}")
        return error.code


def serve(host: str, port: int, every: float, known: "Known") -> int:
    """Until a signal comes. Raises UsageError when the address cannot be had."""
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    try:
        with served(host, port, lambda: known.families) as taken:
            known.runner.say(f"http://{host}:{taken}/metrics has {', '.join(known.repositories)}")
            while not ended.is_set():
                known.look()
                ended.wait(every)
    except OSError as error:
        what = f"Cannot listen on {host}:{port}: {error.strerror}"
        raise UsageError(what, next_step="give another --listen") from None
    return 0


@dataclass
class Known:
    """What was read last. Where GitHub is away it stays, and says since when."""

    repositories: list[str]
    environments: list[str]
    runner: Runner
    families: list[Family] = field(default_factory=list)
    read_at: float = 0.0
    failures: int = 0

    def look(self) -> None:
        """Read all ledgers and locks; what cannot be read changes nothing but the count of failures."""
        try:
            found = [family for each in read_many(self.repositories, self._of) for family in each]
            self.read_at = time.time()
        except CicdError as error:
            self.failures += 1
            self.runner.say(f"not read: {error}")
            found = [family for family in self.families if family.name not in OWN]
        self.families = merged([*found, *own(self.read_at, self.failures)])

    def _of(self, repository: str) -> list[Family]:
        runner = replace(self.runner, env={**self.runner.env, "GITHUB_REPOSITORY": repository})
        hub, now = GitHub(runner, runner.env.get("GITHUB_TOKEN", "")), time.time()
        standing, found = hub.standing(self.environments), list[Family]()
        folder = environment_root(runner) / "dora"
        for environment in self.environments:
            nodes = read_nodes(repository, environment, 0.0, hub.query, folder)
            ledger = [one for node in nodes if (one := read_deployment(node))]
            seen = standing.locks[environment].lock
            found += of_environment(repository, environment, ledger, seen, now)
            if environment == self.environments[-1]:
                seconds = DAYS * 86400.0
                found += of_dora(repository, measure(count(ledger, now - seconds, now), seconds))
        return found


OWN = ("cicd_exporter_read_timestamp_seconds", "cicd_exporter_failures")


def own(read_at: float, failures: int) -> list[Family]:
    """What the exporter tells of itself."""
    return [
        Family(OWN[0], "gauge", "When the ledgers were read last.", (Sample({}, read_at),)),
        Family(OWN[1], "counter", "Looks at the ledgers that failed.", (Sample({}, float(failures)),)),
    ]
