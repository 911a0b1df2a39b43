"""Runs a cicd command and dies of SIGKILL at one point of it.

    python -I child.py list FILE -- promote …      writes down all points
    python -I child.py kill POINT -- promote …     dies there

A point lies before an effect on the world (a file written, renamed or removed, a program started or signalled, a
connection made), before and after each line of the journal, half way through writing one, or a while after a program
was started. Python's audit events name the effects, so that no step can have one that is not swept.
https://docs.python.org/3/library/audit_events.html
"""

import os
import re
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "src"
EFFECTS = {"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.truncate", "os.kill", "os.killpg"}
WRITING = os.O_WRONLY | os.O_RDWR
LATER = (0.15, 0.5)  # seconds after a program was started, while it works
TIMES = 2  # a point that is met more often in the same place (probes, polls) is one


class Points:
    """Where the command is, and whether it is to die there."""

    def __init__(self, target: str, file: Path | None, chosen: str) -> None:
        self._target = target
        self._file = file
        self._chosen = chosen
        self._met: Counter[str] = Counter()
        self._steps: list[str] = []
        self.where = "at first"
        self._deaf = False

    def reach(self, what: str, later: tuple[float, ...] = ()) -> None:
        """Be at a point; `later`: seconds after it that are points of their own."""
        if self._deaf:
            return
        self._deaf = True
        self._met[label := f"{self.where} | {what}"] += 1
        point = f"{label} #{self._met[label]}"
        if self._met[label] <= TIMES:
            self._note(point, *(f"{point} +{after}" for after in later))
        if point == self._chosen:
            os.kill(os.getpid(), signal.SIGKILL)
        self._deaf = False
        if point == self._chosen.partition(" +")[0]:
            after = float(self._chosen.partition(" +")[2])
            threading.Timer(after, os.kill, (os.getpid(), signal.SIGKILL)).start()

    def _note(self, *points: str) -> None:
        if self._file:
            with open(self._file, "a", encoding="utf-8") as file:
                file.writelines(f"{point}\n" for point in points)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in EFFECTS:
            self.reach(f"{event} {self._plain(str(arguments[0]))}")
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
            path = str(arguments[0])
            if path.startswith(self._target):
                self.reach(f"write {self._plain(path)}")
        elif event == "subprocess.Popen":
            self.reach(f"start {self._plain(' '.join(map(os.fspath, arguments[1][:4])))}", later=LATER)
        elif event == "socket.connect":
            self.reach("connect")

    def _plain(self, text: str) -> str:
        """Without what differs from run to run."""
        short = " ".join(text.replace(self._target, "T").split())
        short = re.sub(r"\b([0-9a-f]{12,64}|blue|green)\b", "X", short)
        short = re.sub(r"/\S*/(?=[\w-]+( |$))", "/", short)  # where programs lie
        return re.sub(r"\d+", "N", short)

    def journal(self, write: Any) -> Any:
        """Target.journal with a point before, within and after."""
        from cicd.core.journal import Entry, encode

        def written(target: Any, entry: Entry) -> None:
            if entry.plan:
                self._steps = [str(step.kind) for step in entry.plan.steps]
            step = self._steps[entry.step] if 0 <= entry.step < len(self._steps) else ""
            self.where = f"{entry.event} {step}".strip()
            self.reach("before the line")
            self._note(half := f"{self.where} | half the line #1")
            if self._chosen == half:
                self._tear(target.folder / "journal.jsonl", encode(entry))
            self._deaf = True
            write(target, entry)
            self._deaf = False
            self.reach("after the line")

        return written

    def _tear(self, path: Path, line: str) -> None:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as journal:
            journal.write(line[: len(line) // 2])
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    mode, where, _, *arguments = sys.argv[1:]
    sys.path.insert(0, str(SOURCE))
    from cicd import cli
    from cicd.adapters.target import Target

    points = Points(os.environ["CICD_TARGET"], Path(where) if mode == "list" else None, where if mode == "kill" else "")
    Target.journal = points.journal(Target.journal)  # type: ignore[method-assign]
    sys.addaudithook(points.audit)
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
