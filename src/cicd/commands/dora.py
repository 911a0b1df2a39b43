"""`cicd dora`: how a team delivers, from the ledger alone."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from cicd.adapters.config_file import read_text
from cicd.adapters.folders import environment_root
from cicd.adapters.github import GitHub
from cicd.adapters.github_deliveries import Node, read_many, read_nodes
from cicd.adapters.prometheus_text import text
from cicd.adapters.runner import Runner
from cicd.contract import Dora
from cicd.core.config import Config, Targets
from cicd.core.config_rules import parse_config
from cicd.core.dora import EARLIER, attempt, count, measure, seconds_of, total
from cicd.core.dora_told import as_data, markdown, picture, table, told
from cicd.core.ledger import Deployment, read_deployment
from cicd.core.metrics import merged, of_dora
from cicd.core.results import Result
from cicd.errors import GitHubRefused, NoToken, UsageError

DAY = 86400.0  # seconds
REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Window:
    """Seconds since 1970, from the first to before the last."""

    since: float
    until: float

    @property
    def days(self) -> float:
        return (self.until - self.since) / DAY


@dataclass(frozen=True)
class Read:
    """The ledgers.

    Attributes:
        foreign: deployments in the window that are not cicd's.
        unread: repositories that GitHub lists and does not let be read.
    """

    ledgers: dict[str, list[Deployment]]
    foreign: int
    unread: list[str]


def main(inputs: Dora, runner: Runner) -> Result:
    """Read the ledgers, count, and say it in each form that is wanted."""
    window = window_of(inputs, time.time())
    config = optional_config(inputs)
    targets = config.targets if config else Targets()
    environment = inputs.environment or last_environment(config)
    hub = GitHub(runner_of(runner, inputs), inputs.token)
    named, listed = named_in(inputs, runner), listed_by(inputs, hub)
    found = read(named, listed, environment, window, hub, environment_root(runner) / "dora")
    counts = {name: count(ledger, window.since, window.until) for name, ledger in found.ledgers.items()}
    seconds = window.until - window.since
    summed = total(counts.values())
    metrics = measure(summed, seconds)
    about = told(summed, found.foreign, len(found.ledgers), round(window.days, 1), found.unread)
    each = {name: (measure(one, seconds), one) for name, one in counts.items()}
    write(inputs.prometheus, text(merged(one for name, (five, _) in each.items() for one in of_dora(name, five))))
    write(inputs.svg, picture(metrics, targets, weeks(found.ledgers.values(), window), about))
    return Result(
        decision="done",
        answer=table(metrics, targets, about),
        summary=markdown(metrics, targets, about),
        data={
            "since": day(window.since),
            "until": day(window.until),
            "environment": environment,
            **as_data(metrics, summed),
            "foreign": found.foreign,
            "unread": found.unread,
            "repositories": {name: as_data(*one) for name, one in each.items()},
            "github_calls": hub.calls,
        },
    )


def window_of(inputs: Dora, now: float) -> Window:
    """Raises UsageError for days that are none, or a window that ends before it begins."""
    try:
        until = midnight(inputs.until) if inputs.until else now
        since = midnight(inputs.since) if inputs.since else until - float(inputs.days) * DAY
    except (ValueError, OverflowError):
        raise UsageError(
            "`since` and `until` are days such as 2026-11-01, and `days` is a number",
            next_step="mend the one that is not",
        ) from None
    if not 0 <= since < until:
        raise UsageError("The window ends before it begins", next_step="give `since` a day before `until`")
    return Window(since, until)


def midnight(given: str) -> float:
    """Seconds since 1970 at a day's beginning, by UTC. Raises ValueError."""
    return datetime.combine(date.fromisoformat(given), datetime.min.time(), UTC).timestamp()


