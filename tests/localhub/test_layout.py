"""LocalHub stands alone."""

import ast
import sys
from pathlib import Path

import cicd.localhub

FOLDER = Path(cicd.localhub.__file__).parent
LIBRARIES = {"msgspec", "starlette", "uvicorn", "graphql", "pygit2", "yaml"}


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return found


def test_imports_nothing_of_the_rest() -> None:
    for file in FOLDER.glob("*.py"):
        for name in imports(file):
            top = name.partition(".")[0]
            ours = name == "cicd.localhub" or name.startswith("cicd.localhub.")
            assert ours or top in LIBRARIES or top in sys.stdlib_module_names, f"{file.name}: {name}"
            assert top != "subprocess", file.name


def test_environment_is_not_read() -> None:
    for file in FOLDER.glob("*.py"):
        assert "environ" not in file.read_text().replace("environment", ""), file.name


def test_text_for_browsers_names_no_other_host() -> None:
    for name in ("board.css", "board.js"):
        text = (FOLDER / name).read_text()
        assert not any(word in text for word in ("http:", "https:", "url(", "@import", "import(")), name
