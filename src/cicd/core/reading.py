"""From YAML text to typed values: every error says where, and what was probably meant."""

import difflib
import functools
import re
import reprlib
import types
import typing
from collections.abc import Hashable, Iterator, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar, Union

import msgspec
import yaml

from cicd.errors import ConfigError

T = TypeVar("T")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"
PERCENT = r"^[0-9]+(\.[0-9]+)?%?$"
MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2})?$"
YEAR = 365 * 86400.0  # seconds; the longest duration
LARGEST = 1024 * 1024  # bytes; a config is kilobytes, and a parser should not be fed more
MOST_ALIASES = 100  # aliases of aliases are how a small file becomes a large value
MERGE = "tag:yaml.org,2002:merge"


Duration = Annotated[float, msgspec.Meta(extra_json_schema={"pattern": DURATION})]
"""Seconds; written as `200ms`, `60s`, `30m`, `2h` or `1d`."""

Percent = Annotated[float, msgspec.Meta(extra_json_schema={"pattern": PERCENT})]
"""0 to 100; written as `85` or `85%`."""


Moment = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": MOMENT})]
"""A day or a time, by a clock that the context names; written as `2026-12-20` or `2026-12-20 18:00`."""


class _Loader(yaml.SafeLoader):
    """YAML without surprises: a key given twice is an error, not a silent choice."""

    aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            self.aliases += 1
            if self.aliases > MOST_ALIASES:
                mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
                raise yaml.composer.ComposerError(None, None, f"more than {MOST_ALIASES} aliases", mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, OverflowError) as error:  # such as a date of month 13
            raise _bad(node, str(error)) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == MERGE:
                raise _bad(key_node, "`<<` is not known here: write the keys out, or use the alias as a whole value")
            if not isinstance(key_node, yaml.ScalarNode):
                raise _bad(key_node, "a key must be a plain word")
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise _bad(key_node, f"`{_name(key)}` is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _bad(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def convert(text: str, kind: type[T], source: str) -> T:
    """`text` (YAML) as a value of the struct `kind`.

    Raises:
        ConfigError: `source: path.to.value: what is wrong`.
    """
    if len(text.encode()) > LARGEST:
        raise ConfigError(f"{source} is larger than {LARGEST} bytes", next_step="check that this is the right file")
    try:
        value = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(
            f"{source}{_place(error, text)}: this is not valid YAML: {problem}", next_step="mend the file"
        ) from error
    try:
        return typing.cast(T, _value(value, kind, ""))
    except _Wrong as wrong:
        where = located(text, source, wrong.path)
        raise ConfigError(f"{where}: {wrong}", next_step="mend the file; docs/cicd.schema.json has every key") from None


def located(text: str, source: str, path: str) -> str:
    """`source:line` of the value at a path such as `environments.dev.hosts[0]`, or of the nearest one around it.

    Args:
        text: YAML that was read already.
    """
    root = yaml.compose(text, _Loader)
    found = [*_lines(root, "", path)] if root else []
    return f"{source}:{found[-1]}" if found else source


def _lines(node: yaml.Node, here: str, wanted: str) -> Iterator[int]:
    """Lines of the values on the way to a path, from 1."""
    children: list[tuple[str, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        children = [(_join(here, str(key.value)), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(f"{here}[{index}]", value, value) for index, value in enumerate(node.value)]
    for path, told, value in children:
        if wanted == path or wanted.startswith((f"{path}.", f"{path}[")):
            yield told.start_mark.line + 1
            yield from _lines(value, path, wanted)


def _place(error: Exception, text: str) -> str:
    """`:line:column` of what is no YAML, both from 1; empty where the parser does not say."""
    if isinstance(error, yaml.reader.ReaderError):  # a character that YAML has not
        before = text[: error.position].split("\n")
        return f":{len(before)}:{len(before[-1]) + 1}"
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return f":{mark.line + 1}:{mark.column + 1}" if mark else ""


class _Wrong(Exception):
    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        super().__init__(f"{path}: {problem}" if path else problem)


def _value(value: Any, kind: Any, path: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType) and type(None) in typing.get_args(kind):
        return None if value is None else _value(value, _without_none(kind), path)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct(value, kind, path)
    if origin is dict:
        key_kind, item_kind = typing.get_args(kind)
        return _dict(value, key_kind, item_kind, path)
    if origin is list:
        if not isinstance(value, list):
            raise _Wrong(path, f"should be a list, is {_shown(value)}")
        return [_value(item, typing.get_args(kind)[0], f"{path}[{index}]") for index, item in enumerate(value)]
    if kind in (Duration, Percent):
        return _measure(value, kind == Percent, path)
    if kind == Moment:
        return _moment(value, path)
    if origin is Literal:
        return _choice(value, typing.get_args(kind), path)
    try:
        return _plainly(value, kind)
    except msgspec.ValidationError as error:
        raise _Wrong(path, f"{_plain(str(error))}, is {_shown(value)}") from None


def _plainly(value: Any, kind: Any) -> Any:
    """A plain value. A pattern that ends with `$` means the end, and not also what is before a last newline.

    The pattern is read by JSON Schema as well, where `$` means just that, and `\\Z` nothing.
    """
    found = msgspec.convert(value, kind)
    for about in typing.get_args(kind)[1:]:
        pattern = getattr(about, "pattern", None) or ""
        if pattern.endswith("$") and not re.fullmatch(pattern, found):
            raise msgspec.ValidationError(f"Expected `str` matching regex {pattern!r}")
    return found


def _without_none(kind: Any) -> Any:
    left = tuple(arg for arg in typing.get_args(kind) if arg is not type(None))
    return Union[left]


def _struct(value: Any, kind: type[msgspec.Struct], path: str) -> msgspec.Struct:
    if value is None:
        value = {}
    if (short := getattr(kind, "SHORT", "")) and isinstance(value, str | int | float):
        value = {short: value}
    if not isinstance(value, dict):
        raise _Wrong(path, f"should be a mapping, is {_shown(value)}")
    hints = _hints(kind)
    known = {entry.encode_name: entry for entry in msgspec.structs.fields(kind)}
    for key in value:
        if key not in known:
            raise _Wrong(_join(path, key), f"unknown key{_nearest(_name(key), list(known))}")
    for name, entry in known.items():
        if entry.required and name not in value:
            raise _Wrong(_join(path, name), "is missing")
    given = {known[key].name: _value(item, hints[known[key].name], _join(path, key)) for key, item in value.items()}
    return kind(**given)


@functools.cache
def _hints(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _dict(value: Any, key_kind: Any, item_kind: Any, path: str) -> dict[str, Any]:
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise _Wrong(path, f"should be a mapping, is {_shown(value)}")
    result = {}
    for key, item in value.items():
        try:
            name = _plainly(key, key_kind)
        except msgspec.ValidationError as error:
            raise _Wrong(_join(path, key), f"as a name {_plain(str(error))}") from None
        result[name] = _value(item, item_kind, _join(path, key))
    return result


def _choice(value: Any, choices: tuple[Any, ...], path: str) -> Any:
    for choice in choices:
        if type(value) is type(choice) and value == choice:  # True is 1, but not as a version
            return choice
    named = ", ".join(f"`{choice}`" for choice in sorted(choices))
    raise _Wrong(path, f"should be {'one of ' * (len(choices) > 1)}{named}, is {_shown(value)}")


def _measure(value: Any, percent: bool, path: str) -> float:
    text = value.strip() if isinstance(value, str) else ""
    if percent and isinstance(value, int | float) and 0 <= value <= 100:
        text = str(value)
    if percent and re.fullmatch(PERCENT, text) and 0 <= float(text.rstrip("%")) <= 100:
        return float(text.rstrip("%"))
    if not percent and (seconds := seconds_of(text)) is not None:
        return seconds
    example = "a percentage from 0 to 100 such as `85%`" if percent else "a duration such as `200ms`, `60s` or `30m`"
    if not percent and re.fullmatch(DURATION, text):
        example = "at most `365d`"
    raise _Wrong(path, f"should be {example}, is {_shown(value)}")


def seconds_of(text: str) -> float | None:
    """The seconds that a duration such as `2h` has; None if it is none, or longer than a year."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)", text)
    seconds = float(found[1]) * UNITS[found[2]] if found else YEAR + 1
    return seconds if seconds <= YEAR else None


def _moment(value: Any, path: str) -> str:
    """YAML has made a date of `2026-12-20`, and a time of what also has seconds."""
    text = value.strip() if isinstance(value, str) else ""
    if isinstance(value, datetime) and value.tzinfo is None:
        text = value.strftime("%Y-%m-%d %H:%M")
    elif isinstance(value, date) and not isinstance(value, datetime):
        text = value.isoformat()
    try:
        if re.fullmatch(MOMENT, text):
            datetime.fromisoformat(text)
            return text
    except ValueError:
        pass
    raise _Wrong(path, f"should be a day such as `2026-12-20`, or a time `2026-12-20 18:00`, is {_shown(str(value))}")


def _nearest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean `{close[0]}`?" if close else f"; the keys here are {', '.join(sorted(known))}"


def _join(path: str, key: object) -> str:
    return f"{path}.{_name(key)}" if path else _name(key)


def _name(key: object) -> str:
    """A key in a message: as it is, or so that it can be seen what it is."""
    return key if isinstance(key, str) and len(key) <= 60 and key.isprintable() else _shown(key).strip("`")


def _shown(value: Any) -> str:
    """A value in a message. It is cut before it is written out, for aliases make small files into large values."""
    text = "a very large number" if isinstance(value, int) and value.bit_length() > 64 else SHOWING.repr(value)
    return f"`{text[:57]}…`" if len(text) > 60 else f"`{text}`"


SHOWING = reprlib.Repr()
SHOWING.maxlevel, SHOWING.maxlist, SHOWING.maxdict, SHOWING.maxstring, SHOWING.maxother = 2, 4, 4, 70, 70


def _plain(message: str) -> str:
    """msgspec's sentence without its own notion of the path."""
    return re.sub(r" - at `.*`$", "", message)[:300].replace("Expected", "should be")


def schema_of(kind: type) -> dict[str, Any]:
    """JSON Schema of a struct; defaults of durations and percentages in the form that users write."""
    schema = msgspec.json.schema(kind)
    _as_written(schema, schema["$defs"])
    _with_short(schema, {f"#/$defs/{one.__name__}": one.SHORT for one in _structs(kind) if hasattr(one, "SHORT")})
    return schema


def _structs(kind: Any) -> Iterator[Any]:
    """All structs that a type is made of."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
        for name, hint in typing.get_type_hints(kind).items():
            if name in kind.__struct_fields__:
                yield from _structs(hint)
    for argument in typing.get_args(kind):
        yield from _structs(argument)


def _with_short(schema: dict[str, Any], short: Mapping[str, str]) -> None:
    """Where a struct may be given by the value of one of its fields (its SHORT), the schema takes that, too."""

    def visit(node: Any) -> None:
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            visit(child)
        for choice in list(node.get("anyOf", [])) if isinstance(node, dict) else ():
            if field := short.get(choice.get("$ref", "")):
                name = choice["$ref"].rpartition("/")[2]
                node["anyOf"].insert(1, schema["$defs"][name]["properties"][field])

    visit(schema)


def _as_written(node: Any, sections: dict[str, Any]) -> None:
    """Durations and percentages are numbers to msgspec, whatever their extra schema says, and strings to users."""
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _as_written(child, sections)
    if not isinstance(node, dict):
        return
    if node.get("pattern") in (DURATION, PERCENT) and node.get("type") == "number":
        node["type"] = "string" if node["pattern"] == DURATION else ["string", "number"]
    if "default" in node:
        node["default"] = _written(node["default"], node, sections)


def _written(value: Any, about: dict[str, Any], sections: dict[str, Any]) -> Any:
    """A default in the form that users write. `about`: the schema of the value; `sections`: those of all structs."""
    if "$ref" in about and isinstance(value, dict):
        keys = sections[about["$ref"].rpartition("/")[2]]["properties"]
        return {name: _written(one, keys[name], sections) for name, one in value.items() if one is not None}
    unit = {DURATION: "s", PERCENT: "%"}.get(about.get("pattern", ""))
    return f"{value:g}{unit}" if unit and isinstance(value, int | float) else value
