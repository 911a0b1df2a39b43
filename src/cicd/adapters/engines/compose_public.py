"""A project's Compose files as they are known without secrets."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cicd.adapters.engines.compose_file import ask, is_in_git, render
from cicd.adapters.engines.layout import Source
from cicd.adapters.runner import Runner
from cicd.core.compose import with_env_files
from cicd.core.compose_files import file_text
from cicd.errors import ConfigError


def read_public(source: Source, settings: Mapping[str, str], runner: Runner) -> dict[str, Any]:
    """The model with what is public filled in; `${NAME}` stays where a variable comes from a secret.

    Env files are resolved if git has them; others hold settings of releases, and stay by their path.

    Args:
        settings: those that are public.

    Raises:
        ConfigError: a file is not there or wrong, or something must be known that is not public.
    """
    unknown = _unknown(source, settings, runner)
    variables = {**{name: f"${{{name}}}" for name in unknown}, **settings, "CICD_ENVIRONMENT": source.environment}
    try:
        model = render(source, runner, variables, ("--no-env-resolution",))
    except ConfigError as error:
        if not any(f"${{{name}}}" in error.what for name in unknown):
            raise
        raise ConfigError(
            error.what,
            cause="that variable is not public, and only a value fits there",
            next_step="give it a value under `env` of the config, or a default in the file",
        ) from None
    return _with_env_files(model, source, runner)


def _unknown(source: Source, settings: Mapping[str, str], runner: Runner) -> list[str]:
    """Variables of the files that have neither a public value nor a default."""
    told = ask(source, runner, settings, ("--variables",))
    return [
        name
        for name, one in told.items()
        if name not in settings and not one.get("DefaultValue") and not one.get("PresenceValue")
    ]


def _with_env_files(model: dict[str, Any], source: Source, runner: Runner) -> dict[str, Any]:
    """The model in which Compose has resolved the env files that git has."""
    files = {one["path"] for service in model["services"].values() for one in service.get("env_file") or []}
    outside = {path for path in files if not is_in_git(source.folder, Path(path))}
    if files == outside:
        return model
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "model.json"
        file.write_text(file_text(with_env_files(model, sorted(outside), {})))
        resolved = render(replace(source, compose=[str(file)]), runner, {}, ())
    for name, service in model["services"].items():
        kept = [one for one in service.get("env_file") or [] if one["path"] in outside]
        resolved["services"][name]["env_file"] = kept
    return resolved
