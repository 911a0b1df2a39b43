"""Bridges of the lab in this machine's network, and the removal of what an engine leaves there."""

import contextlib
import fcntl
import ipaddress
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NAMED = re.compile(r"lab(\d+)[eh]")  # an interface of ours, with the pid of who made it
POOL, SIZE = ipaddress.IPv4Network("10.213.0.0/16"), 20  # 16 labs at a time, of 4,000 hosts each


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True).stdout


@dataclass(frozen=True)
class Bridge:
    """A bridge with a subnet of its own. `address`: this machine's in it."""

    name: str
    subnet: ipaddress.IPv4Network

    @classmethod
    def make(cls, kind: str) -> "Bridge":
        """`kind`: e for containers of this machine's engine, h for hosts."""
        name = f"lab{os.getpid()}{kind}"
        remove(name)
        with _one_at_a_time():
            made = cls(name, _free_subnet())
            ip("link", "add", name, "type", "bridge")
            ip("addr", "add", f"{made.address}/{made.subnet.prefixlen}", "dev", name)
            ip("link", "set", name, "up")
        return made

    @property
    def address(self) -> str:
        return str(self.subnet[1])

    def connect(self) -> None:
        """Let what is on it reach each other, whatever the engine of this machine has set for forwarding."""
        subprocess.run(["iptables", "-w", "-I", "FORWARD", *self._through()], check=True)

    def remove(self) -> None:
        remove(self.name)

    def _through(self) -> Sequence[str]:
        return ["-i", self.name, "-o", self.name, "-j", "ACCEPT"]


def remove(name: str) -> None:
    """Remove a bridge, if it is there, and each rule of the firewall that is about it."""
    with contextlib.suppress(subprocess.CalledProcessError):
        for entry in json.loads(ip("-json", "addr", "show", "dev", name)):
            subnets = [f"{one['local']}/{one['prefixlen']}" for one in entry["addr_info"] if one["family"] == "inet"]
            _remove_rules(name, [ipaddress.ip_interface(subnet).network for subnet in subnets])
        ip("link", "delete", name)


def remove_left_over() -> None:
    """Remove bridges whose makers are gone."""
    for name in _interfaces():
        found = NAMED.fullmatch(name)
        if found and not Path("/proc", found[1]).exists():
            remove(name)


def remove_networks_of(data: Path) -> None:
    """Remove the bridges of an engine that has ended: those whose id stands in what it kept of its networks."""
    with contextlib.suppress(OSError):
        kept = (data / "network" / "files" / "local-kv.db").read_bytes()
        for name in _interfaces():
            if re.fullmatch(r"br-[0-9a-f]{12}", name) and name.removeprefix("br-").encode() in kept:
                remove(name)


def _remove_rules(name: str, subnets: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> None:
    for table in ("nat", "filter"):
        for rule in _rules(table):
            # A published port has one that names the address alone: source and destination are the container.
            source = rule[rule.index("-s") + 1] if "-s" in rule and "-d" in rule and "-o" not in rule else ""
            own = source and any(ipaddress.ip_interface(source).ip in subnet for subnet in subnets)
            if name in rule or own:
                subprocess.run(["iptables", "-w", "-t", table, "-D", *rule[1:]], capture_output=True, check=False)


def _rules(table: str) -> list[list[str]]:
    done = subprocess.run(["iptables", "-w", "-t", table, "-S"], capture_output=True, text=True, check=False)
    return [line.split() for line in done.stdout.splitlines() if line.startswith("-A ")]


def _interfaces() -> Iterator[str]:
    yield from os.listdir("/sys/class/net")


def _free_subnet() -> ipaddress.IPv4Network:
    taken = [
        ipaddress.ip_network(route["dst"]) for route in json.loads(ip("-json", "-4", "route")) if "/" in route["dst"]
    ]
    for place in range(0, POOL.num_addresses, 1 << (32 - SIZE)):
        subnet = ipaddress.IPv4Network((int(POOL[place]), SIZE))
        if not any(subnet.overlaps(one) for one in taken):
            return subnet
    raise RuntimeError(f"every subnet of {POOL} is taken here")


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Of all labs on this machine."""
    with Path(tempfile.gettempdir(), "cicd-lab.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
