"""Router `nginx`: one server per environment, switched by the atomic rename of one included file and a reload.

A reload loses nothing because idle keep-alive connections of the old workers are kept open for a while
(`keepalive_min_timeout`, nginx 1.27.4) instead of being closed under a request that is on its way.
https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_min_timeout
Such a request still goes where the old configuration says: a slot may only be stopped after `drain`.

Shares are drawn by client address, not by request: a page of twenty requests would meet a 10% canary in nine cases of
ten, and find one release's page with the other's files. The release is drawn with it, so that each new one meets other
users. Behind a proxy the address is the one in X-Forwarded-For; who forges it only chooses his own slot.
https://nginx.org/en/docs/http/ngx_http_split_clients_module.html
"""

import os
import pwd
import signal
import string
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from cicd.adapters.http import ROUTER_RELEASE, probe
from cicd.adapters.ports import HOST, require_free
from cicd.adapters.process import identify, run, spawn, stop
from cicd.adapters.routers.log import Log, Mark, end_of, recent, rotated
from cicd.adapters.routers.share import Share
from cicd.adapters.runner import Runner
from cicd.adapters.target import Target, write_private
from cicd.adapters.tools import at_least
from cicd.core.health import PROBE_AGENT, Probe
from cicd.core.release import Record
from cicd.core.watch import Answer
from cicd.errors import RouterFailed

OLDEST = (1, 27, 4)
LOG_LIMIT = 64 * 1024 * 1024  # bytes, after which the log starts anew at the next switch
RELOADED_WITHIN = 5.0  # seconds that new workers have to be there
DRAINED_WITHIN = 10.0  # seconds that requests have to leave a slot; idle connections take 5 (keepalive_min_timeout)

MAIN = string.Template("""\
# Made by cicd. What changes from release to release is in active.conf.
$user
worker_processes 2;
worker_shutdown_timeout 30s;
pid $folder/nginx.pid;
error_log $folder/error.log warn;
events { worker_connections 1024; }
http {
    log_format release escape=json '{"at":$$msec,"release":"$$cicd_release","slot":"$$cicd_slot",'
        '"own":$$cicd_own,"status":$$status,"upstream":"$$upstream_status","seconds":$$request_time,"method":"$$request_method","uri":"$$uri",'
        '"request":"$$request_id"}';
    access_log $folder/access.log release;
    client_body_temp_path $folder/tmp/body;
    proxy_temp_path $folder/tmp/proxy;
    fastcgi_temp_path $folder/tmp/fastcgi;
    uwsgi_temp_path $folder/tmp/uwsgi;
    scgi_temp_path $folder/tmp/scgi;
    keepalive_timeout 75s;
    keepalive_min_timeout 5s;
    client_max_body_size 0;
    map $$http_upgrade $$cicd_connection { default upgrade; '' ''; }
    map $$http_user_agent $$cicd_own { default false; $agent true; }
    include $active;
    server {
        listen $host:$port;
        add_header X-Cicd-Release $$cicd_release always;
        location / {
            proxy_pass http://$$cicd_slot;
            proxy_http_version 1.1;
            proxy_set_header Host $$http_host;
            proxy_set_header Upgrade $$http_upgrade;
            proxy_set_header Connection $$cicd_connection;
            proxy_set_header X-Forwarded-For $$proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $$scheme;
            proxy_set_header X-Request-ID $$request_id;
        }
    }
}
""")

# Upstream keep-alive must end before the application's own, or nginx may send into a connection that just closed.
UPSTREAM = string.Template("""\
upstream $slot { server $address max_fails=0; keepalive 32; keepalive_timeout 4s; }
""")
NOWHERE = "127.0.0.1:9"  # the discard port: refused at once, answered by nginx with 502


def active(shares: Sequence[Share]) -> str:
    """What changes from release to release: the slots, who gets which, and what lives in them."""
    upstreams = "".join(UPSTREAM.substitute(slot=share.slot, address=share.address) for share in shares)
    *some, last = shares
    if some:
        salt = "-".join(share.release_id for share in some)
        parts = " ".join(f"{share.percent:.2f}% {share.slot};" for share in some)
        key = f"{salt} $http_x_forwarded_for $remote_addr"
        choice = f'split_clients "{key}" $cicd_slot {{ {parts} * {last.slot}; }}\n'
    else:
        choice = f"map $host $cicd_slot {{ default {last.slot}; }}\n"
    releases = " ".join(f'{share.slot} "{share.release_id}";' for share in shares)
    return f"{upstreams}{choice}map $cicd_slot $cicd_release {{ default none; {releases} }}\n"


