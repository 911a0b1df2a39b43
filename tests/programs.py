"""Programs that some tests need. Without one they are skipped, with the reason; in CI that is an error."""

import os
import shutil

import pytest

REQUIRED = "CICD_LAB_REQUIRED"  # set where a test that cannot run is an error, as in CI


def needed(name: str, package: str = "") -> str:
    """Its path. `package`: Debian's that has it, where that is called otherwise."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found:
        return found
    why = f"{name} is missing: apt-get install {package or name}"
    if os.environ.get(REQUIRED):
        pytest.fail(why)
    pytest.skip(why)
