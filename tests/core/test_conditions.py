"""What Prometheus tells of a release, held against limits."""

import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.conditions import Answered, Told, filled, gaps, held, is_beyond, number_of
from cicd.core.config import Condition, Watch
from cicd.core.config_rules import parse_config
from cicd.core.watch import Seen, Traffic, judge
from cicd.errors import ConfigError

SHARE = Condition(bad="bad", of="of", share=1.0)
MOST = Condition(value="queue", most=100.0, lasts=30.0)
SAMPLES = 20


def vector(*values: str) -> dict[str, Any]:
    series = [{"metric": {"n": str(n)}, "value": [1.5, value]} for n, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": series}}


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        (vector("3.5"), 3.5),
        (vector("+Inf"), float("inf")),
        (vector("NaN"), None),
        (vector(), None),
        ({"status": "success", "data": {"resultType": "scalar", "result": [1.5, "7"]}}, 7.0),
    ],
)
def test_the_number_of_an_answer(answer: Any, number: float | None) -> None:
    assert number_of(answer) == (number, "")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (vector("1", "2"), "2 series and not one: put sum"),
        ({"status": "error", "error": "parse error:\n at char 3"}, "parse error: at char 3"),
        ({"status": "success", "data": {"resultType": "matrix", "result": []}}, "gives a matrix"),
        (
            {"status": "success", "data": {"resultType": "vector", "result": [{"value": [1]}]}},
            "not answer as Prometheus",
        ),
        ({"status": "success", "data": None}, "not answer as Prometheus"),
        ([], "not answer as Prometheus"),
        ("<html>", "not answer as Prometheus"),
        (None, "not answer as Prometheus"),
    ],
)
def test_nonsense_is_a_gap(answer: Any, problem: str) -> None:
    number, gap = number_of(answer)
    assert number is None
    assert problem in gap


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["status", "data", "result", "resultType", "value", "error"]), inner)
        ),
    )
)
def test_no_answer_is_too_odd(answer: Any) -> None:
    number, gap = number_of(answer)
    assert number is None or not gap


def test_a_query_with_its_names() -> None:
    query = 'sum(increase(x{slot="$slot",code=~"5..$",other="${other}"}[$window]))'
    assert filled(query, {"slot": "blue", "window": "60s"}) == (
        'sum(increase(x{slot="blue",code=~"5..$",other="${other}"}[60s]))'
    )


def verdict(told: Mapping[str, Told], elapsed: float = 61.0) -> tuple[str, str]:
    """With users who see nothing wrong."""
    conditions = {"checkout": SHARE, "queue": MOST}
    seen = Seen(Traffic(1000, 0), Traffic(100, 0))
    return judge(seen, Seen(), Watch(), elapsed, 60.0, held(conditions, told, SAMPLES))


def test_a_share_is_held_as_requests_are() -> None:
    assert verdict({"checkout": Told(Answered(20, 100))}, 5.0)[0] == "failed", "at any time"
    assert verdict({"checkout": Told(Answered(20, 100), Answered(200, 1000))})[0] == "inconclusive", "as before"
    assert verdict({"checkout": Told(Answered(0, 100))})[0] == "stable"
    assert verdict({"checkout": Told(Answered(5, 10))})[0] == "inconclusive", "on too few nothing fails"


def test_a_value_fails_when_it_lasts() -> None:
    assert verdict({"queue": Told(Answered(101), beyond=29)}, 5.0)[0] == "go-on"
    judgement, why = verdict({"queue": Told(Answered(101), beyond=30)}, 5.0)
    assert (judgement, why) == ("failed", "queue is 101, at most 100, for 30 s of 30 s")
    assert verdict({"queue": Told(Answered(101), Answered(120), beyond=60)})[0] == "inconclusive", "so it was before"
    assert verdict({"queue": Told(Answered(101), beyond=29)})[0] == "inconclusive", "it ended in doubt"
    assert verdict({"queue": Told(Answered(100), beyond=0)})[0] == "stable"


def test_no_answer_is_told_and_no_fault() -> None:
    told = {"checkout": Told(Answered(gap="Prometheus did not answer within 5 s"))}
    assert verdict(told)[0] == "stable"
    assert gaps(["checkout", "queue"], told) == [
        "checkout was not judged: Prometheus did not answer within 5 s",
        "queue was not judged: Prometheus has nothing about this release yet",
    ]


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(min_value=0, max_value=100))
def test_any_number_has_a_verdict(number: float, of: float, beyond: float) -> None:
    told = Told(Answered(number, of), Answered(of, number), beyond)
    for name, check in zip(
        ("checkout", "queue"),
        held({"checkout": SHARE, "queue": MOST}, {"checkout": told, "queue": told}, 1),
        strict=True,
    ):
        assert check.why.startswith(name) or "checkout failed" in check.why
        assert check.over or not check.failed or name == "checkout"


def test_least() -> None:
    least = Condition(value="v", least=2.0)
    assert [is_beyond(least, number) for number in (1.9, 2.0, None)] == [True, False, False]


HEAD = """\
version: 1
app: api
environments: {dev: {ports: {router: 8080, blue: 8081, green: 8082}}}
deploy:
  run: python -m api
  watch: {metrics: {url: 'http://127.0.0.1:9090', conditions: {one: {CONDITION}}}}
"""


@pytest.mark.parametrize(
    "condition", ["bad: a, of: b, share: 1%", "value: a, most: 1", "value: a, least: 1, lasts: 5s"]
)
def test_conditions_of_a_config(condition: str) -> None:
    config = parse_config(HEAD.replace("CONDITION", condition), "cicd.yml")
    assert config.deploy
    assert config.deploy.watch.metrics


@pytest.mark.parametrize(
    "condition", ["bad: a", "bad: a, of: b", "value: a", "most: 1", "bad: a, of: b, share: 1%, value: c, most: 2"]
)
def test_a_condition_without_a_limit(condition: str) -> None:
    with pytest.raises(ConfigError, match=r"deploy\.watch\.metrics\.conditions\.one: wants either"):
        parse_config(HEAD.replace("CONDITION", condition), "cicd.yml")


def test_a_login_does_not_belong_into_the_url() -> None:
    with pytest.raises(ConfigError, match="url"):
        parse_config(HEAD.replace("CONDITION", "value: a, most: 1").replace("//127", "//me:secret@127"), "cicd.yml")


def test_chance_is_not_failed_and_a_bad_release_is() -> None:
    """A few of what benchmarks/watch does many of."""
    chance = random.Random(7)

    def ends(share: float) -> str:
        requests = bad = 0
        for scrape in range(8):
            more = chance.randint(50, 400)
            requests, bad = requests + more, bad + sum(chance.random() < share for _ in range(more))
            judgement, _ = verdict({"checkout": Told(Answered(bad, requests), Answered(50, 10000))}, scrape * 15.0)
            if judgement != "go-on":
                return judgement
        return "stable"

    assert [ends(0.005) for _ in range(30)].count("failed") == 0
    assert [ends(0.05) for _ in range(30)].count("failed") == 30
