"""What Alertmanager sends to a webhook, and which rollbacks it asks for.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config: version 4 of the message. An alert that fires
and has the labels `environment` and `release` asks for one; `repository` as a label goes before the one that we serve.
"""

from typing import Annotated

import msgspec

from cicd.errors import UsageError

EVENT = "cicd-rollback"
LABELS = ("environment", "release")
REPOSITORY = r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$"
Text = Annotated[str, msgspec.Meta(max_length=10_000)]
Repository = Annotated[str, msgspec.Meta(pattern=REPOSITORY, max_length=200)]


class Alert(msgspec.Struct, frozen=True, rename="camel"):
    """One alert; `starts_at` tells one episode of it from the next."""

    status: Text
    labels: dict[str, Text]
    fingerprint: Text
    starts_at: Text
    annotations: dict[str, Text] = {}


class Message(msgspec.Struct, frozen=True):
    """One call of the webhook."""

    version: Text
    alerts: Annotated[list[Alert], msgspec.Meta(max_length=1000)]


class Asked(msgspec.Struct, frozen=True):
    """A rollback that an alert asks for: what `repository_dispatch` is sent with."""

    repository: str
    environment: str
    release: str
    alert: str
    reason: str

    @property
    def payload(self) -> dict[str, str]:
        return {
            "environment": self.environment,
            "release": self.release,
            "alert": self.alert,
            "reason": self.reason,
        }


def read_message(body: bytes) -> Message:
    """Raises UsageError when it is not what Alertmanager sends."""
    try:
        message = msgspec.json.decode(body, type=Message)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"This is no message of Alertmanager's webhook: {error}") from None
    if message.version != "4":
        raise UsageError(f"Alertmanager's message has version {message.version[:20]}, and 4 is the one that we know")
    return message


def asked_for(message: Message, repository: str) -> tuple[list[Asked], list[str]]:
    """Rollbacks of alerts that fire, and why others ask for none: a line each. `repository`: where no label says it."""
    asked, others = [], []
    for alert in message.alerts:
        name = _line(alert.labels.get("alertname", "an alert"))
        if alert.status != "firing":
            continue
        if lacking := [label for label in LABELS if not alert.labels.get(label)]:
            others.append(f"{name} has no label {' and no label '.join(f'`{label}`' for label in lacking)}")
            continue
        reason = alert.annotations.get("summary") or alert.annotations.get("description") or f"alert {name}"
        found = Asked(
            alert.labels.get("repository") or repository,
            alert.labels["environment"],
            alert.labels["release"],
            _line(f"{name}-{alert.fingerprint}-{alert.starts_at}"),
            _line(reason),
        )
        try:
            msgspec.convert(found.repository, Repository)
        except msgspec.ValidationError:
            others.append(f"{name} has the label `repository` with `{_line(found.repository)}`, which is no owner/name")
            continue
        asked.append(found)
    return asked, others


def _line(text: str) -> str:
    """One line that is short enough for an input."""
    return " ".join(text.split())[:200]
