"""A real registry, with and without logins; and servers that behave badly in its place."""

import base64
import datetime
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cicd.adapters import docker_config, registry
from cicd.adapters.http import Untrusted
from cicd.adapters.registry import Registry
from cicd.adapters.runner import Runner
from cicd.errors import ImageMissing, RegistryDenied, RegistryUnavailable
from tests.adapters.registries import (
    COMMIT,
    HTPASSWD,
    PASSWORD,
    USER,
    Pusher,
    Reply,
    digest,
    docker_registry,
    stranger,
)

pytestmark = pytest.mark.real
REVISION = "org.opencontainers.image.revision"
NONE = "sha256:" + "0" * 64


@pytest.fixture(scope="session")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry") / "open") as found:
        yield found


@pytest.fixture(scope="session")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that wants a password."""
    folder = tmp_path_factory.mktemp("registry")
    (folder / "htpasswd").write_text(HTPASSWD)
    with docker_registry(
        folder / "closed", f"auth: {{htpasswd: {{realm: r, path: {folder / 'htpasswd'}}}}}\n"
    ) as found:
        yield found


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}


def config(env: dict[str, str], **content: Any) -> None:
    """Docker's config.json."""
    folder = Path(env["HOME"]) / ".docker"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(content))


def basic(user: str = USER, password: str = PASSWORD) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def helper(env: dict[str, str], name: str, script: str) -> None:
    """A credential helper that writes down what it was asked."""
    path = Path(env["HOME"]) / f"docker-credential-{name}"
    path.write_text(f'#!/bin/sh\necho "$1 $(cat)" >> "{env["HOME"]}/asked"\n{script}\n')
    path.chmod(0o755)


def test_an_image(at: str, env: dict[str, str]) -> None:
    image = Pusher(at, "acme/api").image("v1", {REVISION: COMMIT}, sizes=(10, 5000))
    api = Registry(f"{at}/acme/api", env)
    assert api.resolve("v1") == image
    assert api.has(image)
    found = api.present(image)
    assert found
    assert (found.digest, found.platforms, found.platform) == (image, ("linux/amd64",), "linux/amd64")
    assert digest(found.content) == image
    assert found.revision == COMMIT
    assert found.size == sum(layer["size"] for layer in json.loads(found.content)["layers"])


def test_an_index_is_told_by_the_image_for_the_platform(at: str, env: dict[str, str]) -> None:
    pusher = Pusher(at, "acme/both")
    amd = pusher.image(labels={REVISION: COMMIT}, sizes=(10,))
    arm = pusher.image(labels={REVISION: "b" * 40}, sizes=(3000, 20), arch="arm64")
    proof = pusher.image(labels=None, arch="unknown")
    index = pusher.index({"linux/amd64": amd, "linux/arm64": arm, "unknown/unknown": proof}, "v1")
    api = Registry(f"{at}/acme/both", env)
    found = api.manifest(index)
    assert (api.resolve("v1"), found.digest, digest(found.content)) == (index, index, index)
    assert found.platforms == ("linux/amd64", "linux/arm64"), "what is not to be run is no platform"
    assert (found.platform, found.revision) == ("linux/amd64", COMMIT)
    assert api.manifest(index, "linux/arm64").revision == "b" * 40
    assert api.manifest(index, "linux/arm64").size == api.manifest(arm).size
    with pytest.raises(ImageMissing, match=r"no image for linux/s390x.*built for linux/amd64, linux/arm64"):
        api.manifest(index, "linux/s390x")


def test_an_image_without_labels_says_no_commit(at: str, env: dict[str, str]) -> None:
    image = Pusher(at, "acme/bare").image()
    assert Registry(f"{at}/acme/bare", env).manifest(image).revision == ""


def test_what_is_not_there(at: str, env: dict[str, str]) -> None:
    image = Pusher(at, "acme/api").image()
    api = Registry(f"{at}/acme/api", env)
    assert not api.has(NONE)
    assert api.present(NONE) is None
    assert Registry(f"{at}/acme/none", env).present(image) is None
    with pytest.raises(ImageMissing, match="acme/api:nope is not in the registry"):
        api.resolve("nope")
    with pytest.raises(ImageMissing, match=f"acme/api@{NONE}"):
        api.manifest(NONE)


