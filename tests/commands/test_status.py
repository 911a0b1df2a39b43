"""What `cicd status` says of what others have written."""

import pytest
from msgspec.structs import replace

from cicd.commands.status import since
from tests.core.histories import ledger


@pytest.mark.parametrize(
    ("at", "told"),
    [(-1e18, ""), (1e18, ""), (-1e300, ""), (0.0, ""), (1.0, "1970-01-01T00:00:01Z"), (1e11, "5138-11-16T09:46:40Z")],
)
def test_an_entry_of_a_year_that_there_is_not(at: float, told: str) -> None:
    """Anybody who may write deployments may write such a one; GitHub's own time is there, too."""
    entry = ledger("v1 stable")[0]
    entry = replace(entry, payload=replace(entry.payload, at=at))
    assert since(entry) == (told or entry.created_at)
