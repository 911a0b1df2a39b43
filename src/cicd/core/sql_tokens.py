"""SQL cut into statements by PostgreSQL's lexical rules.

Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html and PostgreSQL's scan.l. Quoted text, with
backslashes in the E form; quoted names, dollar quotes, and comments, which nest. What does not end, or would be read
otherwise by another version, is an error: what follows it would be taken for something else.

Words become lower case, as PostgreSQL has them; quoted text becomes `''`; what stands in a quoted name is written in
signs that no keyword has (`veiled`), so that `"default"` is not taken for DEFAULT.
"""

import re
from collections.abc import Iterator

LETTER = r"A-Za-z_\x80-\U0010ffff"  # of a name, for PostgreSQL every sign beyond ASCII is one
PATTERNS = (
    ("comment", re.compile(r"--[^\r\n]*")),
    ("text", re.compile(r"[eE]'(?:[^'\\]|\\.|'')*'", re.S)),
    ("text", re.compile(r"(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'")),
    ("name", re.compile(r'"(?:[^"]|"")+"')),
    ("word", re.compile(rf"[{LETTER}][{LETTER}0-9$]*")),
    (
        "number",
        re.compile(r"0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9]+)?"),
    ),
    ("number", re.compile(r"\$[0-9]+")),
    ("open", re.compile(r"\(")),
    ("close", re.compile(r"\)")),
    ("end", re.compile(r";")),
    ("comma", re.compile(r",")),
    ("space", re.compile(r"[ \t\n\r\f\v]+")),
)
DOLLAR = re.compile(rf"\$(?:[{LETTER}][{LETTER}0-9]*)?\$")
PLACEHOLDER = re.compile(r"\$\{\w[^}\s]*\}")
# What is left of these has no end, is a name in escapes, or a command of psql.
OPENERS = ("'", '"', "/*", "\\", 'U&"', 'u&"')
RUNS_ON = re.compile(rf"[{LETTER}$]")  # of a number, which versions before 15 end here
GOES_ON = re.compile(r"(?:\s|--[^\r\n]*)*'")
LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
VEIL = {code: 0xE000 + code for code in range(128)}
UNVEIL = {veil: code for code, veil in VEIL.items()}


class Unended(ValueError):
    """Quoted text or a comment has no end, or it is no SQL but a command of psql.

    Attributes:
        line: how many lines of the text come before it.
    """

    def __init__(self, sql: str, place: int, why: str) -> None:
        super().__init__(why)
        self.line = sql.count("\n", 0, place)


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
            raise Unended(sql, place, f"{match[0]} is not closed")
        return "text", end + len(match[0])
    if PLACEHOLDER.match(sql, place):
        raise Unended(sql, place, "a placeholder stands for what is not here")
    for kind, pattern in PATTERNS if not sql.startswith(('U&"', 'u&"'), place) else ():
        if match := pattern.match(sql, place):
            return kind, _checked(sql, kind, place, match.end())
    if sql.startswith(OPENERS, place):
        raise Unended(sql, place, f"`{sql[place : place + 20]}` has no end, or is a command of psql")
    return "sign", place + 1


def _checked(sql: str, kind: str, place: int, end: int) -> int:
    """The end of a token, if all versions see it there."""
    if kind == "number" and RUNS_ON.match(sql, end):
        raise Unended(sql, place, f"`{sql[place : end + 1]}` is neither number nor name")
    if kind == "text" and sql[place] in "eE" and GOES_ON.match(sql, end):
        raise Unended(sql, place, "a text in E'' goes on after its end")
    return end


def _comment_end(sql: str, place: int) -> int:
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(sql, place):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    raise Unended(sql, place, "a comment has no end")


def cut(sql: str, at: str) -> list[str]:
    """`sql`, as `statements` gives it, cut at each token of this kind outside of parentheses. Raises Unended."""
    parts, part, depth = list[str](), list[str](), 0
    for kind, text in tokens(sql):
        depth += {"open": 1, "close": -1}.get(kind, 0)
        if kind == at and depth <= 0:
            parts.append("".join(part))
            part = []
        else:
            part.append(text)
    return [text for one in [*parts, "".join(part)] if (text := one.strip())]


def statements(sql: str) -> Iterator[tuple[str, int]]:
    """Each statement, white space and comments made one space, with the lines of the text before it. Raises Unended."""
    part, begin, line = list[str](), 0, 0
    for kind, text in tokens(sql):
        if kind == "end":
            yield from _statement(part, begin)
            part = []
        elif kind not in ("comment", "space"):
            begin = begin if any(one != " " for one in part) else line
            part.append(_plain(kind, text))
        elif part and part[-1] != " ":
            part.append(" ")
        line += text.count("\n")
    yield from _statement(part, begin)


def _statement(part: list[str], line: int) -> Iterator[tuple[str, int]]:
    if text := "".join(part).strip():
        yield text, line


def _plain(kind: str, text: str) -> str:
    if kind == "word":
        return text.translate(LOWER)
    if kind == "name":
        return f'"{text[1:-1].replace(chr(34) * 2, chr(34)).translate(VEIL)}"'
    return "''" if kind == "text" else text


def unveiled(text: str) -> str:
    """A statement's text, or what was made of it, for people."""
    return text.translate(UNVEIL)
