"""What the steps of a deployment take back, and what they leave."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cicd.adapters.engines.fleet import Fleet
from cicd.adapters.engines.layout import Layout
from cicd.adapters.engines.process import ProcessEngine
from cicd.adapters.host.local import LocalHost
from cicd.adapters.runner import Runner
from cicd.adapters.target import Target
from cicd.commands.execute import Execution
from cicd.commands.steps import TargetSteps
from cicd.core.config import Deploy
from cicd.core.journal import Entry, decode, encode, fold
from cicd.core.ledger import Payload
from cicd.core.plan import Running, plan_promotion
from cicd.core.release import Record
from cicd.errors import PrepareFailed
from tests.adapters.releases import laid_out, record_of

HOSTS = ("one", "two", "three")
RECORD = record_of(Deploy())
RELEASE = RECORD.release


class Killed(BaseException):
    """What nothing catches: the run is gone."""


class Hosts:
    """A target on three hosts, whose releases are laid out one host after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.entries = folder, list[Entry]()
        self.targets = {name: Target(folder / name, "tiny", "staging", LocalHost({}, name)) for name in HOSTS}
        self.prepared: list[str] = []
        self.fault: BaseException | None = None  # met when the second host has the release

    def put(self, name: str) -> None:
        laid_out(self.folder / name, Runner({}), Deploy(), {"app.py": ""}, {})

    def there(self) -> list[str]:
        return [name for name, target in self.targets.items() if target.has(RELEASE.id)]

    def execution(self) -> Execution:
        fleet = Fleet([Laying(self, target) for target in self.targets.values()])
        nothing: Any = None
        steps = TargetSteps(next(iter(self.targets.values())), fleet, nothing, nothing, Running(), new=RECORD)
        plan = plan_promotion("staging", RELEASE, Running(), [], [])
        payload = Payload(kind="promote", release=RELEASE, release_id=RELEASE.id, key="key")
        return Execution(plan, Running(), payload, steps, self.write, lambda _: None, str)

    def write(self, entry: Entry) -> None:
        """As it is read again from a file."""
        self.entries.extend(decode(encode(entry)))


class Laying(ProcessEngine):
    """Lays a release out without an image, until the fault comes."""

    def __init__(self, hosts: Hosts, target: Target) -> None:
        super().__init__(target, Runner({}))
        object.__setattr__(self, "hosts", hosts)

    def prepare(self, record: Record, settings: Mapping[str, str], layout: Layout) -> None:
        hosts: Hosts = self.hosts  # type: ignore[attr-defined]
        if self.target.host.name == "three" and hosts.fault:
            raise hosts.fault
        hosts.put(self.target.host.name)


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path)


@pytest.mark.parametrize("had", [[], ["one"], ["two"], ["one", "two"]])
def test_a_release_stays_on_the_hosts_that_had_it_before_the_attempt(hosts: Hosts, had: list[str]) -> None:
    for name in had:
        hosts.put(name)
    hosts.fault = PrepareFailed("the disk is full")
    assert hosts.execution().run(0).verdict == "failed"
    assert hosts.there() == had


@pytest.mark.parametrize("had", [[], ["one"], ["two"], ["one", "two"]])
def test_so_it_does_after_a_kill_in_the_middle(hosts: Hosts, had: list[str]) -> None:
    for name in had:
        hosts.put(name)
    hosts.fault = Killed()
    with pytest.raises(Killed):
        hosts.execution().run(0)
    assert hosts.there() == ["one", "two"], "it got so far"
    attempt = fold(hosts.entries).unfinished
    assert attempt is not None
    hosts.execution().recover(attempt)
    assert hosts.there() == had
    assert fold(hosts.entries).unfinished is None


def test_a_release_that_lies_on_all_hosts_stays_there(hosts: Hosts) -> None:
    for name in HOSTS:
        hosts.put(name)
    hosts.fault = PrepareFailed("the disk is full")
    hosts.execution().run(0)
    assert hosts.there() == list(HOSTS)
