"""The little Markdown that plans are written in. All of it goes through `tag`: nothing in it is HTML by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

from cicd.localhub.markup import Markup, link, tag, text

_INLINE = re.compile(r"`([^`]+)`|<code>([^<]*)</code>|\*\*([^*]+)\*\*|\[([^\]]*)\]\(([^()\s]+)\)")
_HEADING = re.compile(r"#{1,6}\s+(.*)")
_ITEM = re.compile(r"\s*(?:[-*]|\d+[.)])\s+(.*)")
_RULE = re.compile(r"\|?[\s:|-]*-[\s:|-]*\|?")
_FENCE = "```"


def inline(line: str) -> list[str]:
    """`code`, <code>code</code>, **strong** and [links](https://…) in a line; entities are the signs they stand for."""
    parts: list[str] = []
    end = 0
    for found in _INLINE.finditer(line):
        quoted, code, strong, words, url = found.groups()
        parts.append(unescape(line[end : found.start()]))
        if quoted is not None or code is not None:
            made = tag("code", quoted or unescape(code))
        else:
            made = tag("strong", unescape(strong)) if strong else link(url, unescape(words))
        parts.append(made)
        end = found.end()
    return [*parts, unescape(line[end:])]


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def _table(lines: list[str]) -> Markup:
    rows = [_cells(line) for line in lines if not _RULE.fullmatch(line.strip())]
    has_head = len(lines) > 1 and bool(_RULE.fullmatch(lines[1].strip()))
    head = tag("thead", tag("tr", [tag("th", inline(cell), scope="col") for cell in rows[0]])) if has_head else None
    body = [tag("tr", [tag("td", inline(cell)) for cell in row]) for row in rows[has_head:]]
    return tag("table", head, tag("tbody", body))


def _items(lines: list[str]) -> Markup:
    return tag("ul", [tag("li", inline(_ITEM.sub(r"\1", line))) for line in lines])


def _paragraph(lines: list[str]) -> Markup:
    return tag("p", inline(" ".join(line.strip() for line in lines)))


def _kind(line: str) -> Callable[[list[str]], Markup] | None:
    """What a line belongs to; None for an empty one."""
    if not line.strip():
        return None
    if line.lstrip().startswith("|"):
        return _table
    return _items if _ITEM.fullmatch(line) else _paragraph


def markdown(source: str) -> Markup:
    """Headings, paragraphs, lists, tables and fenced code; everything else is text."""
    blocks: list[Markup] = []
    lines = source.replace("\r\n", "\n").split("\n")
    while lines:
        line = lines.pop(0)
        kind = _kind(line)
        if line.startswith(_FENCE):
            inside = lines.index(_FENCE) if _FENCE in lines else len(lines)
            blocks.append(tag("pre", "\n".join(lines[:inside])))
            lines = lines[inside + 1 :]
        elif heading := _HEADING.fullmatch(line):
            blocks.append(tag("h4", inline(heading.group(1))))
        elif kind:
            block = [line]
            while lines and _kind(lines[0]) is kind and not lines[0].startswith((_FENCE, "#")):
                block.append(lines.pop(0))
            blocks.append(kind(block))
    return text(blocks)
