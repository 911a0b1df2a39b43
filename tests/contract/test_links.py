"""Links between our pages lead somewhere."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md"), *CHECKOUT.glob("benchmarks/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_relative_link_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("name", ["docs/threat-model.md", "docs/design.md", "SECURITY.md", "CONTRIBUTING.md"])
def test_every_test_that_is_named_is_there(name: str) -> None:
    named = {
        found.replace("\\", "").rstrip(".")
        for found in re.findall(r"\btests/[\w/.*\\-]+", (CHECKOUT / name).read_text())
    }
    missing = [found for found in named if not list(CHECKOUT.glob(found.removesuffix(".*")))]
    assert missing == []
