"""Holding an environment: on its target, and on GitHub."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from secrets import token_hex

from cicd.adapters.github import GitHub
from cicd.adapters.heartbeat import Heartbeat, holding
from cicd.adapters.runner import Runner
from cicd.commands.read import Site
from cicd.core.lock import Claimant, Seen, place_of
from cicd.errors import CicdError


@contextmanager
def locked(
    site: Site,
    runner: Runner,
    hub: GitHub | None,
    what: str,
    seen: Seen | None = None,
    *,
    wait: float = 0.0,
    tolerate: tuple[type[CicdError], ...] = (),
) -> Iterator[Heartbeat | None]:
    """Hold an environment: first on its target, then on GitHub for all targets and people.

    In this order a lock on GitHub that came from this target, whose own lock was free, belongs to a run that died.

    Args:
        hub: None to hold the target alone.
        seen: the lock on GitHub, if it was looked at already.
        wait: seconds to wait for another holder.
        tolerate: errors of the claim on GitHub with which the target's own lock is enough.

    Raises:
        Locked: says who holds it.
    """
    with ExitStack() as stack:
        run = runner.run_url or (runner.run_id and f"run {runner.run_id}")
        us = {"run": run, "actor": runner.actor, "what": what}
        stack.enter_context(site.target.lock(us, wait=wait))
        if hub is None:
            yield None
            return
        claimant = claimant_of(site, runner, what)
        above = site.target.fence()
        try:
            beat = stack.enter_context(
                holding(hub.locks(), site.name, claimant, seen, above=above, wait=wait, say=runner.say)
            )
        except tolerate as error:
            runner.annotate(
                "warning", f"Only the target is locked, not the environment on GitHub: {error}", title="cicd"
            )
            yield None
            return
        site.target.raise_fence(beat.token)
        yield beat


def claimant_of(site: Site, runner: Runner, what: str) -> Claimant:
    """Who wants the lock on GitHub, and for what."""
    place = place_of(site.target.key(), site.name)
    return Claimant(key=claim_of(runner, site.name), by=runner.actor, what=what, run=runner.run_url, place=place)


def claim_of(runner: Runner, environment: str) -> str:
    """The lock's claimant: the same for all calls of one job, so that a later attempt of it takes its lock over."""
    if not runner.run_id:
        return f"local-{token_hex(6)}/1/cli/{environment}"
    attempt, job = runner.env.get("GITHUB_RUN_ATTEMPT", "1"), runner.env.get("GITHUB_JOB", "cli")
    return f"{runner.run_id}/{attempt}/{job}/{environment}"
