"""cicd parity on real Compose files, as Docker Compose reads them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cicd.adapters.runner import Runner
from cicd.commands.parity import main
from cicd.contract import Parity
from cicd.core.results import Result, result_json
from cicd.errors import ConfigError, EnvironmentsDiffer, UnknownEnvironment, UsageError
from tests.docker.engine import client
from tests.docker.machine import Unavailable
from tests.fakes import runner as fake_runner

pytestmark = pytest.mark.real
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "assistant-api"
CONFIG = """
version: 1
app: shop
image: acme/api
services: {{postgres: {{version: "{tested}"}}}}
deploy: {{engine: compose, service: api, port: 8000, env: {{LEVEL: INFO}}}}
environments:
  staging: {{ports: {{router: 1}}, compose: [staging.yml], env: {{MEMORY: 256m}}}}
  production: {{after: staging, ports: {{router: 2}}, compose: [production.yml], env: {{MEMORY: 256m}}}}
"""
COMPOSE = """
services:
  db: {{image: "postgres:{postgres}", environment: {{POSTGRES_PASSWORD: '${{DB_PASSWORD:-hunter2-{name}}}'}}}}
  api:
    image: ${{IMAGE:?}}
    env_file: [.env.secret, common.env]
    environment: {{LEVEL: $LEVEL, DB_PASSWORD: hunter2-{name}, MAIL: '${{MAIL_URL}}', TAG: '${{CICD_RELEASE}}'}}
    mem_limit: $MEMORY
"""


@pytest.fixture
def job(tmp_path: Path) -> Runner:
    """A job that has Docker Compose, and no engine."""
    if not shutil.which("docker"):
        pytest.skip("there is no docker on PATH")
    try:
        config = client(tmp_path / "docker")
    except Unavailable as error:
        pytest.skip(str(error))
    own = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(config), "DOCKER_HOST": "unix:///nowhere"}
    return fake_runner({"PATH": os.environ["PATH"], **own})


def shop(folder: Path, *, staging: str = "18", production: str = "18", tested: str = "18", more: str = "") -> Path:
    """A checkout with two environments; `more` stands in production's file alone."""
    made = folder / "shop"
    files = {
        ".github/cicd.yml": CONFIG.format(tested=tested),
        "staging.yml": COMPOSE.format(name="staging", postgres=staging),
        "production.yml": COMPOSE.format(name="production", postgres=production) + more,
        "common.env": "COMMON=1\n",
    }
    for name, text in files.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", str(made)], check=True)
    subprocess.run(["git", "-C", str(made), "add", "--all"], check=True)
    return made


def parity(folder: Path, job: Runner, **inputs: str) -> Result:
    return main(Parity(working_directory=str(folder), **inputs), job)


def differing(result: Result) -> dict[str, str]:
    return {f"{one['part']} {one['setting']}".strip(): one["kind"] for one in result.data["differences"]}


def test_environments_that_are_alike_but_for_their_secrets(tmp_path: Path, job: Runner) -> None:
    found = parity(shop(tmp_path), job, fail_on="any")
    assert (found.exit_code, found.outputs) == (0, {"differences": "0"})
    assert differing(found) == {"api environment.DB_PASSWORD": "secret", "db environment.POSTGRES_PASSWORD": "secret"}
    assert found.message == "staging, production do not differ."


def test_no_secret_is_told_anywhere(tmp_path: Path, job: Runner) -> None:
    found = parity(shop(tmp_path, staging="17"), job)
    for told in (found.answer, found.message, found.summary, result_json("parity", found)):
        assert "hunter2" not in told
    assert "postgres:17" in found.answer


@pytest.mark.parametrize(
    ("fail_on", "versions", "more", "code"),
    [
        ("none", "17", "  redis: {image: 'redis:8'}", 0),
        ("versions", "17", "", EnvironmentsDiffer.code),
        ("versions", "18", "  redis: {image: 'redis:8'}", 0),
        ("services", "18", "  redis: {image: 'redis:8'}", EnvironmentsDiffer.code),
        ("services", "18", "    restart: always", 0),
        ("any", "18", "    restart: always", EnvironmentsDiffer.code),
    ],
)
def test_a_gate(fail_on: str, versions: str, more: str, code: int, tmp_path: Path, job: Runner) -> None:
    found = parity(shop(tmp_path, staging=versions, more=more), job, fail_on=fail_on)
    assert found.exit_code == code
    assert (found.decision, found.reason_code) == (("failed", "environments-differ") if code else ("done", "ok"))


def test_tests_with_another_version_than_production(tmp_path: Path, job: Runner) -> None:
    found = parity(shop(tmp_path, tested="17"), job, fail_on="versions")
    assert found.exit_code == EnvironmentsDiffer.code
    assert "db image" in found.message


def test_an_env_file_in_git_is_looked_into(tmp_path: Path, job: Runner) -> None:
    folder = shop(tmp_path)
    (folder / "other.env").write_text("COMMON=2\n")
    file = folder / "production.yml"
    file.write_text(file.read_text().replace("common.env", "other.env"))
    subprocess.run(["git", "-C", str(folder), "add", "--all"], check=True)
    found = parity(folder, job)
    assert differing(found)["api environment.COMMON"] == "setting"


def test_a_folder_that_is_not_the_top_of_the_repository(
    tmp_path: Path, job: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop(tmp_path).parent)
    assert parity(Path("shop"), job, fail_on="any").exit_code == 0


def test_an_image_that_floats_is_told(tmp_path: Path, job: Runner) -> None:
    found = parity(shop(tmp_path, staging="latest", production="latest"), job)
    assert "db in staging: `postgres:latest` floats" in found.message


def test_a_variable_that_is_secret_where_only_a_value_fits(tmp_path: Path, job: Runner) -> None:
    folder = shop(tmp_path, more="    ports: ['${PORT}:80']")
    with pytest.raises(ConfigError, match=r"PORT.*not public.*under `env`"):
        parity(folder, job)


def test_one_environment_has_nothing_to_be_compared_with(tmp_path: Path, job: Runner) -> None:
    with pytest.raises(UsageError):
        parity(shop(tmp_path), job, environments="staging")
    with pytest.raises(UnknownEnvironment):
        parity(shop(tmp_path / "other"), job, environments="staging prod")


def test_engine_process_has_the_config_alone(job: Runner) -> None:
    found = parity(EXAMPLE, job)
    assert differing(found)["(cicd.yml) approval"] == "setting"
    assert {one["part"] for one in found.data["differences"]} == {"(cicd.yml)"}


def test_the_files_of_the_example(tmp_path: Path, job: Runner) -> None:
    folder = shop(tmp_path)
    for name, file in (("staging", "stage"), ("production", "prod")):
        shutil.copy(EXAMPLE / f"docker-compose.{file}.yml", folder / f"{name}.yml")
    found = parity(folder, job, fail_on="services")
    assert {one["part"] for one in found.data["differences"] if one["kind"] == "service"} == {"postgres", "redis"}
    assert differing(found)["api deploy.resources.limits.memory"] == "setting"


def test_a_file_that_is_wrong(tmp_path: Path, job: Runner) -> None:
    with pytest.raises(ConfigError) as error:
        parity(shop(tmp_path, more="  bad"), job)
    assert "production.yml" in error.value.what
    assert "docker compose" not in error.value.what
