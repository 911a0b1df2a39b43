"""What a job waits for before its tests: servers, an action's own start, and the first action's installation.

Ours and the others in turns, so that what else the machine does meets all alike; the medians. What is the same for
both is left out: the checkout, and the runner's own time.
"""

import argparse
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from table import row, show

from cicd.adapters.folders import private_folder
from cicd.adapters.process import which
from cicd.adapters.runner import Runner
from cicd.adapters.services import SERVICES
from cicd.adapters.services.job import Job, end
from cicd.adapters.services.place import Address, free_port
from cicd.adapters.services.server import start
from cicd.adapters.together import together
from cicd.core.services import Wanted
from tests.docker.lab import Lab
from tests.docker.machine import Unavailable

HERE = Path(__file__).resolve().parent
BOOTSTRAP = HERE.parent / "bin" / "bootstrap"
CICD = HERE.parent / "bin" / "cicd"
CORE = HERE.parent / "requirements" / "core.in"
SERVERS = ("postgres", "redis")
PASSWORD = "benchmark"
ANSWERS_WITHIN = 60.0  # seconds
Way = Callable[[], float]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks/startup")
    parser.add_argument("--rounds", type=int, default=7, help="of each way; the medians count")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="cicd-startup-") as place:
        folder = Path(place)
        rows = [*servers(folder, given.rounds), *overhead(folder, given.rounds), *first(folder, min(given.rounds, 5))]
    show(rows, given.json)


