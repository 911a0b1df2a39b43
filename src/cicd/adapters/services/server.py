"""Bringing up one server from the quickest source that there is, or taking away all of it."""

import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cicd.adapters.ports import require_free
from cicd.adapters.process import TRACKING, ProcessId, find, spawn
from cicd.adapters.runner import Runner
from cicd.adapters.services import Started, service_of
from cicd.adapters.services import place as places
from cicd.adapters.services.described import values_of
from cicd.adapters.services.job import MARK, Job, Server
from cicd.adapters.services.place import Account, Address, Place
from cicd.adapters.services.sources import Source, find_source
from cicd.adapters.services.trouble import not_ready, show_log
from cicd.core.service_texts import fill
from cicd.core.services import Wanted
from cicd.errors import PortInUse, UsageError

ATTEMPTS = 5  # to get a port that nobody takes between our look and the server's
NEEDS_ORDINARY_USER = {"postgres"}


def check_settings(wanted: Wanted) -> None:
    """Raises UsageError for a setting that is ours, or a port that is none."""
    for name, value in wanted.settings.items():
        if name in service_of(wanted).RESERVED:
            raise UsageError(
                f"The setting `{wanted.name}.{name}` is made by setup-env",
                next_step="leave it out; only `port` can be chosen",
            )
        if name == "port" and not (value.isdecimal() and 0 < int(value) < 65536):
            raise UsageError(f"`{wanted.name}.port={value}` is no port", next_step="write a number from 1 to 65535")


def start(wanted: Wanted, job: Job, runner: Runner, stopping: threading.Event) -> Server:
    """Bring up a server and wait until it answers a query. What fails leaves neither process nor data.

    Args:
        stopping: set when the others of this call have failed: give up.

    Raises:
        ServiceFailed, PortInUse, ToolMissing, UsageError.
    """
    began = time.monotonic()
    check_settings(wanted)
    source = find_source(wanted, job, runner)
    ordinary = source.name != "container" and wanted.name in NEEDS_ORDINARY_USER
    account = places.unprivileged(runner.env.get("PATH", "")) if ordinary else Account()
    password = secrets.token_hex(16)
    runner.mask(password)
    place = place_of(wanted, source, job, runner, account, password)
    try:
        source.service.prepare(place)
        process, address, version = _run(wanted, source.service, place, job, stopping)
    except BaseException as error:
        show_log(wanted, place, runner, quiet=stopping.is_set() or isinstance(error, PortInUse))
        job.clear(place.folder)
        raise
    url = source.service.url(address)
    server = Server(
        name=wanted.name,
        version=source.version or version,
        source=source.name,
        settings=dict(wanted.settings),
        port=address.port,
        url=url,
        password=password,
        folder=str(place.folder),
        pid=process.pid,
        started=process.started,
        seconds=round(time.monotonic() - began, 3),
        about=wanted.about,
        asked=wanted.version,
        variables=variables(wanted, source.service, address, str(place.folder / "data")),
    )
    job.add(server)
    return server


def place_of(wanted: Wanted, source: Source, job: Job, runner: Runner, account: Account, password: str) -> Place:
    """A new folder, and what else a server is started with."""
    folder = job.new_folder(wanted.name, account)
    return Place(
        program=source.program,
        folder=folder,
        password=password,
        settings={name: value for name, value in wanted.settings.items() if name != "port"},
        env={**server_env(runner.env), MARK: str(folder)},
        account=account,
        project=job.project,
    )


def variables(wanted: Wanted, service: Started, address: Address, data: str = "") -> dict[str, str]:
    """What the job's later steps get of a server."""
    url = service.url(address)
    values = values_of(wanted, address, data, url)
    own = {service.VARIABLE: url} if service.VARIABLE else {}
    return {**own, **{name: fill(text, values) for name, text in wanted.about.exports.items()}}


def server_env(env: Mapping[str, str]) -> dict[str, str]:
    """What a server gets to see of the job's variables: nothing that may be secret.

    The tracking id stays, so that GitHub's runner ends the server with the job.
    """
    kept = {name: env[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR", TRACKING) if env.get(name)}
    return {"PATH": "/usr/bin:/bin", **kept, "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}


def _run(
    wanted: Wanted, service: Started, place: Place, job: Job, stopping: threading.Event
) -> tuple[ProcessId, Address, tuple[int, ...]]:
    """Start the server on a port of its own, again on another one if somebody was quicker."""
    fixed = int(wanted.settings.get("port", "0"))
    for _ in range(1 if fixed else ATTEMPTS):
        port = fixed or places.free_port()
        if fixed:
            _require_free(fixed, wanted)
        address = Address("127.0.0.1", port, service.USER, place.password, service.DATABASE)
        argv = [*place.account.prefix, *service.command(place, port)]
        mark = place.log.stat().st_size if place.log.exists() else 0
        env = {**place.env, **service.environ(place, port)}
        process = spawn(argv, env=env, cwd=service.cwd(place), log=place.log)
        job.note(process)
        try:
            version = _ready(lambda: service.ask(address, place), process, wanted.about.within, stopping)  # noqa: B023
            if version is not None:
                return process, address, version
        except BaseException:
            job.end(process, place.folder)
            raise
        ended = find(process) is None
        job.end(process, place.folder)
        if not re.search(service.PORT_TAKEN, _since(place.log, mark)):
            break
    raise not_ready(wanted, place, stopping, ended=ended)


def _ready(
    ask: Callable[[], tuple[int, ...] | None], process: ProcessId, patience: float, stopping: threading.Event
) -> tuple[int, ...] | None:
    """What it answers; None when it ends, or `patience` seconds are over, before it does."""
    deadline = time.monotonic() + patience
    while find(process) and time.monotonic() < deadline and not stopping.is_set():
        version = ask()
        if version is not None:
            return version if find(process) else None
        time.sleep(0.01)
    return None


def _require_free(port: int, wanted: Wanted) -> None:
    try:
        require_free(port, f"{wanted.name}.port")
    except PortInUse as error:
        raise PortInUse(
            error.what, cause=error.cause, next_step=f"leave `{wanted.name}.port` out: a free one is chosen then"
        ) from error


def _since(log: Path, mark: int) -> str:
    with open(log, "rb") as file:
        file.seek(mark)
        return file.read().decode(errors="replace")
