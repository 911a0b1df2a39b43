"""Engines: what runs releases on a target."""

from collections.abc import Collection, Mapping, Sequence

from cicd.adapters.engines.compose import ComposeEngine
from cicd.adapters.engines.compose_file import read_layout
from cicd.adapters.engines.fleet import Fleet
from cicd.adapters.engines.layout import Layout, Source
from cicd.adapters.engines.process import ProcessEngine
from cicd.adapters.engines.protocol import Engine
from cicd.adapters.engines.swarm import SwarmEngine
from cicd.adapters.engines.swarm_host import SwarmHost
from cicd.adapters.runner import Runner
from cicd.adapters.target import Target


def layout_of(
    source: Source, settings: Mapping[str, str], runner: Runner, *, whole: bool, own: Collection[str]
) -> Layout:
    """How a release of a checkout would run, besides its image.

    Args:
        settings: all that it gets.
        whole: whether secrets are among them; without, they may be missing.
        own: names of those that are the environment's own.

    Raises:
        ConfigError.
    """
    if source.deploy.engine == "process":
        return Layout()
    return read_layout(source, settings, runner, whole=whole, own=own)


def engine_of(name: str, targets: Sequence[Target], runner: Runner, repository: str) -> Engine:
    """The engine `name` of an environment.

    Args:
        targets: the environment on each of its hosts.
        repository: of the images; empty where they lie in the target's store.
    """
    if name == "process":
        return ProcessEngine(targets[0], runner)
    if name == "swarm":
        return SwarmEngine([SwarmHost(one, runner, repository, first=one is targets[0]) for one in targets])
    engines = [ComposeEngine(target, runner, repository) for target in targets]
    return Fleet(engines) if len(engines) > 1 else engines[0]
