"""Bringing up one server, until it answers a query, or taking away all of it."""

import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cicd.adapters.ports import require_free
from cicd.adapters.process import TRACKING, ProcessId, find, spawn
from cicd.adapters.runner import Runner
from cicd.adapters.services import SERVICES
from cicd.adapters.services import place as places
from cicd.adapters.services.job import Job, Server, end_server
from cicd.adapters.services.place import Account, Place
from cicd.adapters.services.programs import find_program
from cicd.core.services import Wanted
from cicd.errors import Interrupted, PortInUse, ServiceFailed, UsageError

ATTEMPTS = 5  # to get a port that nobody takes between our look and the server's
PATIENCE = 60.0  # seconds until ready
LOG_LINES = 40
NEEDS_ORDINARY_USER = {"postgres"}


def check_settings(wanted: Wanted) -> None:
    """Raises UsageError for a setting that is ours, or a port that is none."""
    for name, value in wanted.settings.items():
        if name in SERVICES[wanted.name].RESERVED:
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
        ServiceFailed, PortInUse, ToolMissing.
    """
    began = time.monotonic()
    check_settings(wanted)
    program = find_program(wanted, runner)
    account = places.unprivileged(runner.env.get("PATH", "")) if wanted.name in NEEDS_ORDINARY_USER else Account()
    password = secrets.token_hex(16)
    runner.mask(password)
    place = Place(
        program=program.path,
        folder=job.new_folder(wanted.name, account),
        password=password,
        settings={name: value for name, value in wanted.settings.items() if name != "port"},
        env=server_env(runner.env),
        account=account,
    )
    try:
        SERVICES[wanted.name].prepare(place)
        process, port = _run(wanted, place, job, stopping)
    except BaseException as error:
        _show_log(wanted, place, runner, quiet=stopping.is_set() or isinstance(error, PortInUse))
        shutil.rmtree(place.folder, ignore_errors=True)
        raise
    server = Server(
        name=wanted.name,
        version=program.version,
        source=program.source,
        settings=dict(wanted.settings),
        port=port,
        url=SERVICES[wanted.name].url(password, port),
        password=password,
        folder=str(place.folder),
        pid=process.pid,
        started=process.started,
        seconds=round(time.monotonic() - began, 3),
    )
    job.add(server)
    return server


def server_env(env: Mapping[str, str]) -> dict[str, str]:
    """What a server gets to see of the job's variables: nothing that may be secret.

    The tracking id stays, so that GitHub's runner ends the server with the job.
    """
    kept = {name: env[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR", TRACKING) if env.get(name)}
    return {"PATH": "/usr/bin:/bin", **kept, "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}


def _run(wanted: Wanted, place: Place, job: Job, stopping: threading.Event) -> tuple[ProcessId, int]:
    """Start the server on a port of its own, again on another one if somebody was quicker."""
    service = SERVICES[wanted.name]
    fixed = int(wanted.settings.get("port", "0"))
    for _ in range(1 if fixed else ATTEMPTS):
        port = fixed or places.free_port()
        if fixed:
            _require_free(fixed, wanted)
        argv = [*place.account.prefix, *service.command(place, port)]
        mark = place.log.stat().st_size if place.log.exists() else 0
        process = spawn(argv, env=place.env, cwd=place.folder, log=place.log)
        job.note(process)
        try:
            if _ready(lambda: service.answers(place, port), process, stopping):  # noqa: B023 - called at once
                return process, port
        except BaseException:
            end_server(process)
            raise
        end_server(process)
        if service.PORT_TAKEN not in _since(place.log, mark):
            break
    raise _why(wanted, place, stopping)


def _ready(answers: Callable[[], bool], process: ProcessId, stopping: threading.Event) -> bool:
    deadline = time.monotonic() + PATIENCE
    while find(process) and time.monotonic() < deadline and not stopping.is_set():
        if answers():
            return find(process) is not None
        time.sleep(0.01)
    return False


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


def _why(wanted: Wanted, place: Place, stopping: threading.Event) -> Exception:
    if stopping.is_set():
        return Interrupted(f"{wanted.name} was ended before it was ready")
    telling = [line for line in _tail(place.log) if any(word in line.lower() for word in ("fatal", "error", ">>>"))]
    return ServiceFailed(
        f"{wanted} did not get ready",
        cause=telling[-1] if telling else f"it did not answer within {PATIENCE:g} s",
        next_step="read its log above; a setting that it does not know is the usual cause",
    )


def _show_log(wanted: Wanted, place: Place, runner: Runner, *, quiet: bool) -> None:
    lines = _tail(place.log)
    if lines and not quiet:
        with runner.group(f"{wanted.name}: the last lines of its log"):
            for line in lines:
                runner.say(line)


def _tail(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
