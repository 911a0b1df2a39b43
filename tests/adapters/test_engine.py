"""The process engine with real processes: what others can see of them, and files that are damaged."""

import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from cicd.adapters.engines.process import MARK, ProcessEngine
from cicd.adapters.process import with_variable
from cicd.adapters.runner import Runner
from cicd.core.config import Deploy, Ports
from cicd.core.release import Record
from cicd.errors import PrepareFailed
from tests.adapters.releases import laid_out
from tests.commands.site import free_ports

pytestmark = pytest.mark.real
RUN = "python -u app.py --port $PORT --at $HOST --say $GREETING --password $PASSWORD"
SETTINGS = {"GREETING": "hello", "PASSWORD": "hunter2-secret"}
Made = tuple[ProcessEngine, Record]


@pytest.fixture
def made(tmp_path: Path, runner: Runner) -> Iterator[Made]:
    files = {"app.py": "import os, time; print(os.environ['PASSWORD'], flush=True); time.sleep(60)"}
    engine, record = laid_out(tmp_path / "target", runner, Deploy(run=RUN), files, SETTINGS)
    ports = free_ports(3)
    ports_of = Ports(router=ports[0], blue=ports[1], green=ports[2])
    yield engine, msgspec.structs.replace(record, ports=ports_of, secrets=["PASSWORD"])
    for slot in ("blue", "green"):
        engine.stop(slot)


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended; its parent may not have asked for it yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def program(engine: ProcessEngine, slot: str) -> psutil.Process:
    (found,) = with_variable(MARK, str(engine.target.folder / "slots" / slot))
    return psutil.Process(found.pid)


def test_a_secret_is_in_the_environment_and_not_in_the_command_line(made: Made) -> None:
    engine, record = made
    engine.start("blue", record)
    running = program(engine, "blue")
    assert running.cmdline()[3:] == [
        *("--port", str(record.ports.blue), "--at", "127.0.0.1", "--say", "hello", "--password", "$PASSWORD")
    ]
    assert running.environ()["PASSWORD"] == "hunter2-secret"
    assert engine.alive("blue") == record.release.id
    for path in (engine.target.folder / "slots").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((engine.target.folder / "slots").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"release": "a", "pid": "x", "started": 1}',
        '{"release": "a", "pid": -1, "started": 1}',
        '{"release": "a", "pid": 99999999999999999999, "started": 1}',
        '{"release": "a", "pid": 1, "started": "x"}',
    ],
)
def test_a_damaged_slot_counts_as_empty_and_its_program_is_found_none_the_less(made: Made, text: str) -> None:
    engine, record = made
    engine.start("blue", record)
    running = program(engine, "blue")
    (engine.target.folder / "slots" / "blue.json").write_text(text)
    assert engine.alive("blue") == ""
    engine.stop("blue")
    assert is_gone(running)
    assert not (engine.target.folder / "slots" / "blue.json").exists()


def test_a_step_of_the_clock_leaves_a_slot_alive(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, record = made
    engine.start("blue", record)
    now = psutil.Process.create_time
    with monkeypatch.context() as patch:
        patch.setattr(psutil.Process, "create_time", lambda self: now(self) - 3600)
        assert engine.alive("blue") == record.release.id
    noted = json.loads((engine.target.folder / "slots" / "blue.json").read_text())
    assert noted["release"] == record.release.id
    assert sys.platform != "linux" or "/" in noted["started"]


@pytest.mark.parametrize("name", ["/etc/hostname", "../../../../../../etc/hostname", "link"])
def test_requirements_are_read_from_the_image_alone(made: Made, name: str) -> None:
    engine, record = made
    app = engine.target.release_folder(record.release.id) / "app"
    (app / "link").symlink_to("/etc/hostname")
    deploy = msgspec.structs.replace(record.deploy, requirements=[name])
    with pytest.raises(PrepareFailed, match="The image has no"):
        engine._python(msgspec.structs.replace(record, deploy=deploy), app)


def test_only_the_end_of_a_log_is_read(made: Made) -> None:
    engine, _ = made
    with (engine.target.make("slots") / "green.log").open("wb") as log:
        log.truncate(20 << 30)
        log.seek(0, 2)
        log.write(b"\nthe last words\n")
    assert engine.log_tail("green", 1) == "the last words"
