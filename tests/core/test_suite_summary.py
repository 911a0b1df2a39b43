import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cicd.core.gates import Coverage, CoverageGate
from cicd.core.junit import Failure, Report, Timing
from cicd.core.markdown import code, inline
from cicd.core.suite import Outcome, judge
from cicd.core.suite_summary import suite_summary

HOSTILE = [
    "::error::pwned",
    "a|b|c",
    "`rm -rf`",
    "<script>alert(1)</script>",
    "</pre></details><img src=x>",
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "line\nnext\n\n# heading\n- item",
    "*bold* _it_ ~~no~~ **b**",
    "\\`escaped",
    "&lt;b&gt; &#60;",
    "https://evil.example www.evil.example",
    "@everyone #1",
    "right\u202eto left\x00\x1b[31m",
    "```\ncode\n```",
    "$x$ $$y$$",
    "a" * 5000,
    "\ud800",
    "",
]
TAGS = {"h3", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "details", "summary", "pre"}
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


def outcome(report: Report, **given: Any) -> Outcome:
    about: dict[str, Any] = {"suite": "unit", "command": "pytest -q", "code": 1, "seconds": 12.3, "limit": 60.0}
    return Outcome(**{**about, "is_pytest": True, "report": report, **given})


def page(report: Report, budget: int = 2**20, **given: Any) -> str:
    about = outcome(report, **given)
    return suite_summary(about, judge(about), budget)


def failing(*failures: Failure, failed: int = 0) -> Report:
    count = failed or len(failures)
    return Report(tests=count + 2, failed=count, marked=count, failures=failures)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    failure = Failure(test=text, message=text, text=text, file=text, line=3)
    shown = page(failing(failure), suite=text, command=text)
    rendered = MARKDOWN.render(shown)
    assert set(re.findall(r"</?([a-zA-Z]\w*)", rendered)) <= TAGS
    assert "href" not in rendered
    assert rendered.count("<details>") == rendered.count("</details>") == (1 if text else 0)
    table = rendered[rendered.index("<tbody>", rendered.index("what</th>")) : rendered.rindex("</tbody>")]
    assert table.count("<td") == 3


@given(st.text())
def test_inline_is_one_line_without_structure(text: str) -> None:
    shown = inline(text)
    assert len(shown.splitlines()) <= 1
    assert not set(shown) & set("`*_~[]<>|@\\")
    assert MARKDOWN.renderInline(code(text)).count("<") == 2


def test_the_headline_says_the_verdict_first() -> None:
    green = page(Report(tests=2), code=0, coverage=CoverageGate(wanted=True, least=85, found=Coverage(9, 10)))
    assert green.startswith("### ✅ unit: 2 tests passed")
    assert "90.00% (≥ 85%)" in green
    red = page(failing(Failure(test="a", file="tests/test_a.py", line=3, message="assert 0")))
    assert red.startswith("### ❌ unit: 1 of 3 tests failed")
    assert "tests/test&#95;a.py:3" in red
    assert "not measured" in page(Report(tests=2), code=0, coverage=CoverageGate(wanted=True, least=85))


def test_the_slowest_and_the_flaky_are_shown() -> None:
    shown = page(Report(tests=2, flaky=1, seconds=4.0, slowest=(Timing(3.0, "a::b"), Timing(1.0, "c"))), code=0)
    assert "The slowest 2: 100%" in shown
    assert "passed when run again" in shown


@pytest.mark.parametrize("budget", [1_000, 5_000, 50_000, 2**20])
def test_it_fits_its_budget_and_says_what_was_left_out(budget: int) -> None:
    failures = tuple(
        Failure(test=f"tests.test_{n}::test_ü", message="m" * 300, text="\n".join(["ü" * 80] * 300))
        for n in range(1000)
    )
    shown = page(failing(*failures, failed=1500), budget)
    assert len(shown.encode()) <= budget
    assert shown.startswith("### ❌")
    assert shown.count("<details>") == shown.count("</details>")
    assert "more, in the JUnit report" in shown


def test_a_long_traceback_keeps_its_end() -> None:
    text = "\n".join(f"line {number}" for number in range(500))
    shown = page(failing(Failure(test="a", text=text)))
    assert "line 499" in shown
    assert "line 100\n" not in shown


def test_the_first_line_of_a_traceback_keeps_its_indentation() -> None:
    shown = page(failing(Failure(test="a", text="> x <\n\n    y & z")))
    assert "<pre>&gt; x &lt;\n\n    y &amp; z</pre>" in shown
