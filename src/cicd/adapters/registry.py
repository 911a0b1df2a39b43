"""A registry of images, asked without pulling: which digest a tag has, and what is known of an image by its digest."""

import base64
import contextlib
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import tenacity

from cicd.adapters.docker_config import Login, login_of, may_be_plain
from cicd.adapters.github_calls import PATIENCE, in_thread, wait_as_told
from cicd.adapters.http import Answer, Endless, Untrusted, exchange
from cicd.adapters.runner import Runner
from cicd.core.oci import (
    DIGEST,
    IMAGES,
    INDEXES,
    Challenge,
    Document,
    Manifest,
    NotAnImage,
    chosen,
    digest_of,
    is_loopback,
    read_challenge,
    read_config,
    read_document,
    repository_of,
)
from cicd.errors import CicdError, ImageMissing, RegistryDenied, RegistryUnavailable

ACCEPT = ", ".join((*INDEXES, *IMAGES))
PLATFORM = "linux/amd64"
GITHUB, GITHUB_API = "ghcr.io", "https://api.github.com"  # the registry that takes the tokens of this GitHub


ANYBODY = "x-access-token"  # GitHub's registry looks at the token alone


class Busy(OSError):
    """The registry says that it cannot answer now: 429 or 5xx. `headers` may say when it can."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {_told(answer)}".strip())
        self.status, self.headers = answer.status, answer.headers


class Registry:
    """One repository in a registry."""

    def __init__(
        self,
        repository: str,
        env: Mapping[str, str],
        *,
        user: str = "",
        token: str = "",
        github: str = "",
        patience: float = PATIENCE,
    ) -> None:
        """Makes no request.

        Args:
            repository: such as `ghcr.io/acme/api`, without a tag.
            env: whose Docker config is read.
            user, token: our login; without a token it is Docker's.
            github: GitHub's token, which its registry alone is shown, where Docker has no login for it.
            patience: seconds that one question may take with all its repetitions.
        """
        self.name = repository
        self._at = repository_of(repository)
        self._env = env
        self._given = Login(user or ANYBODY, token) if token else None
        self._github = Login(ANYBODY, github) if github and self._at.host == GITHUB else None
        self._patience = patience
        self._schemes = ("https", "http") if may_be_plain(self._at.host) else ("https",)
        self._authorization = ""

    @classmethod
    def of(cls, repository: str, runner: Runner) -> "Registry":
        """One that a job asks: by Docker's login, or by the job's own token, if it is of the GitHub that has GITHUB."""
        return cls(repository, runner.env, github=runner.token if runner.api_url == GITHUB_API else "")

    def resolve(self, tag: str) -> str:
        """The digest that a tag has now. Raises ImageMissing, RegistryDenied, RegistryUnavailable."""
        answer = self._ask("HEAD", f"manifests/{tag}")  # Docker Hub counts a GET as a pull
        digest = answer.headers.get("docker-content-digest", "")
        if answer.status == 200 and not re.match(DIGEST, digest):
            answer = self._ask("GET", f"manifests/{tag}")
            digest = digest_of(answer.body)
        self._demand(answer, tag)
        return digest

    def has(self, digest: str) -> bool:
        """Whether an image is there. Raises RegistryDenied, RegistryUnavailable."""
        answer = self._ask("HEAD", f"manifests/{digest}")
        if answer.status == 404:
            return False
        self._demand(answer, digest)
        return True

    def manifest(self, digest: str, platform: str = PLATFORM) -> Manifest:
        """What is known of an image, by its digest alone. Its bytes are held against the digests that name them.

        Raises:
            ImageMissing: it is not there, or not for this platform. RegistryDenied. RegistryUnavailable.
        """
        content = self._content("manifests", digest)
        try:
            document = read_document(content)
            if document.manifests is None:
                return self._image(digest, content, document, "")
            one = chosen(document.images(), platform)
            every = tuple(str(image.platform or "") for image in document.images())
            if one is None:
                raise ImageMissing(
                    f"{self.name}@{digest} has no image for {platform}",
                    cause=f"it was built for {', '.join(every) or 'nothing'}",
                    next_step="build it for this kind of processor too (`platforms:` of build.yml)",
                )
            inner = read_document(self._content("manifests", one.digest))
            found = self._image(digest, content, inner, str(one.platform or ""))
            return Manifest(digest, content, every, found.platform, found.size, found.labels)
        except NotAnImage as error:
            raise ImageMissing(
                f"{self.name}@{digest} is not an image: {error}",
                cause="the digest names something else that is kept there",
                next_step="give the digest that the build has told",
            ) from error

    def present(self, digest: str, platform: str = PLATFORM) -> Manifest | None:
        """What is known of an image; None if it is not there. Raises as manifest does, but for what is missing."""
        return self.manifest(digest, platform) if self.has(digest) else None

    def _image(self, digest: str, content: bytes, document: Document, platform: str) -> Manifest:
        """Raises NotAnImage."""
        if document.config is None:
            raise NotAnImage("an index within an index")
        config = read_config(self._content("blobs", document.config.digest))
        platform = platform or str(config)
        labels = (config.config and config.config.labels) or {}
        return Manifest(digest, content, (platform,), platform, document.size, labels)

    def _content(self, kind: str, digest: str) -> bytes:
        """Bytes that have this digest. Raises ImageMissing, RegistryDenied, RegistryUnavailable."""
        answer = self._ask("GET", f"{kind}/{digest}")
        self._demand(answer, digest)
        if digest_of(answer.body) != digest:
            raise RegistryUnavailable(
                f"{self._at.host} sends other bytes for {digest}",
                cause="a proxy answers in its place, or what it keeps is damaged",
                next_step="try again; push the image anew if that does not help",
            )
        return answer.body

    def _demand(self, answer: Answer, name: str) -> None:
        """Raises ImageMissing, RegistryDenied, RegistryUnavailable for all but a good answer."""
        if answer.status != 200:
            raise _refusal(answer, self._at.host, f"{self.name}{'@' if ':' in name else ':'}{name}")

    def _ask(self, method: str, path: str) -> Answer:
        """An answer that is no passing fault. Raises RegistryDenied, RegistryUnavailable."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, OSError)),
            wait=wait_as_told,
            stop=tenacity.stop_before_delay(self._patience),
            reraise=True,
        )
        try:
            for attempt in retrying:
                with attempt:
                    return self._authorized(method, path)
        except OSError as error:
            raise _away(self._at.host, error) from error
        raise AssertionError("tenacity either returns or raises")

    def _authorized(self, method: str, path: str) -> Answer:
        """One answer, after saying who we are if we are asked. Raises OSError, RegistryDenied."""
        answer = self._get(method, path)
        challenge = read_challenge(answer.headers.get("www-authenticate", "")) if answer.status == 401 else None
        if challenge is None:
            return answer
        login = self._given or login_of(self._at.login, self._env)
        if login is None and self._github:  # it may not be allowed what everybody is
            with contextlib.suppress(RegistryDenied):
                found = self._authorized_as(self._github, challenge, method, path)
                if found and found.status not in (401, 403):
                    return found
        return self._authorized_as(login, challenge, method, path) or answer

    def _authorized_as(self, login: Login | None, challenge: Challenge, method: str, path: str) -> Answer | None:
        """One answer to somebody; None if the registry has no way to let them in. Raises OSError, RegistryDenied."""
        authorization = self._authorize(login, challenge)
        if not authorization:
            return None
        self._authorization = authorization
        return self._get(method, path)

    def _get(self, method: str, path: str) -> Answer:
        headers = {"accept": ACCEPT}
        if self._authorization:
            headers["authorization"] = self._authorization
        answer = None
        for scheme in self._schemes:
            try:
                answer = self._send(method, f"{scheme}://{self._at.host}/v2/{self._at.path}/{path}", headers)
                self._schemes = (scheme,)
                break
            except OSError:
                if scheme == self._schemes[-1]:
                    raise
        assert answer
        return answer

    def _send(self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None) -> Answer:
        """One answer in half of our patience. Raises Busy, OSError, RegistryUnavailable."""
        direct = is_loopback(urlsplit(url).netloc)
        seconds = self._patience / 2
        try:
            answer = in_thread(
                seconds, lambda: exchange(method, url, headers, form=form, proxied=not direct, timeout=seconds)
            )
        except Untrusted as error:
            if "http" in self._schemes:
                raise
            raise RegistryUnavailable(
                str(error),
                cause="it is signed by an authority of your own, or somebody stands between",
                next_step="add the authority to this machine (REQUESTS_CA_BUNDLE names a file of them)",
            ) from error
        if answer.status == 429 or answer.status >= 500:
            raise Busy(answer)
        return answer

    def _authorize(self, login: Login | None, challenge: Challenge) -> str:
        """The header that says who we are; empty if nobody. Raises OSError, RegistryDenied."""
        if challenge.scheme == "basic":
            return _basic(login) if login else ""
        where = urlsplit(challenge.realm)
        if where.scheme != "https" and not may_be_plain(where.netloc):
            raise RegistryDenied(
                f"{self._at.host} wants us to log in at {challenge.realm[:200]}, which is not encrypted",
                cause="others could read the login, so it was not sent",
                next_step="let the registry name an address with https, or name it in Docker's `insecure-registries`",
            )
        scope = challenge.scope or f"repository:{self._at.path}:pull"
        if login and login.is_identity:
            form = {"grant_type": "refresh_token", "client_id": "cicd", "refresh_token": login.secret}
            form |= {"service": challenge.service, "scope": scope}
            answer = self._send("POST", challenge.realm, {"accept": "application/json"}, form)
        else:
            query = urlencode({"service": challenge.service, "scope": scope})
            headers = {"accept": "application/json"} | ({"authorization": _basic(login)} if login else {})
            url = f"{challenge.realm}{'&' if where.query else '?'}{query}"
            answer = self._send("GET", url, headers)
        if answer.status != 200:
            raise _refusal(answer, where.netloc, self.name)
        return f"Bearer {_token(answer)}"


