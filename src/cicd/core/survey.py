"""What a repository is made of, by its files: how it is tested, what it needs, how it is started."""

import ast
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec
import yaml

from cicd.core.config import NAME

KINDS = ("unit", "integration", "e2e", "regression", "performance", "security")
NAMED = ("pyproject.toml", "setup.py", "setup.cfg", "alembic.ini", ".python-version")
SERVERS = {"uvicorn": "asgi", "hypercorn": "asgi", "gunicorn": "wsgi", "waitress": "wsgi"}
FRAMEWORKS = {"FastAPI": "asgi", "Starlette": "asgi", "Litestar": "asgi", "Quart": "asgi", "Flask": "wsgi"}
GETTERS = {"get_wsgi_application": "wsgi", "get_asgi_application": "asgi"}  # Django's
REQUIRED = ("requirements.txt", "requirements-dev.txt")
ROUTE = re.compile(r"""\.(?:get|route|api_route|add_api_route)\(\s*["'](/[\w/.-]*)["']""")
HEALTH = (
    *("/health", "/healthz", "/healthcheck", "/health-check", "/health/ready", "/ready", "/readyz", "/health/live"),
    *("/livez", "/status", "/api/health", "/api/v1/health", "/ping"),
)
DRIVERS = {
    "postgres": ("psycopg", "psycopg2", "psycopg2-binary", "psycopg-binary", "asyncpg", "pg8000"),
    "redis": ("redis", "hiredis", "arq", "rq", "aioredis"),
    "rabbitmq": ("pika", "aio-pika", "aiormq"),
}
IMAGES = {
    "postgres": "postgres",
    "postgis": "postgres",
    "pgvector": "postgres",
    "redis": "redis",
    "valkey": "redis",
    "rabbitmq": "rabbitmq",
}
IMAGE = re.compile(r"(?:.*/)?([\w-]+)(?::(\d+)[\w.-]*)?")
REQUIREMENT = re.compile(r"^\s*[\"']?([A-Za-z0-9][\w.-]*)", re.MULTILINE)
ENVIRONMENTS = {
    "dev": ("dev", "development", "local"),
    "staging": ("stage", "staging", "stg"),
    "production": ("prod", "production", "live"),
}


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """A repository as it was found.

    Attributes:
        name: of its folder.
        files: paths below the project that git has, or would have, sorted.
        texts: path → text of those that tell something.
        remote: `owner/name` on GitHub; empty: unknown.
    """

    name: str
    files: Sequence[str]
    texts: Mapping[str, str]
    remote: str = ""


class App(msgspec.Struct, frozen=True, kw_only=True):
    """The application: `module:name` as a server takes it, and below which folder the module is found."""

    target: str
    kind: str
    factory: bool = False
    folder: str = ""
    file: str = ""


def worth_reading(path: str) -> bool:
    """Whether the text of a file tells something here."""
    name = PurePosixPath(path).name
    named = name in (
        "pyproject.toml",
        "setup.py",
        "setup.cfg",
        "alembic.ini",
        ".python-version",
        "package.json",
        "manage.py",
    )
    return named or name.startswith("requirements") or is_compose(path) or (path.endswith(".py") and not is_test(path))


def is_test(path: str) -> bool:
    """Whether a file is a test, or stands among tests."""
    pure = PurePosixPath(path)
    return any(part in ("tests", "test") for part in pure.parts[:-1]) or bool(
        re.fullmatch(r"test_.*\.py|.*_test\.py|conftest\.py", pure.name)
    )


def is_compose(path: str) -> bool:
    """Whether it is a compose file of the project's own folder."""
    return bool(re.fullmatch(r"(docker-)?compose([.-][\w.-]+)?\.ya?ml", path))


def app_name(survey: Survey) -> str:
    """A name for the config, from the repository's."""
    text = re.sub(r"[^a-z0-9]+", "-", (survey.remote.rpartition("/")[2] or survey.name).lower()).strip("-")[:40]
    return text if re.match(NAME, text) else "app"


def suites(survey: Survey) -> dict[str, str]:
    """Name → paths of the tests: folders of a kind below `tests`, else all tests as one."""
    tests = [path for path in survey.files if is_test(path) and re.search(r"(^|/)(test_[^/]*|[^/]*_test)\.py$", path)]
    roots = sorted({root for path in tests if (root := _root(path))})
    found = {
        kind: f"{root}/{kind}"
        for root in roots
        for kind in KINDS
        if any(path.startswith(f"{root}/{kind}/") for path in tests)
    }
    rest = [path for path in tests if not any(path.startswith(f"{folder}/") for folder in found.values())]
    if found and any(map(_root, rest)) and "unit" not in found:
        found = {"unit": " ".join(sorted({_top(path) for path in rest})), **found}
    if found or not tests:
        return found
    return {"unit": " ".join(roots)}


