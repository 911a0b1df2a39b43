"""What the tests of services share."""

from pathlib import Path

from cicd.adapters.folders import private_folder
from cicd.adapters.services.job import Job


def job_of(folder: Path) -> Job:
    """A job without a watcher."""
    return Job(private_folder(folder / "job"), 0, {})


def text_of(folder: Path) -> str:
    """All small files below a folder, as one text."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size < 100_000]
    return "\n".join(path.read_bytes().decode(errors="replace") for path in files)
