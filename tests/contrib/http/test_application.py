"""A kernel as an application: of its own, within a host's, below a prefix."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from objectkernel import ObjectKernel, Plugin, lifespan
from objectkernel.errors import BootError, KernelStateInvalid, ShutdownError
from objectkernel_contracts import public
from objectkernel_http import asgi_app, include_kernel, kernel_lifespan
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.contrib.http.shops import LEDGER, Shop, client_of, granted, routed, serving, shop_kernel

pytestmark = pytest.mark.anyio


class Broken(Plugin):
    name = "broken"

    @lifespan
    async def life(self) -> AsyncIterator[None]:
        raise OSError("no disk")
        yield


class Untidy(Plugin):
    name = "untidy"

    @lifespan
    async def life(self) -> AsyncIterator[None]:
        yield
        raise OSError("no disk")


@pytest.fixture
def told() -> list[str]:
    return []


async def events_of(
    app: FastAPI, state: dict[str, Any] | None = None, told: list[str] | None = None
) -> list[dict[str, Any]]:
    """What an application answers to the two events of its lifespan; their types are `told` as well."""
    sent: list[dict[str, Any]] = []
    asked = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, Any]:
        return {"type": next(asked)}

    async def send(message: Any) -> None:
        sent.append(message)
        if told is not None:
            told.append(message["type"])

    state = {} if state is None else state
    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}, receive, send)
    return sent


async def test_the_routes_of_plugins_are_served() -> None:
    """One application answers what plugins contribute to ROUTERS, with their services."""
    kernel = shop_kernel()
    async with serving(kernel) as client:
        answer = await client.post("/ledger/red", json={"amount": 3}, headers=granted("ledger:write"))
        assert (answer.status_code, answer.json()) == (201, {"lines": 1})
        assert kernel.get(LEDGER) == [("red", 3)]


async def test_the_lifespan_boots_and_stops_the_kernel() -> None:
    """Whoever runs the application's lifespan needs to know nothing of kernels."""
    kernel = shop_kernel()
    assert [event["type"] for event in await events_of(asgi_app(kernel))] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert kernel.state == "stopped"


async def test_a_failed_boot_fails_the_lifespan_with_the_kernels_report() -> None:
    """The message is what the kernel says, and no traceback."""
    kernel = shop_kernel(Shop(), Broken())
    (failed,) = await events_of(asgi_app(kernel))
    assert failed["type"] == "lifespan.startup.failed"
    assert failed["message"].startswith("[K510] BootError: the kernel did not start: 1 problem\n")
    assert "Traceback" not in failed["message"]


async def test_a_lifespan_of_the_hosts_own(told: list[str]) -> None:
    """One that fails is told too, or its server would go on; what it yields is the state of requests."""
    app, state = asgi_app(shop_kernel()), dict[str, Any]()

    @asynccontextmanager
    async def life(of: FastAPI) -> AsyncIterator[dict[str, str]]:
        yield {"pool": "open"}
        raise OSError("no disk")

    app.include_router(APIRouter(lifespan=life))
    with pytest.raises(OSError, match="no disk"):
        await events_of(app, state, told)
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.failed"]
    assert state == {"pool": "open"}


async def test_a_failed_stop_fails_the_lifespan_too() -> None:
    """A teardown that raises is told by the server's own log."""
    _, failed = await events_of(asgi_app(shop_kernel(Shop(), Untidy())))
    assert failed["type"] == "lifespan.shutdown.failed"
    assert failed["message"].startswith("[K511] ShutdownError: the kernel stopped with errors: 1 problem\n")


async def test_without_its_lifespan_a_request_is_told_what_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    """The answer and the log have the line to write."""
    async with client_of(asgi_app(shop_kernel())) as client:
        answer = await client.get("/ledger")
    assert (answer.status_code, answer.json()["code"]) == (503, "H105")
    assert "lifespan=kernel_lifespan(kernel)" in answer.json()["detail"]
    assert "lifespan=kernel_lifespan(kernel)" in caplog.text


async def test_a_parents_lifespan_serves_a_mounted_application() -> None:
    """A mounted application's own lifespan is never run: `kernel_lifespan` in the parent is."""
    kernel = shop_kernel()
    inner = asgi_app(kernel)
    parent = Starlette(lifespan=kernel_lifespan(kernel), routes=[Mount("/shop", app=inner)])
    async with parent.router.lifespan_context(parent), client_of(parent) as client:
        assert (await client.get("/shop/ledger")).json() == {"by": None}
        assert (await client.get("/shop/openapi.json")).json()["servers"] == [{"url": "/shop"}]
    assert kernel.state == "stopped"


async def test_a_proxys_prefix_is_known_by_root_path() -> None:
    """What a proxy takes away, and the server is told, stands in the document; no route changes."""
    kernel = shop_kernel()
    app = asgi_app(kernel)
    async with kernel_lifespan(kernel)(app), client_of(app, root_path="/behind") as client:
        assert (await client.get("/openapi.json")).json()["servers"] == [{"url": "/behind"}]
        assert (await client.get("/ledger")).status_code == 200


