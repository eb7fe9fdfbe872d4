"""Routes that are found again."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Request
from objectkernel_contracts import Scope, public, requires
from objectkernel_http import MetricsAccess, asgi_app, kernel_lifespan
from objectkernel_http.shortcuts import TELEMETRY
from starlette.responses import PlainTextResponse
from starlette.routing import Host

from tests.contrib.http.shops import Shop, client_of, granted, serving, shop_kernel

pytestmark = pytest.mark.anyio


def looked_for(app: Any) -> list[str]:
    """The paths that the router of an application looks for, from now on."""
    found: list[str] = []
    shortcuts = app.router.middleware_stack
    search = shortcuts._search

    async def spy(scope: Any, receive: Any, send: Any) -> None:
        found.append(scope["path"])
        await search(scope, receive, send)

    shortcuts._search = spy
    return found


def routes(router: APIRouter) -> None:
    @router.get("/seen")
    @public()
    async def seen(word: str = "") -> str:
        return word

    @router.post("/seen")
    @public()
    async def posted() -> str:
        return "posted"

    @router.get("/named/{name}")
    @public()
    async def named(name: str) -> str:
        return name


def host() -> Any:
    def make() -> APIRouter:
        router = APIRouter()
        routes(router)
        return router

    kernel = shop_kernel(Shop(make))
    return kernel, asgi_app(kernel)


async def test_a_path_is_looked_for_once() -> None:
    """The second request is answered as the first, and has nothing of it."""
    kernel, app = host()
    async with kernel_lifespan(kernel)(app), client_of(app) as client:
        asked = looked_for(app)
        for word in ("a", "b", "c"):
            assert (await client.get("/seen", params={"word": word})).json() == word
        assert (await client.post("/seen")).json() == "posted"
        assert (await client.post("/seen")).json() == "posted"
        assert (await client.get("/seen")).json() == ""
    assert asked == ["/seen", "/seen"]


async def test_what_a_request_leaves_in_its_scope_is_its_own() -> None:
    """The dictionaries of one are not those of the next."""

    def make() -> APIRouter:
        router = APIRouter()

        @router.get("/leaves")
        @public()
        async def leaves(request: Request) -> bool:
            before = "left" in request.scope["path_params"] or "left" in request.scope["fastapi"]
            request.scope["path_params"]["left"] = request.scope["fastapi"]["left"] = "behind"
            return before

        return router

    async with serving(shop_kernel(Shop(make))) as client:
        assert [(await client.get("/leaves")).json() for _ in range(3)] == [False] * 3


async def test_a_path_with_parameters_is_looked_for_once() -> None:
    """Each as long as it is among the latest."""
    kernel, app = host()
    async with kernel_lifespan(kernel)(app), client_of(app) as client:
        asked = looked_for(app)
        assert [(await client.get(f"/named/{name}")).json() for name in "aabba"] == ["a", "a", "b", "b", "a"]
    assert asked == ["/named/a", "/named/b"]


async def test_the_latest_paths_with_parameters_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was found first gives way; a long one is not kept."""
    monkeypatch.setattr("objectkernel_http.shortcuts.LATEST", 2)
    kernel, app = host()
    async with kernel_lifespan(kernel)(app), client_of(app) as client:
        asked = looked_for(app)
        for name in ("a", "b", "c", "b", "a", long := "x" * 300, long):
            assert (await client.get(f"/named/{name}")).json() == name
    assert asked == [f"/named/{name}" for name in ("a", "b", "c", "a", long, long)]


async def test_what_differs_is_looked_for_each_time() -> None:
    """Paths of nobody, and methods that are none of theirs."""
    kernel, app = host()
    async with kernel_lifespan(kernel)(app), client_of(app) as client:
        asked = looked_for(app)
        assert [(await client.get("/nowhere")).status_code for _ in range(2)] == [404, 404]
        assert [(await client.delete("/seen")).status_code for _ in range(2)] == [405, 405]
    assert len(asked) == 4


async def test_middleware_of_the_application_sees_each_request() -> None:
    """A router's place is the innermost."""
    kernel, app = host()
    seen: list[str] = []

    class Seeing:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["type"])
            await self.app(scope, receive, send)

    app.add_middleware(Seeing)
    async with kernel_lifespan(kernel)(app), client_of(app) as client:
        for _ in range(3):
            assert (await client.post("/seen")).json() == "posted"
    assert seen == ["http"] * 3


