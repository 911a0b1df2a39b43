"""Requests that mean no good, or are broken."""

import socket
from urllib.parse import urlsplit

import pytest

from tests.localhub.hub import Hub, R


@pytest.mark.parametrize("body", [b"{", b'{"a": 1,}', b"\xff\xfe", b"nope", b"[" * 50_000])
def test_broken_json(hub: Hub, body: bytes) -> None:
    reply = hub.alice.raw("POST", f"{R}/issues", body)
    assert (reply.status, reply.body["message"]) == (400, "Problems parsing JSON")


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1"])
def test_json_that_is_no_object(hub: Hub, body: bytes) -> None:
    assert hub.alice.raw("POST", f"{R}/issues", body).body["message"] == "Body should be a JSON object"


def test_big_bodies(hub: Hub) -> None:
    assert hub.alice.raw("POST", f"{R}/issues", b" " * (1 << 20) + b"{}").status == 413
    padded = b'{"title": "x"}' + b" " * ((1 << 20) - 14)
    assert hub.alice.raw("POST", f"{R}/issues", padded).status == 201


@pytest.mark.parametrize(
    "name", ["' OR 1=1 --", 'x"; DROP TABLE issues;--', "🦑", "a\x00b", "<script>alert(1)</script>", "%s%n"]
)
def test_names_are_only_names(hub: Hub, name: str) -> None:
    hub.alice.post(f"{R}/issues", {"title": name, "labels": [name]})
    assert hub.alice.get(f"{R}/issues/1")["title"] == name
    hub.alice.post(f"{R}/deployments", {"ref": "main", "required_contexts": [], "environment": name, "task": name})
    assert hub.alice.get(f"{R}/deployments")[0]["environment"] == name
    assert hub.alice.get("/repos/acme/shop")["full_name"] == "acme/shop"


@pytest.mark.parametrize("number", ["0", "-1", "1e3", "٣", "9" * 40, "x", "1%27"])
def test_numbers_in_paths(hub: Hub, number: str) -> None:
    assert hub.alice.raw("GET", f"{R}/issues/{number}".encode("ascii", "ignore").decode()).status in (200, 404)


def test_unknown_paths_and_methods(hub: Hub) -> None:
    for method, target in (("GET", "/x"), ("DELETE", R), ("PUT", "/meta"), ("GET", f"{R}/issues/"), ("BREW", R)):
        reply = hub.alice.raw(method, target)
        assert (reply.status, reply.body["message"]) == (404, "Not Found")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::2]", "localhost.evil"]
)
def test_foreign_hosts_are_refused(hub: Hub, host: str) -> None:
    for target in ("/meta", "/board", "/_localhub/calls"):
        assert hub.admin.raw("GET", target, headers={"host": host}).status == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8080", "api.github.localhost"])
def test_names_of_this_machine(hub: Hub, host: str) -> None:
    reply = hub.alice.raw("GET", R, headers={"host": host})
    assert reply.body["url"] == f"http://{host}{R}", "URLs share the base of the request"


@pytest.mark.parametrize("prefix", ["/api/v3", "/api"])
def test_enterprise_prefixes(hub: Hub, prefix: str) -> None:
    assert hub.alice.raw("GET", prefix + R).body["url"] == f"{hub.url}{prefix}{R}"
    assert (
        hub.alice.raw("POST", "/api/graphql", b'{"query": "{viewer {login}}"}').body["data"]["viewer"]["login"]
        == "alice"
    )


def test_not_even_http(hub: Hub) -> None:
    where = urlsplit(hub.url)
    with socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=5) as raw:
        raw.sendall(b"\x16\x03\x01\x00garbage\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")
    assert hub.alice.call("GET", R).status == 200
