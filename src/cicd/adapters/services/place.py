"""What one server is started with, and as whom."""

import os
import shutil
import socket
from collections.abc import Mapping
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
class Place:
    """What a server is started with. `env` is all of its environment: none of the job's secrets are in it."""

    program: Path
    folder: Path
    password: str = field(repr=False)
    settings: Mapping[str, str]
    env: Mapping[str, str]
    account: Account

    @property
    def log(self) -> Path:
        return self.folder / "server.log"


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


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
