"""Service containers that the job has already: who names them, and by which credentials they are tried.

Only what is on this machine or in the job's own network is taken, for tests and migrations write into it: loopback, or
a name of one word, as GitHub gives it to a service container.
"""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cicd.core.service_texts import PLACE
from cicd.core.services import Wanted
from cicd.errors import UsageError

ONE_WORD = re.compile(r"[A-Za-z0-9_-]+")
# Host, port, user, password and database: the variables of the clients, and those of the images.
VARIABLES = {
    "postgres": (
        ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"),
        ("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"),
    ),
    "redis": (("REDIS_HOST", "REDIS_PORT", "", "REDIS_PASSWORD", ""),),
    "rabbitmq": (
        ("RABBITMQ_HOST", "RABBITMQ_PORT", "RABBITMQ_DEFAULT_USER", "RABBITMQ_DEFAULT_PASS", "RABBITMQ_DEFAULT_VHOST"),
    ),
}
ALONE = {"postgres": ("postgres", "", "postgres"), "redis": ("", "", ""), "rabbitmq": ("guest", "guest", "/")}


@dataclass(frozen=True)
class Given:
    """A service container.

    Attributes:
        addresses: host and port, to be tried in this order.
        login: user, password and database by the job's variables; empty where they do not say.
        container: its id, where the runner tells it.
        named_by: who told us of it.
    """

    addresses: tuple[tuple[str, int], ...]
    login: tuple[str, str, str] = field(default=("", "", ""), repr=False)
    container: str = ""
    named_by: str = ""


def given_server(wanted: Wanted, port: int, containers: str, env: Mapping[str, str]) -> Given | None:
    """The service container that has the place of a server that is wanted; None: there is none.

    Args:
        port: on which it listens in its container.
        containers: JSON of the runner's `job.services`; may be empty.
        env: the job's variables.

    Raises:
        UsageError: `containers` is no such JSON.
    """
    own = read_containers(containers).get(wanted.name)
    login = login_of(env, VARIABLES.get(wanted.name, ()))
    if own is not None:
        ports = {str(key).partition("/")[0]: str(value) for key, value in (own.get("ports") or {}).items()}
        mapped = ports.get(str(port), "")
        addresses = [("127.0.0.1", int(mapped))] if mapped.isdecimal() else []
        # A job that is itself in a container reaches it by its name.
        return Given((*addresses, (wanted.name, port)), login, str(own.get("id") or ""), "the job's `services:`")
    for host, number, *_ in VARIABLES.get(wanted.name, ()):
        if env.get(host) and is_near(env[host]):
            told = env.get(number, "")
            return Given(((env[host], int(told) if told.isdecimal() else port),), login, "", f"the variable {host}")
    return None


def read_containers(text: str) -> dict[str, dict[str, Any]]:
    """Raises UsageError."""
    if text.startswith("${{"):  # not in a workflow: nobody has filled in the expression
        return {}
    try:
        told = json.loads(text or "null") or {}
    except ValueError:
        told = None
    if not isinstance(told, dict) or not all(isinstance(one, dict) for one in told.values()):
        raise UsageError("service-containers is not the job's services as JSON", next_step="leave the input out")
    return told


def login_of(env: Mapping[str, str], names: tuple[tuple[str, ...], ...]) -> tuple[str, str, str]:
    """User, password and database, each by the first variable that has one."""
    found = [next((env[each[index]] for each in names if env.get(each[index])), "") for index in (2, 3, 4)]
    return found[0], found[1], found[2]


def filled(login: tuple[str, str, str], name: str, container: Mapping[str, str]) -> tuple[str, str, str]:
    """What `login` leaves open: by the container's own variables, else as its image has it."""
    told = login_of(container, VARIABLES.get(name, ()))
    alone = ALONE.get(name, ("", "", ""))
    user = login[0] or told[0] or alone[0]
    # As the image of PostgreSQL has it, a database is called after its user.
    database = login[2] or told[2] or (user if name == "postgres" else alone[2])
    return user, login[1] or told[1] or alone[1], database


def is_near(host: str) -> bool:
    """Whether a host is this machine or one of the job's network."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return bool(ONE_WORD.fullmatch(host))


def why_not(wanted: Wanted) -> str:
    """Why no service container can be what is wanted; empty: one can."""
    if wanted.settings:
        return f"it cannot be given the settings {', '.join(wanted.settings)}"
    texts = [*wanted.about.exports.values(), *wanted.about.env.values(), wanted.about.ready]
    if wanted.is_described and any({"password", "data"}.intersection(PLACE.findall(text)) for text in texts):
        return "only a server that we start has the {password} or {data} of its description"
    return ""
