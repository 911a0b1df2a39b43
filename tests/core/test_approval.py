import pytest

from cicd.core.approval import Protection, Review, rule

GATED, OPEN = Protection(reviewers=["rita"]), Protection()


def review(state: str, environment: str = "production") -> Review:
    return Review(state=state, by="rita", environments=[environment])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("demanded", "protection", "reviews", "pending", "expected"),
    [
        (False, None, [], False, "go"),
        (False, OPEN, [], False, "go"),
        (True, None, [], False, "not-protected"),
        (True, OPEN, [], False, "not-protected"),
        (True, GATED, [], True, "wait"),
        (True, GATED, [], False, "not-approved"),
        (True, GATED, [review("approved")], False, "go"),
        (False, GATED, [], False, "not-approved"),
        (True, GATED, [review("approved", "staging")], False, "not-approved"),
        (True, GATED, [review("rejected")], False, "rejected"),
        (True, GATED, [review("approved"), review("rejected")], False, "rejected"),
        (True, GATED, [review("rejected", "staging")], True, "wait"),
    ],
)
def test_it_fails_closed(
    demanded: bool, protection: Protection | None, reviews: list[Review], pending: bool, expected: str
) -> None:
    assert rule("production", demanded, protection, reviews, pending).decision == expected


def test_who_approved_is_named_once() -> None:
    ruling = rule("production", True, GATED, [review("approved"), review("approved")], False)
    assert ruling.approved_by == ["rita"]
