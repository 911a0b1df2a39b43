"""The text of nginx's configuration: what stays, and what changes from release to release.

A reload loses nothing because idle keep-alive connections of the old workers are kept open for a while
(`keepalive_min_timeout`, nginx 1.27.4) instead of being closed under a request that is on its way.
https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_min_timeout
Such a request still goes where the old configuration says: a slot may only be stopped after `drain`. Old workers stay
as long as a connection lasts, such as a WebSocket: it ends with the slot that it leads to, not with a reload.

Shares are drawn by client address, not by request: a page of twenty requests would meet a 10% canary in nine cases of
ten, and find one release's page with the other's files. The release is drawn with it, so that each new one meets other
users. Behind a proxy the address is the one in X-Forwarded-For; who forges it only chooses his own slot.
https://nginx.org/en/docs/http/ngx_http_split_clients_module.html

Where a slot is known by a name, as on a swarm, its upstream always stands in what stays the same: what nginx has found
under the name outlives a reload, so that a switch leads to addresses that are known already. It is looked up anew each
second, for a task that was on a lost machine comes up on another one; a name server that is away changes nothing.
https://nginx.org/en/docs/http/ngx_http_upstream_module.html#resolve
"""

import string
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from cicd.adapters.routers.share import Share
from cicd.core.health import PROBE_AGENT

OLDEST = (1, 27, 4)

MAIN = string.Template("""\
# Made by cicd. What changes from release to release is in active.conf.
$user
worker_processes 2;
worker_shutdown_timeout 1d;
pid $folder/nginx.pid;
error_log $folder/error.log $level;
events { worker_connections 4096; }
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
    map $$http_x_forwarded_for $$cicd_for { default $$http_x_forwarded_for; '' $$remote_addr; }
    map $$http_x_forwarded_proto $$cicd_proto { default $$http_x_forwarded_proto; '' $$scheme; }
    map $$http_x_request_id $$cicd_request { default $$http_x_request_id; '' $$request_id; }
$named
    include $active;
    server {
        listen $listen;
        add_header X-Cicd-Release $$cicd_release always;
        proxy_http_version 1.1;
        proxy_set_header Host $$http_host;
        proxy_set_header Upgrade $$http_upgrade;
        proxy_set_header Connection $$cicd_connection;
$manner
        location / { proxy_pass http://$$cicd_slot;$again }
    }
}
""")

# Each request has a connection of its own, and a short time to get it. A task on a lost machine takes none, and another
# is asked then; on one that was kept, the request would wait for an answer. nginx keeps them by itself from 1.29.7
# on; `keepalive 0` would be said to these alone, for older ones refuse it.
NAMED = string.Template("""\
    error_log $folder/error.log warn;
    resolver $resolver valid=1s ipv6=off;
    resolver_timeout 1s;
    proxy_connect_timeout 1s;
    proxy_socket_keepalive on;
    map "$$content_length$$http_transfer_encoding $$upstream_addr" $$cicd_again {
        default '';
        "~^0? (.*, )?($slots)$$" yes;
    }
$upstreams
    server {
        listen $look;
        access_log off;
        proxy_set_header Host $$http_host;
        location ~ "^/($slots)(/.*)$$" { proxy_pass http://$$1$$2$$is_args$$args; }
        location ~ "^/([0-9.]+:[0-9]+)(/.*)$$" { proxy_pass http://$$1$$2$$is_args$$args; }
    }""")
RESOLVED = string.Template("""\
    upstream $slot { zone $slot 256k; server $address resolve fail_timeout=2s; keepalive_requests 1; }
    upstream $slot-any { zone $slot-any 256k; server $address resolve max_fails=0; keepalive_requests 1; }""")

