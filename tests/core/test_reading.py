import contextlib
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.reading import LARGEST, Duration, Percent, convert, schema_of
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


# 10^9 elements once it is written out.
BOMB = "least:\n" + "".join(
    f"- &a{depth} [{','.join([f'*a{depth - 1}' if depth else 'x'] * 10)}]\n" for depth in range(9)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wait: 5", "wait: should be a duration"),
        ("wait: -5s", "wait: should be a duration"),
        ("wait: 400d", "wait: should be at most `365d`"),
        (f"wait: {'9' * 400}d", "wait: should be at most `365d`"),
        ("wait: ٥s", "wait: should be a duration"),
        ("wait: .nan", "wait: should be a duration"),
        ('wait: "1s\\n2"', "wait: should be a duration"),
        ("least: .inf", "least: should be a percentage"),
        ("least: .nan", "least: should be a percentage"),
        ("least: -1", "least: should be a percentage"),
        ("least: ٨٥", "least: should be a percentage"),
        (f"least: {'9' * 400}", "least: should be a percentage"),
        (f"least: 0x{'f' * 6000}", "is `a very large number`"),
        (f"0x{'f' * 900}: 1", "a very large number: unknown key"),
        ("? [a]\n: b", "f:1:3: this is not valid YAML: a key must be a plain word"),
        ("? {a: b}\n: b", "a key must be a plain word"),
        ("inner: &a {max-size: 1}\nnamed: {b: {<<: *a}}", "f:2:13: this is not valid YAML: `<<` is not known here"),
        (BOMB, "least: should be a percentage from 0 to 100 such as `85%`, is `["),
        ("a: &a 1\nitems: [" + "*a," * 101 + "]", "more than 100 aliases"),
        ("\u202eevil: 1", "'\\u202eevil': unknown key"),
        ("x" * 1000 + ": 1", "unknown key; the keys here are"),
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
        ("least: 1\nwhen: 2001-99-99", "f:2:7: this is not valid YAML: month must be in 1..12"),
        ("least: 1\nwhen: 2001-01-01 10:00:00+99:99", "f:2:7: this is not valid YAML: "),
        ("least: 1\nx: !!int zwölf", "f:2:4: this is not valid YAML: "),
        ("least: 1\nx: !!float zwölf", "f:2:4: this is not valid YAML: "),
        ("least: 1\nx: a\0b", "f:2:5: this is not valid YAML: "),
        ("least: 1\nx: \ufffe", "f:2:4: this is not valid YAML: "),
        ("least: 1\nx: [1", "f:2:6: this is not valid YAML: "),
        ("least: 1\n x: 1", "f:2:3: this is not valid YAML: "),
        ("[" * 5000, "not valid YAML"),
        ("x" * (LARGEST + 1), "larger than"),
    ],
)
def test_errors_name_file_path_and_what_was_meant(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        convert(text, Outer, "f")
    assert str(caught.value).startswith("f")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


class Named(msgspec.Struct, kw_only=True, frozen=True):
    name: Annotated[str, msgspec.Meta(pattern="^[a-z]+$")] = "a"
    by_name: dict[Annotated[str, msgspec.Meta(pattern="^[a-z]+$")], int] = {}
    path: Annotated[str, msgspec.Meta(pattern="^/")] = "/"


def test_a_pattern_means_the_whole_text_and_stays_one_of_json_schema() -> None:
    assert convert("{name: abc, path: /x, by_name: {a: 1}}", Named, "f").path == "/x"
    for text in ('name: "x\\n"', 'by_name: {"x\\n": 1}'):
        with pytest.raises(ConfigError, match="name"):
            convert(text, Named, "f")
    assert schema_of(Named)["$defs"]["Named"]["properties"]["name"]["pattern"] == "^[a-z]+$"


@given(st.text(max_size=200))
def test_any_text_is_a_value_or_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        convert(text, Outer, "f")
