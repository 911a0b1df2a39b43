"""The parts that all jobs of a plan have left, read from a folder. Their files are hostile, as pull requests are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cicd.adapters.bounded_file import read_bounded
from cicd.adapters.shard_folder import COVERAGE, JUNIT, PART, RECEIPT, SCANS
from cicd.core.covered_lines import LARGEST as LARGEST_LINES
from cicd.core.covered_lines import Lines, read_lines
from cicd.core.findings import Scan
from cicd.core.findings_handover import read_scans
from cicd.core.findings_json import LARGEST as LARGEST_FINDINGS
from cicd.core.part import LARGEST as LARGEST_PART
from cicd.core.part import Part, read_part
from cicd.core.receipt import LARGEST as LARGEST_RECEIPT
from cicd.core.receipt import Receipt, read_receipt
from cicd.core.suite_plan import SuitePlan
from cicd.core.suite_verdict import newest
from cicd.errors import ReportInvalid

MOST = 5000  # folders: 256 jobs, each run again some times
MOST_BYTES = 2 * 1024 * 1024 * 1024  # of all parts and receipts


@dataclass(frozen=True)
class Left:
    """What was left. `receipts` and `folders`: of each part, in the same order."""

    parts: Sequence[Part]
    receipts: Sequence[Receipt | None]
    folders: Sequence[Path]
    _lines: dict[str, tuple[dict[int, dict[str, Lines]], list[str]]] = field(default_factory=dict)

    def receipts_of(self, sha: str) -> list[Receipt]:
        """The receipts beside parts of a commit: a receipt itself says only which plan it followed."""
        return [one for part, one in zip(self.parts, self.receipts, strict=True) if one and part.sha == sha]

    def lines(self, plan: SuitePlan) -> tuple[dict[int, dict[str, Lines]], list[str]]:
        """Shard → the lines that its newest attempt covered; and what cannot be read, in sentences. Read once."""
        if plan.suite not in self._lines:
            self._lines[plan.suite] = self._read_lines(plan)
        return self._lines[plan.suite]

    def _read_lines(self, plan: SuitePlan) -> tuple[dict[int, dict[str, Lines]], list[str]]:
        found, wrong = dict[int, dict[str, Lines]](), list[str]()
        for shard, folder in self._newest(plan).items():
            path = folder / COVERAGE
            if not path.is_file():
                continue
            try:
                found[shard] = read_lines(_read(path, LARGEST_LINES), f"{path.parent.name}/{COVERAGE}")
            except ReportInvalid as error:
                wrong.append(str(error))
        return found, wrong

    def scans(self, plan: SuitePlan) -> list[Scan] | str:
        """What scanners found in the newest attempt, or why nobody knows."""
        folder = self._newest(plan).get(1)
        if folder is None or not (folder / SCANS).is_file():
            return "its job left no report of its scanners"
        try:
            return read_scans(_read(folder / SCANS, LARGEST_FINDINGS), f"{folder.name}/{SCANS}")
        except ReportInvalid as error:
            return str(error)

    def junits(self, plan: SuitePlan) -> list[tuple[str, Path]]:
        """Name of each shard, and the JUnit report of its newest attempt, where it has left one."""
        count = plan.assignment.shards
        named = [
            (f"{plan.suite} {shard}/{count}" if count > 1 else plan.suite, folder / JUNIT)
            for shard, folder in self._newest(plan).items()
        ]
        return [(name, path) for name, path in named if path.is_file() and not path.is_symlink()]

    def _newest(self, plan: SuitePlan) -> dict[int, Path]:
        """Shard → folder of its newest attempt."""
        place = {id(part): folder for part, folder in zip(self.parts, self.folders, strict=True)}
        chosen = newest(part for part in self.parts if part.suite == plan.suite and part.plan == plan.digest)
        return {shard: place[id(part)] for shard, part in chosen.items()}


def read_parts(folder: Path) -> tuple[Left, list[str]]:
    """All parts below a folder, each in one of its own, and what could not be read, in sentences.

    Raises:
        ReportInvalid: there are more than any plan has.
    """
    parts, receipts, folders, wrong = list[Part](), list[Receipt | None](), list[Path](), list[str]()
    paths = sorted(folder.glob(f"**/{PART}"))
    size = sum(path.lstat().st_size for one in paths for path in (one, one.with_name(RECEIPT)) if path.is_file())
    if len(paths) > MOST or size > MOST_BYTES:
        raise ReportInvalid(
            f"The jobs have left {len(paths):,} parts of {size:,} bytes, and {MOST:,} of {MOST_BYTES:,} are read",
            next_step="plan fewer shards or suites at once",
        )
    for path in paths:
        try:
            part = read_part(_read(path, LARGEST_PART), f"{path.parent.name}/{PART}")
        except ReportInvalid as error:
            wrong.append(str(error))
            continue
        parts.append(part)
        folders.append(path.parent)
        receipt, found = path.with_name(RECEIPT), None
        if receipt.is_file():
            try:
                found = read_receipt(_read(receipt, LARGEST_RECEIPT), f"{path.parent.name}/{RECEIPT}")
            except ReportInvalid as error:
                wrong.append(str(error))
        receipts.append(found)
    return Left(parts, receipts, folders), wrong


def _read(path: Path, largest: int) -> bytes:
    try:
        if path.is_symlink():
            raise ReportInvalid(f"`{path.name}` is no file of a part", next_step="run that job again")
        return read_bounded(path, largest)
    except OSError as error:
        raise ReportInvalid(f"`{path.name}` cannot be read: {error}", next_step="run that job again") from error
