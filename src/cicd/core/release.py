"""A release: one immutable record of code, configuration and schema."""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from cicd.core.config import Deploy, Ports
from cicd.core.migrations import Migration
from cicd.errors import ConfigError, UsageError

DIGEST = re.compile(r"(?:.+@)?(sha256:[0-9a-f]{64})")
SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PASSWORD = (re.compile(r"://[^:/?#@\s]*:([^/?#\s]+)@"), re.compile(r"://[^:/?#@\s]*:(\S+)@"))  # of a URL
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986, 2.3
SHORTEST_SECRET = 4  # characters; a shorter one is in every text, and hiding it would hide the log


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, as one value.

    Attributes:
        sha: full commit sha.
        image: `sha256:…` of the image.
        config: digest of every setting the application gets; secrets go in keyed, so it gives none away.
        schema: revision that the database has when this release runs; empty without migrations.
        manifest: digest of how it runs (the deploy section and the environment's own).
        version: a label for people; not part of the identity.
    """

    sha: str
    image: str
    config: str
    schema: str
    manifest: str
    version: str = ""

    @property
    def id(self) -> str:
        """12 hex digits over everything but the label."""
        return digest([self.sha, self.image, self.config, self.schema, self.manifest])[7:19]

    @property
    def content(self) -> tuple[str, str, str]:
        """What really runs. Releases that differ in nothing but commit and label behave alike."""
        return (self.image, self.config, self.manifest)

    @property
    def name(self) -> str:
        """For people: the label if there is one, and the id."""
        return f"{self.version} ({self.id})" if self.version else self.id


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A release as it lies on its target, with all that is needed to run it again without GitHub or a checkout.

    Attributes:
        release: what it is.
        environment: where it lies.
        deploy: how it runs, as its own config said.
        ports: of the environment, as its own config said.
        migrations: that its code knows, first to last.
        python: version or path of the interpreter that it wants; empty for the one at hand.
        secrets: names of the settings that are secret.
        production: whether the environment is the last one.
        repository: of the image; empty where images lie in the target's store.
        hosts: that it lies on, the one with the journal first.
        services: digest of the services that both slots use; empty for none.
        url: where users reach the environment; empty for the router's own port.
    """

    release: Release
    environment: str
    deploy: Deploy
    ports: Ports
    migrations: list[Migration]
    python: str = ""
    secrets: list[str] = []
    production: bool = False
    repository: str = ""
    hosts: list[str] = msgspec.field(default_factory=lambda: ["local"])
    services: str = ""
    url: str = ""


def digest(value: Any) -> str:
    """`sha256:…` of a JSON-able value, in one canonical form (keys sorted)."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def config_digest(settings: Mapping[str, str], secrets: Mapping[str, str], key: bytes) -> str:
    """Digest of all settings. Secret values enter as HMAC-SHA256 under the target's own key."""
    keyed = {name: hmac.new(key, value.encode(), hashlib.sha256).hexdigest() for name, value in secrets.items()}
    return digest([dict(settings), keyed])


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without the values of secrets, however they are spelled."""
    for spelling in sorted({one for secret in secrets for one in spellings(secret)}, key=len, reverse=True):
        text = text.replace(spelling, "***")
    return text


def spellings(secret: str) -> list[str]:
    """What gives a secret away: itself, each line of it, the password in a URL; and each as programs write such things:
    percent-encoded, and escaped for JSON and Python. The longest first.

    What has less than SHORTEST_SECRET characters is in every text, and is not among them.
    """
    passwords = {found for pattern in PASSWORD for found in pattern.findall(secret)}
    parts = {part.strip() for part in (secret, *re.split(r"[\r\n]+", secret), *passwords, *map(_unquoted, passwords))}
    spelled = {secret} | {one for part in parts for one in _spelled(part)}
    return sorted((one for one in spelled if len(one) >= SHORTEST_SECRET), key=lambda one: (-len(one), one))


def _spelled(part: str) -> set[str]:
    if len(part) < SHORTEST_SECRET:
        return set()
    path = _quoted(part, UNRESERVED | frozenset(b"/"))
    quoted = _quoted(part, UNRESERVED)
    escaped = {json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1], repr(part)[1:-1]}
    return {part, quoted, path, quoted.replace("%20", "+")} | escaped


def _quoted(text: str, safe: frozenset[int]) -> str:
    coded = text.encode(errors="surrogateescape")
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in coded)


def _unquoted(text: str) -> str:
    coded = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode(errors="replace"))
    return coded.decode(errors="replace")


def bare_digest(image: str) -> str:
    """`sha256:…` of an image given as `name@sha256:…` or bare. Raises UsageError for a tag."""
    match = DIGEST.fullmatch(image.strip())
    if not match:
        raise UsageError(
            f"`{_cut(image)}` is not an image by digest",
            cause="a tag can be moved, so it cannot be the identity of a release",
            next_step="give `sha256:…`, the output `image` of the build",
        )
    return match.group(1)


def full_sha(sha: str) -> str:
    """A full commit sha, lower case. Raises UsageError for anything else."""
    if not SHA.fullmatch(sha.strip().lower()):
        raise UsageError(
            f"`{_cut(sha)}` is not a full commit sha", next_step="give all 40 hexadecimal digits with `sha`"
        )
    return sha.strip().lower()


def _cut(text: str) -> str:
    return f"{text[:100]}…" if len(text) > 100 else text


def parse_dotenv(text: str) -> dict[str, str]:
    """Settings from dotenv lines: `NAME=value`, `#` comments, optional quotes and `export`.

    A value in quotes may go over several lines. Nothing in it has a meaning but the quote at a line's end, its own.

    Raises:
        ConfigError: names the line, never its value.
    """
    settings = {}
    lines = iter(enumerate((line.rstrip("\r") for line in text.split("\n")), start=1))
    for number, line in lines:
        stripped = line.strip().removeprefix("export ").strip()
        whole = line.lstrip().removeprefix("export ").lstrip()
        if not stripped or stripped.startswith("#"):
            continue
        name, sign, value = stripped.partition("=")
        name, value = name.strip(), value.strip()
        if not sign or not SETTING.fullmatch(name):
            raise _bad_line(number, "is not NAME=value")
        if value[:1] in ("'", '"'):
            value = _inside_quotes(number, whole.partition("=")[2].lstrip(), lines)
        if "\0" in value:
            raise _bad_line(number, "holds a NUL, which no environment can")
        settings[name] = value
    return settings


def _inside_quotes(number: int, value: str, lines: Iterator[tuple[int, str]]) -> str:
    """The value that begins with a quote on line `number`; takes the lines that it goes on over."""
    quote, parts = value[0], [value[1:]]
    while True:
        last = parts[-1].rstrip()
        if len(parts) > 1 and last.count(quote) > 1:  # the quotes of another setting
            raise _bad_line(number, "begins a value with a quote that nothing ends")
        if last.endswith(quote):
            return "\n".join([*parts[:-1], last[:-1]])
        if quote in last:
            raise _bad_line(number, "has something after the quote that ends its value")
        _, following = next(lines, (0, None))
        if following is None:
            raise _bad_line(number, "begins a value with a quote that nothing ends")
        parts.append(following)


def _bad_line(number: int, problem: str) -> ConfigError:
    return ConfigError(f"app-env: line {number} {problem}", next_step="mend that line of the secret")
