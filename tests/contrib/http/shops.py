"""A shop whose plugin has routes, and ways to ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends, Request
from objectkernel import ObjectKernel, Plugin, Service, contributes, provides
from objectkernel_contracts import IDENTITY, ROUTERS, Credentials, Principal, RouterMaker, Scope, public, requires
from objectkernel_http import asgi_app, kernel_lifespan, service
from pydantic import BaseModel, ConfigDict

LEDGER = Service[list]("shop.ledger")
BASKET = Service[list]("shop.basket")


class Entry(BaseModel):
    """A line of the ledger."""

    model_config = ConfigDict(extra="forbid")

    amount: int
    text: str = ""


class Tokens:
    """An identity whose tokens are the scopes that they have been granted, with commas between."""

    async def principal(self, credentials: Credentials) -> Principal | None:
        shown = credentials.bearer or credentials.cookies.get("session")
        if shown is None or shown == "expired":
            return None
        return Principal(account_id="ada", scopes=frozenset(shown.split(",")))

    def sign_in_url(self, return_to: str) -> str:
        return f"/sign-in?return_to={return_to}"


def shop_router() -> APIRouter:
    """The routes of the shop."""
    router = APIRouter(prefix="/ledger", tags=["ledger"])

    @router.get("")
    @public()
    async def look(request: Request) -> dict[str, Any]:
        """Look at it."""
        principal = request.state.principal
        return {"by": None if principal is None else principal.account_id}

    @router.post("/{book}", status_code=201)
    @requires(Scope("ledger:write", "ledger:write:{book}"))
    async def write(book: str, entry: Entry, ledger: Annotated[list[Any], Depends(service(LEDGER))]) -> dict[str, Any]:
        """Write a line."""
        ledger.append((book, entry.amount))
        return {"lines": len(ledger)}

    return router


class Shop(Plugin):
    """Gives a ledger for all, a basket for each request, and routes."""

    name = "shop"

    def __init__(self, make: RouterMaker = shop_router) -> None:
        self._make = make
        self.baskets: list[str] = []

    @provides(LEDGER)
    def ledger(self) -> list[Any]:
        return []

    @provides(BASKET, lifetime="scoped")
    def basket(self) -> Iterator[list[Any]]:
        self.baskets.append("made")
        yield []
        self.baskets.append("gone")

    @contributes(ROUTERS, uses=())
    def routes(self) -> RouterMaker:
        return self._make


def shop_kernel(*plugins: Plugin, identity: Any = None) -> ObjectKernel:
    """A kernel of these plugins, or of the shop."""
    kernel = ObjectKernel(plugins=plugins or (Shop(),), discover=False)
    return kernel.provide(IDENTITY, identity or Tokens())


def routed(add: Callable[[APIRouter], object], identity: Any = None) -> ObjectKernel:
    """A kernel of a shop whose routes are those that `add` gives to a router."""

    def make() -> APIRouter:
        router = APIRouter()
        add(router)
        return router

    return shop_kernel(Shop(make), identity=identity)


def granted(*scopes: str) -> dict[str, str]:
    """The headers of a request with these scopes."""
    return {"Authorization": f"Bearer {','.join(scopes)}"}


def client_of(app: Any, root_path: str = "") -> httpx.AsyncClient:
    """A client of an application, without a socket; what the application raises is an answer here too."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
    return httpx.AsyncClient(transport=transport, base_url="http://shop.test")


@asynccontextmanager
async def serving(kernel: ObjectKernel, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a kernel's application, while its lifespan runs."""
    app = asgi_app(kernel, **options)
    async with kernel_lifespan(kernel)(app), client_of(app) as client:
        yield client
