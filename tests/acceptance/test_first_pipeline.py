"""From `cicd init` to a green pipeline through dev, staging and production, with no edit by hand."""

import re
from pathlib import Path

import pytest

from tests.acceptance.conftest import CHECKOUT
from tests.acceptance.test_docs import commands, type_in

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(900)]
PROJECT = r"""
CICD=$PWD/bin/cicd
WORK=$(mktemp -d)
mkdir -p "$WORK/hello/tests"
cd "$WORK/hello"
cat > main.py <<'END'
from fastapi import FastAPI

app = FastAPI()

@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}

@app.get("/")
def home() -> dict[str, str]:
    return {"hello": "world"}
END
printf 'import main\n\ndef test_home() -> None:\n    assert main.home() == {"hello": "world"}\n' > tests/test_home.py
touch conftest.py
printf 'fastapi\nuvicorn\n' > requirements.txt
printf -- '-r requirements.txt\npytest\n' > requirements-dev.txt
git init --quiet --initial-branch main
git remote add origin https://github.com/acme/hello.git
git config user.name dana
git config user.email dana@example.com
$CICD init
sed -i -E 's/(router|blue|green): 8/\1: 28/g' .github/cicd.yml
git add --all
git commit --quiet --message "A first version"
"""
RUN = r"""
PRODUCTION="$HUB/repos/acme/hello/environments/production"
call "$(json token < dana.json)" -X PUT "$PRODUCTION" --data "$REVIEWERS" > production.json
new_run pipeline.yml push
act pipeline.yml > run.log 2>&1 &
ACT=$!
approve
until call "$(json token < rita.json)" "$pending" > pending.json && grep --quiet production pending.json; do
  kill -0 "$ACT"; sleep 0.5
done
production=$(python3 -c 'import json; print(json.load(open("pending.json"))[0]["environment"]["id"])')
answer="{\"environment_ids\": [$production], \"state\": \"approved\", \"comment\": \"fine\"}"
call "$(json token < rita.json)" "$pending" --data "$answer" > approved.json
wait "$ACT"
curl --silent --fail --include http://127.0.0.1:28300/
"""


def functions(text: str) -> str:
    """The shell functions of a block, without what calls them."""
    return "\n".join(re.findall(r"^\w+\(\) \{\n.*?^\}", text, re.DOTALL | re.MULTILINE))


def test_three_environments_from_nothing(tmp_path: Path, cicd_home: Path, environ: dict[str, str]) -> None:
    """LocalHub, act and the approvals are those of the tutorial."""
    hub = next(block for block in commands("tutorial.md", "\n## 5.") if "localhub --db" in block)
    helpers = "\n".join(functions(block) for block in commands("tutorial.md", "\n## 6."))
    assert all(f"{name}()" in helpers for name in ("new_run", "act", "approve"))
    end = 'pkill --full "${WORK:?}/targets" || true\nkill "$HUB_PROCESS"\n'
    told = type_in([PROJECT, hub, helpers, RUN, end], tmp_path, {**environ, "CICD_HOME": str(cicd_home)})
    assert '{"hello":"world"}' in told, told[-3000:]
    assert "X-Cicd-Release" in told
    assert (CHECKOUT / ".github" / "workflows" / "pipeline.yml").is_file()
