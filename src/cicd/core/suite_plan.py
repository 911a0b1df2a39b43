"""The plan of a run: which suites run, in how many shards, and which shard runs what. It is made once and handed on.

All jobs of a run follow it, also one that is run again tomorrow: so it is a text that fits into a job's output.
"""

import base64
import binascii
import json
import zlib
from typing import Annotated

import msgspec

from cicd.core.config import NAME
from cicd.core.release import digest
from cicd.core.shards import Assignment
from cicd.errors import UsageError

SCHEMA = 1
MOST_SHARDS = 256  # jobs of a matrix: https://docs.github.com/en/actions/reference/limits
LARGEST = 32 * 1024 * 1024  # bytes of a plan, unpacked
LONGEST = (
    120_000  # characters of its text: it is an environment variable, and Linux takes no longer one (MAX_ARG_STRLEN)
)


class SuitePlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of one suite.

    Attributes:
        suite: its name.
        assignment: which shard runs what.
        inputs: by name; what a proof of it is about. None: it is never taken as proven.
        proof: URL or id of the run that proved it; empty: it runs.
        why: it runs, is left out, or has so many shards, in a sentence or two.
    """

    suite: Annotated[str, msgspec.Meta(pattern=NAME)]
    assignment: Assignment
    inputs: dict[str, str] | None = None
    proof: str = ""
    why: str = ""

    @property
    def digest(self) -> str:
        """By which a shard's receipt says that it followed this plan."""
        return digest([self.suite, msgspec.to_builtins(self.assignment)])


class RunPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The suites of a run. `sha`: its commit."""

    suites: list[SuitePlan]
    sha: str = ""
    schema: int = SCHEMA

    @property
    def matrix(self) -> list[dict[str, str]]:
        """The jobs: one for each shard of each suite that runs."""
        return [
            {"suite": one.suite, "shard": f"{shard}/{one.assignment.shards}", "part": f"{one.suite}-{shard}"}
            for one in self.suites
            if not one.proof
            for shard in range(1, one.assignment.shards + 1)
        ]

    def of(self, suite: str) -> SuitePlan:
        """The plan of a suite. Raises UsageError."""
        for one in self.suites:
            if one.suite == suite:
                return one
        raise UsageError(
            f"The plan has no suite `{suite}`",
            cause=f"it has {', '.join(one.suite for one in self.suites) or 'none'}",
            next_step="give the plan that was made for this run, with the suite's name",
        )


def plan_text(plan: RunPlan) -> str:
    """A plan as one line. Raises UsageError when it is too long for a job's output."""
    text = base64.b64encode(zlib.compress(msgspec.json.encode(plan), 9)).decode()
    if len(text) > LONGEST:
        raise UsageError(
            f"The plan has {len(text):,} characters, and {LONGEST:,} can be handed on",
            cause="the suites have too many files, or too many files are split",
            next_step="plan fewer suites at once",
        )
    return text


def read_plan(text: str) -> RunPlan:
    """A plan from its line. Raises UsageError."""
    try:
        packed = base64.b64decode(text.strip(), validate=True)
        unpacker = zlib.decompressobj()
        unpacked = unpacker.decompress(packed, LARGEST)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise ValueError("it is cut off, or too large")
        plan = msgspec.json.decode(unpacked, type=RunPlan)
        if plan.schema != SCHEMA:
            raise ValueError(f"its format is {plan.schema}, and {SCHEMA} is read here")
        if any(not 1 <= one.assignment.shards <= MOST_SHARDS for one in plan.suites):
            raise ValueError(f"a suite has 1 to {MOST_SHARDS} shards")
    except (binascii.Error, zlib.error, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"`plan` cannot be read: {str(error)[:200]}",
            next_step="give `true` to make one, or the output `plan` of the step that made it",
        ) from error
    return plan


def shard_of(text: str) -> tuple[int, int]:
    """`2/4`: the second of four. Raises UsageError."""
    first, _, last = text.partition("/")
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= MOST_SHARDS):
        raise UsageError(f"`shard` must be such as 2/4, is `{text[:40]}`", next_step="write `shard: 1/2`")
    return int(first), int(last)


def for_plugin(plan: SuitePlan, shard: int, attempt: int, receipt: str) -> str:
    """What the pytest plugin is told: src/cicd/pytest_plugin/cicd_shard.py."""
    told = {
        "suite": plan.suite,
        "plan": plan.digest,
        "attempt": attempt,
        "shard": shard,
        "shards": plan.assignment.shards,
        "files": plan.assignment.files,
        "split": plan.assignment.split,
        "receipt": receipt,
    }
    return json.dumps(told)