def _root(path: str) -> str:
    """`src/tests` of src/tests/api/test_x.py; empty: it lies in no such folder."""
    parts = path.split("/")
    depth = next((number for number, part in enumerate(parts[:-1]) if part in ("tests", "test")), None)
    return "" if depth is None else "/".join(parts[: depth + 1])


def _top(path: str) -> str:
    """`tests/api` of tests/api/test_x.py; a file that lies right in `tests` is itself."""
    root = _root(path)
    return "/".join(path.split("/")[: len(root.split("/")) + 1]) if root else path


def packages(survey: Survey) -> set[str]:
    """Names of packages that requirement files and pyproject.toml have, in lower case."""
    texts = [
        text
        for path, text in survey.texts.items()
        if PurePosixPath(path).name.startswith("requirements") or path in ("pyproject.toml", "setup.py", "setup.cfg")
    ]
    names = {name.lower().replace("_", "-") for text in texts for name in REQUIREMENT.findall(text)}
    return names | {name.lower() for text in texts for name in re.findall(r"[\"']([A-Za-z][\w-]*)", text)}


def services(survey: Survey) -> dict[str, str]:
    """Name → version of the servers that it needs: by its compose files, else by its drivers; empty: any version."""
    found: dict[str, str] = {}
    for path in sorted(filter(is_compose, survey.texts), reverse=True):  # production before dev: its versions count
        for part in _parts(survey.texts[path]).values():
            image = IMAGE.fullmatch(str(part.get("image", "")))
            if image and image[1] in IMAGES:
                found.setdefault(IMAGES[image[1]], image[2] or "")
    known = packages(survey)
    for name, drivers in DRIVERS.items():
        if known.intersection(drivers):
            found.setdefault(name, "")
    return dict(sorted(found.items()))


def find_app(survey: Survey) -> App | None:
    """The application, from the shortest path on: `main.py` before what lies deeper; an object before a factory."""
    sources = sorted(
        (path for path in survey.texts if path.endswith(".py") and not is_test(path) and not _is_beside(path)),
        key=lambda path: (path.count("/"), PurePosixPath(path).stem not in ("main", "app", "wsgi", "asgi"), path),
    )
    trees = {path: tree for path in sources if (tree := _parsed(survey.texts[path]))}
    factories = {path: list(_factories(tree)) for path, tree in trees.items()}
    makers = {**FRAMEWORKS, **GETTERS, **{one.name: kind for found in factories.values() for one, kind in found}}
    for path, tree in trees.items():
        if found := next(_made(tree.body, makers), None):
            return _app(survey, path, *found)
    for path, found_here in factories.items():
        for function, kind in found_here:
            if not _is_given(function):
                return _app(survey, path, function.name, kind, factory=True)
    return None


def _is_beside(path: str) -> bool:
    return path.split("/")[0] in ("examples", "example", "docs", "benchmarks", "scripts")


