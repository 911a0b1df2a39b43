"""Migrations that are SQL files, as dbmate, goose, sql-migrate, golang-migrate and Flyway name and divide them.

A file's name begins with its number, which is its revision, perhaps after a `V`: `20240131_add_users.sql`,
`V3__users.sql`. Its way down is the part after a line such as `-- migrate:down` or `-- +goose Down`, or a file
of its own: `0003_users.down.sql` beside `0003_users.up.sql`, `U3__users.sql` beside `V3__users.sql`.
"""

import re
from collections.abc import Mapping, Sequence

from cicd.core.migrations import Files, Migration, judged
from cicd.core.schema_changes import Change, is_idle, unreadable
from cicd.core.sql_source import Where, read_sql
from cicd.errors import ConfigError

FILE = re.compile(r"(?P<way>[VU]?)(?P<number>\d+)(?:[._]\d+)*_*[-.]?(?P<title>.*?)(?P<suffix>\.up|\.down)?\.sql", re.I)
# As dbmate; goose, sql-migrate and their like; and rambler write it. A comment such as `-- scale down` divides nothing.
MARKER = re.compile(
    r"^--[ \t]*(?:migrate:(?P<dbmate>up|down)|\+\w+[ \t]+(?P<goose>Up|Down)|rambler[ \t]+(?P<rambler>up|down))\b.*$",
    re.M,
)
# What the one tool takes for such a line, and another, or another version of it, for a comment.
ALIKE = re.compile(
    r"^[ \t]*(?:--|#)[ \t]*(?:(?:migrate[ \t]*:|\+\w+[ \t]|rambler[ \t])[ \t]*(?:up|down)\b.*|"
    r"@?\+?\w*[ \t]*:?[ \t]*(?:up|down)[ \t]*)$",
    re.I | re.M,
)


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
    name, text = path.rpartition("/")[2], files[path]
    match = FILE.fullmatch(name)
    alone = bool(match and (match["way"] or match["suffix"])) or number in downs  # all of it is the way up
    up, down = (text, None) if alone else parts(text)
    way_down, where = (files[downs[number]], downs[number]) if number in downs else (down, path)
    title = match["title"].replace("_", " ").strip() if match else ""
    does, undoes = read_sql(up, where=_in(path)), None
    if way_down is not None:
        undoes = read_sql(way_down, where=_in(where))
    if not alone:
        does += _dividing(f"{up}\n{down or ''}", text, path)
    # A way down that does nothing is one only for a way up that does nothing.
    if is_idle(undoes) and not is_idle(does):
        undoes = None
    return judged(number, before, title, does, undoes, text, path)


def _in(path: str) -> Where:
    return lambda line: f"{path}:{line}"


def _dividing(sql: str, text: str, path: str) -> list[Change]:
    """Lines of its ways up and down that look as if they divided the file once more."""
    return [
        unreadable(f"`{match[0].strip()}`", f"{path}:{text.count(chr(10), 0, text.find(match[0])) + 1}")
        for match in ALIKE.finditer(sql)
    ]


def parts(text: str) -> tuple[str, str | None]:
    """The way up and the way down of one file; all of it is the way up where no line divides it.

    Lines keep their numbers: what is not of a way is empty lines in it. What comes before the first mark goes up.
    """
    marks = list(MARKER.finditer(text))
    ends = [*(mark.start() for mark in marks), len(text)]
    pieces = [("up", 0, ends[0])]
    pieces += [
        ((mark[mark.lastgroup or 0]).lower(), mark.end(), end) for mark, end in zip(marks, ends[1:], strict=True)
    ]
    found = {way: _only(text, [(start, end) for name, start, end in pieces if name == way]) for way, _, _ in pieces}
    return found["up"], found.get("down")


def _only(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """These spans of a text, and of the others the ends of lines alone."""
    kept, at = "", 0
    for start, end in spans:
        kept += "\n" * text.count("\n", at, start) + text[start:end]
        at = end
    return kept
