"""Hosts that refuse us, are full, or restart their Docker in the middle: what runs there goes on."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from cicd.adapters.engines.compose import ComposeEngine
from tests.commands.site import free_ports
from tests.docker.host import Host, make_key
from tests.docker.images import application
from tests.docker.lab import REVISION, Lab
from tests.docker.layers import Entry, layer
from tests.docker.shop import COMPOSE, Shop
from tests.docker.untouched import answers, lossless, refused, tells, untouched, works
from tests.sweep.swept import Traffic

pytestmark = pytest.mark.real
Hosts = Callable[[int], list[Host]]
MB = 1024 * 1024
HERE = "  api:\n    image: ${IMAGE:?the image, by digest}\n"


def shop_on(host: Host, folder: Path, lab: Lab) -> Shop:
    """A shop with one release."""
    shop = Shop(folder, lab, [host], within="40s")
    assert shop.promote(shop.release("v1")).outputs["verdict"] == "stable", shop.said.getvalue()
    return shop


def test_a_host_that_refuses_us(tmp_path: Path, lab: Lab, hosts: Hosts) -> None:
    shop = shop_on(hosts(1)[0], tmp_path, lab)
    image = shop.release("v2")
    right = shop.hosts[0].known_hosts.read_text()
    make_key(tmp_path / "other")
    public = (tmp_path / "other.pub").read_text().split()[1]
    changed = re.sub(r"ssh-ed25519 \S+", f"ssh-ed25519 {public}", right)
    with lossless(shop):
        shop.key = (tmp_path / "other").read_text()
        code, message = refused(shop, image)
        assert code == 54
        tells(message, "Permission denied", "Cause: our key is not among", "Next: put the public key there")
        shop.key, shop.known_hosts = "", "nowhere.example ssh-ed25519 " + public
        code, message = refused(shop, image)
        assert code == 54
        tells(message, "Cause: its host key is not known here", "Next: `ssh-keyscan -p PORT")
        shop.known_hosts = changed
        code, message = refused(shop, image)
        assert code == 54
        tells(message, "Cause: its host key is not the one that we know", "Next: do not connect before you know why")
        shop.known_hosts = None
    works(shop)


@pytest.mark.slow
def test_a_host_that_is_full_or_gets_so(tmp_path: Path, lab: Lab, hosts: Hosts) -> None:
    (host,) = hosts(1)
    host.machine.run("mkdir", "-p", "/srv/cicd")
    host.machine.run("mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", "/srv/cicd")
    shop = shop_on(host, tmp_path, lab)
    host.machine.run("dd", "if=/dev/zero", "of=/srv/cicd/full", "bs=1M", "count=120")
    with untouched(shop):
        code, message = refused(shop, shop.release("v2"))
    assert code == 29
    tells(message, "The target has ", " MB free, and 67 MB are needed", "Cause: releases, logs", "Next: free space")
    host.machine.run("dd", "if=/dev/zero", "of=/srv/cicd/full", "bs=1M", "count=80")
    large = shop.repository / "assets" / "large"
    large.parent.mkdir()
    large.write_bytes(bytes(100 * MB))
    shop.write("docker-compose.yml", shop.compose.replace(HERE, f"{HERE}    volumes: ['./assets:/assets:ro']\n"))
    shop.commit()
    with untouched(shop):
        code, message = refused(shop, shop.release("v3"))
    assert code == 29
    tells(message, "cannot be written", "No space left on device", "Cause: releases, logs", "Next: free space")
    large.write_bytes(b"smaller")
    shop.commit()
    works(shop)


@pytest.mark.slow
def test_a_host_whose_docker_is_full(tmp_path: Path, lab: Lab, hosts: Hosts) -> None:
    (host,) = hosts(1)
    host.daemon.stop(signal.SIGTERM)
    host.machine.run("mount", "-t", "tmpfs", "-o", "size=800m", "tmpfs", "/var/lib/docker")
    host.daemon.start()
    host.daemon.wait()
    shop = shop_on(host, tmp_path, lab)
    free = int(host.machine.run("df", "-m", "--output=avail", "/var/lib/docker").split()[-1])
    host.machine.run("dd", "if=/dev/zero", "of=/var/lib/docker/full", "bs=1M", f"count={free - 80}")
    commit = shop.git("rev-parse", "HEAD")
    (tmp_path / "large").write_bytes(bytes(200 * MB))
    made = application().over(layer({"app/large": Entry(file=tmp_path / "large")}), Labels={REVISION: commit})
    with untouched(shop):
        code, message = refused(shop, lab.push(made, "acme/api", "large"))
    assert code == 29
    tells(message, "cannot pull", "no space left on device", "Next: free space on that host")
    works(shop)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["prepare", "start"])
def test_docker_restarts_in_the_middle(
    tmp_path: Path, lab: Lab, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """With `live-restore` containers live on; only what Docker publishes on the host waits until it is there again."""
    (host,) = hosts(1)
    host.daemon.stop(signal.SIGTERM)
    host.daemon.options = ["--live-restore"]
    host.daemon.start()
    host.daemon.wait()
    shop = shop_on(host, tmp_path, lab)
    step = getattr(ComposeEngine, where)
    restarts: list[str] = []

    def restarting(self: ComposeEngine, *arguments: object) -> object:
        if not restarts:
            restarts.append(where)
            host.daemon.stop(signal.SIGTERM)
            host.daemon.start()
        return step(self, *arguments)

    inside = host.engine.docker(
        "inspect", '--format={{(index .NetworkSettings.Networks "shop-cicd").IPAddress}}', "shop-api-1"
    )
    traffic = Traffic(shop.door(to=f"{inside}:8000"))
    with monkeypatch.context() as patch, traffic.running(2):
        patch.setattr(ComposeEngine, where, restarting)
        result = shop.promote(shop.release("v2"))
    assert restarts == [where]
    assert result.outputs["verdict"] == "stable", result.message
    assert traffic.sent
    assert traffic.wrong[:3] == []
    assert shop.ask()[0] == result.outputs["release"]
    works(shop)


@pytest.mark.slow
def test_docker_restarts_with_all_that_runs_in_it(
    tmp_path: Path, lab: Lab, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is by default: Docker ends all containers, and starts those again that it had not been told to end."""
    (host,) = hosts(1)
    shop = shop_on(host, tmp_path, lab)
    works(shop)
    before, start = shop.ask(), ComposeEngine.start

    def restarting(self: ComposeEngine, slot: str, record: object) -> None:
        host.daemon.stop(signal.SIGTERM)
        host.daemon.start()
        start(self, slot, record)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(ComposeEngine, "start", restarting)
        code, message = refused(shop, shop.release("v2", UNHEALTHY="1"))
    assert code == 43, message
    answers(shop)
    assert shop.ask() == before
    works(shop)


