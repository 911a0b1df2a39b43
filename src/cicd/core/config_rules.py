"""`.github/cicd.yml`: from its text to a value in which everything holds together."""

import re
import shlex
from collections.abc import Sequence
from datetime import date

from cicd.core.config import Condition, Config, Deploy
from cicd.core.freeze import problem as freeze_problem
from cicd.core.reading import convert, located
from cicd.core.security_gate import exception_problem
from cicd.core.service_texts import problems as service_problems
from cicd.errors import ConfigError


def parse_config(text: str, path: str) -> Config:
    """The config in `text`, checked.

    Args:
        text: YAML.
        path: named in errors.

    Raises:
        ConfigError: with the path to the value, and the nearest valid name for an unknown one.
    """
    config = convert(text, Config, path)
    problems = [
        *_order_problems(config),
        *_port_problems(config),
        *_reference_problems(config),
        *(one for name, service in config.services.items() if service for one in service_problems(name, service)),
        *_freeze_problems(config),
        *_quarantine_problems(config),
        *_regression_problems(config),
        *_security_problems(config),
        *_process_problems(config),
        *_compose_problems(config),
        *_settings_problems(config),
        *_migration_problems(config),
        *_canary_problems(config),
        *_condition_problems(config),
    ]
    if problems:
        where = located(text, path, problems[0].partition(": ")[0])
        raise ConfigError(f"{where}: {'; '.join(problems)}", next_step="mend the file, then run it again")
    return config


def _order_problems(config: Config) -> list[str]:
    """`after` must name an environment, and lead to a first one."""
    problems = []
    for name, environment in config.environments.items():
        seen = [name]
        before = environment.after
        while before:
            if before not in config.environments:
                if seen == [name]:  # else it is said of the one that names it
                    problems.append(f"environments.{name}.after: there is no environment `{before}`")
                break
            if before in seen:
                problems.append(f"environments.{name}.after: {' → '.join([*seen, before])} is a circle")
                break
            seen.append(before)
            before = config.environments[before].after
    return problems


def _port_problems(config: Config) -> list[str]:
    """On one host, each port belongs to one slot or router."""
    owners: dict[tuple[str, int], str] = {}
    problems = []
    for name, environment in config.environments.items():
        for part in ("router", "blue", "green"):
            port, here = getattr(environment.ports, part), f"environments.{name}.ports.{part}"
            taken = [owners[host, port] for host in environment.hosts if (host, port) in owners]
            if port and taken:
                problems.append(f"{here}: port {port} is already {taken[0]}")
            owners |= {(host, port): here for host in environment.hosts if (host, port) not in owners}
    return problems


def _reference_problems(config: Config) -> list[str]:
    problems = [
        f"environments.{name}.approvers: `approval: issue` needs them, and nothing else does"
        for name, environment in config.environments.items()
        if bool(environment.approvers) != (environment.approval == "issue")
    ]
    problems += [
        f"environments.{name}.rehearse: there is no environment before it (`after`)"
        for name, environment in config.environments.items()
        if environment.rehearse and not environment.after
    ]
    problems += [
        f"suites.{name}.needs: there is no service `{need}` under services"
        for name, suite in config.suites.items()
        for need in suite.needs
        if need not in config.services
    ]
    if config.environments and config.deploy is None:
        problems.append("environments need a `deploy:` section that says what runs in them")
    return problems


def _quarantine_problems(config: Config) -> list[str]:
    problems = []
    for index, entry in enumerate(config.quarantine):
        try:
            date.fromisoformat(entry.until)
        except ValueError:
            problems.append(f"quarantine[{index}].until: `{entry.until[:40]}` is no day such as 2026-12-31")
        if not (entry.test.strip() and entry.owner.strip() and entry.reason.strip()):
            problems.append(f"quarantine[{index}]: test, owner and reason must be said")
    return problems


def _regression_problems(config: Config) -> list[str]:
    """Both sides run on one machine, and say what they measured."""
    problems = []
    for name, suite in config.suites.items():
        if suite.budget is None or suite.budget.regression is None:
            continue
        if suite.shards != 1:
            problems.append(f"suites.{name}.shards: `budget.regression` compares runs of the whole suite in one job")
        if not suite.measures:
            problems.append(f"suites.{name}.measures: `budget.regression` needs the reports that it compares")
    return problems


def _security_problems(config: Config) -> list[str]:
    problems = []
    for name, suite in config.suites.items():
        security, place = suite.security, f"suites.{name}"
        if security is None:
            problems += [] if suite.run else [f"{place}.run: is missing: the command of the suite"]
            continue
        if not (security.scan or security.findings):
            problems.append(f"{place}.security: needs `scan` or `findings`")
        if suite.shards != 1:
            problems.append(f"{place}.shards: a suite with `security` runs in one job")
        problems += [
            f"{place}.security.gate.exceptions[{index}].{wrong}"
            for index, one in enumerate(security.gate.exceptions)
            if (wrong := exception_problem(one))
        ]
    return problems


def _freeze_problems(config: Config) -> list[str]:
    lists = {"freeze": config.freeze}
    lists |= {f"environments.{name}.freeze": each.freeze or [] for name, each in config.environments.items()}
    return [
        f"{path}[{index}]: {found}"
        for path, windows in lists.items()
        for index, window in enumerate(windows)
        if (found := freeze_problem(window))
    ]


