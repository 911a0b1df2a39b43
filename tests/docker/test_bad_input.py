"""Bad input to engine compose: each is told clearly, what runs goes on without a lost request, and the next one works."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicd.core.results import Result
from cicd.errors import CicdError
from tests.docker.images import application
from tests.docker.lab import REVISION, Lab
from tests.docker.shop import COMPOSE, Shop
from tests.sweep.swept import Traffic

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("bad-input")]
NUMBERS = itertools.count(1)
HERE = "  api:\n    image: ${IMAGE:?the image, by digest}\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Iterator[Shop]:
    """A shop on a host of its own, with two releases: v2 runs, and v1 is beside it."""
    made = Shop(tmp_path_factory.mktemp("shop"), lab, lab.more_hosts(1), within="40s")
    for version in ("v1", "v2"):
        assert made.promote(made.release(version)).outputs["verdict"] == "stable", made.said.getvalue()
    yield made
    lab.end_hosts()


@contextlib.contextmanager
def untouched(shop: Shop) -> Iterator[None]:
    """What runs answers each request in here, in the same containers; and nothing is beside it that was not before."""
    before, containers, serving = shop.ask(), shop.running(), shop.serving()
    with lossless(shop):
        yield
    assert shop.ask() == before
    assert shop.serving() == serving
    assert not set(shop.running()) - set(containers)


@contextlib.contextmanager
def lossless(shop: Shop) -> Iterator[None]:
    """No request is lost in here."""
    traffic = Traffic(shop.door())
    with traffic.running(2):
        yield
    assert traffic.sent and not traffic.wrong, traffic.wrong[:3]


def refused(shop: Shop, image: str, **inputs: str) -> tuple[int, str]:
    """What a promotion that must fail ends with: its exit code and message."""
    try:
        result = shop.promote(image, **inputs)
    except CicdError as error:
        return error.code, str(error)
    return result.exit_code, result.message


def works(shop: Shop) -> Result:
    """The next promotion: stable, with no request lost."""
    with lossless(shop):
        result = shop.promote(shop.release(f"next-{next(NUMBERS)}"))
    assert result.outputs.get("verdict") == "stable", result.message
    assert shop.ask()[0] == result.outputs["release"]
    return result


FILES = {
    "without the service": (
        COMPOSE.replace("  api:", "  app:"),
        ["no service `api`", "they have app, cron, redis, worker", "did you mean `app`"],
    ),
    "not YAML": (COMPOSE.replace("services:", "services: ["), ["docker-compose.yml: ", "yaml", "Next: mend the file"]),
    "not there": ("", ["There is no docker-compose.yml", "not committed", "Next: mend `compose`"]),
    "an unset variable": (
        COMPOSE.replace("${GREETING:-hello}", "$GREETNIG"),
        ["docker-compose.yml: GREETNIG has no value", "each variable needs a value", "Next: mend the file"],
    ),
    "a mount from outside": (
        COMPOSE.replace(HERE, f"{HERE}    volumes: ['../neighbour:/data']\n"),
        ["docker-compose.yml: ../neighbour is outside of", "Next: move it into that folder"],
    ),
    "two replicas": (COMPOSE.replace(HERE, f"{HERE}    scale: 2\n"), ["services.api: 2 replicas", "Next: mend them"]),
    "a container_name of a companion": (
        COMPOSE.replace("  worker:\n", "  worker:\n    container_name: worker\n"),
        ["services.worker.container_name", "a companion runs in either slot", "Next: mend them"],
    ),
    "a hostile name": (COMPOSE.replace("  worker:\n", "  --volume:\n"), ["services.--volume: programs take such a name for an option", "Next: mend them"]),
    "another hostile name": (COMPOSE.replace("  worker:\n", "  'a;b $(c)':\n"), ["a;b $(c)", "Next: mend the file"]),
    "hardly memory": (COMPOSE.replace(HERE, f"{HERE}    mem_limit: 1k\n"), ["memory", "Next: mend the compose file"]),
}


@contextlib.contextmanager
def written(shop: Shop, text: str) -> Iterator[None]:
    """The compose file says this in here; nothing: it is not there."""
    file = shop.repository / "docker-compose.yml"
    right = file.read_text()
    if text:
        file.write_text(text.replace("$REDIS", shop.lab.part("redis")))
    else:
        file.unlink()
    shop.commit()
    yield
    file.write_text(right)
    shop.commit()


@pytest.mark.parametrize("name", FILES)
def test_a_compose_file(shop: Shop, name: str) -> None:
    text, said = FILES[name]
    with untouched(shop), written(shop, text):
        code, message = refused(shop, shop.release(name.replace(" ", "-")))
    print(code, message)
    assert code == (47 if name == "hardly memory" else 10)
    assert not [part for part in said if part not in message], message


def test_all_of_them_leave_the_next_promotion_as_it_was(shop: Shop) -> None:
    works(shop)
    with lossless(shop):
        back = shop.rollback()
    assert shop.ask()[0] == back.outputs["release"]


def test_an_image_of_another_repository(shop: Shop) -> None:
    other = shop.lab.image("stranger", "acme/other", revision=shop.git("rev-parse", "HEAD"))
    with untouched(shop):
        code, message = refused(shop, other)
    print(code, message)
    assert code == 36
    assert f"cannot pull {shop.repository_of_images()}@{other.partition('@')[2]}" in message
    assert "Cause: it was never pushed there" in message and "Next: push it" in message
    works(shop)


def test_an_image_that_never_gets_healthy(shop: Shop) -> None:
    with set_to(shop, within="3s"), untouched(shop):
        code, message = refused(shop, shop.release("sick", UNHEALTHY="1"))
    print(code, message)
    assert code == 43
    assert "was not healthy within 3 s: " in message and "503" in message and "Next: mend the release" in message
    works(shop)


def test_an_image_that_crashes_at_once(shop: Shop) -> None:
    with untouched(shop):
        code, message = refused(shop, shop.release("dead", CRASH_AFTER="0"))
    print(code, message)
    assert code == 43
    assert "ended by itself" in message and "ended with 1)" in message and "Next: mend the release" in message
    works(shop)


def test_an_image_that_wants_more_memory_than_there_is(shop: Shop) -> None:
    with untouched(shop), written(shop, COMPOSE.replace(HERE, f"{HERE}    mem_limit: 48m\n")):
        code, message = refused(shop, shop.release("fat", EAT_MEMORY="200"))
    print(code, message)
    assert code == 43
    assert "ended with 137" in message and "memory" in message and "Next: mend the release" in message
    works(shop)


def test_an_image_that_crashes_after_ten_seconds(shop: Shop) -> None:
    """The watch sees it, with users on it: they go back to the release before."""
    before, serving = shop.ask(), shop.serving()
    with set_to(shop, watch="30s"), Traffic(shop.door()).running(2) as traffic:
        code, message = refused(shop, shop.release("tires", CRASH_AFTER="10"))
        seen = len(traffic.wrong)
    print(code, message, seen)
    assert code == 44
    assert "fails under traffic" in message and "Next: mend it" in message
    assert (shop.ask(), shop.serving()) == (before, serving)
    works(shop)


@pytest.mark.parametrize("where", ["of the image", "by the compose file"])
def test_without_a_health_check(shop: Shop, where: str) -> None:
    """Docker's is not needed: a release is proven by answers to our own questions."""
    if where == "of the image":
        commit = shop.git("rev-parse", "HEAD")
        made = application().over(Healthcheck={"Test": ["NONE"]}, Labels={REVISION: commit})
        image = shop.lab.push(made, "acme/api", "unchecked")
        with lossless(shop):
            result = shop.promote(image)
    else:
        with lossless(shop), written(shop, COMPOSE.replace(HERE, f"{HERE}    healthcheck: {{disable: true}}\n")):
            result = shop.promote(shop.release("unchecked-by-file"))
            sick = refused(shop, shop.release("unchecked-and-dead", CRASH_AFTER="0"))
        assert sick[0] == 43
    assert result.outputs.get("verdict") == "stable", result.message
    assert shop.ask()[0] == result.outputs["release"]


def test_the_registry_is_away(shop: Shop) -> None:
    """A promotion is refused before it touches anything; a rollback needs images that the hosts have kept."""
    works(shop)
    here, new = shop.ask()[0], shop.release("unreachable")
    shop.lab.registry.down()
    try:
        with untouched(shop):
            code, message = refused(shop, new)
            assert shop.hub.deployments[0].payload.release_id == here, "nothing was begun"
        print(code, message)
        assert code == 57
        assert "Cause: the registry is away" in message and "Next: try again" in message
        with lossless(shop):
            warm = shop.rollback()
            assert shop.ask()[0] == warm.outputs["release"] != here
            shop.engines[0].docker("rm", "--force", *shop.ids("cicd.slot=shop/production", here))
            cold = shop.rollback(to=here)
        assert (cold.outputs["release"], shop.ask()[0]) == (here, here)
    finally:
        shop.lab.registry.up()
    works(shop)


@contextlib.contextmanager
def set_to(shop: Shop, **values: str) -> Iterator[None]:
    """cicd.yml says this in here."""
    shop.configure(**values)
    shop.commit()
    yield
    shop.configure()
    shop.commit()
