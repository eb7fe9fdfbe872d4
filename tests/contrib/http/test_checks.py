"""What a plugin's routes must be, to be served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, FastAPI, Form, WebSocket
from fastapi.routing import APIRoute
from objectkernel.errors import BootError, KernelError
from objectkernel_contracts import Scope, public, requires
from objectkernel_http import asgi_app, include_kernel, kernel_lifespan
from objectkernel_http.checks import conflicts, declared_routes
from objectkernel_http.errors import RouteConflict, RouteInvalid, RouterBroken, RouteUndeclared
from pydantic import BaseModel, ConfigDict, RootModel, dataclasses, with_config
from typing_extensions import TypedDict

from tests.contrib.http.shops import Entry, Shop, routed, serving, shop_kernel


class Loose(BaseModel):
    """Ignores what it does not know."""

    amount: int


class Whole(RootModel[dict[str, int]]):
    """Has no fields."""


class Keeper(BaseModel):
    """Keeps what it does not know, for its route to look at."""

    model_config = ConfigDict(extra="allow")


class Holder(BaseModel):
    model_config = ConfigDict(extra="forbid")

    one: dict[str, list[Loose | None]]


def problems_of(add: Callable[[APIRouter], object]) -> list[KernelError]:
    """What is wrong with a router."""
    router = APIRouter(prefix="/api")
    add(router)
    problems: list[KernelError] = []
    problems += conflicts(declared_routes(router, problems))
    return problems


def test_a_route_without_a_declaration_is_not_served() -> None:
    """The error has its method, its path, its place and the line to write."""

    def add(router: APIRouter) -> None:
        @router.get("/books")
        async def books() -> None: ...

    (problem,) = problems_of(add)
    assert isinstance(problem, RouteUndeclared)
    assert problem.facts == {"route": "GET /api/books"}
    assert problem.where.startswith(__file__)
    assert "@requires(Scope(" in problem.fix and "@public()" in problem.fix


def test_a_scope_names_parameters_of_the_path_only() -> None:
    """A name that is never filled would let nobody in."""

    def add(router: APIRouter) -> None:
        @router.get("/books/{book}")
        @requires(Scope("books:{book}", "books:{shelf}"))
        async def book(book: str) -> None: ...

    (problem,) = problems_of(add)
    assert isinstance(problem, RouteInvalid)
    assert "{shelf}" in problem.what


@dataclass
class LooseClass:
    """A dataclass, of which pydantic makes a model that ignores what it does not know."""

    amount: int


class LooseDict(TypedDict):
    """So it does of a TypedDict."""

    amount: int


@dataclass
class Around:
    __pydantic_config__ = ConfigDict(extra="forbid")

    one: Loose


@with_config(ConfigDict(extra="forbid"))
class StrictDict(TypedDict):
    amount: int


@dataclasses.dataclass(config=ConfigDict(extra="forbid"))
class StrictClass:
    amount: int


LOOSE = [Loose, Holder, list[Loose], Loose | None, LooseClass, list[LooseClass], LooseDict, Around]


@pytest.mark.parametrize("model", LOOSE, ids=str)
def test_a_body_refuses_unknown_fields(model: Any) -> None:
    """At any depth: a model that lets them pass is named."""

    def add(router: APIRouter) -> None:
        async def write(body: Any) -> None: ...

        write.__annotations__["body"] = model
        router.post("/books")(public()(write))

    (problem,) = problems_of(add)
    assert isinstance(problem, RouteInvalid)
    assert "Loose" in problem.why[0]


def test_a_body_in_pieces_cannot_refuse_unknown_fields() -> None:
    """FastAPI makes its model then, and the fix is another one."""

    def add(router: APIRouter) -> None:
        @router.post("/books")
        @public()
        async def write(entry: Entry, count: Annotated[int, Body()]) -> None: ...

    (problem,) = problems_of(add)
    assert problem.fix == "take the whole body as one model"


def test_what_a_body_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that refuses, keeps, or has no fields; any JSON; a form, whose standard may let unknown fields pass."""
    monkeypatch.setattr("fastapi.dependencies.utils.ensure_multipart_is_installed", lambda: None)

    def add(router: APIRouter) -> None:
        @router.post("/model")
        @public()
        async def model(body: Entry) -> None: ...

        @router.post("/whole")
        @public()
        async def whole(body: Whole) -> None: ...

        @router.post("/keeper")
        @public()
        async def keeper(body: Keeper) -> None: ...

        @router.post("/class")
        @public()
        async def of_class(body: StrictClass) -> None: ...

        @router.post("/dict")
        @public()
        async def of_dict(body: StrictDict) -> None: ...

        @router.post("/any")
        @public()
        async def anything(body: Annotated[Any, Body()]) -> None: ...

        @router.post("/form")
        @public()
        async def form(name: Annotated[str, Form()]) -> None: ...

    assert problems_of(add) == []


def test_two_routes_with_one_path() -> None:
    """The second one would never be reached: both places are told."""

    def add(router: APIRouter) -> None:
        async def books() -> None: ...

        async def more() -> None: ...

        router.get("/books")(public()(books))
        router.post("/books")(public()(books))
        router.get("/books")(public()(more))

    (problem,) = problems_of(add)
    assert isinstance(problem, RouteConflict)
    assert problem.facts == {"route": "GET /api/books"}


