"""Real suites that come in wheels: installed, run once, and what each test, fixture and import took kept as a file."""

import datetime
import gzip
import hashlib
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cicd.adapters.folders import environment_root, locked
from cicd.adapters.runner import Runner
from cicd.adapters.shard_folder import PLUGIN

HERE = Path(__file__).resolve().parent
KEPT = HERE / "durations"
TOOLS = ("pytest==9.2.0", "pytest-split==0.11.0", "pytest-xdist==3.8.0")
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LOKY_MAX_CPU_COUNT")}


@dataclass(frozen=True)
class RealSuite:
    """Tests of a wheel. `paths`: below site-packages. networkx stands alone, for it skips what needs numpy."""

    name: str
    wheels: tuple[str, ...]
    paths: tuple[str, ...]


SUITES = (
    RealSuite("networkx", ("networkx==3.6.1",), ("networkx",)),
    RealSuite(
        "statsmodels",
        ("statsmodels==0.15.0", "matplotlib"),
        tuple(f"statsmodels/{part}" for part in ("base", "discrete", "genmod", "regression", "robust", "stats")),
    ),
    RealSuite(
        "scikit-learn",
        ("scikit-learn==1.9.1", "pandas", "matplotlib"),
        ("sklearn/metrics", "sklearn/inspection", "sklearn/datasets"),
    ),
)


@dataclass(frozen=True)
class Recorded:
    """What one run of a suite took, all in seconds.

    Attributes:
        about: how it was recorded.
        tests: file → id → seconds without and with the fixtures that pytest counts to it, in the order of collection.
        fixtures: module or class → seconds of its shared fixtures.
        collect: file → seconds of its import and collection.
    """

    about: dict[str, Any]
    tests: dict[str, dict[str, tuple[float, float]]]
    fixtures: dict[str, float]
    collect: dict[str, float]


def environment(suite: RealSuite) -> Path:
    """site-packages of an environment with the suite's wheels and the peers; made once. Raises CalledProcessError."""
    wanted = sorted([*TOOLS, *suite.wheels])
    digest = hashlib.sha256(" ".join([*wanted, sys.version]).encode()).hexdigest()[:12]
    folder = environment_root(Runner(dict(os.environ))) / f"bench-suite-{digest}"
    with locked(folder):
        if not (folder / "ready").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder / "venv"], check=True)
            pip = [folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *wanted], check=True)
            (folder / "ready").touch()
    return next((folder / "venv/lib").glob("python3*/site-packages"))


def python(site: Path) -> str:
    """The interpreter of an environment."""
    return str(site.parents[2] / "bin/python")


def pytest_of(site: Path, *options: str) -> list[str]:
    """pytest as all ways start it: no settings of the surroundings, no cache."""
    return [python(site), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "-c", os.devnull, *options]


def record(suite: RealSuite, folder: Path) -> Recorded:
    """Run the suite once, in one process, with our receipt and pytest-split's own durations."""
    site = environment(suite)
    folder.mkdir(parents=True, exist_ok=True)
    plan, receipt = folder / "plan.json", folder / "receipt.json"
    split = folder / "split.json"
    for old in (receipt, split):
        old.unlink(missing_ok=True)
    plan.write_text(json.dumps({"suite": suite.name, "shard": 1, "shards": 1, "receipt": str(receipt)}))
    env = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(PLUGIN), "CICD_SHARD_PLAN": str(plan)}
    options = ["-p", "cicd_shard", "--store-durations", "--durations-path", str(split)]
    subprocess.run(pytest_of(site, *options, *suite.paths), cwd=site, env=env, stdout=sys.stderr, check=False)
    recorded = read_run(suite, json.loads(receipt.read_text()), json.loads(split.read_text()))
    keep(suite, recorded, folder)
    return recorded


def read_run(suite: RealSuite, receipt: Any, split: dict[str, float]) -> Recorded:
    """Both tools' durations of the one run."""
    assert receipt["ended"], receipt["why"]
    fixtures = {file: found.get("fixtures", 0.0) for file, found in receipt["files"].items()}
    for found in receipt["files"].values():
        fixtures |= found.get("classes", {})
    tests: dict[str, dict[str, tuple[float, float]]] = {}
    for test in receipt["collected"]:
        own = round(receipt["ran"][test]["seconds"], 5)
        tests.setdefault(test.partition("::")[0], {})[test] = (own, round(split.get(test, own), 5))
    about = {
        "wheels": suite.wheels,
        "paths": suite.paths,
        "tests": len(receipt["collected"]),
        "seconds": round(receipt["seconds"]["total"], 1),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}",
        "load": round(os.getloadavg()[0], 1),
        "tools": TOOLS,
    }
    collect = {file: round(receipt["files"].get(file, {}).get("collect", 0.0), 5) for file in receipt["seen"]}
    return Recorded(about, tests, {node: round(took, 5) for node, took in fixtures.items() if took}, collect)


def keep(suite: RealSuite, recorded: Recorded, folder: Path) -> None:
    """As compressed JSON; ids without their file, each second once where both are the same."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        file: {
            "collect": recorded.collect.get(file, 0.0),
            "tests": {
                test.removeprefix(file): own if own == all_ else [own, all_] for test, (own, all_) in tests.items()
            },
        }
        for file, tests in recorded.tests.items()
    }
    said = {"about": recorded.about, "files": files, "fixtures": recorded.fixtures}
    text = json.dumps(said, separators=(",", ":")).encode()
    (folder / f"{suite.name}.json.gz").write_bytes(gzip.compress(text, 9, mtime=0))


def load(suite: RealSuite, folder: Path) -> Recorded | None:
    """What was recorded; None: nothing was."""
    path = folder / f"{suite.name}.json.gz"
    if not path.is_file():
        return None
    said = json.loads(gzip.decompress(path.read_bytes()))
    tests = {
        file: {
            file + test: (took[0], took[1]) if isinstance(took, list) else (took, took)
            for test, took in found["tests"].items()
        }
        for file, found in said["files"].items()
    }
    collect = {file: found["collect"] for file, found in said["files"].items()}
    return Recorded(said["about"], tests, said["fixtures"], collect)
