"""setup-env's seed: what a test finds in the database, loaded after the migrations and once for each server."""

import hashlib
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cicd.adapters.process import Completed, which
from cicd.adapters.runner import Runner
from cicd.adapters.services import postgres
from cicd.adapters.services.job import Job
from cicd.adapters.tools import from_wheel
from cicd.errors import SeedFailed, UsageError

SQL = ".sql"


def seeds_of(given: str, configured: Sequence[str], folder: Path, *, has_database: bool) -> list[str]:
    """What is to be loaded, in this order: the input's lines, else the config's if a database is brought up.

    Raises:
        UsageError: a file that is not there, or a command that cannot be split.
    """
    if given.strip() == "none":
        return []
    lines = [line.strip() for line in given.splitlines() if line.strip()]
    found = lines or (list(configured) if has_database else [])
    for seed in found:
        _check(seed, folder)
    return found


def is_file(seed: str) -> bool:
    """Whether it is the path of a file of SQL, and not a command."""
    return seed.endswith(SQL) and len(seed.split()) == 1


def _check(seed: str, folder: Path) -> None:
    if is_file(seed) and not (folder / seed).is_file():
        raise UsageError(f"seed: there is no file `{seed}`", next_step="commit it, or mend `seed`")
    try:
        if not shlex.split(seed):
            raise UsageError("seed: is empty", next_step="name a file of SQL or a command, or leave it out")
    except ValueError as error:
        raise UsageError(f"seed `{seed}` cannot be split: {error}", next_step="close the quotes") from error


def load(
    seeds: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    run: Callable[[Mapping[str, str], Sequence[str]], Completed],
    job: Job,
    runner: Runner,
) -> dict[str, float]:
    """Load what this server does not have yet; gives the seconds that each took.

    Args:
        env: what the job's later steps will have.
        run: runs a program in the project, with variables.

    Raises:
        SeedFailed: with the end of what was said. ToolMissing.
    """
    loaded = {}
    for seed in seeds:
        mark = _mark(seed, folder, env)
        if mark in job.state.seeded:
            runner.say(f"Seed `{seed}` is in the database already")
            continue
        began = time.monotonic()
        argv, more = _psql(folder / seed, env, runner) if is_file(seed) else (shlex.split(seed), {})
        done = run({**env, **more}, argv)
        if done.code or done.timed_out:
            raise _failure(seed, done)
        job.note_seed(mark)
        loaded[seed] = round(time.monotonic() - began, 3)
        runner.say(f"Seed `{seed}` loaded in {loaded[seed]:.1f} s")
    return loaded


def _mark(seed: str, folder: Path, env: Mapping[str, str]) -> str:
    """One seed in one database; a file by what it holds."""
    text = (folder / seed).read_bytes() if is_file(seed) else b""
    return hashlib.sha256("\0".join((seed, str(folder), env.get(postgres.VARIABLE, ""))).encode() + text).hexdigest()


def _psql(file: Path, env: Mapping[str, str], runner: Runner) -> tuple[list[str], dict[str, str]]:
    """argv and variables: the whole file or nothing of it, by a program that reads dumps. The URL is not in argv."""
    url = urlsplit(env.get(postgres.VARIABLE, ""))
    if not url.hostname:
        raise SeedFailed(
            f"`{file.name}` cannot be loaded: there is no PostgreSQL",
            cause=f"{postgres.VARIABLE} is not set",
            next_step="add `postgres` to the services, or set the variable before",
        )
    program = which("psql", runner.env.get("PATH")) or str(from_wheel("psql", runner.env))
    login = {
        "PGHOST": url.hostname,
        "PGPORT": str(url.port or postgres.PORT),
        "PGUSER": unquote(url.username or ""),
        "PGPASSWORD": unquote(url.password or ""),
        "PGDATABASE": unquote(url.path.removeprefix("/")),
    }
    options = ["--no-psqlrc", "--quiet", "--no-password", "--single-transaction", "--set", "ON_ERROR_STOP=1"]
    return [program, *options, "--output", "/dev/null", "--file", str(file)], login


def _failure(seed: str, done: Completed) -> SeedFailed:
    tail = "\n".join(done.output.strip().splitlines()[-15:])
    how = "took too long" if done.timed_out else f"ended with {done.code}"
    telling = [line for line in done.output.splitlines() if "error" in line.lower()]
    return SeedFailed(
        f"The seed `{seed}` {how}:\n{tail}",
        cause=telling[-1].strip()[:300] if telling else "",
        next_step="mend it; it is loaded after the migrations, into an empty schema of their last revision",
    )
