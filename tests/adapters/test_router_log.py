"""A log that is read while it is written: every line once, whatever happens to the file meanwhile."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.adapters.routers.log import LogFile, Mark, end_of, recent, rotated
from cicd.adapters.target import HERE
from cicd.core.watch import Answer


def line(number: int, slot: str = "blue", release: str = "r1", own: bool = False) -> bytes:
    told = {
        "at": 1.5,
        "release": release,
        "slot": slot,
        "own": own,
        "status": 200,
        "upstream": "200",
        "seconds": number,
    }
    return json.dumps(told).encode() + b"\n"


def add(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def numbers(answers: list[Answer]) -> list[int]:
    return [int(answer.seconds) for answer in answers]


def test_only_what_comes_after_the_mark_and_each_line_once(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    add(path, line(1))
    mark = end_of(HERE, path)
    add(path, line(2))
    log = LogFile(HERE, path, mark)
    assert numbers(log.read()) == [2]
    assert log.read() == []
    add(path, line(3) + line(4))
    assert numbers(log.read()) == [3, 4]


def test_a_half_written_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    add(path, line(1)[:20])
    log = LogFile(HERE, path, Mark(0, 0))
    assert log.read() == []
    add(path, line(1)[20:] + line(2)[:-1])
    assert numbers(log.read()) == [1]
    add(path, b"\n")
    assert numbers(log.read()) == [2]


def test_what_is_no_answer_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    add(path, b'{"status":000}\n\x00\xff\n[]\n' + line(1))
    log = LogFile(HERE, path, Mark(0, 0))
    assert numbers(log.read()) == [1]


def test_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = LogFile(HERE, path, end_of(HERE, path))
    assert log.read() == []
    add(path, line(1))
    assert numbers(log.read()) == [1]


def test_rotation_between_the_mark_and_the_first_look(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    add(path, line(1))
    mark = end_of(HERE, path)
    add(path, line(2))
    path.replace(rotated(path))
    add(path, line(3))
    log = LogFile(HERE, path, mark)
    assert numbers(log.read()) == [2, 3]
    add(rotated(path), line(4))  # a worker that has not heard of it yet
    assert numbers(log.read()) == [4]


def test_what_was_rotated_away_before_the_mark_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    add(rotated(path), line(1))
    add(path, line(2))
    log = LogFile(HERE, path, end_of(HERE, path))
    add(path, line(3))
    assert numbers(log.read()) == [3]


def test_a_log_that_is_emptied_in_place(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    add(path, line(1) + line(2)[:10])
    log = LogFile(HERE, path, Mark(0, 0))
    assert numbers(log.read()) == [1]
    path.write_bytes(b"")
    assert log.read() == []
    add(path, line(3))
    assert numbers(log.read()) == [3]


@given(st.lists(st.sampled_from(["write", "half", "rotate", "read"]), max_size=40))
def test_every_line_once_whatever_happens(doings: list[str]) -> None:
    """`half` leaves a line to be ended by the next write; nginx rotates between lines."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "access.log"
        add(path, line(0))
        log = LogFile(HERE, path, end_of(HERE, path))
        written, half, seen = 0, b"", list[int]()
        for doing in doings:
            if doing == "read":
                seen += numbers(log.read())
            elif doing == "rotate" and not half:
                seen += numbers(log.read())  # two rotations between two looks would take a log with them
                path.replace(rotated(path))
                add(path, b"")
            elif half:
                add(path, half)
                half = b""
            elif doing in ("write", "half"):
                written += 1
                cut = 17 if doing == "half" else len(line(written))
                add(path, line(written)[:cut])
                half = line(written)[cut:]
        add(path, half)
        seen += numbers(log.read())
        assert seen == list(range(1, written + 1))


def test_the_newest_of_a_release_in_its_slot(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    add(rotated(path), b"".join(line(number) for number in range(5)))
    others = line(90, slot="green") + line(91, release="r0") + line(92, own=True)
    add(path, line(5) + others + line(6) + line(7)[:9])
    assert numbers(recent(HERE, path, "blue", "r1", 3)) == [6, 5, 4]
    assert numbers(recent(HERE, path, "blue", "r1", 100)) == [6, 5, 4, 3, 2, 1, 0]
    assert recent(HERE, tmp_path / "nothing.log", "blue", "r1", 3) == []


def test_the_look_back_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "access.log"
    add(path, b"".join(line(number) for number in range(1000, 2000)))
    monkeypatch.setattr("cicd.adapters.routers.log.RECENT", 10 * len(line(1000)) + 5)
    assert numbers(recent(HERE, path, "blue", "r1", 1000)) == list(range(1999, 1989, -1))
