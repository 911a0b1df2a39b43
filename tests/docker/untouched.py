"""What bad input must not do: cost a request, change what runs, or keep the next promotion from its work."""

import contextlib
import itertools
import time
from collections.abc import Iterator

from cicd.core.results import Result
from cicd.errors import CicdError
from tests.docker.shop import Shop
from tests.sweep.swept import Traffic

NUMBERS = itertools.count(1)


@contextlib.contextmanager
def untouched(shop: Shop) -> Iterator[None]:
    """What runs answers each request in here, in the same containers; and nothing is beside it that was not before."""
    before, containers, serving = shop.ask(), shop.running(), shop.serving()
    with lossless(shop):
        yield
    assert shop.ask() == before
    assert shop.serving() == serving
    assert not set(shop.running()) - set(containers)


@contextlib.contextmanager
def lossless(shop: Shop) -> Iterator[None]:
    """No request is lost in here."""
    traffic = Traffic(shop.door())
    with traffic.running(2):
        yield
    assert traffic.sent
    assert traffic.wrong[:3] == []


def refused(shop: Shop, image: str, **inputs: str) -> tuple[int, str]:
    """What a promotion that must fail ends with: its exit code and message."""
    try:
        result = shop.promote(image, **inputs)
    except CicdError as error:
        return error.code, str(error)
    return result.exit_code, result.message


def tells(message: str, *parts: str) -> None:
    """The message has these parts."""
    assert [part for part in parts if part not in message] == [], message


def works(shop: Shop) -> Result:
    """The next promotion: stable, with no request lost."""
    with lossless(shop):
        result = shop.promote(shop.release(f"next-{next(NUMBERS)}"))
    assert result.outputs.get("verdict") == "stable", result.message
    assert shop.ask()[0] == result.outputs["release"]
    return result


def answers(shop: Shop, within: float = 60.0) -> None:
    """Wait until containers that Docker starts again have started."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            shop.ask()
            return
        time.sleep(0.2)
    raise TimeoutError
