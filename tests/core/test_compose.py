"""What a Compose model says, and what of it cannot be deployed."""

from typing import Any

import pytest
from hypothesis import given

from cicd.core.compose import (
    escaped,
    filled,
    local_paths,
    outside,
    port_of,
    problems,
    relocated,
    several,
    shape,
    taken_from_environment,
    unbuilt,
    with_env_files,
)
from cicd.errors import ConfigError
from tests.core.models import TEXT, models

OWN = {"image": "acme/api:1"}
DONE = {"condition": "service_completed_successfully"}


def model(**services: dict[str, Any]) -> dict[str, Any]:
    return {"name": "shop", "services": services}


@given(models())
def test_each_service_has_one_part(made: dict[str, Any]) -> None:
    parts = shape(made, "api", None)
    everyone = [parts.service, *parts.companions, *parts.jobs, *parts.shared]
    assert sorted(everyone) == sorted(made["services"])


@given(models())
def test_companions_have_the_image_of_the_service_and_jobs_are_awaited(made: dict[str, Any]) -> None:
    parts = shape(made, "api", None)
    awaited = {
        name
        for one in made["services"].values()
        for name, how in one.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert not awaited & set(parts.companions)
    assert set(parts.jobs) <= awaited


def test_what_is_built_alike_is_a_companion_too() -> None:
    build = {"build": {"context": "/src"}}
    parts = shape(model(api=build, worker=build, other={"build": {"context": "/other"}}), "api", None)
    assert (parts.companions, parts.shared) == (("worker",), ("other",))


def test_companions_that_are_named_are_all() -> None:
    made = model(api=OWN, worker=OWN, cron=OWN)
    parts = shape(made, "api", ["cron"])
    assert (parts.companions, parts.shared) == (("cron",), ("worker",))
    assert problems(made, parts, 80) == [
        "services.worker: it has the image of the release; name it in deploy.companions"
    ]


def test_a_migration_job_is_left_out() -> None:
    parts = shape(model(api={**OWN, "depends_on": {"migrate": DONE}}, migrate=OWN, redis={"image": "r:1"}), "api", None)
    assert (parts.jobs, parts.companions, parts.shared) == (("migrate",), (), ("redis",))


@pytest.mark.parametrize(("service", "companions"), [("apy", None), ("api", ["workr"])])
def test_a_name_that_is_not_there(service: str, companions: list[str] | None) -> None:
    with pytest.raises(ConfigError, match=r"did you mean `(api|worker)`"):
        shape(model(api=OWN, worker=OWN), service, companions)


def test_no_services_at_all() -> None:
    with pytest.raises(ConfigError, match="they have none at all"):
        shape({"name": "shop"}, "api", None)


@pytest.mark.parametrize(
    ("service", "given", "expected"),
    [
        ({}, 9000, 9000),
        ({"expose": ["8000"]}, 0, 8000),
        ({"expose": ["8000/tcp"]}, 0, 8000),
        ({"ports": [{"target": 8000, "published": "80"}]}, 0, 8000),
        ({"expose": ["8000"], "ports": [{"target": 8000}]}, 0, 8000),
    ],
)
def test_port(service: dict[str, Any], given: int, expected: int) -> None:
    assert port_of(service, given) == expected


@pytest.mark.parametrize(
    ("service", "why"),
    [
        ({}, "it has neither"),
        ({"expose": ["8000", "9000"]}, "it names 8000, 9000"),
        ({"expose": ["8000-8010"]}, "it has neither"),
    ],
)
def test_no_port_or_several(service: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=rf"{why}.*deploy\.port"):
        port_of(service, 0)


@pytest.mark.parametrize(
    ("service", "others", "said"),
    [
        ({"network_mode": "host"}, {}, "services.api.network_mode"),
        ({"deploy": {"replicas": 3}}, {}, "3 replicas"),
        ({"scale": 2}, {}, "2 replicas"),
        ({"ports": [{"target": 80}, {"target": 9000}]}, {}, "9000 beside 80"),
        ({}, {"worker": {**OWN, "container_name": "w"}}, "services.worker.container_name"),
        ({}, {"worker": {**OWN, "ports": [{"target": 1, "published": "1"}]}}, "services.worker.ports"),
        ({}, {"--rm": {"image": "redis"}}, "services.--rm: programs take such a name for an option"),
    ],
)
def test_what_cannot_be_deployed(service: dict[str, Any], others: dict[str, Any], said: str) -> None:
    made = model(api={**OWN, **service}, **others)
    parts = shape(made, "api", None)
    (found,) = [*problems(made, parts, 80), *several(made, parts)]
    assert said in found


@pytest.mark.parametrize(
    "service",
    [{"container_name": "api"}, {"ports": [{"target": 80, "published": "8080"}]}, {"deploy": {"replicas": 1}}],
)
def test_what_the_router_takes_over_is_no_problem(service: dict[str, Any]) -> None:
    made = model(api={**OWN, **service})
    parts = shape(made, "api", None)
    assert [*problems(made, parts, 80), *several(made, parts)] == []


BUILD = {"context": "/src", "dockerfile": "Dockerfile.db"}


@pytest.mark.parametrize(
    ("service", "companions", "found"),
    [
        ({"build": BUILD}, None, ["db"]),
        ({"build": BUILD, "image": "acme/db:1"}, None, []),
        ({"image": "postgres:18"}, None, []),
        ({"build": BUILD}, ["db"], []),
    ],
)
def test_a_shared_service_that_nobody_builds(
    service: dict[str, Any], companions: list[str] | None, found: list[str]
) -> None:
    made = model(api={"build": {"context": "/src"}}, db=service)
    assert unbuilt(made, shape(made, "api", companions)) == found


PATHS = {
    "name": "shop",
    "services": {
        "api": {
            "volumes": [
                {"type": "bind", "source": "/src/certs", "target": "/c"},
                {"type": "bind", "source": "/srcx/no", "target": "/d"},
                {"type": "volume", "source": "data", "target": "/e"},
            ],
            "env_file": [{"path": "/src/.env"}, {"path": "/etc/other.env"}],
        },
        "redis": {"volumes": [{"type": "bind", "source": "/src/certs", "target": "/c"}]},
    },
    "configs": {"app": {"file": "/src/app.conf"}, "inline": {"content": "x"}},
    "secrets": {"key": {"file": "/src/key"}, "given": {"environment": "KEY"}},
}


@pytest.mark.parametrize(
    ("path", "leads_out"),
    [("../x", True), ("a/../../x", True), ("..", True), ("./a/../x", False), ("..x", False), ("/srv/../x", False)],
)
def test_paths_that_lead_out_of_the_project(path: str, leads_out: bool) -> None:
    made = [
        model(api={"volumes": [{"type": "bind", "source": path}, {"type": "volume", "source": path}]}),
        model(api={"env_file": [{"path": path}]}),
        {**model(), "configs": {"one": {"file": path}, "inline": {"content": "../x"}}},
        {**model(), "secrets": {"one": {"file": path}}},
    ]
    assert [outside(one) for one in made] == [[path] if leads_out else []] * 4


def test_local_paths_are_those_below_the_folder_each_once() -> None:
    found = local_paths(PATHS, "/src")
    assert found == ["/src/.env", "/src/app.conf", "/src/certs", "/src/key"]
    assert local_paths(PATHS, "/src/") == found


def test_relocated_moves_all_of_them_and_nothing_else() -> None:
    moved = relocated(PATHS, {path: path.replace("/src", "/host") for path in local_paths(PATHS, "/src")})
    assert local_paths(moved, "/src") == []
    assert local_paths(moved, "/host") == ["/host/.env", "/host/app.conf", "/host/certs", "/host/key"]
    assert local_paths(moved, "/srcx") == ["/srcx/no"]
    assert relocated(moved, {path: path.replace("/host", "/src") for path in local_paths(moved, "/host")}) == PATHS


@given(models())
def test_relocated_to_the_same_place_is_the_same(made: dict[str, Any]) -> None:
    assert relocated(made, {}) == made


def test_an_env_file_that_is_not_in_git_is_the_settings() -> None:
    made = model(
        api={"env_file": [{"path": "/src/.env.prod"}, {"path": "/src/public.env"}], "environment": {"A": "own"}},
        redis={"environment": {"B": "1"}},
    )
    found = with_env_files(made, ["/src/.env.prod"], {"A": "theirs", "PRICE": "5$"})["services"]
    assert found["api"]["env_file"] == [{"path": "/src/public.env"}]
    assert found["api"]["environment"] == {"A": "own", "PRICE": "5$$"}
    assert found["redis"] == {"environment": {"B": "1"}}


def test_to_some_services_an_env_file_is_less() -> None:
    made = model(api={"env_file": [{"path": "/x"}]}, db={"env_file": [{"path": "/x"}]})
    found = with_env_files(made, ["/x"], {"A": "1", "B": "2"}, {"db": {"B": "2"}})["services"]
    assert (found["api"]["environment"], found["db"]["environment"]) == ({"A": "1", "B": "2"}, {"B": "2"})


@given(TEXT)
def test_escaped_values_come_back(value: str) -> None:
    assert escaped({"A": value})["A"].replace("$$", "$") == value


def test_filled_reaches_every_text() -> None:
    given = {"a": ["x/image", 1, None], "b": {"c": "image"}, "image": True}
    assert filled(given, {"image": "tag"}) == {"a": ["x/tag", 1, None], "b": {"c": "tag"}, "image": True}


def test_variables_that_are_read_when_services_start() -> None:
    assert taken_from_environment(PATHS) == {"KEY"}
