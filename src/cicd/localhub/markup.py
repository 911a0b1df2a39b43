"""HTML by functions: whatever is not Markup is escaped, so nothing that comes from outside can become a tag."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

VOID = {"br", "input", "link", "meta"}


class Markup(str):
    """HTML that is ready; made here and from our own files only."""

    __slots__ = ()


Child = str | int | None | Iterable[str | int | None]


def text(children: Iterable[Child]) -> Markup:
    """Children one after the other, escaped; lists are laid flat, None is nothing."""
    parts = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            parts.append(str(child))
        elif isinstance(child, str | int):
            parts.append(escape(_printable(str(child))))
        else:
            parts.append(text(child))
    return Markup("".join(parts))


def _printable(value: str) -> str:
    """Without the characters that turn the direction of text or are none: they make a name look like another."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in value)


def tag(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """An element. `class_` and `aria_label` become `class` and `aria-label`; None and False leave one out."""
    parts = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        parts.append(f" {key}" if value is True else f' {key}="{escape(_printable(str(value)))}"')
    opening = f"<{name}{''.join(parts)}>"
    return Markup(opening if name in VOID else f"{opening}{text(children)}</{name}>")


def link(url: str, *children: Child) -> Markup:
    """A link; just the text where the URL is not http(s)."""
    if not url.startswith(("http://", "https://", "/", "#")) or url.startswith("//"):
        return text(children)
    return tag("a", *children, href=url, rel="noreferrer")
