"""Redis: nothing kept on disk, on loopback, with a password."""

import socket

from cicd.adapters.services.place import Place

PROGRAM = "redis-server"
FOLDERS: tuple[str, ...] = ()
VARIABLE = "REDIS_URL"
PORT_TAKEN = "Address already in use"
RESERVED = frozenset({"bind", "dir", "requirepass", "daemonize", "include", "logfile"})


def prepare(place: Place) -> None:
    """Redis makes its own data."""


def command(place: Place, port: int) -> list[str]:
    """The settings go by a file: among them is the password, and argv can be read by everybody."""
    ours = {"save": '""', "appendonly": "no", **{name: value or '""' for name, value in place.settings.items()}}
    fixed = {"bind": "127.0.0.1", "port": str(port), "dir": _quoted(str(place.folder)), "daemonize": "no"}
    lines = [f"{name} {value}" for name, value in {**ours, **fixed, "requirepass": place.password}.items()]
    path = place.folder / "redis.conf"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n")
    place.account.own(path)
    return [str(place.program), str(path)]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def answers(place: Place, port: int) -> bool:
    """Whether the server answers PING over TCP to whoever has the password."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.settimeout(2)
            connection.sendall(f"AUTH {place.password}\r\nPING\r\n".encode())
            with connection.makefile("rb") as lines:
                return lines.readline() == b"+OK\r\n" and lines.readline() == b"+PONG\r\n"
    except OSError:
        return False


def url(password: str, port: int) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"
