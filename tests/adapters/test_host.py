"""What every host does, on this machine and on one that is reached by ssh."""

import contextlib
import http.server
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cicd.adapters.host import Fenced, Held, Host
from cicd.adapters.host.address import host_of
from cicd.adapters.host.local import LocalHost
from cicd.adapters.host.ssh import SshHost
from cicd.adapters.http import probe
from cicd.adapters.process import which
from cicd.errors import CommandFailed, ConfigError, ToolMissing
from tests.adapters.sshd import Sshd, needs_sshd
from tests.fakes import runner as fake_runner

pytestmark = pytest.mark.real
BYTES = bytes(range(256))
TEXT = "".join(map(chr, range(1, 0x180))) + "\\n \\0101 %s '\"`$HOME"
WEIRD = 'it\'s "a"\n -x $HOME \\n ü*'


def busybox(folder: Path) -> str:
    """A machine with busybox alone, whose login says something first. Its flock, as Alpine's, is util-linux's."""
    programs = folder / "bin"
    programs.mkdir()
    found, flock = which("busybox"), which("flock")
    assert found
    assert flock
    for name in subprocess.run([found, "--list"], capture_output=True, text=True, check=True).stdout.split():
        (programs / name).symlink_to(found)
    if not (programs / "flock").exists():
        (programs / "flock").symlink_to(flock)
    return f'echo Welcome; echo to you >&2; export PATH={programs}; exec sh -c "$SSH_ORIGINAL_COMMAND"'


@pytest.fixture(
    scope="module",
    params=[
        "local",
        pytest.param("ssh", marks=needs_sshd),
        pytest.param(
            "busybox",
            marks=[needs_sshd, pytest.mark.skipif(not which("busybox"), reason="busybox is not installed")],
        ),
    ],
)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    if request.param == "local":
        yield LocalHost(os.environ)
        return
    folder = tmp_path_factory.mktemp(request.param)
    options = {"ForceCommand": busybox(folder)} if request.param == "busybox" else {}
    server = Sshd(folder / "sshd", options)
    host = server.host()
    yield host
    host.close()
    server.stop()


@pytest.fixture
def folder(host: Host, tmp_path: Path) -> Path:
    made = tmp_path / WEIRD
    host.make_folder(made, tmp_path)
    return made


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_who_we_are(host: Host) -> None:
    assert host.user() == (os.geteuid(), os.getegid())
    assert host.home().is_dir()


def test_a_program_is_given_everything_as_it_is(host: Host, folder: Path) -> None:
    done = host.run(["sh", "-c", 'printf "%s" "$1"', "-", TEXT], env={"A": "1"}, cwd=folder)
    assert done.output.replace("\r", "") == TEXT.replace("\r", "")
    assert host.output(["sh", "-c", 'printf "%s" "$1"', "-", TEXT]) == TEXT.encode()
    assert host.run(["sh", "-c", 'printf "%s" "$A"'], env={"A": WEIRD}).output == WEIRD
    assert host.run(["pwd"], cwd=folder).output == str(folder)
    assert host.run(["cat"]).output == ""
    much = BYTES.replace(b"\n", b"").replace(b"\r", b"") * 1000
    assert host.run(["cat"], stdin=much).output == much.decode(errors="replace")
    assert host.run(["true"], stdin=much).code == 0  # reads nothing of it


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), st.binary(max_size=2000))
def test_any_value_and_any_content(host: Host, tmp_path: Path, value: str, content: bytes) -> None:
    assert host.output(["printf", "%s", value]) == value.encode()
    host.write(tmp_path / "any", content)
    assert host.read(tmp_path / "any") == content


def test_output_comes_line_by_line_and_both_streams_are_kept_apart_where_wanted(host: Host) -> None:
    heard: list[tuple[str, float]] = []
    script = "echo one; sleep 0.5; echo two >&2; printf three"
    done = host.run(["sh", "-c", script], each_line=lambda line: heard.append((line, time.monotonic())))
    assert done.output == "one\ntwo\nthree"
    assert [line for line, _ in heard] == ["one", "two", "three"]
    assert heard[1][1] - heard[0][1] > 0.3
    assert host.output(["sh", "-c", script]) == b"one\nthree"


