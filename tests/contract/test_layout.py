"""The rules of the design that a machine can hold."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCE = CHECKOUT / "src"
HUB = SOURCE / "cicd" / "localhub"
MODULES = sorted(SOURCE.rglob("*.py"))
WORKFLOWS = [path for path in CHECKOUT.rglob("*.y*ml") if not {".git", "node_modules"}.intersection(path.parts)]
IN_CORE = {"msgspec", "yaml"} | sys.stdlib_module_names
FORBIDDEN_IN_CORE = {"os", "subprocess", "socket", "time", "random", "secrets", "urllib", "http", "shutil", "tempfile"}


def name(path: Path) -> str:
    return str(path.relative_to(SOURCE / "cicd"))


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, those inside of functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(package: str) -> set[str]:
    return {name(path) for path in MODULES if package in {found.split(".")[0] for found in imports(path)}}


@pytest.mark.parametrize("path", sorted((SOURCE / "cicd" / "core").glob("*.py")), ids=lambda path: path.name)
def test_core_is_pure(path: Path) -> None:
    for found in imports(path):
        top = found.split(".")[0]
        if top == "cicd":
            assert found.startswith(("cicd.core.", "cicd.errors.")), f"{path.name} imports {found}"
        else:
            assert top in IN_CORE - FORBIDDEN_IN_CORE, f"{path.name} imports {found}"
    assert not re.search(r"\bopen\(|datetime\.now|\.read_text\(|\.write_text\(", path.read_text()), path.name


@pytest.mark.parametrize(
    ("package", "only"),
    [
        ("github", "adapters/github.py adapters/github_connection.py"),
        ("actions_toolkit", "adapters/runner.py"),
        ("requests", "adapters/http.py"),
        ("subprocess", "adapters/process.py"),
        ("pg8000", "adapters/migrators/session.py"),
        ("cvss", "adapters/cvss_scores.py"),
        ("prometheus_client", "adapters/prometheus_text.py"),
    ],
)
def test_each_effect_has_one_place(package: str, only: str) -> None:
    assert importers(package) <= set(only.split())


def test_the_environment_is_read_in_one_place() -> None:
    ours = [path for path in MODULES if path.parent.name != "pytest_plugin"]  # that runs in the Python of others
    found = {
        name(path) for path in ours if re.search(r"\bos\.(environ|getenv|putenv)|import environ\b", path.read_text())
    }
    assert found == {"adapters/runner.py"}


def test_floors_are_only_entered_from_above() -> None:
    for path in MODULES:
        floor = path.relative_to(SOURCE / "cicd").parts[0]
        upper = {"core": ("adapters", "commands", "cli"), "adapters": ("commands", "cli")}.get(floor, ())
        assert not [found for found in imports(path) if found.startswith(tuple(f"cicd.{each}" for each in upper))], path


def test_localhub_knows_nothing_of_the_rest() -> None:
    for path in HUB.rglob("*.py"):
        for found in imports(path):
            assert not found.startswith("cicd.") or found.startswith("cicd.localhub"), f"{path.name} imports {found}"


@pytest.mark.real
def test_the_command_line_starts_light() -> None:
    code = "import sys, cicd.cli; print(*{'github', 'requests', 'jwt', 'urllib3'} & set(sys.modules))"
    argv = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r}); {code}"]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip() == ""


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(child)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_no_expression_is_spliced_into_a_script_and_strangers_are_pinned(path: Path) -> None:
    steps = list(nodes(yaml.safe_load(path.read_text())))
    for node in steps:
        run, uses = node.get("run"), node.get("uses")
        assert "${{" not in run if isinstance(run, str) else True, run
        if isinstance(uses, str) and not uses.startswith(("./", "$/", "org/cicd/", "org/cicd@")):
            assert re.search(r"@[0-9a-f]{40}$", uses), f"{uses} is not pinned by a full sha"
