"""Text of others on our pages: it comes from pull requests, and lands where links, images and HTML work."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from html import unescape

SIGNS = {ord(sign): f"&#{ord(sign)};" for sign in "\\`*_~[](){}<>&|#@!$"}


def inline(text: str, limit: int = 200) -> str:
    """Text that is text, in one line: every sign that Markdown, HTML or GitHub's links know is an entity."""
    shown = " ".join(visible(text).split())
    if len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    return shown.translate(SIGNS).replace("www.", "www&#46;").replace("://", "&#58;//")


def code(text: str, limit: int = 200) -> str:
    """Text as code; `<code>`, because nothing inside backticks can be escaped."""
    return f"<code>{inline(text, limit)}</code>"


MARKS = re.compile(r"^#{1,6} |\*\*|`|</?code>", re.MULTILINE)


def plain(text: str) -> str:
    """Markdown of ours as a terminal shows it: without marks, and every entity is the sign that it stands for."""
    return unescape(MARKS.sub("", text))


def visible(text: str) -> str:
    """Text without characters that hide or turn others round (controls, bidi marks); lines and tabs stay."""
    kept = {"\n", "\t"}
    return "".join(sign if sign in kept or unicodedata.category(sign)[0] != "C" else "�" for sign in text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a cell's line ends and pipes do not break it."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
