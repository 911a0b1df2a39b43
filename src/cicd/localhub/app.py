"""LocalHub as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route as Path_

from cicd.localhub import (
    admin,
    admin_runs,
    artifacts,
    attestations,
    branch_policies,
    check_annotations,
    checks,
    comments,
    commits,
    contents,
    deployment_statuses,
    deployments,
    dispatches,
    environments,
    graphql,
    issues,
    jobs,
    labels,
    objects,
    pulls,
    refs,
    repos,
    reviews,
    root,
    runs,
    statuses,
    trees,
    users,
    workflows,
)
from cicd.localhub.board import board_routes
from cicd.localhub.calls import Answer, Route
from cicd.localhub.gateway import Gateway, endpoint, respond
from cicd.localhub.problems import Problem, not_found
from cicd.localhub.service import Service
from cicd.localhub.store import Store

LIMITS = {"app": 1000, "user": 5000}  # requests an hour, as on GitHub

_PARTS = [
    *(root, users, repos, contents, statuses, checks, check_annotations, commits, refs, objects, trees),
    *(environments, branch_policies, workflows, dispatches, runs, reviews),
    *(deployments, deployment_statuses, issues, comments, labels, pulls, artifacts, attestations, graphql),
]
GITHUB_ROUTES: list[Route] = [route for part in _PARTS for route in part.ROUTES]
LOCAL_ROUTES: list[Route] = [*admin.ROUTES, *admin_runs.ROUTES, *jobs.ROUTES, *pulls.LOCAL, *artifacts.LOCAL]


def _path(route: Route, service: Service) -> Path_:
    template = route.template.replace(f"{{{route.rest}}}", f"{{{route.rest}:path}}") if route.rest else route.template
    return Path_(template, endpoint(service, route), methods=[route.method])


async def _missing(request: Request, _: Exception) -> Response:
    """404 for what we do not have, as GitHub says it; a browser that follows a link of GitHub's comes to the board."""
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/board", 303)
    problem = request.state.visit.refused or not_found()
    return respond(Answer(problem.status, problem.body))


async def _failed(_: Request, __: Exception) -> Response:
    """500 for a mistake of ours, worded as GitHub does; the server logs it."""
    problem = Problem(500, "Server Error")
    return respond(Answer(problem.status, problem.body))


def create_app(
    db_path: Path, admin_token: str, *, hosts: Iterable[str] = (), limits: dict[str, int] | None = None
) -> Gateway:
    """LocalHub behind one SQLite file.

    Args:
        db_path: made if it does not exist.
        admin_token: for everything under /_localhub.
        hosts: names beside loopback ones that a Host header may carry.
        limits: requests an hour for `app` and `user` tokens; 0 for no limit.

    Raises sqlite3.DatabaseError when the file is not ours.
    """
    store = Store(db_path)
    service = Service(store, admin_token, LIMITS | (limits or {}))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        store.close()

    paths = [_path(route, service) for route in (*LOCAL_ROUTES, *GITHUB_ROUTES)]
    app = Starlette(
        routes=[*board_routes(service), *paths],
        lifespan=lifespan,
        exception_handlers={404: _missing, 405: _missing, Exception: _failed},
    )
    app.router.redirect_slashes = False
    return Gateway(app, service, hosts)