def _factories(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef, str]]:
    for one in tree.body:
        if isinstance(one, ast.FunctionDef) and (found := next(_made(one.body, FRAMEWORKS), None)):
            yield one, found[1]


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _made(body: Sequence[ast.stmt], makers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name and kind of the applications that are made and given a name among these statements."""
    for one in body:
        if isinstance(one, ast.Assign):
            target: ast.expr = one.targets[0]
        elif isinstance(one, ast.AnnAssign):
            target = one.target
        else:
            continue
        if isinstance(one.value, ast.Call) and isinstance(target, ast.Name):
            maker = one.value.func
            name = maker.attr if isinstance(maker, ast.Attribute) else maker.id if isinstance(maker, ast.Name) else ""
            if name in makers:
                yield target.id, makers[name]


def _is_given(function: ast.FunctionDef) -> bool:
    """Whether a function needs arguments."""
    given = function.args
    return len(given.args) + len(given.posonlyargs) > len(given.defaults) or None in given.kw_defaults


def _app(survey: Survey, path: str, name: str, kind: str, *, factory: bool = False) -> App:
    below = path.startswith("src/") and "src/__init__.py" not in survey.files  # else `src` is the package
    folder, inner = ("src", path.removeprefix("src/")) if below else ("", path)
    module = inner.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return App(target=f"{module}:{name}", kind=kind, factory=factory, folder=folder, file=path)


def start_command(survey: Survey, app: App) -> str:
    """How a server that the project has starts the application on `$HOST` and `$PORT`; empty: it has none."""
    known = packages(survey)
    server = next((name for name, kind in SERVERS.items() if kind == app.kind and name in known), "")
    if not server and app.kind == "asgi" and "fastapi" in known and re.search(r"fastapi\[", _requirements(survey)):
        server = "uvicorn"  # fastapi[standard] brings it
    below = f" --app-dir {app.folder}" if app.folder else ""
    if server == "uvicorn":
        factory = " --factory" if app.factory else ""
        return f"python -m uvicorn {app.target}{factory}{below} --host $HOST --port $PORT --timeout-keep-alive 75"
    if server == "hypercorn":
        return f"python -m hypercorn {app.target}{'()' if app.factory else ''} --bind $HOST:$PORT"
    if server == "gunicorn":
        below = f" --chdir {app.folder}" if app.folder else ""
        return f"python -m gunicorn {app.target}{'()' if app.factory else ''}{below} --bind $HOST:$PORT"
    if server == "waitress":
        call = " --call" if app.factory else ""
        return f"python -m waitress --host=$HOST --port=$PORT{call} {app.target}"
    return ""


def _requirements(survey: Survey) -> str:
    return "\n".join(
        text for path, text in survey.texts.items() if path.startswith("requirements") or path == "pyproject.toml"
    )


def health_path(survey: Survey) -> str:
    """The route that tells health, best name first; empty: none was found."""
    routes = _routes(survey)
    return next((path for path in HEALTH if path in routes), "")


def answering_path(survey: Survey) -> str:
    """A route that answers and tells nothing of health: the front page, else the description that FastAPI makes."""
    made = any("FastAPI(" in text for text in survey.texts.values())
    return "/" if "/" in _routes(survey) or not made else "/openapi.json"


def _routes(survey: Survey) -> set[str]:
    return {
        route.rstrip("/") or "/"
        for path, text in survey.texts.items()
        if path.endswith(".py") and not is_test(path)
        for route in ROUTE.findall(text)
    }


def requirement_files(survey: Survey) -> list[str]:
    """The requirement files of the application, and those of its tests besides, of the folder that is nearest."""
    named = {name: [path for path in survey.files if PurePosixPath(path).name == name] for name in REQUIRED}
    return [min(paths, key=lambda path: (path.count("/"), path)) for paths in named.values() if paths]


def compose_files(survey: Survey) -> dict[str, str]:
    """Environment → its compose file, by the file's name."""
    found: dict[str, str] = {}
    for path in sorted(filter(is_compose, survey.files)):
        words = re.split(r"[.-]", path)
        for name, spellings in ENVIRONMENTS.items():
            if any(word in spellings for word in words):
                found.setdefault(name, path)
    return found


def built_service(text: str) -> str:
    """The service of a compose file that is this project's own: built from it, or of an image that is filled in. Of
    several the one that has a port. Empty: none."""
    parts = _parts(text)
    own = {name: part for name, part in parts.items() if "build" in part or "${" in str(part.get("image", ""))}
    return next((name for name, part in own.items() if part.get("ports") or part.get("expose")), next(iter(own), ""))


def dockerfile_of(text: str, service: str) -> str:
    """The path of the Dockerfile by which a compose file builds a service, where it is not `Dockerfile`."""
    build = _parts(text).get(service, {}).get("build")
    about = build if isinstance(build, dict) else {"context": build or "."}
    path = posixpath.normpath(
        posixpath.join(str(about.get("context", ".")), str(about.get("dockerfile", "Dockerfile")))
    )
    return "" if path == "Dockerfile" or path.startswith(("..", "/")) else path


def _parts(text: str) -> dict[str, dict[str, Any]]:
    """The services of a compose file; none of what cannot be read as one."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    services = value.get("services") if isinstance(value, dict) else None
    named = services.items() if isinstance(services, dict) else ()
    return {str(name): part for name, part in named if isinstance(part, dict)}


def python_version(survey: Survey) -> str:
    """`3.12` of .python-version; empty: there is none. pyproject.toml says the least, not what is wanted."""
    found = re.match(r"\s*(3\.\d+)", survey.texts.get(".python-version", ""))
    return found[1] if found else ""


def first_of(names: Iterable[str], files: Sequence[str]) -> str:
    """The first of the names that is a file here; empty: none is."""
    return next((name for name in names if name in files), "")