def _process_problems(config: Config) -> list[str]:
    """What engine `process` needs: a command that can be split, paths that stay in the image, ports of this machine."""
    deploy = config.deploy
    if deploy is None or deploy.engine != "process":
        return []
    problems = []
    try:
        if not shlex.split(deploy.run) or "\0" in deploy.run:
            problems.append("deploy.run: it is missing, empty, or holds a NUL")
    except ValueError as error:
        problems.append(f"deploy.run: {error}")
    for name in ("requirements", "files"):
        problems += [
            f"deploy.{name}: `{path[:60]}` is not below the project's folder"
            for path in getattr(deploy, name)
            if _leads_out(path)
        ]
    for name, environment in config.environments.items():
        problems += [
            f"environments.{name}.ports.{slot}: engine `process` needs it"
            for slot in ("blue", "green")
            if not getattr(environment.ports, slot)
        ]
        if environment.hosts != ["local"]:
            problems.append(f"environments.{name}.hosts: engine `process` runs on the machine of the job alone")
    return [*problems, *_foreign(deploy, "process", ("service", "port", "compose", "companions", "attestation"))]


def _compose_problems(config: Config) -> list[str]:
    """What engine `compose` or `swarm` needs: a service, files, a repository of images, hosts that are named once."""
    deploy = config.deploy
    if deploy is None or deploy.engine == "process":
        return []
    problems = []
    if not deploy.service:
        problems.append(f"deploy.service: engine `{deploy.engine}` needs the name of the service that has the traffic")
    if not config.image:
        problems.append(f"image: engine `{deploy.engine}` needs the repository of the images, such as ghcr.io/acme/api")
    given = {"deploy": deploy.compose}
    given |= {f"environments.{name}": environment.compose for name, environment in config.environments.items()}
    problems += [
        f"{section}.compose: `{path[:60]}` is not below the project's folder"
        for section, paths in given.items()
        for path in paths
        if _leads_out(path)
    ]
    for name, environment in config.environments.items():
        if not (environment.compose or deploy.compose):
            problems.append(f"environments.{name}.compose: it is missing, and so is deploy.compose")
        if len(set(environment.hosts)) < len(environment.hosts):
            problems.append(f"environments.{name}.hosts: one is named twice")
        if environment.folder and not environment.folder.startswith("/"):
            problems.append(f"environments.{name}.folder: it should begin with /")
    return [*problems, *_foreign(deploy, deploy.engine, ("run", "requirements", "files"))]


def _foreign(deploy: Deploy, engine: str, names: Sequence[str]) -> list[str]:
    """Keys of another engine: they would do nothing."""
    default = Deploy()
    return [
        f"deploy.{name.replace('_', '-')}: engine `{engine}` does not know it"
        for name in names
        if getattr(deploy, name) != getattr(default, name)
    ]


def _leads_out(path: str) -> bool:
    return path.startswith("/") or ".." in path.split("/") or "\0" in path or not path.strip()


def _settings_problems(config: Config) -> list[str]:
    """Settings that an environment can hold."""
    if config.deploy is None:
        return []
    problems = []
    sections = {"deploy": config.deploy.env}
    sections |= {f"environments.{name}": environment.env for name, environment in config.environments.items()}
    for section, env in sections.items():
        problems += [f"{section}.env: {key[:60]!r} is no name" for key in env if not key or {"=", "\0"} & set(key)]
        problems += [f"{section}.env.{key[:60]}: it holds a NUL" for key, value in env.items() if "\0" in value]
    return problems


def _migration_problems(config: Config) -> list[str]:
    """A command must be there, and able to be split; its pattern must find a number."""
    if config.deploy is None or config.deploy.migrate != "command":
        return []
    settings, problems = config.deploy.migrations, []
    for name in ("up", "down", "current"):
        command = getattr(settings, name)
        try:
            parts = shlex.split(command)
        except ValueError as error:
            problems.append(f"deploy.migrations.{name}: {error}")
            continue
        if not parts:
            problems.append(f"deploy.migrations.{name} is missing: `migrate: command` needs it")
        if filled := set(re.findall(r"\$\{?(\w+)", command)) - {"REVISION", "STEPS"}:
            problems.append(
                f"deploy.migrations.{name}: ${min(filled)} is not filled in, for all can read a command line;"
                " the program reads it from its environment"
            )
    try:
        if not re.compile(settings.applied).groups:
            problems.append("deploy.migrations.applied: it needs a group around the number, such as `(\\d+)`")
    except re.error as error:
        problems.append(f"deploy.migrations.applied: {error}")
    return problems


def _canary_problems(config: Config) -> list[str]:
    """A share that the router can tell apart from nothing and from everything: it knows hundredths of a percent."""
    given = {"deploy": config.deploy and config.deploy.canary}
    given |= {f"environments.{name}": environment.canary for name, environment in config.environments.items()}
    return [
        f"{path}.canary.share: should be from 0.01% to 99.99%, or 0% for none, is {canary.share:g}%"
        for path, canary in given.items()
        if canary and canary.share != 0 and not 0.01 <= canary.share <= 99.99
    ]


def _condition_problems(config: Config) -> list[str]:
    """A condition is a share or a value, and has a limit."""
    policies = {f"environments.{name}.watch": each.watch for name, each in config.environments.items()}
    if config.deploy:
        policies["deploy.watch"] = config.deploy.watch
    problems = []
    for where, policy in policies.items():
        for name, condition in (policy.metrics.conditions if policy and policy.metrics else {}).items():
            if problem := _condition_problem(condition):
                problems.append(f"{where}.metrics.conditions.{name}: {problem}")
    return problems


def _condition_problem(condition: Condition) -> str:
    share = [bool(condition.bad), bool(condition.of), condition.share is not None]
    value = [bool(condition.value), condition.most is not None or condition.least is not None]
    if all(share) and not any(value):
        return ""
    if all(value) and not any(share):
        return ""
    return "wants either `bad`, `of` and `share`, or `value` with `most` or `least`"
