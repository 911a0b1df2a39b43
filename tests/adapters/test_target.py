import errno
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from cicd.adapters.target import Target, target_root
from cicd.core.journal import Entry, decode
from cicd.core.ledger import Payload
from cicd.core.plan import Running, plan_promotion
from cicd.errors import Locked, LockLost, NothingToRollBackTo, PrepareFailed, Unfinished, UsageError
from tests.core.histories import release
from tests.fakes import runner

PLAN = plan_promotion("dev", release("v1"), Running(), [], [])


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path, "app", "dev")


OPENED = Entry(
    at=1.0,
    deployment="d",
    event="plan",
    plan=PLAN,
    payload=Payload(kind="promote", release=PLAN.release, release_id=PLAN.release.id, key="d"),
)


def entry(event: str, **values: object) -> Entry:
    return Entry(at=1.0, deployment="d", event=event, **values)  # type: ignore[arg-type]


def test_nothing_was_ever_deployed(target: Target) -> None:
    assert target.state().running == Running()
    assert not target.folder.exists()


def test_the_journal_is_read_back_and_is_the_owners(target: Target) -> None:
    target.journal(OPENED)
    target.journal(entry("begin", step=0, facts={"created": True}))
    attempt = target.state().unfinished
    assert attempt is not None
    assert attempt.plan == PLAN
    assert attempt.begun[0].facts == {"created": True}
    assert stat.S_IMODE((target.folder / "journal.jsonl").stat().st_mode) == 0o600


def test_a_journal_is_read_again_only_when_it_has_changed(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []

    def counted(text: str) -> list[Entry]:
        reads.append(text)
        return decode(text)

    monkeypatch.setattr("cicd.adapters.target.decode", counted)
    target.raise_fence(0)
    target.journal(OPENED)
    for step in range(3):
        target.journal(entry("begin", step=step))
        for _ in range(3):
            attempt = target.state().unfinished
            assert attempt is not None
            assert len(attempt.begun) == step + 1
    assert len(reads) == 3


def test_a_line_that_a_crash_cut_off_is_dropped_by_the_next_entry(target: Target) -> None:
    target.journal(OPENED)
    path = target.folder / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"at": 2, "dep')
    assert target.state().unfinished is not None
    target.journal(entry("close", verdict="failed", running=Running()))
    assert path.read_bytes().startswith(whole)
    assert target.state().unfinished is None


@pytest.mark.parametrize("garbage", [b"not json\n", b"{}\n", b"\xff\xfe\n", b"[1]\n"])
def test_a_journal_that_was_tampered_with_is_refused(target: Target, garbage: bytes) -> None:
    target.journal(OPENED)
    path = target.folder / "journal.jsonl"
    path.write_bytes(garbage + path.read_bytes())
    with pytest.raises(Unfinished, match="cannot be read"):
        target.state()


@pytest.mark.parametrize("name", ["", "..", "../../etc", "0123456789ab", "0123456789ab/.."])
def test_a_release_that_does_not_lie_there(target: Target, name: str) -> None:
    assert not target.has(name)
    with pytest.raises(NothingToRollBackTo):
        target.record(name)


def test_the_key_is_made_once_and_private(target: Target) -> None:
    key = target.key()
    assert len(key) == 64
    assert Target(target.root, "app", "production").key() == key
    assert stat.S_IMODE((target.root / "app" / "key").stat().st_mode) == 0o600


def hold(root: str, ready: "multiprocessing.synchronize.Event", done: "multiprocessing.synchronize.Event") -> None:
    us = {"run": "https://hub/runs/1", "actor": "dana", "what": "promote v3"}
    with Target(Path(root), "app", "dev").lock(us):
        ready.set()
        done.wait(10)


@pytest.mark.real
def test_the_lock_is_let_go_when_its_holder_dies(target: Target) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, done = spawn.Event(), spawn.Event()
    holder = spawn.Process(target=hold, args=(str(target.root), ready, done))
    holder.start()
    assert ready.wait(20)
    told = r"held by dana \(promote v3, https://hub/runs/1\) since \d\d:\d\d UTC"
    with pytest.raises(Locked, match=told), target.lock({}):
        pass
    holder.kill()
    holder.join()
    with target.lock({}):
        pass


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "5", '{"since": 1e300}', '{"since": -1}', '{"since": "x"}', '{"run": "1"}']
)
def test_whatever_stands_in_a_lock_that_is_held(target: Target, text: str) -> None:
    """Whoever writes there may be another program, or be about to."""
    with target.lock({}):
        (target.folder / "lock").write_text(text)
        with pytest.raises(Locked, match="held by somebody since a moment ago"), target.lock({}):
            pass


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    with pytest.raises(PrepareFailed, match="cannot be written"):
        Target(tmp_path, "app", "dev").write(tmp_path / "no" / "folder", "x")


