"""setup-env's look at migrations: each goes up, down and up again before it gets near an environment."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cicd.adapters.migrators import driver
from cicd.adapters.migrators.checkout import at_commit, in_folder
from cicd.adapters.migrators.round_trip import try_migrations
from cicd.adapters.migrators.session import scratch_database
from cicd.adapters.process import Completed
from cicd.adapters.runner import Runner
from cicd.adapters.services import postgres
from cicd.core.config import Config, Deploy
from cicd.core.services import Wanted
from cicd.errors import UsageError


def has_database(servers: Sequence[Wanted]) -> bool:
    return any(wanted.name == "postgres" for wanted in servers)


def schema_of(migrate: list[str], config: Config | None) -> Deploy | None:
    """The config's own way to migrate, if that is what is run."""
    deploy = config.deploy if config else None
    if migrate == ["alembic"]:
        return deploy if deploy and deploy.migrate == "alembic" else Deploy(run="", migrate="alembic")
    by_command = deploy and deploy.migrate == "command" and migrate == shlex.split(deploy.migrations.up)
    return deploy if by_command else None


def to_check(given: str, schema: Deploy | None, servers: Sequence[Wanted]) -> str:
    """What to try up, down and up again. Raises UsageError when it was asked for and cannot be."""
    if given in ("none", ""):
        return "all" if not given and schema and schema.migrations.check else ""
    if schema is None or not has_database(servers):
        raise UsageError(
            "migrate-check: there is nothing to check",
            cause="no PostgreSQL is brought up" if schema else "`migrate` is not what deploy.migrate says",
            next_step="add `postgres` to the services, and set deploy.migrate to alembic or command",
        )
    return given


def check_migrations(
    schema: Deploy,
    check: str,
    folder: Path,
    python: str,
    env: Mapping[str, str],
    run: Callable[[Mapping[str, str], Sequence[str]], Completed],
    runner: Runner,
) -> dict[str, Any]:
    """Try the new migrations in a database that nobody else sees, beside the one that `env` names.

    Args:
        check: `all`, or a commit whose migrations are not new.
        python: the interpreter with the project's dependencies.
        run: runs a program in the project, with variables.

    Raises:
        MigrationFailed: names the migration, and which way it does not go.
    """
    known = in_folder(schema, folder)
    old = {migration.revision for migration in (at_commit(schema, folder, check) if check != "all" else [])}
    new = [migration for migration in known if migration.revision not in old]
    with scratch_database(env[postgres.VARIABLE]) as url:
        way = driver(schema.migrate, schema.migrations, known, python)
        tried = try_migrations(way, lambda argv: run({**env, postgres.VARIABLE: url}, argv), known, new)
    if tried.both_ways:
        runner.say(f"Migrations that went up, down and up again: {', '.join(tried.both_ways)}")
    if tried.up_only:
        runner.say(f"Migrations that have no way down, or come before one: {', '.join(tried.up_only)}")
    return {"both_ways": tried.both_ways, "up_only": tried.up_only}
