import re

import jsonschema
import pytest
import yaml

from cicd.core.config import Deploy, config_schema, deploy_of, environment_of, suite_of
from cicd.core.config_rules import parse_config
from cicd.errors import ConfigError, UnknownEnvironment, UnknownSuite

FULL = """
version: 1
app: assistant-api
services: {postgres: {version: "18", settings: {max_connections: 50}}, redis: }
suites:
  unit: {run: pytest tests/unit, coverage: true, timeout: 3m}
  integration: {run: pytest tests/integration, needs: [postgres, redis]}
gates: {coverage: 85%}
deploy: {run: uvicorn app --port $PORT, migrate: alembic, watch: {for: 30s, error-rate: 1%}}
environments:
  dev: {ports: {router: 8080, blue: 8081, green: 8082}}
  staging: {after: dev, approval: required, ports: {router: 8090, blue: 8091, green: 8092}}
"""


def test_the_whole_of_it() -> None:
    config = parse_config(FULL, "cicd.yml")
    assert suite_of(config, "unit").timeout == 180
    assert suite_of(config, "integration").needs == ["postgres", "redis"]
    assert config.gates.coverage == 85
    assert config.services["redis"] is None
    assert deploy_of(config).watch.seconds == 30
    assert environment_of(config, "staging").after == "dev"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "should be a mapping|version: is missing"),
        ("version: 1", "app: is missing"),
        ("version: 2\napp: a", "version: "),
        ("version: 1\napp: A B", "app: "),
        ("version: 1\napp: a\nsuite: {}", "suite: unknown key; did you mean `suites`?"),
        ("version: 1\napp: a\nsuites: {u: {rum: x}}", "suites.u.rum: unknown key; did you mean `run`?"),
        ("version: 1\napp: a\nsuites: {u: {}}", "suites.u.run: is missing"),
        ("version: 1\napp: a\nsuites: {u: {run: x, timeout: soon}}", "suites.u.timeout: should be a duration"),
        ("version: 1\napp: a\nsuites: {u: {run: [a]}}", "suites.u.run: should be `str`"),
        ("version: 1\napp: a\nsuites: {u: {run: x, needs: [db]}}", "there is no service `db`"),
        ("version: 1\napp: a\ngates: {coverage: 101}", "gates.coverage: should be a percentage"),
        ("version: 1\napp: a\nenvironments: {dev: {ports: {router: 1, blue: 2, green: 3}}}", "need a `deploy:`"),
        (
            "version: 1\napp: a\ndeploy: {run: x}\nenvironments: {dev: {ports: {router: 1, blue: 1, green: 3}}}",
            "environments.dev.ports.blue: port 1 is already environments.dev.ports.router",
        ),
        (
            "version: 1\napp: a\ndeploy: {run: x}\nenvironments: {dev: {after: tes, ports: "
            "{router: 1, blue: 2, green: 3}}}",
            "there is no environment `tes`",
        ),
        (
            "version: 1\napp: a\ndeploy: {run: x}\nenvironments: {dev: {approval: true, ports: "
            "{router: 1, blue: 2, green: 3}}}",
            "environments.dev.approval: should be one of `issue`, `none`, `required`, is `True`",
        ),
        ("version: true\napp: a", "version: should be `1`, is `True`"),
        (
            "version: 1\napp: a\ndeploy: {run: x}\nenvironments: {dev: {after: dev, ports: "
            "{router: 1, blue: 2, green: 3}}}",
            "dev → dev is a circle",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_path(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "cicd.yml")
    message = str(caught.value)
    assert message.startswith("cicd.yml")
    assert any(part in message for part in said.split("|"))
    assert "Next: " in message


@pytest.mark.parametrize(
    ("given", "share", "seconds"),
    [("10%", 10, 30), ("0", 0, 30), ("2.5", 2.5, 30), ("{share: 10%}", 10, 30), ("{share: 5, for: 2m}", 5, 120)],
)
def test_a_canary_in_short_and_in_full(given: str, share: float, seconds: float) -> None:
    text = f"version: 1\napp: a\ndeploy: {{run: x, canary: {given}}}"
    canary = deploy_of(parse_config(text, "cicd.yml")).canary
    assert canary is not None
    assert (canary.share, canary.seconds) == (share, seconds)
    jsonschema.Draft202012Validator(config_schema()).validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("soon", "deploy.canary.share: should be a percentage"),
        ("{for: 3s}", "deploy.canary.share: is missing"),
        ("{share: 5, fro: 3s}", "deploy.canary.fro: unknown key; did you mean `for`?"),
        ("100%", "deploy.canary.share: should be from 0.01% to 99.99%"),
        ("0.001%", "deploy.canary.share: should be from 0.01% to 99.99%"),
        ("[10]", "deploy.canary: should be a mapping"),
    ],
)
def test_a_canary_that_cannot_be(given: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        parse_config(f"version: 1\napp: a\ndeploy: {{run: x, canary: {given}}}", "cicd.yml")


def test_an_environment_has_its_own_canary_and_watch() -> None:
    more = "dev: {canary: 0%, ports: {router: 8080, blue: 8081, green: 8082}}"
    text = FULL.replace("watch: {for: 30s", "canary: 10%, watch: {p95: 200ms, slower: 20%, for: 30s")
    config = parse_config(text.replace("dev: {ports: {router: 8080, blue: 8081, green: 8082}}", more), "cicd.yml")
    dev, staging = (deploy_of(config, environment_of(config, name)) for name in ("dev", "staging"))
    assert dev.canary is not None
    assert staging.canary is not None
    assert (dev.canary.share, staging.canary.share) == (0, 10)
    assert (staging.watch.p95, staging.watch.slower) == (0.2, 20)


@pytest.mark.parametrize(
    ("deploy", "said"),
    [
        ('run: " "', "deploy.run: it is missing, empty"),
        ('run: "python \'app"', "deploy.run: No closing quotation"),
        ('run: "a\\0b"', "deploy.run: "),
        ('run: x, env: {A: "a\\0b"}', "deploy.env.A: it holds a NUL"),
        ('run: x, env: {"A=B": "1"}', "deploy.env: 'A=B' is no name"),
        ('run: x, env: {"": "1"}', "deploy.env: '' is no name"),
        ("run: x, requirements: [/etc/hostname]", "deploy.requirements: `/etc/hostname` is not below"),
        ("run: x, requirements: [a/../../x]", "deploy.requirements: `a/../../x` is not below"),
        ("run: x, files: [..]", "deploy.files: `..` is not below"),
        ("run: x, keep: 99999999999999999999", "deploy.keep"),
    ],
)
def test_what_could_not_be_run_is_said_before_anything_is(deploy: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(f"version: 1\napp: a\ndeploy: {{{deploy}}}", "cicd.yml")
    assert said in str(caught.value)


def test_a_name_does_not_end_with_a_line() -> None:
    with pytest.raises(ConfigError, match="app: should be"):
        parse_config('version: 1\napp: "x\\n"', "cicd.yml")


def test_an_unknown_environment_before_is_told_once() -> None:
    ports = "ports: {{router: {0}1, blue: {0}2, green: {0}3}}"
    staging = f"staging: {{after: devv, {ports.format(1)}}}"
    production = f"production: {{after: staging, {ports.format(2)}}}"
    with pytest.raises(ConfigError) as caught:
        parse_config(f"version: 1\napp: a\ndeploy: {{run: x}}\nenvironments: {{{production}, {staging}}}", "cicd.yml")
    assert str(caught.value).count("devv") == 1
    assert "environments.staging.after: there is no environment `devv`" in str(caught.value)


def test_defaults_are_shown_as_they_are_written() -> None:
    """The default of a whole section too: whoever copies it into the file is understood."""
    about = config_schema()["$defs"]["Deploy"]["properties"]
    assert about["watch"]["default"] == {"for": "60s", "error-rate": "1%", "samples": 20}
    for section in ("watch", "health", "migrations"):
        written = yaml.safe_dump({"version": 1, "app": "a", "deploy": {"run": "x", section: about[section]["default"]}})
        deploy = parse_config(written, "cicd.yml").deploy
        assert deploy is not None
        assert getattr(deploy, section) == getattr(Deploy(run="x"), section)


def test_unknown_names_are_told_with_the_known_ones() -> None:
    config = parse_config(FULL, "cicd.yml")
    with pytest.raises(UnknownSuite, match="unit, integration"):
        suite_of(config, "unti")
    with pytest.raises(UnknownEnvironment, match="dev, staging"):
        environment_of(config, "prod")
    with pytest.raises(ConfigError, match="no `deploy:`"):
        deploy_of(parse_config("version: 1\napp: a", "cicd.yml"))


def test_the_schema_knows_every_key_and_refuses_others() -> None:
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert not list(validator.iter_errors(yaml.safe_load(FULL)))
    assert list(validator.iter_errors({"version": 1, "app": "a", "suite": {}}))


LINES = """version: 1
app: a
deploy: {run: x}
environments:
  dev:
    ports: {router: 1, blue: 2, green: 3}
    hosts:
      - local
      - 7
  production:
    after: nowhere
    ports: {router: 4, blue: 5, green: 6}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("- 7", "- 7", "cicd.yml:7: environments.dev.hosts: "),
        ("x", "x", "cicd.yml:11: environments.production.after: there is no environment `nowhere`"),
        ("after:", "afterwards:", "cicd.yml:11: environments.production.afterwards: unknown key"),
        ("app: a\n", "", "cicd.yml: app: is missing"),
        ("router: 1, ", "", "cicd.yml:6: environments.dev.ports.router: is missing"),
        ("- local", "- 2026-13-45", "cicd.yml:8:9: this is not valid YAML: month must be in 1..12"),
        ("- local", "- \x07", "cicd.yml:8:9: this is not valid YAML: "),
        ("- local", "- [", "cicd.yml:9:"),
    ],
)
def test_an_error_says_its_line(old: str, new: str, said: str) -> None:
    text = LINES.replace("- 7\n", "- ssh://b\n") if old != "- 7" else LINES
    with pytest.raises(ConfigError) as caught:
        parse_config(text.replace(old, new), "cicd.yml")
    assert str(caught.value).startswith(said)
