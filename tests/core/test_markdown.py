"""Markdown of ours, as a page and a terminal show it."""

from hypothesis import given
from hypothesis import strategies as st

from cicd.core.markdown import code, inline, plain


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=80))
def test_a_terminal_shows_the_text_of_others_as_it_is(text: str) -> None:
    words = " ".join(text.split())
    assert plain(f"- **name** {inline(text)}, {code(text)}") == f"- name {words}, {words}"


def test_marks_are_left_out() -> None:
    assert (
        plain("### promote v2 &#40;a&#41; → dev\n\n- **image** `sha256:1`")
        == "promote v2 (a) → dev\n\n- image sha256:1"
    )
