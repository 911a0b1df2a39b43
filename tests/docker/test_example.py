"""The example's own compose files, as they are: three releases through three environments, and one back."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docker.example import ENVIRONMENTS, Example
from tests.docker.host import Host
from tests.docker.lab import Lab

pytestmark = pytest.mark.real

HEADERS = (
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "content-security-policy",
)


def manner(example: Example, environment: str) -> dict[str, str]:
    """How an environment's edge speaks to the world."""
    users = example.users(environment)
    with ssl.create_connection((users.address, users.port)) as plain, users.trust.wrap_socket(plain) as socket:
        tls = socket.version() or ""
    told = example.ask(environment, "/health")
    return {"tls": tls, "http": told.http_version, **{name: told.headers[name] for name in HEADERS}}


def test_three_releases_through_three_environments_and_one_back(
    tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]]
) -> None:
    example = Example(tmp_path, lab, hosts(4))
    ids = []
    for number in (1, 2, 3):
        image = example.release(number)
        for environment in ENVIRONMENTS:
            done = example.promote(environment, image)
            assert done.outputs["verdict"] == "stable", example.said.getvalue()
            assert example.schema(environment) == f"000{number}"
