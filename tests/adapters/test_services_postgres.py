"""Real PostgreSQL, from the wheel and from this machine."""

import os
import stat
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from cicd.adapters.process import Completed, find, run
from cicd.adapters.runner import Runner
from cicd.adapters.services import SERVICES, place, postgres
from cicd.adapters.services.job import Job, Server, end
from cicd.adapters.services.server import start
from cicd.adapters.services.sources import _programs
from cicd.commands.seed import load
from cicd.core.services import Wanted
from cicd.errors import PortInUse, SeedFailed, ServiceFailed, UsageError
from tests.adapters.servers import job_of, text_of

pytestmark = pytest.mark.real


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return job_of(tmp_path)


def ask(server: Server, query: str, url: str = "") -> str:
    psql = postgres._sibling(place_of(server), "psql")
    return run([str(psql), "-X", "-w", url or server.url, "-tAc", query], check=False).output.strip()


def place_of(server: Server) -> place.Place:
    program = Path(f"/proc/{server.pid}/exe").resolve()
    return place.Place(program, Path(server.folder), "", {}, {"PATH": os.environ["PATH"]}, place.Account())


def test_from_the_wheel_with_settings(runner: Runner, job: Job) -> None:
    wanted = Wanted("postgres", "18", {"max_prepared_transactions": "7", "fsync": "on"})
    server = start(wanted, job, runner, threading.Event())
    try:
        assert (server.source, server.version[0]) == ("wheel", 18)
        assert ask(server, "show max_prepared_transactions; show fsync; show timezone") == "7\non\nUTC"
        assert ask(server, "show server_encoding") == "UTF8"
        assert "password authentication failed" in ask(server, "select 1", server.url.replace(server.password, "wrong"))
        assert "no password supplied" in ask(server, "select 1", server.url.replace(f":{server.password}", ""))
        assert ask(server, "select addr from (select inet_server_addr() addr) x") == "127.0.0.1"
        data = Path(server.folder)
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert server.password not in Path(f"/proc/{server.pid}/cmdline").read_text()
        assert server.password not in text_of(data)
        assert server.password not in repr(server)
        seeds(server, job, runner)
    finally:
        job.remove(server)
    assert find(server.process) is None
    assert not data.exists()


def seeds(server: Server, job: Job, runner: Runner) -> None:
    """A file of SQL, as pg_dump writes it: all of it or nothing, and once."""
    folder = Path(server.folder).parent
    (folder / "letters.sql").write_text("create table letters (id int);\ncopy letters from stdin;\n1\n2\n\\.\n")
    (folder / "bad.sql").write_text("insert into letters values (3);\ninsert into none values (1);\n")
    env = {"DATABASE_URL": server.url, "PATH": os.environ["PATH"]}

    def in_folder(env: Mapping[str, str], argv: Sequence[str]) -> Completed:
        assert server.password not in " ".join(argv)
        return run(argv, env=env, cwd=folder, check=False)

    assert list(load(["letters.sql"], folder, env, in_folder, job, runner)) == ["letters.sql"]
    assert load(["letters.sql"], folder, env, in_folder, job, runner) == {}
    with pytest.raises(SeedFailed, match=r"Cause: .*relation \"none\" does not exist"):
        load(["bad.sql"], folder, env, in_folder, job, runner)
    assert ask(server, "select count(*) from letters") == "2"
    with pytest.raises(SeedFailed, match="add `postgres` to the services"):
        load(["letters.sql"], folder, {"PATH": os.environ["PATH"]}, in_folder, job, runner)


def test_from_this_machine_when_its_version_was_asked_for(runner: Runner, job: Job) -> None:
    here = next(_programs(SERVICES["postgres"], runner))
    if here.name == "wheel":
        pytest.skip("no PostgreSQL on this machine")
    server = start(Wanted("postgres", str(here.version[0])), job, runner, threading.Event())
    try:
        assert (server.source, server.version) == ("path", here.version)
        assert ask(server, "select 1") == "1"
    finally:
        job.remove(server)


def test_a_version_that_cannot_be_had(runner: Runner, job: Job) -> None:
    with pytest.raises(ServiceFailed, match=r"postgres 9\.6 cannot be had\. Cause: there is .*18\.\d+ \(wheel\)"):
        start(Wanted("postgres", "9.6"), job, runner, threading.Event())


@pytest.mark.parametrize("setting", ["no_such_thing", "max_connections"])
def test_a_bad_setting_shows_the_log_and_leaves_nothing(runner: Runner, job: Job, setting: str) -> None:
    with pytest.raises(ServiceFailed, match=f"FATAL.*{setting}"):
        start(Wanted("postgres", "18", {setting: "nonsense"}), job, runner, threading.Event())
    said = runner.stream.getvalue()  # type: ignore[attr-defined]
    assert "the last lines of its log" in said
    assert "FATAL" in said
    assert not list(job.folder.glob("postgres-*"))
    assert not job.running()


@pytest.mark.parametrize("setting", [{"listen_addresses": "*"}, {"port": "http"}])
def test_settings_that_are_ours(runner: Runner, job: Job, setting: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        start(Wanted("postgres", "", setting), job, runner, threading.Event())


def test_a_port_of_one_s_own_that_is_taken(runner: Runner, job: Job, listener: int) -> None:
    with pytest.raises(PortInUse, match=r"leave `postgres\.port` out"):
        start(Wanted("postgres", "18", {"port": str(listener)}), job, runner, threading.Event())
    assert not list(job.folder.glob("postgres-*"))


def test_somebody_else_was_quicker_to_take_the_port(
    runner: Runner, job: Job, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, offered = place.free_port, [listener]
    monkeypatch.setattr(place, "free_port", lambda: offered.pop() if offered else free())
    server = start(Wanted("postgres", "18"), job, runner, threading.Event())
    try:
        assert server.port != listener
        assert ask(server, "select 1") == "1"
    finally:
        end(job.folder, job.state)
    assert find(server.process) is None


def test_root_that_can_become_nobody_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ServiceFailed, match="unshare: not installed; setpriv: not installed"):
        place.unprivileged(str(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_without_user_namespaces_uses_another_user(runner: Runner, tmp_path: Path) -> None:
    """A container's root often may not make a namespace. The server's files are then nobody's."""
    (tmp_path / "setpriv").symlink_to("/usr/bin/setpriv")
    (tmp_path / "true").symlink_to("/bin/true")
    account = place.unprivileged(str(tmp_path))
    assert account.uid == place.NOBODY
    (tmp_path / "data").mkdir()
    account.own(tmp_path / "data")
    assert (tmp_path / "data").stat().st_uid == place.NOBODY
    assert run([*account.prefix, "id", "-u"]).output == str(place.NOBODY)
