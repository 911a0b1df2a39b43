"""Real registries for tests: Debian's docker-registry on loopback, and images pushed into it without Docker."""

import contextlib
import gzip
import hashlib
import io
import json
import shutil
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
COMMIT = "c0ffee" * 6 + "cafe"
USER, PASSWORD = "ci", "s3cret-word"  # what HTPASSWD says, by bcrypt
HTPASSWD = "ci:$2b$05$4uykJDT8LmME3aybFhpr9.Oxbgh/HhcKj/1Va5mLKz2FuX0i94g/m\n"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def layer(size: int) -> bytes:
    """A layer with one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("file")
        entry.size = size
        tar.addfile(entry, io.BytesIO(b"x" * size))
    return gzip.compress(packed.getvalue(), mtime=0)


@dataclass(frozen=True)
class Pusher:
    """Puts images into a repository. `at`: host and port."""

    at: str
    name: str
    login: tuple[str, str] | None = None

    def blob(self, content: bytes) -> dict[str, Any]:
        begun = requests.post(f"http://{self.at}/v2/{self.name}/blobs/uploads/", auth=self.login, timeout=10)
        begun.raise_for_status()
        where = requests.Request("PUT", begun.headers["location"], params={"digest": digest(content)}).prepare().url
        requests.put(str(where), data=content, auth=self.login, timeout=10).raise_for_status()
        return {"digest": digest(content), "size": len(content)}

    def put(self, document: Mapping[str, Any], tag: str = "") -> str:
        content = json.dumps(document).encode()
        url = f"http://{self.at}/v2/{self.name}/manifests/{tag or digest(content)}"
        headers = {"content-type": str(document["mediaType"])}
        requests.put(url, data=content, headers=headers, auth=self.login, timeout=10).raise_for_status()
        return digest(content)

    def image(
        self,
        tag: str = "",
        labels: Mapping[str, str] | None = None,
        sizes: tuple[int, ...] = (10,),
        arch: str = "amd64",
    ) -> str:
        """An image; gives its digest."""
        config = {"os": "linux", "architecture": arch, "config": {"Labels": labels}, "rootfs": {"type": "layers"}}
        made = {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": self.blob(json.dumps(config).encode())
            | {"mediaType": "application/vnd.oci.image.config.v1+json"},
            "layers": [
                self.blob(layer(size)) | {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"} for size in sizes
            ],
        }
        return self.put(made, tag)

    def index(self, images: Mapping[str, str], tag: str = "") -> str:
        """An index of images, by their platforms such as `linux/amd64`; gives its digest."""
        entries = []
        for platform, image in images.items():
            system, _, arch = platform.partition("/")
            size = int(self.head(image)["content-length"])
            about = {"os": system, "architecture": arch}
            entries.append({"mediaType": IMAGE, "digest": image, "size": size, "platform": about})
        return self.put({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, tag)

    def head(self, image: str) -> Mapping[str, str]:
        url = f"http://{self.at}/v2/{self.name}/manifests/{image}"
        answer = requests.head(url, headers={"accept": f"{IMAGE}, {INDEX}"}, auth=self.login, timeout=10)
        answer.raise_for_status()
        return answer.headers


@contextlib.contextmanager
def docker_registry(folder: Path, auth: str = "") -> Iterator[str]:
    """A registry that answers; gives its host and port. `auth`: that section of its config."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is missing: apt-get install docker-registry")
    folder.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        at = f"127.0.0.1:{free.getsockname()[1]}"
    storage = f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}"
    config = folder / "config.yml"
    config.write_text(f"version: 0.1\nlog: {{level: warn}}\n{storage}\nhttp: {{addr: '{at}'}}\n{auth}")
    log = (folder / "log").open("wb")
    with log, subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log) as server:
        try:
            _await(at, server, folder / "log")
            yield at
        finally:
            server.terminate()


def _await(at: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(400):
        assert server.poll() is None, log.read_text()
        with contextlib.suppress(OSError):
            requests.get(f"http://{at}/v2/", timeout=5)
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


Reply = tuple[int, Mapping[str, str], bytes]


@dataclass
class Stranger:
    """A server that answers as it is told. `seen`: method, path and authorization of each request."""

    at: str
    seen: list[tuple[str, str, str]]


@contextlib.contextmanager
def stranger(answer: Callable[[str, str, str], Reply]) -> Iterator[Stranger]:
    """A server whose answer follows from method, path and authorization (and the body, after a blank)."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            who = self.headers.get("authorization") or ""
            told.seen.append((self.command, self.path, who or body))
            status, headers, content = answer(self.command, self.path, who or body)
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = handle_one

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told = Stranger(f"127.0.0.1:{server.server_address[1]}", [])
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield told
        finally:
            server.shutdown()
