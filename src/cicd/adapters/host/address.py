"""From what the config says of a host to the host."""

import atexit
from pathlib import Path
from urllib.parse import urlsplit

from cicd.adapters.host import Host
from cicd.adapters.host.local import LocalHost
from cicd.adapters.host.ssh import SshHost
from cicd.adapters.runner import Runner
from cicd.errors import ConfigError


def host_of(
    address: str, runner: Runner, *, identity_file: Path | None = None, known_hosts: Path | None = None
) -> Host:
    """The host of an address: `local`, or `ssh://user@host:port`, whose path, if any, is left to others.

    Args:
        identity_file: our private key; None: as ssh finds it.
        known_hosts: keys of hosts, and no others; None: as ssh finds them.

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
    if (name, identity_file, known_hosts) not in _known:
        made = SshHost(name, runner.env, identity_file=identity_file, known_hosts=known_hosts)
        atexit.register(made.close)
        _known[name, identity_file, known_hosts] = made
    return _known[name, identity_file, known_hosts]


_known: dict[tuple[str, Path | None, Path | None], SshHost] = {}  # one connection for all who ask
