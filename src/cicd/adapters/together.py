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


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT and SIGTERM raise Interrupted, once: what then cleans up is not disturbed by the next one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(
            f"{signal.Signals(number).name} arrived", cause="the job was cancelled", next_step="run it again"
        )

    handlers = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
