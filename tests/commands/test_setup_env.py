import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cicd.adapters.folders import private_folder
from cicd.adapters.migrators import alembic
from cicd.adapters.process import Completed, ProcessId
from cicd.adapters.python_env import Python, Venv
from cicd.adapters.requirements import Requirements
from cicd.adapters.runner import Runner
from cicd.adapters.services import SERVICES
from cicd.adapters.services.job import Job, Server
from cicd.adapters.services.place import Account
from cicd.commands import setup_env
from cicd.commands.setup_env import Plan, bring_up, decide, read_optional_config
from cicd.contract import SetupEnv
from cicd.core.config_rules import parse_config
from cicd.core.services import Wanted
from cicd.core.setup_summary import summary
from cicd.errors import (
    ConfigError,
    DependenciesFailed,
    MigrationFailed,
    SeedFailed,
    ServiceFailed,
    UnknownSuite,
    UsageError,
)
from tests.fakes import runner as fake_runner

CONFIG = parse_config(
    """
version: 1
app: shop
python: "3.11"
services: {postgres: {version: "18"}, redis: {}}
suites: {unit: {run: pytest}, integration: {run: pytest, needs: [redis]}}
deploy: {run: serve, migrate: alembic}
""",
    "cicd.yml",
)
PYTHON = Python(Path("/opt/python/bin/python3"), Path("/opt/python/bin/python3"), "3.11.9")


class Machine:
    """Stands for services, installer and programs; remembers what was asked of it, refuses what was not told."""

    def __init__(self) -> None:
        self.alive: dict[int, Server] = {}
        self.started: list[str] = []
        self.ran: list[tuple[list[str], dict[str, str]]] = []
        self.fails: dict[str, Exception] = {}
        self.code = 0

    def start(self, wanted: Wanted, job: Job, runner: Runner, stopping: threading.Event) -> Server:
        if wanted.name in self.fails:
            raise self.fails[wanted.name]
        self.started.append(wanted.name)
        pid = 1000 + len(self.started)
        version = tuple(int(part) for part in (wanted.version or "18.6").split("."))
        server = Server(
            name=wanted.name,
            version=version,
            source="wheel",
            settings=dict(wanted.settings),
            port=5000 + pid,
            url=f"{wanted.name}://u:secret{pid}@127.0.0.1:{5000 + pid}/x",
            password=f"secret{pid}",
            folder=str(job.new_folder(wanted.name, Account())),
            pid=pid,
            started=1.0,
            seconds=0.5,
            asked=wanted.version,
            variables={SERVICES[wanted.name].VARIABLE: f"{wanted.name}://u:secret{pid}@127.0.0.1:{5000 + pid}/x"},
        )
        self.alive[pid] = server
        job.add(server)
        return server

    def find(self, process: ProcessId) -> Any:
        return self.alive.get(process.pid)

    def run(self, argv: list[str], *, env: dict[str, str], **_: object) -> Completed:
        self.ran.append((argv, env))
        return Completed(tuple(argv), self.code, "boom" if self.code else "", 0.1)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    module = "cicd.adapters.services.job"
    monkeypatch.setattr(f"{module}.find", machine.find)
    monkeypatch.setattr(f"{module}.end_marked", lambda folder: None)
    monkeypatch.setattr(f"{module}.end_server", lambda process: machine.alive.pop(process.pid, None))
    monkeypatch.setattr(f"{module}.Job.watch", lambda self: ProcessId(1, 1.0))
    monkeypatch.setattr(setup_env, "run", machine.run)
    monkeypatch.setattr(setup_env, "find_python", lambda wanted, runner: PYTHON)

    def ensure_venv(wanted: object, python: Python, root: Path, runner: Runner, *, pip: bool) -> Venv:
        if "venv" in machine.fails:
            raise machine.fails["venv"]
        return Venv(root / "venv" / "bin" / "python", python.version, 2.0, False, "uv")

    monkeypatch.setattr(setup_env, "ensure_venv", ensure_venv)
    return machine


