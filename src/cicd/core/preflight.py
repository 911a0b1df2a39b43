"""The cheap refusals: everything that speaks against a promotion, before anything is touched."""

from collections.abc import Sequence

from cicd.core.config import Config
from cicd.core.ledger import Deployment, current, poisoned, stable_images
from cicd.core.release import Release
from cicd.errors import CicdError, NotStableBefore, Poisoned, Stale


def refusals(
    config: Config, environment: str, release: Release, ledger: Sequence[Deployment], relation: str
) -> list[CicdError]:
    """Why this release must not go into this environment; empty when nothing speaks against it.

    Args:
        ledger: of this environment and the one before it, newest first.
        relation: of its commit to the one that runs: ahead, behind, diverged, identical; empty if nothing runs.
    """
    found: list[CicdError] = []
    image, sha = release.image, release.sha
    before = config.environments[environment].after
    if before and image not in stable_images(ledger, before):
        found.append(
            NotStableBefore(
                f"{image[:19]}… is not stable in `{before}`, which comes before `{environment}`",
                cause="it was never promoted there, or it failed there",
                next_step=f"promote it into `{before}` first",
            )
        )
    running = current(ledger, environment)
    if running and relation == "behind":
        found.append(
            Stale(
                f"Commit {sha[:12]} is older than {running.release.sha[:12]}, which runs in `{environment}`",
                cause="a later run has overtaken this one",
                next_step="use rollback to go back, or `force: true` to take it all the same",
            )
        )
    if release.content in poisoned(ledger, environment):
        found.append(
            Poisoned(
                f"{release.name} failed in `{environment}` before",
                cause=next(
                    (
                        entry.note
                        for entry in ledger
                        if entry.release.content == release.content and entry.environment == environment
                    ),
                    "",
                ),
                next_step="promote a mended release, or use `force: true` to try this one again",
            )
        )
    return found


def first_of(found: Sequence[CicdError]) -> CicdError:
    """One error for all refusals: the first gives the code, the others are named in it."""
    first = found[0]
    if len(found) == 1:
        return first
    return type(first)(
        "; ".join(error.what.rstrip(".") for error in found), cause=first.cause, next_step=first.next_step
    )