@dataclass(frozen=True)
class Nginx:
    """The nginx of one environment, in the target's folder."""

    target: Target
    runner: Runner

    @property
    def folder(self) -> Path:
        return self.target.folder / "router"

    def route(self, shares: Sequence[Share], port: int) -> None:
        self._lay_out(port)
        self._rotate()
        text = active(shares)
        self._test(text, port)
        write_private(self.folder / "active.conf", text)
        write_private(self.folder / "nginx.conf", self._main(port, "active.conf"))
        if master := self._master():
            self._reload(master)
        else:
            self._start(port)

    def ask(self, record: Record) -> list[Probe]:
        url = f"http://{HOST}:{record.ports.router}{record.deploy.health.path}"
        return [probe(url, release_header=ROUTER_RELEASE)]

    def close(self) -> None:
        write_private(self.folder / "active.conf", active([Share("none", NOWHERE, "none")]))
        if master := self._master():
            self._reload(master)

    def drain(self) -> None:
        deadline = time.monotonic() + DRAINED_WITHIN
        while (master := self._master()) and any(map(_is_leaving, master.children())) and time.monotonic() < deadline:
            time.sleep(0.05)

    def runs(self) -> bool:
        return self._master() is not None

    def stop(self) -> None:
        if master := self._master():
            stop(identify(master.pid))

    def mark(self) -> Mark:
        return end_of(self.folder / "access.log")

    def log(self, since: Mark) -> Log:
        return Log(self.folder / "access.log", since)

    def recent(self, slot: str, release_id: str, count: int) -> list[Answer]:
        return recent(self.folder / "access.log", slot, release_id, count)

    def _lay_out(self, port: int) -> None:
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True, mode=0o700)

    def _main(self, port: int, active: str) -> str:
        # Workers of a root master become `nobody`, who cannot reach the target's folder; they stay who we are.
        user = f"user {pwd.getpwuid(os.geteuid()).pw_name};" if os.geteuid() == 0 else ""
        return MAIN.substitute(
            user=user, folder=self.folder, active=self.folder / active, host=HOST, port=port, agent=PROBE_AGENT
        )

    def _binary(self) -> Path:
        return at_least("nginx", OLDEST, self.runner)

    def _test(self, active: str, port: int) -> None:
        """Have nginx read the configuration before it becomes the active one."""
        write_private(self.folder / "active.new.conf", active)
        write_private(self.folder / "nginx.new.conf", self._main(port, "active.new.conf"))
        argv = [str(self._binary()), "-t", "-q", "-p", str(self.folder), "-c", str(self.folder / "nginx.new.conf")]
        done = run(argv, check=False)
        if done.code:
            raise RouterFailed(
                f"nginx refuses the configuration: {done.output.strip()[-500:]}",
                next_step="this is a bug in cicd; the router goes on as it was",
            )

    def _master(self) -> psutil.Process | None:
        """The master of this environment; a pid file that outlived a reboot may name another program, another nginx."""
        try:
            master = psutil.Process(int((self.folder / "nginx.pid").read_text()))
            ours = "nginx" in master.name() and str(self.folder) in " ".join(master.cmdline())
            return master if ours and master.status() != psutil.STATUS_ZOMBIE else None
        except (OSError, ValueError, psutil.Error):
            return None

    def _start(self, port: int) -> None:
        require_free(port, "the router")
        argv = [str(self._binary()), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-g", "daemon off;"]
        spawn(argv, env={"PATH": "/usr/bin:/bin"}, cwd=self.folder, log=self.folder / "start.log", outlive_job=True)
        deadline = time.monotonic() + 5
        while not self._master():
            if time.monotonic() > deadline:
                raise RouterFailed(
                    f"nginx did not start: {(self.folder / 'start.log').read_text()[-500:]}",
                    next_step=f"look at {self.folder / 'error.log'}",
                )
            time.sleep(0.02)

    def _reload(self, master: psutil.Process) -> None:
        """Have the new configuration in force: new workers are there, and the old ones take no new connection.

        nginx says nothing of a reload that fails; and for 100 ms after one that does not, old and new ones both accept.
        """
        before = {child.pid for child in master.children()}
        master.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + RELOADED_WITHIN
        while not _renewed(master.children(), before):
            if time.monotonic() > deadline:
                raise RouterFailed(
                    f"nginx did not take its new configuration within {RELOADED_WITHIN:g} s",
                    cause="the router goes on as it was",
                    next_step=f"look at {self.folder / 'error.log'}",
                )
            time.sleep(0.01)

    def _rotate(self) -> None:
        """Start the log anew when it has grown large; the one before is kept as access.log.1."""
        log = self.folder / "access.log"
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(rotated(log))
            if master := self._master():
                master.send_signal(signal.SIGUSR1)


def _renewed(workers: Sequence[psutil.Process], before: set[int]) -> bool:
    """Whether there are workers of a new configuration, and all that were there before are leaving."""
    old = [worker for worker in workers if worker.pid in before]
    return len(old) < len(workers) and all(map(_is_leaving, old))


def _is_leaving(worker: psutil.Process) -> bool:
    """Whether a worker only ends what it had begun; it says so in its title. One that has ended has none."""
    try:
        title = " ".join(worker.cmdline())
    except psutil.Error:
        return True
    return not title or "shutting down" in title
