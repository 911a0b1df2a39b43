"""The folder that a shard leaves for the verdict, and what pytest is told to run of the suite."""

import os
import shlex
import shutil
import tempfile
from pathlib import Path

from cicd.adapters.bounded_file import read_bounded
from cicd.core.part import Part, part_text
from cicd.core.pytest_command import Command, with_options
from cicd.core.receipt import LARGEST as LARGEST_RECEIPT
from cicd.core.receipt import Receipt, read_receipt
from cicd.core.suite_plan import for_plugin
from cicd.core.suite_run import ShardRun, SuiteRun
from cicd.errors import ReportInvalid, UsageError

PLUGIN = Path(__file__).resolve().parents[1] / "pytest_plugin"
PART, RECEIPT, COVERAGE, JUNIT = "part.json", "receipt.json", "coverage.json", "junit.xml"
SCANS, SARIF = "scans.json", "findings.sarif"
LARGEST = 256 * 1024 * 1024  # bytes of a JUnit report that is kept


def make_folder(run: SuiteRun) -> Path:
    """An empty folder for what a run leaves: the shard's, or one of its own. Raises UsageError."""
    try:
        if run.shard is None:
            run.temp.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix="cicd-suite-", dir=run.temp))
        shutil.rmtree(run.shard.folder, ignore_errors=True)
        run.shard.folder.mkdir(parents=True)
        return run.shard.folder
    except OSError as error:
        raise UsageError(
            f"The job's temp folder cannot be used: {error}", next_step="set RUNNER_TEMP to a folder of your own"
        ) from error


def taking_part(shard: ShardRun, command: Command, env: dict[str, str]) -> Command:
    """The command such that pytest runs this shard alone; other runners find its number in their environment."""
    file = shard.folder / "plan.json"
    file.write_text(for_plugin(shard.plan, shard.number, shard.attempt, str(shard.folder / RECEIPT)))
    env["CICD_SHARD_PLAN"] = str(file)
    env["CICD_SHARD"], env["CICD_SHARDS"] = str(shard.number), str(shard.plan.assignment.shards)
    env["PYTHONPATH"] = ":".join(filter(None, (str(PLUGIN), env.get("PYTHONPATH"))))
    if command.pytest is None:  # such as `make test`, which may come to pytest
        env["PYTEST_ADDOPTS"] = f"{env.get('PYTEST_ADDOPTS', '')} {shlex.join(['-p', 'cicd_shard'])}".strip()
        return command
    return with_options(command, ["-p", "cicd_shard"])


def receipt_of(shard: ShardRun) -> Receipt | None:
    """What pytest has left; None for nothing that can be read."""
    try:
        return read_receipt(read_bounded(shard.folder / RECEIPT, LARGEST_RECEIPT), RECEIPT)
    except (OSError, ReportInvalid):
        return None


def leave(shard: ShardRun, part: Part, junit: Path) -> None:
    """Write the part into the folder, and the JUnit report where it lies elsewhere.

    What tests have put in the part's place, such as a link to another file, is replaced and not followed.

    Raises:
        ReportInvalid: it cannot be written.
    """
    kept, new = shard.folder / JUNIT, shard.folder / f"{PART}.new"
    try:
        shard.folder.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(kept) and not junit.is_symlink() and junit.is_file() and junit.stat().st_size <= LARGEST:
            shutil.copyfile(junit, kept)
        new.unlink(missing_ok=True)
        new.write_bytes(part_text(part))
        os.replace(new, shard.folder / PART)
    except OSError as error:
        raise ReportInvalid(
            f"What this job leaves for the verdict cannot be written: {error}",
            cause="the disk is full, or its tests have changed the job's temp folder",
            next_step="see to it that there is room, and that no test writes into the job's own folders",
        ) from error