@pytest.mark.slow
def test_a_container_name_and_a_fixed_port_go_to_the_router(tmp_path: Path, lab: Lab, hosts: Hosts) -> None:
    """Two slots cannot both have them; the router has them in the service's place, so they stay through all changes."""
    fixed = free_ports(1)[0]
    named = f"{HERE}    container_name: the-api\n    ports: ['{fixed}:8000']\n"
    shop = Shop(tmp_path, lab, hosts(1), compose=COMPOSE.replace(HERE, named), within="40s")
    assert shop.promote(shop.release("v1")).outputs["verdict"] == "stable", shop.said.getvalue()
    first, engine = shop.ask()[0], shop.engines[0]
    router = engine.docker("inspect", "--format={{.Id}} {{.State.StartedAt}}", "the-api")
    traffic = Traffic(shop.door(to=f"127.0.0.1:{fixed}"))
    with traffic.running(2):
        works(shop)
        works(shop)
        back = shop.rollback(to=first)
    assert (shop.ask()[0], back.outputs["release"]) == (first, first)
    assert traffic.sent
    assert traffic.wrong[:3] == []
    assert engine.docker("inspect", "--format={{.Id}} {{.State.StartedAt}}", "the-api") == router


@pytest.mark.slow
def test_a_fixed_port_that_is_taken(tmp_path: Path, lab: Lab, hosts: Hosts) -> None:
    (host,) = hosts(1)
    shop = shop_on(host, tmp_path, lab)
    taken = free_ports(1)[0]
    host.engine.docker("run", "--detach", f"--publish={taken}:80", "--name=neighbour", lab.part("nginx"))
    shop.write("docker-compose.yml", shop.compose.replace(HERE, f"{HERE}    ports: ['{taken}:8000']\n"))
    shop.commit()
    with untouched(shop):
        code, message = refused(shop, shop.release("v2"))
    assert code == 41
    tells(message, f"port {taken}", "Cause: ", "Next: ")
    host.engine.docker("rm", "--force", "neighbour")
    assert shop.promote(shop.release("v3")).outputs["verdict"] == "stable", shop.said.getvalue()
    works(shop)
