"""One script that runs on another machine, from its first byte to its code."""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cicd.adapters.host.scripts import framed, line
from cicd.adapters.process import LAST_WORDS, Dialogue

KEPT = 64 * 1024  # bytes that are kept of the end of what was complained


@dataclass
class Heard:
    """What a session has said: stdout from its mark on, stderr with its code at the end.

    Attributes:
        mark: nobody else knows it, so nobody else says it.
        begun: whether the script runs, or has run.
        code: of the script; None while it runs, and for ever where the connection was lost.
    """

    mark: str
    begun: bool = False
    code: int | None = None
    _before: bytes = b""
    _complaint: bytes = b""

    def out(self, piece: bytes) -> bytes:
        """The part of stdout that is the script's."""
        if self.begun:
            return piece
        before, found, rest = (self._before + piece).partition(f"{self.mark}\n".encode())
        self.begun, self._before = bool(found), b"" if found else before[-KEPT:]
        return rest

    def err(self, piece: bytes) -> None:
        self._complaint = (self._complaint + piece)[-KEPT:]
        if found := re.search(rf"{self.mark} (\d+)\n".encode(), self._complaint):
            self.code = int(found[1])
            self._complaint = self._complaint[: found.start()]

    @property
    def complaint(self) -> str:
        """What was written to stderr; of a session that never began, all that it said."""
        return (self._complaint if self.begun else self._before + b"\n" + self._complaint).decode(errors="replace")

    def told(self, word: str) -> str | None:
        """What our script said besides, after a word that it says with the mark; None if it did not say it."""
        found = re.search(rf"^{self.mark} {word}(?: (.*))?$", self.complaint, re.MULTILINE)
        return (found[1] or "") if found else None


@dataclass
class Session:
    """A script that is under way. `alive`: whether it, and the connection, can still be talked with."""

    dialogue: Dialogue
    mark: str
    alive: Callable[[], bool]
    heard: Heard = field(init=False)

    def __post_init__(self) -> None:
        self.heard = Heard(self.mark)

    def begin(self, script: str, content: Iterable[bytes] = ()) -> None:
        """Say the script, and what it reads."""
        self.dialogue.say([line(framed(script, self.mark))])
        self.dialogue.say(content)

    def follow(
        self, take: Callable[[bytes], None], *, timeout: float | None = None, closing: bool = False, grace: float = 0.0
    ) -> bool:
        """Hear it to its end; gives whether its time was over first.

        Args:
            take: gets its stdout, piece by piece.
            timeout: seconds after which we hang up.
            closing: whether to hang up once it was told everything.
            grace: seconds that it has after its time before it is left alone.
        """
        deadline = time.monotonic() + timeout if timeout else float("inf")
        leave, timed_out = float("inf"), False
        while (now := time.monotonic()) < leave:
            if now >= deadline:
                timed_out, deadline, leave = True, float("inf"), now + grace
                self.dialogue.hang_up()
            if closing and self.dialogue.has_all:
                self.dialogue.hang_up()
            said = self.dialogue.hear(min(1.0, deadline - now, leave - now))
            if said is None:
                break
            take(self.heard.out(said[0]))
            self.heard.err(said[1])
            if self.heard.code is not None and leave > now + LAST_WORDS:
                self.dialogue.hang_up()
                leave = now + LAST_WORDS  # what it has left running may hold stdout for ever
        return timed_out

    def until(self, done: Callable[[], object], take: Callable[[bytes], None], seconds: float) -> bool:
        """Hear it until something has come true; gives whether it has, before it ended and its time was over."""
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            said = self.dialogue.hear(max(0.0, deadline - time.monotonic()))
            if said is None:
                break
            take(self.heard.out(said[0]))
            self.heard.err(said[1])
        return bool(done())
