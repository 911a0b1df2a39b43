"""Engines: what runs releases on a target."""

from collections.abc import Sequence

from cicd.adapters.engines.compose import ComposeEngine
from cicd.adapters.engines.fleet import Fleet
from cicd.adapters.engines.process import ProcessEngine
from cicd.adapters.engines.protocol import Engine
from cicd.adapters.runner import Runner
from cicd.adapters.target import Target


def engine_of(name: str, targets: Sequence[Target], runner: Runner, repository: str) -> Engine:
    """The engine `name` of an environment.

    Args:
        targets: the environment on each of its hosts.
        repository: of the images; empty where they lie in the target's store.
    """
    if name == "process":
        return ProcessEngine(targets[0], runner)
    engines = [ComposeEngine(target, runner, repository) for target in targets]
    return Fleet(engines) if len(engines) > 1 else engines[0]
