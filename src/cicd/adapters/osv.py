"""Advisories from OSV's API, several at once, within a limit of time: https://google.github.io/osv.dev/get-v1-vulns/"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from cicd.adapters.http import exchange
from cicd.core.osv import Advisory, read_advisory
from cicd.errors import ReportInvalid

SERVER = "https://api.osv.dev"
MOST = 300  # advisories of one run
AT_ONCE = 8


def advisories(
    wanted: Sequence[Sequence[str]], *, server: str = SERVER, limit: float = 60.0
) -> tuple[dict[str, Advisory], str]:
    """The advisories of these vulnerabilities, and why some are missing (empty: none is).

    Args:
        wanted: the names of each vulnerability; asked for in turn until one has a severity.
        server: where OSV's API is.
        limit: seconds for all of it.
    """
    deadline = time.monotonic() + limit
    unique = list(dict.fromkeys(tuple(names[:4]) for names in wanted if names))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda names: _first_rated(names, server, deadline), unique[:MOST]))
    found = {name: one for some, _ in answers for name, one in some.items()}
    problems = [problem for _, problem in answers if problem]
    problems += [f"more than {MOST} vulnerabilities are not asked for"] if len(unique) > MOST else []
    return found, problems[0] if problems else ""


def _first_rated(names: Sequence[str], server: str, deadline: float) -> tuple[dict[str, Advisory], str]:
    found: dict[str, Advisory] = {}
    for name in names:
        left = deadline - time.monotonic()
        if left <= 0:
            return found, f"{server} did not answer in time"
        try:
            answer = exchange("GET", f"{server}/v1/vulns/{name}", {"accept": "application/json"}, timeout=min(left, 10))
        except OSError as error:
            return found, f"{server} cannot be asked ({type(error).__name__})"
        if answer.status == 200:
            try:
                found[name] = read_advisory(answer.body, name)
            except ReportInvalid as error:
                return found, error.what
            if found[name].vectors or found[name].words:
                return found, ""
        elif answer.status != 404:
            return found, f"{server} answered {answer.status}"
    return found, ""


Lookup = Callable[[Sequence[Sequence[str]]], tuple[dict[str, Advisory], str]]  # advisories, or a fake
