"""The kernel's application below a prefix of an application of any framework."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, TypeAlias

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from objectkernel import ObjectKernel
from objectkernel_http import asgi_app, kernel_lifespan
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.contrib.http import django_site
from tests.contrib.http.shops import client_of, granted, shop_kernel

pytestmark = pytest.mark.anyio

Parent: TypeAlias = Callable[[ObjectKernel, bool], Starlette]


def in_fastapi(kernel: ObjectKernel, with_lifespan: bool) -> Starlette:
    app = FastAPI(lifespan=kernel_lifespan(kernel) if with_lifespan else None)
    app.get("/own")(lambda: "own")
    app.mount("/shop", asgi_app(kernel))
    return app


def in_starlette(kernel: ObjectKernel, with_lifespan: bool) -> Starlette:
    async def own(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'"own"'})

    lifespan = kernel_lifespan(kernel) if with_lifespan else None
    return Starlette(lifespan=lifespan, routes=[Mount("/shop", asgi_app(kernel)), Mount("/", own)])


def in_django(kernel: ObjectKernel, with_lifespan: bool) -> Starlette:
    """Django has no lifespan and mounts nothing: a few lines of Starlette stand before it."""
    lifespan = kernel_lifespan(kernel) if with_lifespan else None
    routes = [Mount("/shop", asgi_app(kernel)), Mount("/", django_site.application())]
    return Starlette(lifespan=lifespan, routes=routes)


PARENTS = {"fastapi": in_fastapi, "starlette": in_starlette, "django": in_django}


@pytest.fixture(params=["fastapi", "starlette", pytest.param("django", marks=pytest.mark.asyncio_only)])
def parent(request: pytest.FixtureRequest) -> Parent:
    found: Parent = PARENTS[request.param]
    return found


async def walk(client: httpx.AsyncClient, own: str) -> None:
    """The kernel's routes below the prefix, the parent's beside them."""
    assert (await client.get("/shop/ledger", headers=granted("any"))).json() == {"by": "ada"}
    assert (await client.post("/shop/ledger/red", json={"amount": 3})).json()["code"] == "H401"
    assert (await client.get("/shop/nowhere")).json()["code"] == "H404"
    assert (await client.get("/shop/openapi.json")).json()["servers"] == [{"url": "/shop"}]
    page = await client.get("/shop/docs")
    assert "<code>/shop/ledger</code>" in page.text
    assert own in (await client.get("/own" if own == '"own"' else "/items/7")).text


def own_of(parent: Parent) -> str:
    return "7" if parent is in_django else '"own"'


async def test_below_a_prefix(parent: Parent) -> None:
    """The parent's lifespan runs the kernel; document and page know the prefix."""
    kernel = shop_kernel()
    app = parent(kernel, True)
    async with app.router.lifespan_context(app), client_of(app) as client:
        await walk(client, own_of(parent))
    assert kernel.state == "stopped"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_below_a_prefix_over_a_socket(parent: Parent) -> None:
    """The same under uvicorn, which runs the lifespan."""
    kernel = shop_kernel()
    server = uvicorn.Server(uvicorn.Config(parent(kernel, True), lifespan="on", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        serving = asyncio.create_task(server.serve([sock]))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            await walk(client, own_of(parent))  # connections wait in the socket's queue until it serves
        server.should_exit = True
        await serving
    assert kernel.state == "stopped"


async def test_without_its_lifespan(parent: Parent) -> None:
    """The first request fails with the line that the parent lacks; the parent's own routes are served."""
    app = parent(shop_kernel(), False)
    async with app.router.lifespan_context(app), client_of(app) as client:
        answer = await client.get("/shop/ledger")
        assert (answer.status_code, answer.json()["code"]) == (503, "H105")
        assert "lifespan=kernel_lifespan(kernel)" in answer.json()["detail"]
        assert (await client.get("/own" if parent is not in_django else "/items/7")).status_code == 200


async def test_below_two_prefixes_behind_a_proxy() -> None:
    """What a server says of the proxy's prefix stands before the parent's."""
    kernel = shop_kernel()
    app = in_starlette(kernel, True)
    outer = Starlette(lifespan=kernel_lifespan(kernel), routes=[Mount("/outer", app)])
    async with outer.router.lifespan_context(outer), client_of(outer) as client:
        assert (await client.get("/outer/shop/openapi.json")).json()["servers"] == [{"url": "/outer/shop"}]
        assert (await client.get("/outer/shop/ledger")).json() == {"by": None}
