import os
from pathlib import Path

import pytest

from cicd.adapters.config_file import read_text
from cicd.core.reading import LARGEST
from cicd.errors import ConfigError


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "c.yml").write_text("a: ü", encoding="utf-8")
    assert read_text(tmp_path / "c.yml") == "a: ü"
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none.yml")


def test_what_is_no_plain_file_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LARGEST + 1)
    (tmp_path / "latin").write_bytes(b"\xff")
    for path, said in (
        (tmp_path / "fifo", "no plain file"),
        (Path("/dev/zero"), "no plain file"),
        (tmp_path, "no plain file|a folder"),
        (tmp_path / "large", "larger than"),
        (tmp_path / "latin", "cannot be read"),
        (tmp_path / ("x" * 5000), "cannot be read: File name too long"),
        (Path("a\0b"), "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=said) as caught:
            read_text(path)
        assert len(str(caught.value)) < 400
