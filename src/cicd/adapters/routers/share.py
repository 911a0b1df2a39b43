"""Who gets how much of the traffic."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """A slot and its part of the users.

    Attributes:
        slot: its name.
        addresses: `host:port` where it answers, for the router of each host.
        release_id: what lives in it.
        percent: of the users; hundredths count.
    """

    slot: str
    addresses: tuple[str, ...]
    release_id: str
    percent: float = 100.0
