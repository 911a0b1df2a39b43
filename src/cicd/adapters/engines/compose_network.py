"""The network of a router and its slots, in which each has the same address always."""

import ipaddress

from cicd.adapters.docker import Docker
from cicd.adapters.target import Target
from cicd.core.compose_files import Network
from cicd.errors import PrepareFailed

PLACES = {"router": 2, "blue": 10, "green": 11}  # in the subnet; 1 is Docker's gateway


def made_network(docker: Docker, target: Target, project: str) -> Network:
    """The network of a project, made if need be. It keeps its subnet, which addresses in the files of releases are of.

    Raises:
        PrepareFailed: there is no subnet for it.
    """
    name, noted = f"{project}-cicd", target.folder / "subnet"
    found = docker.network(name)
    if found is None:
        known = target.host.read(noted).decode() if target.host.look(noted) else ""
        found = docker.make_network(name, target.name, known)
    if target.host.look(noted) is None:
        target.write(noted, found.subnet)
    try:
        hosts = ipaddress.ip_network(found.subnet)
    except ValueError as error:
        raise PrepareFailed(
            f"Docker's network {name} on {docker.host.name} has no subnet: {error}",
            next_step=f"remove it (`docker network rm {name}`), then run this again",
        ) from error
    return Network(name=name, addresses={who: str(hosts[number]) for who, number in PLACES.items()})
