"""What is served follows the plugins of a running kernel."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from fastapi import APIRouter, FastAPI
from objectkernel import ObjectKernel, Plugin, Service, background, contributes, needs, provides
from objectkernel.errors import ChangeError, ShutdownError
from objectkernel_contracts import IDENTITY, MOUNTS, ROUTERS, MountedApplication, Public, RouterMaker, public
from objectkernel_http import asgi_app, include_kernel, kernel_lifespan
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.contrib.http.shops import Shop, Tokens, client_of, serving

pytestmark = pytest.mark.anyio

STOCK = Service[list]("store.stock")


class Store(Plugin):
    """Has a stock, and a router and an application that hold it."""

    name = "store"

    def __init__(self) -> None:
        self.told: list[str] = []
        self.starts = 0
        self.extra: Callable[[APIRouter], object] = lambda router: None
        self.crash = anyio.Event()
        self.asked = anyio.Event()
        self.go_on = anyio.Event()

    @provides(STOCK)
    def stock(self) -> Iterator[list[Any]]:
        self.starts += 1
        yield [self.starts]
        self.told.append(f"stock {self.starts} gone")

    @background
    async def fail(self) -> None:
        await self.crash.wait()
        raise OSError("the roof has come down")


class StoreFront(Plugin):
    """Serves a store."""

    name = "store-front"
    stock = needs(STOCK)

    def __init__(self, store: Store) -> None:
        self._store = store

    @contributes(ROUTERS)
    def routes(self) -> RouterMaker:
        stock, store = self.stock, self._store

        def make() -> APIRouter:
            router = APIRouter()

            @router.get("/stock")
            @public()
            async def look() -> int:
                found: int = stock[0]
                return found

            @router.get("/slow")
            @public()
            async def slow() -> int:
                store.asked.set()
                await store.go_on.wait()
                store.told.append("slow answered")
                found: int = stock[0]
                return found

            store.extra(router)
            return router

        return make

    @contributes(MOUNTS)
    def mount(self) -> MountedApplication:
        stock, store = self.stock, self._store

        @asynccontextmanager
        async def life(app: Starlette) -> AsyncIterator[None]:
            yield
            store.told.append(f"application {stock[0]} down")

        async def look(request: Any) -> PlainTextResponse:
            return PlainTextResponse(str(stock[0]))

        def make() -> Starlette:
            return Starlette(routes=[Route("/", look)], lifespan=life)

        return MountedApplication(path="/front", make=make, access=Public())


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def kernel(store: Store) -> ObjectKernel:
    optional = ["store", "store-front"]
    plugins = [store, StoreFront(store), Shop()]
    return ObjectKernel(plugins=plugins, discover=False, optional=optional).provide(IDENTITY, Tokens())


async def answers(client: httpx.AsyncClient) -> list[Any]:
    """The route and the application of the store, and the shop beside it."""
    got = [await client.get(path) for path in ("/stock", "/front/", "/ledger")]
    return [one.text if one.status_code == 200 else one.status_code for one in got]


BY_NOBODY = '{"by":null}'


async def test_a_plugin_that_is_reloaded_is_served_anew(kernel: ObjectKernel, store: Store) -> None:
    """Its routes and applications are those of its new life; the others are left alone."""
    async with serving(kernel) as client:
        assert await answers(client) == ["1", "1", BY_NOBODY]
        await kernel.reload("store")
        assert await answers(client) == ["2", "2", BY_NOBODY]


async def test_an_application_ends_before_what_it_uses(kernel: ObjectKernel, store: Store) -> None:
    """Its lifespan is within its plugin's, in a change as at the end."""
    async with serving(kernel):
        await kernel.reload("store")
        assert store.told == ["application 1 down", "stock 1 gone"]
        store.told.clear()
    assert store.told == ["application 2 down", "stock 2 gone"]


async def test_a_plugin_that_is_away_is_said_to_be_away(kernel: ObjectKernel) -> None:
    """503 with a time to ask again; once it is back, it answers."""
    async with serving(kernel) as client:
        await kernel.disable("store")
        answer = await client.get("/stock")
        assert (answer.status_code, answer.json()["code"]) == (503, "K209")
        assert answer.headers["retry-after"]
        assert await answers(client) == [503, 503, BY_NOBODY]
        await kernel.enable("store")
        assert await answers(client) == ["2", "2", BY_NOBODY]