def test_a_login_in_the_file(closed: str, env: dict[str, str]) -> None:
    image = Pusher(closed, "acme/api", (USER, PASSWORD)).image("v1")
    config(env, auths={"ghcr.io": {"auth": basic("no", "no")}, f"http://{closed}/v2/": {"auth": basic()}})
    assert Registry(f"{closed}/acme/api", env).resolve("v1") == image
    assert Registry(f"{closed}/acme/api", env).manifest(image).digest == image


def test_a_login_that_is_given_goes_before_the_file(closed: str, env: dict[str, str]) -> None:
    config(env, auths={closed: {"auth": basic("no", "no")}})
    api = Registry(f"{closed}/acme/api", env, user=USER, token=PASSWORD)
    image = Pusher(closed, "acme/api", (USER, PASSWORD)).image()
    assert api.has(image)
    assert PASSWORD not in repr(vars(api))


@pytest.mark.parametrize("where", ["credHelpers", "credsStore"])
def test_a_login_by_a_helper(closed: str, env: dict[str, str], where: str) -> None:
    image = Pusher(closed, "acme/api", (USER, PASSWORD)).image()
    helper(env, "vault", f"""echo a warning >&2; echo '{{"Username": "{USER}", "Secret": "{PASSWORD}"}}'""")
    config(env, **{where: {closed: "vault"} if where == "credHelpers" else "vault"})
    assert Registry(f"{closed}/acme/api", env).has(image)
    assert (Path(env["HOME"]) / "asked").read_text() == f"get {closed}\n"


def test_a_helper_that_knows_nothing_leaves_it_to_the_file(closed: str, env: dict[str, str]) -> None:
    image = Pusher(closed, "acme/api", (USER, PASSWORD)).image()
    helper(env, "vault", "echo credentials not found in native keychain; exit 1")
    config(env, credsStore="vault", auths={closed: {"auth": basic()}})
    assert Registry(f"{closed}/acme/api", env).has(image)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo the vault is locked; exit 1", "the vault is locked"),
        (f"""echo '{{"Secret": "{PASSWORD}"}}'""", "does not answer as a helper does"),
        (None, "it is not there"),
    ],
)
def test_a_helper_that_fails(closed: str, env: dict[str, str], script: str | None, told: str) -> None:
    if script:
        helper(env, "vault", script)
    config(env, credsStore="vault")
    with pytest.raises(RegistryDenied, match=told) as caught:
        Registry(f"{closed}/acme/api", env).has(NONE)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("login", [None, basic(password="wrong-word")])
def test_a_login_that_is_missing_or_wrong(closed: str, env: dict[str, str], login: str | None) -> None:
    config(env, auths={closed: {"auth": login}} if login else {})
    with pytest.raises(RegistryDenied, match=r"does not let us see .*acme/api@sha256.* 401.*docker login") as caught:
        Registry(f"{closed}/acme/api", env).manifest(NONE)
    assert "wrong-word" not in str(caught.value)
    with pytest.raises(RegistryDenied):
        Registry(f"{closed}/acme/api", env).resolve("v1")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"auths": 3, "credHelpers": []}', '{"auths": {"HOST": "x"}}'])
def test_a_broken_config_is_no_login(closed: str, env: dict[str, str], content: str) -> None:
    config(env)
    (Path(env["HOME"]) / ".docker" / "config.json").write_text(content.replace("HOST", closed))
    with pytest.raises(RegistryDenied):
        Registry(f"{closed}/acme/api", env).has(NONE)


