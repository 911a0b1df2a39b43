"""A registry of images on this machine's loopback, and how images get into it: by its API, without an engine."""

import hashlib
import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.docker.images import Image

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
MADE = "2020-01-01T00:00:00Z"  # the same content has the same digest
PATIENCE = 20.0  # seconds to its first answer


@dataclass
class Registry:
    """Debian's docker-registry. `folder`: of what it has; `port`: of 127.0.0.1, the same after a restart."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, folder: Path) -> "Registry":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            made = cls(folder, free.getsockname()[1])
        made.up()
        return made

    @property
    def address(self) -> str:
        """What names of its images begin with. Docker takes it without TLS: it does so for all of 127.0.0.0/8."""
        return f"127.0.0.1:{self.port}"

    def up(self) -> None:
        """Start it; what it had it has again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = {
            "version": 0.1,
            "log": {"accesslog": {"disabled": True}, "level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.address},
        }
        (self.folder / "config.yml").write_text(json.dumps(config))
        program = shutil.which("docker-registry") or "registry"
        argv = ["setpriv", "--pdeathsig", "KILL", program, "serve", str(self.folder / "config.yml")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the registry does not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def down(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def push(self, image: Image, repository: str, tag: str) -> str:
        """Have it keep an image; its name by digest, such as `127.0.0.1:5000/acme/api@sha256:…`."""
        for layer in image.layers:
            self._keep(repository, layer.digest, layer.path)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "created": MADE,
            "config": dict(image.config),
            "rootfs": {"type": "layers", "diff_ids": [layer.content for layer in image.layers]},
        }
        content = json.dumps(config, sort_keys=True).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": len(content), "digest": _digest(content)},
            "layers": [{"mediaType": LAYER, "size": one.size, "digest": one.digest} for one in image.layers],
        }
        self._keep(repository, _digest(content), content)
        body = json.dumps(manifest, sort_keys=True).encode()
        self._call("PUT", f"/v2/{repository}/manifests/{tag}", body, {"Content-Type": MANIFEST})
        return f"{self.address}/{repository}@{_digest(body)}"

    def forget(self, reference: str) -> None:
        """Forget an image, named by digest: a pull of it fails from now on."""
        repository, digest = reference.removeprefix(f"{self.address}/").split("@")
        self._call("DELETE", f"/v2/{repository}/manifests/{digest}")

    def _keep(self, repository: str, digest: str, content: bytes | str) -> None:
        """Upload a blob, given as bytes or as the path of its file, unless it is there."""
        if self._call("HEAD", f"/v2/{repository}/blobs/{digest}", check=False)[0] == 200:
            return
        body = content if isinstance(content, bytes) else Path(content).read_bytes()
        _, headers = self._call("POST", f"/v2/{repository}/blobs/uploads/")
        place = urlsplit(headers["location"])
        kind = {"Content-Type": "application/octet-stream"}
        self._call("PUT", f"{place.path}?{place.query}&digest={digest}", body, kind)

    def _call(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, *, check: bool = True
    ) -> tuple[int, Mapping[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if check and answer.status >= 300:
            raise RuntimeError(f"the registry answers {method} {path} with {answer.status}: {said[:500]!r}")
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}

    def _answers(self) -> bool:
        try:
            return self._call("GET", "/v2/", check=False)[0] == 200
        except OSError:
            return False


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
