"""Docker on a host, through its command line: argv in, values out. What is ours carries labels."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from cicd.adapters.host import Host
from cicd.adapters.process import Completed, failure
from cicd.errors import (
    CicdError,
    CommandFailed,
    DiskFull,
    HostRefused,
    ImageMissing,
    PortInUse,
    RegistryDenied,
    RegistryUnavailable,
)

TARGET = "cicd.target"  # app/environment
SLOT = "cicd.slot"  # app/environment/slot, of what lives in one
ROLE = "cicd.role"  # service, companion, router, run
RELEASE = "cicd.release"


KILLED = 137  # 128 + SIGKILL, as a shell says it
RESTARTED_WITHIN = 30.0  # seconds in which an Engine that is restarted answers again
NOT_REACHED = re.compile(  # in the words of docker's own programs, which each begin a line
    r"^(?:Error: )?(?:unable to get image .*: )?"
    r"(?:Cannot connect to the Docker daemon|error during connect:|permission denied while trying to connect)",
    re.MULTILINE,
)


def _not_reached(done: Completed) -> bool:
    return bool(done.code) and bool(NOT_REACHED.search(done.output))


def _complaint(done: Completed) -> str:
    return next(line.strip()[:300] for line in done.output.splitlines() if NOT_REACHED.match(line))


@dataclass(frozen=True)
class Image:
    """An image that a host has.

    Attributes:
        revision: commit that it was built from, by the label of the OCI; empty if it does not tell.
        size: bytes of it on the disk.
        folder: where its program works.
    """

    revision: str
    size: int
    folder: str


@dataclass(frozen=True)
class Container:
    """A container, running or not.

    Attributes:
        state: Docker's word: running, restarting, exited, …
        code: that its program ended with.
        out_of_memory: whether it was ended because it wanted more than there is.
        health: Docker's word of it: healthy, unhealthy, starting; empty without a check.
        restarts: how often Docker has started it again.
        addresses: IP by the name of the network.
        published: ports of the host that lead to it.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    state: str
    code: int
    out_of_memory: bool
    health: str
    restarts: int
    addresses: Mapping[str, str]
    published: frozenset[str]

    @property
    def service(self) -> str:
        """What it is called in its compose file; empty if no such file made it."""
        return self.labels.get("com.docker.compose.service", "")

    @property
    def crashed(self) -> bool:
        """Whether its program ended, but for one that ended well and that nobody starts again."""
        return self.restarts > 0 or self.state in ("restarting", "dead") or (self.state == "exited" and self.code != 0)


