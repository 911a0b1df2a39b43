import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicd.adapters.runner import Runner
from tests.fakes import runner as fake_runner


def environments() -> str:
    """Where this test run's own locked environment lies: the servers' wheels are made beside it, once."""
    home = Path(sys.prefix).resolve().parent
    given = os.environ.get("CICD_HOME") or (str(home.parent) if home.name.startswith("cicd-") else "")
    return given or str(Path.home() / ".cache" / "cicd")


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    env = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
    return fake_runner({**env, "PATH": os.environ["PATH"], "CICD_HOME": environments(), "RUNNER_TEMP": str(tmp_path)})


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]
