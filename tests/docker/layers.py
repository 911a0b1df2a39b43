"""Layers of images, made of this machine's own files: nothing is downloaded. Kept in a folder by what is in them."""

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

KEPT = Path(os.environ.get("CICD_LAB") or "~/.cache/cicd-lab").expanduser()
FORMAT = "1"  # of what is kept; raise it when a layer of the same files is to look different


@dataclass(frozen=True)
class Layer:
    """A layer. `digest`: of the packed file, `content`: of the tar in it; both begin with sha256:."""

    path: str
    digest: str
    content: str
    size: int


@dataclass(frozen=True)
class Entry:
    """What stands at a place of a layer: a file of this machine, a text, a link, or an empty folder."""

    file: Path | None = None
    text: str = ""
    link: str = ""
    folder: bool = False
    mode: int = 0o755
    owner: int = 0

    def told(self) -> list[str]:
        """What a change of it is seen by."""
        about = self.file.stat() if self.file else None
        seen = [str(self.file), str(about.st_size), str(about.st_mtime_ns)] if about else []
        return [*seen, self.text, self.link, str(self.folder), str(self.mode), str(self.owner)]


def layer(entries: Mapping[str, Entry]) -> Layer:
    """A layer with these entries, by their path (without the first slash)."""
    told = json.dumps([FORMAT, *([path, *entry.told()] for path, entry in sorted(entries.items()))])
    key = hashlib.sha256(told.encode()).hexdigest()[:32]
    about = KEPT / f"{key}.json"
    if not about.exists():
        _keep(entries, KEPT / f"{key}.tar.gz", about)
    return Layer(**json.loads(about.read_text()))


def _keep(entries: Mapping[str, Entry], path: Path, about: Path) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    plain = _tar(entries)
    packed = gzip.compress(plain, compresslevel=1, mtime=0)
    made = Layer(str(path), _digest(packed), _digest(plain), len(packed))
    for place, content in ((path, packed), (about, json.dumps(asdict(made)).encode())):
        own = place.with_suffix(f".{os.getpid()}")
        own.write_bytes(content)
        own.replace(place)  # another process may be at it, too


def _tar(entries: Mapping[str, Entry]) -> bytes:
    """The same entries give the same bytes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, entry in sorted(entries.items()):
            head = tarfile.TarInfo(path)
            head.mode, head.uid, head.gid = entry.mode, entry.owner, entry.owner
            content = entry.file.read_bytes() if entry.file else entry.text.encode()
            if entry.folder:
                head.type = tarfile.DIRTYPE
            elif entry.link:
                head.type, head.linkname = tarfile.SYMTYPE, entry.link
            else:
                head.size = len(content)
            tar.addfile(head, io.BytesIO(content) if head.isreg() else None)
    return file.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def libraries(programs: Iterable[Path]) -> dict[str, Entry]:
    """The shared libraries that programs and libraries need, where the loader looks for them."""
    found = {os.path.normpath(path) for program in programs for path in _needed(program)}
    return {path.lstrip("/"): Entry(file=Path(path)) for path in found}


def _needed(program: Path) -> list[str]:
    said = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
    return re.findall(r"^\t(?:\S+ => )?(/\S+) \(0x", said, re.MULTILINE)


def tree(source: Path, to: str, without: Iterable[str] = ()) -> dict[str, Entry]:
    """A folder of this machine, less what has one of these names; links become what they lead to."""
    left_out, found = set(without), {}
    for folder, folders, files in os.walk(source, followlinks=True):
        folders[:] = sorted(set(folders) - left_out)
        for name in files:
            path = Path(folder, name)
            if name not in left_out and path.is_file():
                mode = 0o755 if os.access(path, os.X_OK) and path.stat().st_mode & 0o100 else 0o644
                found[f"{to}/{path.relative_to(source)}"] = Entry(file=path, mode=mode)
    return found