@dataclass(frozen=True)
class Network:
    """A network. `subnet`: such as 172.18.0.0/16."""

    subnet: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Docker:
    """The Docker Engine of one host."""

    host: Host

    def run(
        self,
        *argv: str,
        check: bool = True,
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """A `docker` command. One that did not reach the Engine, which is being restarted perhaps, is tried again.

        Raises:
            CommandFailed: see `check`. HostRefused: there is no Engine for us.
        """
        done = self._patiently(lambda: self.host.run(["docker", *argv], check=False, timeout=timeout, env=env))
        if check and (done.code or done.timed_out):
            raise failure(done)
        return done

    def _patiently(self, act: Callable[[], Completed]) -> Completed:
        tries = Retrying(
            retry=retry_if_result(_not_reached),
            stop=stop_after_delay(RESTARTED_WITHIN),
            wait=wait_fixed(0.5),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        done: Completed = tries(act)
        if _not_reached(done):
            raise HostRefused(
                f"Docker on {self.host.name} does not answer: {_complaint(done)}",
                cause="its Engine does not run, or this user may not use it",
                next_step=f"try `docker version` on {self.host.name}; the next run finishes or undoes what was begun",
            )
        return done

    def output(self, *argv: str) -> bytes:
        """What a `docker` command writes to stdout. Raises as run."""
        try:
            return self.host.output(["docker", *argv])
        except CommandFailed as error:
            if not NOT_REACHED.search(error.what):
                raise
        self.run("version")  # until it answers
        return self.host.output(["docker", *argv])

    def folder(self) -> Path:
        """Where the Engine keeps images and containers."""
        return Path(self.output("info", "--format={{.DockerRootDir}}").decode().strip())

    def image(self, name: str) -> Image | None:
        """An image by any name, digest or id; None if the host does not have it."""
        found = self._inspect(["image", "inspect", name])
        if not found:
            return None
        config = found[0].get("Config") or {}
        revision = (config.get("Labels") or {}).get("org.opencontainers.image.revision", "")
        return Image(revision=revision, size=int(found[0].get("Size") or 0), folder=config.get("WorkingDir") or "/")

    def pull(self, reference: str) -> None:
        """Have an image here. Raises ImageMissing, RegistryDenied, RegistryUnavailable, DiskFull."""
        done = self.run("pull", "--quiet", reference, check=False)
        if done.code:
            raise _not_pulled(reference, self.host.name, done.output)

    def tag(self, reference: str, name: str) -> None:
        self.run("tag", reference, name)

    def untag(self, name: str) -> None:
        """Forget a name of an image; one that is used, or not there, stays as it is."""
        self.run("image", "rm", "--no-prune", name, check=False)

    def containers(self, **labels: str) -> list[Container]:
        """Containers with all of these labels of ours, such as `slot="app/env/blue"`; newest first."""
        return self.containers_by(_with_labels(labels))

    def ids(self, filters: Sequence[str] = (), **labels: str) -> list[str]:
        """Those of containers with all of these labels of ours, by filters of `docker ps`, too; newest first."""
        return self._ids([*filters, *_with_labels(labels)])

    def _ids(self, filters: Sequence[str]) -> list[str]:
        return self.output("ps", "--all", "--quiet", "--no-trunc", *filters).decode().split()

    def names(self, **labels: str) -> list[str]:
        """Those of containers with all of these labels of ours; newest first."""
        return self.output("ps", "--all", *_with_labels(labels), "--format={{.Names}}").decode().split()

    def running_release(self, **labels: str) -> str:
        """The release in the container that runs with all of these labels of ours; empty if none does."""
        wanted = ["--filter=status=running", '--format={{.Label "cicd.release"}}']
        return self.output("ps", *_with_labels(labels), *wanted).decode().partition("\n")[0]

    def running_services(self, project: str) -> dict[str, str]:
        """The services of a Compose project that have a container which runs, each with its role; empty for none."""
        wanted = ["--filter=status=running", '--format={{.Label "com.docker.compose.service"}} {{.Label "cicd.role"}}']
        said = self.output("ps", f"--filter=label=com.docker.compose.project={project}", *wanted).decode()
        return {service: role for service, _, role in (line.partition(" ") for line in said.splitlines())}

    def containers_by(self, filters: Sequence[str]) -> list[Container]:
        """Containers by filters of `docker ps`; newest first."""
        for _ in range(5):
            ids = self._ids(filters)
            found = self._inspect(["inspect", *ids]) if ids else []
            if len(found) == len(ids):
                break  # else one has gone between the two
        return [_container(one) for one in found]

    def require_free(self, ports: Sequence[Mapping[str, Any]], image: str) -> None:
        """Ports, as a compose file has them, can be published. Only a container that does so knows: an nginx, briefly.

        Raises:
            PortInUse.
        """
        wanted = [f"--publish={_publication(port)}" for port in ports]
        if not wanted:
            return
        done = self.run("run", "--rm", f"--label={ROLE}=look", *wanted, "--entrypoint=nginx", image, "-v", check=False)
        if found := re.search(r"(?:Bind for|bind host port|listen \w+) \S*?:(\d+)\b.*(?:already|in use)", done.output):
            raise PortInUse(
                f"{self.host.name}: port {found[1]}, which the services need, is taken",
                cause="another container or program there listens on it",
                next_step="stop that, or mend `ports` in the compose file or the config; what runs was not touched",
            )

    def stop(self, ids: Sequence[str]) -> None:
        """End containers in the time that each is given, and remove them."""
        if ids:
            self.run("stop", *ids, check=False)
            self.run("rm", "--force", "--volumes", *ids)

    def last_words(self, container: Container, lines: int) -> str:
        """The end of what it said, and how it ended."""
        said = self.run("logs", "--tail", str(lines), container.id, check=False).output.strip()
        return "\n".join(filter(None, (said, self._end_of(container))))

    def _end_of(self, container: Container) -> str:
        """How its program ended, perhaps before Docker started it again; empty if it has not, or nobody knows."""
        code, memory = container.code, container.out_of_memory
        if container.state not in ("exited", "dead", "restarting"):
            if not container.restarts:
                return ""
            about = [f"--filter=container={container.id}", "--filter=event=die", "--filter=event=oom"]
            wanted = "--format={{.Action}} {{.Actor.Attributes.exitCode}}"
            past = self.output("events", "--since=10m", "--until=0s", *about, wanted).decode().splitlines()
            codes = [line.removeprefix("die ") for line in past if line.startswith("die ")]
            if not codes:
                return f"({container.name} was started again {container.restarts} times)"
            code, memory = int(codes[-1]), any(line.startswith("oom") for line in past)
        why = ", for it wanted more memory than there is" if memory else ""
        if code == KILLED and not memory:  # Docker does not always hear why
            why = ": it was killed, perhaps because it wanted more memory than there is"
        return f"({container.name} ended with {code}{why})"

    def _inspect(self, argv: Sequence[str]) -> list[dict[str, Any]]:
        """What Docker knows of things; nothing if one of them is not there. Raises CommandFailed."""
        try:
            return list(json.loads(self.output(*argv)))
        except CommandFailed as error:
            if re.search(r"No such (object|image|container|network)|network .* not found", error.what, re.IGNORECASE):
                return []
            raise
        except ValueError as error:
            raise CommandFailed(
                f"`docker {' '.join(argv[:2])}` on {self.host.name} does not answer in JSON: {error}"
            ) from error

    def packed(self, image: str, folder: str) -> bytes:
        """A folder of an image, as tar."""
        made = self.output("create", "--label=cicd.role=look", image, "true").decode().strip()
        try:
            return self.output("cp", f"{made}:{folder}", "-")
        finally:
            self.run("rm", "--force", made, check=False)

    def make_volumes(self, volumes: Mapping[str, Mapping[str, Any]]) -> None:
        """See to it that volumes are there that a file calls external."""
        for one in volumes.values():
            self.run("volume", "create", str(one["name"]))

    def network(self, name: str) -> Network | None:
        """A network by its name; None if it is not there."""
        found = self._inspect(["network", "inspect", name])
        if not found:
            return None
        given = (found[0].get("IPAM") or {}).get("Config") or [{}]
        return Network(subnet=str(given[0].get("Subnet") or ""), labels=found[0].get("Labels") or {})

    def make_network(self, name: str, target: str, subnet: str = "") -> Network:
        """Make a network in which addresses can be given out by us. `subnet`: that it had before.

        Docker takes a given address only in a subnet that was given, too. It alone knows which one is free: so it makes
        the network first by itself, and we once more with the subnet that it found.
        """
        if not subnet:
            self.run("network", "create", f"--label={TARGET}={target}", name)
            chosen = self.network(name)
            subnet = chosen.subnet if chosen else ""
            self.run("network", "rm", name)
        self.run("network", "create", f"--label={TARGET}={target}", f"--subnet={subnet}", name)
        return Network(subnet=subnet, labels={TARGET: target})


def _with_labels(labels: Mapping[str, str]) -> list[str]:
    """Filters of `docker ps` for labels of ours."""
    return [f"--filter=label=cicd.{name}={value}" for name, value in labels.items()]


def _container(told: Mapping[str, Any]) -> Container:
    state, networks = told["State"], told["NetworkSettings"]["Networks"]
    ports = told["NetworkSettings"].get("Ports") or {}
    return Container(
        id=told["Id"],
        name=told["Name"].removeprefix("/"),
        labels=told["Config"]["Labels"] or {},
        state=state["Status"],
        code=state["ExitCode"],
        out_of_memory=state["OOMKilled"],
        health=(state.get("Health") or {}).get("Status", ""),
        restarts=told["RestartCount"],
        addresses={name: one["IPAddress"] for name, one in networks.items() if one["IPAddress"]},
        published=frozenset(one["HostPort"] for each in ports.values() for one in each or []),
    )


def _publication(port: Mapping[str, Any]) -> str:
    """A port of a compose file in the words of `docker run`."""
    address = str(port.get("host_ip") or "")
    place = f"[{address}]:" if ":" in address else f"{address}:" if address else ""
    return f"{place}{port['published']}:{port['target']}/{port.get('protocol') or 'tcp'}"


def _not_pulled(reference: str, host: str, said: str) -> CicdError:
    """The error that a failed pull is worth, by Docker's words."""
    told = said.strip().splitlines()[-1][-300:] if said.strip() else "it does not say why"
    what = f"{host} cannot pull {reference}: {told}"
    if re.search(r"no space left|disk quota", said, re.IGNORECASE):
        return DiskFull(
            what,
            cause="the disk where Docker keeps its images has no room for this one",
            next_step="free space on that host (`docker image prune`), or lower `deploy.keep`",
        )
    if re.search(r"unauthorized|denied|forbidden|no basic auth", said, re.IGNORECASE):
        return RegistryDenied(
            what,
            cause="that host has not logged in to the registry",
            next_step="`docker login` there, as the user who deploys",
        )
    if re.search(r"manifest.*unknown|not found|no matching manifest|does not exist", said, re.IGNORECASE):
        return ImageMissing(
            what,
            cause="it was never pushed there, was deleted, or is for another kind of processor",
            next_step="push it (build.yml does), then promote the digest that this gives",
        )
    return RegistryUnavailable(what, cause="the registry is away", next_step="try again; what runs goes on running")
