"""A page with an end: parts are added whole, or not at all, and what is left out is counted by whoever adds it."""

from collections.abc import Sequence

NOTE = 400  # bytes that are kept for the sentences that count what is left out


class Page:
    """Markdown of at most `budget` bytes; parts stand apart by an empty line. GitHub counts characters, or bytes: what
    keeps to bytes keeps to both.

    Attributes:
        left: bytes that there still are, besides NOTE for the end.
    """

    def __init__(self, budget: int) -> None:
        self.parts: list[str] = []
        self.left = budget - NOTE

    def add(self, part: str) -> bool:
        """Add a part; False: it does not fit, and was not."""
        size = len(part.encode()) + 2
        if size > self.left:
            return False
        self.parts.append(part)
        self.left -= size
        return True

    def add_rows(self, head: str, rows: Sequence[str], *, most: int = 0, tail: str = "") -> int:
        """Add as many whole rows as fit into `most` bytes (0: into all that is left); gives how many.

        Args:
            head: what stands over them; without room for one row nothing is added.
            tail: what stands below them.
        """
        room = min(self.left, most or self.left) - len(head.encode()) - len(tail.encode()) - 4
        shown: list[str] = []
        for row in rows:
            room -= len(row.encode()) + 1
            if room < 0:
                break
            shown.append(row)
        whole = "\n".join([head, *shown]) + (f"\n\n{tail}" if tail else "")
        return len(shown) if shown and self.add(whole) else 0

    def end(self, *sentences: str) -> str:
        """The page, with what is left out told at its end, for which NOTE bytes are kept."""
        told = " ".join(filter(None, sentences))
        return "\n\n".join([*self.parts, *([told] if told else [])])


def within(text: str, most: int) -> str:
    """Text of at most so many bytes: its end, whole lines where there are several, for errors stand at the end."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= most:
        return text
    kept = encoded[-max(0, most - len("…\n".encode())) :].decode(errors="ignore")
    first, line_end, others = kept.partition("\n")
    return f"…\n{others if line_end and others.strip() else first}"


def clipped(text: str, most: int) -> str:
    """Text of at most so many characters: its beginning."""
    return text if len(text) <= most else text[: most - 1] + "…"
