import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.reading import LARGEST, Duration, Percent, convert
from cicd.errors import ConfigError


class Inner(msgspec.Struct, rename="kebab", kw_only=True, frozen=True):
    max_size: int = 1


class Outer(msgspec.Struct, kw_only=True, frozen=True):
    wait: Duration = 1.0
    least: Percent | None = None
    inner: Inner = Inner()
    named: dict[str, Inner] = {}
    items: list[Inner] = []


def test_yaml_becomes_values() -> None:
    value = convert("{wait: 200ms, least: 85%, inner: {max-size: 3}, named: {a: }, items: [{}]}", Outer, "f")
    assert (value.wait, value.least, value.inner.max_size) == (0.2, 85.0, 3)
    assert value.named == {"a": Inner()}
    assert value.items == [Inner()]


@pytest.mark.parametrize(("text", "seconds"), [("200ms", 0.2), ("1.5s", 1.5), ("2m", 120), ("1h", 3600), ("1d", 86400)])
def test_durations(text: str, seconds: float) -> None:
    assert convert(f"wait: {text}", Outer, "f").wait == seconds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wait: 5", "wait: should be a duration"),
        ("wait: -5s", "wait: should be a duration"),
        ("least: 100.1", "least: should be a percentage"),
        ("inner: {max_size: 1}", "inner.max_size: unknown key; did you mean `max-size`?"),
        ("inner: 3", "inner: should be a mapping, is `3`"),
        ("items: {}", "items: should be a list"),
        ("items: [{max-size: x}]", "items[0].max-size: should be `int`"),
        ("named: {a: {zzz: 1}}", "named.a.zzz: unknown key; the keys here are max-size"),
        ("wait: 1s\nwait: 2s", "f:2:1: this is not valid YAML: `wait` is given twice"),
        ("wait: [", "not valid YAML"),
        ("a: !!python/object:os.system x", "not valid YAML"),
        ("- a", "should be a mapping"),
        ("a: *b", "not valid YAML"),
        ("when: 2001-99-99", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("x" * (LARGEST + 1), "larger than"),
    ],
)
def test_errors_name_file_path_and_what_was_meant(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        convert(text, Outer, "f")
    assert str(caught.value).startswith("f")
    assert said in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_a_value_or_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        convert(text, Outer, "f")
