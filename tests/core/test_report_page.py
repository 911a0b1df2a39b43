"""The page is one file that asks for nothing, in which text of others stays text, and of bounded size."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

from hypothesis import given, settings

from cicd.core.covered_lines import Lines
from cicd.core.junit import Timing
from cicd.core.lcov import lcov
from cicd.core.report_page import report_page
from cicd.core.report_picture import bars
from cicd.core.verdict_report import LISTED, VerdictReport
from cicd.core.verdict_told import counts
from tests.core.told import failed, reports, small

VOID = {"meta"}
KNOWN = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "span", "section", "table"),
    *(
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "code",
        "pre",
        "details",
        "summary",
        "svg",
        "desc",
        "text",
        "rect",
    ),
}


class Reader(HTMLParser):
    """What a browser would see: that all elements are known, closed, and ask for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in KNOWN
        assert not {name for name, _ in attrs} & {"src", "href", "style", "onload", "action", "xlink:href"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@settings(max_examples=40, deadline=None)
@given(reports())
def test_text_stays_text(report: VerdictReport) -> None:
    page = report_page(report, "about </p><script>")
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    assert "<script" not in page
    assert "url(" not in page
    for picture in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(picture)


def test_its_size_has_a_bound() -> None:
    def size(tests: int) -> int:
        timings = [Timing(n / 100, f"tests/test_{n}.py::test_it") for n in range(tests)]
        slowest = sorted(timings, key=lambda one: -one.seconds)[:LISTED]
        return len(report_page(failed(tests, slowest=slowest, durations=counts(timings))))

    assert size(100_000) < size(1_000) * 1.2


def test_what_has_no_room_is_counted() -> None:
    assert "… and 4,000 failures more" in report_page(failed(5_000))
    assert "failure" not in report_page(small())


def test_durations_are_counted_by_their_bounds() -> None:
    assert counts([Timing(seconds, "a") for seconds in (0.0, 0.01, 0.02, 5.0, 1e6)]) == [2, 1, 0, 0, 0, 0, 1, 0, 0, 1]


def test_a_picture_says_in_words_what_it_shows() -> None:
    picture = bars("Shards", "seconds of each", [("one", 10.0), ("<two>", 5.0)], " s")
    assert 'role="img"' in picture
    assert "<title>Shards</title><desc>seconds of each: one 10.0 s, &lt;two&gt; 5.0 s</desc>" in picture
    assert re.findall(r'width="([\d.]+)" height="16"', picture) == ["500.0", "250.0"]
    assert "… and 36 smaller ones" in bars("a", "b", [("n", 1.0)] * 100, "")


def test_lcov() -> None:
    text = "".join(lcov({"b.py": Lines({1, 3}, {2}), "a\nSF:x.py": Lines()}))
    assert text == (
        "TN:\nSF:a�SF:x.py\nLF:0\nLH:0\nend_of_record\n"
        "TN:\nSF:b.py\nDA:1,1\nDA:2,0\nDA:3,1\nLF:3\nLH:2\nend_of_record\n"
    )
