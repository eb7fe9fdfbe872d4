"""The lifespans of what plugins contribute, within the host's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from fastapi import APIRouter, FastAPI
from objectkernel import ObjectKernel
from objectkernel.errors import BootError
from objectkernel_contracts import IDENTITY
from objectkernel_http import asgi_app, include_kernel, kernel_lifespan
from objectkernel_http.errors import LifespanFailed
from starlette.applications import Starlette

from tests.contrib.http.shops import Shop, Tokens, client_of
from tests.contrib.http.test_mounts import Mounts

pytestmark = pytest.mark.anyio


@pytest.fixture
def told() -> list[str]:
    return []


def kernel_with(*plugins: Any, **options: Any) -> ObjectKernel:
    """A kernel whose options are these."""
    return ObjectKernel(plugins=plugins, discover=False, **options).provide(IDENTITY, Tokens())


def living(life: Callable[[], AsyncIterator[None]]) -> Callable[[], Starlette]:
    """What makes an application with a lifespan."""
    return lambda: Starlette(lifespan=asynccontextmanager(lambda app: life()))


def speaking(*answers: dict[str, str], then: Callable[[], Awaitable[None]] | None = None) -> Callable[[], Any]:
    """What makes an application that answers each event of its lifespan so, and does something at the next one."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        for answer in answers:
            await receive()
            await send({**answer, "type": f"lifespan.{answer['type']}"})
        if then is not None:
            await receive()
            await then()

    return lambda: app


async def run(kernel: ObjectKernel) -> None:
    """Serve a kernel, and stop it."""
    async with kernel_lifespan(kernel)(asgi_app(kernel)):
        pass


async def failure_of(kernel: ObjectKernel) -> LifespanFailed:
    """What keeps a kernel from being served."""
    with pytest.raises(BootError) as caught:
        await run(kernel)
    assert kernel.state == "stopped"
    (failure,) = caught.value.exceptions
    assert isinstance(failure, LifespanFailed)
    return failure


async def test_a_lifespan_is_within_the_kernels() -> None:
    """It starts when the kernel runs, and has ended when the kernel stops; the routers' are no different."""
    told: list[str] = []

    @asynccontextmanager
    async def of_router(app: FastAPI) -> AsyncIterator[None]:
        told.append(f"router up: {kernel.state}")
        yield
        told.append(f"router down: {kernel.state}")

    async def of_application() -> AsyncIterator[None]:
        told.append(f"application up: {kernel.state}")
        yield
        told.append(f"application down: {kernel.state}")

    kernel = kernel_with(Shop(lambda: APIRouter(lifespan=of_router)), Mounts(living(of_application)))
    app = asgi_app(kernel)
    async with kernel_lifespan(kernel)(app):
        assert told == ["router up: running", "application up: running"]
    assert sorted(told[2:]) == ["application down: running", "router down: running"]


async def test_a_task_group_may_stay_open_in_it() -> None:
    """It is left in the task that entered it."""
    beats = 0

    async def life() -> AsyncIterator[None]:
        async def beat() -> None:
            nonlocal beats
            beats += 1
            await anyio.sleep_forever()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beat)
            yield
            tasks.cancel_scope.cancel()

    kernel = kernel_with(Mounts(living(life)))
    app = asgi_app(kernel)
    lives = kernel_lifespan(kernel)(app)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lives.__aenter__)
        while kernel.state != "running" or not beats:
            await anyio.sleep(0.001)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lives.__aexit__, None, None, None)
    assert kernel.state == "stopped"
    assert beats == 1


async def test_a_start_that_fails_fails_the_boot() -> None:
    """The report names the plugin and the reason, of an application's traceback the last line."""

    async def life() -> AsyncIterator[None]:
        raise OSError("no templates")
        yield

    failure = await failure_of(kernel_with(Mounts(living(life))))
    assert failure.code == "H108"
    assert failure.what == "the application that mounter has at /console did not start"
    assert failure.why == ("OSError: no templates",)
    assert __file__.replace("test_lifespans", "test_mounts") in failure.where


async def test_a_start_that_fails_without_a_word() -> None:
    """The protocol lets it."""
    failure = await failure_of(kernel_with(Mounts(speaking({"type": "startup.failed"}))))
    assert failure.why == ("it did not say why",)


async def test_a_router_whose_start_fails() -> None:
    """The same, with the error itself as the cause."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        raise OSError("no disk")
        yield

    failure = await failure_of(kernel_with(Shop(lambda: APIRouter(lifespan=life))))
    assert failure.what == "a router of shop did not start"
    assert failure.why == ("OSError: no disk",)
    assert isinstance(failure.__cause__, OSError)


@pytest.mark.parametrize("grouped", [False, True])
async def test_a_start_that_exits(grouped: bool, caplog: pytest.LogCaptureFixture) -> None:
    """It fails the boot as anything else does: the event loop is the host's."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        leaving = SystemExit("no disk")
        raise BaseExceptionGroup("tasks", [leaving]) if grouped else leaving
        yield

    failure = await failure_of(kernel_with(Shop(lambda: APIRouter(lifespan=life))))
    assert failure.why == ("BaseExceptionGroup: tasks (1 sub-exception)" if grouped else "SystemExit: no disk",)
    assert "in life" in caplog.text  # the traceback