def test_programs_that_fail(host: Host, folder: Path) -> None:
    with pytest.raises(CommandFailed, match=r"(?s)ended with 4.*because.*Next: try again"):
        host.run(["sh", "-c", "echo because; exit 4"], next_step="try again")
    assert host.run(["sh", "-c", "exit 255"], check=False).code == 255
    with pytest.raises(CommandFailed, match=r"(?s)ended with 5.*alas"):
        host.output(["sh", "-c", "echo alas >&2; exit 5"])
    for argv, cwd in ((["no-such-program-here"], None), (["/etc/passwd"], None), (["true"], folder / "nowhere")):
        with pytest.raises((ToolMissing, CommandFailed)):
            host.run(argv, cwd=cwd)
    with pytest.raises(ToolMissing):
        host.run(["true", "a\0b"])


def test_a_time_that_is_over_ends_the_whole_family(host: Host, folder: Path) -> None:
    script = 'trap "echo polite; exit 7" TERM; sh -c "trap : TERM; while :; do sleep 0.2; done" & echo $!; wait'
    pids: list[int] = []
    done = host.run(
        ["sh", "-c", script],
        timeout=1.0,
        check=False,
        each_line=lambda line: pids.append(int(line or "0") if line.isdigit() else 0),
    )
    assert done.timed_out
    assert "polite" in done.output
    assert ended(pids[0])
    with pytest.raises(CommandFailed, match="after its time"):
        host.run(["sleep", "60"], timeout=0.3)