async def test_a_plugin_that_crashes_is_away(kernel: ObjectKernel, store: Store) -> None:
    """And what depends on it."""
    async with serving(kernel) as client:
        store.crash.set()
        with anyio.fail_after(20):
            while "failed" not in {plugin.state for plugin in kernel.plugins()}:
                await anyio.sleep(0.001)
        assert await answers(client) == [503, 503, BY_NOBODY]
        store.crash = anyio.Event()
        await kernel.enable("store")
        assert await answers(client) == ["2", "2", BY_NOBODY]


async def test_a_plugin_that_was_not_there_at_first(kernel: ObjectKernel, store: Store) -> None:
    """It is served as soon as it is enabled, and the document tells of it."""
    async with kernel:
        await kernel.disable("store")
        app = asgi_app(kernel)
        async with kernel_lifespan(kernel)(app), client_of(app) as client:
            assert await answers(client) == [404, 404, BY_NOBODY]
            assert "/stock" not in (await client.get("/openapi.json")).json()["paths"]
            await kernel.enable("store")
            assert await answers(client) == ["2", "2", BY_NOBODY]
            assert "/stock" in (await client.get("/openapi.json")).json()["paths"]


async def test_the_document_follows(kernel: ObjectKernel, store: Store) -> None:
    """A route that is there since a change is in it."""
    async with serving(kernel) as client:
        assert "/more" not in (await client.get("/openapi.json")).json()["paths"]
        store.extra = lambda router: router.get("/more")(public()(lambda: "more"))
        await kernel.reload("store")
        assert "/more" in (await client.get("/openapi.json")).json()["paths"]
        assert (await client.get("/more")).json() == "more"


async def test_a_request_that_runs_is_let_finish(kernel: ObjectKernel, store: Store) -> None:
    """What its route holds is there until its answer; new requests are told to come again."""
    got: list[httpx.Response] = []

    async def ask() -> None:
        got.append(await client.get("/slow"))

    async with serving(kernel) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await store.asked.wait()
        tasks.start_soon(kernel.reload, "store")
        with anyio.fail_after(20):
            while (await client.get("/stock")).status_code != 503:
                await anyio.sleep(0.001)
        assert "stock 1 gone" not in store.told
        store.go_on.set()
        with anyio.fail_after(20):
            while (await client.get("/stock")).status_code != 200:
                await anyio.sleep(0.001)
    assert [one.json() for one in got] == [1]
    assert store.told.index("slow answered") < store.told.index("stock 1 gone")