async def test_the_handlers_of_a_router_run_once(told: list[str]) -> None:
    """Those of its start and stop, which are no handlers of the application it is included into."""

    def make() -> APIRouter:
        return APIRouter(on_startup=[lambda: told.append("up")], on_shutdown=[lambda: told.append("down")])

    app = FastAPI()
    include_kernel(app, kernel_with(Shop(make)))
    async with app.router.lifespan_context(app):
        assert told == ["up"]
    assert told == ["up", "down"]


async def test_a_start_that_hangs_fails_the_boot() -> None:
    """It has as long as its plugin to start; then it is cancelled."""
    cancelled: list[bool] = []

    async def life() -> AsyncIterator[None]:
        try:
            await anyio.sleep_forever()
            yield
        finally:
            cancelled.append(True)

    failure = await failure_of(kernel_with(Mounts(living(life)), start_timeouts={"mounter": 0.05}))
    assert failure.why == ("it had not started after 0.05 s",)
    assert cancelled == [True]


async def test_what_had_started_stops_when_another_fails() -> None:
    """Nothing of a boot that failed is left."""
    told: list[str] = []

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        told.append("up")
        yield
        told.append("down")

    kernel = kernel_with(Shop(lambda: APIRouter(lifespan=life)), Mounts(speaking({"type": "startup.failed"})))
    await failure_of(kernel)
    assert told == ["up", "down"]


async def ignores(scope: Any, receive: Any, send: Any) -> None:
    """Returns at once."""


async def refuses(scope: Any, receive: Any, send: Any) -> None:
    """Raises, as the protocol lets an application that does not speak it."""
    raise ValueError(scope["type"])


async def leaves(scope: Any, receive: Any, send: Any) -> None:
    """Starts, and does not wait for the end."""
    await receive()
    await send({"type": "lifespan.startup.complete"})


async def listens_on(scope: Any, receive: Any, send: Any) -> None:
    """Goes on listening after the end."""
    await leaves(scope, receive, send)
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
    with anyio.move_on_after(0.01):
        await receive()


@pytest.mark.parametrize("app", [ignores, refuses, leaves, listens_on])
async def test_a_lifespan_is_as_small_as_an_application_likes(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Without one, or with a part of it, it is served, and nothing is complained of."""
    kernel = kernel_with(Mounts(lambda: app))
    await run(kernel)
    assert kernel.state == "stopped"
    assert [one for one in caplog.records if one.levelname in ("WARNING", "ERROR")] == []


@pytest.mark.parametrize("told", [True, False])
async def test_a_stop_that_fails_is_logged(told: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The host stops all the same."""

    async def life() -> AsyncIterator[None]:
        yield
        raise OSError("no disk")

    async def crash() -> None:
        raise OSError("no disk")

    crashing = speaking({"type": "startup.complete"}, then=crash)
    kernel = kernel_with(Mounts(living(life) if told else crashing))
    await run(kernel)
    assert kernel.state == "stopped"
    assert "the application that mounter has at /console did not stop in order" in caplog.text
    assert "OSError: no disk" in caplog.text


async def test_a_stop_that_hangs_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    """It has as long as its plugin to stop."""

    async def life() -> AsyncIterator[None]:
        yield
        await anyio.sleep_forever()

    kernel = kernel_with(Mounts(living(life)), stop_timeouts={"mounter": 0.05})
    await run(kernel)
    assert kernel.state == "stopped"
    assert "the application that mounter has at /console was cancelled before it had stopped" in caplog.text


async def test_a_host_that_is_cancelled_does_not_wait() -> None:
    """A second signal ends what still stops."""
    told: list[str] = []

    async def life() -> AsyncIterator[None]:
        yield
        try:
            await anyio.sleep_forever()
        finally:
            told.append("cancelled")

    kernel = kernel_with(Mounts(living(life)))
    with anyio.CancelScope() as scope:
        async with kernel_lifespan(kernel)(asgi_app(kernel)):
            scope.cancel()
    assert (told, kernel.state) == (["cancelled"], "stopped")


async def test_a_boot_that_is_cancelled_leaves_nothing() -> None:
    """Whatever was starting has been cancelled when the kernel stops."""
    told: list[str] = []
    starting = anyio.Event()

    async def life() -> AsyncIterator[None]:
        starting.set()
        try:
            await anyio.sleep_forever()
            yield
        finally:
            told.append(kernel.state)

    kernel = kernel_with(Mounts(living(life)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, kernel)
        await starting.wait()
        tasks.cancel_scope.cancel()
    assert (told, kernel.state) == (["running"], "stopped")


async def test_a_kernel_that_is_served_twice_has_two_lives() -> None:
    """Each has applications of its own."""
    made: list[Starlette] = []

    def make() -> Starlette:
        made.append(Starlette())
        return made[-1]

    async with kernel_with(Mounts(make)) as kernel:
        app = asgi_app(kernel)
        for _ in range(2):
            async with kernel_lifespan(kernel)(app), client_of(app) as client:
                assert (await client.get("/console/")).status_code == 404
    assert len(made) == 2
