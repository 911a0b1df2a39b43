"""The Markdown of plans."""

import re

import pytest

from cicd.localhub.markdown import markdown

CASES = [
    ("# Promote `v2`", "<h4>Promote <code>v2</code></h4>"),
    ("a\nb\n\nc", "<p>a b</p><p>c</p>"),
    ("- one\n- **two**", "<ul><li>one</li><li><strong>two</strong></li></ul>"),
    ("1. one\n2) two", "<ul><li>one</li><li>two</li></ul>"),
    (
        "| a | b |\n|---|:-:|\n| 1 | x\\|y |",
        '<table><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>'
        "<tbody><tr><td>1</td><td>x|y</td></tr></tbody></table>",
    ),
    ("```\n<b> | # x\n```\nend", "<pre>&lt;b&gt; | # x</pre><p>end</p>"),
    ("```\nnever closed", "<pre>never closed</pre>"),
    ("[log](https://x.example/a)", '<p><a href="https://x.example/a" rel="noreferrer">log</a></p>'),
    ("[log](javascript:alert)", "<p>log</p>"),
    ("[log](//evil.example)", "<p>log</p>"),
    ("text\n# heading", "<p>text</p><h4>heading</h4>"),
    ("v1 &#40;a&#41; <code>A&#95;B</code>", "<p>v1 (a) <code>A_B</code></p>"),
    (
        "&lt;b&gt; **&#42;&lt;** <code>&lt;i&gt;</code>",
        "<p>&lt;b&gt; <strong>*&lt;</strong> <code>&lt;i&gt;</code></p>",
    ),
    ("", ""),
    ("|", "<table><tbody><tr><td></td></tr></tbody></table>"),
]


@pytest.mark.parametrize(("source", "html"), CASES)
def test_blocks(source: str, html: str) -> None:
    assert markdown(source) == html


@pytest.mark.parametrize(
    "wrap",
    ["%s", "# %s", "- %s", "| %s |", "```\n%s\n```", "`%s`", "<code>%s</code>", "**%s**", "[%s](https://x)", "[x](%s)"],
)
def test_no_html_passes(wrap: str) -> None:
    made = markdown(wrap % "<img src=x onerror='alert(1)'>\"")
    assert not re.search(r"<(?!/?(p|h4|ul|li|table|tbody|tr|td|pre|code|strong|a)\b)", made)
    assert "onerror='" not in made
