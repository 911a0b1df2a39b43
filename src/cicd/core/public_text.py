"""Which texts of a project's files may be shown: what looks like a secret may not, wherever it stands."""

import re
from itertools import pairwise

WORD = (
    r"(?:passw(?:or)?d|passphrase|pass|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|dsn|salt)"
)
SECRET_NAME = re.compile(rf"{WORD}|(?:^|[_.-])keys?$", re.IGNORECASE)
SECRET_TEXT = re.compile(
    "|".join(
        (
            r"://[^/@\s]*:[^/@\s]+@|://[^/@\s]{16,}@",  # a password or token in a URL
            rf"(?:requirepass|masterauth|{WORD})s?[\"']?(?:\s*:?[=:?+-]+\s*|,?\s+)[^\s\"'}}]",  # --password x, TOKEN=x
            r"\bredis-cli\b.*\s-a\s*\S|\b(?:mysql|mariadb)\w*\b.*\s-p\S",  # how these programs take one
            r"\$(?:apr1|2[aby]|[156]|argon2\w*)\$",  # of a file with passwords
            r"-----BEGIN|\beyJ[\w-]{8,}|\b(?:gh[a-z]_|github_pat_|sk-|xox[a-z]-|AKIA|glpat-)\w{8,}",  # keys
        )
    ),
    re.IGNORECASE,
)
VARIABLE = re.compile(r"\$\{\w+\}")  # a name, no value
DIGEST = re.compile(r"\bsha256:[0-9a-f]{64}\b")
LONG = re.compile(r"[A-Za-z0-9+=]{20,}")


def looks_secret(name: str, text: str) -> bool:
    """Whether a value must not be shown, by its name or by its looks. Better one too many than one too few."""
    told = DIGEST.sub("", VARIABLE.sub("", text))
    if not told.strip() or (name.upper().endswith("_FILE") and told.startswith("/")):  # the habit of Docker's images
        return False
    return bool(SECRET_NAME.search(name) or SECRET_TEXT.search(told)) or any(map(_is_random, LONG.findall(told)))


def _is_random(text: str) -> bool:
    """Whether a long text looks drawn by lot: small letters, capitals and figures take turns more than in words."""
    kinds = ["0" if sign.isdigit() else "A" if sign.isupper() else "a" for sign in text]
    return len(set(kinds)) > 1 and sum(one != other for one, other in pairwise(kinds)) > len(text) / 4
