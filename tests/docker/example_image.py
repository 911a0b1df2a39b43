"""The image of examples/assistant-api without a build: what its Dockerfile says, on the lab's Python.

The locked wheels are installed once, where `cicd` keeps a project's venv, and their layer is kept by what is in it.
"""

import compileall
import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

from cicd.adapters.python_env import ensure_venv, find_python
from tests.commands.site import passed_on
from tests.docker import images
from tests.docker.images import Image
from tests.docker.lab import REVISION
from tests.docker.layers import KEPT, Entry, Layer, layer, libraries, tree
from tests.fakes import runner

ALEMBIC = "#!/venv/bin/python\nfrom alembic.config import main\n\nmain()\n"
SECOND = 1_000_000_000  # in the nanoseconds that an image's config counts in


def image(folder: Path, revision: str) -> Image:
    """The image of a checkout of the example. `revision`: its commit."""
    said = (folder / "Dockerfile").read_text()
    copied = {"alembic.ini": Entry(file=folder / "alembic.ini", mode=0o644)}
    for name in ("migrations", "assistant"):
        copied |= tree(folder / name, name, ["__pycache__"])
    env = re.findall(r"(\w+)=(\S+)", _instruction(said, "ENV"))
    return images.python().over(
        _bytecode(),
        _packages(folder / "requirements.txt"),
        layer({f"app/{path}": entry for path, entry in copied.items()}),
        Env=[f"{name}={value.replace('$PATH', images.PATH.partition('=')[2])}" for name, value in env],
        Cmd=json.loads(_instruction(said, "CMD")),
        User=re.findall(r"--uid (\d+)", said)[0],
        WorkingDir=_instruction(said, "WORKDIR"),
        StopSignal=_instruction(said, "STOPSIGNAL"),
        ExposedPorts={f"{_instruction(said, 'EXPOSE')}/tcp": {}},
        Healthcheck=_check(_instruction(said, "HEALTHCHECK")),
        Labels={REVISION: revision},
    )


def _instruction(dockerfile: str, name: str) -> str:
    """What follows the last instruction of this name, in one line."""
    joined = dockerfile.replace("\\\n", " ")
    return str(re.findall(rf"^{name} +(.+)$", joined, re.MULTILINE)[-1]).strip()


def _check(told: str) -> dict[str, Any]:
    times = {name: int(seconds) * SECOND for name, seconds in re.findall(r"--([a-z-]+)=(\d+)s", told)}
    return {
        "Test": ["CMD", *json.loads(told.partition("CMD ")[2])],
        "Interval": times["interval"],
        "Timeout": times["timeout"],
        "StartPeriod": times["start-period"],
    }


def _packages(requirements: Path) -> Layer:
    """The Dockerfile's /venv, compiled as pip does it."""
    who = runner({"PATH": os.environ["PATH"], "HOME": str(Path.home()), **passed_on()})
    python = find_python(sys.executable, who)
    made = ensure_venv([requirements], python, KEPT, who).python.parents[1]
    packages = next(made.glob("lib/python*/site-packages"))
    there = f"venv/{packages.relative_to(made)}"
    compiled = _compiled(packages, made.parent / "compiled", f"/{there}")
    settings = f"home = {python.base.parent}\ninclude-system-site-packages = false\n"
    needed = libraries(compiled.rglob("*.so"))
    return layer(
        {
            **{path: entry for path, entry in needed.items() if not f"/{path}".startswith(f"{compiled}/")},
            "venv/pyvenv.cfg": Entry(text=settings, mode=0o644),
            "venv/bin/python": Entry(link=str(python.base)),
            "venv/bin/alembic": Entry(text=ALEMBIC),
            **tree(compiled, there),
        }
    )


def _bytecode() -> Layer:
    """Of Python's own modules: it would be made anew at each start, for the service can write nowhere."""
    library, without = images.standard_library()
    key = hashlib.sha256(f"{library} {sys.version}".encode()).hexdigest()[:16]
    made = tree(_compiled(library, KEPT / f"library-{key}", str(library), without), str(library).lstrip("/"))
    return layer({path: entry for path, entry in made.items() if path.endswith(".pyc")})


def _compiled(source: Path, to: Path, there: str, without: Iterable[str] = ("__pycache__",)) -> Path:
    """A copy with bytecode that holds whatever the time of a source is, for layers have no times."""
    if to.is_dir():
        return to
    to.parent.mkdir(parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(dir=to.parent))
    shutil.copytree(source, own, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*without))
    compileall.compile_dir(
        own, quiet=2, stripdir=str(own), prependdir=there, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    )
    with contextlib.suppress(OSError):  # another process was first
        own.rename(to)
    shutil.rmtree(own, ignore_errors=True)
    return to
