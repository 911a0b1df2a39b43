"""The parts that all jobs of a plan have left, read from a folder. Their files are hostile, as pull requests are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cicd.adapters.shard_folder import COVERAGE, PART, RECEIPT
from cicd.core.covered_lines import Lines, read_lines
from cicd.core.part import Part, read_part
from cicd.core.receipt import Receipt, read_receipt
from cicd.core.suite_plan import SuitePlan
from cicd.core.suite_verdict import newest
from cicd.errors import ReportInvalid

MOST = 5000  # folders
LARGEST = 256 * 1024 * 1024  # bytes of one file


@dataclass(frozen=True)
class Left:
    """What was left. `folders`: of each part, in the same order."""

    parts: Sequence[Part]
    receipts: Sequence[Receipt]
    folders: Sequence[Path]

    def lines(self, plan: SuitePlan) -> tuple[dict[int, dict[str, Lines]], list[str]]:
        """Shard → the lines that its newest attempt covered; and what cannot be read, in sentences."""
        place = {id(part): folder for part, folder in zip(self.parts, self.folders, strict=True)}
        chosen = newest(part for part in self.parts if part.suite == plan.suite and part.plan == plan.digest)
        found, wrong = dict[int, dict[str, Lines]](), list[str]()
        for shard, part in chosen.items():
            path = place[id(part)] / COVERAGE
            if not path.is_file():
                continue
            try:
                found[shard] = read_lines(_read(path), f"{path.parent.name}/{COVERAGE}")
            except ReportInvalid as error:
                wrong.append(str(error))
        return found, wrong


def read_parts(folder: Path) -> tuple[Left, list[str]]:
    """All parts below a folder, each in one of its own, and what could not be read, in sentences."""
    parts, receipts, folders, wrong = list[Part](), list[Receipt](), list[Path](), list[str]()
    for path in sorted(folder.glob(f"**/{PART}"))[:MOST]:
        try:
            part = read_part(_read(path), f"{path.parent.name}/{PART}")
        except ReportInvalid as error:
            wrong.append(str(error))
            continue
        parts.append(part)
        folders.append(path.parent)
        receipt = path.with_name(RECEIPT)
        if receipt.is_file():
            try:
                receipts.append(read_receipt(_read(receipt), f"{path.parent.name}/{RECEIPT}"))
            except ReportInvalid as error:
                wrong.append(str(error))
    return Left(parts, receipts, folders), wrong


def _read(path: Path) -> bytes:
    try:
        if path.is_symlink() or path.stat().st_size > LARGEST:
            raise ReportInvalid(f"`{path.name}` is no file of a part", next_step="run that job again")
        return path.read_bytes()
    except OSError as error:
        raise ReportInvalid(f"`{path.name}` cannot be read: {error}", next_step="run that job again") from error
