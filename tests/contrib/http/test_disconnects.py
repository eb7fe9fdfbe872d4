"""Senders that go away, over a real socket: the scope of their request ends, and what it made is torn down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, Request
from objectkernel_contracts import public
from objectkernel_http import service
from starlette.responses import StreamingResponse

from tests.contrib.http.shops import BASKET, Shop, shop_kernel
from tests.contrib.http.sockets import Served, served

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

Basket = Annotated[list[Any], Depends(service(BASKET))]


class Routes:
    """Routes that use the basket of their request, and tell how far they came."""

    def __init__(self) -> None:
        self.shop = Shop(self.router)
        self.at_work = asyncio.Event()
        self.gone = asyncio.Event()
        self.told: list[str] = []

    def router(self) -> APIRouter:
        router = APIRouter()
        baskets = self.shop.baskets

        @router.post("/reads")
        @public()
        async def reads(basket: Basket, request: Request) -> None:
            self.at_work.set()
            await request.body()
            self.told.append("never")

        @router.get("/streams")
        @public()
        async def streams(basket: Basket) -> StreamingResponse:
            async def parts() -> AsyncIterator[bytes]:
                try:
                    while True:
                        yield b"x" * 1000
                        self.at_work.set()
                        await asyncio.sleep(0.005)
                finally:
                    self.told.append(f"stream over, basket {len(baskets)}")

            return StreamingResponse(parts())

        @router.get("/works")
        @public()
        async def works(basket: Basket) -> str:
            self.at_work.set()
            await self.gone.wait()
            self.told.append(f"works on, basket {len(baskets)}")
            return "for nobody"

        return router


@pytest.fixture
def routes() -> Routes:
    return Routes()


async def leave(host: Served, routes: Routes, head: str) -> None:
    """Send a request, and go away while it is worked on."""
    _, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(head.replace("\n", "\r\n").encode())
    await asyncio.wait_for(routes.at_work.wait(), 20)
    writer.transport.abort()
    routes.gone.set()


async def torn_down(shop: Shop) -> None:
    async with asyncio.timeout(20):
        while shop.baskets != ["made", "gone"]:
            await asyncio.sleep(0.005)


async def test_a_sender_that_goes_in_the_middle_of_its_body(routes: Routes) -> None:
    """The route that waits for the rest is ended."""
    async with served(shop_kernel(routes.shop)) as host:
        await leave(host, routes, "POST /reads HTTP/1.1\nHost: shop\nContent-Length: 100\n\nabc")
        await torn_down(routes.shop)
    assert routes.told == []


async def test_a_sender_that_goes_in_the_middle_of_the_answer(routes: Routes) -> None:
    """The stream is ended, while what it uses is there still."""
    async with served(shop_kernel(routes.shop)) as host:
        await leave(host, routes, "GET /streams HTTP/1.1\nHost: shop\n\n")
        await torn_down(routes.shop)
    assert routes.told == ["stream over, basket 1"]


async def test_a_sender_that_goes_before_the_answer(routes: Routes) -> None:
    """A route that does not listen to its sender works on to its end, and has its basket until then."""
    async with served(shop_kernel(routes.shop)) as host:
        await leave(host, routes, "GET /works HTTP/1.1\nHost: shop\n\n")
        await torn_down(routes.shop)
    assert routes.told == ["works on, basket 1"]