async def test_a_known_path_has_no_other_methods_and_no_other_end() -> None:
    """What a router answers to HEAD, another method and a slash at the end is as it was."""
    kernel, app = host()
    async with kernel_lifespan(kernel)(app), client_of(app) as client:
        before = [(await client.request(method, path)) for method, path in OTHERS]
        for _ in range(2):
            assert (await client.get("/seen")).status_code == 200
        after = [(await client.request(method, path)) for method, path in OTHERS]
    assert [answer.status_code for answer in before] == [405, 405, 307]
    for one, other in zip(before, after, strict=True):
        assert (one.status_code, one.headers.get("allow"), one.headers.get("location")) == (
            (other.status_code, other.headers.get("allow"), other.headers.get("location"))
        )


OTHERS = [("HEAD", "/seen"), ("DELETE", "/seen"), ("GET", "/seen/")]


async def test_a_list_of_routes_that_changes() -> None:
    """What was known is forgotten, and whatever stands first now answers."""
    kernel, app = host()
    async with kernel_lifespan(kernel)(app), client_of(app) as client:
        assert (await client.post("/seen")).json() == "posted"

        async def other() -> str:
            return "another"

        app.add_api_route("/seen", other, methods=["POST"])
        app.router.routes.insert(0, app.router.routes.pop())
        assert (await client.post("/seen")).json() == "another"
        del app.router.routes[0]
        assert (await client.post("/seen")).json() == "posted"


async def test_a_route_that_looks_at_more_than_the_path() -> None:
    """Where one asks for the host's name, a path alone leads nowhere."""
    kernel, app = host()

    async def other(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("another")(scope, receive, send)

    app.router.routes.insert(0, Host("other.test", other))
    async with kernel_lifespan(kernel)(app), client_of(app) as client:
        for _ in range(2):
            assert (await client.post("/seen")).json() == "posted"
            assert (await client.post("/seen", headers={"Host": "other.test"})).text == "another"


async def test_a_plugin_that_stops_is_known_no_more() -> None:
    """Its routes are away, and back when it is."""
    kernel, app = host()
    async with kernel_lifespan(kernel)(app), client_of(app) as client:
        assert (await client.post("/seen")).status_code == 200
        await kernel.disable("shop")
        assert (await client.post("/seen")).status_code == 503
        await kernel.enable("shop")
        assert [(await client.post("/seen")).status_code for _ in range(2)] == [200, 200]


async def test_who_may_read_the_metrics_is_asked_each_time() -> None:
    """That a near one has read them opens them to nobody else."""
    kernel = shop_kernel()
    app = asgi_app(kernel, metrics=MetricsAccess(networks=("127.0.0.0/8",)))
    far = httpx.AsyncClient(transport=httpx.ASGITransport(app, client=("203.0.113.7", 1)), base_url="http://shop.test")
    async with kernel_lifespan(kernel)(app), client_of(app) as near, far:
        for _ in range(2):
            assert (await near.get("/metrics")).status_code == 200
            assert (await far.get("/metrics")).status_code == 401


async def test_who_may_use_a_route_is_asked_each_time() -> None:
    """A shortcut leads to its guard."""

    def make() -> APIRouter:
        router = APIRouter()

        @router.get("/mine")
        @requires(Scope("mine"))
        async def mine() -> None: ...

        return router

    async with serving(shop_kernel(Shop(make))) as client:
        for _ in range(2):
            assert (await client.get("/mine", headers=granted("mine"))).status_code == 200
            assert (await client.get("/mine", headers=granted("other"))).status_code == 403
            assert (await client.get("/mine")).status_code == 401


async def test_a_prefix_that_was_taken_away_is_another_path() -> None:
    """The same path below another root is looked for itself."""
    kernel, app = host()
    async with kernel_lifespan(kernel)(app), client_of(app) as plain, client_of(app, root_path="/shop") as below:
        assert (await plain.post("/seen")).status_code == 200
        assert (await below.post("/seen")).status_code == 200
        assert (await below.post("/shop/seen")).status_code == 200
        assert (await plain.post("/shop/seen")).status_code == 404


async def test_traced_requests_take_the_long_way() -> None:
    """FastAPI's router tells their traces which route it was."""
    kernel, app = host()
    async with kernel_lifespan(kernel)(app):
        asked = looked_for(app)

        async def traced(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, TELEMETRY: None}, receive, send)

        async with client_of(traced) as client:
            for _ in range(2):
                assert (await client.post("/seen")).json() == "posted"
    assert len(asked) == 2


async def test_shortcuts_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond them paths are looked for, as everywhere."""
    monkeypatch.setattr("objectkernel_http.shortcuts.MOST", 1)
    kernel, app = host()
    async with kernel_lifespan(kernel)(app), client_of(app) as client:
        asked = looked_for(app)
        for _ in range(2):
            await client.get("/seen")
            assert (await client.post("/seen")).json() == "posted"
    assert asked == ["/seen", "/seen", "/seen"]
