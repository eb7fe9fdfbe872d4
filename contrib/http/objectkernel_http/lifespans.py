"""Lifespans of what plugins contribute, each in a task of its own: they are ended from other tasks than began them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from typing import Any, Final

import anyio
import attrs
from objectkernel.host import is_cancellation
from objectkernel.kernel import ObjectKernel
from objectkernel.spawn import Spawner
from starlette.types import ASGIApp, Message

from objectkernel_http.errors import LifespanFailed
from objectkernel_http.problems import LOG

GRACE: Final = 2.0
"""Seconds that a lifespan has to end once it was cancelled; then nobody waits for it any more."""


@attrs.frozen(kw_only=True)
class Patience:
    """How many seconds a plugin's part has to start, to finish what runs, and to stop: the kernel's own deadlines."""

    start: float
    drain: float
    stop: float


def patience_with(kernel: ObjectKernel, plugin: str) -> Patience:
    """What the host, or else the plugin, says."""
    options = kernel.compose().options
    declared = kernel.graph.declarations[plugin]
    return Patience(
        start=options.start_timeouts.get(plugin) or declared.start_timeout or options.start_timeout,
        drain=options.drain_timeout,
        stop=options.stop_timeouts.get(plugin) or declared.stop_timeout or options.stop_timeout,
    )


class Lifespan:
    """Something that starts, and stops later.

    Args:
        what: in words, for messages: ``the application at /console of console``.
        run: lives; it calls `up` when it has started, and awaits `asked_to_stop` before it stops.
    """

    def __init__(self, what: str, run: Callable[[Lifespan], Awaitable[None]], where: str) -> None:
        self._what = what
        self._run = run
        self._where = where
        self._started = anyio.Event()
        self._stop = anyio.Event()
        self._over = anyio.Event()
        self._scope = anyio.CancelScope()
        self._error: BaseException | None = None
        self._task: Any = None  # asyncio keeps no task that nobody holds

    async def start(self, seconds: float) -> None:
        """Begin, and return when it has started.

        Raises:
            LifespanFailed: it raised, or has not started after as many seconds.
        """
        self._task = Spawner(copy_context()).start(self._main, name=self._what)
        try:
            with anyio.fail_after(seconds):
                await self._started.wait()
        except TimeoutError:
            await self._cancel()
            fix = "let it start sooner, or raise start_timeout"
            raise self._failed(f"it had not started after {seconds:g} s", fix) from None
        except BaseException:  # the boot is cancelled
            await self._cancel()
            raise
        if self._error is not None:
            LOG.error("%s did not start", self._what, exc_info=self._error)
            raise self._failed(_reason(self._error), "correct what its lifespan does") from self._error

    async def stop(self, seconds: float) -> None:
        """Let it stop; what goes wrong then is logged, and after as many seconds it is cancelled."""
        self._stop.set()
        try:
            with anyio.move_on_after(seconds):
                await self._over.wait()
        finally:
            if not self._over.is_set():
                LOG.error("%s was cancelled before it had stopped", self._what)
                await self._cancel()
        if self._error is not None:
            LOG.error("%s did not stop in order", self._what, exc_info=self._error)

    def up(self) -> None:
        """It has started."""
        self._started.set()

    async def asked_to_stop(self) -> None:
        """Wait for `stop`."""
        await self._stop.wait()

    async def _main(self) -> None:
        try:
            with self._scope:
                await self._run(self)
        except BaseException as error:  # SystemExit too, which would end the event loop
            if is_cancellation(error):
                raise
            self._error = error
        finally:
            self._started.set()
            self._over.set()

    async def _cancel(self) -> None:
        self._scope.cancel()
        with anyio.move_on_after(GRACE, shield=True):
            await self._over.wait()

    def _failed(self, why: str, fix: str) -> LifespanFailed:
        return LifespanFailed(f"{self._what} did not start", where=self._where, why=why, fix=fix)


def of_context(enter: Callable[[], AbstractAsyncContextManager[Any]]) -> Callable[[Lifespan], Awaitable[None]]:
    """What runs a context manager, such as the lifespan of a router."""

    async def run(lifespan: Lifespan) -> None:
        async with enter():
            lifespan.up()
            await lifespan.asked_to_stop()

    return run


def of_application(app: ASGIApp, state: dict[str, Any]) -> Callable[[Lifespan], Awaitable[None]]:
    """What runs an application's side of ASGI's lifespan protocol; one that does not speak it is fine.

    Args:
        state: where the application puts what its requests shall find in their state.
    """

    async def run(lifespan: Lifespan) -> None:
        conversation = _Conversation(lifespan)
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
        try:
            await app(scope, conversation.receive, conversation.send)
        except Exception as error:
            if conversation.failure is None:
                if conversation.started:
                    raise
                LOG.debug("an application has no lifespan: %s: %s", type(error).__name__, error)
        if conversation.failure is not None:
            raise _Told(conversation.failure)

    return run


class _Told(Exception):
    """An application says that it could not start, or stop."""


class _Conversation:
    """What an application is told of its lifespan, and what it answers."""

    def __init__(self, lifespan: Lifespan) -> None:
        self.started = False
        self.failure: str | None = None
        self._lifespan = lifespan
        self._told = iter(("lifespan.startup", "lifespan.shutdown"))

    async def receive(self) -> Message:
        event = next(self._told, None)
        if event is None:
            await anyio.sleep_forever()
        elif event == "lifespan.shutdown":
            await self._lifespan.asked_to_stop()
        return {"type": event}

    async def send(self, message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            self.started = True
            self._lifespan.up()
        elif message["type"] in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            self.failure = message.get("message", "") or "it did not say why"


def _reason(error: BaseException) -> str:
    """The last line: what an application tells of its failure is a traceback more often than not."""
    if isinstance(error, _Told):
        return str(error).strip().splitlines()[-1]
    return f"{type(error).__name__}: {error}"
