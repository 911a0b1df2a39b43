"""One comment per pull request: the right one is found, and it keeps to GitHub's limit."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cicd.core.history import Figures
from cicd.core.pr_comment import LONGEST, Choice, Comment, choose, comment, mark
from cicd.core.verdict_report import VerdictReport
from tests.core.told import failed, reports, small

KEY = "0123456789abcdef"
TAGS = {"h3", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "details", "summary", "a"}
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


def told(report: VerdictReport, **given: bool) -> str:
    links = [("run", "https://hub.example/run/1"), ("check", "https://hub.example/check/1")]
    return comment(report, mark(KEY, 7, 1), "a" * 40, links, **given)


@settings(max_examples=40, deadline=None)
@given(reports(), st.booleans())
def test_it_keeps_to_the_limit_and_text_stays_text(report: VerdictReport, of_a_fork: bool) -> None:
    text = told(report, of_a_fork=of_a_fork)
    assert len(text.encode()) < LONGEST
    assert text.startswith(mark(KEY, 7, 1) + "\n")
    assert text.count("<details>") == text.count("</details>")
    rendered = MARKDOWN.render(text.partition("\n")[2])
    assert set(re.findall(r"</?([a-zA-Z]\w*)", rendered)) <= TAGS
    assert rendered.count("href") == 2
    assert "<!--" not in text.partition("\n")[2]


def test_the_change_against_the_base() -> None:
    text = told(small(coverage="85.50", before=Figures(tests=100, seconds=10.0, coverage="86.00")))
    assert "120 (+20)" in text
    assert "85.50% (-0.5)" in text
    assert "3.0 s (-7.0 s)" in text
    assert "base" not in told(small())


def test_the_rest_is_counted() -> None:
    assert "… and 280 failures more, in the check run" in told(failed(300))
    assert "more" not in told(failed(20))


def body(run: int, attempt: int = 1, key: str = KEY) -> str:
    return mark(key, run, attempt) + "\n\nhello"


@pytest.mark.parametrize(
    ("comments", "wanted"),
    [
        ([], Choice()),
        ([(1, "> " + body(1))], Choice()),  # a quotation
        ([(1, body(1, key="f" * 16))], Choice()),  # another workflow's
        ([(1, body(1))], Choice(update=1)),
        ([(1, body(7))], Choice(update=1)),
        ([(3, body(1)), (2, body(2)), (9, "hello")], Choice(update=3, delete=(2,))),
        ([(1, body(8))], Choice(update=1, stale=True)),
        ([(1, body(7, 2))], Choice(update=1, stale=True)),
    ],
)
def test_which_one(comments: list[tuple[int, str]], wanted: Choice) -> None:
    given = [Comment(id=number, body=text) for number, text in comments]
    assert choose(given, KEY, 7, 1) == wanted


def test_the_mark_is_found_again() -> None:
    key = small().key(".github/workflows/ci.yml")
    text = comment(small(), mark(key, 7, 1), "a" * 40, [])
    assert choose([Comment(id=1, body=text)], key, 8, 1) == Choice(update=1)
