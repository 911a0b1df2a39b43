"""From what the config says of a host to the host."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from cicd.adapters.host import Host
from cicd.adapters.host.local import LocalHost
from cicd.adapters.host.ssh import SshHost
from cicd.adapters.runner import Runner
from cicd.errors import ConfigError


def host_of(address: str, runner: Runner) -> Host:
    """The host of an address: `local`, or `ssh://user@host:port`, whose path, if any, is left to others.

    Raises:
        ConfigError: an address that ssh would misunderstand.
    """
    if address == "local":
        return LocalHost(runner.env)
    parts = urlsplit(address)
    host, user = parts.hostname or "", parts.username or ""
    if parts.scheme != "ssh" or not host or host.startswith("-") or user.startswith("-") or parts.password:
        raise ConfigError(
            f"{address!r} is no host",
            next_step="write `local` or `ssh://user@host:port` under environments.<name>.hosts",
        )
    name = f"ssh://{parts.netloc}"
    known = (name, runner.ssh_key, runner.known_hosts)
    if known not in _known:
        given = {"identity_file": runner.ssh_key.strip() + "\n", "known_hosts": runner.known_hosts.strip() + "\n"}
        files = {option: _private_file(text) for option, text in given.items() if text.strip()}
        _known[known] = SshHost(name, runner.env, **files)
        atexit.register(_known[known].close)
    return _known[known]


_known: dict[tuple[str, str, str], SshHost] = {}  # one connection for all who ask in the same way


def _private_file(text: str) -> Path:
    """A file that nobody else can read, until we end: ssh takes no key in another way."""
    folder = Path(tempfile.mkdtemp(prefix="cicd-ssh-"))  # 0700
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "file"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path
