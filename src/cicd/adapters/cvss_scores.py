"""CVSS vectors as scores. The only user of cvss (Red Hat's: https://github.com/RedHatProductSecurity/cvss)."""

from functools import lru_cache

from cvss import CVSS2, CVSS3, CVSS4, CVSSError


@lru_cache(4096)
def base_score(vector: str) -> float | None:
    """The base score, 0 to 10, of a vector of CVSS v2, v3.x or v4.0; None if it is none."""
    kind = CVSS4 if vector.startswith("CVSS:4") else CVSS3 if vector.startswith("CVSS:3") else CVSS2
    try:
        return float(kind(vector).scores()[0])
    except CVSSError:
        return None