def test_a_login_from_netrc_is_not_ours(closed: str, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = Path(env["HOME"]) / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with pytest.raises(RegistryDenied):
        Registry(f"{closed}/acme/api", env).has(NONE)


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """A real registry that wants tokens, and what the service that gives them was asked."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tokens")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    certificate = made.sign(key, hashes.SHA256())
    (tmp_path / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    chain = [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]

    def give(method: str, path: str, who: str) -> Reply:
        known = who == f"Basic {basic()}" or (method == "POST" and "refresh_token=identity-word" in who)
        if not known:
            return 401, {}, b'{"errors": [{"code": "UNAUTHORIZED", "message": "who are you"}]}'
        access = [{"type": "repository", "name": "acme/api", "actions": ["pull", "push"]}]
        claims = {"iss": "tokens", "sub": USER, "aud": "registry", "exp": int(time.time()) + 60, "nbf": 0, "iat": 0}
        claims |= {"jti": str(time.time_ns()), "access": access}
        token = jwt.encode(claims, key, algorithm="ES256", headers={"x5c": chain})
        return 200, {}, json.dumps({"access_token" if method == "POST" else "token": token}).encode()

    with stranger(give) as service:
        about = f"realm: 'http://{service.at}/token?account=a', service: registry, issuer: tokens"
        auth = f"auth: {{token: {{{about}, rootcertbundle: {tmp_path / 'ca.pem'}}}}}\n"
        with docker_registry(tmp_path / "tokens", auth) as found:
            yield found, service.seen


def test_tokens(tokens: tuple[str, list[tuple[str, str, str]]], env: dict[str, str]) -> None:
    at, seen = tokens
    config(env, auths={at: {"auth": basic()}})
    api = Registry(f"{at}/acme/api", env)
    assert not api.has(NONE)
    assert not api.has(NONE)
    assert len(seen) == 1, "a token is used as long as it holds"
    method, path, who = seen[0]
    assert (method, who) == ("GET", f"Basic {basic()}")
    assert path == "/token?account=a&service=registry&scope=repository%3Aacme%2Fapi%3Apull"
    with pytest.raises(RegistryDenied, match="401"):
        Registry(f"{at}/acme/other", env).has(NONE)


def test_an_identity_is_exchanged_for_a_token(
    tokens: tuple[str, list[tuple[str, str, str]]], env: dict[str, str]
) -> None:
    at, seen = tokens
    helper(env, "cloud", """echo '{"Username": "<token>", "Secret": "identity-word"}'""")
    config(env, credHelpers={at: "cloud"})
    assert not Registry(f"{at}/acme/api", env).has(NONE)
    assert [(method, path) for method, path, _ in seen] == [("POST", "/token?account=a")]


def test_a_token_service_that_says_no(tokens: tuple[str, list[tuple[str, str, str]]], env: dict[str, str]) -> None:
    with pytest.raises(RegistryDenied, match="UNAUTHORIZED who are you"):
        Registry(f"{tokens[0]}/acme/api", env).has(NONE)


@pytest.fixture
def githubs(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`githubs(at)`: the registry there is GitHub's, and PASSWORD a token that it takes."""
    monkeypatch.setattr(registry, "ANYBODY", USER)
    return lambda at: monkeypatch.setattr(registry, "GITHUB", at)


def job(env: dict[str, str], token: str = PASSWORD, **others: str) -> Runner:
    return Runner({**env, **others}, token=token)


def test_a_job_is_let_in_by_its_own_token(closed: str, env: dict[str, str], githubs: Callable[[str], None]) -> None:
    githubs(closed)
    image = Pusher(closed, "acme/of-a-job", (USER, PASSWORD)).image("v1", {REVISION: COMMIT})
    assert Registry.of(f"{closed}/acme/of-a-job", job(env)).manifest(image).revision == COMMIT
    with pytest.raises(RegistryDenied, match="packages: read"):
        Registry.of(f"{closed}/acme/of-a-job", job(env, "wrong")).has(image)


def test_a_job_is_given_a_token_for_its_own(
    tokens: tuple[str, list[tuple[str, str, str]]], env: dict[str, str], githubs: Callable[[str], None]
) -> None:
    at, seen = tokens
    githubs(at)
    assert not Registry.of(f"{at}/acme/api", job(env)).has(NONE)
    assert [who for _, _, who in seen] == [f"Basic {basic()}"]


def test_the_login_of_docker_goes_before_the_token_of_the_job(
    closed: str, env: dict[str, str], githubs: Callable[[str], None]
) -> None:
    githubs(closed)
    config(env, auths={closed: {"auth": basic()}})
    assert not Registry.of(f"{closed}/acme/api", job(env, "wrong")).has(NONE)


@pytest.mark.parametrize("other", ["registry", "api"])
def test_the_token_of_a_job_is_for_its_own_github_alone(
    env: dict[str, str], githubs: Callable[[str], None], other: str
) -> None:
    with stranger(lambda *_: (401, {"www-authenticate": "Basic"}, b"")) as server:
        githubs("ghcr.io" if other == "registry" else server.at)
        others = {"GITHUB_API_URL": "https://github.acme.example/api/v3"} if other == "api" else {}
        with pytest.raises(RegistryDenied):
            Registry.of(f"{server.at}/acme/api", job(env, **others)).has(NONE)
    assert server.seen
    assert {who for _, _, who in server.seen} == {""}


def test_the_token_of_a_job_is_not_sent_where_others_can_read_it(
    env: dict[str, str], githubs: Callable[[str], None]
) -> None:
    def ask(*_: str) -> Reply:
        return 401, {"www-authenticate": 'Bearer realm="http://tokens.example.org/t",service="s"'}, b""

    with stranger(ask) as server:
        githubs(server.at)
        with pytest.raises(RegistryDenied, match="which is not encrypted"):
            Registry.of(f"{server.at}/acme/api", job(env)).has(NONE)
    assert {who for _, _, who in server.seen} == {""}


@pytest.mark.parametrize("says_no", ["token service", "registry"])
def test_what_everybody_may_see_a_job_without_rights_sees_too(
    env: dict[str, str], githubs: Callable[[str], None], says_no: str
) -> None:
    content = b"{}"

    def give(_: str, __: str, who: str) -> Reply:
        if who and says_no == "token service":
            return 403, {}, b'{"errors": [{"code": "DENIED"}]}'
        return 200, {}, json.dumps({"token": "of-the-job" if who else "of-everybody"}).encode()

    with stranger(give) as service:

        def ask(_: str, __: str, who: str) -> Reply:
            if not who:
                return 401, {"www-authenticate": f'Bearer realm="http://{service.at}/token",service="s"'}, b""
            return (200, {}, content) if who == "Bearer of-everybody" else (403, {}, b"")

        with stranger(ask) as server:
            githubs(server.at)
            assert Registry.of(f"{server.at}/acme/api", job(env)).has(digest(content))
    assert [bool(who) for _, _, who in service.seen] == [True, False]


def test_no_login_is_told_by_accident(env: dict[str, str]) -> None:
    assert PASSWORD not in repr(job(env))


def test_no_login_is_sent_where_others_can_read_it(env: dict[str, str]) -> None:
    def ask(*_: str) -> Reply:
        return 401, {"www-authenticate": 'Bearer realm="http://tokens.example.org/t",service="s"'}, b""

    with stranger(ask) as server:
        config(env, auths={server.at: {"auth": basic()}})
        with pytest.raises(RegistryDenied, match=r"tokens\.example\.org/t, which is not encrypted"):
            Registry(f"{server.at}/acme/api", env).has(NONE)
        assert {who for _, _, who in server.seen} == {""}


def test_plain_http_is_for_loopback_and_what_docker_calls_insecure(tmp_path: Path) -> None:
    daemon = tmp_path / "daemon.json"
    for content in ("", "[]", '{"insecure-registries": "all"}'):
        daemon.write_text(content)
        assert not docker_config.may_be_plain("registry.lan:5000", daemon)
    daemon.write_text('{"insecure-registries": ["registry.lan:5000", "10.1.0.0/16"]}')
    assert docker_config.may_be_plain("registry.lan:5000", daemon)
    assert docker_config.may_be_plain("10.1.2.3:5000", daemon)
    assert docker_config.may_be_plain("localhost:1", tmp_path / "none")
    for host in ("registry.lan", "registry.lan:5001", "10.2.0.1:5000", "ghcr.io"):
        assert not docker_config.may_be_plain(host, daemon)


def test_a_redirect_to_elsewhere_takes_no_login_along(env: dict[str, str]) -> None:
    content = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    with stranger(lambda *_: (200, {}, content)) as store:

        def lead(_: str, path: str, who: str) -> Reply:
            if not who:
                return 401, {"www-authenticate": "Basic"}, b""
            return 307, {"location": f"http://{store.at}{path}"}, b""

        with stranger(lead) as server:
            api = Registry(f"{server.at}/acme/api", env, user=USER, token=PASSWORD)
            assert api.resolve("v1") == digest(content)
            assert server.seen[-1][2] == f"Basic {basic()}"
    assert {who for _, _, who in store.seen} == {""}


def test_an_identity_goes_to_the_token_service_alone(env: dict[str, str]) -> None:
    helper(env, "cloud", """echo '{"Username": "<token>", "Secret": "identity-word"}'""")
    with stranger(lambda *_: (200, {}, b"{}")) as elsewhere:

        def lead(method: str, path: str, _: str) -> Reply:
            if method == "POST":
                return 307, {"location": f"http://{elsewhere.at}/"}, b""
            return 401, {"www-authenticate": f'Bearer realm="http://{server.at}/t",service="s"'}, b""

        with stranger(lead) as server:
            config(env, credsStore="cloud")
            with pytest.raises(RegistryUnavailable, match="not to know what was posted"):
                Registry(f"{server.at}/acme/api", env, patience=1).has(NONE)
    assert elsewhere.seen == []


def test_a_redirect_without_end(env: dict[str, str]) -> None:
    with (
        stranger(lambda *_: (302, {"location": "/v2/on"}, b"")) as server,
        pytest.raises(RegistryUnavailable, match="leads on and on"),
    ):
        Registry(f"{server.at}/acme/api", env, patience=1).has(NONE)


def test_what_passes_is_waited_for(env: dict[str, str]) -> None:
    answers = iter([(503, {}, b""), (429, {"retry-after": "0"}, b""), (502, {"retry-after": "soon"}, b"<html>")])
    strange = iter([(503, {"retry-after": text}, b"") for text in ("-1", "nan")])
    with stranger(lambda *_: next(answers, (200, {}, b""))) as server:
        assert Registry(f"{server.at}/acme/api", env).has(NONE)
        assert len(server.seen) == 4
    with stranger(lambda *_: next(strange, (200, {}, b""))) as server:
        assert Registry(f"{server.at}/acme/api", env).has(NONE)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ((503, {}, b'{"errors": [{"code": "DOWN", "message": "for repair"}]}'), "503 DOWN for repair.*it is away"),
        ((429, {"retry-after": "999"}, b""), "429.*limit of requests is used up.*log in"),
        ((400, {}, b"<html>"), "answers 400.*no registry of images"),
    ],
)
def test_a_registry_that_does_not_answer_well(env: dict[str, str], reply: Reply, told: str) -> None:
    with stranger(lambda *_: reply) as server, pytest.raises(RegistryUnavailable, match=told):
        Registry(f"{server.at}/acme/api", env, patience=1).manifest(NONE)


