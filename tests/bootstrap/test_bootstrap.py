"""bin/bootstrap, on a checkout of its own with a lock of one package, against an index on this machine."""

import base64
import contextlib
import hashlib
import http.server
import importlib.machinery
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PYTHON = str(Path(getattr(sys, "_base_executable", sys.executable)))  # one that has pip; the tests' own need not
UV = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
MAIN = "import sys, os, tiny; print('ran', tiny.__file__, *sys.argv[1:]); print(os.environ['CICD_ENVIRONMENT'])"
EVIL = "import pathlib, os; pathlib.Path(os.environ['TRACE']).write_text('was imported')"
real = pytest.mark.real


class Index:
    """A package index with one package. `slow` holds every answer back."""

    def __init__(self, folder: Path) -> None:
        name = "tiny-1.0-py3-none-any.whl"
        self.wheel = wheel(folder / name).read_bytes()
        self.hash = hashlib.sha256(self.wheel).hexdigest()
        self.hits = 0
        self.slow = threading.Event()
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.hits += 1
                while index.slow.is_set():
                    time.sleep(0.05)
                page = f'<!DOCTYPE html><a href="/{name}#sha256={index.hash}">{name}</a>'.encode()
                body = index.wheel if self.path.endswith(".whl") else page
                self.send_response(200 if "tiny" in self.path else 404)
                self.send_header("Content-Type", "application/zip" if body is index.wheel else "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):  # the asker was killed
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"


def wheel(path: Path) -> Path:
    files = {
        "tiny.py": "",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}"
        for name, text in files.items()
    ]
    files["tiny-1.0.dist-info/RECORD"] = "\n".join([*record, "tiny-1.0.dist-info/RECORD,,", ""])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    (tmp_path / "index").mkdir()
    made = Index(tmp_path / "index")
    yield made
    made.slow.clear()
    made.server.shutdown()
    made.server.server_close()