async def test_a_request_that_does_not_finish_is_not_waited_for(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """After drain_timeout it is cancelled, with what it holds; the change goes on, and its sender may come again."""
    kernel = ObjectKernel(plugins=[store, StoreFront(store)], discover=False, drain_timeout=0.05)
    got: list[httpx.Response] = []

    async def ask() -> None:
        got.append(await client.get("/slow"))

    async with serving(kernel) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await store.asked.wait()
        await kernel.disable("store")
        assert {plugin.name: plugin.state for plugin in kernel.plugins()}["store"] == "disabled"
    assert [(one.status_code, one.json()["code"]) for one in got] == [(503, "K209")]
    assert "requests for what store-front serves were cancelled, 1 of them" in caplog.text
    assert store.told == ["application 1 down", "stock 1 gone"]


async def test_a_request_that_cannot_be_cancelled(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one of a service that somebody keeps: the change goes on, and tells of it."""
    monkeypatch.setattr("objectkernel_http.presence.GRACE", 0.01)
    kernel = ObjectKernel(plugins=[store, StoreFront(store)], discover=False, drain_timeout=0.05)

    def add(router: APIRouter) -> None:
        @router.get("/shielded")
        @public()
        async def shielded() -> None:
            store.asked.set()
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await store.go_on.wait()

    store.extra = add
    async with serving(kernel) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.get, "/shielded")
        await store.asked.wait()
        with pytest.raises(ChangeError) as caught:
            await kernel.disable("store")
        assert caught.value.codes == ("K507",)
        store.go_on.set()


async def test_a_host_that_is_cancelled_ends_lifespans_of_what_is_used(kernel: ObjectKernel, store: Store) -> None:
    """A second signal, while a request runs, leaves no lifespan behind."""
    ended: list[bool] = []

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            ended.append(True)

    store.extra = lambda router: setattr(router, "lifespan_context", life)
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            async with serving(kernel) as client:
                tasks.start_soon(client.get, "/slow")
                await store.asked.wait()
                scope.cancel()
        assert ended == [True]
    assert kernel.state == "stopped"


async def test_an_application_ends_before_a_kernel_that_stops_by_itself(store: Store) -> None:
    """A critical plugin that crashes takes the kernel with it, in order."""
    kernel = ObjectKernel(plugins=[store, StoreFront(store)], discover=False)
    with pytest.raises(ShutdownError):
        async with serving(kernel) as client:
            store.crash.set()
            await kernel.wait_stopped()
            assert store.told == ["application 1 down", "stock 1 gone"]
            assert (await client.get("/stock")).status_code == 503
    assert store.told == ["application 1 down", "stock 1 gone"]


async def test_what_is_away_is_one_line_of_the_log(kernel: ObjectKernel, caplog: pytest.LogCaptureFixture) -> None:
    """For each request, and without a traceback: nothing is broken."""
    async with serving(kernel) as client:
        await kernel.disable("store")
        caplog.clear()
        answer = await client.get("/stock")
    told = [record for record in caplog.records if record.name == "objectkernel.http"]
    assert [(one.levelname, one.exc_info) for one in told] == [("WARNING", None)]
    assert told[0].getMessage() == (f"request {answer.headers['x-request-id']}: [K209] what store-front serves is away")


def undeclared(router: APIRouter) -> None:
    router.get("/more")(lambda: "more")


def conflicting(router: APIRouter) -> None:
    router.get("/ledger")(public()(lambda: "taken"))


@pytest.mark.parametrize(("extra", "code"), [(undeclared, "H101"), (conflicting, "H103")])
async def test_routes_that_became_wrong_are_not_served(
    extra: Callable[[APIRouter], object],
    code: str,
    kernel: ObjectKernel,
    store: Store,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log has what the boot would have said; everything else goes on."""
    async with serving(kernel) as client:
        store.extra = extra
        await kernel.reload("store")
        assert await answers(client) == [503, "2", BY_NOBODY]
        assert "what store-front contributes is not served" in caplog.text
        assert code in caplog.text
        store.extra = lambda router: None
        await kernel.reload("store")
        assert await answers(client) == ["3", "3", BY_NOBODY]


async def test_an_application_that_no_longer_starts(
    kernel: ObjectKernel, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """It is away, and the log says why."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        if store.starts == 2:
            raise OSError("no disk")
        yield

    store.extra = lambda router: setattr(router, "lifespan_context", life)
    async with serving(kernel) as client:
        await kernel.reload("store")
        assert await answers(client) == [503, "2", BY_NOBODY]
        assert "a router of store-front did not start" in caplog.text
        await kernel.reload("store")
        assert await answers(client) == ["3", "3", BY_NOBODY]


async def test_an_application_that_exits_does_not_end_the_host(kernel: ObjectKernel, store: Store) -> None:
    """``sys.exit`` in what a change makes anew is a failure of that plugin alone."""

    def leave(router: APIRouter) -> None:
        sys.exit(3)

    async with serving(kernel) as client:
        store.extra = leave
        await kernel.reload("store")
        assert await answers(client) == [503, "2", BY_NOBODY]


async def test_all_places_follow(kernel: ObjectKernel) -> None:
    """Wherever the kernel was included."""
    app = FastAPI()
    include_kernel(app, kernel, prefix="/a")
    include_kernel(app, kernel, prefix="/b")
    async with app.router.lifespan_context(app), client_of(app) as client:
        await kernel.reload("store")
        got = [(await client.get(f"{prefix}{path}")).text for prefix in ("/a", "/b") for path in ("/stock", "/front/")]
    assert got == ["2"] * 4


async def test_nothing_follows_a_kernel_that_is_served_no_more(store: Store) -> None:
    """A kernel that runs on keeps no place of an application that has ended."""
    async with ObjectKernel(plugins=[store, StoreFront(store)], discover=False) as kernel:
        app = asgi_app(kernel)
        async with kernel_lifespan(kernel)(app), client_of(app) as client:
            assert (await client.get("/stock")).json() == 1
        await kernel.reload("store")
        async with client_of(app) as client:
            assert (await client.get("/stock")).json()["code"] == "H105"
        assert store.told == ["application 1 down", "stock 1 gone"]
