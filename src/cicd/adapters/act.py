"""The runner emulator `act`, host mode: runs a repository's own workflow files on this machine.

`uses: org/cicd/...@v1` is this checkout. What act does not do is in docs/localhub.md.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cicd.adapters.process import run, which
from cicd.adapters.runner import Runner
from cicd.errors import ToolMissing

CHECKOUT = Path(__file__).resolve().parents[3]
OURS = "org/cicd@v1"
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
        inputs: of a workflow_dispatch.
        env: variables of every step.
        secrets: by name; GITHUB_TOKEN is one of them.
        secret_lines: more of them, as act reads them.
        actor: who started it.
        only: one job, with those that it needs; empty for all.
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


def program(runner: Runner) -> Path:
    """act, from our environment or PATH. Raises ToolMissing."""
    beside = Path(sys.executable).with_name("act")
    found = str(beside) if beside.exists() else which("act", runner.env.get("PATH"))
    if not found:
        raise ToolMissing("There is no `act`", next_step="run it by bin/cicd, whose local environment has it")
    return Path(found)


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


def command(act: Path, job: Job, folder: Path) -> list[str]:
    """argv; secrets, variables and inputs are in files of `folder`, so that no other process can read them here."""
    argv = [str(act), job.event, "--directory", str(job.repository), "--workflows", str(job.repository / job.workflow)]
    argv += ["--platform", "ubuntu-latest=-self-hosted", "--local-repository", f"{OURS}={folder / 'cicd'}"]
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


def execute(job: Job, folder: Path, runner: Runner, each: Callable[[dict[str, Any]], None]) -> bool:
    """Run it to its end; gives whether it succeeded.

    Args:
        folder: for act's files; private.
        each: called with every line of act's log, as a value.
    """
    (folder / "home").mkdir(parents=True, exist_ok=True)
    if not (folder / "cicd").exists():
        lay_out_ours(folder)
    event = {"inputs": dict(job.inputs)} if job.inputs else {}
    secrets = dotenv(job.secrets) + job.secret_lines
    files = {"env": dotenv(job.env), "secrets": secrets, "empty": "", "event.json": json.dumps(event)}
    for name, text in files.items():
        with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)

    def line(text: str) -> None:
        try:
            each(json.loads(text))
        except ValueError:
            each({"msg": text, "level": "info"})

    argv = command(program(runner), job, folder)
    return run(argv, env=environment(runner.env, folder), cwd=folder, check=False, each_line=line).code == 0
