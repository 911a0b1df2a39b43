"""The runner that we run on: its variables, its files, its log. The only user of os.environ and of actions-toolkit."""

import contextlib
import os
import secrets
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

Level = Literal["error", "warning", "notice"]
SUMMARY_LIMIT = 1024 * 1024  # bytes; GitHub drops a larger summary whole


@dataclass
class Runner:
    """Where we run: GitHub Actions (or act), or a terminal.

    Attributes:
        env: the environment's variables.
        stream: where messages for people go.
        shell: what was exported, as lines for a shell, where no later step can be told.
    """

    env: Mapping[str, str]
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    shell: list[str] = field(default_factory=list)

    @classmethod
    def here(cls) -> "Runner":
        """The runner of this process. Under Actions everything goes to stdout, so that order is kept."""
        env = dict(os.environ)
        return cls(env, sys.stdout if env.get("GITHUB_ACTIONS") == "true" else sys.stderr)

    @property
    def is_actions(self) -> bool:
        return self.env.get("GITHUB_ACTIONS") == "true"

    @property
    def is_terminal(self) -> bool:
        """Whether colours and a live display are wanted: a terminal, and neither Actions nor NO_COLOR."""
        return self.stream.isatty() and not self.is_actions and not self.env.get("NO_COLOR")

    @property
    def temp(self) -> Path:
        """A folder for this job's files."""
        return Path(self.env.get("RUNNER_TEMP") or tempfile.gettempdir())

    @property
    def repository(self) -> str:
        """`owner/name`, or empty outside of Actions."""
        return self.env.get("GITHUB_REPOSITORY", "")

    @property
    def run_id(self) -> str:
        return self.env.get("GITHUB_RUN_ID", "")

    @property
    def sha(self) -> str:
        return self.env.get("GITHUB_SHA", "")

    @property
    def event(self) -> str:
        """Name of the event that started the run; empty outside of a workflow."""
        return self.env.get("GITHUB_EVENT_NAME", "")

    @property
    def actor(self) -> str:
        return self.env.get("GITHUB_ACTOR", "")

    @property
    def api_url(self) -> str:
        return self.env.get("GITHUB_API_URL") or "https://api.github.com"

    @property
    def run_url(self) -> str:
        """The page of this run, or empty."""
        server = self.env.get("GITHUB_SERVER_URL", "")
        return f"{server}/{self.repository}/actions/runs/{self.run_id}" if server and self.run_id else ""

    def say(self, message: str) -> None:
        """One line for people."""
        print(message, file=self.stream, flush=True)

    @contextlib.contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Lines that belong together; folded in the log of a job."""
        if not self.is_actions:
            self.say(title)
            yield
            return
        core = _core()
        core.start_group(title)
        sys.stdout.flush()
        try:
            yield
        finally:
            core.end_group()
            sys.stdout.flush()

    @contextlib.contextmanager
    def verbatim(self) -> Iterator[None]:
        """Lines of others go by. A test may print `::add-mask::` or `::error::`, by malice or because it tests such a
        thing; between these two lines, whose token nobody can guess, the runner takes no line for a command."""
        if not self.is_actions:
            yield
            return
        token = secrets.token_hex(16)
        self.say(f"::stop-commands::{token}")
        try:
            yield
        finally:
            self.say(f"::{token}::")

    def annotate(self, level: Level, message: str, *, file: str = "", line: int = 0, title: str = "") -> None:
        """A message that the run's page shows; on a file's line if given."""
        if not self.is_actions:
            where = f"{file}:{line}: " if file else ""
            self.say(f"{level}: {where}{title + ': ' if title else ''}{message}")
            return
        given = {"title": title, "file": file, "line": line}  # core.error() would write those that are empty, too
        _core().issue_command(level, {name: value for name, value in given.items() if value}, message)
        sys.stdout.flush()

    def mask(self, secret: str) -> None:
        """Keep a value, and each of its lines, out of the log from here on."""
        if self.is_actions:
            for line in {secret, *secret.splitlines()}:
                if line.strip():
                    _core().set_secret(line)
            sys.stdout.flush()

    def output(self, name: str, value: str) -> None:
        """Set an output of the action; outside of Actions there is nobody to read it."""
        if self.is_actions and self.env.get("GITHUB_OUTPUT"):
            _core().set_output(name, value)

    def export(self, name: str, value: str) -> None:
        """Set a variable for the later steps of the job."""
        if self.is_actions and self.env.get("GITHUB_ENV"):
            _core().export_variable(name, value)
        if not self.is_actions:
            self.shell.append(f"export {name}={shlex.quote(value)}")

    def add_path(self, folder: Path) -> None:
        """Put a folder before PATH for the later steps of the job."""
        if self.is_actions and self.env.get("GITHUB_PATH"):
            _core().add_path(str(folder))
        if not self.is_actions:
            self.shell.append(f'export PATH={shlex.quote(str(folder))}:"$PATH"')

    def summary(self, markdown: str) -> None:
        """Append to the job's summary; cut at a line's end where the whole would be dropped as too large."""
        path = self.env.get("GITHUB_STEP_SUMMARY")
        if not path or not markdown:
            return
        written = Path(path).stat().st_size if Path(path).exists() else 0
        text = fit(markdown.rstrip() + "\n\n", SUMMARY_LIMIT - written)
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)


def fit(text: str, limit: int) -> str:
    """`text`, or its leading whole lines with a note, such that it has at most `limit` bytes in UTF-8."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    note = "\n… cut: the summary is full. The whole is in the job's log.\n"
    room = limit - len(note.encode())
    if room <= 0:
        return ""
    kept = encoded[:room].decode(errors="ignore")
    return kept[: kept.rfind("\n") + 1] + note


def _core() -> Any:
    """actions-toolkit, imported when first needed: it costs 0.1 s."""
    from actions_toolkit import core

    return core
