"""What a repository is made of, and the files with which it begins."""

import pytest
import yaml

from cicd.core.config_rules import parse_config
from cicd.core.starter import CONFIG, PIPELINE, ROLLBACK, starter
from cicd.core.survey import (
    Survey,
    answering_path,
    built_service,
    dockerfile_of,
    find_app,
    health_path,
    services,
    start_command,
    suites,
)

MAIN = "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/healthz')\ndef health(): return {}\n"
SERVICE = {
    "main.py": MAIN,
    "requirements.txt": "fastapi==0.115\nuvicorn[standard]\npsycopg[binary]>=3\n",
    "requirements-dev.txt": "-r requirements.txt\npytest\n",
    "alembic.ini": "[alembic]\n",
    "tests/unit/test_a.py": "",
    "tests/e2e/test_b.py": "",
}
COMPOSE = """
services:
  db: {image: "postgres:17-alpine"}
  web: {image: "nginx:1", ports: ["80:80"]}
  worker: {build: ., command: work}
  api: {build: ., expose: [8000]}
"""


def survey(remote: str = "", **others: str) -> Survey:
    files = {**SERVICE, **others}
    return Survey(name="My Shop", files=sorted(files), texts=files, remote=remote)


@pytest.mark.parametrize(
    ("files", "target", "command"),
    [
        (
            {"app/main.py": "import fastapi\napi: fastapi.FastAPI = fastapi.FastAPI()\n"},
            "app.main:api",
            "uvicorn app.main:api --host",
        ),
        (
            {"src/shop/app.py": "def create_app(debug=False):\n    app = Flask(__name__)\n    return app\n"},
            "shop.app:create_app",
            "gunicorn shop.app:create_app() --chdir src --bind",
        ),
        (
            {
                "shop/app.py": "def make(settings):\n    app = FastAPI()\n    return app\n",
                "shop/main.py": "app = make(read())\n",
            },
            "shop.main:app",
            "uvicorn shop.main:app --host",
        ),
        (
            {"site/wsgi.py": "application = get_wsgi_application()\n"},
            "site.wsgi:application",
            "gunicorn site.wsgi:application --bind",
        ),
        ({"tests/app.py": MAIN, "examples/x.py": MAIN, "broken.py": "app = FastAPI(("}, "", ""),
    ],
)
def test_the_application(files: dict[str, str], target: str, command: str) -> None:
    texts = {**files, "requirements.txt": "uvicorn\ngunicorn\n"}
    found = Survey(name="x", files=sorted(texts), texts=texts)
    app = find_app(found)
    assert (app.target if app else "") == target
    assert command in (start_command(found, app) if app else "")


def test_services_by_compose_files_and_by_drivers() -> None:
    assert services(survey()) == {"postgres": ""}
    both = survey(**{"docker-compose.yml": COMPOSE, "requirements.txt": "redis\n"})
    assert services(both) == {"postgres": "17", "redis": ""}


def test_suites_by_folders() -> None:
    assert suites(survey()) == {"unit": "tests/unit", "e2e": "tests/e2e"}
    files = ["tests/api/test_a.py", "tests/conftest.py", "tests/e2e/test_c.py", "tests/test_b.py"]
    assert suites(Survey(name="x", files=files, texts={})) == {
        "unit": "tests/api tests/test_b.py",
        "e2e": "tests/e2e",
    }
    assert suites(Survey(name="x", files=["test_x.py"], texts={})) == {"unit": ""}
    assert suites(Survey(name="x", files=["src/x.py"], texts={})) == {}


def test_the_service_of_a_compose_file() -> None:
    assert built_service(COMPOSE) == "api"
    assert built_service("services: {db: {image: x}}") == ""
    assert built_service("services: [") == ""
    assert built_service("- a") == ""
    assert dockerfile_of(COMPOSE, "api") == ""
    assert (
        dockerfile_of("services: {api: {build: {context: src, dockerfile: Dockerfile.prod}}}", "api")
        == "src/Dockerfile.prod"
    )
    assert dockerfile_of("services: {api: {build: ..}}", "api") == ""


