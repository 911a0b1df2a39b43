"""Every expected error, with its own exit code, reason code, cause and next step.

Exit codes are a contract: scripts and workflows may branch on them, so a number is never given a new meaning.
0 is success, 3 an unexpected error (a bug: the report asks for an issue), 1 is left to the interpreter.
"""

from typing import ClassVar


class CicdError(Exception):
    """Something expected went wrong.

    Args:
        what: what happened, one sentence.
        cause: the likely cause, one sentence, may be empty.
        next_step: what to do or type next.
    """

    code: ClassVar[int] = 3
    reason: ClassVar[str] = "error"

    def __init__(self, what: str, *, cause: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.cause = cause
        self.next_step = next_step

    def __str__(self) -> str:
        parts = [self.what.rstrip(".") + "."]
        if self.cause:
            parts.append(f"Cause: {self.cause.rstrip('.')}.")
        if self.next_step:
            parts.append(f"Next: {self.next_step.rstrip('.')}.")
        return " ".join(parts)


class UsageError(CicdError):
    """An input or argument that the action does not take."""

    code, reason = 2, "usage"


class ConfigError(CicdError):
    """`.github/cicd.yml` is missing, malformed, or says something that cannot be."""

    code, reason = 10, "config-invalid"


class UnknownEnvironment(CicdError):
    """An environment that the config does not name."""

    code, reason = 11, "unknown-environment"


class UnknownSuite(CicdError):
    """A suite that the config does not name."""

    code, reason = 12, "unknown-suite"


class NotRehearsed(CicdError):
    """The config demands a rehearsal, and the environment before has not gone back from this release."""

    code, reason = 13, "not-rehearsed"


class Replaced(CicdError):
    """The release that was to be left does not run any more."""

    code, reason = 16, "replaced"


class AlertAnswered(CicdError):
    """The alert has had its one attempt to roll back."""

    code, reason = 17, "alert-answered"


class NotReleasable(CicdError):
    """No version of cicd itself can be made of this commit."""

    code, reason = 18, "not-releasable"


class NoToken(CicdError):
    """No token was given and GitHub is needed."""

    code, reason = 20, "no-token"


class TokenRefused(CicdError):
    """GitHub does not know the token (401)."""

    code, reason = 21, "token-refused"


class GitHubUnavailable(CicdError):
    """GitHub answered 5xx, or nothing, for longer than we wait."""

    code, reason = 22, "github-unavailable"


class RateLimited(CicdError):
    """GitHub's rate limit is used up and the wait is longer than ours."""

    code, reason = 23, "rate-limited"


class GitHubRefused(CicdError):
    """GitHub understood and refused (403, 404, 409, 422)."""

    code, reason = 24, "github-refused"
    status = 0


class Frozen(CicdError):
    """The environment takes no promotion now: a freeze window of the config."""

    code, reason = 25, "frozen"


class LockLost(CicdError):
    """The environment's lock was taken away, or could not be renewed in time, while it was held."""

    code, reason = 26, "lock-lost"


class MigrationBreaks(CicdError):
    """A migration would break the code that runs while it is applied."""

    code, reason = 27, "migration-breaks"


class ChecksNotGreen(CicdError):
    """A check that the config demands has not succeeded on the commit."""

    code, reason = 28, "checks-not-green"


class DiskFull(CicdError):
    """The target's disk has no room for the release."""

    code, reason = 29, "disk-full"


class NotProtected(CicdError):
    """The config demands approval and the environment has no required reviewers."""

    code, reason = 30, "not-protected"


class NotApproved(CicdError):
    """Nobody approved, or not in time."""

    code, reason = 31, "not-approved"


class Rejected(CicdError):
    """A reviewer said no."""

    code, reason = 32, "rejected"


class NotStableBefore(CicdError):
    """The digest is not stable in the environment before this one."""

    code, reason = 33, "not-stable-before"


class Stale(CicdError):
    """The release is an ancestor of the one that runs."""

    code, reason = 34, "stale"


class Locked(CicdError):
    """Another deployment holds the environment."""

    code, reason = 35, "locked"


class ImageMissing(CicdError):
    """The image's digest is not in the store."""

    code, reason = 36, "image-missing"


class RegistryUnavailable(CicdError):
    """The registry of images does not answer."""

    code, reason = 57, "registry-unavailable"


class RegistryDenied(CicdError):
    """The registry of images does not let us in."""

    code, reason = 58, "registry-denied"


class NotAttested(CicdError):
    """Nothing proves that the image was built by whom the config demands."""

    code, reason = 59, "not-attested"


class NothingToRollBackTo(CicdError):
    """No other release was ever stable in this environment."""

    code, reason = 37, "nothing-to-roll-back-to"


class Poisoned(CicdError):
    """This digest failed in this environment before, or was taken back from it."""

    code, reason = 38, "poisoned"


class Unfinished(CicdError):
    """A killed run left steps that cannot be undone by themselves."""

    code, reason = 39, "unfinished"


class BuildFailed(CicdError):
    """The image cannot be built."""

    code, reason = 40, "build-failed"


class PortInUse(CicdError):
    """A port that a slot, the router or a service needs is taken by something else."""

    code, reason = 41, "port-in-use"


class MigrationFailed(CicdError):
    """A migration ended with an error."""

    code, reason = 42, "migration-failed"


class Unhealthy(CicdError):
    """The new slot never got healthy; no traffic reached it."""

    code, reason = 43, "unhealthy"


class RolledBack(CicdError):
    """The release failed after the switch and the environment went back by itself."""

    code, reason = 44, "rolled-back"


class Inconclusive(CicdError):
    """Too little was seen to call the release stable; both slots are held."""

    code, reason = 45, "inconclusive"


class RollbackRefused(CicdError):
    """The release failed and so does the slot to go back to: nothing was switched."""

    code, reason = 46, "rollback-refused"


class PrepareFailed(CicdError):
    """The release cannot be laid out on the target."""

    code, reason = 47, "prepare-failed"


class RouterFailed(CicdError):
    """The router refused its configuration or does not answer."""

    code, reason = 48, "router-failed"


class JournalFailed(CicdError):
    """The journal of the target cannot be written."""

    code, reason = 49, "journal-failed"


class CanaryInconclusive(CicdError):
    """The canary saw too little, or nothing clear, so not all users followed: the release before has all of them."""

    code, reason = 56, "canary-inconclusive"


class ServiceFailed(CicdError):
    """A service did not get ready."""

    code, reason = 50, "service-failed"


class DependenciesFailed(CicdError):
    """The consumer's dependencies cannot be installed."""

    code, reason = 51, "dependencies-failed"


class DatabaseUnavailable(CicdError):
    """The database cannot be reached, or others hold a lock that a migration needs."""

    code, reason = 52, "database-unavailable"


class HostUnreachable(CicdError):
    """A host does not answer, or the connection to it was lost."""

    code, reason = 53, "host-unreachable"


class HostRefused(CicdError):
    """A host refuses us, or its key is not the one that we know."""

    code, reason = 54, "host-refused"


class TestsFailed(CicdError):
    """Tests failed."""

    __test__ = False
    code, reason = 60, "tests-failed"


class NoTests(CicdError):
    """The suite collected no test."""

    code, reason = 61, "no-tests"


class CoverageTooLow(CicdError):
    """Coverage is below the gate, or was demanded and not measured."""

    code, reason = 62, "coverage-too-low"


class ReportInvalid(CicdError):
    """The suite's command left no JUnit report, or one that cannot be read."""

    code, reason = 63, "report-invalid"


class SuiteIncomplete(CicdError):
    """It is not proven that every test of the suite has run."""

    code, reason = 65, "incomplete"


class TooSlow(CicdError):
    """A measure is beyond its limit, slower than the base, or was not taken."""

    code, reason = 66, "too-slow"


class EnvironmentsDiffer(CicdError):
    """Environments differ in what `fail-on` of parity names."""

    code, reason = 64, "environments-differ"


class FindingsBlock(CicdError):
    """Scanners found what the security gate does not let pass."""

    code, reason = 67, "findings-block"


class ScanUnfinished(CicdError):
    """A scanner that the security gate counts on did not finish, or its report cannot be read."""

    code, reason = 68, "scan-unfinished"


class ToolMissing(CicdError):
    """A program that is needed is not there."""

    code, reason = 70, "tool-missing"


class CommandFailed(CicdError):
    """A program ended with an error where none was expected."""

    code, reason = 71, "command-failed"


class Interrupted(CicdError):
    """SIGINT or SIGTERM arrived; what was under way was undone."""

    code, reason = 72, "interrupted"


class SeedFailed(CicdError):
    """Data that tests need cannot be loaded."""

    code, reason = 73, "seed-failed"