def test_where_targets_are() -> None:
    assert target_root(runner({"CICD_TARGET": "/srv/cicd"})) == Path("/srv/cicd")
    assert target_root(runner({"XDG_STATE_HOME": "/state"})) == Path("/state/cicd")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_nobody_else_can_enter_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    target = Target(tmp_path / "root", "app", "dev")
    before = os.umask(umask)
    try:
        target.key()
        target.journal(OPENED)
        with target.lock({}):
            target.make("slots")
    finally:
        os.umask(before)
    made = [target.root, *(path for path in target.root.rglob("*") if path.is_dir())]
    assert len(made) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o700}


def test_folders_that_were_open_are_closed(target: Target) -> None:
    target.folder.mkdir(parents=True, mode=0o755)
    target.journal(OPENED)
    assert stat.S_IMODE(target.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("root", ["/etc/passwd", "/proc/nope"])
def test_a_target_that_cannot_be_written_is_said(root: str) -> None:
    target = Target(Path(root), "app", "dev")
    assert target.state().running == Running()
    with pytest.raises(PrepareFailed, match="cannot be written"):
        target.key()
    with pytest.raises(PrepareFailed, match="cannot be written"), target.lock({}):
        pass
    with pytest.raises(OSError, match=root):
        target.journal(OPENED)


@pytest.mark.real
def test_whether_a_target_can_be_written_is_known_without_trying(target: Target) -> None:
    target.require_writable()
    assert not target.folder.exists()
    with pytest.raises(PrepareFailed, match="cannot be written"):
        Target(Path("/etc/passwd"), "app", "dev").require_writable()


@pytest.mark.parametrize("root", ["/tmp/my targets", "/tmp/a;b", "/tmp/{x}", "/tmp/$x", "/tmp/a\nb"])
def test_a_path_that_means_something_in_configuration_files_is_refused(root: str) -> None:
    with pytest.raises(UsageError, match="CICD_TARGET"):
        target_root(runner({"CICD_TARGET": root}))


def test_the_root_does_not_depend_on_where_one_stands() -> None:
    assert target_root(runner({"CICD_TARGET": "some/where"})) == Path.cwd() / "some" / "where"


def test_a_step_that_the_plan_does_not_have(target: Target) -> None:
    target.journal(OPENED)
    target.journal(entry("begin", step=99))
    with pytest.raises(Unfinished, match="step 99, which its plan does not have"):
        target.state()


def test_a_disk_that_takes_a_part_of_a_line(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly full, it takes a part of a write and refuses the next."""
    target.journal(OPENED)
    path = target.folder / "journal.jsonl"
    whole, write = path.read_bytes(), os.write
    room = [20]

    def nearly_full(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = write(descriptor, data[: room[0]])
        room[0] -= taken
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", nearly_full)
        with pytest.raises(OSError, match="No space left"):
            target.journal(entry("begin", step=0))
    assert len(path.read_bytes()) == len(whole) + 20
    target.journal(entry("close", verdict="failed", running=Running()))
    assert target.state().unfinished is None
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    target.journal(OPENED)
    assert target.state().unfinished is not None


def test_a_damaged_release_is_said_without_what_is_in_it(target: Target) -> None:
    folder = target.release_folder("0" * 12)
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{}")
    (folder / "settings.json").write_text('{"PASSWORD": "topsecret"')
    for read in (target.record, target.settings):
        with pytest.raises(PrepareFailed, match="is damaged on the target") as caught:
            read("0" * 12)
        assert "topsecret" not in str(caught.value)
    assert not target.has("0" * 12 + "\n")


def test_who_comes_with_an_older_token_is_refused(target: Target) -> None:
    target.raise_fence(5)
    assert target.fence() == 5
    with pytest.raises(LockLost, match="Token 4"):
        target.raise_fence(4)
    with pytest.raises(LockLost, match="Token 4"):
        target.journal(entry("close", fence=4))
    target.journal(entry("close", fence=5))
    target.raise_fence(5)
    (target.folder / "fence").unlink()
    assert target.fence() == 5, "the journal knows it as well"


@pytest.mark.parametrize("text", [None, "", "\n", "half a line"])
def test_a_journal_that_is_gone_is_no_new_target(target: Target, text: str | None) -> None:
    """Else the slot of what runs would be taken for a free one, and be stopped."""
    folder = target.make("releases", "0123456789ab")
    target.journal(OPENED)
    journal = target.folder / "journal.jsonl"
    if text is None:
        journal.unlink()
    else:
        journal.write_text(text)
    assert target.state().unfinished is None, "nothing lies there whole"
    (folder / "record.json").write_text("{}")
    with pytest.raises(Unfinished, match="gone or empty"):
        target.state()
