"""The commands of the docs, run as they stand there, but on other ports."""

import contextlib
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import CHECKOUT

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(900)]


def commands(page: str, after: str = "") -> list[str]:
    """The blocks of a page, from a line on."""
    text = (CHECKOUT / "docs" / page).read_text()
    return re.findall(r"```sh\n(.*?)```", text[text.index(after) :], re.DOTALL)


def type_in(blocks: list[str], folder: Path, env: dict[str, str]) -> str:
    """Type them into one shell, below `folder` for all that they make; gives what was said."""
    # Into a file: a server that is left behind would hold a pipe open for ever.
    with open(folder / "said", "w+", encoding="utf-8") as said:
        bash = subprocess.Popen(
            ["bash", "-c", "\n".join(["set -eu", *blocks])],
            cwd=CHECKOUT,
            env={**env, "TMPDIR": str(folder)},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            code = bash.wait(timeout=800)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(bash.pid, signal.SIGKILL)
        said.seek(0)
        told = said.read()
    logs = [path.read_text()[-6000:] for path in folder.glob("*/run.log")]
    assert code == 0, "\n".join([told[-9000:], *logs])
    return told


def moved_ports(blocks: list[str]) -> tuple[list[str], str]:
    """The pages' ports, 8100 to 8502, as five digits that are free here; and the first two of these."""
    pages = [100 * environment + slot for environment in (1, 2, 3, 4, 5) for slot in (0, 1, 2)]
    free = (first for first in range(11, 32) if all(is_free(1000 * first + port) for port in pages))
    first = str(next(free))
    return [re.sub(r"\b8([1-5]0[0-2])\b", rf"{first}\1", block) for block in blocks], first


def is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def test_the_example_by_hand(tmp_path: Path, cicd_home: Path, environ: dict[str, str]) -> None:
    blocks, first = moved_ports(commands("by-hand.md"))
    assert len(blocks) == 6
    moved = f"sed -i -E 's/(router|blue|green): 8([0-9]{{3}})/\\1: {first}\\2/g' .github/cicd.yml\ngit init --quiet"
    blocks[0] = blocks[0].replace("git init --quiet", moved)
    told = type_in(blocks, tmp_path, {**environ, "CICD_HOME": str(cicd_home)})
    assert "X-Cicd-Release" in told
    assert re.search(r"dev\s+v1 \w{12}\s+stable", told)


def test_the_tutorial(tmp_path: Path, cicd_home: Path, environ: dict[str, str]) -> None:
    """From the service on: the sections before are the demo, and any project's tests."""
    blocks, _ = moved_ports(commands("tutorial.md", "\n## 4."))
    assert len(blocks) == 11
    told = type_in(blocks, tmp_path, {**environ, "CICD_HOME": str(cicd_home)})
    assert "X-Cicd-Release" in told
    assert re.findall(r"^(Hello|Good morning)$", told, re.MULTILINE) == ["Hello", "Good morning", "Hello"]
    assert re.search(r"staging\s+v1 \w{12}\s+stable", told)


def test_the_training(tmp_path: Path, cicd_home: Path, environ: dict[str, str]) -> None:
    """Begins and ends with sections 4, 5 and 8 of the tutorial; with what docs/how-to.md asks of such a hub."""
    tutorial = commands("tutorial.md", "\n## 4.")
    blocks = [*tutorial[:6], *commands("training.md"), *commands("how-to.md"), tutorial[-1]]
    told = type_in(moved_ports(blocks)[0], tmp_path, {**environ, "CICD_HOME": str(cicd_home)})
    codes = re.findall(r"^exit code (\d+)$", told, re.MULTILINE)
    assert codes == ["44", "38", "35"], told[-3000:]
    assert re.findall(r"^(Hello|Good \w+)$", told, re.MULTILINE) == ["Hello", "Hello", "Hello", "Hello", "Hello"], told


@pytest.mark.parametrize(
    ("project", "more"),
    [("click-8.3.1", ""), ("jinja2-3.1.6", "trio"), ("flask-3.1.2", "asgiref python-dotenv 'werkzeug==3.1.3'")],
)
def test_projects_of_others(tmp_path: Path, cicd_home: Path, environ: dict[str, str], project: str, more: str) -> None:
    """docs/suites.md by hand: click as it stands there, and two more, with what else their tests need."""
    name, _, version = project.rpartition("-")
    made, run = commands("suites.md", "\n## By hand")
    for old, new in (
        ("click==8.3.1", f"{name}=={version}"),
        ("click-8.3.1", project),
        ("pytest<9'", f"pytest<9' {more}"),
    ):
        assert old in made
        made = made.replace(old, new)
    told = type_in([made, run], tmp_path, {**environ, "CICD_HOME": str(cicd_home)})
    assert (found := re.search(r"All green: 1 suite, ([\d,]+) tests\.", told)), told[-3000:]
    assert int(found[1].replace(",", "")) > 400
    assert "runs without workers" not in told


def test_services_by_hand(tmp_path: Path, cicd_home: Path, environ: dict[str, str]) -> None:
    """docs/setup-env.md by hand: two known services, one of the config, a seed, and a second call."""
    blocks = commands("setup-env.md", "\n## By hand")
    assert len(blocks) == 2
    told = type_in(blocks, tmp_path, {**environ, "CICD_HOME": str(cicd_home)})
    assert "files: 200" in told
    assert "Seed `letters.sql` loaded" in told
    assert "Seed `letters.sql` is in the database already" in told
    assert told.count("runs already") == 3
    assert '"reused": true' in told