def test_health() -> None:
    assert health_path(survey()) == "/healthz"
    bare = survey(**{"main.py": "app = FastAPI()\n"})
    assert (health_path(bare), answering_path(bare)) == ("", "/openapi.json")
    assert answering_path(survey(**{"main.py": "app = FastAPI()\n@app.get('/')\ndef home(): ...\n"})) == "/"


def test_a_project_below_src() -> None:
    files = ["src/app/main.py", "src/requirements.txt", "src/tests/test_a.py", "src/tests/api/test_b.py"]
    texts = {"src/app/main.py": MAIN, "src/requirements.txt": "fastapi\nuvicorn\npytest\n"}
    made = starter(Survey(name="x", files=files, texts=texts)).files[CONFIG]
    assert parse_config(made, CONFIG).requirements == ["src/requirements.txt"]
    assert "python -m pytest src/tests" in made
    assert "app.main:app --app-dir src" in made
    package = starter(Survey(name="x", files=["src/__init__.py", *files], texts=texts)).files[CONFIG]
    assert "src.app.main:app --host" in package


def test_a_service_without_docker() -> None:
    made = starter(survey())
    assert list(made.files) == [CONFIG, PIPELINE, ROLLBACK]
    config = parse_config(made.files[CONFIG], CONFIG)
    assert (config.app, list(config.suites)) == ("my-shop", ["unit", "e2e"])
    assert list(config.environments) == ["dev", "staging", "production"]
    assert config.deploy
    assert (config.deploy.engine, config.deploy.migrate) == ("process", "alembic")
    assert config.deploy.health.path == "/healthz"
    assert config.deploy.requirements == ["requirements.txt"]
    assert config.environments["production"].approval == "required"
    jobs = yaml.safe_load(made.files[PIPELINE])["jobs"]
    assert list(jobs) == ["pipeline"]
    assert list(jobs["pipeline"]["secrets"]) == ["DEV_ENV", "STAGING_ENV", "PRODUCTION_ENV"]
    assert len(made.files[PIPELINE].splitlines()) <= 15
    assert any("DATABASE_URL" in sentence for sentence in made.open)


def test_a_service_in_containers() -> None:
    files = {"Dockerfile": "", "docker-compose.dev.yml": COMPOSE, "docker-compose.prod.yml": COMPOSE}
    made = starter(survey("Acme/Shop", **files))
    config = parse_config(made.files[CONFIG], CONFIG)
    assert (config.app, config.image) == ("shop", "ghcr.io/acme/shop")
    assert config.deploy
    assert (config.deploy.engine, config.deploy.service) == ("compose", "api")
    assert {name: one.compose for name, one in config.environments.items()} == {
        "dev": ["docker-compose.dev.yml"],
        "production": ["docker-compose.prod.yml"],
    }
    jobs = yaml.safe_load(made.files[PIPELINE])["jobs"]
    assert list(jobs) == ["build", "pipeline"]
    assert jobs["pipeline"]["with"] == {
        "image": "${{ needs.build.outputs.image }}",
        "environments": '["dev", "production"]',
    }
    assert "engine: compose" not in starter(survey(**files), "process").files[CONFIG]


def test_a_library_is_tested_and_not_deployed() -> None:
    made = starter(Survey(name="lib", files=["tests/test_a.py"], texts={"requirements.txt": "pytest"}))
    assert list(made.files) == [CONFIG, PIPELINE]
    assert list(yaml.safe_load(made.files[PIPELINE])["jobs"]) == ["test"]
    assert any("No application" in sentence for sentence in made.open)


def test_an_empty_repository_begins_with_a_config_that_can_be_read() -> None:
    made = starter(Survey(name="---", files=[], texts={}))
    assert parse_config(made.files[CONFIG], CONFIG).app == "app"