def day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def optional_config(inputs: Dora) -> Config | None:
    """The config, for its targets and its last environment; None where there is none. Raises ConfigError."""
    path = Path(inputs.working_directory) / inputs.config
    try:
        return parse_config(read_text(path), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def last_environment(config: Config | None) -> str:
    """The one that no other comes after."""
    if not config or not config.environments:
        return "production"
    before = {each.after for each in config.environments.values()}
    return next((name for name in reversed(list(config.environments)) if name not in before), "production")


def runner_of(runner: Runner, inputs: Dora) -> Runner:
    """One that knows a repository, though it may be of others: GitHub's client wants one to speak of."""
    if runner.repository or not (inputs.org or inputs.repositories):
        return runner
    some = inputs.repositories.split()[0] if inputs.repositories.split() else f"{inputs.org}/-"
    return replace(runner, env={**runner.env, "GITHUB_REPOSITORY": some})


def named_in(inputs: Dora, runner: Runner) -> list[str]:
    """Repositories that were asked for one by one; this one where none is. Raises UsageError, NoToken."""
    named = inputs.repositories.replace(",", " ").split()
    if wrong := [name for name in named if not REPOSITORY.fullmatch(name)]:
        raise UsageError(f"`{wrong[0]}` is no repository", next_step="write owner/name")
    if inputs.team and not inputs.org:
        raise UsageError("`team` needs `org`", next_step="say of which organisation it is")
    if not named and not inputs.org:
        if not runner.repository:
            raise NoToken(
                "No repository was given", next_step="give `repositories`, `org`, or GITHUB_REPOSITORY=owner/name"
            )
        named = [runner.repository]
    return list(dict.fromkeys(named))


def listed_by(inputs: Dora, hub: GitHub) -> list[str]:
    """Repositories of the organisation, or of its team. Raises one of GitHub's errors."""
    return hub.repositories_of(inputs.org, inputs.team) if inputs.org else []


def read(
    named: Sequence[str], listed: Sequence[str], environment: str, window: Window, hub: GitHub, folder: Path
) -> Read:
    """Each repository's deployments of production; those from before the window as far as they tell something.

    One that was named must be there for us; of those that GitHub lists some may not, but not all.
    """
    refused: dict[str, GitHubRefused] = {}

    def nodes(repository: str) -> list[Node]:
        try:
            return read_nodes(repository, environment, window.since - EARLIER, hub.query, folder)
        except GitHubRefused as error:
            if repository in named or error.status not in (403, 404):
                raise
            refused[repository] = error
            return []

    repositories = list(dict.fromkeys([*named, *listed]))
    ledgers, foreign = {}, 0
    for repository, found in zip(repositories, read_many(repositories, nodes), strict=True):
        if repository in refused:
            continue
        read_ones = [(node, read_deployment(node)) for node in found]
        ledgers[repository] = [one for _, one in read_ones if one]
        others = [seconds_of(str(node["createdAt"])) for node, one in read_ones if one is None]
        foreign += sum(window.since <= at < window.until for at in others)
    if refused and not ledgers:
        raise next(iter(refused.values()))
    return Read(ledgers, foreign, sorted(refused))


def weeks(ledgers: Any, window: Window) -> list[tuple[str, float]]:
    """The first day of each week of the window → how many promotions reached users in it."""
    length = 7 * DAY
    starts = [
        window.since + length * number for number in range(max(1, -(-int(window.until - window.since) // int(length))))
    ]
    reached = [
        one.at
        for ledger in ledgers
        for one in map(attempt, ledger)
        if one.had_users and one.deployment.payload.kind == "promote"
    ]
    ends = [*starts[1:], window.until]
    return [
        (day(start)[:10], sum(start <= at < end for at in reached)) for start, end in zip(starts, ends, strict=True)
    ]


def write(name: str, text: str) -> None:
    """A file as a whole or not at all, readable by whoever collects it. Raises UsageError."""
    if not name:
        return
    path = Path(name)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise UsageError(
            f"{name} cannot be written: {error.strerror}", next_step="give a file in a folder of yours"
        ) from None
