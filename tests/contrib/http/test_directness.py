"""Requests that go to a known route at once, past what FastAPI puts around every application."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, Form, Request, UploadFile
from objectkernel_contracts import public
from objectkernel_http import asgi_app, directness, kernel_lifespan
from objectkernel_http.directness import Directness
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Mount

from tests.contrib.http.shops import client_of, routed

pytestmark = pytest.mark.anyio
done: list[str] = []


def routes(router: APIRouter) -> None:
    @router.get("/seen")
    @public()
    async def seen(request: Request) -> list[str]:
        return [request.url.path, request.scope["root_path"], type(request.app).__name__]

    @router.post("/sent")
    @public()
    async def sent(file: UploadFile, name: Annotated[str, Form()]) -> list[str]:
        files.append(file)
        return [name, (await file.read()).decode()]

    @router.get("/late")
    @public()
    async def late() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"begun"
            raise OSError("no disk")

        return StreamingResponse(body())

    @router.get("/broken")
    @public()
    async def broken() -> None:
        raise OSError("no disk")

    @router.get("/after")
    @public()
    async def after(tasks: BackgroundTasks) -> None:
        tasks.add_task(done.append, "done")


files: list[UploadFile] = []


@asynccontextmanager
async def serving(change: Callable[[FastAPI], object] = id) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    kernel = routed(routes)
    app = asgi_app(kernel)
    change(app)
    async with kernel_lifespan(kernel)(app), client_of(app) as client:
        yield app, client


def long_way(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that come through the whole of Starlette, from now on; the patch looks as what it stands for."""
    seen: list[str] = []
    real = Starlette.__call__

    async def call(app: Starlette, scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await real(app, scope, receive, send)

    call.__module__ = real.__module__
    monkeypatch.setattr(Starlette, "__call__", call)
    return seen


async def test_a_known_route_is_reached_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first request goes the long way, and all that lead nowhere."""
    seen = long_way(monkeypatch)
    async with serving() as (_, client):
        for _ in range(3):
            assert (await client.get("/seen")).json() == ["/seen", "", "KernelApplication"]
        for _ in range(2):
            assert (await client.get("/unseen")).status_code == 404
    assert seen == ["/seen", "/unseen", "/unseen"]


class Seeing:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def with_middleware(app: FastAPI) -> None:
    app.add_middleware(Seeing)


def with_root(app: FastAPI) -> None:
    app.root_path = "/shop"


def with_limit(app: FastAPI) -> None:
    app.max_body_size = 7


def with_stack(app: FastAPI) -> None:
    app.build_middleware_stack = app.build_middleware_stack  # type: ignore[method-assign]


def with_telemetry(app: FastAPI) -> None:
    class On:
        def enabled(self) -> bool:
            return True

        async def __call__(self, *, app: Any, scope: Any, receive: Any, send: Any, **_: Any) -> None:
            await app(scope, receive, send)

    vars(app)["_native_telemetry"] = On()


@pytest.mark.parametrize("change", [with_middleware, with_root, with_limit, with_stack, with_telemetry])
async def test_what_somebody_has_put_around_it_is_kept(change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then each request goes the long way."""
    seen = long_way(monkeypatch)
    async with serving(change) as (_, client):
        for _ in range(3):
            assert (await client.get("/seen")).status_code == 200
    assert seen == ["/seen"] * 3


async def test_libraries_that_replace_what_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that watch applications do; they see each request, from a second later at the latest."""
    now = 0.0
    monkeypatch.setattr(directness, "monotonic", lambda: now)
    seen: list[str] = []
    async with serving() as (app, client):
        for _ in range(2):
            await client.get("/seen")
        real = Starlette.__call__

        async def watching(app: Starlette, scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["path"])
            await real(app, scope, receive, send)

        monkeypatch.setattr(Starlette, "__call__", watching)
        now += directness.KEPT
        assert not Directness(app)
        for _ in range(2):
            await client.get("/seen")
    assert seen == ["/seen"] * 2


async def test_middleware_of_another_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is built anew is looked at at once."""
    seen = long_way(monkeypatch)
    async with serving() as (app, client):
        for _ in range(2):
            await client.get("/seen")
        app.middleware_stack = None
        app.add_middleware(Seeing)
        for _ in range(2):
            await client.get("/seen")
    assert seen == ["/seen"] * 3


async def test_errors_are_problems(caplog: pytest.LogCaptureFixture) -> None:
    """Each time in the same words, and logged each time."""
    async with serving() as (_, client):
        answers = [await client.get("/broken") for _ in range(3)]
    assert {(one.status_code, one.headers["content-type"]) for one in answers} == {(500, "application/problem+json")}
    assert [one.exc_info is not None for one in caplog.records if one.message.endswith("OSError")] == [True] * 3


async def test_an_error_behind_the_beginning_is_the_server_s(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with the id of the request, and raised, so that the connection is closed."""
    kernel = routed(routes)
    app = asgi_app(kernel)
    transport = httpx.ASGITransport(app)
    async with (
        kernel_lifespan(kernel)(app),
        httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client,
    ):
        for _ in range(3):
            with pytest.raises(RuntimeError, match="already started") as raised:
                await client.get("/late")
            assert isinstance(raised.value.__cause__, OSError)
    told = [one for one in caplog.records if one.levelno == logging.ERROR and one.name == "objectkernel.http"]
    assert [one.message.partition(": ")[2] for one in told] == ["RuntimeError"] * 3


async def test_a_handler_of_the_application_hears_of_it() -> None:
    """Of an error for which it is too late to answer."""
    heard: list[str] = []

    def hear(app: FastAPI) -> None:
        def handler(request: Request, error: Exception) -> Any:
            heard.append(f"{request.url.path} {error.__cause__}")
            raise error

        app.add_exception_handler(Exception, handler)

    async with serving(hear) as (_, client):
        for _ in range(2):
            await client.get("/late")
    assert heard == ["/late no disk"] * 2


async def test_forms_are_closed() -> None:
    """What was uploaded is there for its request alone."""
    files.clear()
    async with serving() as (_, client):
        for number in range(3):
            answer = await client.post("/sent", files={"file": b"content"}, data={"name": str(number)})
            assert answer.json() == [str(number), "content"]
    assert [file.file.closed for file in files] == [True] * 3


async def test_what_is_to_be_done_afterwards() -> None:
    """Background tasks run."""
    done.clear()
    async with serving() as (_, client):
        for _ in range(2):
            assert (await client.get("/after")).status_code == 200
    assert done == ["done"] * 2


async def test_mounted_in_another_application() -> None:
    """Requests have this application as theirs, and their own root."""
    kernel = routed(routes)
    app = asgi_app(kernel)
    outer = Starlette(lifespan=kernel_lifespan(kernel), routes=[Mount("/shop", app)])
    async with kernel_lifespan(kernel)(outer), client_of(outer) as client:
        for _ in range(3):
            assert (await client.get("/shop/seen")).json() == ["/shop/seen", "/shop", "KernelApplication"]
