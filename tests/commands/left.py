"""What the jobs of a plan leave for the verdict, of as many tests as wanted."""

from collections.abc import Iterator
from pathlib import Path

from cicd.core.junit import read_report
from cicd.core.part import Part, part_text
from cicd.core.shards import Assignment
from cicd.core.suite_plan import RunPlan, SuitePlan, plan_text

CONFIG = "version: 1\napp: shop\nsuites:\n  unit: {run: make test}\n"
TRACEBACK = "\n".join(['  File "tests/test_{file}.py", line {line}, in test'] * 20 + ["AssertionError: 1 != 2"])


def junit_of(tests: int, failures: int, shard: int = 1) -> Iterator[str]:
    """A report, piece by piece; the failures are spread over it."""
    yield f'<testsuites><testsuite name="pytest" tests="{tests}" failures="{failures}">\n'
    every = max(1, tests // failures) if failures else tests + 1
    for n in range(tests):
        file, is_red = n // 20, failures and n % every == 0 and n // every < failures
        name = f'<testcase classname="tests.test_{file}" name="test_{shard}_{n}" time="{(n % 97) / 100:.2f}"'
        text = TRACEBACK.format(file=file, line=n % 900 + 1)
        yield (
            f'{name}><failure message="AssertionError: 1 != 2">{text}</failure></testcase>\n'
            if is_red
            else f"{name}/>\n"
        )
    yield "</testsuite></testsuites>\n"


def leave(folder: Path, tests: int, failures: int = 0, shards: int = 1) -> str:
    """Lay out parts below a folder, as the jobs of a plan leave them; gives the plan. Each shard has so many tests."""
    plan = SuitePlan(suite="unit", assignment=Assignment(shards=shards))
    for shard in range(1, shards + 1):
        place = folder / f"cicd-part-unit-{shard}"
        place.mkdir(parents=True)
        with (place / "junit.xml").open("w") as file:
            file.writelines(junit_of(tests, failures, shard))
        (place / "part.json").write_bytes(part_text(_part(plan, shard, place / "junit.xml")))
    return plan_text(RunPlan(suites=[plan]))


def _part(plan: SuitePlan, shard: int, junit: Path) -> Part:
    with junit.open("rb") as file:
        report = read_report(iter(lambda: file.read(1 << 20), b""), junit.name)
    return Part(
        suite=plan.suite,
        shard=shard,
        shards=plan.assignment.shards,
        plan=plan.digest,
        command="make test",
        code=1 if report.failed else 0,
        seconds=10.0 * shard,
        limit=3600.0,
        report=report,
    )