# nginx gives 502, with the slot for an address, to a request that it has nobody to ask for: to one that should go on to
# the next task when those were looked up anew since it came (https://github.com/nginx/nginx/issues/1656), and to all
# for 2 s when each task took no connection for a moment. It begins again then, once, and each task may be asked; not
# one with a body, of which a part may be gone.
AGAIN = """ error_page 502 = @again; }
        location @again {
            if ($cicd_again = '') { return 502; }
            proxy_pass http://$cicd_slot-any;"""
# A request that a lost machine has goes to another task when that is missed: after 2 s of silence the machine is asked
# 4 times, 1 s apart. These are settings of the router's container, and of its connections to tasks alone; the machine's
# kernel answers them, so that a task may work as long on a request as it needs.
# https://docs.kernel.org/networking/ip-sysctl.html
KEEPALIVE = {
    "net.ipv4.tcp_keepalive_time": "2",
    "net.ipv4.tcp_keepalive_intvl": "1",
    "net.ipv4.tcp_keepalive_probes": "4",
}

# The first to meet users: what they claim of themselves is not believed, and slow ones do not hold the application up.
IN_FRONT = """\
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Request-ID $request_id;"""

# Behind a proxy of the project's own, which has its own limits and buffers: nothing is added to them.
BEHIND = """\
        proxy_set_header X-Forwarded-For $cicd_for;
        proxy_set_header X-Forwarded-Proto $cicd_proto;
        proxy_set_header X-Request-ID $cicd_request;
        proxy_buffering off;
        proxy_request_buffering off;
        proxy_read_timeout 1d;
        proxy_send_timeout 1d;"""

# Upstream keep-alive must end before the application's own, or nginx may send into a connection that just closed.
UPSTREAM = string.Template("""\
upstream $slot { server $address max_fails=0; keepalive 32; keepalive_timeout 4s; }
""")
NOWHERE = Share("none", ("127.0.0.1:9",), "none")  # the discard port: refused at once, answered by nginx with 502


MANNER = "manner.json"  # in the router's folder, where an engine lays it out


class Manner(msgspec.Struct, frozen=True):
    """How a router stands to the world.

    Attributes:
        listen: `host:port` where it waits for requests.
        behind: whether a proxy of the project's own is in front of it.
        user: that its workers work as; empty for the one who starts it.
        named: where slots are known by a name: `name:port` by the slot.
        look: with these, `host:port` where nobody but this machine asks it to ask one: /SLOT/path, /IP:PORT/path.
        resolver: with these, `host:port` of the name server, which is Docker's.
    """

    listen: str
    behind: bool = False
    user: str = ""
    named: Mapping[str, str] = {}
    look: str = ""
    resolver: str = "127.0.0.11"


def main(folder: Path, active: str, manner: Manner) -> str:
    """What stays the same. `folder`: the router's; `active`: name of the file in it that changes."""
    return MAIN.substitute(
        user=f"user {manner.user};" if manner.user else "",
        folder=folder,
        active=folder / active,
        listen=manner.listen,
        agent=PROBE_AGENT,
        manner=BEHIND if manner.behind else IN_FRONT,
        level="crit" if manner.named else "warn",  # else a line each second says that nothing is in a slot
        named=_named(folder, manner) if manner.named else "",
        again=AGAIN if manner.named else "",
    )


def _named(folder: Path, manner: Manner) -> str:
    upstreams = "\n".join(RESOLVED.substitute(slot=slot, address=name) for slot, name in manner.named.items())
    slots = "|".join(manner.named)
    return NAMED.substitute(folder=folder, upstreams=upstreams, look=manner.look, slots=slots, resolver=manner.resolver)


def active(shares: Sequence[Share], named: Collection[str] = ()) -> str:
    """What changes from release to release: the slots, who gets which, and what lives in them.

    Args:
        named: slots that stand in what stays the same.
    """
    addresses = {share.slot: share.addresses[0] for share in shares if share.slot not in named}
    upstreams = "".join(UPSTREAM.substitute(slot=slot, address=address) for slot, address in addresses.items())
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
