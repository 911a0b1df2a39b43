"""Why an installer failed, by the words of pip, uv, Poetry and PDM."""

import re

TROUBLES = (
    (
        r"no space left on device|os error 28|disk quota exceeded",
        "the disk is full",
        "free room, or set CICD_HOME (and TMPDIR) to a folder on a disk that has some",
    ),
    (
        r"lockfile .* needs to be updated|changed significantly since|doesn't satisfy the project"
        r"|lock file is not up to date",
        "the lock does not belong to pyproject.toml any more",
        "lock again by the project's tool, and commit the lock",
    ),
    (
        r"failed to parse .*lock|unable to read the lock|invalid lock|lock ?file .*(compatible|corrupt)",
        "the lock cannot be read",
        "lock again by the project's tool, and commit the lock",
    ),
    (
        r"hash mismatch|do not match the hashes|hash.*(does not|doesn't) match|invalid hash",
        "a package is not the one that was locked: its hash is another",
        "find out why the index gives another file; lock again only if that is meant",
    ),
    (
        r"connection refused|temporary failure in name resolution|name or service not known|failed to lookup address"
        r"|max retries exceeded|all attempts to connect|could not connect|connection reset|dns error|timed out"
        r"|no route to host",
        "a package index cannot be reached",
        "see that it is up and can be reached from this runner, and that its address is right",
    ),
    (
        r"\b40[13]\b.*(unauthorized|forbidden)|(unauthorized|forbidden).*\b40[13]\b|status code 40[13]"
        r"|authorization error",
        "a package index does not let us in",
        "give the job the index' credentials, by the variables or files of the project's tool",
    ),
    (
        r"read-only file system|permission denied",
        "a folder cannot be written",
        "set CICD_HOME, and HOME if the tool writes there, to folders that can",
    ),
)
UNKNOWN = ("", "mend the requirements, or check that the package index can be reached")


def why(output: str) -> tuple[str, str]:
    """Cause and next step of a failed installation, by what the installer said."""
    for words, cause, next_step in TROUBLES:
        if re.search(words, output, re.IGNORECASE):
            return cause, next_step
    return UNKNOWN
