"""PostgreSQL: a new cluster with disposable data, on loopback, with a password (scram)."""

import secrets
from pathlib import Path

from cicd.adapters.process import Completed, run, which
from cicd.adapters.services.place import Place, listens
from cicd.errors import ServiceFailed

PROGRAM = "postgres"
FOLDERS = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin")  # where packages put it, off PATH
VARIABLE = "DATABASE_URL"
PORT_TAKEN = "could not bind"
RESERVED = frozenset({"listen_addresses", "data_directory", "unix_socket_directories", "hba_file", "config_file"})
USER = DATABASE = "postgres"
# Data that is thrown away need not survive a crash of the machine.
DISPOSABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "unix_socket_directories": ""}


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


def answers(place: Place, port: int) -> bool:
    """Whether the server answers a query over TCP to whoever has the password."""
    if not listens(port):
        return False
    query = ["-X", "-w", "-h", "127.0.0.1", "-p", str(port), "-U", USER, "-d", DATABASE, "-tAc", "SELECT 1"]
    env = {**place.env, "PGPASSWORD": place.password, "PGCONNECT_TIMEOUT": "2"}
    done = run([str(_sibling(place, "psql")), *query], env=env, check=False, timeout=10)
    return done.code == 0 and done.output.strip() == "1"


def url(password: str, port: int) -> str:
    return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"


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
