"""Bad input to engine compose: each is told clearly, what runs loses no request by it, and the next promotion works."""

import contextlib
from collections.abc import Iterator

import pytest

from cicd.commands.serving import Serving
from cicd.core.plan import idle
from cicd.core.release import Record
from tests.docker.images import application
from tests.docker.lab import REVISION, Lab
from tests.docker.shop import COMPOSE, Shop
from tests.docker.untouched import lossless, refused, tells, untouched, works
from tests.sweep.swept import Traffic

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("bad-input")]
HERE = "  api:\n    image: ${IMAGE:?the image, by digest}\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Iterator[Shop]:
    """A shop on a host of its own, with two releases: v2 runs, and v1 is beside it."""
    made = Shop(tmp_path_factory.mktemp("shop"), lab, lab.more_hosts(1), within="40s")
    for version in ("v1", "v2"):
        assert made.promote(made.release(version)).outputs["verdict"] == "stable", made.said.getvalue()
    yield made
    lab.end_hosts()


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
    "a hostile name": (
        COMPOSE.replace("  worker:\n", "  --volume:\n"),
        ["services.--volume: programs take such a name for an option", "Next: mend them"],
    ),
    "another hostile name": (COMPOSE.replace("  worker:\n", "  'a;b $(c)':\n"), ["a;b $(c)", "Next: mend the file"]),
    "a database that is built": (
        COMPOSE.replace("    image: $REDIS\n", "    build: ./redis\n"),
        ["docker-compose.yml: services.redis has `build` and no `image`", "Cause: a service that both", "Next: push"],
    ),
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
    try:
        yield
    finally:
        file.write_text(right)
        shop.commit()


@pytest.mark.parametrize("name", FILES)
def test_a_compose_file(shop: Shop, name: str) -> None:
    text, said = FILES[name]
    with untouched(shop), written(shop, text):
        code, message = refused(shop, shop.release(name.replace(" ", "-")))
    assert code == (47 if name == "hardly memory" else 10)
    tells(message, *said)


def test_all_of_them_leave_the_next_promotion_as_it_was(shop: Shop) -> None:
    works(shop)
    with lossless(shop):
        back = shop.rollback()
    assert shop.ask()[0] == back.outputs["release"]


def test_an_image_of_another_repository(shop: Shop) -> None:
    other = shop.lab.image("stranger", "acme/other", revision=shop.git("rev-parse", "HEAD"))
    with untouched(shop):
        code, message = refused(shop, other)
    assert code == 36
    tells(message, f"cannot pull {other.replace('other', 'api')}: ")
    tells(message, "Cause: it was never pushed there", "Next: push it")
    works(shop)


@pytest.mark.slow
def test_an_image_that_never_gets_healthy(shop: Shop) -> None:
    with set_to(shop, within="12s"), untouched(shop):
        code, message = refused(shop, shop.release("sick", UNHEALTHY="1"))
    assert code == 43
    tells(message, "was not healthy within 12 s: ", "503", "Next: mend the release")
    works(shop)


def test_an_image_that_crashes_at_once(shop: Shop) -> None:
    with untouched(shop):
        code, message = refused(shop, shop.release("dead", CRASH_AFTER="0"))
    assert code == 43
    tells(message, "ended by itself", "ended with 1)", "Next: mend the release")
    works(shop)


@pytest.mark.slow
def test_an_image_that_wants_more_memory_than_there_is(shop: Shop) -> None:
    with untouched(shop), written(shop, COMPOSE.replace(HERE, f"{HERE}    mem_limit: 48m\n")):
        code, message = refused(shop, shop.release("fat", EAT_MEMORY="200"))
    assert code == 43
    tells(message, "ended with 137", "memory", "Next: mend the release")
    works(shop)


@pytest.mark.slow
def test_an_image_that_crashes_under_its_users(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch sees it: they go back to the release before. It stays down: how fast the machine is says nothing."""
    before, watch = shop.ask(), Serving.watch

    def crashing(self: Serving, slot: str, record: Record) -> str:
        with contextlib.suppress(OSError):
            shop.ask("/crash")
        return watch(self, slot, record)

    with (
        set_to(shop, watch="120s"),
        written(shop, COMPOSE.replace(HERE, f'{HERE}    restart: "no"\n')),
        Traffic(shop.door()).running(2),
        monkeypatch.context() as patch,
    ):
        patch.setattr(Serving, "watch", crashing)
        code, message = refused(shop, shop.release("tires", CRASH_ON="/crash"))
    assert code == 44
    tells(message, "fails under traffic", "Next: mend it")
    assert shop.ask() == before
    works(shop)


WORKER = "    command: [worker]\n    volumes: [work:/work]\n    environment: {"


@pytest.mark.slow
@pytest.mark.parametrize("restart", ["no", "always"])
def test_a_companion_that_crashes_under_traffic(shop: Shop, restart: str) -> None:
    """It starts with the switch: nothing before the watch could see it."""
    tired = COMPOSE.replace(WORKER, f'    restart: "{restart}"\n{WORKER}CRASH_AFTER: "1", ')
    assert tired != COMPOSE
    before, companions = shop.ask(), [name for name in shop.running() if "worker" in name or "cron" in name]
    with set_to(shop, watch="60s"), written(shop, tired), lossless(shop):
        code, message = refused(shop, shop.release(f"tired-worker-{restart}"))
    assert code == 44
    tells(message, "companion `worker` on ssh://", "crashed", "Next: mend it")
    # With `always` Docker may have started it again before it was looked at.
    assert "ended with 1)" in message or (restart == "always" and "was started again" in message), message
    assert shop.ask() == before
    assert [name for name in shop.running() if "worker" in name or "cron" in name] == companions
    works(shop)


@pytest.mark.slow
def test_a_companion_that_has_done_its_work(shop: Shop) -> None:
    with written(shop, COMPOSE.replace(WORKER, '    restart: "no"\n' + WORKER.replace("worker", "job", 1))):
        works(shop)
    works(shop)


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_registry_is_away(shop: Shop) -> None:
    """A promotion is refused before it touches anything; a rollback needs images that the hosts have kept."""
    works(shop)
    here, new = shop.ask()[0], shop.release("unreachable")
    shop.lab.registry.down()
    try:
        with untouched(shop):
            code, message = refused(shop, new)
            assert shop.hub.deployments[0].payload.release_id == here, "nothing was begun"
            assert code == 57
        tells(message, "Cause: the registry is away", "Next: try again")
        with lossless(shop):
            warm = shop.rollback()
            assert shop.ask()[0] == warm.outputs["release"] != here
            shop.empty(idle(shop.project().site.running().slot))
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
    try:
        yield
    finally:
        shop.configure()
        shop.commit()
