"""Migrations that are SQL files, as dbmate, goose, sql-migrate, golang-migrate and Flyway name and divide them.

A file's name begins with its number, which is its revision, perhaps after a `V`: `20240131_add_users.sql`,
`V3__users.sql`. Its way down is the part after a line such as `-- migrate:down` or `-- +goose Down`, or a file
of its own: `0003_users.down.sql` beside `0003_users.up.sql`, `U3__users.sql` beside `V3__users.sql`.
"""

import re
from collections.abc import Mapping

from cicd.core.migrations import Files, Migration, judged
from cicd.core.sql_source import read_sql
from cicd.core.sql_tokens import Unended, tokens
from cicd.errors import ConfigError

FILE = re.compile(r"(?P<way>[VU]?)(?P<number>\d+)(?:[._]\d+)*_*[-.]?(?P<title>.*?)(?P<suffix>\.up|\.down)?\.sql", re.I)
MARKER = re.compile(r"^--[ \t]*(?:\+?\w+)[: \t]+(?P<way>up|down)\b.*$", re.I | re.M)


def read_migrations(files: Files, folder: str) -> list[Migration]:
    """The migrations in `folder` and no folder below it, by number.

    Raises:
        ConfigError: none at all, two of the same number, or a way down without a way up.
    """
    ups, downs = dict[str, str](), dict[str, str]()
    prefix = f"{folder.strip('/')}/" if folder.strip("./") else ""
    for path in sorted(files):
        name = path.removeprefix(prefix)
        match = FILE.fullmatch(name) if path.startswith(prefix) and "/" not in name else None
        if match:
            is_down = match["way"].lower() == "u" or (match["suffix"] or "").lower() == ".down"
            _keep(downs if is_down else ups, match["number"], path)
    _check(ups, downs, folder)
    found, before = list[Migration](), ""
    for number in sorted(ups, key=int):
        found.append(_read(number, before, ups[number], files, downs))
        before = number
    return found


def _keep(known: dict[str, str], number: str, path: str) -> None:
    same = [other for other in known if int(other) == int(number)]
    if same:
        raise ConfigError(
            f"two migrations have the number {number}: {known[same[0]]} and {path}", next_step="give one a later number"
        )
    known[number] = path


def _check(ups: Mapping[str, str], downs: Mapping[str, str], folder: str) -> None:
    lost = [path for number, path in downs.items() if number not in ups]
    if lost:
        raise ConfigError(f"{lost[0]} leads down from a migration that is not there", next_step="add its way up")
    if not ups:
        raise ConfigError(
            f"deploy.migrate is command, but the image has no migration in {folder}",
            cause="their names begin with a number and end with .sql",
            next_step="mend deploy.migrations.folder, or add the folder to deploy.files",
        )


def _read(number: str, before: str, path: str, files: Files, downs: Mapping[str, str]) -> Migration:
    text = files[path]
    up, down = parts(text)
    if number in downs:
        down = files[downs[number]]
    match = FILE.fullmatch(path.rpartition("/")[2])
    title = match["title"].replace("_", " ").strip() if match else ""
    # A way down without a statement is one only for a way up that has none.
    there = down is not None and (_says_something(down) or not _says_something(up))
    return judged(number, before, title, read_sql(up), read_sql(down or "") if there else None, text, path)


def _says_something(sql: str) -> bool:
    """Whether there is more than white space and comments."""
    try:
        return any(kind not in ("space", "comment", "end") for kind, _ in tokens(sql))
    except Unended:
        return True


def parts(text: str) -> tuple[str, str | None]:
    """The way up and the way down of one file; all of it is the way up where no line divides it."""
    marks = list(MARKER.finditer(text))
    if not marks:
        return text, None
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    found = {mark["way"].lower(): text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)}
    return found.get("up", ""), found.get("down")
