"""Asking an application how it is: one request, one Probe. The only user of requests."""

import time

import requests

from cicd.core.health import Probe

ROUTER_RELEASE = "X-Cicd-Release"


def probe(url: str, *, release_header: str = ROUTER_RELEASE, timeout: float = 2.0) -> Probe:
    """Ask once, on a connection of its own, without following redirects.

    Args:
        url: what to ask.
        release_header: the header that tells the release.
        timeout: seconds for the connection and for each part of the answer.
    """
    started = time.monotonic()
    try:
        answer = requests.get(url, timeout=timeout, allow_redirects=False, headers={"Connection": "close"})
    except requests.RequestException as error:
        return Probe(0, seconds=time.monotonic() - started, error=_short(error))
    return Probe(answer.status_code, answer.headers.get(release_header, ""), time.monotonic() - started)


def _short(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return "the connection was refused" if "refused" in str(error) else type(error).__name__
