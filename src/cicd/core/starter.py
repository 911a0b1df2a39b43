"""The files with which a repository begins: a config and a pipeline, from what a survey found."""

import json

import msgspec

from cicd.core.survey import (
    Survey,
    answering_path,
    app_name,
    built_service,
    compose_files,
    dockerfile_of,
    find_app,
    first_of,
    health_path,
    packages,
    python_version,
    requirement_files,
    services,
    start_command,
    suites,
)

CONFIG, PIPELINE, ROLLBACK = ".github/cicd.yml", ".github/workflows/pipeline.yml", ".github/workflows/rollback.yml"
PORTS = {"dev": 8100, "staging": 8200, "production": 8300}
COMPOSE_FILES = ("docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml")
DEPLOYING = "contents: write, deployments: write, actions: read, statuses: read, attestations: read, packages: read"
REPORTING = "checks: write, pull-requests: write"


class Starter(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be written, and what is to be said of it.

    Attributes:
        files: path → text.
        found: sentences about what was found, and in which file.
        open: sentences about what is left to whoever reads them.
    """

    files: dict[str, str]
    found: list[str]
    open: list[str]


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """How the application is deployed, as far as its files tell. `lines` are those of the config; none: they do not."""

    engine: str = ""
    dockerfile: str = ""
    lines: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    image: str = ""


def starter(survey: Survey, engine: str = "") -> Starter:
    """The files for a repository.

    Args:
        engine: `process` or `compose`; empty: compose where a compose file is that of production, else process.
    """
    found, left = list[str](), list[str]()
    tests = _tests(survey, found, left)
    deployment = _deployment(survey, engine, found, left)
    head = ["# How this project is tested and deployed. Every key: docs/configuration.md of cicd.", "version: 1"]
    head += [f"app: {app_name(survey)}"]
    head += [f"image: {deployment.image}"] if deployment.image else []
    if version := python_version(survey):
        head.append(f'python: "{version}"')
        found.append(f"Python {version}")
    if any("/" in path for path in requirement_files(survey)):  # setup-env finds those of the project's own folder
        head.append(f"requirements: [{', '.join(requirement_files(survey))}]")
    sections = ["\n".join(head), *tests]
    if deployment.engine:
        sections += ["\n".join(["deploy:", *(f"  {line}" for line in deployment.lines)])]
        sections += ["\n".join(["environments:", *(f"  {line}" for line in deployment.environments)])]
    files = {CONFIG: "\n\n".join(sections) + "\n", PIPELINE: _pipeline(deployment)}
    if deployment.engine:
        files[ROLLBACK] = _rollback(deployment)
        left.append("Environments `staging` and `production` need reviewers on GitHub: Settings → Environments")
    return Starter(files=files, found=found, open=left)


def _tests(survey: Survey, found: list[str], left: list[str]) -> list[str]:
    """The sections of services and suites."""
    needed, sections = services(survey), list[str]()
    if needed:
        sections.append("\n".join(["services:", *(f"  {name}: {{}}" for name in needed)]))
        left += [
            f"Tests run on the {name} that is at hand, and the compose files have {version}: give it as its `version`"
            for name, version in needed.items()
            if version
        ]
        found.append(f"services: {', '.join(f'{name} {version}'.strip() for name, version in needed.items())}")
    groups = suites(survey)
    if not groups:
        left.append("No tests were found: add `suites:` when there are some; until then the pipeline proves nothing")
        return sections
    if "pytest" not in packages(survey):
        left.append("pytest is in no requirement file, and the suites need it: requirements-dev.txt is found by name")
    needs = f", needs: [{', '.join(needed)}]" if needed else ""
    lines = [
        f"  {name}: {{run: {json.dumps(f'python -m pytest {paths}'.strip())}{needs}}}" for name, paths in groups.items()
    ]
    found.append(f"suites: {', '.join(groups)}")
    return [*sections, "\n".join(["suites:", *lines])]


def _deployment(survey: Survey, engine: str, found: list[str], left: list[str]) -> Deployment:
    compose = compose_files(survey)
    alone = first_of(COMPOSE_FILES, survey.files)
    if engine == "compose" or (not engine and "production" in compose):
        return _by_compose(survey, compose or {name: alone for name in PORTS if alone}, found, left)
    if alone and not engine:
        left.append(f"{alone} is for no environment by its name; `cicd init --engine compose` would deploy it to all")
    return _by_process(survey, found, left)


def _migrate(survey: Survey, found: list[str]) -> list[str]:
    if "alembic.ini" not in survey.files:
        return []
    found.append("migrations: Alembic, by alembic.ini")
    return ["migrate: alembic"]


def _health(survey: Survey, found: list[str], left: list[str]) -> str:
    path = health_path(survey)
    if path:
        found.append(f"health: {path}")
    else:
        path = answering_path(survey)
        left.append(f"No route for health was found, so it is `{path}`: one that looks at the database says more")
    return f"health: {{path: {path}}}"


def _by_compose(survey: Survey, files: dict[str, str], found: list[str], left: list[str]) -> Deployment:
    if not files:
        left.append("Engine compose needs compose files, and there is none in the project's folder")
        return Deployment()
    text = survey.texts.get(files.get("production") or next(iter(files.values())), "")
    service = built_service(text)
    if not service:
        left.append("`deploy.service` is to be named: which service of the compose files is the application?")
    found.append(f"engine compose: {', '.join(sorted(set(files.values())))}, service {service or '?'}")
    image = f"ghcr.io/{survey.remote.lower()}" if survey.remote else "ghcr.io/owner/name"
    if not survey.remote:
        left.append("`image` is to be named: there is no remote on GitHub to tell it from")
    left.append('`hosts` of each environment, such as `["ssh://deploy@www.example.com"]`; left out, it is the runner')
    dockerfile = dockerfile_of(text, service)
    lines = ["engine: compose", f"service: {service or 'app'}", *_migrate(survey, found), _health(survey, found, left)]
    environments = []
    for name, before in (("dev", ""), ("staging", "dev"), ("production", "staging")):
        if name in files:
            after = f"after: {before}, approval: required, " if before in files else ""
            environments.append(f"{name}: {{{after}compose: [{files[name]}], ports: {{router: {PORTS[name]}}}}}")
    return Deployment(
        engine="compose", lines=tuple(lines), environments=tuple(environments), image=image, dockerfile=dockerfile
    )


def _by_process(survey: Survey, found: list[str], left: list[str]) -> Deployment:
    app = find_app(survey)
    command = start_command(survey, app) if app else ""
    if app is None:
        left.append("No application was found: add `deploy:` and `environments:` when it is to be deployed")
        return Deployment()
    if not command:
        left.append(f"`deploy.run` is to be written: {app.file} has an application, and no server for it is required")
        return Deployment()
    found.append(f"engine process: {app.target} of {app.file}")
    requirements = requirement_files(survey)
    lines = [f"run: {command}"]
    if requirements:
        lines.append(f"requirements: [{requirements[0]}]")
    elif "pyproject.toml" in survey.files:
        left.append("`deploy.requirements`: a file with what the application needs, such as of `uv export`")
    lines += [*_migrate(survey, found), _health(survey, found, left), "watch: {for: 30s}"]
    if needed := services(survey):
        left.append(
            f"The application needs {' and '.join(needed)}: put its settings (such as DATABASE_URL) into the secrets"
            " DEV_ENV, STAGING_ENV and PRODUCTION_ENV"
        )
    environments = []
    for name, before in (("dev", ""), ("staging", "dev"), ("production", "staging")):
        port = PORTS[name]
        after = f"after: {before}, approval: required, " if before else ""
        environments.append(f"{name}: {{{after}ports: {{router: {port}, blue: {port + 1}, green: {port + 2}}}}}")
    left.append("With engine process releases run on the runner itself: `runner` is one of your own")
    return Deployment(engine="process", lines=tuple(lines), environments=tuple(environments))


def _pipeline(deployment: Deployment) -> str:
    """The caller's workflow."""
    lines = ["name: pipeline", "on: {push: {branches: [main]}, pull_request: {}}", "permissions: {}", "jobs:"]
    names = [line.partition(":")[0] for line in deployment.environments]
    if not names:
        test = ["uses: org/cicd/.github/workflows/test.yml@v1", f"permissions: {{contents: read, {REPORTING}}}"]
        return "\n".join([*lines, *_job("test", test)]) + "\n"
    build, image = list[str](), ""
    if deployment.image:
        dockerfile = f", dockerfile: {json.dumps(deployment.dockerfile)}" if deployment.dockerfile else ""
        about = ["uses: org/cicd/.github/workflows/build.yml@v1", "if: github.event_name != 'pull_request'"]
        about += ["permissions: {contents: read, packages: write, id-token: write, attestations: write}"]
        build = _job("build", [*about, f"with: {{image: {deployment.image}{dockerfile}}}"])
        image = "${{ needs.build.outputs.image }}"
    given = [f'image: "{image}"'] if image else ["deploy-runner: '\"self-hosted\"'"]
    given += [f"environments: '{json.dumps(names)}'"] if len(names) < len(PORTS) else []
    about = ["needs: build", "if: ${{ !cancelled() && !failure() }}"] if image else []
    about += ["uses: org/cicd/.github/workflows/pipeline.yml@v1", f"permissions: {{{DEPLOYING}, {REPORTING}}}"]
    about += [f"with: {{{', '.join(given)}}}", "secrets:"]
    about += [f"  {name.upper()}_ENV: ${{{{ secrets.{name.upper()}_ENV }}}}" for name in names]
    return "\n".join([*lines, *build, *_job("pipeline", about)]) + "\n"


def _job(name: str, lines: list[str]) -> list[str]:
    return [f"  {name}:", *(f"    {line}" for line in lines)]


def _rollback(deployment: Deployment) -> str:
    names = ", ".join(line.partition(":")[0] for line in deployment.environments)
    runner = "\n      runner: '\"self-hosted\"'" if deployment.engine == "process" else ""
    return f"""name: rollback
on:
  workflow_dispatch:
    inputs:
      environment: {{type: choice, options: [{names}], required: true}}
      to: {{type: string, description: "Release id; empty: the last healthy one"}}
      reason: {{type: string}}
  repository_dispatch: {{types: [cicd-rollback]}}  # an alert: it gets one attempt, for the release that it names
permissions: {{}}
jobs:
  rollback:
    uses: org/cicd/.github/workflows/rollback.yml@v1
    permissions: {{contents: write, deployments: write, actions: read}}
    with:
      environment: ${{{{ inputs.environment || github.event.client_payload.environment }}}}
      to: ${{{{ inputs.to }}}}
      reason: ${{{{ inputs.reason || github.event.client_payload.reason }}}}
      if-release: ${{{{ github.event.client_payload.release }}}}
      alert: ${{{{ github.event.client_payload.alert }}}}{runner}
"""
