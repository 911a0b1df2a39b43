"""The connection to GitHub, for PyGithub: kept from call to call, and no answer is larger than memory should hold.

Only LocalHub, a proxy or a stranger behind GITHUB_API_URL sends more; GitHub's largest are a hundred attestations.
"""

from typing import Any

from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester

from cicd.adapters.http import bounded_session

MOST = 32 * 1024 * 1024  # bytes of an answer


def keep_connections() -> None:
    """Let the next object of PyGithub's read bounded answers, over one session of its own.

    PyGithub makes a connection anew for each call where its class is given; so it is the session that is kept.
    """
    session = bounded_session(MOST)
    session.auth = Requester.noopAuth  # else requests takes a login from ~/.netrc in place of ours

    class Plain(HTTPRequestsConnectionClass):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.session = session

        def close(self) -> None:
            """The next call goes on with it."""

    class Encrypted(HTTPSRequestsConnectionClass):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.session = session

        def close(self) -> None:
            """The next call goes on with it."""

    Requester.injectConnectionClasses(Plain, Encrypted)
