import json
from typing import Any

import pytest
from hypothesis import given as generated
from hypothesis import strategies

from cicd.core.config import Service
from cicd.core.given_services import filled, given_server, is_near, read_containers, why_not
from cicd.core.services import Wanted
from cicd.errors import UsageError

POSTGRES = Wanted("postgres", "18")


def told(**containers: Any) -> str:
    return json.dumps(containers)


def test_by_the_runner() -> None:
    """As it tells it to a job on the machine, and to one in a container."""
    found = given_server(POSTGRES, 5432, told(postgres={"id": "abc", "ports": {"5432": "32768"}}), {})
    assert found
    assert found.addresses == (("127.0.0.1", 32768), ("postgres", 5432))
    assert found.container == "abc"
    inside = given_server(POSTGRES, 5432, told(postgres={"id": "abc", "ports": {}, "network": "n"}), {})
    assert inside
    assert inside.addresses == (("postgres", 5432),)
    assert given_server(POSTGRES, 5432, told(redis={"id": "x"}), {}) is None
    assert given_server(POSTGRES, 5432, "null", {}) is None
    assert given_server(POSTGRES, 5432, "${{ toJSON(job.services) }}", {}) is None


@pytest.mark.parametrize(
    ("env", "address"),
    [
        ({"PGHOST": "localhost"}, ("localhost", 5432)),
        ({"PGHOST": "127.0.0.1", "PGPORT": "5433"}, ("127.0.0.1", 5433)),
        ({"POSTGRES_HOST": "db", "POSTGRES_PORT": "1"}, ("db", 1)),
        ({"PGHOST": "/var/run/postgresql"}, None),
        ({"PGHOST": "db.internal.example"}, None),  # somebody's real database, perhaps
        ({"PGHOST": "10.0.0.7"}, None),
        ({"PGPORT": "5432", "PGPASSWORD": "x"}, None),  # as GitHub's Windows has it
    ],
)
def test_by_variables(env: dict[str, str], address: tuple[str, int] | None) -> None:
    found = given_server(POSTGRES, 5432, "", env)
    assert (found.addresses[0] if found else None) == address


def test_credentials_by_the_job_then_by_the_container_then_as_the_image_has_them() -> None:
    env = {"PGHOST": "localhost", "POSTGRES_PASSWORD": "job"}
    found = given_server(POSTGRES, 5432, "", env)
    assert found
    assert found.login == ("", "job", "")
    assert "job" not in repr(found).replace("named_by", "")
    assert filled(found.login, "postgres", {"POSTGRES_USER": "ann", "POSTGRES_PASSWORD": "no"}) == ("ann", "job", "ann")
    assert filled(("", "", ""), "postgres", {}) == ("postgres", "", "postgres")
    assert filled(("", "", ""), "rabbitmq", {}) == ("guest", "guest", "/")


@pytest.mark.parametrize("text", ["[1]", '{"a": 1}', "{", '"x"'])
def test_what_is_no_list_of_containers(text: str) -> None:
    with pytest.raises(UsageError, match="leave the input out"):
        read_containers(text)


def test_what_only_a_server_of_ours_can_be() -> None:
    assert why_not(POSTGRES) == ""
    assert "max_connections" in why_not(Wanted("postgres", "", {"max_connections": "1"}))
    described = Service(image="x", port=1, ready="tcp", exports={"KEY": "{password}"})
    assert "{password}" in why_not(Wanted("x", "", {}, described))


@generated(strategies.ip_addresses(v=4))
def test_no_address_elsewhere_is_near(address: Any) -> None:
    assert is_near(str(address)) == address.is_loopback
