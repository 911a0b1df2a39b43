"""Several things at once, all or nothing: when one fails or a signal comes, what the others have started is ended."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from types import FrameType
from typing import Any

import psutil

from cicd.errors import Interrupted

Task = Callable[[], Any]


def together(tasks: Mapping[str, Task], stopping: threading.Event) -> dict[str, Any]:
    """Run tasks side by side; their results by name.

    The first error ends the rest: `stopping` is set, the processes that were started here get SIGTERM and later
    SIGKILL, and when every task has returned the error is raised.
    """
    if not tasks:
        return {}
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with ThreadPoolExecutor(len(tasks)) as pool:
        futures = {pool.submit(task): name for name, task in tasks.items()}
        try:
            return {futures[future]: future.result() for future in as_completed(futures)}
        except BaseException:
            stopping.set()
            rounds = 0
            while wait(futures, timeout=0.1).not_done:
                _end_children(before, kill=rounds > 20)
                rounds += 1
            raise


def _end_children(before: set[int], *, kill: bool) -> None:
    for child in psutil.Process().children(recursive=True):
        if child.pid not in before:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill() if kill else child.terminate()


SIGNALS = tuple(one for one in signal.Signals if one.name in ("SIGINT", "SIGTERM", "SIGHUP"))  # Windows has no SIGHUP
_noted: list[int] = []  # signals that came behind a shield


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise Interrupted, once: what then cleans up is not disturbed by the next one.

    One that came while a shield was up is raised at once.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(
            f"{signal.Signals(number).name} arrived", cause="the job was cancelled", next_step="run it again"
        )

    with _handled_by(interrupt):
        if _noted:
            interrupt(_noted.pop(), None)
        yield


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """No signal cuts in, for what must come to its end once it is begun; `interruptible` within it opens the shield."""
    with _handled_by(lambda number, frame: _noted.append(number)):
        yield
    _noted.clear()


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """The signals have this handler for a while; only a process's main thread can say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