def test_a_registry_that_is_away(env: dict[str, str]) -> None:
    with stranger(lambda *_: (200, {}, b"")) as server:
        at = server.at
    with pytest.raises(RegistryUnavailable, match=f"{at} does not answer"):
        Registry(f"{at}/acme/api", env, patience=1).has(NONE)


def test_other_bytes_than_those_asked_for(env: dict[str, str]) -> None:
    with (
        stranger(lambda *_: (200, {}, b"{}")) as server,
        pytest.raises(RegistryUnavailable, match="sends other bytes"),
    ):
        Registry(f"{server.at}/acme/api", env).manifest(NONE)


@pytest.mark.parametrize("content", [b"{}", b"<html>", b'{"schemaVersion": 1, "fsLayers": []}'])
def test_what_is_no_image(env: dict[str, str], content: bytes) -> None:
    with stranger(lambda *_: (200, {}, content)) as server, pytest.raises(ImageMissing, match="is not an image"):
        Registry(f"{server.at}/acme/api", env).manifest(digest(content))


def test_an_answer_without_an_end(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicd.adapters.http.MOST", 1000)
    with (
        stranger(lambda *_: (200, {}, b"x" * 100_000)) as server,
        pytest.raises(RegistryUnavailable, match="has no end within"),
    ):
        Registry(f"{server.at}/acme/api", env, patience=1).manifest(NONE)


def test_a_certificate_that_is_not_trusted(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def untrusted(*_: object, **__: object) -> None:
        raise Untrusted("ghcr.io shows a certificate that is not trusted here")

    monkeypatch.setattr(registry, "exchange", untrusted)
    with pytest.raises(RegistryUnavailable, match=r"not trusted here.*REQUESTS_CA_BUNDLE"):
        Registry("ghcr.io/acme/api", env).has(NONE)
