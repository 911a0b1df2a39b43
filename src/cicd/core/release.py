"""A release: one immutable record of code, configuration and schema."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from cicd.core.config import Deploy, Ports
from cicd.core.migrations import Migration
from cicd.errors import ConfigError, UsageError

DIGEST = re.compile(r"^(?:.+@)?(sha256:[0-9a-f]{64})$")
SHA = re.compile(r"^[0-9a-f]{40}$|^[0-9a-f]{64}$")
SETTING = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


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
    """

    release: Release
    environment: str
    deploy: Deploy
    ports: Ports
    migrations: list[Migration]
    python: str = ""
    secrets: list[str] = []
    production: bool = False


def digest(value: Any) -> str:
    """`sha256:…` of a JSON-able value, in one canonical form (keys sorted)."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def config_digest(settings: Mapping[str, str], secrets: Mapping[str, str], key: bytes) -> str:
    """Digest of all settings. Secret values enter as HMAC-SHA256 under the target's own key."""
    keyed = {name: hmac.new(key, value.encode(), hashlib.sha256).hexdigest() for name, value in secrets.items()}
    return digest([dict(settings), keyed])


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without the values of secrets; those of less than 4 characters are in every text and stay."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, "***")
    return text


def bare_digest(image: str) -> str:
    """`sha256:…` of an image given as `name@sha256:…` or bare. Raises UsageError for a tag."""
    match = DIGEST.match(image.strip())
    if not match:
        raise UsageError(
            f"`{image}` is not an image by digest",
            cause="a tag can be moved, so it cannot be the identity of a release",
            next_step="give `sha256:…`, the output `image` of the build",
        )
    return match.group(1)


def full_sha(sha: str) -> str:
    """A full commit sha, lower case. Raises UsageError for anything else."""
    if not SHA.match(sha.strip().lower()):
        raise UsageError(f"`{sha}` is not a full commit sha", next_step="give all 40 hexadecimal digits with `sha`")
    return sha.strip().lower()


def parse_dotenv(text: str) -> dict[str, str]:
    """Settings from dotenv lines: `NAME=value`, `#` comments, optional quotes and `export`.

    Raises:
        ConfigError: names the line, never its value.
    """
    settings = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip().removeprefix("export ").strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, sign, value = stripped.partition("=")
        name, value = name.strip(), value.strip()
        if not sign or not SETTING.match(name):
            raise ConfigError(f"app-env: line {number} is not NAME=value", next_step="mend that line of the secret")
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        settings[name] = value
    return settings