def _basic(login: Login) -> str:
    return "Basic " + base64.b64encode(f"{login.user}:{login.secret}".encode()).decode()


def _json(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _token(answer: Answer) -> str:
    found = _json(answer)
    token = found.get("token") or found.get("access_token")
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise OSError("the answer holds no token")
    return token


def _told(answer: Answer) -> str:
    """The registry's own words, if it has any."""
    errors = _json(answer).get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    return " ".join(str(first.get(key) or "") for key in ("code", "message")).strip()[:300]


def _refusal(answer: Answer, host: str, what: str) -> CicdError:
    said = f"{answer.status} {_told(answer)}".strip()
    if answer.status in (401, 403):
        return RegistryDenied(
            f"{host} does not let us see {what}: {said}",
            cause="there is no login for it here, it has expired, or it may not read; some say so of what is not there",
            next_step=f"`docker login {host}` as a user who may read it; in a job on GitHub `packages: read`",
        )
    if answer.status == 404:
        return ImageMissing(
            f"{what} is not in the registry",
            cause="it was never pushed there, or was deleted",
            next_step="push it (build.yml does), then promote the digest that this gives",
        )
    return RegistryUnavailable(
        f"{host} answers {said} for {what}",
        cause="it is no registry of images, or a proxy answers in its place",
        next_step="check `image:` of the config",
    )


def _away(host: str, error: OSError) -> RegistryUnavailable:
    said = str(error) if isinstance(error, Busy | Endless) or type(error) is OSError else type(error).__name__
    limited = isinstance(error, Busy) and error.status == 429
    return RegistryUnavailable(
        f"{host} does not answer: {said[:300]}",
        cause="its limit of requests is used up" if limited else "it is away, or the network is",
        next_step="log in, which has a higher limit, or try again later"
        if limited
        else "try again; what runs goes on running",
    )
