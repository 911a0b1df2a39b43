"""A project's Compose files, read by the real Docker Compose."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cicd.adapters.engines.compose_file import IMAGE, PUBLIC, RELEASE, read_layout, read_model, render
from cicd.adapters.engines.layout import Source
from cicd.adapters.runner import Runner
from cicd.core.compose import filled, shape
from cicd.core.compose_files import Network, Router, Slot, base_file, file_text, slot_file
from cicd.core.config import Deploy
from cicd.errors import ConfigError
from tests.docker.engine import client
from tests.docker.machine import Unavailable
from tests.fakes import runner as fake_runner

pytestmark = pytest.mark.real
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "assistant-api"
NETWORK = Network("x-cicd", {"router": "172.30.0.2", "blue": "172.30.0.10", "green": "172.30.0.11"})

# What a file may hold that is read differently from how it is written.
NASTY = """
name: nasty
x-logging: &logging {driver: json-file, options: {max-size: 1m}}
x-common: &common
  image: ${IMAGE:?the image}
  environment: &env {PRICE: "5$$ a piece", GREETING: "Grüße, ${WHO:-Wëlt} 🎉", EMPTY: "", "ODD": "a: b # c"}
  logging: *logging
  profiles: []
services:
  api:
    <<: *common
    container_name: nasty-api
    ports: ["127.0.0.1:8080:8000"]
    env_file: [.env.prod, public.env]
    environment: {<<: *env, OWN: "${UNSET_BUT_DEFAULT-x}"}
    depends_on:
      migrate: {condition: service_completed_successfully}
      db: {condition: service_healthy}
    configs: [{source: app, target: /etc/app.conf}]
    secrets: [key, given]
    extra_hosts: ["host.docker.internal:host-gateway"]
    ulimits: {nofile: {soft: 1024, hard: 2048}}
    healthcheck: {test: ["CMD-SHELL", "test $$(id -u) = 0"], interval: 1m30s}
    volumes: ["./certs:/c:ro", "data:/d", {type: tmpfs, target: /t, tmpfs: {size: 1000}}]
    networks: {front: {aliases: [www]}, back: {ipv4_address: 172.31.0.9}}
  worker: {<<: *common, command: ["sh", "-c", "echo $$HOME '${WHO:-w}'"], extends: {file: parts.yml, service: part}}
  migrate: {<<: *common, command: [migrate]}
  db:
    image: postgres:18
    healthcheck: {test: [CMD, "true"]}
    networks: [back]
    volumes: [data:/var/lib/postgresql]
    depends_on: [migrate]
  debug: {image: "adminer:4", profiles: [debug]}
configs:
  app: {file: ./app.conf}
  inline: {content: "price $$5"}
secrets:
  key: {file: ./key}
  given: {environment: KEY}
networks:
  front: {}
  back: {ipam: {config: [{subnet: 172.31.0.0/24}]}}
