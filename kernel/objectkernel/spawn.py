"""Tasks that are nobody's children, on asyncio and on trio.

anyio ties every task to a task group, and that to the task that opened it. A kernel outlives the task that booted it
and stops each of its tasks itself, so it takes them from the event loop directly; one costs a third of a task group's.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, Protocol

import anyio

from objectkernel.host import is_cancellation

log = logging.getLogger("objectkernel")


class Gate(Protocol):
    """Opened once, for the one task that waits at it."""

    def set(self) -> None: ...
    def wait(self) -> Awaitable[None]: ...


class _FutureGate:
    """A gate on asyncio: a future, a fifth of an event's objects."""

    __slots__ = ("_future",)

    def __init__(self, future: Any) -> None:
        self._future = future

    def set(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def wait(self) -> Awaitable[None]:
        return self._future  # type: ignore[no-any-return]


class Spawner:
    """Starts tasks on the event loop that runs, each in a copy of one context.

    Attributes:
        clock: `anyio.current_time`, without its look-up of the event loop.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tasks: set[Any] = set()
        asyncio = sys.modules.get("asyncio")
        self._loop: Any = asyncio._get_running_loop() if asyncio is not None else None
        self.clock: Callable[[], float] = self._loop.time if self._loop is not None else anyio.current_time

    def gate(self) -> Gate:
        """A new gate, closed."""
        return _FutureGate(self._loop.create_future()) if self._loop is not None else anyio.Event()

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a plain function in the context of the kernel, whoever caused it."""
        return self._context.copy().run(function, *args)

    def start(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any, name: str) -> Any:
        """Run ``await function(*args)`` in a task of its own; it may raise nothing but cancellation.

        Returns the task, which the caller must keep: asyncio does not.
        """
        context = self._context.copy()
        if self._loop is not None:
            return self._loop.create_task(function(*args), name=name, context=context)
        import trio

        return trio.lowlevel.spawn_system_task(function, *args, name=name, context=context)

    def start_guarded(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any, name: str) -> None:
        """The same for work of the kernel itself: an error in it is a defect, and is logged as one."""

        async def guarded() -> None:
            try:
                await function(*args)
            except BaseException as error:
                if is_cancellation(error):
                    raise
                log.critical("%s failed: a defect of the kernel", name, exc_info=error)

        task = self.start(guarded, name=name)
        if self._loop is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
