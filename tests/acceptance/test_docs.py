"""The commands of the docs, run as they stand there."""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import CHECKOUT

pytestmark = [pytest.mark.real, pytest.mark.slow]


def test_the_example_by_hand(tmp_path: Path, cicd_home: Path, environ: dict[str, str]) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (CHECKOUT / "docs" / "by-hand.md").read_text(), re.DOTALL)
    assert len(blocks) == 6
    script = "\n".join(["set -eu", *blocks])
    ports = re.sub(r"81(\d\d)", r"181\1", script)
    moved = ports.replace(
        "git init --quiet",
        "sed -i -E 's/(router|blue|green): 8([0-9]{3})/\\1: 18\\2/g' .github/cicd.yml\ngit init --quiet",
    )
    env = {**environ, "CICD_HOME": str(cicd_home), "TMPDIR": str(tmp_path)}
    # Into a file: a server that is left behind would hold a pipe open for ever.
    with open(tmp_path / "said", "w+", encoding="utf-8") as said:
        shell = subprocess.Popen(
            ["bash", "-c", moved], cwd=CHECKOUT, env=env, stdout=said, stderr=said, start_new_session=True
        )
        try:
            code = shell.wait(timeout=240)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
        said.seek(0)
        told = said.read()
    assert code == 0, told[-9000:]
    assert "X-Cicd-Release" in told
    assert re.search(r"dev\s+v1 \w{12} stable", told)
