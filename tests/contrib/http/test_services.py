"""Services in routes, and the scope of each request."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from objectkernel import Plugin, Scope, Service, provides, wants
from objectkernel_contracts import PRINCIPAL, Principal, public, requires
from objectkernel_contracts import Scope as Required
from objectkernel_http import include_kernel, kernel_lifespan, request_scope, service
from objectkernel_http.errors import LifespanMissing
from starlette.responses import StreamingResponse

from tests.contrib.http.shops import BASKET, LEDGER, Shop, client_of, granted, serving, shop_kernel

pytestmark = pytest.mark.anyio

CART = Service[str]("shop.cart")
Basket = Annotated[list[Any], Depends(service(BASKET))]


async def other(basket: Basket) -> list[Any]:
    """The basket, for another dependency."""
    return basket


def baskets(router: APIRouter | FastAPI) -> None:
    """Routes that use the basket of their request."""

    @router.get("/basket")
    @public()
    async def basket(
        mine: Basket, same: Annotated[list[Any], Depends(other)], scope: Annotated[Scope, Depends(request_scope)]
    ) -> bool:
        return mine is same is scope.get(BASKET)

    @router.get("/fails")
    @public()
    async def fails(mine: Basket) -> None:
        raise RuntimeError("after the basket")

    @router.get("/streams")
    @public()
    async def streams(mine: Basket) -> StreamingResponse:
        async def parts() -> Any:
            mine.append("open")
            yield f"{len(mine)}"

        return StreamingResponse(parts())


@pytest.fixture
def shop() -> Shop:
    def make() -> APIRouter:
        router = APIRouter()
        baskets(router)
        return router

    return Shop(make)


@pytest.fixture
def app(shop: Shop) -> FastAPI:
    """A host with the shop's routes, and the same ones of its own."""
    app = FastAPI()
    kernel = shop_kernel(shop)
    include_kernel(app, kernel, prefix="/shop")
    baskets(app)
    return app


@pytest.mark.parametrize("prefix", ["", "/shop"])
async def test_a_request_has_one_scope(prefix: str, shop: Shop, app: FastAPI) -> None:
    """All that ask in one request get the same; it is gone after the answer. So it is in the host's own routes."""
    async with app.router.lifespan_context(app), client_of(app) as client:
        for _ in range(2):
            assert (await client.get(f"{prefix}/basket")).json() is True
    assert shop.baskets == ["made", "gone", "made", "gone"]


@pytest.mark.parametrize("prefix", ["", "/shop"])
async def test_the_scope_ends_after_an_error(prefix: str, shop: Shop, app: FastAPI) -> None:
    """Whatever the route raises."""
    async with app.router.lifespan_context(app), client_of(app) as client:
        assert (await client.get(f"{prefix}/fails")).status_code == 500
        assert shop.baskets == ["made", "gone"]


async def test_the_scope_lasts_as_long_as_the_answer(shop: Shop, app: FastAPI) -> None:
    """What a stream uses is there until its last part was sent."""
    async with app.router.lifespan_context(app), client_of(app) as client:
        assert (await client.get("/shop/streams")).text == "1"
        assert shop.baskets == ["made", "gone"]


async def test_the_scope_ends_when_a_request_is_cut_off(shop: Shop) -> None:
    """A server that cancels a request, since its sender went away, gets everything torn down first."""
    waiting = anyio.Event()

    def make() -> APIRouter:
        router = APIRouter()

        @router.get("/")
        @public()
        async def wait(mine: Basket) -> None:
            waiting.set()
            await anyio.sleep_forever()

        return router

    shop._make = make
    app = FastAPI()
    include_kernel(app, shop_kernel(shop))
    async with app.router.lifespan_context(app), anyio.create_task_group() as tasks:
        client = client_of(app)
        tasks.start_soon(client.get, "/")
        await waiting.wait()
        assert shop.baskets == ["made"]
        tasks.cancel_scope.cancel()
    await client.aclose()
    assert shop.baskets == ["made", "gone"]


