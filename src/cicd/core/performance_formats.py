"""Reports of load and benchmark tools as measures: pytest-benchmark, k6, locust, hyperfine, JMeter and ApacheBench.

A report is known by what is in it, not by its name. It may come from a pull request: sizes and counts have bounds, and
what cannot be read is an error, never an empty list.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cicd.core.performance import Measure
from cicd.errors import ReportInvalid

LARGEST = 200 * 1024 * 1024  # bytes of one report
MOST_MEASURES = 5000
MOST_SAMPLES = 2_000_000  # of one report
LONGEST_NAME = 200
LOCUST_TOTAL = "Aggregated"
READS = "pytest-benchmark, k6, locust, hyperfine, JMeter and ApacheBench are read"


def read_measures(text: bytes, source: str) -> list[Measure]:
    """The measures of a report.

    Args:
        source: its name, for errors.

    Raises:
        ReportInvalid: it is none that is known, is damaged, too large, or has no measure.
    """
    if len(text) > LARGEST:
        raise invalid(source, f"it has {len(text):,} bytes, and {LARGEST:,} are read")
    try:
        found = _read(text.decode("utf-8-sig"))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, csv.Error) as error:
        raise invalid(source, f"{type(error).__name__}: {str(error)[:200]}") from error
    if not found:
        raise invalid(source, "there is no measure in it")
    if len(found) > MOST_MEASURES:
        raise invalid(source, f"it has more than {MOST_MEASURES} measures")
    return found


def invalid(source: str, cause: str) -> ReportInvalid:
    return ReportInvalid(
        f"The performance report `{source}` cannot be read", cause=cause, next_step=f"look at what wrote it; {READS}"
    )


def _read(text: str) -> list[Measure]:
    start = text.lstrip()[:1]
    if start in ("{", "["):
        value = json.loads(text, parse_constant=_no_constant)
        if not isinstance(value, dict):
            raise ValueError("it is a list")
        return _json(value)
    return _table(text)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no figure")


def _json(value: Mapping[str, Any]) -> list[Measure]:
    readers: dict[str, Callable[[Mapping[str, Any]], list[Measure]]] = {
        "benchmarks": _pytest_benchmark,
        "results": _hyperfine,
        "metrics": _k6,
    }
    reader = next((reader for key, reader in readers.items() if key in value), None)
    if reader is None:
        raise ValueError(f"none of its keys is known; {READS}")
    return reader(value)


def _pytest_benchmark(value: Mapping[str, Any]) -> list[Measure]:
    """`--benchmark-json`; all rounds are in it with `--benchmark-save-data`."""
    measures = []
    for one in value["benchmarks"]:
        stats = one["stats"]
        samples = _figures(stats.get("data") or [])
        quantiles = {} if samples else {50.0: _figure(stats["median"]), 100.0: _figure(stats["max"])}
        measures.append(
            Measure(
                name=_name(one.get("fullname") or one["name"]),
                samples=samples,
                quantiles=quantiles,
                rate=_figure(stats["ops"]) if stats.get("ops") is not None else None,
                count=int(stats.get("rounds") or len(samples)),
            )
        )
    return measures


def _hyperfine(value: Mapping[str, Any]) -> list[Measure]:
    """`--export-json`; a command that has failed counts as an error."""
    measures = []
    for one in value["results"]:
        samples = _figures(one["times"])  # a mean alone is no quantile
        codes = one.get("exit_codes") or []
        failed = sum(code != 0 for code in codes) if codes else None
        measures.append(Measure(name=_name(one["command"]), samples=samples, count=len(samples), failed=failed))
    return measures


def _k6(value: Mapping[str, Any]) -> list[Measure]:
    """`--summary-export`, or what `handleSummary` is given; times are in milliseconds."""
    metrics = {name: _k6_values(one) for name, one in value["metrics"].items()}
    requests, failed = metrics.get("http_reqs", {}), metrics.get("http_req_failed", {})
    count, rate = int(requests.get("count", 0)), requests.get("rate")
    share = failed.get("rate", failed.get("value"))
    measures = []
    for name, values in metrics.items():
        quantiles = _k6_quantiles(values)
        if not quantiles or "duration" not in name:
            continue
        whole = name == "http_req_duration"
        measures.append(
            Measure(
                name=_name(name),
                quantiles=quantiles,
                rate=rate if whole else None,
                count=count if whole else 0,
                failed=round(share * count) if whole and share is not None else None,
            )
        )
    return measures


def _k6_values(metric: Mapping[str, Any]) -> dict[str, float]:
    values = metric.get("values", metric)
    return {key: _figure(item) for key, item in values.items() if isinstance(item, int | float)}


def _k6_quantiles(values: Mapping[str, float]) -> dict[float, float]:
    found = {50.0: values["med"] / 1000} if "med" in values else {}
    for key, item in values.items():
        if key.startswith("p(") and key.endswith(")"):
            found[float(key[2:-1])] = item / 1000
    return found | ({100.0: values["max"] / 1000} if found and "max" in values else {})


def _table(text: str) -> list[Measure]:
    """A CSV or tab-separated table, by its first line."""
    head = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text), delimiter="\t" if "\t" in head else ",", strict=True)
    columns = set(rows.fieldnames or ())
    if {"Request Count", "Failure Count", "Requests/s"} <= columns:
        return _locust(rows)
    if {"elapsed", "label", "success"} <= columns:
        return _jmeter(rows)
    if {"Percentage served", "Time in ms"} <= columns:
        return _apache_percentiles(rows)
    if {"ttime", "ctime", "wait"} <= columns:
        return _apache_requests(rows)
    raise ValueError(f"its first line is none that is known; {READS}")


def _locust(rows: Iterable[Mapping[str, str]]) -> list[Measure]:
    """`--csv`, its file `…_stats.csv`; times are in milliseconds."""
    measures = []
    for row in rows:
        name = LOCUST_TOTAL if row["Name"] == LOCUST_TOTAL else f"{row['Type']} {row['Name']}".strip()
        columns = [key for key in row if key and key.endswith("%") and row[key] not in ("", "N/A")]
        measures.append(
            Measure(
                name=_name(name),
                quantiles={float(key[:-1]): _figure(row[key]) / 1000 for key in columns},
                rate=_figure(row["Requests/s"]),
                count=int(row["Request Count"]),
                failed=int(row["Failure Count"]),
            )
        )
    return measures


def _jmeter(rows: Iterable[Mapping[str, str]]) -> list[Measure]:
    """A result file (JTL) as CSV; times are in milliseconds."""
    times: dict[str, list[float]] = {}
    failed: dict[str, int] = {}
    begun: dict[str, list[float]] = {}
    for number, row in enumerate(rows):
        if number >= MOST_SAMPLES:
            raise ValueError(f"it has more than {MOST_SAMPLES} samples")
        name, taken = _name(row["label"]), _figure(row["elapsed"]) / 1000
        times.setdefault(name, []).append(taken)
        failed[name] = failed.get(name, 0) + (row["success"] != "true")
        if row.get("timeStamp"):
            at = _figure(row["timeStamp"]) / 1000
            first, last = begun.setdefault(name, [at, at + taken])
            begun[name] = [min(first, at), max(last, at + taken)]
    return [
        Measure(
            name=name,
            samples=samples,
            count=len(samples),
            failed=failed[name],
            rate=_rate(len(samples), begun.get(name)),
        )
        for name, samples in times.items()
    ]


def _rate(count: int, within: list[float] | None) -> float | None:
    return count / (within[1] - within[0]) if within and within[1] > within[0] else None


def _apache_percentiles(rows: Iterable[Mapping[str, str]]) -> list[Measure]:
    """`ab -e`: a time for each percent, in milliseconds."""
    quantiles = {_figure(row["Percentage served"]): _figure(row["Time in ms"]) / 1000 for row in rows}
    return [Measure(name="requests", quantiles=quantiles)] if quantiles else []


def _apache_requests(rows: Iterable[Mapping[str, str]]) -> list[Measure]:
    """`ab -g`: a line for each request, in milliseconds."""
    samples = _figures(_figure(row["ttime"]) / 1000 for row in rows)
    return [Measure(name="requests", samples=samples, count=len(samples))] if samples else []


def _name(text: object) -> str:
    return str(text)[:LONGEST_NAME]


def _figures(values: Iterable[Any]) -> list[float]:
    found = list[float]()
    for value in values:
        if len(found) >= MOST_SAMPLES:
            raise ValueError(f"it has more than {MOST_SAMPLES} samples")
        found.append(_figure(value))
    return found


def _figure(value: Any) -> float:
    """A finite number that is not below 0."""
    if isinstance(value, bool):
        raise ValueError(f"{value} is no figure")
    number = float(value)
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"{number} cannot have been measured")
    return number
