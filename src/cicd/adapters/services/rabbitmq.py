"""RabbitMQ: a node of its own with disposable data, on loopback, with a password.

It starts a name server (epmd), which goes into the background: all of its processes are found by a variable that they
have, see Job.
"""

import re
from pathlib import Path
from urllib.parse import quote

from cicd.adapters.services import amqp
from cicd.adapters.services.place import Address, Contained, Place, free_port

PROGRAM = "rabbitmq-server"
# Before PATH: what Debian has there is a script that becomes the user `rabbitmq`.
FOLDERS = ("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin", "/opt/homebrew/opt/rabbitmq/sbin")
VARIABLE = "AMQP_URL"
PORT_TAKEN = "eaddrinuse"
RESERVED = frozenset({"listeners.tcp", "listeners.tcp.default", "default_user", "default_pass", "default_vhost"})
IMAGE = "rabbitmq:{version}"
PORT = 5672
USER = "cicd"
DATABASE = "/"
CONFIG = "/etc/rabbitmq/conf.d/90-cicd.conf"


def version(program: Path) -> tuple[int, ...]:
    """By its path: asking takes a second, and the script on Debian's PATH can be started by nobody but root."""
    found = re.search(r"rabbitmq(?:_server-|/)(\d+)\.(\d+)\.(\d+)", str(program.resolve()))
    return tuple(int(part) for part in found.groups()) if found else ()


def prepare(place: Place) -> None:
    """RabbitMQ makes its own data; no plugin is wanted."""
    (place.folder / "enabled_plugins").write_text("[].\n")
    place.account.own(place.folder / "enabled_plugins")


def command(place: Place, port: int) -> list[str]:
    """The settings go by a file: among them is the password."""
    path = place.folder / "rabbitmq.conf"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    ours = {"listeners.tcp.1": f"127.0.0.1:{port}", "log.console": "true", "log.file": "false"}
    path.write_text(_config({**ours, **place.settings, "default_user": USER, "default_pass": place.password}))
    place.account.own(path)
    return [str(place.program)]


def _config(settings: dict[str, str]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in settings.items())


def environ(place: Place, port: int) -> dict[str, str]:
    """As https://www.rabbitmq.com/docs/configure says; two nodes of a machine share neither name nor port."""
    folder = str(place.folder)
    return {
        "HOME": folder,  # for the cookie that its own programs need
        "LC_ALL": "C.UTF-8",
        "RABBITMQ_NODENAME": f"cicd-{port}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_PORT": str(free_port()),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_MNESIA_BASE": folder,
        "RABBITMQ_LOG_BASE": folder,
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",  # the machine's own settings
    }


def cwd(place: Place) -> Path:
    return place.folder


def contained(place: Place, port: int) -> Contained:
    env = {"RABBITMQ_DEFAULT_USER": USER, "RABBITMQ_DEFAULT_PASS": place.password}
    return Contained(env, ("rabbitmq-server",), CONFIG, _config(dict(place.settings)))


def ask(address: Address, place: Place | None = None) -> tuple[int, ...] | None:
    """Whether it lets a client in and opens its virtual host."""
    return amqp.version_of(address)


def url(address: Address) -> str:
    login = f"{quote(address.user, safe='')}:{quote(address.password, safe='')}"
    return f"amqp://{login}@{address.host}:{address.port}/{quote(address.database, safe='')}"
