"""A repository on this machine, looked at: its files, the texts of those that tell something, its remote."""

import re
from pathlib import Path

from cicd.adapters.process import output
from cicd.adapters.suite_history import tracked
from cicd.core.survey import Survey, worth_reading
from cicd.errors import CommandFailed

LARGEST = 256 * 1024  # bytes of a file that is read
MOST = 2000  # files that are read
GITHUB = re.compile(r"(?:github\.com[:/])([\w.-]+/[\w.-]+?)(?:\.git)?/?$")


def survey(folder: Path) -> Survey:
    """What the project in a folder is made of. Nothing of it is run."""
    files = tracked(folder)
    texts = {}
    for name in [one for one in files if worth_reading(one)][:MOST]:
        path = folder / name
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST:
            texts[name] = path.read_text(encoding="utf-8", errors="replace")
    return Survey(name=folder.resolve().name, files=files, texts=texts, remote=_remote(folder))


def _remote(folder: Path) -> str:
    try:
        url = output(["git", "-C", str(folder), "remote", "get-url", "origin"]).decode(errors="replace").strip()
    except CommandFailed:
        return ""
    found = GITHUB.search(url)
    return found[1] if found else ""
