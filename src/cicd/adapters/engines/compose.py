"""Engine `compose`: a slot is a Compose project with one service of the user's files, on one Docker host.

The user's files are read and not changed. Made from them, and kept with each release, are a base file, in which the
router has the place of the service, and a file per slot. The release's image has a tag of ours on the host, so that it
can be started again while the registry is away.
"""

import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from cicd.adapters.docker import RELEASE as LABEL_OF_RELEASE
from cicd.adapters.docker import ROLE, SLOT, TARGET, Container, Docker
from cicd.adapters.engines.compose_file import IMAGE, RELEASE
from cicd.adapters.engines.compose_network import made_network
from cicd.adapters.engines.layout import Layout
from cicd.adapters.http import probe
from cicd.adapters.process import Completed
from cicd.adapters.routers.nginx_conf import MANNER, NOWHERE, Manner, active, main
from cicd.adapters.runner import Runner
from cicd.adapters.store import read_texts
from cicd.adapters.target import Target, writing
from cicd.core.compose import Model, Shape, filled, port_of, relocated, shape, taken_from_environment
from cicd.core.compose_files import Network, Router, Slot, base_file, file_text, in_slot, slot_file
from cicd.core.health import Probe
from cicd.core.plan import SLOTS, idle
from cicd.core.release import Record
from cicd.errors import CommandFailed, PrepareFailed, ServiceFailed

UP_WITHIN = 300  # seconds that services have to be up and healthy
FILES = ("base", *(f"slot-{slot}" for slot in SLOTS), "run")


@dataclass(frozen=True)
class Containers:
    """Containers that run_in has started."""

    docker: Docker
    found: list[Container]

    def __bool__(self) -> bool:
        return bool(self.found)

    def clients(self) -> set[tuple[str, int]]:
        return {(address, 0) for one in self.found for address in one.addresses.values()}

    def end(self) -> None:
        self.docker.stop([one.id for one in self.found])


