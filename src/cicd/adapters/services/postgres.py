"""PostgreSQL: a new cluster with disposable data, on loopback, with a password (scram)."""

import secrets
from pathlib import Path
from urllib.parse import quote

from cicd.adapters.migrators.session import version_of as answering_version
from cicd.adapters.process import Completed, run, which
from cicd.adapters.services.place import Address, Contained, Place
from cicd.adapters.tools import version_of
from cicd.errors import ServiceFailed

PROGRAM = "postgres"
FOLDERS = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin")  # where packages put it, off PATH
VARIABLE = "DATABASE_URL"
PORT_TAKEN = "could not bind"
RESERVED = frozenset({"listen_addresses", "data_directory", "unix_socket_directories", "hba_file", "config_file"})
IMAGE = "postgres:{version}"
PORT = 5432
USER = DATABASE = "postgres"
# Data that is thrown away need not survive a crash of the machine.
DISPOSABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "unix_socket_directories": ""}


def version(program: Path) -> tuple[int, ...]:
    return version_of(program)


def prepare(place: Place) -> None:
    """Make the cluster. Its password goes by a file that is removed again. Raises ServiceFailed, ToolMissing.

    TZ is set, for initdb otherwise compares each file of the time zone database with the local time.
    """
    secret = place.folder / f"pw-{secrets.token_hex(4)}"
    secret.touch(mode=0o600)
    secret.write_text(place.password)
    place.account.own(secret, place.folder)
    argv = [str(_sibling(place, "initdb")), f"--pgdata={place.folder / 'data'}", f"--username={USER}"]
    argv += [f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    try:
        done = run([*place.account.prefix, *argv], env=place.env, cwd=place.folder, check=False, timeout=120)
    finally:
        secret.unlink(missing_ok=True)
    if done.code:
        raise _failure(place, done)


def _failure(place: Place, done: Completed) -> ServiceFailed:
    with open(place.log, "a", encoding="utf-8") as log:
        log.write(done.output + "\n")
    return ServiceFailed(
        f"initdb ended with {done.code}",
        cause=next((line for line in reversed(done.output.splitlines()) if "error" in line), "its log says more"),
        next_step="see its last lines above; the temp folder must be writable and reachable by the server's user",
    )


def command(place: Place, port: int) -> list[str]:
    settings = {**DISPOSABLE, **place.settings, "listen_addresses": "127.0.0.1", "port": str(port)}
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    return [str(place.program), "-D", str(place.folder / "data"), *options]


def environ(place: Place, port: int) -> dict[str, str]:
    """It goes by its arguments."""
    return {}


def cwd(place: Place) -> Path:
    return place.folder


def contained(place: Place, port: int) -> Contained:
    """As https://hub.docker.com/_/postgres says."""
    settings = {name: value for name, value in {**DISPOSABLE, **place.settings}.items() if name not in RESERVED}
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    env = {"POSTGRES_USER": USER, "POSTGRES_PASSWORD": place.password, "POSTGRES_DB": DATABASE}
    return Contained({**env, "POSTGRES_INITDB_ARGS": "--encoding=UTF8 --locale=C.UTF-8"}, ("postgres", *options))


def ask(address: Address, place: Place | None = None) -> tuple[int, ...] | None:
    """Whether the server answers a query over TCP to whoever has the password."""
    return answering_version(url(address))


def url(address: Address) -> str:
    user, password = quote(address.user, safe=""), quote(address.password, safe="")
    return f"postgresql://{user}:{password}@{address.host}:{address.port}/{quote(address.database, safe='')}"


def _sibling(place: Place, name: str) -> Path:
    """A program that was installed with the server; PATH's is perhaps of another version."""
    beside = place.program.resolve().parent / name
    if beside.is_file():
        beside.chmod(beside.stat().st_mode | 0o111) if not beside.stat().st_mode & 0o111 else None
        return beside
    found = which(name, place.env["PATH"])
    if found is None:
        raise ServiceFailed(f"There is no `{name}` beside {place.program}", next_step="install the whole of PostgreSQL")
    return Path(found)
