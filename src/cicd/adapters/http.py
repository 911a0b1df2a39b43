"""Asking an application how it is: one request, one Probe. The only user of requests."""

import time

import requests

from cicd.core.health import PROBE_AGENT, Probe

ROUTER_RELEASE = "X-Cicd-Release"


def probe(url: str, *, release_header: str = ROUTER_RELEASE, timeout: float = 2.0) -> Probe:
    """Ask once, on a connection of its own, without following redirects.

    Args:
        url: what to ask.
        release_header: the header that tells the release.
        timeout: seconds for the connection and for each part of the answer.
    """
    started, headers = time.monotonic(), {"Connection": "close", "User-Agent": PROBE_AGENT}
    try:
        answer = requests.get(url, timeout=timeout, allow_redirects=False, headers=headers)
    except requests.RequestException as error:
        return Probe(0, seconds=time.monotonic() - started, error=_short(error))
    return Probe(answer.status_code, answer.headers.get(release_header, ""), time.monotonic() - started)


def _short(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return "the connection was refused" if "refused" in str(error) else type(error).__name__


def json_request(
    method: str, url: str, token: str, body: object = None, timeout: float = 10.0
) -> tuple[int, dict[str, str], object]:
    """One JSON request with a bearer token; gives status, headers (lower case) and the decoded answer.

    Raises:
        OSError: no answer.
    """
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    answer = requests.request(method, url, json=body, headers=headers, timeout=timeout)
    told = {name.lower(): value for name, value in answer.headers.items()}
    return answer.status_code, told, answer.json() if answer.content else None


def text_request(url: str, timeout: float = 10.0) -> str:
    """The text of a page. Raises OSError."""
    answer = requests.get(url, timeout=timeout, headers={"Accept": "text/html"})
    answer.raise_for_status()
    return answer.text