class World:
    """A machine in a folder: checkout, HOME, TMPDIR, a working directory, and a root for environments."""

    def __init__(self, tmp_path: Path, index: Index) -> None:
        self.index = index
        self.checkout, self.root = tmp_path / "checkout", tmp_path / "root"
        self.home, self.temp, self.cwd, self.path = (tmp_path / name for name in ("home", "temp", "cwd", "bin"))
        for folder in (
            self.home,
            self.temp,
            self.cwd,
            self.path,
            self.checkout / "bin",
            self.checkout / "src" / "cicd",
        ):
            folder.mkdir(parents=True)
        shutil.copy(CHECKOUT / "bin" / "bootstrap", self.checkout / "bin" / "bootstrap")
        (self.checkout / "src" / "cicd" / "__main__.py").write_text(
            f"import sys, pathlib; sys.path.insert(0, str(pathlib.Path(__file__).parent)); import beside; {MAIN}"
        )
        (self.checkout / "src" / "cicd" / "beside.py").write_text("'a module whose bytecode is kept'")
        (self.checkout / "requirements").mkdir()
        self.lock(index.hash)
        self.trace = tmp_path / "trace"

    def lock(self, sha256: str) -> None:
        (self.checkout / "requirements" / "core.txt").write_text(f"tiny==1.0 --hash=sha256:{sha256}\n")

    def environ(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {"HOME": str(self.home), "TMPDIR": str(self.temp), "PATH": str(self.path), "CICD_HOME": str(self.root)}
        own |= {"PIP_INDEX_URL": self.index.url, "UV_DEFAULT_INDEX": self.index.url, "TRACE": str(self.trace)}
        return {**own, **more}

    def begin(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PYTHON, "-I", "-S", str(self.checkout / "bin" / "bootstrap"), *arguments],
            cwd=self.cwd,
            env=self.environ(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def start(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        child = self.begin(*arguments, **env)
        said, complained = child.communicate(timeout=120)
        return subprocess.CompletedProcess(child.args, child.returncode, said, complained)

    @property
    def environment(self) -> Path:
        (found,) = self.root.glob("cicd-*")
        return found

    def elsewhere(self) -> dict[str, float]:
        """Everything outside of the root, by path and time of change."""
        folders = (self.home, self.temp, self.cwd, self.checkout)
        return {str(path): path.stat().st_mtime for folder in folders for path in [folder, *folder.rglob("*")]}


@pytest.fixture(params=["pip", "uv"])
def world(request: pytest.FixtureRequest, tmp_path: Path, index: Index) -> World:
    made = World(tmp_path, index)
    if request.param == "uv":
        if not UV:
            pytest.skip("no uv on this machine")
        (made.path / "uv").symlink_to(UV)
    elif subprocess.run([PYTHON, "-I", "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("this interpreter has no pip")
    return made


@real
def test_hostile_settings_change_nothing_and_nothing_is_written_elsewhere(world: World) -> None:
    aside = str(world.home / "aside")
    for file, text in {
        world.home / ".config/pip/pip.conf": f"[global]\ntarget = {aside}\nindex-url = http://127.0.0.1:9/\n",
        world.home / ".pip/pip.conf": f"[install]\nprefix = {aside}\n",
        world.home / ".config/uv/uv.toml": 'index-url = "http://127.0.0.1:9/"\n',
        world.cwd / "uv.toml": 'index-url = "http://127.0.0.1:9/"\n',
        world.cwd / "pip.conf": f"[global]\ntarget = {aside}\n",
        world.cwd / "pyproject.toml": "[tool.uv]\nindex-url = 3\n",
    }.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for name in ("yaml", "sitecustomize", "usercustomize", "venv", "pip", "tiny", "hashlib", "encodings"):
        (world.cwd / f"{name}.py").write_text(EVIL)
    before = world.elsewhere()
    hostile = {
        **dict.fromkeys(("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "UV_TARGET", "UV_PREFIX", "UV_CACHE_DIR"), aside),
        **dict.fromkeys(("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "PYTHONUSERBASE", "PIP_CACHE_DIR", "PIP_LOG"), aside),
        **dict.fromkeys(("VIRTUAL_ENV", "PIP_CONFIG_FILE"), aside),
        **dict.fromkeys(("PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_NO_INDEX", "PIP_DRY_RUN", "UV_OFFLINE"), "1"),
        **dict.fromkeys(("UV_NO_INDEX", "UV_SYSTEM_PYTHON"), "1"),
        "UV_PYTHON": "/bin/false",
        "PYTHONPATH": str(world.cwd),
        "PYTHONSTARTUP": str(world.cwd / "yaml.py"),
    }
    done = world.start("say", "it", **hostile)
    assert done.returncode == 0, done.stderr
    ran, environment = done.stdout.splitlines()
    assert ran.split()[0] == "ran"
    assert ran.split()[2:] == ["say", "it"]
    assert Path(ran.split()[1]).is_relative_to(world.environment / "venv")
    assert Path(environment) == world.environment
    assert world.elsewhere() == before
    assert not world.trace.exists()
    assert {path.name for path in world.environment.iterdir()} == {".lock", "ready", "venv", "pycache"}


@real
def test_a_second_start_installs_nothing(world: World) -> None:
    assert world.start("one").returncode == 0
    ready, hits = (world.environment / "ready").stat(), world.index.hits
    done = world.start("two", PIP_INDEX_URL="http://127.0.0.1:9/", UV_DEFAULT_INDEX="http://127.0.0.1:9/")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].endswith("two")
    assert world.index.hits == hits
    assert (world.environment / "ready").stat().st_mtime_ns == ready.st_mtime_ns


@real
def test_two_at_once_make_one_environment(world: World) -> None:
    both = [world.begin(name) for name in ("one", "two")]
    said = [child.communicate(timeout=120) for child in both]
    assert [child.returncode for child in both] == [0, 0], said
    first = world.index.hits
    assert world.start("three").returncode == 0
    assert world.index.hits == first
    assert sum(complained.count("making the") for _, complained in said) >= 1


@real
def test_a_killed_one_is_made_anew(world: World) -> None:
    world.index.slow.set()
    child = world.begin("one")
    deadline = time.monotonic() + 60
    while not world.index.hits and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    assert not (world.environment / "ready").exists()
    (world.environment / "venv" / "junk").write_text("half")
    world.index.slow.clear()
    assert world.start("two").returncode == 0
    assert (world.environment / "ready").exists()
    assert not (world.environment / "venv" / "junk").exists()


@real
def test_what_the_lock_does_not_prove_is_not_installed(world: World) -> None:
    world.lock("0" * 64)
    done = world.start("one")
    assert done.returncode == 3
    assert "Next: check that the package index can be reached" in done.stderr
    assert "ran" not in done.stdout
    assert not (world.environment / "ready").exists()
    in_actions = world.start("one", GITHUB_ACTIONS="true").stderr.splitlines()
    assert sum(line.startswith("::error::cicd: ") for line in in_actions) == 1
    assert in_actions[-1].startswith("::error::")
    shutil.rmtree(world.root)
    world.lock(world.index.hash)
    assert world.start("one").returncode == 0


@real
@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["--env", "nope", "--print"], {}, "there is no environment 'nope'. Next: "),
        (["--env"], {}, "there is no environment ''"),
        (["one"], {"CICD_HOME": "/dev/null/x"}, "Next: set CICD_HOME to a folder that can"),
        (["one"], {"CICD_HOME": "/proc/x"}, "Next: set CICD_HOME to a folder that can"),
    ],
)
def test_what_cannot_be_is_said(
    tmp_path: Path, index: Index, arguments: list[str], env: dict[str, str], said: str
) -> None:
    done = World(tmp_path, index).start(*arguments, **env)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("cicd: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@real
def test_print_only_makes_it(world: World) -> None:
    done = world.start("--env", "core", "--print")
    assert done.stdout.strip() == str(world.environment)


@pytest.fixture
def bootstrap(tmp_path: Path) -> ModuleType:
    shutil.copy(CHECKOUT / "bin" / "bootstrap", tmp_path / "bootstrap")  # no __pycache__ into bin/
    loader = importlib.machinery.SourceFileLoader("bootstrap", str(tmp_path / "bootstrap"))
    spec = importlib.util.spec_from_loader("bootstrap", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_an_old_python_gives_way_to_a_newer_one_or_says_so(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "OLDEST", (9999, 0))
    monkeypatch.setattr(bootstrap, "newer_python", lambda: None)
    with pytest.raises(bootstrap.BootstrapError, match=r"too old. Next: put Python 3\.11"):
        bootstrap.main(["one"])

    def become(python: str, argv: list[str]) -> Any:
        raise SystemExit(" ".join([python, *argv[1:3], *argv[4:]]))

    monkeypatch.setattr(bootstrap, "newer_python", lambda: "/usr/bin/python3.14")
    monkeypatch.setattr(bootstrap.os, "execv", become)
    with pytest.raises(SystemExit) as caught:
        bootstrap.main(["one"])
    assert caught.value.code == "/usr/bin/python3.14 -I -S one"


def test_the_marker_is_written_last(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(bootstrap, "run", lambda *_: seen.append((tmp_path / "e" / "ready").exists()))
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "ready").touch()
    bootstrap.make(tmp_path / "e", tmp_path / "core.txt", {})
    assert seen == [False, False]
    assert (tmp_path / "e" / "ready").read_text().startswith("core.txt in ")


def test_where_environments_are_kept(bootstrap: ModuleType) -> None:
    root = bootstrap.environment_root
    assert root({"CICD_HOME": "/a", "RUNNER_TEMP": "/b"}) == Path("/a")
    assert root({"RUNNER_TEMP": "/b", "CICD_HOME": ""}) == Path("/b")
    assert root({"XDG_CACHE_HOME": "/c"}) == Path("/c/cicd")
    one, two = (bootstrap.environment_folder(Path("/r"), lock) for lock in (b"1", b"2"))
    assert one != two
    assert one.name.endswith(sys.implementation.cache_tag)


def test_only_where_the_index_is_comes_from_the_caller(bootstrap: ModuleType) -> None:
    env = {"PIP_INDEX_URL": "u", "PIP_TARGET": "x", "UV_INDEX": "v", "UV_PYTHON": "x", "PYTHONPATH": "x", "HOME": "x"}
    made = bootstrap.install_environ({**env, "PATH": "p", "https_proxy": "q"}, Path("/e"))
    kept = {"PIP_INDEX_URL": "u", "UV_INDEX": "v", "PATH": "p", "https_proxy": "q", "HOME": "/e/scratch"}
    assert {name: made[name] for name in kept} == kept
    assert not {"PIP_TARGET", "UV_PYTHON", "PYTHONPATH"} & set(made)
