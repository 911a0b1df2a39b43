"""Engine `swarm`: a slot is a stack on a Docker Swarm, made of the same Compose files, with replicas on its nodes.

The swarm starts tasks and moves those of a lost node to another one. Which release has the traffic is decided here, as
with engine `compose`: both slots are there at once, and each task of the new one has answered before users see it.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cicd.adapters.engines.fleet import Fleet
from cicd.adapters.engines.swarm_host import SwarmHost
from cicd.adapters.http import probe
from cicd.adapters.swarm import Service, Swarm
from cicd.core.health import Probe
from cicd.core.plan import idle
from cicd.core.release import Record
from cicd.core.stack_file import service_name

AT_ONCE = 16  # questions
HOPELESS = 3  # tasks that broke while none runs: the swarm tries again where Docker itself has failed


@dataclass(frozen=True)
class SwarmEngine(Fleet):
    """The hosts at which users arrive, and the swarm behind them, through the first of these."""

    engines: Sequence[SwarmHost]

    @property
    def first(self) -> SwarmHost:
        return self.engines[0]

    @property
    def swarm(self) -> Swarm:
        return self.first.swarm

    def bring_services(self, record: Record) -> str:
        said = self.first.bring_services(record)  # makes the networks that the others need
        if others := self.engines[1:]:
            Fleet(others).bring_services(record)
        return said

    def revive(self, slot: str, record: Record) -> str:
        revived = [] if self.services_run(record) else [self.bring_services(record)]
        if self.alive(slot) != record.release.id:
            self.start(slot, record)
            revived.append(f"{record.release.name} in slot {slot}")
        return ", ".join(revived)

    def start(self, slot: str, record: Record) -> None:
        self.stop(slot)
        self.first.deploy(record, slot, companions=False)

    def stop(self, slot: str) -> None:
        found = self.swarm.services(slot=self._slot(slot))
        self.swarm.remove(found)
        for stack in {one.stack for one in found}:
            self.swarm.remove_stack(stack)

    def alive(self, slot: str) -> str:
        """The release of which a task runs, or may yet."""
        for service in self._service(slot):
            tasks = self.swarm.tasks([service])
            if any(task.runs for task in tasks) or sum(task.broke for task in tasks) < HOPELESS:
                return service.labels.get("cicd.release", "")
        return ""

    def take_over(self, slot: str, record: Record) -> str:
        self.swarm.remove(self.swarm.services(slot=self._slot(idle(slot)), role="companion"))  # cron never twice
        names = self.first.deploy(record, slot, companions=True)
        return f"{', '.join(names)} with it" if names else ""

    def fallen(self, slot: str, record: Record) -> str:
        """A task that ended badly by itself; one of a lost node, or that was moved, did not."""
        companions = self.swarm.services(slot=self._slot(slot), role="companion")
        told = []
        for service in companions:
            if any(task.state == "failed" for task in self.swarm.tasks([service])):
                name = service.name.removeprefix(f"{service.stack}_").removesuffix(f"-{slot}")
                told.append(f"companion `{name}` on {self.first.target.host.name} crashed: {self._words(service, 5)}")
        return "; ".join(told)

    def addresses(self, slot: str, record: Record) -> tuple[str, ...]:
        """The service's name, for each router: it asks again and again where the tasks are."""
        name = service_name(self.first.project(record), record.deploy.service, slot)
        return (f"{name}:{self.first.port(record)}",) * len(self.engines)

    def ask(self, slot: str, record: Record) -> list[Probe]:
        """Each task by its address, and the slot as the router finds it, from each host."""
        services = self._service(slot)
        tasks = [task for task in self.swarm.tasks(services) if task.runs]
        wanted = sum(service.size for service in services)
        if not tasks or len(tasks) < wanted:
            return [Probe(0, error=f"{len(tasks)} of {wanted} tasks run")]
        port, health = self.first.port(record), record.deploy.health
        places = [slot, *(f"{next(iter(task.addresses.values()))}:{port}" for task in tasks)]
        urls = [f"http://{host.looking(record)}/{place}{health.path}" for host in self.engines for place in places]
        with ThreadPoolExecutor(min(AT_ONCE, len(urls))) as pool:
            return list(pool.map(lambda url: probe(url, release_header=health.release_header), urls))

    def log_tail(self, slot: str, lines: int = 20) -> str:
        told = [self._words(service, lines) for service in self._service(slot)]
        return "\n".join(filter(None, told))

    def _words(self, service: Service, lines: int) -> str:
        tasks = self.swarm.tasks([service])
        errors = dict.fromkeys(f"({service.name}: {task.error})" for task in tasks if task.error)
        return "\n".join(filter(None, [self.swarm.said(service, lines), *errors]))

    def _service(self, slot: str) -> list[Service]:
        return self.swarm.services(slot=self._slot(slot), role="service")

    def _slot(self, slot: str) -> str:
        return f"{self.first.target.name}/{slot}"
