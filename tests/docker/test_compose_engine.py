"""Engine compose on a real Docker Engine: what users have, promoted and rolled back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docker.host import Host
from tests.docker.lab import Lab
from tests.docker.shop import Shop

pytestmark = pytest.mark.real


@pytest.fixture
def shop(tmp_path: Path, lab: Lab) -> Iterator[Shop]:
    made = Shop(tmp_path, lab)
    yield made
    made.close()


def test_there_and_back(shop: Shop) -> None:
    first = shop.promote(shop.release("v1"))
    assert first.outputs["verdict"] == "stable", shop.said.getvalue()
    assert shop.ask() == (first.outputs["release"], "hello")
    assert shop.running() == [
        "shop-api",
        "shop-blue-api-blue",
        "shop-blue-cron-blue",
        "shop-blue-worker-blue",
        "shop-redis",
    ]
    second = shop.promote(shop.release("v2"))
    assert second.outputs["verdict"] == "stable", shop.said.getvalue()
    assert shop.ask()[0] == second.outputs["release"]
    assert "shop-blue-cron-blue" not in shop.running()
    back = shop.rollback()
    assert back.outputs["release"] == first.outputs["release"]
    assert shop.ask()[0] == first.outputs["release"]
    assert "shop-green-cron-green" not in shop.running()
    assert "shop-blue-cron-blue" in shop.running()


def test_two_hosts_switch_together_or_not_at_all(tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]]) -> None:
    shop = Shop(tmp_path, lab, hosts(2))
    first = shop.promote(shop.release("v1"))
    assert first.outputs["verdict"] == "stable", shop.said.getvalue()
    assert [shop.ask(host=number)[0] for number in (0, 1)] == [first.outputs["release"]] * 2
    second = shop.promote(shop.release("v2"))
    assert second.outputs["verdict"] == "stable", shop.said.getvalue()
    assert [shop.ask(host=number)[0] for number in (0, 1)] == [second.outputs["release"]] * 2
    bad = shop.promote(shop.release("v3", UNHEALTHY="1"))
    assert bad.outputs["verdict"] == "failed"
    assert [shop.ask(host=number)[0] for number in (0, 1)] == [second.outputs["release"]] * 2
    back = shop.rollback()
    assert [shop.ask(host=number)[0] for number in (0, 1)] == [first.outputs["release"]] * 2, back.message


def test_a_job_without_a_key_plans_what_one_with_a_key_carries_out(
    tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]]
) -> None:
    """The plan comes before the approval, and the environment's secrets after it."""
    shop = Shop(tmp_path, lab, hosts(1))
    shop.promote(shop.release("v1"))
    image = shop.release("v2")
    with_key = shop.plan(image)
    stranger = shop.runner()
    stranger.ssh_key = ""
    without = shop.plan(image, stranger)
    assert without.outputs["plan"] == with_key.outputs["plan"]
    assert "not seen from here" in without.data["notes"][0]
    assert shop.promote(image, plan=without.outputs["plan"]).outputs["verdict"] == "stable"
