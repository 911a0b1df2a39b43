"""`cicd parity`: in which settings environments differ. It needs neither their hosts nor their secrets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from cicd.adapters.engines.compose_public import read_public
from cicd.adapters.engines.layout import Source
from cicd.adapters.runner import Runner
from cicd.commands.read import read_config
from cicd.contract import Parity
from cicd.core.compose import shape
from cicd.core.config import Config, deploy_of, environment_of
from cicd.core.parity import CONFIG, UNKNOWN, Difference, Seen, compare, failing, floating
from cicd.core.parity_seen import of_config, of_model, public_settings
from cicd.core.parity_summary import UNSEEN, lines, markdown, sentence
from cicd.core.results import Result
from cicd.errors import EnvironmentsDiffer, UsageError


def main(inputs: Parity, runner: Runner) -> Result:
    """Read each environment, compare them, and say what differs; a gate if `fail-on` says so."""
    config = read_config(inputs.working_directory, inputs.config)
    names = chosen(inputs, config)
    seen = {name: read(Path(inputs.working_directory), config, name, runner) for name in names}
    tested = {name: service.version for name, service in config.services.items() if service}
    differences = compare(seen, tested)
    unseen = [UNSEEN] if any(UNKNOWN in one.values.values() for one in differences) else []
    return report(names, differences, [*floating(seen), *unseen], inputs.fail_on)


def chosen(inputs: Parity, config: Config) -> list[str]:
    """The environments to compare, in the order of the config. Raises UnknownEnvironment, UsageError."""
    given = inputs.environments.split()
    for name in given:
        environment_of(config, name)
    names = [name for name in config.environments if not given or name in given]
    if len(names) < 2:
        raise UsageError(
            f"There is nothing to compare with {' '.join(names) or 'nothing'}",
            next_step="name at least two environments, or add one to the config",
        )
    return names


def read(folder: Path, config: Config, name: str, runner: Runner) -> Seen:
    """What is known of an environment without its secrets. Raises ConfigError."""
    environment = environment_of(config, name)
    deploy, settings = deploy_of(config, environment), public_settings(config, environment)
    seen = {CONFIG: of_config(config, environment)}
    if deploy.engine == "process":
        return seen
    compose = environment.compose or deploy.compose
    model = read_public(Source(folder, name, deploy, compose), settings, runner)
    parts = shape(model, deploy.service, deploy.companions)
    return of_model(model, parts, settings, str(folder.resolve())) | seen


def report(names: Sequence[str], differences: Sequence[Difference], notes: Sequence[str], fail_on: str) -> Result:
    """The answer; what fails is what `fail-on` names."""
    wrong = failing(differences, fail_on)
    public = [one for one in differences if one.kind != "secret"]
    places = [f"{one.part} {one.setting}".strip() for one in wrong]
    error = EnvironmentsDiffer(
        f"{sentence(names, wrong)}: {', '.join(places[:10])}{', …' if places[10:] else ''}",
        next_step="make them alike, or ask less of `fail-on`",
    )
    return Result(
        decision="failed" if wrong else "done",
        reason_code=error.reason if wrong else "ok",
        exit_code=error.code if wrong else 0,
        message="\n".join([*notes, str(error) if wrong else f"{sentence(names, differences)}."]),
        answer=lines(names, differences),
        outputs={"differences": str(len(public))},
        data=told(names, differences, notes),
        summary=markdown(names, differences, notes),
    )


def told(names: Sequence[str], differences: Sequence[Difference], notes: Sequence[str]) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "environments": list(names),
        "differences": [msgspec.to_builtins(one) for one in differences],
        "notes": list(notes),
    }
