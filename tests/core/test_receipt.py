"""Receipts are read strictly, and within bounds."""

import msgspec
import pytest

from cicd.core import receipt as module
from cicd.core.receipt import FileSeconds, Ran, Receipt, ShardSeconds, read_receipt
from cicd.errors import ReportInvalid

HEAD = b'{"cicd":"journal","suite":"unit","plan":"d1","attempt":2,"shard":1,"shards":2}\n'
COLLECTION = b'{"seen":{"a.py":1,"b.py":2},"collected":["a.py::x","a.py::y"],"deselected":["a.py::z"],"others":[]}\n'
RECEIPT = Receipt(
    suite="unit",
    plan="d1",
    attempt=1,
    shard=2,
    shards=3,
    seen={"a.py": 2, "b.py": 0},
    collected=("a.py::x",),
    deselected=("a.py::z",),
    others=("b.py::y",),
    ran={"a.py::x": Ran(outcome="failed", seconds=1.5, reruns=1)},
    errors={"c.py": "E   ImportError"},
    files={"a.py": FileSeconds(collect=0.1, fixtures=2)},
    seconds=ShardSeconds(collect=1, session=2, total=3),
    ended=True,
    exit=1,
)


def test_what_was_written_is_read() -> None:
    assert read_receipt(msgspec.json.encode(RECEIPT) + b"\n") == RECEIPT
    assert RECEIPT.red == ["a.py::x"]


def test_a_journal_is_a_receipt_that_has_not_ended() -> None:
    lines = b'["a.py::x","failed",0.25,0]\n{"error":["c.py","no"]}\n["a.py::x","passed",0.5,1]\n'
    found = read_receipt(HEAD + COLLECTION + lines)
    assert found == Receipt(
        suite="unit",
        plan="d1",
        attempt=2,
        shard=1,
        shards=2,
        seen={"a.py": 1, "b.py": 2},
        collected=("a.py::x", "a.py::y"),
        deselected=("a.py::z",),
        ran={"a.py::x": Ran(outcome="passed", seconds=0.5, reruns=1)},
        errors={"c.py": "no"},
    )


@pytest.mark.parametrize("end", range(len(COLLECTION)))
def test_a_last_line_that_was_cut_off_is_left_out(end: int) -> None:
    assert read_receipt(HEAD + COLLECTION[:end]).collected == ()


def altered(**fields: object) -> bytes:
    return msgspec.json.encode({"cicd": "receipt", **msgspec.to_builtins(RECEIPT), **fields})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "truncated"),
        (b"\xff\xfe", "malformed"),
        (b"[]", "object"),
        (b"{}", "cicd"),
        (b'{"cicd":"other"}', "cicd"),
        (b'{"later":' + b"[" * 100_000, "recursion"),
        (msgspec.json.encode(RECEIPT)[:-1], "truncated"),
        (msgspec.json.encode(RECEIPT) + b"\n{}", "follows its end"),
        (altered(shard=4), "no shard 4 of 3"),
        (altered(shard=0), "shard"),
        (altered(shards=10**9), "shards"),
        (altered(attempt=0), "attempt"),
        (altered(attempt="1"), "attempt"),
        (altered(unknown=1), "unknown"),
        (altered(collected=["x" * 1001]), "collected"),
        (altered(collected=[""]), "collected"),
        (altered(seen={"a.py": -1}), "seen"),
        (altered(ran={"a.py::x": {"outcome": "fine"}}), "outcome"),
        (altered(ran={"a.py::x": {"outcome": "passed", "seconds": -1}}), "seconds"),
        (altered(ran={"a.py::x": {"outcome": "passed", "seconds": 1e300}}), "seconds"),
        (altered(ended="yes"), "ended"),
        (altered(suite="x" * 501), "suite"),
        (HEAD + b"{}\n", "seen"),
        (HEAD + b'["a.py::x","failed"]\n', "array"),
        (HEAD + b"\n", "truncated"),
        (HEAD.replace(b'"shard":1', b'"shard":3'), "no shard 3 of 2"),
    ],
)
def test_what_is_no_receipt_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ReportInvalid) as caught:
        read_receipt(data, "unit/receipt.json")
    assert "unit/receipt.json" in str(caught.value)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 700


def test_a_receipt_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 100)
    with pytest.raises(ReportInvalid, match="more than"):
        read_receipt(b" " * 101)
    monkeypatch.setattr(module, "LARGEST", 10_000)
    monkeypatch.setattr(module, "MOST", 1)
    with pytest.raises(ReportInvalid, match="more than 1 tests"):
        read_receipt(HEAD + b'["a.py::x","passed",0,0]\n["a.py::y","passed",0,0]\n')


@pytest.mark.parametrize(
    ("fields", "is_empty"),
    [
        ({}, True),
        ({"exit": 0}, True),
        ({"exit": 4}, False),
        ({"seen": {}}, False),
        ({"ended": False}, False),
        ({"errors": {"a.py": "no"}}, False),
        ({"collected": ("a.py::x",)}, False),
    ],
)
def test_a_shard_may_be_empty_when_all_files_belong_to_others(fields: dict[str, object], is_empty: bool) -> None:
    empty = Receipt(suite="unit", plan="d1", attempt=1, shard=2, shards=2, seen={"a.py": 1}, ended=True, exit=5)
    assert msgspec.structs.replace(empty, **fields).is_rightly_empty is is_empty
