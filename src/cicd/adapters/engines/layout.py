"""How a release runs, besides its image: what is read of the checkout, and laid out on the target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cicd.core.config import Deploy


@dataclass(frozen=True)
class Source:
    """What an engine reads of a checkout.

    Attributes:
        folder: the project's.
        compose: its compose files, below that.
        data: folder of the hosts to which paths lead that are not in git; empty: the target's own.
        environment: its name.
        deploy: how releases run there.
    """

    folder: Path
    environment: str
    deploy: Deploy
    compose: Sequence[str] = ()
    data: str = ""


@dataclass(frozen=True)
class Layout:
    """How a release runs.

    Attributes:
        manifest: digest of it without secrets; part of the release's identity.
        services: digest of the services that both slots use; empty for none.
        model: the services as Docker Compose understands the project's files; it may hold secrets.
        shipped: files and folders of the checkout that go to the hosts: absolute path → digest.
        led: paths of the model below the checkout that are not in it: absolute path → where they lead on the hosts,
            relative to the folder for data.
        data: that folder; empty: the target's own.
    """

    manifest: str = ""
    services: str = ""
    model: Mapping[str, Any] = field(default_factory=dict, repr=False)
    shipped: Mapping[Path, str] = field(default_factory=dict)
    led: Mapping[Path, Path] = field(default_factory=dict)
    data: str = ""
