"""The runner emulator `act`, host mode: runs a repository's own workflow files on this machine.

`uses: org/cicd/...@v1` is this checkout, whatever the ref. What act does not do is in docs/localhub.md.
"""

import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cicd.adapters.process import run, which
from cicd.adapters.runner import Runner
from cicd.errors import PrepareFailed, ToolMissing

CHECKOUT = Path(__file__).resolve().parents[3]
OURS = re.compile(r"uses:\s*org/cicd(?:/[\w./-]+)?@([\w.-]+)")
LABELS = ("ubuntu-latest", "ubuntu-24.04", "ubuntu-22.04", "self-hosted")  # this machine is a runner of each
UNQUOTED = re.compile(r"[\w/.,:@%+=-]+")  # paths that bash reads as one word; act gives it its own without quotes
# GitHub's own actions that need its servers, for which those of stand_ins are taken.
ELSEWHERE = re.compile(
    r"uses: ((?:actions|github)/(upload-artifact|download-artifact|cache|codeql-action))(?:/[\w-]+)?@([0-9a-f]{40})"
)
NOISE = re.compile(r"Couldn't get a valid docker connection|LocalRepositoryCache ")
PAYLOADS = {"repository_dispatch": "client_payload"}  # event → where its body has what was given; else `inputs`
SHIPPED = ("action.yml", "actions", ".github", "bin", "requirements", "src")
# What a job needs of this machine: programs, language, how the package index is reached. All else stays out.
KEPT = re.compile(
    r"PATH|LANG|LC_ALL|TZ|TMPDIR|NO_COLOR|(SSL|REQUESTS|CURL)_\w+|(PIP|UV)_(?!TARGET|PREFIX|USER|ROOT|REQUIRE)\w+"
    r"|(https?|all|no)_proxy|(HTTPS?|ALL|NO)_PROXY|PYENV_ROOT|UV_SYSTEM_CERTS"
)


@dataclass(frozen=True)
class Job:
    """One run of one workflow.

    Attributes:
        repository: the checkout to run in.
        workflow: path of the workflow file in it.
        event: such as `push` or `workflow_dispatch`.
        inputs: of a workflow_dispatch, or the payload of a repository_dispatch.
        env: variables of every step.
        secrets: by name; GITHUB_TOKEN is one of them.
        secret_lines: more of them, as act reads them.
        actor: who started it.
        only: one job, with those that it needs; empty for all.
        store: where artifacts and caches of runs are kept; None: with act's other files.
    """

    repository: Path
    workflow: str
    event: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_lines: str = field(default="", repr=False)
    actor: str = ""
    only: str = ""
    store: Path | None = None


def program(runner: Runner) -> Path:
    """act, from our environment or PATH. Raises ToolMissing."""
    beside = Path(sys.executable).with_name("act")
    found = str(beside) if beside.exists() else which("act", runner.env.get("PATH"))
    if not found:
        raise ToolMissing("There is no `act`", next_step="run it by bin/cicd, whose local environment has it")
    return Path(found)


def new_folder(prefix: str) -> Path:
    """A private folder for act's files. Raises PrepareFailed when every temp folder has a path that act cannot use."""
    for base in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - mkdtemp's names cannot be guessed
        if UNQUOTED.fullmatch(base) and os.access(base, os.W_OK):
            return Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    raise PrepareFailed(
        f"act cannot work below `{tempfile.gettempdir()}`",
        cause="it gives paths to bash without quotes, and this one has a space or another sign that bash reads",
        next_step="set TMPDIR to a folder whose path has letters, digits, `-`, `_` and `.` alone",
    )


def home(runner: Runner) -> str:
    """Where environments are kept: where our own came from, so that a job finds them there; empty for nowhere."""
    folder = runner.env.get("CICD_ENVIRONMENT", "")
    return folder.rpartition("/")[0] or runner.env.get("CICD_HOME", "")


def lay_out_ours(folder: Path) -> Path:
    """What a release of this checkout ships, as a folder. act copies it for every `uses:`, so it is kept small."""
    ours = folder / "cicd"
    for name in SHIPPED:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, ours / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            ours.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, ours / name)
    return ours


