"""Replies that a task awaits and a worker thread fills, on asyncio and on trio.

Waking an event loop from a thread costs a system call, so all replies that are filled before the loop gets to
look are delivered with one wake-up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from anyio.lowlevel import current_token

if TYPE_CHECKING:
    import trio

Outcome: TypeAlias = tuple[Any, BaseException | None]
"""What a job returned, or what it raised."""


class Reply(Protocol):
    """An awaitable that a thread fills through `Bridge.deliver`."""

    def __await__(self) -> Generator[Any, Any, Any]: ...

    def cancelled(self) -> bool:
        """Whether the task that awaited it is gone."""
        ...


class Bridge:
    """The event loop it was made in, as worker threads see it."""

    def __init__(self) -> None:
        native: Any = current_token().native_token
        self._native = native
        self._filled: deque[tuple[Reply, Outcome]] = deque()
        self._wake_up_sent = False
        self.reply: Callable[[], Reply]
        self._settle: Callable[[Any, Outcome], None]
        self._call_soon: Callable[[Callable[[], None]], Any]
        self._running: Callable[[], Any]
        if isinstance(native, asyncio.AbstractEventLoop):
            self._running = asyncio.get_running_loop
            self.reply = native.create_future
            self._settle = _settle_future
            self._call_soon = native.call_soon_threadsafe
        else:
            from trio.lowlevel import current_trio_token

            self._running = current_trio_token
            self.reply = _TrioReply
            self._settle = _TrioReply.settle
            self._call_soon = native.run_sync_soon

    def is_here(self) -> bool:
        """Whether the caller runs in the event loop that this was made in."""
        try:
            return self._running() is self._native
        except RuntimeError:  # a loop of the other kind
            return False

    def deliver(self, filled: Iterable[tuple[Reply, Outcome]]) -> None:
        """Fill replies; may be called from any thread. Replies of a loop that has ended are dropped."""
        self._filled.extend(filled)
        if not self._wake_up_sent:
            self._wake_up_sent = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._call_soon(self._deliver_here)

    def _deliver_here(self) -> None:
        # First the flag, then the queue: what is added after the last look finds the flag down, and wakes us.
        self._wake_up_sent = False
        while self._filled:
            reply, outcome = self._filled.popleft()
            if not reply.cancelled():
                self._settle(reply, outcome)


def _settle_future(future: asyncio.Future[Any], outcome: Outcome) -> None:
    value, error = outcome
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)


class _TrioReply:
    __slots__ = ("_cancelled", "_outcome", "_task")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self._outcome: Outcome | None = None
        self._cancelled = False

    def cancelled(self) -> bool:
        return self._cancelled

    def settle(self, outcome: Outcome) -> None:
        self._outcome = outcome
        if self._task is not None:
            from trio.lowlevel import reschedule

            reschedule(self._task)

    def __await__(self) -> Generator[Any, Any, Any]:
        if self._outcome is None:
            from trio import lowlevel

            self._task = lowlevel.current_task()
            yield from lowlevel.wait_task_rescheduled(self._abort).__await__()
        assert self._outcome is not None
        value, error = self._outcome
        if error is not None:
            raise error
        return value

    def _abort(self, _raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
        from trio.lowlevel import Abort

        self._cancelled = True
        return Abort.SUCCEEDED