def ended(pid: int, seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_a_server_that_is_left_behind_goes_on_and_does_not_hold_us_up(host: Host) -> None:
    began = time.monotonic()
    done = host.run(["sh", "-c", "sleep 30 & echo $!"])
    assert time.monotonic() - began < 15
    os.kill(int(done.output), signal.SIGKILL)


def test_an_exception_in_the_listener_ends_the_program(host: Host) -> None:
    pids: list[int] = []

    def listen(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        host.run(["sh", "-c", "echo $$; exec sleep 60"], each_line=listen)
    assert ended(pids[0])


def test_files_are_written_whole_with_their_rights(host: Host, folder: Path) -> None:
    path = folder / "-a file"
    before = os.umask(0o077)
    try:
        for content, mode in ((b"", 0o600), (BYTES * 40_000, 0o644), (b"no end", 0o600)):
            host.write(path, content, mode=mode)
            assert host.read(path) == path.read_bytes() == content
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(before)
    with pytest.raises(FileExistsError):
        host.write(path, b"mine", exclusive=True)
    host.write(folder / "new", b"mine", exclusive=True)
    assert (path.read_bytes(), (folder / "new").read_bytes()) == (b"no end", b"mine")
    assert left_in(folder) == {"-a file", "new"}


def test_a_link_is_replaced_and_a_folder_is_not(host: Host, folder: Path) -> None:
    (folder / "link").symlink_to("/etc/passwd")
    host.write(folder / "link", b"mine")
    assert not (folder / "link").is_symlink()
    (folder / "sub").mkdir()
    with pytest.raises(IsADirectoryError):
        host.write(folder / "sub", b"")
    with pytest.raises(IsADirectoryError):
        host.read(folder / "sub")
    assert left_in(folder) == {"link", "sub"}


def test_what_is_not_there(host: Host, folder: Path) -> None:
    (folder / "file").touch()
    for missing, error in ((folder / "no", FileNotFoundError), (folder / "file" / "no", NotADirectoryError)):
        with pytest.raises(error):
            host.read(missing)
        with pytest.raises(OSError):
            host.write(missing / "a", b"")
        assert host.look(missing) is None
        assert host.read_from(missing, 0, 0, 10) is None
        assert host.names(missing) == []
        host.remove(missing)
    with pytest.raises(FileNotFoundError):
        host.rename(folder / "no", folder / "yes")
    with pytest.raises(ValueError):
        host.read(folder / "a\0b")


def test_looking(host: Host, folder: Path) -> None:
    path = folder / "f"
    path.write_bytes(b"four")
    os.utime(path, ns=(0, 1_700_000_000_123_000_000))
    look = host.look(path)
    assert look
    assert (look.number, look.size, look.folder) == (path.stat().st_ino, 4, False)
    assert abs(look.changed - 1_700_000_000.123) < 0.001
    about = host.look(folder)
    assert about
    assert about.folder


def test_reading_on(host: Host, folder: Path) -> None:
    path = folder / "log"
    content = BYTES * 1000
    path.write_bytes(content)
    number = path.stat().st_ino
    for position in (0, 1, 65535, 65536, 65537, 200_000, len(content)):
        piece = host.read_from(path, number, position, 70_000)
        assert piece
        assert piece.content == content[position : position + 70_000]
        assert (piece.number, piece.position) == (number, position + len(piece.content))
    for stranger, position in ((number + 1, 100), (number, len(content) + 1)):
        piece = host.read_from(path, stranger, position, 10)
        assert piece
        assert (piece.content, piece.position) == (content[:10], 10)


def test_lines_are_appended_and_half_ones_cut_off(host: Host, tmp_path: Path) -> None:
    path, fence = tmp_path / "app" / "env" / "journal", tmp_path / "app" / "env" / "fence"
    for number in range(3):
        host.append(path, b'{"n": %d, "t": "\\n\'"}\n' % number, tmp_path, fence, 0)
    whole = path.read_bytes()
    assert whole.count(b"\n") == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for half in (b"h", b"half \xff\0 line", b"\0", b"x" * 200_000):
        path.write_bytes(whole + half)
        host.append(path, b"next\n", tmp_path, fence, 0)
        assert path.read_bytes() == whole + b"next\n"
    path.write_bytes(b"half alone")
    host.append(path, b"first\n", tmp_path, fence, 0)
    assert path.read_bytes() == b"first\n"


def test_an_older_token_is_fenced(host: Host, tmp_path: Path) -> None:
    path, fence = tmp_path / "journal", tmp_path / "fence"
    for text in ("7", "7\n"):
        fence.write_text(text)
        host.append(path, b"ours\n", tmp_path, fence, 7)
        with pytest.raises(Fenced) as caught:
            host.append(path, b"theirs\n", tmp_path, fence, 6)
        assert caught.value.args == (7,)
    for text in ("", "nonsense"):
        fence.write_text(text)
        host.append(path, b"ours\n", tmp_path, fence, 0)
    assert path.read_bytes() == b"ours\n" * 4


def test_a_file_is_swapped_if_nobody_has_touched_it(host: Host, tmp_path: Path) -> None:
    path, fence = tmp_path / WEIRD, tmp_path / "fence"
    path.write_bytes(b"old\n")
    was = host.look(path)
    assert was
    fence.write_text("7\n")
    with pytest.raises(Fenced) as caught:
        host.swap(path, b"theirs\n", was, fence, 6)
    assert (caught.value.args, path.read_bytes()) == ((7,), b"old\n")
    assert host.swap(path, BYTES * 9000, was, fence, 7)
    assert path.read_bytes() == BYTES * 9000
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    now = host.look(path)
    assert now
    assert not host.swap(path, b"late\n", was, fence, 7), "it is another file now"
    with path.open("ab") as file:
        file.write(b"more\n")
    assert not host.swap(path, b"late\n", now, fence, 7), "it has grown"
    path.unlink()
    with contextlib.suppress(FileNotFoundError):
        assert not host.swap(path, b"late\n", now, fence, 7)
    assert left_in(tmp_path) == {"fence"}, "nothing is left beside it"


def test_folders_are_ours_alone_and_a_root_keeps_its_rights(host: Host, tmp_path: Path) -> None:
    root = tmp_path / "above" / "root"
    host.make_folder(root / "a" / "b", root)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (root, root / "a", root / "a" / "b")] == [0o700] * 3
    root.chmod(0o755)
    (root / "a").chmod(0o755)
    host.make_folder(root / "a" / "c", root)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (root, root / "a")] == [0o755, 0o700]
    (root / "file").touch()
    with pytest.raises(OSError):
        host.make_folder(root / "file" / "x", root)


def test_names_are_told_newest_first(host: Host, folder: Path) -> None:
    assert host.names(folder) == []
    names = ["old", "-n", WEIRD, ".hidden", "..more", "a\n\nb\n", "* ?"]
    for age, name in enumerate(names):
        (folder / name).touch()
        os.utime(folder / name, ns=(0, 1_700_000_000_000_000_000 - age * 1_000_000))
    (folder / "broken").symlink_to("nowhere")
    assert host.names(folder) == ["broken", *names]


def test_removing_and_renaming(host: Host, folder: Path) -> None:
    (folder / "tree" / "deep").mkdir(parents=True)
    (folder / "tree" / "deep" / "-f").touch()
    (folder / "link").symlink_to(folder / "tree")
    host.remove(folder / "link")
    assert left_in(folder) == {"tree"}
    (folder / "a").write_text("a")
    (folder / "b").write_text("b")
    host.rename(folder / "a", folder / "b")
    assert (folder / "b").read_text() == "a"
    for name in ("tree", "b", "tree"):
        host.remove(folder / name)
    assert left_in(folder) == set()


