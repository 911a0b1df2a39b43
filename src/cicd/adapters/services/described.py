"""A server that the config describes: its command or its image, and how one sees that it answers."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cicd.adapters.http import probe
from cicd.adapters.process import run
from cicd.adapters.services.place import Address, Contained, Place, listens
from cicd.core.service_texts import TCP, fill, fill_command, is_url
from cicd.core.services import Wanted

KEPT_BY_IMAGE = 1.2  # seconds, see listens
PATIENCE = 10.0  # seconds that a command may take to say whether the server is ready


@dataclass(frozen=True)
class Described:
    """One server of the config."""

    wanted: Wanted
    PROGRAM: str = ""
    FOLDERS: tuple[str, ...] = ()
    VARIABLE: str = ""
    PORT_TAKEN: str = "(?i)already in use|eaddrinuse|only one usage of each socket address"
    RESERVED: frozenset[str] = frozenset()
    USER: str = ""
    DATABASE: str = ""

    @property
    def IMAGE(self) -> str:
        return self.wanted.about.image

    @property
    def PORT(self) -> int:
        return self.wanted.about.port

    def prepare(self, place: Place) -> None:
        """Its own folder, where one is asked for."""
        (place.folder / "data").mkdir(mode=0o700)

    def command(self, place: Place, port: int) -> list[str]:
        return fill_command(self.wanted.about.command, self._values(place, Address("127.0.0.1", port)))

    def environ(self, place: Place, port: int) -> dict[str, str]:
        values = self._values(place, Address("127.0.0.1", port, password=place.password))
        return {name: fill(text, values) for name, text in self.wanted.about.env.items()}

    def cwd(self, place: Place) -> Path:
        return place.project

    def version(self, program: Path) -> tuple[int, ...]:
        """Nobody can tell."""
        return ()

    def contained(self, place: Place, port: int) -> Contained:
        return Contained(self.environ(place, port), self.command(place, port))

    def ask(self, address: Address, place: Place | None = None) -> tuple[int, ...] | None:
        """By its `ready`, with its own variables."""
        ready, values = self.wanted.about.ready, self._values(place, address)
        if ready == TCP:
            answers = listens(address.host, address.port, KEPT_BY_IMAGE if self.wanted.about.image else 0.0)
        elif is_url(ready):
            answers = 200 <= probe(fill(ready, values)).status < 300
        else:
            answers = self._by_command(fill_command(ready, values), address, place)
        return () if answers else None

    def _by_command(self, argv: list[str], address: Address, place: Place | None) -> bool:
        """Raises ToolMissing."""
        if place is None:
            return False
        env = {**place.env, **self.environ(place, address.port)}
        done = run(argv, env=env, cwd=place.project, check=False, timeout=PATIENCE)
        place.last_answer.write_text(f"$ {shlex.join(argv)}\n{done.output}")
        return done.code == 0 and not done.timed_out

    def _values(self, place: Place | None, address: Address) -> Mapping[str, str]:
        return values_of(self.wanted, address, str(place.folder / "data") if place else "")

    def url(self, address: Address) -> str:
        return ""


def values_of(wanted: Wanted, address: Address, data: str = "", url: str = "") -> dict[str, str]:
    """What is filled into the texts of a description."""
    return {
        "host": address.host,
        "port": str(address.port),
        "password": address.password,
        "name": wanted.name,
        "version": wanted.version,
        "data": data,
        "url": url,
    }
