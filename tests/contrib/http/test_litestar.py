"""Services in a Litestar application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import litestar as ls
import pytest
from litestar.di import NamedDependency, Provide
from litestar.response import Stream
from objectkernel.errors import BootError
from objectkernel_http.litestar import KernelPlugin, service

from tests.contrib.http.shops import BASKET, LEDGER, Shop, client_of, shop_kernel
from tests.contrib.http.test_application import Broken

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

Basket = NamedDependency[Any]  # Litestar copies a list that is declared as one


async def other(basket: Basket) -> Any:
    """The basket, for another dependency."""
    return basket


@ls.get("/ledger")
async def ledger(ledger: NamedDependency[list[Any]]) -> int:
    return len(ledger)


@ls.get("/basket", dependencies={"same": Provide(other)})
async def basket(basket: Basket, same: NamedDependency[Any]) -> bool:
    return basket is same


@ls.get("/fails")
async def fails(basket: Basket) -> None:
    raise RuntimeError("after the basket")


@ls.get("/streams")
async def streams(basket: Basket, shop: NamedDependency[Shop]) -> Stream:
    async def parts() -> AsyncIterator[str]:
        yield f"{shop.baskets}"

    return Stream(parts())


@asynccontextmanager
async def running(shop: Shop, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with a kernel."""
    dependencies = {
        "ledger": Provide(service(LEDGER)),
        "basket": Provide(service(BASKET)),
        "shop": Provide(lambda: shop, sync_to_thread=False),
    }
    handlers = [ledger, basket, fails, streams]
    app = ls.Litestar(handlers, plugins=[KernelPlugin(shop_kernel(shop))], dependencies=dependencies, **options)
    async with app.lifespan(), client_of(app) as client:
        yield client


async def test_a_service_of_the_kernel() -> None:
    """By its key, as a named dependency."""
    async with running(Shop()) as client:
        assert (await client.get("/ledger")).json() == 0


async def test_a_request_has_one_scope() -> None:
    """All that ask in one request get the same; it is gone after the answer."""
    shop = Shop()
    async with running(shop) as client:
        for _ in range(2):
            assert (await client.get("/basket")).json() is True
    assert shop.baskets == ["made", "gone", "made", "gone"]


async def test_the_scope_ends_after_an_error() -> None:
    """Whatever the handler raises."""
    shop = Shop()
    async with running(shop) as client:
        assert (await client.get("/fails")).status_code == 500
        assert shop.baskets == ["made", "gone"]


async def test_the_scope_lasts_as_long_as_the_answer() -> None:
    """What a stream uses is there until its last part was sent."""
    shop = Shop()
    async with running(shop) as client:
        assert (await client.get("/streams")).text == "['made']"
    assert shop.baskets == ["made", "gone"]


async def test_the_applications_own_lifespan_is_within_the_kernels() -> None:
    """The kernel runs before it and after it."""
    told: list[str] = []
    kernel = shop_kernel()

    @asynccontextmanager
    async def life(app: ls.Litestar) -> AsyncIterator[None]:
        told.append(kernel.state)
        yield
        told.append(kernel.state)

    async with ls.Litestar(plugins=[KernelPlugin(kernel)], lifespan=[life]).lifespan():
        pass
    assert told == ["running", "running"]
    assert kernel.state == "stopped"


async def test_a_failed_boot_fails_the_lifespan() -> None:
    """With the kernel's report."""
    app = ls.Litestar(plugins=[KernelPlugin(shop_kernel(Broken()))])
    with pytest.raises(ExceptionGroup) as caught:  # Litestar's own task group wraps it
        async with app.lifespan():
            pass
    assert caught.group_contains(BootError)


async def test_an_application_without_a_kernel_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    """The error has the line to write."""
    app = ls.Litestar([ledger], dependencies={"ledger": Provide(service(LEDGER))}, debug=True)
    async with client_of(app) as client:
        answer = await client.get("/ledger")
    assert answer.status_code == 500
    assert "plugins=[KernelPlugin(kernel)]" in answer.text