def stand_ins(ours: Path) -> list[str]:
    """Options of act: actions of ours for those of others that our workflows use and that need GitHub's servers."""
    used = {
        found.groups()
        for path in sorted((ours / ".github/workflows").glob("*.yml"))
        for found in ELSEWHERE.finditer(path.read_text(encoding="utf-8"))
    }
    folder = ours / "src/cicd/stand_ins"
    return [f"--local-repository={repository}@{sha}={folder / name}" for repository, name, sha in sorted(used)]


def ours(job: Job, folder: Path) -> list[str]:
    """Options of act: what a release shipped, at each ref at which the caller or we ourselves refer to it."""
    texts = [job.repository / job.workflow, *sorted((folder / "cicd/.github/workflows").glob("*.yml"))]
    refs = {ref for path in texts for ref in OURS.findall(path.read_text(encoding="utf-8", errors="replace"))}
    return [f"--local-repository=org/cicd@{ref}={folder / 'cicd'}" for ref in sorted(refs)]


def command(act: Path, job: Job, folder: Path) -> list[str]:
    """argv; secrets, variables and inputs are in files of `folder`, so that no other process can read them here."""
    argv = [str(act), job.event, "--directory", str(job.repository), "--workflows", str(job.repository / job.workflow)]
    for label in LABELS:
        argv += ["--platform", f"{label}=-self-hosted"]
    argv += [*ours(job, folder), *stand_ins(folder / "cicd")]
    argv += ["--action-offline-mode", "--json", "--eventpath", str(folder / "event.json")]
    argv += ["--env-file", str(folder / "env"), "--secret-file", str(folder / "secrets")]
    argv += ["--var-file", str(folder / "empty"), "--input-file", str(folder / "empty")]
    argv += ["--actor", job.actor] if job.actor else []
    return [*argv, "--job", job.only] if job.only else argv


def environment(env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """act's own environment; jobs see all of it, so it holds no more than they need."""
    kept = {name: value for name, value in env.items() if KEPT.fullmatch(name)}
    return {**kept, "HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "cache")}


def dotenv(values: Mapping[str, str]) -> str:
    """As act reads it: double quotes, with line ends and quotes escaped."""
    escaped = {
        name: value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for name, value in values.items()
    }
    return "".join(f'{name}="{value}"\n' for name, value in escaped.items())


def lay_out(job: Job, folder: Path) -> None:
    """Write act's files into a private folder."""
    (folder / "home").mkdir(parents=True, exist_ok=True)
    if not (folder / "cicd").exists():
        lay_out_ours(folder)
    event = {PAYLOADS.get(job.event, "inputs"): dict(job.inputs)} if job.inputs else {}
    secrets = dotenv(job.secrets) + job.secret_lines
    env = {**job.env, "CICD_ACT_STORE": str(job.store or folder / "store")}
    files = {"env": dotenv(env), "secrets": secrets, "empty": "", "event.json": json.dumps(event)}
    for name, text in files.items():
        with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)


def printed(job: Job, folder: Path, runner: Runner) -> str:
    """The act command for a shell, with its files in `folder`. What it runs in is in a file: there may be secrets."""
    lay_out(job, folder)
    kept = environment(runner.env, folder).items()
    clean = "\n".join(["#!/bin/sh", "exec env -i \\", *(f"  {shlex.quote(f'{k}={v}')} \\" for k, v in kept), '  "$@"'])
    script = folder / "clean"
    with open(os.open(script, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700), "w", encoding="utf-8") as file:
        file.write(clean + "\n")
    argv = [part for part in command(program(runner), job, folder) if part != "--json"]
    return shlex.join([str(script), *argv])


def execute(job: Job, folder: Path, runner: Runner, each: Callable[[dict[str, Any]], None]) -> bool:
    """Run it to its end; gives whether it succeeded.

    Args:
        folder: for act's files; private.
        each: called with every line of act's log that tells something, as a value.
    """
    lay_out(job, folder)

    def line(text: str) -> None:
        try:
            said = json.loads(text)
        except ValueError:
            said = {"msg": text, "level": "info"}
        if not NOISE.match(str(said.get("msg", ""))):
            each(said)

    argv = command(program(runner), job, folder)
    return run(argv, env=environment(runner.env, folder), cwd=folder, check=False, each_line=line).code == 0
