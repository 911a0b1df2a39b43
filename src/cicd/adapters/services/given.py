"""A service container of the job in place of a server of ours: nothing is started, and nothing is ended."""

import json
import threading
import time
from pathlib import Path

from cicd.adapters.process import run, which
from cicd.adapters.runner import Runner
from cicd.adapters.services import service_of
from cicd.adapters.services.container import docker_env
from cicd.adapters.services.job import Server
from cicd.adapters.services.place import Account, Address, Place, listens
from cicd.adapters.services.server import server_env, variables
from cicd.core.given_services import Given, filled, why_not
from cicd.core.services import Wanted, satisfies
from cicd.errors import Interrupted, ServiceFailed

SOURCE = "service container"


def take_given(wanted: Wanted, given: Given, project: Path, runner: Runner, stopping: threading.Event) -> Server | None:
    """The service container, once it answers a query; None when it is not what is wanted, which is said.

    Raises:
        ServiceFailed: it does not answer. Interrupted: the others have failed meanwhile.
    """
    began = time.monotonic()
    if reason := why_not(wanted):
        runner.say(f"{wanted.name}: the service container of {given.named_by} is left alone: {reason}")
        return None
    user, password, database = filled(given.login, wanted.name, variables_of(given.container, runner))
    if password:
        runner.mask(password)
    place = Place(Path("/"), runner.temp, password, {}, server_env(runner.env), Account(), project)
    addresses = [Address(host, port, user, password, database) for host, port in given.addresses]
    found = _wait(wanted, addresses, place, stopping)
    if found is None:
        raise _refused(wanted, given, addresses, stopping)
    address, version = found
    if version and not satisfies(wanted.version, version):
        dotted = ".".join(map(str, version))
        runner.say(f"{wanted.name}: the service container of {given.named_by} is left alone: it is {dotted}")
        return None
    return Server(
        name=wanted.name,
        version=version,
        source=SOURCE,
        settings={},
        host=address.host,
        port=address.port,
        url=service_of(wanted).url(address),
        password=password,
        folder="",
        pid=0,
        started="",
        seconds=round(time.monotonic() - began, 3),
        about=wanted.about,
        asked=wanted.version,
        variables=variables(wanted, service_of(wanted), address),
    )


def variables_of(container: str, runner: Runner) -> dict[str, str]:
    """The variables that a container was started with; none where Docker does not tell."""
    docker = which("docker", runner.env.get("PATH"))
    if not container or not docker:
        return {}
    argv = [docker, "inspect", "--type", "container", "--format", "{{json .Config.Env}}", container]
    done = run(argv, env=docker_env(runner.env), check=False, timeout=10)
    if done.code or done.timed_out:
        return {}
    told = json.loads(done.output) or []
    return {name: value for name, _, value in (line.partition("=") for line in told)}


def _wait(
    wanted: Wanted, addresses: list[Address], place: Place, stopping: threading.Event
) -> tuple[Address, tuple[int, ...]] | None:
    deadline = time.monotonic() + wanted.about.within
    while not stopping.is_set():
        for address in addresses:
            version = service_of(wanted).ask(address, place)
            if version is not None:
                return address, version
        if time.monotonic() > deadline:
            return None
        time.sleep(0.1)
    return None


def _refused(wanted: Wanted, given: Given, addresses: list[Address], stopping: threading.Event) -> Exception:
    if stopping.is_set():
        return Interrupted(f"{wanted} was left before it answered")
    where = " and ".join(f"{address.host}:{address.port}" for address in addresses)
    there = any(listens(address.host, address.port) for address in addresses)
    login = f"it listens, but does not let `{addresses[0].user}` in with the password that we were told"
    return ServiceFailed(
        f"The service container {wanted.name} of {given.named_by}, at {where}, answers no query",
        cause=login if there else "nothing listens there; perhaps its `ports:` do not name the server's port",
        next_step="give the job the variables with its user and password, publish its port, or take the container away:"
        " setup-env starts one by itself",
    )
