"""The lab of the tests that need Docker. Where there can be none they are skipped, and say why.

Each worker of xdist has a lab of its own: hosts of two labs know nothing of each other. This machine's network, though,
there is but once, and a dockerd that starts removes the chains of another one from its firewall: so the tests that use
the engine in it are all on one worker (`--dist loadgroup`).
"""

import os
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from tests.docker.engine import Engine
from tests.docker.host import Host
from tests.docker.lab import Lab
from tests.docker.machine import Unavailable
from tests.programs import REQUIRED

Made = TypeVar("Made")
REASONS: list[str] = []  # why there was no lab when it was first asked for: it is not tried again


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "lab" in fixtures:
            item.add_marker(pytest.mark.docker)
        if "engine" in fixtures:
            item.add_marker(pytest.mark.xdist_group("engine"))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Engines, hosts, a registry and images; each is made when it is first asked for."""
    with _or_skip(Lab) as made:
        yield made


@pytest.fixture
def engine(lab: Lab) -> Iterator[Engine]:
    """This machine's engine. What a test leaves on it, images aside, is removed."""
    found = _or_skip(lambda: lab.engine)
    before = found.has()
    yield found
    found.remove(before, lab.registry.address)


@pytest.fixture
def hosts(lab: Lab) -> Iterator[Callable[[int], list[Host]]]:
    """Makes new hosts, so many; they end with the test."""
    yield lambda count: _or_skip(lambda: lab.more_hosts(count))
    lab.end_hosts()


def _or_skip(make: Callable[[], Made]) -> Made:
    try:
        if REASONS:
            raise Unavailable(REASONS[0])
        return make()
    except Unavailable as why:
        REASONS[:] = [str(why)]
        if os.environ.get(REQUIRED):
            raise
        pytest.skip(f"no Docker here: {why}")
