import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from cicd.adapters.process import (
    POLITELY,
    Completed,
    Dialogue,
    ProcessId,
    end_group,
    failure,
    find,
    identify,
    output,
    run,
    spawn,
    stop,
    stop_marked,
    which,
    with_variable,
)
from cicd.errors import CommandFailed, ToolMissing

pytestmark = pytest.mark.real
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
QUICKLY = ((signal.SIGTERM, 0.3), (signal.SIGKILL, 1.0))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def gone(pid: int) -> bool:
    for _ in range(60):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_lines_come_as_they_are_said_and_output_keeps_them() -> None:
    heard: list[tuple[str, float]] = []
    code = "import sys, time; print('a', flush=True); time.sleep(0.5); print('ü', file=sys.stderr)"
    done = run(python(code), each_line=lambda line: heard.append((line, time.monotonic())))
    assert [line for line, _ in heard] == ["a", "ü"]
    assert heard[1][1] - heard[0][1] > 0.3
    assert (done.code, done.output, done.timed_out) == (0, "a\nü", False)


def test_bytes_that_are_no_text_and_a_last_line_without_an_end() -> None:
    done = run(python(r"import os; os.write(1, b'\xff\r\n\n' + b'x' * 200_000)"))
    lines = done.output.split("\n")
    assert lines[:2] == ["�", ""]
    assert len(lines[2]) == 200_000


def test_only_the_environment_that_is_given() -> None:
    done = run(python("import os; print(sorted(os.environ))"), env={"ONE": "1"})
    assert "'ONE'" in done.output
    assert "HOME" not in done.output


def test_a_failure_says_command_code_and_last_lines(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed) as caught:
        run(python("print('because'); raise SystemExit(4)"), cwd=tmp_path, next_step="try again")
    message = str(caught.value)
    assert "ended with 4" in message
    assert "because" in message
    assert "Next: try again." in message
    assert run(python("raise SystemExit(4)"), check=False).code == 4
    assert "after its time" in str(failure(Completed(("a",), 0, "", 1.0, timed_out=True)))


@pytest.mark.parametrize("program", ["no-such-program-here", "/etc/passwd", "/etc/passwd/x"])
def test_a_program_that_is_not_there(program: str) -> None:
    with pytest.raises(ToolMissing, match="cannot be started"):
        run([program])


def test_where_a_program_is_looked_for_is_said() -> None:
    with pytest.raises(ToolMissing, match="install no-such-program where it is looked for: /a:/b"):
        run(["no-such-program"], env={"PATH": "/a:/b"})


def test_a_timeout_ends_the_whole_group_even_those_who_do_not_obey() -> None:
    code = f"""import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}])
print(child.pid, flush=True); time.sleep(60)"""
    began = time.monotonic()
    done = run(python(code), timeout=1.5, check=False, ending=QUICKLY)
    assert done.timed_out
    assert done.code == -signal.SIGTERM
    assert time.monotonic() - began < 10
    assert gone(int(next(line for line in done.output.splitlines() if line.isdigit())))


def test_a_server_that_is_left_behind_does_not_hold_us_up() -> None:
    code = """import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
print(child.pid, flush=True)"""
    began = time.monotonic()
    done = run(python(code))
    assert time.monotonic() - began < 10
    os.kill(int(done.output), signal.SIGKILL)