def test_a_folder_is_sent(host: Host, folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub" / "empty").mkdir(parents=True)
    (source / WEIRD).write_bytes(BYTES * 3)
    (source / ("long" * 40)).write_bytes(b"x" * 512)
    (source / "sub" / "program").write_text("#!/bin/sh\n")
    (source / "sub" / "program").chmod(0o755)
    (source / "link").symlink_to("sub/program")
    (folder / "there" / "old").mkdir(parents=True)
    host.send(source, folder / "there")
    assert left_in(folder) == {"there"}
    there = folder / "there"
    assert left_in(there) == {"sub", WEIRD, "long" * 40, "link"}
    assert (there / WEIRD).read_bytes() == BYTES * 3
    assert stat.S_IMODE((there / "sub" / "program").stat().st_mode) == 0o755
    assert os.readlink(there / "link") == "sub/program"
    assert list((there / "sub" / "empty").iterdir()) == []
    host.send(source / WEIRD, folder / "file")
    assert (folder / "file").read_bytes() == BYTES * 3
    with pytest.raises(FileNotFoundError):
        host.send(source / "no", folder / "x")
    assert left_in(folder) == {"there", "file"}


def test_what_cannot_be_read_whole_is_not_sent(host: Host, folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_text("a")
    os.mkfifo(source / "pipe")
    (folder / "there").write_text("old")
    with pytest.raises(OSError):
        host.send(source, folder / "there")
    settled(lambda: left_in(folder) == {"there"})
    assert (folder / "there").read_text() == "old"


def settled(done: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert done()


def test_free_room(host: Host, folder: Path) -> None:
    facts = os.statvfs(folder)
    assert abs(host.free(folder / "no" / "where") - facts.f_bavail * facts.f_frsize) < 1 << 30


def test_one_holder_at_a_time(host: Host, folder: Path) -> None:
    path = folder / "lock"
    with host.locked(path, BYTES) as hold:
        assert hold.held
        with pytest.raises(Held) as caught, host.locked(path, b"other"):
            pass
        assert caught.value.args == (BYTES,)
        with pytest.raises(Held), LocalHost(os.environ).locked(path, b"one on that machine"):
            pass
    with host.locked(path, b"next"):
        assert path.read_bytes() == b"next"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileNotFoundError), host.locked(folder / "no" / "lock", b""):
        pass


def test_a_lock_is_seen_while_it_is_held(host: Host, folder: Path) -> None:
    path, other = folder / "lock", folder / "other"
    assert not host.is_held(path)
    with host.locked(path, b""), host.locked(other, b""):
        assert host.is_held(path)
        assert not host.is_held(folder)
        assert not host.is_held(folder / "no" / "lock")
        waiting = subprocess.Popen(["flock", path, "true"])
        time.sleep(0.2)
        assert host.is_held(path)
    waiting.wait(10)
    assert not host.is_held(path)


def test_many_threads_at_once(host: Host, folder: Path) -> None:
    def work(number: int) -> bytes:
        path = folder / f"{number}"
        host.write(path, BYTES * number)
        host.run(["sh", "-c", "sleep 0.1"])
        return host.read(path)

    with host.locked(folder / "lock", b""), ThreadPoolExecutor(24) as pool:
        assert list(pool.map(work, range(24))) == [BYTES * number for number in range(24)]
    same = folder / "same"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: host.write(same, b"%d" % number * 5000), range(8)))
    assert len(set(host.read(same))) == 1


def test_what_is_reached(host: Host) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = host.reach(f"127.0.0.1:{server.server_port}")
        assert host.reach(f"127.0.0.1:{server.server_port}") == address
        assert probe(f"http://{address}/").status == 501  # the server knows no GET
    finally:
        server.shutdown()
        server.server_close()


DYING = """
import os, sys, time
from pathlib import Path
from cicd.adapters.host.local import LocalHost
from cicd.adapters.host.ssh import SshHost
name, key, known, what, folder = sys.argv[1:]
folder = Path(folder)
host = LocalHost(os.environ)
if name != "local":
    host = SshHost(name, os.environ, identity_file=Path(key), known_hosts=Path(known))
host.look(folder)
print("ready", flush=True)
if what == "lock":
    with host.locked(folder / "lock", b"the dying one"):
        print("held", flush=True)
        time.sleep(60)
elif what == "run":
    host.run(["sh", "-c", "echo $$; exec sleep 60"], each_line=lambda line: print(line, flush=True))
elif what == "swap":
    host.write(folder / "file", b"0" * 3_000_000)
    while True:
        host.swap(folder / "file", os.urandom(1) * 3_000_000, host.look(folder / "file"), folder / "fence", 0)
elif what == "write":
    while True:
        host.write(folder / "file", os.urandom(1) * 3_000_000)
else:
    while True:
        host.append(folder / "file", os.urandom(1).hex().encode() * 5000 + b"\\n", folder, folder / "fence", 0)
"""


