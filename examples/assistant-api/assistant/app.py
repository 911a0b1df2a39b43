from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from assistant import __version__, conversations
from assistant.context import RequestContext
from assistant.services import connect, services_of
from assistant.settings import Settings


class About(BaseModel):
    name: str
    version: str
    release: str
    greeting: str


def create_app(settings: Settings) -> FastAPI:
    services = connect(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = settings.worker_threads
        yield
        services.close()

    app = FastAPI(title="assistant-api", version=__version__, lifespan=lifespan)
    app.state.services = services
    app.add_middleware(RequestContext, release=settings.release)
    app.include_router(conversations.router)
    app.add_api_route("/", about, methods=["GET"])
    app.add_api_route("/api/v1/about", about, methods=["GET"])
    app.add_api_route("/health", health, methods=["GET"])
    return app


async def about(request: Request) -> About:
    settings = services_of(request).settings
    return About(
        name="assistant-api", version=__version__, release=settings.release, greeting=settings.greeting
    )


async def health(request: Request) -> JSONResponse:
    services = services_of(request)
    checks = await services.health.ask()
    healthy = all(check.ok for check in checks.values())
    body = {
        "status": "ok" if healthy else "unavailable",
        "release": services.settings.release,
        "schema": checks["database"].schema,
        "checks": {name: check.detail for name, check in sorted(checks.items())},
    }
    return JSONResponse(body, status_code=200 if healthy else 503, headers={"Cache-Control": "no-store"})