def test_the_names_of_parameters_make_no_other_path() -> None:
    """One route would hide the other; a convertor does make another path."""

    def add(router: APIRouter) -> None:
        async def book(book: str) -> None: ...

        async def number(number: int) -> None: ...

        router.get("/books/{book}")(public()(book))
        router.get("/books/{number}")(public()(number))
        router.get("/books/{number:int}")(public()(number))

    (problem,) = problems_of(add)
    assert problem.facts == {"route": "GET /api/books/{number}"}


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/livez", "/openapi.json", "/metrics"])
async def test_a_route_where_the_host_answers_itself(path: str) -> None:
    """It would be hidden."""
    kernel = routed(lambda router: router.get(path)(public()(lambda: "mine")))
    with pytest.raises(BootError) as caught:
        async with kernel_lifespan(kernel)(asgi_app(kernel)):
            pass
    (problem,) = caught.value.exceptions
    assert isinstance(problem, RouteConflict)
    assert "a route of the host" in problem.why[0]


@pytest.mark.anyio
async def test_a_route_where_an_including_host_answers() -> None:
    """Below the prefix, by the same method."""
    kernel = routed(lambda router: router.get("/own")(public()(lambda: "mine")))
    app = FastAPI()
    app.post("/shop/own")(lambda: "another method")
    app.get("/own")(lambda: "another path")
    include_kernel(app, kernel, prefix="/shop")
    async with app.router.lifespan_context(app):
        pass
    second = routed(lambda router: router.get("/own")(public()(lambda: "mine")))
    app.get("/shop/own")(lambda: "own")
    include_kernel(app, second, prefix="/shop")
    with pytest.raises(BootError) as caught:
        async with kernel_lifespan(second)(app):
            pass
    assert caught.value.codes == ("H103",)


@pytest.mark.parametrize("nested", [False, True])
def test_a_folder_of_files_is_not_contributed(nested: bool, tmp_path: Path) -> None:
    """FastAPI keeps it beside the routes of a router, where nobody would guard it."""

    def add(router: APIRouter) -> None:
        inner = APIRouter()
        inner.frontend("/ui", directory=tmp_path)
        if nested:
            router.include_router(inner)
        else:
            router.frontend("/ui", directory=tmp_path)

    (problem,) = problems_of(add)
    assert isinstance(problem, RouteInvalid)
    assert "a folder" in problem.what
    assert "'mounts'" in problem.fix


def test_only_http_routes_are_contributed() -> None:
    """The guard could not keep the others."""

    def add(router: APIRouter) -> None:
        @router.websocket("/socket")
        async def socket(websocket: WebSocket) -> None: ...

        router.mount("/files", FastAPI())

    first, second = problems_of(add)
    assert isinstance(first, RouteInvalid) and isinstance(second, RouteInvalid)
    assert (first.facts["route"], second.facts["route"]) == ("/api/socket", "/files")


def test_routes_of_included_routers_are_checked_too() -> None:
    """With the paths that they have there."""

    def add(router: APIRouter) -> None:
        inner = APIRouter(prefix="/inner")

        @inner.get("/books")
        async def books() -> None: ...

        router.include_router(inner, prefix="/outer")

    (problem,) = problems_of(add)
    assert problem.facts["route"] == "GET /api/outer/inner/books"


@pytest.mark.anyio
async def test_routes_of_included_routers_are_served_and_guarded() -> None:
    """However deep they are."""

    def make() -> APIRouter:
        router, inner = APIRouter(), APIRouter(prefix="/inner")

        @inner.get("/books")
        @requires(Scope("books"))
        async def books() -> None: ...

        router.include_router(inner, prefix="/outer")
        return router

    async with serving(shop_kernel(Shop(make))) as client:
        assert (await client.get("/outer/inner/books")).status_code == 401


@pytest.mark.anyio
@pytest.mark.parametrize("nested", [False, True])
async def test_a_route_that_comes_too_late(nested: bool, tmp_path: Path) -> None:
    """It is refused where it is declared, and not served: nobody has guarded it."""
    kept: list[APIRouter] = []

    def make() -> APIRouter:
        router, inner = APIRouter(), APIRouter()
        inner.get("/early")(public()(lambda: "early"))
        router.include_router(inner)
        kept.append(inner if nested else router)
        return router

    async with serving(shop_kernel(Shop(make))) as client:
        with pytest.raises(RouteInvalid, match="/late was added to a router that is served already"):
            kept[0].get("/late")(lambda: "late")
        with pytest.raises(RouteInvalid):
            kept[0].include_router(APIRouter(routes=[APIRoute("/late", lambda: "late")]))
        with pytest.raises(RouteInvalid):
            kept[0].frontend("/late", directory=tmp_path)
        assert (await client.get("/late")).status_code == 404
        assert (await client.get("/early")).json() == "early"


@pytest.mark.anyio
@pytest.mark.parametrize("make", [lambda: 1 / 0, lambda: "router"])
async def test_a_router_that_cannot_be_made(make: Any) -> None:
    """A problem of the boot, with its place; the cause is kept."""
    kernel = shop_kernel(Shop(make))
    with pytest.raises(BootError) as caught:
        async with kernel_lifespan(kernel)(asgi_app(kernel)):
            pass
    (problem,) = caught.value.exceptions
    assert isinstance(problem, RouterBroken)
    assert problem.where.startswith(__file__)


@pytest.mark.anyio
async def test_one_router_is_not_in_two_places_at_once() -> None:
    """Its guards can be one kernel's only; when that one has stopped, another may serve it."""
    router = APIRouter()

    @router.get("/")
    @public()
    async def look() -> None: ...

    async with serving(shop_kernel(Shop(lambda: router))) as client:
        second = shop_kernel(Shop(lambda: router))
        with pytest.raises(BootError) as caught:
            async with kernel_lifespan(second)(asgi_app(second)):
                pass
        assert caught.value.codes == ("H102",)
        assert (await client.get("/")).status_code == 200
    async with serving(shop_kernel(Shop(lambda: router))) as client:
        assert (await client.get("/")).status_code == 200
