"""The commands of the docs, run as they stand there."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import CHECKOUT

pytestmark = [pytest.mark.real, pytest.mark.slow]


def test_the_example_by_hand(tmp_path: Path, cicd_home: Path, environ: dict[str, str]) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (CHECKOUT / "docs" / "by-hand.md").read_text(), re.DOTALL)
    assert len(blocks) == 6
    script = "\n".join(["set -eu", *blocks])
    ports = re.sub(r"81(\d\d)", r"381\1", script)
    moved = ports.replace(
        "git init --quiet",
        "sed -i -E 's/(router|blue|green): 8([0-9]{3})/\\1: 38\\2/g' .github/cicd.yml\ngit init --quiet",
    )
    env = {**environ, "CICD_HOME": str(cicd_home), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", moved], cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert "X-Cicd-Release" in done.stdout
    assert re.search(r"dev\s+v1 \w{12} stable", done.stdout + done.stderr)
