"""Images in a registry, by the words of the OCI: names, manifests, and how a registry asks who we are.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

import msgspec

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
IMAGES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
REVISION = "org.opencontainers.image.revision"
DIGEST = "^sha256:[0-9a-f]{64}$"
HUB = "registry-1.docker.io"  # where Docker Hub answers, and the name under which Docker keeps its login
HUB_LOGIN = "index.docker.io"
T = TypeVar("T")
CHALLENGE = re.compile(r'(?:^|[\s,])(\w+)(?=\s+\w+=|\s*,|\s*$)|(\w+)=(?:"([^"]*)"|([^\s,]+))')
LOOPBACK = re.compile(r"^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$")


@dataclass(frozen=True)
class Repository:
    """Where images lie. `host`: of the registry, with its port; `path`: in it; `login`: Docker's name for the host."""

    host: str
    path: str
    login: str


@dataclass(frozen=True)
class Manifest:
    """What a registry tells of an image.

    Attributes:
        digest: `sha256:…` of `content`.
        content: the manifest or index, as the registry has it.
        platforms: such as `linux/amd64`; of an index all that it has.
        platform: the one that the rest is about; empty if the image does not tell.
        size: bytes of its layers as they are stored, which is what a pull moves at most.
        labels: of its config.
    """

    digest: str
    content: bytes = field(repr=False)
    platforms: tuple[str, ...]
    platform: str
    size: int
    labels: Mapping[str, str]

    @property
    def revision(self) -> str:
        """The commit that it was built from; empty if it does not tell."""
        return self.labels.get(REVISION, "")


class Platform(msgspec.Struct, frozen=True):
    os: str = ""
    architecture: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


class Descriptor(msgspec.Struct, frozen=True):
    digest: Annotated[str, msgspec.Meta(pattern=DIGEST)]
    size: Annotated[int, msgspec.Meta(ge=0)]
    platform: Platform | None = None


class Document(msgspec.Struct, frozen=True, rename="camel"):
    """An index has `manifests`, an image `config` and `layers`."""

    schema_version: int
    manifests: list[Descriptor] | None = None
    config: Descriptor | None = None
    layers: list[Descriptor] = []

    @property
    def size(self) -> int:
        """Bytes of the layers; one that occurs twice is moved once."""
        return sum({layer.digest: layer.size for layer in self.layers}.values())

    def images(self) -> list[Descriptor]:
        """Those of an index that can be run: an attestation of buildkit says that its platform is unknown."""
        return [one for one in self.manifests or [] if one.platform is None or one.platform.os != "unknown"]


class Settings(msgspec.Struct, frozen=True):
    labels: dict[str, str] | None = msgspec.field(name="Labels", default=None)


class ImageConfig(Platform, frozen=True):
    config: Settings | None = None


class NotAnImage(ValueError):
    """A registry's answer is not what it should be."""


def repository_of(name: str) -> Repository:
    """A repository by its name, such as `ghcr.io/acme/api`; without a host it is Docker Hub's.

    https://github.com/distribution/reference/blob/v0.6.0/normalize.go
    """
    first, _, rest = name.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        if first not in ("docker.io", HUB_LOGIN):
            return Repository(first, rest, first)
        name = rest
    return Repository(HUB, name if "/" in name else f"library/{name}", HUB_LOGIN)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def read_document(content: bytes) -> Document:
    """A manifest or an index. Raises NotAnImage."""
    found = _decoded(content, Document)
    if found.manifests is None and found.config is None:
        raise NotAnImage("it is neither an image nor an index")
    return found


def read_config(content: bytes) -> ImageConfig:
    """The config of an image. Raises NotAnImage."""
    return _decoded(content, ImageConfig)


def _decoded(content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotAnImage(str(error)[:200]) from error


def chosen(images: list[Descriptor], platform: str) -> Descriptor | None:
    """That for a platform such as `linux/amd64`; the first if none is asked for, or none says what it is for."""
    fitting = [one for one in images if not platform or str(one.platform or "") in ("", platform, f"{platform}/v8")]
    return fitting[0] if fitting else None


@dataclass(frozen=True)
class Challenge:
    """How a registry asks who we are. `scheme`: bearer or basic; `realm`: the URL that gives a token."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def read_challenge(header: str) -> Challenge | None:
    """The challenge of `WWW-Authenticate` that we can meet, a token before a password; None if there is none.

    https://distribution.github.io/distribution/spec/auth/token/
    """
    found: dict[str, dict[str, str]] = {}
    for word, key, quoted, plain in CHALLENGE.findall(header):
        if word:
            found[word.lower()] = {}
        elif found:
            list(found.values())[-1][key.lower()] = quoted or plain
    if realm := found.get("bearer", {}).get("realm"):
        given = found["bearer"]
        return Challenge("bearer", realm, given.get("service", ""), given.get("scope", ""))
    return Challenge("basic") if "basic" in found else None


def is_loopback(host: str) -> bool:
    """Whether a host, which may have a port, is this machine by its name."""
    return bool(LOOPBACK.match(host))
