"""On a terminal, interrupted or not: what is started ends with the shell, and nothing is left after a signal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cicd.core.services import RUNNERS

CHECKOUT = Path(__file__).resolve().parents[2]
CICD = CHECKOUT / "src" / "cicd" / "__main__.py"

pytestmark = pytest.mark.real


def environ(temp: Path, home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
    return {**kept, "PATH": os.environ["PATH"], "HOME": str(temp), "RUNNER_TEMP": str(temp), "CICD_HOME": str(home)}


def eventually(holds: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def processes_of(folder: Path) -> list[str]:
    found = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [command for command in found if f"{folder}/cicd-services" in command]


def test_a_shell_gets_the_urls_and_its_end_is_theirs(tmp_path: Path, cicd_home: Path) -> None:
    if any(process.name() in RUNNERS for process in psutil.Process().parents()):
        pytest.skip("these tests run in a job, and there servers end with the job and not with a shell")
    line = f'eval "$({sys.executable} -I {CICD} setup-env --services "redis postgres")"; echo $DATABASE_URL $REDIS_URL'
    shell = subprocess.run(
        ["bash", "-c", f"{line}; ls -d {tmp_path}/cicd-services-*; sleep 0.5"],
        cwd=tmp_path,
        env=environ(tmp_path, cicd_home),
        capture_output=True,
        text=True,
        start_new_session=True,
        check=True,
    )
    database, redis, folder = shell.stdout.split()
    assert database.startswith("postgresql://postgres:")
    assert redis.startswith("redis://:")
    assert "`kill " in shell.stderr
    assert eventually(lambda: not Path(folder).exists() and not processes_of(tmp_path))


@pytest.mark.parametrize(("number", "moment"), [(signal.SIGTERM, "initdb"), (signal.SIGINT, "install")])
def test_interrupted(tmp_path: Path, cicd_home: Path, number: signal.Signals, moment: str) -> None:
    """While the cluster is made, and while an installer hangs with the servers ready."""
    (tmp_path / "requirements.txt").write_text("hangs @ file:hangs\n")
    (tmp_path / "hangs").mkdir()
    (tmp_path / "hangs" / "setup.py").write_text("import time; time.sleep(60)\n")
    environment = environ(tmp_path, cicd_home)
    environment["CICD_HOME"] = str(cicd_home)
    process = subprocess.Popen(
        [sys.executable, "-I", str(CICD), "setup-env", "--services", "postgres:18 redis"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        pattern = (
            "cicd-services-*/postgres-*" if moment == "initdb" else "cicd-services-*/postgres-*/data/postmaster.pid"
        )
        assert eventually(lambda: bool(list(tmp_path.glob(pattern))))
        time.sleep(0.1)
        asked = time.monotonic()
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 72, output
    assert f"{number.name} arrived" in output
    assert time.monotonic() - asked < 7.5  # then GitHub's runner sends the next signal
    assert not list(tmp_path.glob("cicd-services-*"))
    assert not processes_of(tmp_path)
    assert not list(cicd_home.glob("python-*/ready")) or "hangs" not in output


def test_a_temp_folder_that_cannot_be_written(tmp_path: Path, cicd_home: Path) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, "-I", str(CICD), "setup-env", "--services", "redis"],
        cwd=tmp_path,
        env={**environ(tmp_path, cicd_home), "RUNNER_TEMP": str(tmp_path / "file")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 50
    assert "Next: set RUNNER_TEMP to a folder of your own" in done.stderr
    assert done.stdout == ""
