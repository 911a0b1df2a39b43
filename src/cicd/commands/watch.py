"""Watching a release: router log, probes of our own, and what else is measured, until core/watch.py judges them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cicd.adapters.routers.log import Log
from cicd.core.config import Watch
from cicd.core.watch import Answer, Check, Judgement, Seen, Traffic, judge

INTERVAL = 0.2  # seconds between two looks
BESIDE = 1.0  # seconds between two looks at what runs beside the slot, which take longer
BASELINE = 1000  # requests that the release before is judged by, at most


@dataclass(frozen=True)
class Watched:
    """One slot under watch.

    Attributes:
        slot: its name.
        ask: one probe; whether the answer was right.
        beside: what of that which runs beside it crashed; empty for nothing.
        before: what it answered to its users before, to be judged by that alone; None: by what it answers now.
    """

    slot: str
    ask: Callable[[], bool]
    before: Sequence[Answer] | None = None
    beside: Callable[[], str] = lambda: ""


@dataclass(frozen=True)
class Watcher:
    """Looks at a new slot and the old one, which is its baseline, side by side.

    Our own probes ask both at the same moments: what breaks both, such as their database, is not the new one's fault.

    Attributes:
        checks: what others have measured by now.
        gaps: what they could not, and why.
    """

    log: Log
    policy: Watch
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    checks: Callable[[], Sequence[Check]] = list
    gaps: Callable[[], Sequence[str]] = list

    def watch(self, new: Watched, old: Watched | None, seconds: float) -> tuple[Judgement, str]:
        """Look until the verdict is clear, at most so long, and give it with its counts.

        What crashed beside the new slot fails it at once. It is looked for at the end, too, whatever the counts say.
        """
        slots = [new, old] if old else [new]
        seen = {each.slot: Seen(Traffic().plus(each.before or ())) for each in slots}
        live = {each.slot for each in slots if each.before is None}
        started, nothing = self.clock(), Seen()
        looked = started
        while True:
            own = {each.slot: seen[each.slot].own.plus_own(each.ask()) for each in slots}
            users = [answer for answer in self.log.read() if not answer.own]
            for slot in seen:
                answers = (answer for answer in users if answer.slot == slot and slot in live)
                seen[slot] = Seen(seen[slot].users.plus(answers), own[slot])
            baseline = seen[old.slot] if old else nothing
            more = self.checks()
            judgement, why = judge(seen[new.slot], baseline, self.policy, self.clock() - started, seconds, more)
            if judgement == "failed":
                return judgement, why
            if judgement != "go-on" or self.clock() - looked >= BESIDE:
                looked = self.clock()
                if crashed := new.beside():
                    return "failed", crashed
            if judgement != "go-on":
                return judgement, "; ".join([why, *self.gaps()])
            self.sleep(INTERVAL)