volumes: {data: {}}
"""
PARTS = "services: {part: {image: none, working_dir: /w, labels: {part: 'yes'}}}"


@pytest.fixture
def job(tmp_path: Path) -> Runner:
    """A job that has Docker Compose."""
    if not shutil.which("docker"):
        pytest.skip("there is no docker on PATH")
    try:
        config = client(tmp_path / "docker")
    except Unavailable as error:
        pytest.skip(str(error))
    return fake_runner({"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKER_CONFIG": str(config), "LEAK": "no"})


def repository(folder: Path, files: Mapping[str, str], untracked: Mapping[str, str] = {}) -> Path:
    """A checkout with these files."""
    made = folder / "repository"
    made.mkdir()
    subprocess.run(["git", "init", "--quiet", str(made)], check=True)
    for given in (files, untracked):
        for name, text in given.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_text(text)
        if given is files:
            subprocess.run(["git", "-C", str(made), "add", "--all"], check=True)
    return made


def source(folder: Path, *compose: str, service: str = "api", port: int = 8000) -> Source:
    deploy = Deploy(engine="compose", service=service, port=port)
    return Source(folder=folder, environment="production", deploy=deploy, compose=compose)


def nasty(folder: Path) -> Path:
    files = {"compose.yml": NASTY, "parts.yml": PARTS, "public.env": "PUBLIC=1\n", "app.conf": "a", "key": "k"}
    return repository(folder, files)


SETTINGS = {"PRICE": "7$", "ODD": "a'b\"c\n$HOME ${X}"}


def made_of(model: Mapping[str, Any], folder: Path, settings: Mapping[str, str] = SETTINGS) -> list[Path]:
    """Every file that is made of a model, written as an engine does."""
    words = {IMAGE: "cicd/x:1", RELEASE: "1"}
    model, parts = filled(model, words), shape(model, "api", None)
    router = Router(image="nginx:1.29", folder="/srv/router", user="0:0", port=8000, published=8300)
    files = {"base": base_file(model, parts, router, NETWORK, {"cicd.role": "router"})}
    for name in ("blue", "green", "run"):
        slot = Slot(name=name, image="cicd/x:1", settings=settings)
        files[name] = slot_file(model, parts, slot, NETWORK, {"cicd.slot": name})
    for name, made in files.items():
        (folder / f"{name}.json").write_text(file_text(made))
    return [folder / f"{name}.json" for name in files]


def reread(file: Path, job: Runner) -> dict[str, Any]:
    """A made file as Compose reads it, with nothing to fill it in."""
    argv = ["docker", "compose", "--env-file=/dev/null", f"--file={file}", "config", "--format=json"]
    env = {name: job.env[name] for name in ("PATH", "HOME", "DOCKER_CONFIG")} | {"KEY": "of the settings"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    assert "variable is not set" not in done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("name", ["dev", "stage", "prod"])
def test_compose_takes_every_file_made_of_the_example(name: str, tmp_path: Path, job: Runner) -> None:
    given = source(EXAMPLE, f"docker-compose.{name}.yml")
    parts = shape(render(given, job, {}, PUBLIC), "api", None)
    model = read_model(given, {"POSTGRES_USER": "a", "DATABASE_URL": "b"}, job)
    base, *slots = [reread(file, job) for file in made_of(model, tmp_path)]
    assert set(base["services"]) == {"api", *parts.shared}
    for slot in slots:
        assert all("ports" not in one for one in slot["services"].values())


def test_compose_takes_every_file_made_of_a_nasty_one(tmp_path: Path, job: Runner) -> None:
    given = source(nasty(tmp_path), "compose.yml")
    found = read_layout(given, {"SECRET_ONE": "1$2"}, job, whole=True)
    base, blue, green, run = [reread(file, job) for file in made_of(found.model, tmp_path)]
    assert set(base["services"]) == {"api", "db"}  # `debug` has a profile that nobody asked for
    assert set(blue["services"]) == {"api-blue", "worker-blue"}
    assert set(run["services"]) == {"api-run"}
    environment = green["services"]["api-green"]["environment"]
    assert environment["PRICE"] == "7$$"  # Compose writes a `$` twice
    assert environment["ODD"] == "a'b\"c\n$$HOME $${X}"
    assert environment["GREETING"] == "Grüße, Wëlt 🎉"
    assert environment["SECRET_ONE"] == "1$$2"
    assert environment["PUBLIC"] == "1"
    assert green["services"]["worker-green"]["command"] == ["sh", "-c", "echo $$HOME 'w'"]
    assert green["services"]["api-green"]["healthcheck"]["test"] == ["CMD-SHELL", "test $$(id -u) = 0"]


def test_every_sign_of_a_setting_arrives(tmp_path: Path, job: Runner) -> None:
    signs = [*range(1, 0x2FF), *range(0x2000, 0x2100), *range(0xFE00, 0x10000), 0x10000, 0x1F389, 0x10FFFF]
    settings = {f"S{sign:X}": f"a{chr(sign)}b" for sign in signs}
    model = {"name": "x", "services": {"api": {"image": "x", "expose": ["8000"]}}}
    _, blue, *_ = made_of(model, tmp_path, settings)
    found = reread(blue, job)["services"]["api-blue"]["environment"]
    assert {name: value.replace("$$", "$") for name, value in found.items()} == settings


def test_what_is_in_git_is_shipped_and_what_is_not_is_led_elsewhere(tmp_path: Path, job: Runner) -> None:
    folder = nasty(tmp_path)
    found = read_layout(source(folder, "compose.yml"), {}, job, whole=True)
    assert {path.name for path in found.shipped} == {"app.conf", "key", "public.env"}
    assert found.led == {folder / "certs": Path("certs")}


def test_an_env_file_that_lies_in_the_folder_but_not_in_git_is_not_read(tmp_path: Path, job: Runner) -> None:
    text = "name: x\nservices: {api: {image: '${IMAGE}', expose: [8000], env_file: .env.prod}}"
    folder = repository(tmp_path, {"compose.yml": text}, {".env.prod": "PASSWORD=of-a-laptop"})
    model = read_layout(source(folder, "compose.yml"), {"PASSWORD": "ours"}, job, whole=True).model
    assert model["services"]["api"]["environment"] == {"PASSWORD": "ours"}


def test_the_manifest_has_no_value_of_a_setting(tmp_path: Path, job: Runner) -> None:
    given = source(nasty(tmp_path), "compose.yml")
    one, other = (read_layout(given, {"WHO": who, "KEY": who}, job, whole=True) for who in ("me", "you"))
    assert (one.manifest, one.services) == (other.manifest, other.services)
    assert one.model != other.model


def test_what_changes_in_a_file_that_is_shipped_is_a_change(tmp_path: Path, job: Runner) -> None:
    text = """
        services:
          api: {image: x, expose: [8000]}
          edge: {image: y, volumes: ["./edge.conf:/edge.conf", "./certs:/certs"]}
    """
    files = {"compose.yml": text, "edge.conf": "1", "app.conf": "1"}
    folder = repository(tmp_path, files, {"certs/key": "1"})

    def layout() -> tuple[str, str]:
        found = read_layout(source(folder, "compose.yml"), {}, job, whole=False)  # the job that plans has no secrets
        return found.manifest, found.services

    first = layout()
    (folder / "app.conf").write_text("2")
    (folder / "certs" / "key").write_text("2")
    assert layout() == first
    (folder / "edge.conf").write_text("2")
    assert all(now != then for now, then in zip(layout(), first, strict=True))


def test_a_database_gets_no_settings_that_change_with_releases(tmp_path: Path, job: Runner) -> None:
    text = "services: {api: {image: x, expose: [8000], env_file: .env}, db: {image: y, env_file: .env}}"
    folder = repository(tmp_path, {"compose.yml": text})
    deploy = Deploy(engine="compose", service="api", env={"GREETING": "hello", "DB": "all"})
    given = Source(folder=folder, compose=["compose.yml"], environment="x", deploy=deploy)
    settings = {"GREETING": "hello", "DB": "own", "PASSWORD": "secret"}
    services = read_layout(given, settings, job, whole=True, own=("DB", "PASSWORD")).model["services"]
    assert services["db"]["environment"] == {"DB": "own", "PASSWORD": "secret"}
    assert services["api"]["environment"] == settings


def test_variables_of_the_job_are_not_filled_in(tmp_path: Path, job: Runner) -> None:
    folder = repository(
        tmp_path, {"compose.yml": "services: {api: {image: x, expose: [8000], hostname: '${LEAK:-kept}'}}"}
    )
    model = read_layout(source(folder, "compose.yml"), {}, job, whole=True).model
    assert model["services"]["api"]["hostname"] == "kept"


def refused(folder: Path, job: Runner, text: str, settings: Mapping[str, str], files: Sequence[str] = ()) -> str:
    """What somebody is told whose compose file has this text."""
    made = source(repository(folder, {"compose.yml": text}), *(files or ("compose.yml",)))
    with pytest.raises(ConfigError) as error:
        read_layout(made, settings, job, whole=True)
    return str(error.value)


def test_a_path_that_leads_out_of_the_project(tmp_path: Path, job: Runner) -> None:
    text = "services: {api: {image: x, expose: [8000], env_file: ['../.env'], volumes: ['../data:/data', '/srv/x:/x']}}"
    assert "compose.yml: ../.env, ../data is outside of" in refused(tmp_path, job, text, {})


def test_all_variables_without_a_value_are_named(tmp_path: Path, job: Runner) -> None:
    text = "services: {api: {image: x, expose: [8000], environment: {A: $ONE, B: '${TWO}', C: '${THREE:-3}'}}}"
    said = refused(tmp_path, job, text, {})
    assert "ONE, TWO has no value" in said
    assert "THREE" not in said


def test_a_variable_that_the_file_demands(tmp_path: Path, job: Runner) -> None:
    text = "services: {api: {image: x, expose: [8000], environment: {A: '${ONE:?the first of them}'}}}"
    assert "the first of them" in refused(tmp_path, job, text, {})


@pytest.mark.parametrize("whole", [True, False])
def test_a_shared_service_that_is_built_is_refused_in_the_plan_already(
    tmp_path: Path, job: Runner, whole: bool
) -> None:
    text = "services: {api: {build: ., expose: [8000]}, worker: {build: .}, db: {build: ./db, volumes: ['d:/d']}}"
    made = source(repository(tmp_path, {"compose.yml": f"{text}\nvolumes: {{d: {{}}}}"}), "compose.yml")
    with pytest.raises(ConfigError) as error:
        read_layout(made, {}, job, whole=whole)
    assert error.value.what == "compose.yml: services.db has `build` and no `image`"
    assert "name that with `image`" in error.value.next_step


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: {api: {image: x, portz: [80]}}", "portz"),
        ("services:\n  api:\n   image: x\n  bad", "L4"),
        ("services: {apy: {image: x}}", "did you mean `apy`"),
        ("services: {api: {image: x, network_mode: host, expose: [8000]}}", "services.api.network_mode"),
        ("services: {api: {image: x, deploy: {replicas: 2}, expose: [8000]}}", "2 replicas"),
        ("services: {api: {image: x, profiles: [full], expose: [8000]}}", "profile"),
        ("services: {api: {image: x}, w: {image: x, container_name: w}}", "services.w.container_name"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, said: str, tmp_path: Path, job: Runner) -> None:
    told = refused(tmp_path, job, text, {})
    assert "compose" in told
    assert said in told


def test_a_file_that_is_not_there(tmp_path: Path, job: Runner) -> None:
    said = refused(tmp_path, job, "services: {}", {}, ["compose.yml", "docker-compose.prod.yml"])
    assert "There is no docker-compose.prod.yml" in said


@pytest.mark.parametrize(
    "part", ["ports: ['${SECRET}:80']", "deploy: {replicas: '${SECRET}'}", "depends_on: ['${SECRET}']"]
)
def test_no_error_has_the_value_of_a_setting(part: str, tmp_path: Path, job: Runner) -> None:
    said = refused(tmp_path, job, f"services: {{api: {{image: x, {part}}}}}", {"SECRET": "hunter2secret"})
    assert "hunter2" not in said


def test_no_engine_is_needed(tmp_path: Path, job: Runner) -> None:
    without = Runner({**job.env, "DOCKER_HOST": "unix:///nowhere"})
    found = read_layout(source(nasty(tmp_path), "compose.yml"), {}, without, whole=True)
    assert set(found.model["services"]) == {"api", "db", "migrate", "worker"}


def test_a_dotenv_file_counts_only_if_git_has_it(tmp_path: Path, job: Runner) -> None:
    text = "services: {api: {image: x, expose: [8000], hostname: '${LAPTOP:-kept}'}}"
    for folder, files, untracked, expected in (
        (tmp_path / "outside", {}, {".env": "LAPTOP=mine"}, "kept"),
        (tmp_path / "within", {".env": "LAPTOP=ours"}, {}, "ours"),
    ):
        folder.mkdir()
        made = repository(folder, {"compose.yml": text, **files}, untracked)
        model = read_layout(source(made, "compose.yml"), {}, job, whole=True).model
        assert model["services"]["api"]["hostname"] == expected