@contextlib.contextmanager
def dying(host: Host, what: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Somebody who works on the host, and is killed at the end."""
    key = known = ""
    if isinstance(host, SshHost):
        options = host._connection._options
        key, known = options["IdentityFile"].strip('"'), options["UserKnownHostsFile"].strip('"')
    argv = [sys.executable, "-c", DYING, host.name, key, known, what, str(folder)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env, cwd=folder)
    try:
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.kill()
        child.communicate()


def test_one_who_dies_lets_go(host: Host, folder: Path) -> None:
    with dying(host, "lock", folder) as child:
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        with pytest.raises(Held), host.locked(folder / "lock", b""):
            pass

    def free() -> bool:
        with contextlib.suppress(Held), host.locked(folder / "lock", b""):
            return True
        return False

    settled(free)


def test_a_program_on_another_machine_ends_with_us(host: Host, folder: Path) -> None:
    if host.name == "local":
        return  # GitHub's runner ends what a job leaves behind; see process.TRACKING
    with dying(host, "run", folder) as child:
        assert child.stdout
        pid = int(child.stdout.readline())
        assert not ended(pid, 0.2)
    assert ended(pid)


@pytest.mark.parametrize("what", ["write", "swap"])
@pytest.mark.parametrize("round_", range(3))
def test_one_who_dies_leaves_whole_files(host: Host, folder: Path, round_: int, what: str) -> None:
    with dying(host, what, folder):
        settled((folder / "file").exists)
        time.sleep(0.05 + 0.07 * round_)
    content = host.read(folder / "file")
    assert len(content) == 3_000_000
    assert len(set(content)) == 1
    if host.name != "local":
        settled(lambda: left_in(folder) == {"file"})


def test_one_who_dies_leaves_whole_lines(host: Host, folder: Path) -> None:
    with dying(host, "append", folder):
        settled((folder / "file").exists)
        time.sleep(0.3)
    time.sleep(0.3)
    host.append(folder / "file", b"last\n", folder, folder / "fence", 0)
    *lines, last, end = (folder / "file").read_bytes().split(b"\n")
    assert (last, end) == (b"last", b"")
    assert all(len(line) == 10_000 and len(set(zip(line[::2], line[1::2], strict=True))) == 1 for line in lines)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_disk_that_is_full(host: Host, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        host.write(disk / "file", b"old")
        host.append(disk / "journal", b"line\n", disk, disk / "fence", 0)
        source = tmp_path / "big"
        source.mkdir()
        (source / "file").write_bytes(BYTES * 10_000)
        acts: list[Callable[[], object]] = [
            lambda: host.write(disk / "file", BYTES * 10_000),
            lambda: host.append(disk / "journal", b"x" * 2_000_000 + b"\n", disk, disk / "fence", 0),
            lambda: host.send(source, disk / "sent"),
            lambda: host.send(source / "file", disk / "sent"),
        ]
        for act in acts:
            with pytest.raises(OSError, match="No space left on device"):
                act()
            if (disk / "journal").stat().st_size > 5:
                os.truncate(disk / "journal", 9)
        assert host.read(disk / "file") == b"old"
        host.append(disk / "journal", b"more\n", disk, disk / "fence", 0)
        assert host.read(disk / "journal") == b"line\nmore\n"
        assert left_in(disk) == {"file", "journal"}
    finally:
        subprocess.run(["umount", disk], check=True)


def test_addresses() -> None:
    runner = fake_runner({})
    assert host_of("local", runner).name == "local"
    assert host_of("ssh://a@b:22/srv/cicd", runner).name == "ssh://a@b:22"
    assert host_of("ssh://[::1]:22", runner).name == "ssh://[::1]:22"
    for wrong in ("ssh://-oProxyCommand=x", "ssh://-l@host", "ssh://a:secret@host", "http://host", "ssh://", "host"):
        with pytest.raises(ConfigError):
            host_of(wrong, runner)
