"""One small application in each framework, as it is without a kernel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import litestar as ls
from fastapi import FastAPI
from litestar.params import FromPath
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from tests.contrib.http import django_site

LitestarRequest: TypeAlias = ls.Request[Any, Any, Any]


def seen(scope: Any) -> dict[str, Any]:
    """What an application sees of a request, in whatever framework."""
    principal = scope["state"]["principal"]
    return {
        "path": scope["path"],
        "root_path": scope["root_path"],
        "by": None if principal is None else principal.account_id,
        "life": scope["state"].get("life"),
    }


def starlette() -> Starlette:
    """A Starlette with a lifespan whose state its requests see."""

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[dict[str, str]]:
        yield {"life": "alive"}

    async def look(request: Request) -> JSONResponse:
        return JSONResponse({**seen(request.scope), "link": request.url_for("item", item="7").path})

    async def item(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.path_params["item"])

    async def echo(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    routes = [Route("/", look), Route("/items/{item}", item, name="item"), Route("/echo", echo, methods=["POST"])]
    return Starlette(routes=routes, lifespan=life)


def fastapi() -> FastAPI:
    """A FastAPI with a lifespan whose state its requests see."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        yield {"life": "alive"}

    app = FastAPI(lifespan=life)

    @app.get("/")
    async def look(request: Request) -> dict[str, Any]:
        return {**seen(request.scope), "link": request.url_for("item", item="7").path}

    @app.get("/items/{item}")
    async def item(item: str) -> str:
        return item

    @app.post("/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    return app


def litestar() -> ls.Litestar:
    """A Litestar with a lifespan, which keeps its state in the application."""

    @asynccontextmanager
    async def life(app: ls.Litestar) -> AsyncIterator[None]:
        app.state.life = "alive"
        yield

    @ls.get("/")
    async def look(request: LitestarRequest) -> dict[str, Any]:
        told = seen(request.scope)  # in which Litestar has put the path below its root
        path = told["root_path"] + told["path"]
        return {**told, "path": path, "life": request.app.state.life, "link": f"{told['root_path']}/items/7"}

    @ls.get("/items/{item:str}")
    async def item(item: FromPath[str]) -> str:
        return item

    @ls.post("/echo", status_code=200)
    async def echo(request: LitestarRequest) -> str:
        return str(len(await request.body()))

    return ls.Litestar([look, item, echo], lifespan=[life], openapi_config=None)


FRAMEWORKS: Final = {
    "starlette": starlette,
    "fastapi": fastapi,
    "litestar": litestar,
    "django": django_site.application,
}
ON_ASYNCIO: Final = frozenset({"litestar", "django"})
"""Those that run on asyncio alone."""
