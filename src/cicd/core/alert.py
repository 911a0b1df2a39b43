"""Whether an alert may roll back: it names the release that it is about, which still runs, and it has not tried before.

An alert repeats itself until it is resolved, may arrive late, and cannot be asked what it meant.
"""

from collections.abc import Iterable, Sequence

from cicd.core.journal import Entry
from cicd.core.ledger import Deployment, of
from cicd.core.release import Release
from cicd.errors import AlertAnswered, Replaced, UsageError

BY_EVENT = "repository_dispatch"  # nobody looks at what it asks for


def require_asked_for(alert: str, release: str, event: str) -> None:
    """Raises UsageError when an alert, or an event that nobody typed, does not say what it is about.

    Args:
        alert: its id; empty: none.
        release: id of the release that is to be left.
        event: of GitHub, that started the run.
    """
    if alert and not release:
        raise UsageError(
            "The alert does not say which release it is about",
            cause="without that a late alert would take back a mended release",
            next_step="give the id that the release has in the alert's labels as `if-release`",
        )
    if event == BY_EVENT and not alert:
        raise UsageError(
            f"A `{BY_EVENT}` came without the id of its alert",
            cause="whoever sends it may send it again and again, and one attempt is what an alert gets",
            next_step="send `client_payload: {environment, release, alert}`; the workflow hands them on",
        )


def attempts_by_alert(ledger: Sequence[Deployment], entries: Iterable[Entry], environment: str) -> dict[str, str]:
    """What was tried in the environment for each alert: its id → the release that was gone back to.

    Args:
        ledger: deployments, newest first; what it does not have, such as while GitHub was away, the journal has.
        entries: the journal's.
    """
    payloads = [entry.payload for entry in of(ledger, environment)]
    payloads += [entry.payload for entry in entries if entry.payload]
    return {one.alert: one.release.name for one in payloads if one.alert}


def require_first(alert: str, attempts: dict[str, str], environment: str) -> None:
    """Raises AlertAnswered when something was tried for this alert."""
    if alert and alert in attempts:
        raise AlertAnswered(
            f"Alert {alert} has had its attempt in `{environment}`: back to {attempts[alert]}",
            cause="it goes on, or was sent again",
            next_step="see `cicd status`; roll back by hand where that is what is needed",
        )


def require_running(release: str, running: Release | None, environment: str) -> None:
    """Raises Replaced when `release` is given and is not the one that runs."""
    if release and (running is None or running.id != release):
        raise Replaced(
            f"Release {release} does not run in `{environment}`: {running.name if running else 'nothing'} does",
            cause="it was replaced since, or is no release id of twelve hexadecimal digits",
            next_step="nothing, if the trouble is over; else see `cicd status`, and roll back by hand",
        )