async def test_a_host_includes_the_routes_into_its_own_application() -> None:
    """One application, one document, and the host's own lifespan inside the kernel's life."""
    kernel = shop_kernel()
    told: list[str] = []

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        told.append(kernel.state)
        yield
        told.append(kernel.state)

    app = FastAPI(lifespan=life)
    include_kernel(app, kernel, prefix="/shop")

    @app.get("/own")
    def own() -> str:
        return "own"

    async with app.router.lifespan_context(app), client_of(app) as client:
        assert (await client.get("/own")).json() == "own"
        assert (await client.get("/shop/ledger")).json() == {"by": None}
        assert list((await client.get("/openapi.json")).json()["paths"]) == [
            "/shop/ledger",
            "/shop/ledger/{book}",
            "/own",
        ]
    assert told == ["running", "running"]
    assert kernel.state == "stopped"


async def test_a_hosts_own_errors_stay_its_own() -> None:
    """The kernel's routes answer problem details; the application's others what they did before."""
    kernel = shop_kernel()
    app = FastAPI()
    include_kernel(app, kernel, prefix="/shop")
    async with app.router.lifespan_context(app), client_of(app) as client:
        assert (await client.get("/nowhere")).json() == {"detail": "Not Found"}
        assert (await client.post("/shop/ledger/red")).json()["code"] == "H401"


async def test_routes_keep_the_order_of_their_inclusion() -> None:
    """What the host declares before is asked before, and what it declares after is asked after."""
    kernel = routed(lambda router: router.get("/{word}")(public()(lambda: "kernel")))
    app = FastAPI()
    app.get("/first")(lambda: "host")
    include_kernel(app, kernel)
    app.get("/last")(lambda: "host")
    async with app.router.lifespan_context(app), client_of(app) as client:
        assert [(await client.get(path)).json() for path in ("/first", "/last")] == ["host", "kernel"]


async def test_one_kernel_in_two_places() -> None:
    """Both are served during its one life."""
    kernel = shop_kernel()
    app = FastAPI()
    include_kernel(app, kernel, prefix="/a")
    include_kernel(app, kernel, prefix="/b")
    async with app.router.lifespan_context(app), client_of(app) as client:
        assert [(await client.get(f"{prefix}/ledger")).status_code for prefix in ("/a", "/b")] == [200, 200]


async def test_a_kernel_that_runs_already_is_left_running() -> None:
    """Whoever booted it stops it; what is served in between comes and goes, as often as is asked."""
    async with shop_kernel() as kernel:
        app = asgi_app(kernel)
        for _ in range(2):
            async with kernel_lifespan(kernel)(app), client_of(app) as client:
                assert (await client.get("/ledger")).status_code == 200
            assert kernel.state == "running"
        async with client_of(app) as client:
            assert (await client.get("/ledger")).status_code == 503


async def test_a_kernel_that_has_run_cannot_be_served_again() -> None:
    """A kernel runs once."""
    kernel = shop_kernel()
    app = asgi_app(kernel)
    async with kernel_lifespan(kernel)(app):
        pass
    with pytest.raises(KernelStateInvalid):
        async with kernel_lifespan(kernel)(app):
            pass


async def test_the_lifespan_of_a_router_is_run() -> None:
    """A router that a plugin contributes may have a lifespan of its own; it ends before the kernel stops."""
    told: list[str] = []

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        told.append(f"in {kernel.state}")
        yield
        told.append(f"out {kernel.state}")

    kernel = shop_kernel(Shop(lambda: APIRouter(lifespan=life)))
    async with serving(kernel):
        assert told == ["in running"]
    assert told == ["in running", "out running"]


async def test_everything_wrong_with_routes_fails_the_lifespan() -> None:
    """All of it in one report, and the kernel is stopped."""

    def add(router: APIRouter) -> None:
        router.get("/a")(lambda: "a")
        router.get("/b")(lambda: "b")

    kernel = routed(add)
    with pytest.raises(BootError) as caught:
        async with kernel_lifespan(kernel)(asgi_app(kernel)):
            pass
    assert caught.value.codes == ("H101", "H101")
    assert kernel.state == "stopped"


async def test_the_report_of_a_stop_comes_out_of_kernel_lifespan() -> None:
    """A parent's server logs it."""
    kernel = shop_kernel(Shop(), Untidy())
    with pytest.raises(ShutdownError):
        async with kernel_lifespan(kernel)(asgi_app(kernel)):
            pass


async def test_routes_that_need_a_credential_without_an_identity_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """The kernel starts, and says that nobody can use them."""
    kernel = ObjectKernel(plugins=[Shop()], discover=False)
    async with serving(kernel) as client:
        assert (await client.post("/ledger/red", headers=granted("ledger:write"))).status_code == 401
    assert "no plugin provides 'identity': 1 routes are closed to everybody" in caplog.text
