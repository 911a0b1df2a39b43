"""`cicd demo`: the whole pipeline on this machine."""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cicd.adapters.act import new_folder
from cicd.adapters.runner import Runner
from cicd.adapters.services.job import Job
from cicd.adapters.together import interruptible
from cicd.demo.figures import figures, machine
from cicd.demo.leaks import leaks
from cicd.demo.stage import Stage, close_stage, open_stage
from cicd.demo.story import Story, Told
from cicd.errors import CicdError, UsageError

ABOUT = """A real service goes dev → staging → production through approvals, under load. Then a broken release comes, is
caught and taken back; then somebody rolls back by hand. The example's own workflow files run (act), LocalHub
answers as GitHub, PostgreSQL, Redis and nginx are real. No account, no Docker; the network is used for the
package index alone."""


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cicd demo", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--board", metavar="FILE", default="cicd-demo-board.html", help="where the board page is kept")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end, until Ctrl-C")
    parser.add_argument("--by-hand", action="store_true", help="approve on the board yourself")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="LocalHub's port (default: a free one)")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Tell the story; 0 when it went as it must, no request was lost, and every count is within its goal."""
    given = options().parse_args(arguments)
    runner = Runner.here()
    runner.stream = sys.stdout
    console = Console(highlight=False, soft_wrap=True, no_color=not runner.is_terminal)
    folder: Path | None = None
    try:
        for file in filter(None, (given.json, given.board)):
            require_writable(Path(file))
        folder = new_folder("cicd-demo-")
        with interruptible():
            return perform(given, runner, console, folder)
    except CicdError as error:
        console.print("[red]✗[/red]", end=" ", markup=True)
        console.print(str(error), markup=False)
        return error.code
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def require_writable(path: Path) -> None:
    """Whether a file can be written is known before two minutes have gone by. Raises UsageError."""
    if path.is_dir() or not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise UsageError(
            f"{path} cannot be written",
            cause="it is a folder" if path.is_dir() else "its folder is not there, or is not yours",
            next_step="give another file, or make its folder first",
        )


def perform(given: argparse.Namespace, runner: Runner, console: Console, folder: Path) -> int:
    started = time.monotonic()

    def show(line: str) -> None:
        console.print(f"{time.monotonic() - started:6.1f} s  {line}", markup=False, style=style(line))

    show("starting PostgreSQL, Redis and LocalHub")
    job = Job(folder / "services", os.getpid(), {"PATH": runner.env.get("PATH", "")})
    job.folder.mkdir(mode=0o700)
    job.watch()
    stage = open_stage(folder, runner, job, given.port)
    try:
        show(f"LocalHub answers at {stage.hub.url} (the board: {stage.hub.url}/board)")
        told = Story(stage, runner, show, approve=not given.by_hand).tell()
        leaked = leaks(stage, told)
        rows = figures(told, leaked, time.monotonic() - started, dict(runner.env))
        finish(given, stage, console, rows, told)
        for place in leaked:
            console.print(f"a secret is in {place}", markup=False)
        if given.keep:
            keep(stage, console)
        # Seconds are shown, not judged: machines differ. What must hold anywhere is what was counted.
        return 0 if all(row["met"] is not False for row in rows if row["unit"] != "s") else 1
    finally:
        close_stage(stage, runner)
        for server in job.running().values():
            job.remove(server)
        job.close_if_empty()


def style(line: str) -> str:
    """Colour by what a line says; a console without colours leaves it out."""
    if "✗" in line:
        return "red"
    return "bold" if line.startswith("▶") else ""


def finish(given: argparse.Namespace, stage: Stage, console: Console, rows: list[dict[str, Any]], told: Told) -> None:
    """The table, the board as a file, and the JSON."""
    Path(given.board).write_text(stage.hub.board(), encoding="utf-8")
    if given.json:
        Path(given.json).write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    table = Table(title=f"Measured in this run on {machine()}")
    for column in ("what", "value", "unit", "goal", "met"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for row in rows:
        met = {True: "yes", False: "NO", None: ""}[row["met"]]
        table.add_row(row["what"], f"{row['value']:g}", row["unit"], row["goal"], met)
    console.print(table)
    for reason, times in told.count.reasons.most_common(5):
        console.print(f"lost {times} × {reason}")
    console.print(f"The board is kept in {given.board}" + (f", the figures in {given.json}" if given.json else ""))


def keep(stage: Stage, console: Console) -> None:
    """Stay until Ctrl-C."""
    console.print(
        f"Everything goes on: board {stage.hub.url}/board, production {stage.url('production')}. Ctrl-C ends it."
    )
    while True:
        time.sleep(3600)