def test_an_exception_in_the_listener_ends_the_program() -> None:
    pids: list[int] = []

    def listen(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(python("import os, time; print(os.getpid(), flush=True); time.sleep(60)"), each_line=listen)
    assert gone(pids[0])


def test_signals_come_in_order_until_obeyed(tmp_path: Path) -> None:
    code = """import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: (print("int", flush=True), sys.exit(7)))
print("up", flush=True); time.sleep(60)"""
    done = run(python(code), timeout=1.5, check=False, ending=((signal.SIGINT, 3.0), *POLITELY))
    assert (done.code, done.output) == (7, "up\nint")


def test_spawn_find_and_stop(tmp_path: Path) -> None:
    log = tmp_path / "log"
    env = {**os.environ, "RUNNER_TRACKING_ID": "x"}
    code = "import os, time; print(os.environ.get('RUNNER_TRACKING_ID'), flush=True); time.sleep(60)"
    started = spawn(python(code), env=env, cwd=tmp_path, log=log, outlive_job=True)
    assert find(started)
    assert find(ProcessId(started.pid, f"{started.started}1")) is None
    assert find(ProcessId(started.pid, 100.0)) is None
    assert find(ProcessId(99999999999999999999, started.started)) is None
    deadline = time.monotonic() + 10
    while not log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert log.read_text().strip() == "None"
    assert log.stat().st_mode & 0o777 == 0o600
    stop(started)
    assert find(started) is None
    stop(started)


def test_stop_kills_what_does_not_obey(tmp_path: Path) -> None:
    log = tmp_path / "log"
    started = spawn(python(STUBBORN), env=dict(os.environ), cwd=tmp_path, log=log)
    while "up" not in log.read_text():
        time.sleep(0.05)
    stop(started, grace=0.3)
    assert find(started) is None


def test_a_step_of_the_clock_makes_nobody_look_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = spawn(python("import time; time.sleep(60)"), env=dict(os.environ), cwd=tmp_path, log=tmp_path / "log")
    now = psutil.Process.create_time
    with monkeypatch.context() as patch:
        patch.setattr(psutil.Process, "create_time", lambda self: now(self) + 3600)
        assert find(started)
        assert identify(started.pid) == started
    stop(started)
    assert find(started) is None


def test_a_program_that_cannot_be_executed(tmp_path: Path) -> None:
    program = tmp_path / "no-shebang"
    program.write_bytes(b"\0\1\2")
    program.chmod(0o755)
    for argv in ([str(program)], ["true", "x" * 3_000_000], ["true", "a\0b"]):
        with pytest.raises(ToolMissing, match="cannot be started") as caught:
            run(argv)
        assert len(str(caught.value)) < 1000


def test_much_output_takes_little_room() -> None:
    heard = [0]

    def listen(line: str) -> None:
        heard[0] += len(line)

    done = run(python("import sys\nfor _ in range(30): sys.stdout.write('x' * 1_000_000)\nprint()"), each_line=listen)
    assert heard[0] == 30_000_000
    assert len(done.output) < 3_000_000


def test_what_was_left_running_is_ended_by_its_mark(tmp_path: Path) -> None:
    daemon = f"""import os, time
for leaves in (False, True):
    if os.fork() == 0:
        if leaves:
            os.setsid()
        {STUBBORN.replace("; ", chr(10) + " " * 8)}
time.sleep(0.5)"""
    done = run(python(daemon), env={**os.environ, "OUR_MARK": str(tmp_path)})
    assert done.code == 0
    left = with_variable("OUR_MARK", str(tmp_path))
    assert len(left) == 2
    assert stop_marked("OUR_MARK", str(tmp_path), grace=0.2) == 2
    assert not any(find(one) for one in left)
    assert stop_marked("OUR_MARK", str(tmp_path)) == 0


def test_ending_a_group_that_is_gone_is_fine() -> None:
    threads = threading.active_count()
    end_group(2**22 + 1)
    assert threading.active_count() == threads


def test_a_dialogue_takes_much_in_both_directions_at_once() -> None:
    much = [bytes([number % 256]) * 100_000 for number in range(100)]
    dialogue = Dialogue(["cat"])
    dialogue.say(much)
    dialogue.say([b"", b"the end"])
    heard = b""
    while not heard.endswith(b"the end"):
        heard += (dialogue.hear(5.0) or (b"", b""))[0]
    assert heard == b"".join(much) + b"the end"
    assert dialogue.has_all
    assert dialogue.running
    dialogue.hang_up()
    dialogue.say([b"too late"])
    while dialogue.hear(5.0) is not None:
        pass
    assert dialogue.end(patience=5.0) == 0


def test_one_that_does_not_listen_in_a_dialogue_or_does_not_end() -> None:
    deaf = Dialogue(["sh", "-c", "exec <&-; echo no >&2; exit 3"])
    said = b""
    deaf.say(b"x" * 100_000 for _ in range(10))
    while (heard := deaf.hear(5.0)) is not None:
        said += heard[1]
    assert (said, deaf.has_all, deaf.end(patience=5.0)) == (b"no\n", True, 3)
    assert Dialogue(["sleep", "60"]).end() == -signal.SIGTERM
    with pytest.raises(ToolMissing):
        Dialogue(["no-such-program-here"])


def test_which() -> None:
    assert which("sh") == which("sh", os.environ["PATH"])
    assert which("sh", "/nowhere") is None


@pytest.mark.parametrize("code", [0, 3])
def test_what_goes_to_stderr_is_told_however_it_ends(code: int) -> None:
    said = list[str]()
    argv = [sys.executable, "-c", f"import sys; print('{{}}'); print('oh', file=sys.stderr); sys.exit({code})"]
    if code:
        with pytest.raises(CommandFailed, match="oh"):
            output(argv, complain=said.append)
    else:
        assert output(argv, complain=said.append) == b"{}\n"
    assert said == ["oh\n"]