async def test_a_singleton_is_not_stopped_while_a_request_uses_it() -> None:
    """A request leases what it uses: a plugin that is disabled meanwhile waits for its end."""
    using, go_on = anyio.Event(), anyio.Event()
    kernel = shop_kernel()
    app = FastAPI()
    include_kernel(app, kernel)

    @app.get("/slow")
    async def slow(ledger: Annotated[list[Any], Depends(service(LEDGER))]) -> bool:
        using.set()
        await go_on.wait()
        return kernel.plugins()[0].state == "draining"

    answers: list[Any] = []

    async def ask() -> None:
        answers.append((await client.get("/slow")).json())

    async with app.router.lifespan_context(app), client_of(app) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await using.wait()
        tasks.start_soon(kernel.disable, "shop")
        while kernel.plugins()[0].state != "draining":
            await anyio.sleep(0.001)
        go_on.set()
    assert answers == [True]


async def test_an_application_without_a_kernel_is_told_so() -> None:
    """The error has the line to write."""
    app = FastAPI()

    @app.get("/")
    async def look(ledger: Annotated[list[Any], Depends(service(LEDGER))]) -> None: ...

    from httpx import ASGITransport, AsyncClient

    async with AsyncClient(transport=ASGITransport(app), base_url="http://shop.test") as client:
        with pytest.raises(LifespanMissing) as caught:
            await client.get("/")
    assert caught.value.fix == "include_kernel(app, kernel)"


async def test_a_websocket_of_the_host_has_a_scope_too() -> None:
    """As long as the connection."""
    shop = Shop()
    kernel = shop_kernel(shop)
    app = FastAPI()
    include_kernel(app, kernel)

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, basket: Basket) -> None:
        await websocket.accept()
        await websocket.close()

    sent: list[str] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": "/socket", "headers": [], "query_string": b"", "subprotocols": []}
    async with kernel_lifespan(kernel)(app):
        await app(scope, receive, send)
    assert sent == ["websocket.accept", "websocket.close"]
    assert shop.baskets == ["made", "gone"]


class Carts(Plugin):
    """Has a cart for each request, of whoever sends it."""

    name = "carts"
    principal = wants(PRINCIPAL)

    @provides(CART, lifetime="scoped")
    def cart(self) -> str:
        return "nobody's" if self.principal is None else f"{self.principal.account_id}'s"


async def test_a_scoped_service_knows_who_sends_the_request() -> None:
    """The principal that was admitted is a service of the request's scope; without a credential there is none."""

    def make() -> APIRouter:
        router = APIRouter()

        @router.get("/cart")
        @public()
        async def cart(cart: Annotated[str, Depends(service(CART))]) -> str:
            return cart

        @router.get("/me")
        @requires(Required())
        async def me(principal: Annotated[Principal, Depends(service(PRINCIPAL))]) -> str:
            return principal.account_id

        return router

    async with serving(shop_kernel(Shop(make), Carts())) as client:
        assert (await client.get("/cart", headers=granted("any"))).json() == "ada's"
        assert (await client.get("/cart")).json() == "nobody's"
        assert (await client.get("/me", headers=granted("any"))).json() == "ada"


async def test_a_route_of_the_host_has_no_principal() -> None:
    """Nobody was admitted to it, whatever the host itself calls so."""
    app = FastAPI()
    include_kernel(app, shop_kernel(Shop(), Carts()))

    @app.middleware("http")
    async def admit(request: Request, go_on: Any) -> Any:
        request.state.principal = "somebody"
        return await go_on(request)

    @app.get("/cart")
    async def cart(cart: Annotated[str, Depends(service(CART))]) -> str:
        return cart

    async with app.router.lifespan_context(app), client_of(app) as client:
        assert (await client.get("/cart", headers=granted("any"))).json() == "nobody's"
