"""The example's own compose files, as they are: three releases through three environments, and one back."""

import functools
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from cicd.core.results import Result
from tests.docker.example import ENVIRONMENTS, PASSWORD, Example
from tests.docker.host import Host
from tests.docker.lab import Lab

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(1200)]

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
    with socket.create_connection((users.address, users.port)) as plain, users.trust.wrap_socket(plain) as session:
        tls = session.version() or ""
    told = example.ask(environment, "/health")
    return {"tls": tls, "http": told.http_version, **{name: told.headers[name] for name in HEADERS}}


def say(example: Example, environment: str) -> str:
    """Start a conversation; gives its id."""
    made = example.ask(environment, "/api/v1/conversations", start=True)
    assert made.status_code == 201, made.text
    said = example.ask(environment, f"/api/v1/conversations/{made.json()['id']}/messages", content="Remember this.")
    assert said.status_code == 201, said.text
    return str(made.json()["id"])


def heard(example: Example, environment: str, conversation: str) -> list[str]:
    told = example.ask(environment, f"/api/v1/conversations/{conversation}").json()
    return [one["content"] for one in told["messages"] if one["role"] == "user"]


def under_load(example: Example, environment: str, act: Callable[[], Result]) -> Result:
    """Do something while an environment has users: they lose nothing."""
    with example.users(environment).running() as users:
        done = act()
    assert done.outputs["verdict"] == "stable", example.said.getvalue()
    assert not users.lost, (users.lost, users.sent)
    assert min(users.sent["http1"], users.sent["http2"]) > 0
    return done


def readable_by_others(folder: Path) -> list[str]:
    """What anybody but its owner can get at below a folder of ours."""
    private = [folder, folder / "releases", *folder.glob("releases/*"), *folder.glob("releases/*/*.json")]
    return [str(path) for path in private if path.stat().st_mode & 0o077]


def test_three_releases_through_three_environments_and_one_back(
    tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]]
) -> None:
    example = Example(tmp_path, lab, hosts(4))
    with_edge, conversations = ENVIRONMENTS[1:], {}
    first = example.release(1)
    example.by_hand(first)  # what was deployed so is taken over, with its data
    conversations["staging"] = say(example, "staging")
    for environment in ENVIRONMENTS:
        assert example.promote(environment, first).outputs["verdict"] == "stable", example.said.getvalue()
        assert example.schema(environment) == "0001"
    conversations["production"] = say(example, "production")
    manners = {environment: manner(example, environment) for environment in with_edge}
    stayed = {environment: example.containers(environment) for environment in with_edge}
    assert all((one["tls"], one["http"]) == ("TLSv1.3", "HTTP/2") for one in manners.values())

    releases = []
    for number in (2, 3):
        image = example.release(number)
        example.promote("dev", image)
        for environment in with_edge:
            done = under_load(example, environment, functools.partial(example.promote, environment, image))
        releases.append(done.outputs["release"])
        assert [example.schema(environment) for environment in ENVIRONMENTS] == [f"000{number}"] * 3
        assert example.ask("production", "/").headers["X-Release"] == releases[-1]
    assert example.ask("production", "/api/v1/about").json()["greeting"] == "Welcome! Usage is now shown."

    back = under_load(example, "production", lambda: example.rollback("production"))
    assert back.outputs["release"] == releases[0]
    told = example.ask("production", "/api/v1/about")
    assert (told.headers["X-Release"], told.json()["greeting"]) == (releases[0], "Welcome! What shall we plan?")
    assert [example.schema(environment) for environment in ENVIRONMENTS] == ["0003", "0003", "0002"]
    for environment in with_edge:
        assert heard(example, environment, conversations[environment]) == ["Remember this."]
        assert manner(example, environment) == manners[environment]
        assert example.containers(environment) == stayed[environment]
    assert PASSWORD not in example.said.getvalue()
    assert readable_by_others(example.hosts[2].path("/srv/cicd/assistant-api/production")) == []