@dataclass(frozen=True)
class ComposeEngine:
    """Runs releases on the Docker Engine of one host.

    Attributes:
        repository: of the images.
    """

    target: Target
    runner: Runner
    repository: str

    @property
    def docker(self) -> Docker:
        return Docker(self.target.host)

    def require_image(self, image: str) -> None:
        reference = self._reference(image)
        if self.docker.image(reference) is None:
            self.runner.say(f"  · {self.target.host.name} pulls {reference}")
            self.docker.pull(reference)

    def commit(self, image: str) -> str:
        found = self.docker.image(self._reference(image))
        return found.revision if found else ""

    def size(self, image: str) -> int:
        return 0  # it is there already when it is asked for

    def free(self) -> int:
        return min(self.target.free(), self.target.host.free(self.docker.folder()))

    def texts(self, image: str, suffixes: tuple[str, ...]) -> dict[str, str]:
        reference = self._reference(image)
        found = self.docker.image(reference)
        packed = self.docker.packed(reference, found.folder if found else "/")
        texts = read_texts(io.BytesIO(packed), suffixes)  # all below the folder's own name
        return {str(PurePosixPath(*PurePosixPath(path).parts[1:])): text for path, text in texts.items()}

    def has(self, release_id: str) -> bool:
        return self.target.has(release_id)

    def lacking(self, release_id: str) -> list[str]:
        return [] if self.has(release_id) else [self.target.host.name]

    def prepare(self, record: Record, settings: Mapping[str, str], layout: Layout) -> None:
        if self.target.has(record.release.id):
            return
        self.target.remove(record.release.id)  # what a killed run left
        self._keep_image(record)
        with writing(self.target.folder):
            folder = self.target.make("releases", record.release.id)
            places = self._ship(layout)
            words = {IMAGE: self._tag(record.release.id), RELEASE: record.release.id}
            model = filled(relocated(layout.model, places), words)
            for name, made in self._files(record, settings, model).items():
                self.target.write(folder / f"{name}.json", file_text(made))
            self.target.write(folder / "settings.json", json.dumps(dict(settings)))
            self.target.write(folder / "record.json", msgspec.json.encode(record).decode())

    def _keep_image(self, record: Record) -> None:
        """The image has a name of ours on the host; it is pulled once more if it has gone since it was looked at."""
        reference, name = self._reference(record.release.image), self._tag(record.release.id)
        try:
            self.docker.tag(reference, name)
        except CommandFailed:
            self.require_image(record.release.image)
            self.docker.tag(reference, name)

    def _ship(self, layout: Layout) -> dict[str, str]:
        """Lay out what of the checkout services are given; gives where each path leads on the host.

        What has the same content has the same place, so that Compose sees no change where there is none.
        """
        host, places = self.target.host, {}
        for path, digest in layout.shipped.items():
            folder = self.target.make("files", digest[:32])
            if host.look(folder / "whole") is None:
                self._send(path, folder)
            places[str(path)] = str(folder / path.name)
        data = Path(layout.data) if layout.data else self.target.folder / "data"
        return places | {str(path): str(data / below) for path, below in layout.led.items()}

    def _send(self, path: Path, folder: Path) -> None:
        """Send what is at a path into a folder, which is not left there in part: the disk may be full."""
        try:
            self.target.host.send(path, folder / path.name)
            self.target.host.write(folder / "whole", b"")
        except OSError:
            self.target.host.remove(folder)
            raise

    def _files(self, record: Record, settings: Mapping[str, str], model: Model) -> dict[str, dict[str, Any]]:
        parts = shape(model, record.deploy.service, record.deploy.companions)
        network = made_network(self.docker, self.target, model["name"])
        files = {"base": self._base(record, model, parts, network)}
        for name in (*SLOTS, "run"):
            slot = self._slot_of(record, settings, name, self._tag(record.release.id))
            files["run" if name == "run" else f"slot-{name}"] = self._in_slot(record, model, parts, slot, network)
        return files

    def _base(self, record: Record, model: Model, parts: Shape, network: Network) -> dict[str, Any]:
        uid, gid = self.target.host.user()
        router = Router(
            image=record.deploy.router_image,
            folder=str(self.target.folder / "router"),
            user=f"{uid}:{gid}",
            port=port_of(model["services"][record.deploy.service], record.deploy.port),
            published=record.ports.router,
        )
        return base_file(model, parts, router, network, {TARGET: self.target.name, ROLE: "router"})

    def _slot_of(self, record: Record, settings: Mapping[str, str], name: str, image: str) -> Slot:
        own = {"CICD_RELEASE": record.release.id, "CICD_ENVIRONMENT": record.environment}
        return Slot(name=name, image=image, settings={**settings, **own})

    def _in_slot(self, record: Record, model: Model, parts: Shape, slot: Slot, network: Network) -> dict[str, Any]:
        labels = {TARGET: self.target.name, SLOT: self._slot(slot.name), LABEL_OF_RELEASE: record.release.id}
        return slot_file(model, parts, slot, network, labels)

    def discard(self, release_id: str, hosts: Collection[str] | None = None) -> None:
        if hosts is not None and self.target.host.name not in hosts:
            return
        self.target.remove(release_id)
        self.docker.untag(self._tag(release_id))

    def bring_services(self, record: Record) -> str:
        file = self._file(record, "base")
        made_network(self.docker, self.target, file["name"])
        self._require_ports(file, record.deploy.router_image)
        self._lay_router_out(record, file)
        argv = ["up", "--detach", "--wait", f"--wait-timeout={UP_WITHIN}", "--remove-orphans", "--quiet-pull"]
        try:
            self._compose(record, "base", argv)
        except CommandFailed as error:
            raise ServiceFailed(
                f"The services on {self.target.host.name} do not come up: {error.what}",
                cause=self._sick(file["name"]),
                next_step="mend the compose file, or what it needs; the release that runs was not touched",
            ) from error
        return f"{', '.join(sorted(file['services']))} run"

    def _require_ports(self, file: Mapping[str, Any], image: str) -> None:
        """What is newly published is free: Compose ends a container before it sees that the next one cannot start."""
        ours = [f"--filter=label=com.docker.compose.project={file['name']}"]
        held = {port for one in self.docker.containers_by(ours) for port in one.published}
        wanted = [port for service in file["services"].values() for port in service.get("ports") or []]
        fresh = [one for one in wanted if one.get("published") and str(one["published"]) not in held]
        self.docker.require_free(fresh, image)

    def _lay_router_out(self, record: Record, file: Mapping[str, Any]) -> None:
        """What the router's container needs to start: how it stands to the world, and nowhere to send traffic yet."""
        with writing(self.target.folder):
            folder = self.target.make("router", "tmp").parent
        manner = self._manner(record, file)
        self.target.write(folder / MANNER, msgspec.json.encode(manner).decode())
        if self.target.host.look(folder / "active.conf") is None:
            self.target.write(folder / "active.conf", active([NOWHERE]))
        self.target.write(folder / "nginx.conf", main(folder, "active.conf", manner))

    def _manner(self, record: Record, file: Mapping[str, Any]) -> Manner:
        """How the router of a base file stands to the world."""
        service, own = file["services"][record.deploy.service], str(record.ports.router)
        in_front = any(one.get("published") not in (None, own) for one in service["ports"])
        user = "root" if service["user"].startswith("0:") else ""
        return Manner(listen=f"0.0.0.0:{port_in(file, record)}", behind=not in_front, user=user)

    def _sick(self, project: str) -> str:
        """The containers of a project that are not well, and their last words."""
        found = self.docker.containers_by([f"--filter=label=com.docker.compose.project={project}"])
        bad = [one for one in found if one.state != "running" or one.health in ("unhealthy", "starting")]
        return "; ".join(f"{one.name} is {one.health or one.state}: {self.docker.last_words(one, 5)}" for one in bad)[
            -1500:
        ]

    def services_run(self, record: Record) -> bool:
        file = self._file(record, "base")
        # What nobody starts again may have done its work.
        wanted = {name for name, one in file["services"].items() if one.get("restart", "no") != "no"}
        running = self.docker.running_services(file["name"])
        # Who brings the project's own file up by hand puts the service itself in the router's place.
        return wanted <= running.keys() and running.get(record.deploy.service) == "router"

    def revive(self, slot: str, record: Record) -> str:
        revived = []
        if not self.services_run(record):
            revived.append(self.bring_services(record))
        if self.alive(slot) != record.release.id:
            self.start(slot, record)
            revived.append(f"{record.release.name} in slot {slot}")
        return f"{self.target.host.name}: {', '.join(revived)}" if revived else ""

    def start(self, slot: str, record: Record) -> None:
        self.stop(slot)
        file = self._file(record, f"slot-{slot}")
        self.docker.make_volumes(file.get("volumes") or {})
        self._up(record, slot, [record.deploy.service])

    def _up(self, record: Record, slot: str, services: Sequence[str]) -> None:
        names = [in_slot(service, slot) for service in services]
        try:
            self._compose(record, f"slot-{slot}", ["up", "--detach", "--no-deps", *names])
        except CommandFailed as error:
            raise PrepareFailed(
                f"Slot {slot} on {self.target.host.name} does not start: {error.what}",
                next_step="mend the compose file, or what it needs; what runs was not touched",
            ) from error

    def stop(self, slot: str) -> None:
        self.docker.stop(self.docker.ids(slot=self._slot(slot)))

    def alive(self, slot: str) -> str:
        return self.docker.running_release(slot=self._slot(slot), role="service")

    def take_over(self, slot: str, record: Record) -> str:
        names = self._companions(slot, record)
        self.docker.stop(self.docker.ids(slot=self._slot(idle(slot)), role="companion"))  # cron never twice
        if not names:
            return ""
        self._up(record, slot, names)
        return f"{', '.join(names)} with it"

    def _companions(self, slot: str, record: Record) -> list[str]:
        """Names of services, as the compose files have them."""
        inside = set(self._file(record, f"slot-{slot}")["services"]) - {in_slot(record.deploy.service, slot)}
        return sorted(name.removesuffix(f"-{slot}") for name in inside)

    def fallen(self, slot: str, record: Record) -> str:
        """What ended with 0 and is not started again has done its work. Health is not asked: it is the service's."""
        found = self.docker.containers(slot=self._slot(slot), role="companion")
        return "; ".join(
            f"companion `{one.service.removesuffix(f'-{slot}')}` on {self.target.host.name} crashed: "
            f"{self.docker.last_words(one, 5)}"
            for one in sorted(found, key=lambda one: one.name)
            if one.service and one.crashed
        )

    def addresses(self, slot: str, record: Record) -> tuple[str, ...]:
        service = self._file(record, f"slot-{slot}")["services"][in_slot(record.deploy.service, slot)]
        port = port_in(self._file(record, "base"), record)
        return (f"{service['networks']['cicd']['ipv4_address']}:{port}",)

    def ask(self, slot: str, record: Record) -> list[Probe]:
        health = record.deploy.health
        (address,) = self.addresses(slot, record)
        url = f"http://{self.target.host.reach(address)}{health.path}"
        return [probe(url, release_header=health.release_header)]

    def run_in(self, record: Record, argv: Sequence[str], extra: Mapping[str, str], timeout: float) -> Completed:
        program, *rest = argv
        names = [part for name in extra for part in ("--env", name)]  # values stay out of every command line
        service = in_slot(record.deploy.service, "run")
        run = ["run", "--rm", "--no-deps", "-T", *names, f"--entrypoint={program}", service, *rest]
        try:
            return self._compose(record, "run", run, extra=extra, check=False, timeout=timeout)
        finally:
            self.left_behind().end()

    def left_behind(self) -> Containers:
        return Containers(self.docker, self.docker.containers(target=self.target.name, role="run"))

    def reach(self, host: str, port: int) -> tuple[str, int]:
        """A shared service has its address in a network of Docker; others are as the host sees them."""
        running = [f"--filter=label=com.docker.compose.service={host}", "--filter=status=running"]
        networks = self._networks()
        known = [one for one in self.docker.containers_by(running) if networks & one.addresses.keys()]
        found = self._address(known[0], networks) if known else host
        name, _, number = self.target.host.reach(f"{found}:{port}").rpartition(":")
        return name, int(number)

    def _address(self, container: Container, networks: set[str]) -> str:
        """Where the host finds a container that is in some of these networks."""
        return next(container.addresses[name] for name in sorted(networks & container.addresses.keys()))

    def _networks(self) -> set[str]:
        """The networks that the router is in, and so the services of this environment."""
        return {
            name for one in self.docker.containers(target=self.target.name, role="router") for name in one.addresses
        }

    def setting(self, record: Record, name: str) -> str:
        """As a program of the release sees it: a compose file may say it by itself."""
        service = self._file(record, "run")["services"][in_slot(record.deploy.service, "run")]
        value = service["environment"].get(name)
        return "" if value is None else str(value).replace("$$", "$")

    def log_tail(self, slot: str, lines: int = 20) -> str:
        found = self.docker.containers(slot=self._slot(slot), role="service")
        return self.docker.last_words(found[0], lines) if found else ""

    def _compose(
        self,
        record: Record,
        file: str,
        argv: Sequence[str],
        *,
        extra: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float | None = None,
    ) -> Completed:
        """Docker Compose on the host, with one of the release's files."""
        path = self.target.release_folder(record.release.id) / f"{file}.json"
        wanted = taken_from_environment(self._file(record, file))
        settings = self.target.settings(record.release.id) if wanted else {}
        env = {name: value for name, value in settings.items() if name in wanted} | dict(extra or {})
        command = ["compose", "--ansi=never", "--progress=quiet", "--env-file=/dev/null", f"--file={path}"]
        return self.docker.run(*command, *argv, env=env, check=check, timeout=timeout)

    def _file(self, record: Record, name: str) -> dict[str, Any]:
        try:
            return dict(msgspec.json.decode(self.target.release_file(record.release.id, f"{name}.json")))
        except (OSError, msgspec.MsgspecError) as error:
            raise PrepareFailed(
                f"Release {record.release.name} is damaged on {self.target.host.name}, its {name}.json: {error}",
                cause="it was changed by hand, or its disk is failing",
                next_step="promote it again after `record.json` of it was taken away",
            ) from error

    def _reference(self, image: str) -> str:
        return f"{self.repository}@{image}"

    def _tag(self, release_id: str) -> str:
        return f"cicd/{self.target.name}:{release_id}"

    def _slot(self, slot: str) -> str:
        return f"{self.target.name}/{slot}"


def port_in(base: Mapping[str, Any], record: Record) -> int:
    """The port that service and router listen on in their containers, by a base file."""
    ports = base["services"][record.deploy.service]["ports"]
    return int(next(one["target"] for one in ports if one.get("published") == str(record.ports.router)))
