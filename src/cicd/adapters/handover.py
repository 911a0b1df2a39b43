"""A verdict that another run publishes: written by a run whose token may write nothing, read as hostile."""

import io
import zipfile
import zlib
from pathlib import Path

from cicd.adapters.http import exchange
from cicd.core.verdict_report import LARGEST, VerdictReport, read_verdict_report, report_text
from cicd.errors import ReportInvalid

FILE = "verdict.json"
PREFIX = "cicd-handover-"
MOST = 20  # artifacts of a run that are looked at
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    RuntimeError,
    NotImplementedError,
    EOFError,
    OSError,
    ValueError,
)


def leave(report: VerdictReport, folder: Path) -> None:
    """Write it into a folder. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(report_text(report))


def fetch(api_url: str, repository: str, artifact: int, token: str) -> VerdictReport:
    """The verdict in an artifact. Raises ReportInvalid, OSError."""
    url = f"{api_url}/repos/{repository}/actions/artifacts/{artifact}/zip"
    headers = {"authorization": f"Bearer {token}", "accept": "application/vnd.github+json"}
    answer = exchange("GET", url, headers, timeout=20.0)
    if answer.status != 200:
        raise OSError(f"it was answered by {answer.status}")
    return unpacked(answer.body)


def unpacked(archive: bytes) -> VerdictReport:
    """The verdict in a zip of unknown make. Raises ReportInvalid."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened, opened.open(FILE) as file:
            text = file.read(LARGEST + 1)  # whatever size it claims to have
    except UNREADABLE as error:
        raise ReportInvalid(
            f"The artifact has no `{FILE}` that can be read",
            cause=f"{type(error).__name__}: {error}"[:300],
            next_step="look at the run that has left it",
        ) from error
    return read_verdict_report(text, FILE)
