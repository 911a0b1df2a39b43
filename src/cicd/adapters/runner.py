"""The runner that we run on: its variables, its files, its log. The only user of os.environ and of actions-toolkit."""

import contextlib
import io
import os
import re
import secrets
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

from cicd.adapters.bounded_file import read_bounded
from cicd.core.release import spellings

Level = Literal["error", "warning", "notice"]
SUMMARY_LIMIT = 1024 * 1024  # bytes; GitHub drops a larger summary whole
# What the runner takes for a command: `::` after white space at a line's begin, and `##[` anywhere.
# https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
COMMAND = re.compile(r"(^|[\r\n])([^\S\r\n]*[\ufeff\u200b]*[^\S\r\n]*)::")
OLD_COMMAND = re.compile(r"##(?=\[)")


@dataclass
class Runner:
    """Where we run: GitHub Actions (or act), or a terminal.

    Attributes:
        env: the environment's variables.
        stream: where messages for people go.
        shell: what was exported, as lines for a shell, where no later step can be told.
        token: GitHub's, of this job; empty: there is none.
        ssh_key, known_hosts: with which hosts are reached by ssh; empty: as ssh finds them.
        summary_at: bytes of the job's summary that come before ours.
    """

    env: Mapping[str, str]
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    shell: list[str] = field(default_factory=list)
    token: str = field(default="", repr=False)
    ssh_key: str = field(default="", repr=False)
    known_hosts: str = ""
    summary_at: int = 0
    _commands_stopped: bool = False

    @classmethod
    def here(cls) -> "Runner":
        """The runner of this process. Under Actions everything goes to stdout, so that order is kept."""
        env = dict(os.environ)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # what cannot be written does not end a deployment
        summary = Path(env.get("GITHUB_STEP_SUMMARY", ""))
        written = summary.stat().st_size if summary.is_file() else 0
        return cls(env, sys.stdout if env.get("GITHUB_ACTIONS") == "true" else sys.stderr, summary_at=written)

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
        """Lines for people, which may have been written by others: none of them is a command to the runner."""
        self._write(message if self._commands_stopped or not self.is_actions else harmless(message))

    def tell(self, text: str) -> None:
        """Lines for programs, on stdout."""
        with listened_to(sys.stdout):
            print(text.replace("##[", "##\\u005b") if self.is_actions else text, flush=True)

    def _write(self, line: str) -> None:
        with listened_to(self.stream):
            print(line, file=self.stream, flush=True)

    @contextlib.contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Lines that belong together; folded in the log of a job."""
        if not self.is_actions:
            self.say(title)
            yield
            return
        core = _core()
        with listened_to(sys.stdout):
            core.start_group(title)
            sys.stdout.flush()
        try:
            yield
        finally:
            with listened_to(sys.stdout):
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
        self._write(f"::stop-commands::{token}")
        self._commands_stopped = True
        try:
            yield
        finally:
            self._commands_stopped = False
            self._write(f"::{token}::")

    def annotate(self, level: Level, message: str, *, file: str = "", line: int = 0, title: str = "") -> None:
        """A message that the run's page shows; on a file's line if given."""
        if not self.is_actions:
            where = f"{file}:{line}: " if file else ""
            self.say(f"{level}: {where}{title + ': ' if title else ''}{message}")
            return
        given = {"title": title, "file": file, "line": line}  # core.error() would write those that are empty, too
        with listened_to(sys.stdout):
            _core().issue_command(level, {name: value for name, value in given.items() if value}, message)
            sys.stdout.flush()

    def mask(self, secret: str) -> None:
        """Keep a value, its parts and its other spellings out of the log from here on."""
        if self.is_actions:
            with listened_to(sys.stdout):
                for spelling in spellings(secret):
                    _core().set_secret(spelling)
                sys.stdout.flush()

    def output(self, name: str, value: str) -> None:
        """Set an output of the action; outside of Actions there is nobody to read it. Raises OSError."""
        if self._has("GITHUB_OUTPUT"):
            _core().set_output(name, value)

    def export(self, name: str, value: str) -> None:
        """Set a variable for the later steps of the job."""
        if self._has("GITHUB_ENV"):
            _core().export_variable(name, value)
        if not self.is_actions:
            self.shell.append(f"export {name}={shlex.quote(value)}")

    def add_path(self, folder: Path) -> None:
        """Put a folder before PATH for the later steps of the job."""
        if self._has("GITHUB_PATH"):
            _core().add_path(str(folder))
        if not self.is_actions:
            self.shell.append(f'export PATH={shlex.quote(str(folder))}:"$PATH"')

    def _has(self, variable: str) -> bool:
        """Whether the runner gives us this file. Raises FileNotFoundError where it names one that is not there."""
        path = self.env.get(variable) if self.is_actions else ""
        if path and not Path(path).is_file():
            raise FileNotFoundError(f"{variable} names {path}, which is no file")
        return bool(path)

    def summary(self, markdown: str) -> None:
        """Add to the job's summary, where it ended when we began: what tests have written since then follows, and can
        neither hide ours nor take its room. Cut at a line's end, for GitHub drops what is too large as a whole.

        Raises OSError.
        """
        path = Path(self.env.get("GITHUB_STEP_SUMMARY", ""))
        if not path.name or not markdown:
            return
        if path.exists() and not path.is_file():
            raise FileNotFoundError(f"GITHUB_STEP_SUMMARY names {path}, which is no file")
        written = read_bounded(path, 64 * SUMMARY_LIMIT) if path.exists() else b""
        before, after = written[: self.summary_at], written[self.summary_at :]
        ours = fit(markdown.rstrip() + "\n\n", SUMMARY_LIMIT - len(before)).encode()
        theirs = fit(after.decode(errors="replace"), SUMMARY_LIMIT - len(before) - len(ours)).encode()
        path.write_bytes(before + ours + theirs)
        self.summary_at = len(before) + len(ours)


def harmless(text: str) -> str:
    """`text` without commands to the runner: `: :` for `::` where a line begins, `# #[` for `##[`."""
    return OLD_COMMAND.sub("# #", COMMAND.sub(r"\1\2: :", text))


@contextlib.contextmanager
def listened_to(stream: TextIO) -> Iterator[None]:
    """That nobody reads a stream any more, as after `| head`, or that a log's disk is full, ends no deployment."""
    try:
        yield
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            silence(stream)


def silence(stream: TextIO) -> None:
    """Have what is written to a stream from now on go nowhere, what still waits to be written included.

    Raises OSError, or ValueError where no file is behind it.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)


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