def medians(ways: dict[str, Way], rounds: int) -> dict[str, float]:
    """Seconds of each way; each is tried once before, so that files are where they are in a job."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            seconds = way()
            if number:
                taken[name].append(seconds)
    return {name: round(statistics.median(seconds), 3) for name, seconds in taken.items()}


def servers(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """PostgreSQL and Redis until both answer a query, side by side."""
    what, goal = "PostgreSQL and Redis ready", "≤ 1.5 s, and < 0.5 of containers"
    ways: dict[str, Way] = {"ours": lambda: ours_ready(folder)}
    with contextlib.ExitStack() as stack:
        why = ""
        try:
            lab = stack.enter_context(Lab())
            images = {name: lab.part(name) for name in SERVERS}
            for image in images.values():
                lab.engine.docker("pull", "--quiet", image)
            ways["containers"] = lambda: containers_ready(lab, images)
        except Unavailable as error:
            why = f"no containers to compare with: {error}"
        taken = medians(ways, rounds)
    ours = taken.pop("ours")
    if why:
        return [row(what, ours, "s", goal, None, why=why)]
    ratio = round(ours / taken["containers"], 2)
    peers = {"containers on a warm engine": taken["containers"], "ratio": ratio}
    return [row(what, ours, "s", goal, ours <= 1.5 and ratio < 0.5, peers=peers)]


def ours_ready(folder: Path) -> float:
    began = time.monotonic()
    job = Job(private_folder(folder / "job"), os.getpid(), {"PATH": os.environ["PATH"]})
    runner, stopping = Runner(dict(os.environ), io.StringIO()), threading.Event()
    try:
        wanted = (Wanted("postgres", "18"), Wanted("redis", "6"))
        together({one.name: lambda one=one: start(one, job, runner, stopping) for one in wanted}, stopping)  # type: ignore[misc]
        return time.monotonic() - began
    finally:
        end(job.folder, job.state)


def containers_ready(lab: Lab, images: dict[str, str]) -> float:
    """As somebody starts them by hand, until they answer the same questions."""
    ports = {name: free_port() for name in SERVERS}
    env = {"postgres": ["--env", f"POSTGRES_PASSWORD={PASSWORD}"], "redis": []}
    began = time.monotonic()

    def up(name: str) -> str:
        publish = f"127.0.0.1:{ports[name]}:{SERVICES[name].PORT}"
        container = lab.engine.docker("run", "--detach", "--publish", publish, *env[name], images[name]).strip()
        kind, password = SERVICES[name], PASSWORD if name == "postgres" else ""
        address = Address("127.0.0.1", ports[name], kind.USER, password, kind.DATABASE)
        deadline = time.monotonic() + ANSWERS_WITHIN
        while kind.ask(address) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} in a container does not answer")
            time.sleep(0.01)
        return container

    started = together({name: lambda name=name: up(name) for name in SERVERS}, threading.Event())  # type: ignore[misc]
    seconds = time.monotonic() - began
    lab.engine.docker("rm", "--force", "--volumes", *started.values())
    return seconds


def timed(argv: list[str], env: dict[str, str], folder: Path) -> float:
    began = time.monotonic()
    done = subprocess.run(argv, env=env, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv[:4])} … ended with {done.returncode}: {done.stderr[-1500:]}")
    return time.monotonic() - began


def scrubbed(home: Path, **more: str) -> dict[str, str]:
    """Variables of a fresh runner: where packages come from stays, caches do not.

    `python3` is an interpreter, as on a runner: here it may be the script of a version manager, which takes 0.1 s.
    """
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
    path = more.pop("PATH", os.environ["PATH"])
    interpreter = Path(sys._base_executable).resolve().parent  # type: ignore[attr-defined]
    return {**kept, "PATH": f"{interpreter}:{path}", "HOME": str(home), **more}


def overhead(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """An action whose environment is there: from its line in action.yml until the command begins, and one at work."""
    home = folder / "second"
    home.mkdir()
    env = scrubbed(home, CICD_HOME=str(home), RUNNER_TEMP=str(home))
    ways: dict[str, Way] = {
        "ours": lambda: timed([str(CICD), "--version"], env, home),
        "nothing to do": lambda: timed([str(CICD), "setup-env", "--requirements", "none"], env, home),
    }
    node = which("node")
    if node:
        ways["node -e 0"] = lambda: timed([node, "-e", "0"], env, home)
    taken = medians(ways, rounds * 3)
    peers = {"node -e 0": taken["node -e 0"]} if node else {}
    more = {} if node else {"why": "no node here"}
    found = []
    for what, name in (
        ("an action's overhead, second in a job", "ours"),
        ("setup-env that has nothing to do", "nothing to do"),
    ):
        goal = "≤ node" if name == "ours" else ""
        met = taken[name] <= taken["node -e 0"] if node and goal else None
        ratio = {"ratio": round(taken[name] / taken["node -e 0"], 2)} if node else {}
        found.append(row(what, taken[name], "s", goal, met, **{**more, "peers": {**peers, **ratio}}))
    return found


def first(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """The first action of a job, which installs what actions need; nothing is cached on a fresh runner."""
    tools, uv = folder / "tools", Path(sys.executable).parent / "uv"
    tools.mkdir()
    (tools / "uv").symlink_to(uv)
    path = ":".join(part for part in os.environ["PATH"].split(":") if not Path(part, "uv").exists())

    def ours(path: str) -> float:
        with tempfile.TemporaryDirectory(dir=folder) as home:
            env = scrubbed(Path(home), CICD_HOME=home, PATH=path)
            return timed(["python3", "-I", "-S", str(BOOTSTRAP), "--version"], env, Path(home))

    def naive() -> float:
        with tempfile.TemporaryDirectory(dir=folder) as home:
            env, began = scrubbed(Path(home), PATH=path), time.monotonic()
            timed(["python3", "-m", "venv", f"{home}/venv"], env, Path(home))
            timed([f"{home}/venv/bin/python", "-m", "pip", "install", "-q", "-r", str(CORE)], env, Path(home))
            return time.monotonic() - began

    beside = "python -m venv, pip install"
    taken = medians({"uv": lambda: ours(f"{tools}:{path}"), "pip": lambda: ours(path), beside: naive}, rounds)
    return [
        row(
            f"first action of a job, {name}",
            taken[key],
            "s",
            f"≤ {most} s, and < 0.3 of naive",
            taken[key] <= most and taken[key] / taken[beside] < 0.3,
            peers={beside: taken[beside], "ratio": round(taken[key] / taken[beside], 2)},
        )
        for name, key, most in (("uv present", "uv", 1.5), ("pip only", "pip", 4.0))
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
