"""Redis: nothing kept on disk, on loopback, with a password."""

import re
import socket
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from cicd.adapters.services.place import Address, Contained, Place
from cicd.adapters.tools import version_of

PROGRAM = "redis-server"
FOLDERS: tuple[str, ...] = ()
VARIABLE = "REDIS_URL"
PORT_TAKEN = "Address already in use"
IMAGE = "redis:{version}"
PORT = 6379
USER = DATABASE = ""
CONFIG = "/tmp/redis.conf"  # noqa: S108 - in a container of its own
RESERVED = frozenset({"bind", "dir", "requirepass", "daemonize", "include", "logfile"})


def version(program: Path) -> tuple[int, ...]:
    return version_of(program)


def prepare(place: Place) -> None:
    """Redis makes its own data."""


def command(place: Place, port: int) -> list[str]:
    """The settings go by a file: among them is the password, and argv can be read by everybody."""
    path = place.folder / "redis.conf"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(_config(place, {"bind": "127.0.0.1", "port": str(port), "dir": _quoted(str(place.folder))}))
    place.account.own(path)
    return [str(place.program), str(path)]


def _config(place: Place, fixed: dict[str, str]) -> str:
    ours = {"save": '""', "appendonly": "no", **{name: value or '""' for name, value in place.settings.items()}}
    last = {"daemonize": "no", "requirepass": place.password}
    return "".join(f"{name} {value}\n" for name, value in {**ours, **fixed, **last}.items())


def environ(place: Place, port: int) -> dict[str, str]:
    """It goes by its file."""
    return {}


def cwd(place: Place) -> Path:
    return place.folder


def contained(place: Place, port: int) -> Contained:
    settings = _config(place, {"bind": "0.0.0.0", "port": str(PORT)})  # noqa: S104 - of its container
    return Contained({}, ("redis-server", CONFIG), CONFIG, settings)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def ask(address: Address, place: Place | None = None) -> tuple[int, ...] | None:
    """Whether the server answers PING over TCP to whoever has the password, and the version that INFO says."""
    login = [b"AUTH", *([address.user.encode()] if address.user else []), address.password.encode()]
    asked = [*([login] if address.password else []), [b"PING"], [b"INFO", b"server"]]
    try:
        with socket.create_connection((address.host, address.port), timeout=1) as connection:
            connection.settimeout(2)
            connection.sendall(b"".join(map(_request, asked)))
            with connection.makefile("rb") as lines:
                if address.password and lines.readline() != b"+OK\r\n":
                    return None
                return _version(lines) if lines.readline() == b"+PONG\r\n" else None
    except (OSError, ValueError):
        return None


def _request(words: list[bytes]) -> bytes:
    """As https://redis.io/docs/latest/develop/reference/protocol-spec/ has it, so that a word may be anything."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _version(lines: BinaryIO) -> tuple[int, ...]:
    """Raises ValueError."""
    told = lines.read(min(int(lines.readline()[1:]), 65536)).decode(errors="replace")  # `$` and how many bytes come
    found = re.search(r"^redis_version:([\d.]+)", told, re.MULTILINE)
    return tuple(int(part) for part in found[1].split(".") if part) if found else ()


def url(address: Address) -> str:
    login = f"{quote(address.user, safe='')}:{quote(address.password, safe='')}@" if address.password else ""
    return f"redis://{login}{address.host}:{address.port}/0"
