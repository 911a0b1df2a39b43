"""JSON of strangers, within bounds: read as it is, or refused. Nothing is guessed where two readers could differ."""

import json
from typing import Any, TypeVar

import msgspec

from cicd.core.markdown import visible
from cicd.errors import ReportInvalid

T = TypeVar("T")
LARGEST = 64 * 1024 * 1024  # bytes
MOST_VALUES = 4_000_000  # a list of empty lists takes 20 times its bytes as memory


def read_json(data: bytes, source: str) -> Any:
    """The value.

    Args:
        data: the file.
        source: its name, for errors.

    Raises:
        ReportInvalid: it is empty, too large, cut off, no UTF-8, nested too deep, has NaN or Infinity, or a key twice
            (readers differ on which one counts, and one of them may be an empty list of findings).
    """
    if len(data) > LARGEST:
        problem = f"it has more than {LARGEST // 1024 // 1024} MiB"
        raise invalid(source, problem, "it is no report of a scanner, or of far too much at once")
    if not data.strip():
        raise invalid(source, "it is empty", "the scanner ended before it wrote its report")
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MOST_VALUES:
        raise invalid(source, f"it has more than {MOST_VALUES:,} values", "it is no report of a scanner")
    try:
        text = data.decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise invalid(source, f"byte {error.start} is no UTF-8", "it was written in another encoding") from error
    except RecursionError:
        raise invalid(source, "it is nested too deep", "it is no report of a scanner") from None
    except ValueError as error:  # JSONDecodeError, _once, _refuse, and numbers with thousands of digits
        raise invalid(source, str(error), "the scanner ended while it wrote it, or it is no JSON") from None


def shaped(value: Any, kind: type[T], source: str, format: str) -> T:
    """The value as what it claims to be. Raises ReportInvalid."""
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise invalid(source, str(error)[:300], f"it is no report of {format}, or of a version not known yet") from None


def invalid(source: str, problem: str, cause: str) -> ReportInvalid:
    """The error for a report that cannot be read."""
    return ReportInvalid(
        f"The scanner's report `{visible(source)[:200]}` cannot be read: {visible(problem)[:300]}",
        cause=cause,
        next_step="look at what the scanner itself says, and let it write its report anew",
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key `{key[:40]}` is given twice")
            seen.add(key)
    return found


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")
