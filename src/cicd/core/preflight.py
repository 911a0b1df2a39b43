"""What speaks against a promotion before anything is touched: promote refuses for all at once, doctor explains it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cicd.core import freeze
from cicd.core.approval import Protection, rule
from cicd.core.config import Config
from cicd.core.ledger import Deployment, current, left_by_hand, of, poisoned, rehearsed, stable_images
from cicd.core.migrations import Migration, breaking_old_code
from cicd.core.release import Release
from cicd.errors import (
    ChecksNotGreen,
    CicdError,
    DiskFull,
    Frozen,
    MigrationBreaks,
    NotProtected,
    NotRehearsed,
    NotStableBefore,
    Poisoned,
    Stale,
)

FORCED = (Stale, Poisoned, Frozen, MigrationBreaks, NotRehearsed)  # what `force` goes past


@dataclass(frozen=True)
class Facts:
    """All that is looked at.

    Attributes:
        now: seconds since 1970.
        ledger: of this environment and the one before it, newest first.
        protection: how GitHub protects it; None if GitHub has no such environment.
        free, needed: bytes on the target's disk.
        found: what failed already while the facts were looked up: a missing image, a lock, a port.
        release: what is to be promoted; None to look at the environment alone.
        relation: of its commit to the one that runs: ahead, behind, diverged, identical; empty if nothing runs.
        migrations: that would be applied.
        checks: name → how its newest run on the commit ended, such as `success`; of those that the config demands.
    """

    config: Config
    environment: str
    now: float
    ledger: Sequence[Deployment] = ()
    protection: Protection | None = None
    free: int = 0
    needed: int = 0
    found: Sequence[CicdError] = ()
    release: Release | None = None
    relation: str = ""
    checks: Mapping[str, str] = field(default_factory=dict)
    migrations: Sequence[Migration] = ()


Check = Callable[[Facts], Iterator[CicdError]]


def refusals(facts: Facts, *, force: bool = False) -> list[CicdError]:
    """Everything that speaks against it, the cheapest to mend last; `force` leaves out what may be gone past."""
    found = [*facts.found, *(error for check in CHECKS.values() for error in check(facts))]
    return [error for error in found if not (force and isinstance(error, FORCED))]


def protected(facts: Facts) -> Iterator[CicdError]:
    """What the config demands of the environment's protection."""
    name = facts.environment
    demanded = facts.config.environments[name].approval == "required"
    if demanded and rule(name, demanded, facts.protection, [], pending=True).decision == "not-protected":
        missing = "has no environment" if facts.protection is None else "has no required reviewers for"
        yield NotProtected(
            f"GitHub {missing} `{name}`, and the config demands approval",
            cause="a misspelled or new environment is unprotected, and anybody could deploy to it",
            next_step=f"add required reviewers to `{name}` under Settings → Environments",
        )


def thawed(facts: Facts) -> Iterator[CicdError]:
    """No freeze window is open."""
    if stop := freeze.frozen(facts.config, facts.environment, facts.now):
        yield freeze.refusal(facts.environment, stop)


def roomy(facts: Facts) -> Iterator[CicdError]:
    """The release fits on the target's disk."""
    if facts.free < facts.needed:
        yield DiskFull(
            f"The target has {_megabytes(facts.free)} free, and {_megabytes(facts.needed)} are needed",
            cause="releases, logs or something else have filled its disk",
            next_step="free space, or lower `deploy.keep`",
        )


def proven_before(facts: Facts) -> Iterator[CicdError]:
    """The digest is stable in the environment before this one."""
    before = facts.config.environments[facts.environment].after
    if facts.release and before and facts.release.image not in stable_images(facts.ledger, before):
        yield NotStableBefore(
            f"{facts.release.image[:19]}… is not stable in `{before}`, which comes before `{facts.environment}`",
            cause="it was never promoted there, or it failed there",
            next_step=f"promote it into `{before}` first",
        )


