from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cicd.adapters.output import HEAD, LONGEST, TAIL, Kept, Splitter, tail


def split(chunks: list[bytes]) -> list[str]:
    splitter = Splitter()
    return [*(line for chunk in chunks for line in splitter.feed(chunk)), *splitter.end()]


@given(st.lists(st.binary(max_size=20)))
def test_lines_do_not_depend_on_the_pieces_that_they_come_in(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    parts = whole.split(b"\n")
    wanted = parts if parts[-1] else parts[:-1]
    assert split(chunks) == [part.decode(errors="replace").rstrip("\r") for part in wanted]


def test_a_line_without_an_end_comes_in_pieces() -> None:
    lines = split([b"x" * 1000] * (3 * LONGEST // 1000))
    assert "".join(lines) == "x" * (3 * LONGEST // 1000 * 1000)
    assert max(map(len, lines)) < LONGEST + 1000


@given(st.lists(st.text("ab", max_size=5)))
def test_a_short_output_is_kept_whole(lines: list[str]) -> None:
    kept = Kept()
    for line in lines:
        kept.add(line)
    assert kept.text() == "\n".join(lines)


def test_of_a_long_output_the_beginning_and_the_end_are_kept() -> None:
    kept = Kept()
    for number in range(300_000):
        kept.add(f"line {number}")
    text = kept.text()
    assert text.startswith("line 0\nline 1\n")
    assert text.endswith("\nline 299998\nline 299999")
    assert "lines left out …" in text
    assert len(text) < HEAD + TAIL + 100


def test_the_end_of_a_file_is_read_without_the_rest(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log, 3) == ""
    with log.open("wb") as file:
        file.truncate(20 << 30)  # 20 GiB that take no room on the disk
        file.seek(0, 2)
        file.write(b"\none\ntw\xff\nthree\n")
    assert tail(log, 2) == "tw�\nthree"
