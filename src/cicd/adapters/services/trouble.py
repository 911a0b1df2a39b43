"""What is said of a server that does not get ready: the cause, and the last lines of its log."""

import threading
from pathlib import Path

from cicd.adapters.runner import Runner
from cicd.adapters.services.place import Place
from cicd.core.services import Wanted
from cicd.errors import Interrupted, ServiceFailed

LOG_LINES = 40
TELLING = ("fatal", "error", ">>>", "denied", "no space")


def not_ready(wanted: Wanted, place: Place, stopping: threading.Event, *, ended: bool) -> Exception:
    """Why a server is given up.

    Args:
        ended: whether it has ended by itself.
    """
    if stopping.is_set():
        return Interrupted(f"{wanted} was ended before it was ready")
    telling = [line for line in _tail(place.log) if any(word in line.lower() for word in TELLING)]
    how = "it ended before it answered" if ended else f"it did not answer within {wanted.about.within:g} s"
    return ServiceFailed(
        f"{wanted} did not get ready",
        cause=f"{how}; its log says: {telling[-1].strip()[:400]}" if telling else how,
        next_step=_next_step(wanted, ended=ended),
    )


def _next_step(wanted: Wanted, *, ended: bool) -> str:
    if not wanted.is_described:
        return "read its log above; a setting that it does not know is the usual cause"
    if ended:
        return f"read its log above, and mend services.{wanted.name} in the config"
    return f"read its log above; mend `ready`, or give it more time by services.{wanted.name}.within"


def show_log(wanted: Wanted, place: Place, runner: Runner, *, quiet: bool) -> None:
    for log, title in ((place.log, "its log"), (place.last_answer, "what the question whether it is ready said")):
        lines = _tail(log)
        if lines and not quiet:
            with runner.group(f"{wanted.name}: the last lines of {title}"):
                for line in lines:
                    runner.say(line)


def _tail(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
