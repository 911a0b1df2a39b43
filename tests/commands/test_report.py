"""The command line as a program: what it is given, and whom it tells."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cicd.cli import main, read_inputs
from cicd.contract import COMMANDS
from cicd.errors import UsageError

pytestmark = pytest.mark.real
ENTRY = Path(__file__).resolve().parents[2] / "src" / "cicd" / "__main__.py"
REPORT = "<testsuite><testcase name='one'/></testsuite>"
SUITE = f"""import sys
open("r.xml", "w").write("{REPORT}")
for number in range(20000):
    print("line", number, flush=True)
open("ended", "w").close()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "suite.py").write_text(SUITE)
    return tmp_path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-I", str(ENTRY), *arguments]


def environment(folder: Path, **more: str) -> dict[str, str]:
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "RUNNER_TEMP": str(folder / "temp")}
    return {**own, **more}


def suite(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    run = f"{sys.executable} suite.py"
    return subprocess.run(
        command("run-suite", "--run", run, "--junit", "r.xml", *arguments),
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("actions", ["true", ""])
def test_that_nobody_reads_on_ends_nothing_and_is_no_failure(project: Path, actions: str) -> None:
    reader, writer = os.pipe()
    running = subprocess.Popen(
        command("run-suite", "--run", f"{sys.executable} suite.py", "--junit", "r.xml", "--json"),
        cwd=project,
        env=environment(project, GITHUB_ACTIONS=actions),
        stdout=writer,
        stderr=writer,
    )
    os.close(writer)
    assert os.read(reader, 10)
    os.close(reader)
    assert running.wait(60) == 0
    assert (project / "ended").exists()


def test_a_log_on_a_full_disk_ends_nothing(project: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("run-suite", "--run", f"{sys.executable} suite.py", "--junit", "r.xml"),
            cwd=project,
            env=environment(project, GITHUB_ACTIONS="true"),
            stdout=full,
            stderr=full,
            timeout=60,
        )
    assert done.returncode == 0
    assert (project / "ended").exists()


@pytest.mark.parametrize("variable", ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"])
def test_files_that_cannot_be_written_leave_the_exit_code(project: Path, variable: str) -> None:
    done = suite(project, GITHUB_ACTIONS="true", **{variable: "/nonexistent/x"})
    assert done.returncode == 0
    assert "::warning title=cicd run-suite::The runner's file cannot be written" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--timeout", "1"], "suite.py: 1 test passed|tests: 1 test passed"),
        (["--junit", "x" * 5000], "left no JUnit report"),
    ],
)
def test_it_ends_with_what_the_suite_showed(project: Path, arguments: list[str], said: str) -> None:
    told = suite(project, *arguments)
    assert told.returncode in (0, 63)
    assert any(part in told.stderr for part in said.split("|"))


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("CICD_INPUT_VERSION", "v1\n::error::pwned", "`version` must be one line without control characters"),
        ("CICD_INPUT_VERSION", "v\u2028x", "`version` must be one line"),
        ("CICD_INPUT_VERSION", os.fsdecode(b"v\xff"), "`version` is not UTF-8"),
        ("CICD_INPUT_VERSION", "v" * 101, "`version` has 101 characters, and at most 100 are taken"),
        ("CICD_INPUT_ENVIRONMENT", os.fsdecode(b"v\xff"), "`environment` is not UTF-8"),
    ],
)
def test_a_label_is_one_line(variable: str, value: str, said: str) -> None:
    env = {"CICD_INPUT_ENVIRONMENT": "dev", "CICD_INPUT_IMAGE": "x", variable: value}
    with pytest.raises(UsageError) as caught:
        read_inputs(COMMANDS["promote"], {}, env)
    assert said in str(caught.value)


def test_a_reason_is_one_line_and_may_be_longer() -> None:
    env = {"CICD_INPUT_ENVIRONMENT": "dev", "CICD_INPUT_REASON": "because " * 100}
    assert read_inputs(COMMANDS["rollback"], {}, env).reason
    with pytest.raises(UsageError, match="`reason`"):
        read_inputs(COMMANDS["rollback"], {}, env | {"CICD_INPUT_REASON": "x" * 1001})


@pytest.mark.parametrize("patience", ["abc", "nan", "inf", "-1"])
def test_patience_is_a_number(
    patience: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CICD_GITHUB_PATIENCE", patience)
    assert main(["status", "--json"]) == UsageError.code
    assert "CICD_GITHUB_PATIENCE must be" in json.loads(capsys.readouterr().out)["message"]


@pytest.mark.parametrize("url", ["http://[::bad", "ftp://example", "https://", "https://a b", "https://a\nb"])
def test_github_has_an_address(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GITHUB_API_URL", url)
    assert main(["status", "--json"]) == UsageError.code
    assert "GITHUB_API_URL must be" in json.loads(capsys.readouterr().out)["message"]


def test_what_cannot_be_encoded_is_said_none_the_less(project: Path) -> None:
    done = suite(project, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C", CICD_INPUT_SUITE="größe")
    assert done.returncode == 0


CONFIG = """version: 1
app: hello
deploy: {run: python app.py}
environments: {dev: {ports: {router: 8400, blue: 8401, green: 8402}}}
"""


def test_what_was_asked_for_can_be_piped(tmp_path: Path) -> None:
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github" / "cicd.yml").write_text(CONFIG)
    told, asked = (
        subprocess.run(
            command("status", *more),
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=60,
        )
        for more in ((), ("--json",))
    )
    table = "ENVIRONMENT  RELEASE  VERDICT  SINCE  APPROVED BY  SLOT\n"
    table += "dev          nothing  -        -      -            -\n"
    assert told.stdout == table
    assert "GitHub was not asked" in told.stderr
    assert f"No release lies below {tmp_path}" in told.stderr
    assert json.loads(asked.stdout)["message"].startswith(f"{table}(GitHub was not asked")
    assert asked.stderr.startswith(table)
