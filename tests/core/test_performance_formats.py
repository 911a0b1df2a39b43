"""Reports of load and benchmark tools: each as its tool writes it, and whatever else there may be."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.performance_formats import read_measures
from cicd.errors import ReportInvalid

K6 = {
    "metrics": {
        "http_req_duration": {"avg": 12.0, "med": 10.0, "max": 99.0, "p(90)": 20.0, "p(95)": 25.5},
        "http_reqs": {"count": 1000, "rate": 99.5},
        "http_req_failed": {"passes": 20, "fails": 980, "value": 0.02},
        "vus": {"value": 10, "min": 10, "max": 10},
    }
}
LOCUST = """Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,\
Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%
GET,/health,200,4,5,6.1,2,90,12,20.5,0.4,5,6,7,7,9,12,20,40,90,90,90
,Aggregated,200,4,5,6.1,2,90,12,20.5,0.4,5,6,7,7,9,12,20,40,90,90,90
"""
JTL = """timeStamp,elapsed,label,responseCode,success
1000,100,home,200,true
1500,300,home,500,false
2000,200,home,200,true
"""


def as_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


def test_pytest_benchmark() -> None:
    stats = {"min": 0.1, "max": 0.4, "mean": 0.2, "median": 0.2, "rounds": 3, "ops": 5.0}
    one = {"name": "test_x", "fullname": "t.py::test_x", "stats": stats}
    bare, whole = (
        read_measures(as_bytes({"benchmarks": [each]}), "b.json")[0]
        for each in (one, {**one, "stats": {**stats, "data": [0.1, 0.2, 0.4]}})
    )
    assert (bare.name, bare.typical, bare.quantile(95), bare.rate) == ("t.py::test_x", 0.2, None, 5.0)
    assert whole.quantile(95) == 0.4


def test_k6_in_both_of_its_shapes() -> None:
    new = {"metrics": {name: {"type": "x", "values": values} for name, values in K6["metrics"].items()}}
    for shape in (K6, new):
        (measure,) = read_measures(as_bytes(shape), "k6.json")
        assert (measure.name, measure.quantile(95), measure.rate) == ("http_req_duration", 0.0255, 99.5)
        assert (measure.count, measure.failed) == (1000, 20)


def test_locust() -> None:
    health, total = read_measures(LOCUST.encode(), "out_stats.csv")
    assert (health.name, health.quantile(95), health.rate, health.failed) == ("GET /health", 0.012, 20.5, 4)
    assert total.name == "Aggregated"


def test_hyperfine() -> None:
    result = {"command": "sleep 1", "mean": 1.0, "times": [1.0, 1.1, 0.9], "exit_codes": [0, 0, 1]}
    (measure,) = read_measures(as_bytes({"results": [result]}), "h.json")
    assert (measure.name, measure.typical, measure.count, measure.failed) == ("sleep 1", 1.0, 3, 1)


def test_jmeter() -> None:
    (measure,) = read_measures(JTL.encode(), "out.jtl")
    assert (measure.name, measure.typical, measure.count, measure.failed) == ("home", 0.2, 3, 1)
    assert measure.rate == pytest.approx(3 / 1.2)


def test_apache_bench_in_both_of_its_shapes() -> None:
    (percentiles,) = read_measures(b"Percentage served,Time in ms\n0,1.0\n50,2.5\n95,9\n", "ab.csv")
    assert percentiles.quantile(95) == 0.009
    (requests,) = read_measures(b"starttime\tseconds\tctime\tdtime\tttime\twait\nx\t1\t0\t5\t5\t4\n", "ab.tsv")
    assert requests.typical == 0.005


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b'{"benchmarks": []}',
        b'{"benchmarks": [{"name": "x", "stats": {"median": NaN, "max": 1}}]}',
        b'{"benchmarks": [{"name": "x", "stats": {"median": -1, "max": 1}}]}',
        b'{"results": [{"command": "x", "times": [1e999]}]}',
        b'{"metrics": {"http_req_duration": 7}}',
        b'{"metrics": {"vus": {"value": 1}}}',
        b"\xff\xfe",
        b"[" * 100_000,
        LOCUST.splitlines()[0].encode(),
        JTL.replace("100", "soon").encode(),
        b"a,b\n1,2\n",
    ],
)
def test_what_cannot_be_read_is_an_error(text: bytes) -> None:
    with pytest.raises(ReportInvalid, match="cannot be read"):
        read_measures(text, "x")


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists) | st.binary())
def test_whatever_it_is_it_is_read_or_refused(value: object) -> None:
    text = value if isinstance(value, bytes) else json.dumps({"benchmarks": value}).encode()
    with contextlib.suppress(ReportInvalid):
        assert read_measures(text, "x")
