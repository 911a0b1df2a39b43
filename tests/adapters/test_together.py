import os
import signal
import sys
import threading
import time

import pytest

from cicd.adapters.process import run
from cicd.adapters.together import interruptible, together
from cicd.errors import Interrupted

pytestmark = pytest.mark.real  # starts programs to end

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_results_by_name() -> None:
    assert together({"a": lambda: 1, "b": lambda: 2}, threading.Event()) == {"a": 1, "b": 2}
    assert together({}, threading.Event()) == {}


def fail() -> None:
    time.sleep(0.3)
    raise ValueError("the first")


def test_one_failure_ends_what_the_others_have_started() -> None:
    stopping, ended = threading.Event(), []
    started = time.monotonic()
    with pytest.raises(ValueError, match="the first"):
        together({"slow": lambda: ended.append(run(SLEEP, check=False).code), "bad": fail}, stopping)
    assert stopping.is_set()
    assert ended == [-signal.SIGTERM]
    assert time.monotonic() - started < 20


def test_a_signal_ends_them_too_and_the_next_one_is_ignored() -> None:
    before, ended = signal.getsignal(signal.SIGTERM), []
    threading.Timer(0.4, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()

    def interrupted() -> None:
        with interruptible():
            try:
                together({"slow": lambda: ended.append(run(SLEEP, check=False).code)}, threading.Event())
            finally:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="SIGTERM arrived"):
        interrupted()
    assert ended == [-signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before
