"""Receipts: what one shard saw, collected and ran, as src/cicd/pytest_plugin/cicd_shard.py leaves it.

A receipt may come from a fork's job, so it is hostile until read: its size, its counts and its texts have bounds, and
what it does not have to have is refused. Ids and paths are names, never opened.
"""

from typing import Annotated, Literal

import msgspec

from cicd.errors import ReportInvalid

LARGEST = 64 * 1024 * 1024  # bytes; 100,000 tests make about 20 MB
MOST = 500_000  # ids, and files
MOST_SHARDS = 1000

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]  # an id or a path; the plugin cuts longer ones
Label = Annotated[str, msgspec.Meta(max_length=500)]
Text = Annotated[str, msgspec.Meta(max_length=20_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e8)]
Number = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Shard = Annotated[int, msgspec.Meta(ge=1, le=MOST_SHARDS)]
Owner = Annotated[int, msgspec.Meta(ge=0, le=MOST_SHARDS)]
Names = Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST)]
SomeOutcome = Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed"]
RED = ("failed", "error")


class Ran(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One id that ran.

    Attributes:
        outcome: of the last try; of several tests with one id the worst. `error`: setup or teardown failed.
        seconds: setup, call and teardown of the last try, without the fixtures that other tests share.
        reruns: tries before the last one.
        times: how many tests of this id ran; more than 1 where a project gives two tests one id.
    """

    outcome: SomeOutcome
    seconds: Seconds = 0.0
    reruns: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    times: Number = 1


class FileSeconds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file costs beside its tests: its import and collection; its module's fixtures, those of classes by id."""

    collect: Seconds = 0.0
    fixtures: Seconds = 0.0
    classes: Annotated[dict[Name, Seconds], msgspec.Meta(max_length=MOST)] = {}


class ShardSeconds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a shard costs beside its files: all of its collection, fixtures of the session; and its wall time in all."""

    collect: Seconds = 0.0
    session: Seconds = 0.0
    total: Seconds = 0.0


class _Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="cicd"):
    """Which shard of which plan it is about."""

    suite: Label
    plan: Label
    attempt: Number
    shard: Shard
    shards: Shard


class _Journal(_Head, frozen=True, kw_only=True, tag="journal"):
    """The first line of a receipt that was not finished."""


class Receipt(_Head, frozen=True, kw_only=True, tag="receipt"):
    """What one shard saw and did.

    Attributes:
        suite: its name.
        plan: digest of the plan that the shard followed; `attempt` of the run, from 1.
        seen: each file with tests → the shard that owns it; 0: the plan splits it between several.
        collected: ids of this shard's tests, in their order; an id stands here twice when two tests have it.
        deselected: ids that the command's own filters (`-k`, `-m`, …) left out.
        others: ids that were collected here, too, and belong to other shards.
        ran: id → how it went.
        errors: what could not be collected → the end of the message.
        files: file → what it costs beside its tests.
        ended: whether pytest came to its end; else `why` has its reason, or nothing when it was ended from outside.
        exit: pytest's exit code; 0 in a journal, which has none.
    """

    seen: Annotated[dict[Name, Owner], msgspec.Meta(max_length=MOST)] = {}
    collected: Names = ()
    deselected: Names = ()
    others: Names = ()
    ran: Annotated[dict[Name, Ran], msgspec.Meta(max_length=MOST)] = {}
    errors: Annotated[dict[Annotated[str, msgspec.Meta(max_length=1000)], Text], msgspec.Meta(max_length=10_000)] = {}
    files: Annotated[dict[Name, FileSeconds], msgspec.Meta(max_length=MOST)] = {}
    seconds: ShardSeconds = ShardSeconds()
    ended: bool = False
    why: Text = ""
    exit: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31)] = 0

    @property
    def is_rightly_empty(self) -> bool:
        """Whether pytest's exit code 5 (no tests) is fine: it saw files, and no test of theirs is this shard's."""
        return self.ended and self.exit in (0, 5) and bool(self.seen) and not (self.collected or self.errors)

    @property
    def red(self) -> list[str]:
        """Ids that failed, or whose setup or teardown did."""
        return [test for test, ran in self.ran.items() if ran.outcome in RED]


class _Collection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of the journal: what was collected."""

    seen: Annotated[dict[Name, Owner], msgspec.Meta(max_length=MOST)]
    collected: Names
    deselected: Names
    others: Names


class _Line(msgspec.Struct, frozen=True, array_like=True):
    """A line of the journal: a test that has ended; a rerun has a line of its own, and the last one counts."""

    test: Name
    outcome: SomeOutcome | Literal[""]
    seconds: Seconds
    reruns: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class _Error(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of the journal: a file that could not be collected."""

    error: tuple[Annotated[str, msgspec.Meta(max_length=1000)], Text]


HEAD = msgspec.json.Decoder(Receipt | _Journal)
COLLECTION = msgspec.json.Decoder(_Collection)
LINE = msgspec.json.Decoder(_Line)
ERROR = msgspec.json.Decoder(_Error)


def read_receipt(data: bytes, source: str = "receipt.json") -> Receipt:
    """The receipt, or of a shard that was killed what its journal has (`ended` is false then).

    Args:
        source: its name, for errors.

    Raises:
        ReportInvalid: it is empty, too large, cut off, or no receipt.
    """
    if len(data) > LARGEST:
        raise _invalid(
            source, f"it has more than {LARGEST // 1024 // 1024} MB", "nothing that a shard leaves is so large"
        )
    first, _, rest = data.partition(b"\n")
    try:
        head = HEAD.decode(first)
        if head.shard > head.shards:
            raise msgspec.ValidationError(f"there is no shard {head.shard} of {head.shards}")
        if isinstance(head, Receipt):
            if rest.strip():
                raise msgspec.ValidationError("something follows its end")
            return head
        return _of_journal(head, rest.split(b"\n")[:-1])  # what follows the last line's end was cut off
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(
            source, str(error)[:300], "the job was ended before it wrote one, or it is another file"
        ) from error


def _of_journal(head: _Journal, lines: list[bytes]) -> Receipt:
    found = Receipt(suite=head.suite, plan=head.plan, attempt=head.attempt, shard=head.shard, shards=head.shards)
    collection = _Collection({}, (), (), ())
    ran: dict[str, Ran] = {}
    errors: dict[str, str] = {}
    for line in lines:
        if line.startswith(b"["):
            test = LINE.decode(line)
            ran[test.test] = Ran(outcome=test.outcome or "error", seconds=test.seconds, reruns=test.reruns)
        elif line.startswith(b'{"error"'):
            errors.update([ERROR.decode(line).error])
        else:
            collection = COLLECTION.decode(line)
        if len(ran) > MOST or len(errors) > 10_000:
            raise msgspec.ValidationError(f"it has more than {MOST:,} tests")
    return msgspec.structs.replace(found, **msgspec.structs.asdict(collection), ran=ran, errors=errors)


def _invalid(source: str, problem: str, cause: str) -> ReportInvalid:
    return ReportInvalid(
        f"The receipt `{source}` cannot be read: {problem}", cause=cause, next_step="run that shard's job again"
    )
