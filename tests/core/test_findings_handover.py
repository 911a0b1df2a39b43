import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.findings import Place, Scan
from cicd.core.findings_handover import read_scans, scans_json
from cicd.errors import ReportInvalid
from tests.core.scanned import found, real, scans


@pytest.mark.parametrize(
    "name",
    ["bandit.json", "gitleaks.json", "gitleaks.sarif", "trivy.json", "trivy.sarif", "zizmor.json", "zizmor.sarif"],
)
def test_what_was_read_comes_out_as_it_was(name: str) -> None:
    whole = scans(real(name))
    assert read_scans(scans_json(whole), "x") == whole


@given(st.text(), st.text(), st.lists(st.text(), max_size=3), st.text(max_size=20), st.text(max_size=400))
def test_any_texts_come_out_as_they_were(id: str, title: str, aliases: list[str], package: str, file: str) -> None:
    one = found(id, title=title, aliases=aliases, package=package, version=title, fixed_in=id)
    scan = Scan(tool="x", source="y", findings=(one,), unfinished="it failed", suppressed=1, note="z")
    assert read_scans(scans_json([scan]), "x") == [scan]


def test_what_was_put_into_it_by_hand_is_made_fit_again() -> None:
    (whole,) = json.loads(scans_json([Scan(tool="x", findings=(found("R1"),), unfinished="y")]))
    whole["findings"][0] |= {"title": "\x1b[31m a\nb", "score": 99, "places": [{"file": "../x", "line": 3}]}
    whole |= {"suppressed": -1, "unfinished": "\n"}
    (scan,) = read_scans(json.dumps([whole]).encode(), "x")
    (one,) = scan.findings
    assert (one.title, one.score, one.places) == ("�[31m a b", None, (Place(),))
    assert (scan.suppressed, scan.unfinished) == (0, "it does not say why")


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[1]", b'[{"tool": 1}]', b'[{"tool": "x", "findings": [{"tool": "x", "id": "y", "severity": "z"}]}]'],
)
def test_what_is_refused(data: bytes) -> None:
    with pytest.raises(ReportInvalid):
        read_scans(data, "x")


@given(
    st.binary(max_size=100)
    | st.recursive(st.none() | st.text(max_size=5), st.lists).map(lambda one: json.dumps(one).encode())
)
def test_any_bytes(data: bytes) -> None:
    found: Any = None
    try:
        found = read_scans(data, "x")
    except ReportInvalid:
        return
    assert isinstance(found, list)