def rehearsed_before(facts: Facts) -> Iterator[CicdError]:
    """The environment before has shown that one gets back from this release to the one that runs here."""
    environment, running = facts.config.environments[facts.environment], current(facts.ledger, facts.environment)
    if not (environment.rehearse and facts.release and running) or running.release.image == facts.release.image:
        return
    if not rehearsed(facts.ledger, environment.after, running.release.image, facts.release.image):
        yield NotRehearsed(
            f"`{environment.after}` has not shown that one gets back from {facts.release.image[:19]}… to what runs in "
            f"`{facts.environment}`",
            cause="it was promoted there before `rehearse` was set, from another release, or it cannot be left again",
            next_step=f"promote {running.release.name} into `{environment.after}`, then this one again; or use "
            "`force: true`",
        )


def green(facts: Facts) -> Iterator[CicdError]:
    """The checks that the config demands have succeeded on the commit."""
    demanded = facts.config.environments[facts.environment].checks
    if facts.release is None:
        return
    wrong = {name: facts.checks.get(name, "missing") for name in demanded}
    wrong = {name: how for name, how in wrong.items() if how not in ("success", "neutral", "skipped")}
    if wrong:
        yield ChecksNotGreen(
            f"Commit {facts.release.sha[:12]} lacks {', '.join(f'{name} ({how})' for name, how in wrong.items())}",
            cause="a check failed, has not ended, or has another name on GitHub",
            next_step="wait for it or mend it; `checks:` of the environment names what is demanded",
        )


def newer(facts: Facts) -> Iterator[CicdError]:
    """The commit is not an ancestor of the one that runs."""
    running = current(facts.ledger, facts.environment)
    if facts.release and running and facts.relation == "behind":
        yield Stale(
            f"Commit {facts.release.sha[:12]} is older than {running.release.sha[:12]}, "
            f"which runs in `{facts.environment}`",
            cause="a later run has overtaken this one",
            next_step="use rollback to go back, or `force: true` to take it all the same",
        )


def unpoisoned(facts: Facts) -> Iterator[CicdError]:
    """What really runs has not failed in the environment before."""
    release = facts.release
    if not release or release.content not in poisoned(facts.ledger, facts.environment):
        return
    if left := left_by_hand(facts.ledger, facts.environment, release.content):
        yield Poisoned(
            f"{release.name} was taken back from `{facts.environment}` by a rollback",
            cause=left.reason or "no reason was given",
            next_step="promote a mended release, or use `force: true` for this one all the same; "
            f"`cicd rollback --environment {facts.environment} --to {left.replaces}` is quicker, if it lies there",
        )
    else:
        told = [entry.note for entry in of(facts.ledger, facts.environment) if entry.release.content == release.content]
        yield Poisoned(
            f"{release.name} failed in `{facts.environment}` before",
            cause=told[0] if told else "",
            next_step="promote a mended release, or use `force: true` to try this one again",
        )


def bearable(facts: Facts) -> Iterator[CicdError]:
    """No migration breaks the code that runs, for it goes on running while they are applied."""
    broken = breaking_old_code(facts.migrations)
    if broken and current(facts.ledger, facts.environment):
        yield MigrationBreaks(
            f"Migrations break the code that runs: {'; '.join(broken)}",
            cause="they are applied before the switch, so that the new code finds its schema; what cannot be read may "
            "do anything",
            next_step="first promote code that does without, then the migration; or declare in it that it is harmless "
            "(`cicd: expand, because …`), or use `force: true` and bear the errors meanwhile",
        )


CHECKS: dict[str, Check] = {
    "protected as the config demands": protected,
    "no freeze window": thawed,
    "room on the disk": roomy,
    "stable in the environment before": proven_before,
    "going back was rehearsed": rehearsed_before,
    "required checks are green": green,
    "not older than what runs": newer,
    "has not failed here before": unpoisoned,
    "migrations that the running code bears": bearable,
}


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def first_of(found: Sequence[CicdError]) -> CicdError:
    """One error for all refusals: the first gives the code, each is named in it with its own next step."""
    first = found[0]
    if len(found) == 1:
        return first
    steps = dict.fromkeys(error.next_step for error in found if error.next_step)
    return type(first)(
        "; ".join(error.what.rstrip(".") for error in found), cause=first.cause, next_step="; ".join(steps)
    )