@pytest.fixture
def actions(tmp_path: Path) -> Iterator[Runner]:
    names = ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
    for name in names:
        (tmp_path / name).touch()
    files = {name: str(tmp_path / name) for name in names}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in files.items():
            patch.setenv(name, value)
        yield fake_runner({"GITHUB_ACTIONS": "true", "RUNNER_TEMP": str(tmp_path), "PATH": "/usr/bin", **files})


def job_in(folder: Path) -> Job:
    return Job(private_folder(folder / "job"), 0, {})


def plan_of(tmp_path: Path, migrate: list[str] | None = None, **versions: str) -> Plan:
    wanted = [Wanted(name, version) for name, version in versions.items()]
    return Plan(wanted, "3.11", Requirements(), migrate or [], tmp_path)


def test_the_config_decides_without_inputs(tmp_path: Path) -> None:
    plan = decide(SetupEnv(working_directory=str(tmp_path)), CONFIG)
    assert [str(wanted) for wanted in plan.servers] == ["postgres 18", "redis"]
    assert (plan.python, plan.migrate, bool(plan.requirements)) == ("3.11", ["alembic"], False)


def test_inputs_come_before_the_config(tmp_path: Path) -> None:
    inputs = SetupEnv(working_directory=str(tmp_path), services="redis", python="3.12", migrate="make 'the schema'")
    plan = decide(inputs, CONFIG)
    assert ([str(one) for one in plan.servers], plan.python) == (["redis"], "3.12")
    assert plan.migrate == ["make", "the schema"]


