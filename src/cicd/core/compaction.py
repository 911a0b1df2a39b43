"""What of a journal is still needed, once it has become long.

An attempt stays whole or goes whole. What is left is read as the whole was, but for releases that one cannot go back to
any more, since they lie on the target no longer.
"""

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from cicd.core.journal import RECENT, Entry, State, durations, fold, rerouted_at

LARGE = 1024 * 1024  # bytes; a shorter journal is left alone


def parted(lines: Sequence[str], entries: Sequence[Entry], lying: Collection[str]) -> tuple[str, str] | None:
    """What stays of a journal and what goes, both in their order; None where it is to be left alone.

    That is where less than half of it would go: else a journal that stays large would be written anew each time.

    Args:
        lines: without their ends; one for each entry.
        lying: ids of the releases that lie on the target.
    """
    needed = _needed(entries, lying)
    left = [entry for entry in entries if entry.deployment in needed]
    if _meaning(left, lying) != _meaning(entries, lying):
        return None
    stays, goes = list[str](), list[str]()
    for line, entry in zip(lines, entries, strict=True):
        (stays if entry.deployment in needed else goes).append(f"{line}\n")
    kept, gone = "".join(stays), "".join(goes)
    return (kept, gone) if gone and len(gone) >= len(kept) else None


def _needed(entries: Sequence[Entry], lying: Collection[str]) -> set[str]:
    """Keys of the attempts that stay: the last RECENT, those that the last RECENT of a kind of step were in, those that
    are not recorded, and for each release that lies there the last one that made it stable."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.deployment, []).append(entry)
    newest, state = [*found][::-1], fold(entries)
    needed = {*newest[:RECENT], *(closed.payload.key for closed in state.unrecorded)}
    timed: dict[str, int] = {}
    unseen = {release.id for release in state.history if release.id in lying}
    for key in newest:
        for kind in durations(found[key]):
            timed[kind] = timed.get(kind, 0) + 1
            if timed[kind] <= RECENT:
                needed.add(key)
        for entry in found[key]:
            if entry.verdict == "stable" and entry.running and entry.running.release:
                if entry.running.release.id in unseen:
                    needed.add(key)
                unseen.discard(entry.running.release.id)
    return needed


def _meaning(entries: Sequence[Entry], lying: Collection[str]) -> tuple[State, dict[str, float], float]:
    """All that is ever read of a journal."""
    state = fold(entries)
    there = [release for release in state.history if release.id in lying]
    return replace(state, history=there), durations(entries), rerouted_at(entries)
