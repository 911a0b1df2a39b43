from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import URL

ROOT = Path(__file__).parents[1]


def required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        pytest.fail(f"{name} is not set: these tests need PostgreSQL and Redis, see README.md", pytrace=False)
    return value


def as_text(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


@dataclass(frozen=True)
class Service:
    """The program as production starts it."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def running_service(database: URL, log: Path) -> Iterator[Service]:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [sys.executable, "-m", "uvicorn", "assistant.main:app", "--port", str(port)]
    env = {**os.environ, "DATABASE_URL": as_text(database), "REDIS_URL": required("REDIS_URL")}
    env |= {"CICD_RELEASE": "test-release", "GREETING": "Welcome back!"}
    with log.open("wb") as output, subprocess.Popen(argv, cwd=ROOT, env=env, stderr=output) as process:
        service = Service(f"http://127.0.0.1:{port}", process, log)
        try:
            wait_until_healthy(service)
            yield service
        finally:
            process.terminate()


def wait_until_healthy(service: Service) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and service.process.poll() is None:
        try:
            if httpx2.get(f"{service.url}/health").status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    pytest.fail(f"the service did not become healthy:\n{service.log.read_text()}", pytrace=False)