@pytest.mark.parametrize(
    ("given", "migrate"),
    [
        ({"suite": "integration"}, []),  # without a database there is nothing to migrate
        ({"suite": "integration", "migrate": "alembic"}, ["alembic"]),
        ({"migrate": "none"}, []),
    ],
)
def test_when_the_schema_is_migrated(tmp_path: Path, given: dict[str, str], migrate: list[str]) -> None:
    assert decide(SetupEnv(working_directory=str(tmp_path), **given), CONFIG).migrate == migrate


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"working_directory": "no/such"}, UsageError, "check the repository out"),
        ({"services": "mysql"}, UsageError, "no service `mysql`"),
        ({"services": "redis", "settings": "redis.requirepass=x"}, UsageError, "is made by setup-env"),
        ({"services": "redis", "settings": "redis.port=high"}, UsageError, "is no port"),
        ({"migrate": "sh -c 'open"}, UsageError, "close the quotes"),
        ({"requirements": "missing.txt"}, DependenciesFailed, "missing.txt"),
        ({"suite": "e2e"}, UnknownSuite, "e2e"),
    ],
)
def test_bad_inputs(tmp_path: Path, given: dict[str, str], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        decide(SetupEnv(**{"working_directory": str(tmp_path), **given}), CONFIG)


def test_a_config_is_optional_until_something_asks_for_it(tmp_path: Path) -> None:
    here = str(tmp_path)
    assert read_optional_config(SetupEnv(working_directory=here)) is None
    with pytest.raises(ConfigError, match="suite `unit` is looked up there"):
        read_optional_config(SetupEnv(working_directory=here, suite="unit"))
    with pytest.raises(ConfigError, match="`config` names it"):
        read_optional_config(SetupEnv(working_directory=here, config="other.yml"))
    (tmp_path / "other.yml").write_text("version: 1\napp: shop\n")
    assert read_optional_config(SetupEnv(working_directory=here, config="other.yml")) is not None
    (tmp_path / "other.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_optional_config(SetupEnv(working_directory=here, config="other.yml"))


def test_what_a_job_s_later_steps_get(tmp_path: Path, machine: Machine, actions: Runner) -> None:
    result = bring_up(plan_of(tmp_path, postgres="18.6", redis="6.2"), job_in(tmp_path), actions, machine.start)
    assert result.decision == "done"
    exported = (tmp_path / "GITHUB_ENV").read_text()
    assert {"DATABASE_URL", "REDIS_URL"} <= set(exported.replace("<<", "\n").split())
    assert str(tmp_path / "venv" / "bin") in (tmp_path / "GITHUB_PATH").read_text()
    assert sorted(result.outputs) == ["database-url", "python", "redis-url"]
    assert result.data["services"]["redis"] == {
        "version": "6.2",
        "source": "wheel",
        "seconds": 0.5,
        "port": result.data["services"]["redis"]["port"],
        "reused": False,
    }
    shown = result.message + result.summary + str(result.data) + actions.stream.getvalue()  # type: ignore[attr-defined]
    assert "secret" not in shown


def test_a_terminal_gets_lines_for_its_shell(tmp_path: Path, machine: Machine) -> None:
    runner = fake_runner({"PATH": "/usr/bin", "CICD_HOME": str(tmp_path)})
    result = bring_up(plan_of(tmp_path, redis="6.2"), job_in(tmp_path), runner, machine.start)
    assert runner.shell == [
        f"export REDIS_URL={result.outputs['redis-url']}",
        f'export PATH={tmp_path}/venv/bin:"$PATH"',
    ]
    assert "`kill " in result.message


def test_a_second_step_uses_the_servers_again(tmp_path: Path, machine: Machine, actions: Runner) -> None:
    job = job_in(tmp_path)
    first = bring_up(plan_of(tmp_path, postgres="18.6", redis="6.2"), job, actions, machine.start)
    second = bring_up(plan_of(tmp_path, postgres="18"), job, actions, machine.start)
    assert machine.started.count("postgres") == 1
    assert second.outputs["database-url"] == first.outputs["database-url"]
    assert second.data["services"]["postgres"]["reused"]
    assert "used again" in second.summary


def test_other_settings_take_the_place_of_a_server(tmp_path: Path, machine: Machine, actions: Runner) -> None:
    job = job_in(tmp_path)
    first = bring_up(plan_of(tmp_path, postgres="15.1", redis="6.2"), job, actions, machine.start)
    second = bring_up(plan_of(tmp_path, postgres="18.6"), job, actions, machine.start)
    assert second.outputs["database-url"] != first.outputs["database-url"]
    assert sorted(server.name for server in machine.alive.values()) == ["postgres", "redis"]


@pytest.mark.parametrize("failing", ["redis", "venv"])
def test_a_failure_leaves_only_what_ran_before(tmp_path: Path, machine: Machine, actions: Runner, failing: str) -> None:
    job = job_in(tmp_path)
    machine.fails[failing] = ServiceFailed("no")
    with pytest.raises(ServiceFailed):
        bring_up(plan_of(tmp_path, postgres="15.1", redis="6.2"), job, actions, machine.start)
    assert machine.alive == {}
    assert not job.folder.exists()

    del machine.fails[failing]
    job = job_in(tmp_path)
    bring_up(plan_of(tmp_path, postgres="15.1"), job, actions, machine.start)
    machine.fails[failing] = ServiceFailed("no")
    with pytest.raises(ServiceFailed):
        bring_up(plan_of(tmp_path, postgres="18.6", redis="6.2"), job, actions, machine.start)
    assert [server.version for server in machine.alive.values()] == [(15, 1)]
    assert not (tmp_path / "GITHUB_STEP_SUMMARY").read_text()


def test_the_migration_has_url_and_path(tmp_path: Path, machine: Machine, actions: Runner) -> None:
    plan = plan_of(tmp_path, ["make", "schema"], postgres="18.6")
    result = bring_up(plan, job_in(tmp_path), actions, machine.start)
    ((argv, env),) = machine.ran
    assert argv == ["make", "schema"]
    assert env["DATABASE_URL"] == result.outputs["database-url"]
    assert env["PATH"] == f"{tmp_path}/venv/bin:/usr/bin"
    assert result.data["migrated"]["command"] == "make schema"


def test_alembic_is_run_by_the_venv_s_interpreter(tmp_path: Path, machine: Machine, actions: Runner) -> None:
    bring_up(plan_of(tmp_path, ["alembic"], postgres="18.6"), job_in(tmp_path), actions, machine.start)
    assert machine.ran[0][0] == [f"{tmp_path}/venv/bin/python", "-c", alembic.MOVE, "upgrade", "head"]


def test_a_migration_that_fails(tmp_path: Path, machine: Machine, actions: Runner) -> None:
    machine.code = 1
    job = job_in(tmp_path)
    with pytest.raises(MigrationFailed, match="boom"):
        bring_up(plan_of(tmp_path, ["make"], postgres="18.6"), job, actions, machine.start)
    assert machine.alive == {}
    assert not (tmp_path / "GITHUB_ENV").read_text()


def test_nothing_to_do(tmp_path: Path, machine: Machine, actions: Runner) -> None:
    plan = Plan([], "", Requirements(), [], tmp_path)
    result = bring_up(plan, job_in(tmp_path), actions, machine.start)
    assert (result.decision, result.outputs) == ("nothing-to-do", {"python": str(PYTHON.path)})
    assert not (tmp_path / "GITHUB_PATH").read_text()


def test_the_summary_is_a_table_that_hostile_text_does_not_break() -> None:
    python = {"version": "3.11.9", "installer": "uv", "seconds": 2.0, "reused": False}
    migrated = {"command": "x | <b>", "revision": "", "seconds": 0.2}
    seeded = {"sh -c 'a | b'": 0.1}
    rows = summary({"services": {}, "python": python, "migrated": migrated, "seeded": seeded}).splitlines()[2:]
    assert {row.count("|") for row in rows} == {5}
    assert "<b>" not in "".join(rows)


def test_the_seed_is_loaded_after_the_migration_and_once(tmp_path: Path, machine: Machine, actions: Runner) -> None:
    job, plan = job_in(tmp_path), plan_of(tmp_path, ["make", "schema"], postgres="18.6")
    seeded = replace(plan, seeds=["python -m shop.seed"])
    first = bring_up(seeded, job, actions, machine.start)
    bring_up(seeded, job, actions, machine.start)
    bring_up(replace(seeded, seeds=["python -m shop.more"]), job, actions, machine.start)
    ran = [" ".join(argv) for argv, _ in machine.ran]
    assert ran == ["make schema", "python -m shop.seed", "make schema", "make schema", "python -m shop.more"]
    assert list(first.data["seeded"]) == ["python -m shop.seed"]
    assert "| seed | - | python -m shop.seed |" in first.summary


def test_a_seed_that_fails_leaves_nothing(tmp_path: Path, machine: Machine, actions: Runner) -> None:
    machine.code = 1
    with pytest.raises(SeedFailed, match="boom"):
        bring_up(replace(plan_of(tmp_path, redis="6.2"), seeds=["make data"]), job_in(tmp_path), actions, machine.start)
    assert machine.alive == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": "data/none.sql"}, "there is no file `data/none.sql`"),
        ({"seed": "sh -c 'open"}, "close the quotes"),
    ],
)
def test_seeds_that_cannot_be(tmp_path: Path, given: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        decide(SetupEnv(working_directory=str(tmp_path), **given), None)


def test_the_config_s_seed_needs_a_database(tmp_path: Path) -> None:
    config = parse_config("{version: 1, app: shop, seed: [make data], services: {postgres: {}, redis: {}}}", "x")
    here = str(tmp_path)
    assert decide(SetupEnv(working_directory=here), config).seeds == ["make data"]
    assert decide(SetupEnv(working_directory=here, services="redis"), config).seeds == []
    assert decide(SetupEnv(working_directory=here, services="redis", seed="make data"), config).seeds == ["make data"]
    assert decide(SetupEnv(working_directory=here, seed="none"), config).seeds == []
