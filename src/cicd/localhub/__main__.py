"""Start LocalHub from the command line."""

from __future__ import annotations

import argparse
import secrets
import sqlite3
import sys
from pathlib import Path

from cicd.localhub.server import listen, serve, url_of, write_atomically

EPILOG = """
A first session:
  bin/cicd localhub --db hub.sqlite --port 8080 --admin-token-file admin.token &
  A="Authorization: Bearer $(cat admin.token)"; U=http://127.0.0.1:8080
  curl -H "$A" $U/_localhub/repos -d '{"owner": "acme", "name": "shop", "path": "/path/to/a/git/checkout"}'
  curl -H "$A" $U/_localhub/users -d '{"login": "alice"}'            # answers with a token of hers
  curl -H "$A" $U/_localhub/repos/acme/shop/runs -d '{"workflow": "deploy.yml", "actor": "alice"}'
The run's token works as GITHUB_TOKEN with GITHUB_API_URL=$U and GITHUB_GRAPHQL_URL=$U/graphql.
Open $U in a browser for the board, on which reviewers approve.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="cicd localhub",
        description="A GitHub on this machine: its API, over real git repositories, and a board to approve on.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--db", type=Path, required=True, metavar="FILE", help="SQLite file; made if it does not exist")
    made.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (%(default)s)")
    made.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one (%(default)s)")
    made.add_argument(
        "--host", action="append", default=[], metavar="NAME", help="a Host header to answer to, beside loopback names"
    )
    made.add_argument(
        "--ready-file", type=Path, metavar="F", help="written once it listens: {url, pid}; removed at the end"
    )
    made.add_argument(
        "--admin-token-file",
        type=Path,
        metavar="F",
        help="holds the token for /_localhub; if the file is not there it is made, for the owner's eyes only",
    )
    made.add_argument(
        "--app-limit",
        type=int,
        default=1000,
        metavar="N",
        help="requests an hour of all run tokens of a repository; 0 for no limit (%(default)s, as on GitHub)",
    )
    return made


def admin_token(path: Path | None) -> str:
    """The admin's token from its file; a new one goes into the file, or is printed where none is named."""
    if path and path.exists():
        return path.read_text().strip()
    token = secrets.token_hex(20)
    if path:
        write_atomically(path, token + "\n")  # mkstemp gives it mode 0600
    else:
        print(f"admin token: {token}", flush=True)
    return token


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM. Gives 0, 1 for a file that is not ours, or 2 for a port in use."""
    given = parser().parse_args(argv)
    from cicd.localhub.app import create_app

    try:
        listener = listen(given.bind, given.port)
    except OSError as error:
        print(f"Cannot listen on {given.bind}:{given.port}: {error.strerror}. Try --port 0.", file=sys.stderr)
        return 2
    try:
        given.db.parent.mkdir(parents=True, exist_ok=True)
        limits = {"app": given.app_limit}
        app = create_app(given.db, admin_token(given.admin_token_file), hosts=given.host, limits=limits)
    except (sqlite3.DatabaseError, OSError) as error:
        listener.close()
        print(f"Cannot open {given.db}: {error}. Give another --db, or remove the file.", file=sys.stderr)
        return 1
    print(f"LocalHub listens on {url_of(listener)} (board: {url_of(listener)}/board)", flush=True)
    serve(app, listener, given.ready_file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
