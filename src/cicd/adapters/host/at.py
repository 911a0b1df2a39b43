"""From the address of a host, as the config has it, to the host and the folder of its targets."""

from pathlib import Path

from cicd.adapters.host import Host
from cicd.adapters.host.local import LocalHost
from cicd.adapters.runner import Runner
from cicd.adapters.target import target_root


def host_of(address: str, runner: Runner) -> tuple[Host, Path]:
    """`local`, or `ssh://user@host:port/folder`. Raises HostUnreachable, UsageError."""
    assert address == "local", address
    return LocalHost(runner.env), target_root(runner)
