import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.adapters.cvss_scores import base_score
from cicd.core.severity import WORST, band, rated, score_of

V2 = "AV:N/AC:L/Au:N/C:C/I:C/A:C"  # 10.0
V3 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"  # 9.8, an example of the specification's
V30 = "CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"  # 6.1, CVE-2015-8252's kind
V4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"  # 9.3


@pytest.mark.parametrize(
    ("vector", "score"),
    [(V2, 10.0), (V3, 9.8), (V30, 6.1), (V4, 9.3), ("", None), ("CVSS:3.1/AV:N", None), ("CVSS:5.0/AV:N", None)],
)
def test_vectors_of_all_versions(vector: str, score: float | None) -> None:
    assert base_score(vector) == score


@given(st.text(alphabet="CVSS:3.1/AVNLPHUI4.0é\ud800\n ", max_size=60))
def test_any_text_is_a_score_or_none(text: str) -> None:
    score = base_score(text)
    assert score is None or 0 <= score <= 10


@pytest.mark.parametrize(
    ("score", "word"),
    [(10, "critical"), (9.0, "critical"), (8.9, "high"), (7, "high"), (6.9, "medium"), (4, "medium"), (0.1, "low")],
)
def test_bands(score: float, word: str) -> None:
    assert band(score) == word
    assert band(0) == "none"


@pytest.mark.parametrize("value", ["NaN", "inf", "-1", "10.1", "", "9,8", True, [], {}, None, 10**400, "9" * 10**6])
def test_no_score(value: object) -> None:
    assert score_of(value) is None


def test_the_worst_of_what_is_said_counts() -> None:
    assert rated(base_score, vectors=[V30, V3])[:2] == ("critical", 9.8)
    assert rated(base_score, vectors=[V3], words=["LOW"]) == ("critical", 9.8)
    assert rated(base_score, words=["MODERATE", "low"]) == ("medium", None)
    assert rated(base_score, scores=["7.5"], words=["Critical"]) == ("critical", 7.5)


def test_version_2_counts_where_there_is_no_newer_one() -> None:
    assert rated(base_score, vectors=[V2, V30]) == ("medium", 6.1)
    assert rated(base_score, vectors=[V2]) == ("critical", 10.0)


def test_a_level_counts_when_nothing_else_was_said() -> None:
    assert rated(base_score, level="error") == ("high", None)
    assert rated(base_score, words=["UNKNOWN"], level="note") == ("low", None)
    assert rated(base_score, words=["LOW"], level="error") == ("low", None)


def test_what_cannot_be_read_is_unknown_and_not_the_level() -> None:
    assert rated(base_score, scores=["much"], level="note") == ("unknown", None)
    assert rated(base_score, vectors=["CVSS:3.1/AV:?"], level="note") == ("unknown", None)
    assert rated(base_score, words=["schlimm"], level="note") == ("unknown", None)
    assert rated(base_score) == ("unknown", None)


@given(
    st.lists(st.sampled_from([V2, V3, V30, V4, "?"])),
    st.lists(st.floats(0, 10)),
    st.lists(st.sampled_from(["low", "HIGH", "critical", "?"])),
)
def test_saying_more_never_makes_it_less(vectors: list[str], scores: list[float], words: list[str]) -> None:
    """But for a vector of version 2, which a newer one takes the place of."""
    newer = [vector for vector in vectors if vector != V2]
    whole, _ = rated(base_score, vectors=newer, scores=scores, words=words)
    for part in (
        rated(base_score, vectors=newer),
        rated(base_score, scores=scores),
        rated(base_score, words=words),
    ):
        assert part[0] == "unknown" or WORST.index(whole) <= WORST.index(part[0])
