"""run-suite with `plan: true`: what is proven, what runs, in how many shards, and which shard runs what."""

import json
import platform
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from cicd.adapters.base_commit import base_of
from cicd.adapters.runner import Runner
from cicd.adapters.suite_history import load, tracked, trees
from cicd.contract import RunSuite
from cicd.core.completeness import FileTimes
from cicd.core.config import Config, Suite, suite_of
from cicd.core.history import JOB, History
from cicd.core.markdown import code, inline, table
from cicd.core.proof import look_up
from cicd.core.pytest_command import INI_FILES, parse_command
from cicd.core.release import digest
from cicd.core.results import Result
from cicd.core.shards import Choice, assign, choose_shards, longest_of, seconds_of
from cicd.core.suite_files import files_of
from cicd.core.suite_plan import RunPlan, SuitePlan, plan_text
from cicd.errors import UsageError

ALWAYS = (*INI_FILES, "conftest.py", "requirements.txt", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock")
MOST_JOBS = 256  # of a matrix: https://docs.github.com/en/actions/reference/limits


def plan_suites(inputs: RunSuite, config: Config | None, runner: Runner) -> Result:
    """read → decide → report: the plan of a run, made once.

    Raises:
        UsageError, UnknownSuite.
    """
    if config is None:
        raise UsageError("`plan` needs a config with suites", next_step="add .github/cicd.yml, or run without a plan")
    folder = Path(inputs.working_directory)
    history, damaged = load(Path(inputs.history) if inputs.history else None)
    if damaged:
        runner.annotate("warning", damaged, title="cicd")
    names = inputs.suite.translate(str.maketrans('[]",', "    ")).split() or list(config.suites)  # a JSON list, too
    files = tracked(folder)
    suites = [plan_suite(config, name, folder, files, history, runner) for name in names]
    plan = RunPlan(suites=suites, sha=runner.sha)
    jobs = plan.matrix
    if len(jobs) > MOST_JOBS:
        raise UsageError(
            f"The plan has {len(jobs)} jobs, and GitHub takes {MOST_JOBS}",
            next_step="give the suites fewer `shards`, or run them in several workflows",
        )
    for one in suites:
        runner.say(f"  {'≡' if one.proof else '·'} {one.suite}: {one.why}")
    return Result(
        decision="planned",
        message=f"{len(jobs)} job{'s' * (len(jobs) != 1)} for {len(names)} suite{'s' * (len(names) != 1)}",
        outputs={
            "plan": plan_text(plan),
            "matrix": json.dumps([{**job, "depth": _depth(config, job["suite"])} for job in jobs]),
        },
        data={"suites": [_data(one) for one in suites], "jobs": len(jobs)},
        summary=_summary(suites),
    )


def plan_suite(
    config: Config, name: str, folder: Path, files: list[str], history: History, runner: Runner
) -> SuitePlan:
    """What becomes of one suite."""
    suite, known = suite_of(config, name), history.of(name)
    inputs = inputs_of(config, suite, folder, runner)
    kept = None if isinstance(inputs, str) else inputs
    if kept is None:
        why = f"it runs, for {inputs}"
    else:
        found = look_up(history.proofs, name, kept, audit=suite.audit, run=runner.run_id, now=time.time())
        if found.skip and found.proof:
            return SuitePlan(
                suite=name, assignment=assign([], {}, 1), inputs=kept, proof=found.proof.run, why=found.why
            )
        why = f"it runs, for {found.why}"
    about = files_of(files, _options(suite, runner), known.times)
    choice = _choice(suite, known.times, known.fixed)
    shards = choice.shards if choice else int(suite.shards)
    assignment = assign(about, known.times, shards)
    more = f"; {choice.why}" if choice else f"; {shards} shards" if shards > 1 else ""
    return SuitePlan(suite=name, assignment=assignment, inputs=kept, why=f"{why}{more}")


def inputs_of(config: Config, suite: Suite, folder: Path, runner: Runner) -> dict[str, str] | str:
    """What a suite's result depends on, by name; or why it cannot be told."""
    if not suite.reuse:
        return "`reuse` is false"
    if suite.security is not None:
        return "new weaknesses are known each day"
    if suite.budget is not None:
        return "what it measures is of this machine and hour"
    # What decides how tests run and with what, wherever the suite's own paths lie.
    about = [*config.requirements, *ALWAYS] if suite.paths else []
    found = trees(folder, [*suite.paths, *(path for path in dict.fromkeys(about) if (folder / path).exists())])
    if isinstance(found, str):
        return found
    base = {}
    if suite.coverage and config.gates.changed_lines is not None:  # the same files may be another change
        base = {"base": base_of(folder, runner).sha}
        if not base["base"]:
            return "git does not know here where the change began"
    services = {name: msgspec.to_builtins(config.services.get(name)) for name in suite.needs}
    return {
        **{f"tree {path}": text for path, text in found.items()},
        **base,
        "suite": digest(msgspec.to_builtins(suite)),
        "gates": digest([msgspec.to_builtins(config.gates), msgspec.to_builtins(config.quarantine)]),
        "services": digest(services),
        "requirements": digest(config.requirements),
        "python": config.python or platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _options(suite: Suite, runner: Runner) -> tuple[str, ...]:
    return parse_command(suite.run, runner.env).options if suite.run else ()


def _choice(suite: Suite, times: Mapping[str, FileTimes], fixed: float) -> Choice | None:
    """How many shards `auto` means; None for a number of the config's own."""
    if suite.shards != "auto":
        return None
    work = sum(seconds_of(one) for one in times.values())
    longest = max(map(longest_of, times.values()), default=0.0)
    return choose_shards(work, longest, fixed + JOB, suite.target)


def _depth(config: Config, suite: str) -> int:
    """How many commits a job of the suite checks out; 0: all, for one that is compared with its base."""
    budget = config.suites[suite].budget
    return 0 if budget and budget.regression is not None else 1


def _data(one: SuitePlan) -> dict[str, object]:
    plan = one.assignment
    loads = [round(seconds, 2) for seconds in plan.loads]
    return {"suite": one.suite, "shards": plan.shards, "proof": one.proof, "why": one.why, "loads": loads}


def _summary(suites: list[SuitePlan]) -> str:
    rows = [
        (
            code(one.suite),
            "proven" if one.proof else str(one.assignment.shards),
            inline(one.why, 400),
        )
        for one in suites
    ]
    return "### The plan\n\n" + table(["suite", "shards", "why"], rows)
