"""Engine `swarm`: a slot is a stack of services on the nodes of a Docker Swarm; all else is as with engine compose.

The host is a manager of the swarm. The router and the shared services run on it as containers, in networks that span
the nodes; the tasks of a slot are wherever Swarm puts them, and are found by their service's name.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cicd.adapters.engines.compose import ComposeEngine
from cicd.core.compose import Model
from cicd.core.compose_files import Network, in_slot
from cicd.core.health import Probe
from cicd.core.plan import SLOTS, idle
from cicd.core.release import Record
from cicd.core.stack_file import replicas_of, stack_file
from cicd.errors import PrepareFailed

GONE_WITHIN = 60.0  # seconds that tasks of a stack have to end
HOPELESS = 3  # tasks that failed one after the other, while none runs
ASKED = re.compile(r"^== (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class SwarmEngine(ComposeEngine):
    """Runs releases on a Docker Swarm, one of whose managers is the target's host."""

    def _network(self, project: str) -> Network:
        """A network over all nodes. Addresses in it are Swarm's to give."""
        name = f"{project}-cicd"
        if self.docker.network(name) is None:
            self.docker.run("network", "create", "--driver=overlay", "--attachable", name)
        return Network(name=name, addresses={})

    def _files(self, record: Record, settings: Mapping[str, str], model: Model) -> dict[str, dict[str, Any]]:
        files = super()._files(record, settings, model)
        for network in files["base"]["networks"].values():
            if not network.get("external"):
                network.update({"driver": "overlay", "attachable": True})
        reference = self._reference(record.release.image)  # a tag of ours would be known to this host alone
        for slot in SLOTS:
            file = files[f"slot-{slot}"]
            images = dict.fromkeys(file["services"], reference)
            files[f"stack-{slot}"] = stack_file(file, images, settings)
            files[f"stack-{slot}-begins"] = stack_file(file, images, settings, working=False)
        return files

    def start(self, slot: str, record: Record) -> None:
        self.stop(slot)
        self._deploy(slot, record, f"stack-{slot}-begins")

    def _deploy(self, slot: str, record: Record, file: str) -> None:
        path = self.target.release_folder(record.release.id) / f"{file}.json"
        argv = ["stack", "deploy", "--with-registry-auth", "--resolve-image=never", f"--compose-file={path}"]
        done = self.docker.run(*argv, self._stack(slot, record), check=False)
        if done.code:
            raise PrepareFailed(
                f"Slot {slot} does not start on the swarm: {done.output.strip()[-500:]}",
                next_step="mend the compose file, or what it needs; what runs was not touched",
            )

    def _stack(self, slot: str, record: Record) -> str:
        return str(self._file(record, f"slot-{slot}")["name"])

    def stop(self, slot: str) -> None:
        services = self._services(slot)
        if not services:
            return
        self.docker.run("service", "rm", *services)
        deadline = time.monotonic() + GONE_WITHIN
        while self.docker.containers(slot=self._slot(slot)):
            if time.monotonic() > deadline:
                raise PrepareFailed(
                    f"The tasks in slot {slot} do not end within {GONE_WITHIN:g} s",
                    next_step="see what keeps them (`docker ps` on the manager), then run this again",
                )
            time.sleep(0.2)
        stacks = {name.rpartition("_")[0] for name in services}
        for kind in ("config", "secret"):
            for stack in stacks:
                label = f"--filter=label=com.docker.stack.namespace={stack}"
                if left := self.docker.output(kind, "ls", "--quiet", label).decode().split():
                    self.docker.run(kind, "rm", *left, check=False)

    def _services(self, slot: str, role: str = "") -> list[str]:
        """Names of the services of a slot."""
        filters = [f"--filter=label=cicd.slot={self._slot(slot)}"]
        filters += [f"--filter=label=cicd.role={role}"] if role else []
        return self.docker.output("service", "ls", *filters, "--format={{.Name}}").decode().split()

    def alive(self, slot: str) -> str:
        """Swarm starts a task again that ends: a slot is dead when that was in vain several times."""
        found = self._services(slot, "service")
        if not found:
            return ""
        states = self._states(found[0])
        if sum(state.startswith(("Failed", "Rejected", "Complete")) for state in states) >= HOPELESS and not any(
            state.startswith("Running") for state in states
        ):
            return ""
        label = '--format={{index .Spec.Labels "cicd.release"}}'
        return self.docker.run("service", "inspect", label, found[0], check=False).output.strip()

    def _states(self, service: str) -> list[str]:
        done = self.docker.run("service", "ps", "--format={{.CurrentState}}", service, check=False)
        return [] if done.code else done.output.splitlines()

    def take_over(self, slot: str, record: Record) -> str:
        if others := self._services(idle(slot), "companion"):
            self.docker.run(
                "service", "scale", *(f"{name}=0" for name in others)
            )  # cron never twice: it waits for them
            self.docker.run("service", "rm", *others)
        names = set(self._file(record, f"slot-{slot}")["services"]) - {in_slot(record.deploy.service, slot)}
        if not names:
            return ""
        self._deploy(slot, record, f"stack-{slot}")
        return f"{', '.join(sorted(name.removesuffix(f'-{slot}') for name in names))} with it"

    def addresses(self, slot: str, record: Record) -> tuple[str, ...]:
        return (f"{in_slot(record.deploy.service, slot)}:{self._port(record)}",)

    def ask(self, slot: str, record: Record) -> list[Probe]:
        """Each task, from the router's place: only containers are in their network."""
        service = in_slot(record.deploy.service, slot)
        wanted = replicas_of(self._file(record, f"stack-{slot}"), service)
        addresses = self._tasks(slot, record)
        if not addresses or len(addresses) < wanted:
            return [Probe(0, error=f"{len(addresses)} of {wanted or 'all'} tasks run")]
        health, port = record.deploy.health, self._port(record)
        # Not wget's own time limit: Debian's busybox falls over it.
        limit = 't=""; command -v timeout >/dev/null && t="timeout 5"'
        each = f'echo; echo "== $a"; $t wget -S -q -O /dev/null "http://$a:{port}$0" 2>&1'
        script = f"{limit}; for a in {' '.join(addresses)}; do {each}; done; true"
        router = self.docker.containers(target=self.target.name, role="router")
        if not router:
            return [Probe(0, error="the router, from which the tasks are asked, does not run")]
        began = time.monotonic()
        done = self.docker.run("exec", router[0].id, "sh", "-c", script, health.path, check=False)
        seconds = (time.monotonic() - began) / len(addresses)
        parts = ASKED.split(done.output)
        if len(parts) // 2 != len(addresses):
            return [Probe(0, error=f"{len(parts) // 2} of {len(addresses)} tasks were asked: {done.output[-200:]}")]
        return [_probe(text, health.release_header, seconds) for text in parts[2::2]] or [
            Probe(0, error=done.output.strip()[-200:])
        ]

    def _tasks(self, slot: str, record: Record) -> list[str]:
        """IPs of the tasks that run, in the network of the router."""
        found = self._services(slot, "service")
        running = ["--filter=desired-state=running", "--no-trunc", "--quiet"]
        done = self.docker.run("service", "ps", *running, *found, check=False) if found else None
        if done is None or done.code or not (ids := done.output.split()):
            return []
        tasks = json.loads(self.docker.output("inspect", "--type=task", *ids))
        name = self._file(record, f"slot-{slot}")["networks"]["cicd"]["name"]
        return [
            place["Addresses"][0].partition("/")[0]
            for task in tasks
            for place in task.get("NetworksAttachments") or []
            if task["Status"]["State"] == "running" and place["Network"]["Spec"]["Name"] == name and place["Addresses"]
        ]

    def log_tail(self, slot: str, lines: int = 20) -> str:
        said = []
        for service in self._services(slot, "service"):
            logs = self.docker.run("service", "logs", "--raw", "--tail", str(lines), service, check=False, timeout=10)
            told = "--format={{.Name}} on {{.Node}}: {{.CurrentState}} {{.Error}}"
            tasks = self.docker.run("service", "ps", "--no-trunc", told, service, check=False)
            said += [logs.output.strip(), *tasks.output.strip().splitlines()[:HOPELESS]]
        return "\n".join(filter(None, said))[-4000:]


def _probe(text: str, release_header: str, seconds: float) -> Probe:
    """An answer as wget tells it: the status line, and each header in a line of its own."""
    status = re.search(r"HTTP/\d\S* (\d{3})", text)
    if not status:
        return Probe(0, seconds=seconds, error=" ".join(text.split())[-200:] or "no answer")
    name = re.escape(release_header) if release_header else "(?!)"
    release = re.search(rf"^\s*{name}: *(\S+)", text, re.MULTILINE | re.IGNORECASE)
    return Probe(int(status[1]), release[1] if release else "", seconds)
