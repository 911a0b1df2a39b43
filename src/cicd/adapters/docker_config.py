"""What Docker knows of registries on this machine: logins (`docker login`), and which may do without TLS."""

import base64
import binascii
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cicd.adapters.process import run
from cicd.core.oci import is_loopback
from cicd.errors import RegistryDenied, ToolMissing

DAEMON = Path("/etc/docker/daemon.json")
IDENTITY = "<token>"  # what a credential helper says for a user when the secret is an identity token


@dataclass(frozen=True)
class Login:
    """Who we are to a registry. `is_identity`: the secret is not a password, but stands for a login made elsewhere."""

    user: str
    secret: str = field(repr=False)
    is_identity: bool = False


def login_of(host: str, env: Mapping[str, str]) -> Login | None:
    """The login that Docker keeps for a registry: by a helper of its own, by the common one, or in the file.

    Raises:
        RegistryDenied: a helper fails, or is not there.
    """
    folder = env.get("DOCKER_CONFIG") or str(Path(env.get("HOME") or Path.home()) / ".docker")
    config = _read(Path(folder) / "config.json")
    helpers = {_host_of(name): helper for name, helper in _section(config, "credHelpers").items()}
    helper = helpers.get(host) or config.get("credsStore")
    if helper and (found := _ask_helper(str(helper), _server(host), env)):
        return found
    for name, entry in _section(config, "auths").items():
        if _host_of(name) == host and isinstance(entry, dict) and (found := _from_file(entry)):
            return found
    return None


def _read(path: Path) -> dict[str, Any]:
    """A JSON file of Docker's; one that is not there, or not JSON, says nothing."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _section(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def _host_of(name: str) -> str:
    """The host of a key, which may be written as a URL: `https://index.docker.io/v1/`."""
    return name.partition("://")[2].partition("/")[0] if "://" in name else name.partition("/")[0]


def _server(host: str) -> str:
    """What a helper calls a registry: its host, but Docker Hub by its old URL."""
    return f"https://{host}/v1/" if host == "index.docker.io" else host


def _from_file(entry: Mapping[str, Any]) -> Login | None:
    try:
        user, _, secret = base64.b64decode(str(entry.get("auth") or "")).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    if identity := entry.get("identitytoken"):
        return Login(user, str(identity), is_identity=True)
    return Login(user, secret.rstrip("\0")) if secret else None


def _ask_helper(name: str, server: str, env: Mapping[str, str]) -> Login | None:
    """https://github.com/docker/docker-credential-helpers: `get`, the server on stdin, JSON on stdout."""
    program = f"docker-credential-{name}"
    try:
        done = run([program, "get"], env=env, stdin=server.encode(), timeout=20, check=False)
    except ToolMissing as error:
        raise _failed(program, server, "it is not there") from error
    if done.code:
        if "credentials not found" in done.output:
            return None
        raise _failed(program, server, done.output.strip()[-300:] or f"it ended with {done.code}")
    try:
        found = json.loads(done.output[done.output.index("{") :])
        user, secret = str(found["Username"]), str(found["Secret"])
    except (ValueError, LookupError, TypeError) as error:  # what it said may hold the secret
        raise _failed(program, server, "it does not answer as a helper does") from error
    return Login(user, secret, is_identity=user == IDENTITY) if secret else None


def _failed(program: str, server: str, why: str) -> RegistryDenied:
    return RegistryDenied(
        f"The login for {server} cannot be had from `{program}`: {why}",
        cause="Docker's config.json names this program as the keeper of its logins",
        next_step=f"see to it that `echo {server} | {program} get` answers, or `docker login` anew",
    )


def may_be_plain(host: str, daemon: Path = DAEMON) -> bool:
    """Whether a registry may be asked without TLS: on loopback, or named in Docker's `insecure-registries`."""
    if is_loopback(host):
        return True
    named = _read(daemon).get("insecure-registries")
    return any(_covers(str(one), host) for one in named) if isinstance(named, list) else False


def _covers(entry: str, host: str) -> bool:
    if entry == host:
        return True
    try:
        return ipaddress.ip_address(host.rpartition(":")[0] or host) in ipaddress.ip_network(entry)
    except ValueError:
        return False
