"""What one server is started with, and as whom."""

import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cicd.adapters.process import run, which
from cicd.errors import ServiceFailed

NOBODY = 65534


@dataclass(frozen=True)
class Account:
    """Who a server runs as.

    Attributes:
        prefix: argv that becomes that user and then the program.
        uid: owner of the server's files; None: ourselves.
    """

    prefix: tuple[str, ...] = ()
    uid: int | None = None

    def own(self, *paths: Path) -> None:
        if self.uid is not None:
            for path in paths:
                shutil.chown(path, self.uid, self.uid)


@dataclass(frozen=True)
class Address:
    """Where a server answers, and to whom."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    database: str = ""


@dataclass(frozen=True)
class Place:
    """What a server is started with. `env` is all of its environment: none of the job's secrets are in it.

    Attributes:
        program: the server's.
        folder: its own, for its data and its log.
        project: where the consumer's commands run.
    """

    program: Path
    folder: Path
    password: str = field(repr=False)
    settings: Mapping[str, str]
    env: Mapping[str, str]
    account: Account
    project: Path = Path("/")

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def last_answer(self) -> Path:
        """What the command that asks whether it is ready said last."""
        return self.folder / "ready.log"


@dataclass(frozen=True)
class Contained:
    """What an image is run with: variables, arguments, and a file of settings that its program reads from `path`."""

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    arguments: Sequence[str] = ()
    path: str = ""
    settings: str = field(default="", repr=False)


def unprivileged(path: str) -> Account:
    """An account for servers that refuse root: ourselves, where we are not root.

    Root first tries a user namespace, in which its own files belong to an ordinary user, so that nothing has to change
    owner and no folder above has to be opened; then another user id. Raises ServiceFailed when neither works.
    """
    if os.geteuid() != 0:
        return Account()
    tried = []
    for program, options, uid in (
        ("unshare", ("--user", "--map-user=1000", "--"), None),
        ("setpriv", (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"), NOBODY),
    ):
        found = which(program, path)
        done = run([found, *options, "true"], check=False) if found else None
        if found and done and done.code == 0:
            return Account((found, *options), uid)
        tried.append(f"{program}: {done.output.strip() if done else 'not installed'}")
    raise ServiceFailed(
        "PostgreSQL refuses to run as root, and root cannot become another user here",
        cause="; ".join(tried),
        next_step="run the job as an ordinary user, or install util-linux",
    )


def free_port() -> int:
    """A port that was free just now; whoever starts a server on it must be ready to lose it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(host: str, port: int, keeps: float = 0.0) -> bool:
    """Whether somebody takes a connection.

    Args:
        keeps: seconds for which it must be kept, unless something is said. Docker's proxy takes connections for a port
            on which nothing listens in the container; it closes them when it has tried, a second later at worst.
    """
    try:
        probe = socket.create_connection((host, port), timeout=1)
    except OSError:
        return False
    with probe:
        if not keeps:
            return True
        probe.settimeout(keeps)
        try:
            return probe.recv(1) != b""
        except TimeoutError:
            return True
        except OSError:
            return False
