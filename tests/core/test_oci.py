"""Names, manifests and challenges of registries."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.oci import (
    Challenge,
    Descriptor,
    NotAnImage,
    Platform,
    chosen,
    is_loopback,
    read_challenge,
    read_config,
    read_document,
    repository_of,
)

D = "sha256:" + "a" * 64
HUB = "registry-1.docker.io"


@pytest.mark.parametrize(
    ("name", "host", "path", "login"),
    [
        ("ghcr.io/acme/api", "ghcr.io", "acme/api", "ghcr.io"),
        ("localhost:5000/api", "localhost:5000", "api", "localhost:5000"),
        ("localhost/api", "localhost", "api", "localhost"),
        ("redis", HUB, "library/redis", "index.docker.io"),
        ("acme/api", HUB, "acme/api", "index.docker.io"),
        ("docker.io/redis", HUB, "library/redis", "index.docker.io"),
        ("index.docker.io/acme/api", HUB, "acme/api", "index.docker.io"),
        ("123.dkr.ecr.eu-west-1.amazonaws.com/a/b/c", "123.dkr.ecr.eu-west-1.amazonaws.com", "a/b/c", None),
    ],
)
def test_a_name_says_where_an_image_lies(name: str, host: str, path: str, login: str | None) -> None:
    found = repository_of(name)
    assert (found.host, found.path, found.login) == (host, path, login or host)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (
            'Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:acme/api:pull"',
            Challenge("bearer", "https://ghcr.io/token", "ghcr.io", "repository:acme/api:pull"),
        ),
        (
            'bearer realm="https://a/t", scope="repository:a:pull,push repository:b:pull"',
            Challenge("bearer", "https://a/t", "", "repository:a:pull,push repository:b:pull"),
        ),
        ('Basic realm="Registry Realm"', Challenge("basic")),
        ("Basic", Challenge("basic")),
        ('Basic realm="x", Bearer realm="https://a/t",service=s', Challenge("bearer", "https://a/t", "s", "")),
        ('Bearer realm="https://a/t", Basic realm="Bearer realm=evil"', Challenge("bearer", "https://a/t")),
        ('Negotiate, Basic realm="x"', Challenge("basic")),
        ("Bearer", None),
        ("Negotiate", None),
        ("", None),
    ],
)
def test_challenges(header: str, wanted: Challenge | None) -> None:
    assert read_challenge(header) == wanted


@given(st.text(max_size=200))
def test_no_challenge_breaks_us(header: str) -> None:
    found = read_challenge(header)
    assert found is None or found.scheme == "basic" or found.realm


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"schemaVersion": 2}',
        b'{"schemaVersion": 2, "config": {"digest": "sha256:../../etc", "size": 1}}',
        b'{"schemaVersion": 2, "config": {"digest": "%s", "size": -1}}' % D.encode(),
        b'{"schemaVersion": 1, "fsLayers": []}',
    ],
)
def test_what_is_no_manifest(content: bytes) -> None:
    with pytest.raises(NotAnImage):
        read_document(content)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_manifest_or_are_not(content: bytes) -> None:
    for read in (read_document, read_config):
        try:
            read(content)
        except NotAnImage:
            continue


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10**12)), max_size=6))
def test_a_layer_that_occurs_twice_is_moved_once(layers: list[tuple[str, int]]) -> None:
    sizes = dict(layers)
    listed = [{"digest": f"sha256:{letter * 64}", "size": sizes[letter]} for letter, _ in layers]
    document = {"schemaVersion": 2, "config": {"digest": D, "size": 1}, "layers": listed}
    assert read_document(json.dumps(document).encode()).size == sum(sizes.values())


def test_labels_may_be_missing() -> None:
    assert read_config(b"{}").config is None
    found = read_config(b'{"os": "linux", "architecture": "arm64", "variant": "v8", "config": {"Labels": null}}')
    assert str(found) == "linux/arm64/v8"
    assert found.config
    assert found.config.labels is None


def test_the_image_for_a_platform() -> None:
    amd, arm = (Descriptor(D, 1, Platform("linux", *arch)) for arch in (("amd64",), ("arm64", "v8")))
    assert chosen([amd, arm], "linux/arm64") == arm
    assert chosen([amd, arm], "linux/arm64/v8") == arm
    assert chosen([amd, arm], "") == amd
    assert chosen([amd, arm], "linux/riscv64") is None
    assert chosen([arm], "linux/amd64") is None
    assert chosen([Descriptor(D, 1)], "linux/amd64") == Descriptor(D, 1)
    assert chosen([], "") is None


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1", "127.1.2.3:80", "[::1]:5000"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["ghcr.io", "localhost.evil.com", "127.0.0.1.evil.com", "1127.0.0.1", "10.0.0.5:5000", ""]
)
def test_not_this_machine(host: str) -> None:
    assert not is_loopback(host)
