"""SQL cut into statements by PostgreSQL's lexical rules.

Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html. Quoted text, with backslashes in the E form;
quoted names, dollar quotes, and comments, which nest. What does not end is an error: what follows it would be read as
something else.
"""

import re
from collections.abc import Iterator

BLANK = {"comment": " ", "text": "''"}
PATTERNS = (
    ("comment", re.compile(r"--[^\n]*")),
    ("text", re.compile(r"[eE]'(?:[^'\\]|\\.|'')*'", re.S)),
    ("text", re.compile(r"(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'")),
    ("name", re.compile(r'(?:[uU]&)?"(?:[^"]|"")+"')),
    ("word", re.compile(r"[^\W\d][\w$]*")),
    ("number", re.compile(r"\d\w*")),
    ("open", re.compile(r"\(")),
    ("close", re.compile(r"\)")),
    ("end", re.compile(r";")),
    ("comma", re.compile(r",")),
    ("space", re.compile(r"\s+")),
)
DOLLAR = re.compile(r"\$(?:[^\W\d]\w*)?\$")
OPENERS = ("'", '"', "/*", "\\")  # what is left of these has no end, or is a command of psql


class Unended(ValueError):
    """Quoted text or a comment has no end, or it is no SQL but a command of psql."""


def tokens(sql: str) -> Iterator[tuple[str, str]]:
    """Kind and text of each. Raises Unended."""
    place = 0
    while place < len(sql):
        kind, end = _next(sql, place)
        yield kind, sql[place:end]
        place = end


def _next(sql: str, place: int) -> tuple[str, int]:
    if sql.startswith("/*", place):
        return "comment", _comment_end(sql, place)
    if match := DOLLAR.match(sql, place):
        end = sql.find(match[0], match.end())
        if end < 0:
            raise Unended(f"{match[0]} is not closed")
        return "text", end + len(match[0])
    for kind, pattern in PATTERNS:
        if match := pattern.match(sql, place):
            return kind, match.end()
    if sql.startswith(OPENERS, place):
        raise Unended(f"`{sql[place : place + 20]}` has no end, or is a command of psql")
    return "sign", place + 1


def _comment_end(sql: str, place: int) -> int:
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(sql, place):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    raise Unended("a comment has no end")


def cut(sql: str, at: str) -> list[str]:
    """`sql` cut at each token of this kind outside of parentheses; quoted text becomes `''`, white space one space.

    Raises:
        Unended.
    """
    parts, part, depth = list[str](), list[str](), 0
    for kind, text in tokens(sql):
        depth += {"open": 1, "close": -1}.get(kind, 0)
        if kind == at and depth <= 0:
            parts.append("".join(part))
            part = []
        else:
            part.append(BLANK.get(kind, text))
    return [text for one in [*parts, "".join(part)] if (text := " ".join(one.split()))]


def statements(sql: str) -> list[str]:
    """The statements of a text. Raises Unended."""
    return cut(sql, "end")
