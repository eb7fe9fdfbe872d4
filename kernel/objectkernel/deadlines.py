"""Time limits of steps: one task watches them all, so that a step in time pays one dictionary entry."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from objectkernel.errors import PluginStuck, StartTimeout, StopTimeout, shortened

if TYPE_CHECKING:
    from objectkernel.graph import Node
    from objectkernel.host import Host
    from objectkernel.spawn import Spawner

STUCK_AFTER = 2.0
"""Seconds that cancelled code may go on before the kernel gives it up."""
A_MOMENT = 0.05
"""Seconds that it always has, however far the whole shutdown is behind its limit."""


class Deadlines:
    """Cancels each watched host at its deadline, and gives it up `STUCK_AFTER` seconds later.

    Attributes:
        limit: no deadline lies behind it: the end of the whole shutdown, in `anyio.current_time` seconds.
        stuck: hosts that were given up; their tasks still exist.
    """

    def __init__(self, spawner: Spawner, waiting_for: Callable[[Node], list[str]]) -> None:
        self.limit = math.inf
        self.stuck: list[Host] = []
        self._spawner = spawner
        self._clock = spawner.clock
        self._scope = anyio.CancelScope()
        self._waiting_for = waiting_for
        self._watched: dict[Host, None] = {}
        self._scopes: dict[anyio.CancelScope, None] = {}
        self._asleep_until = math.inf
        self._wake: anyio.Event | None = None

    def until(self, seconds: float) -> float:
        """The moment `seconds` from now, not behind the limit."""
        return min(self._clock() + seconds, self.limit)

    def watch(self, host: Host, seconds: float) -> None:
        """Cancel `host` in `seconds`, or give it up if it has been cancelled by then."""
        host.deadline = self.until(seconds)
        host.seconds = seconds
        self._watched[host] = None
        if self._wake is None:
            self._wake = anyio.Event()
            self._spawner.start_guarded(self._run, name="objectkernel deadlines")
        elif host.deadline < self._asleep_until:
            self._wake.set()

    def extend(self, host: Host, seconds: float) -> None:
        """Let a watched host go on for `seconds` from now, if its deadline is sooner and has not come."""
        deadline = self.until(seconds)
        if host in self._watched and not host.scope.cancel_called and deadline > host.deadline:
            host.deadline = deadline
            host.seconds = seconds

    def drop(self, host: Host) -> None:
        """`host` is done."""
        self._watched.pop(host, None)

    @contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """A block that ends after `seconds`, or at the limit if that comes sooner."""
        with anyio.CancelScope(deadline=self.until(seconds)) as scope:
            self._scopes[scope] = None
            try:
                yield
            finally:
                del self._scopes[scope]

    def shorten(self, limit: float) -> None:
        """Let no deadline, present or future, lie behind `limit`."""
        limit = self.limit = min(limit, self.limit)
        for scope in self._scopes:
            scope.deadline = min(scope.deadline, limit)
        for host in self._watched:
            host.deadline = min(host.deadline, limit)
        if self._wake is not None:
            self._wake.set()

    def close(self) -> None:
        """Watch no more."""
        self._scope.cancel()

    async def _run(self) -> None:
        with self._scope:
            while True:
                self._wake = anyio.Event()
                self._asleep_until = min((h.deadline for h in self._watched), default=math.inf)
                with anyio.CancelScope(deadline=self._asleep_until):
                    await self._wake.wait()
                now = anyio.current_time()
                for host in [h for h in self._watched if h.deadline <= now]:
                    self._expire(host)

    def _expire(self, host: Host) -> None:
        step = host.step
        stack = host.stack()
        facts = {"plugin": step.plugin, "node": host.node.id, "stack": stack, "seconds": host.seconds}
        why = [f"it is suspended here:\n{stack.rstrip()}"] if stack else []
        if host.scope.cancel_called:
            del self._watched[host]
            self.stuck.append(host)
            error = PluginStuck(
                f"{step.plugin}.{step.name} was cancelled and goes on",
                where=step.where,
                why=why,
                fix="let the cancellation pass: do not catch it, and give a shielded scope a deadline of its own",
                **facts,
            )
            error.__cause__ = host.timeout
            host.owner.gave_up(host, error)
            return
        if host.stopping:
            host.timeout = StopTimeout(
                f"{step.plugin}.{step.name} did not stop within {host.seconds:g} s and was cancelled",
                where=step.where,
                why=why,
                fix=f"make its teardown quicker, or raise stop_timeout of {step.plugin}",
                **facts,
            )
        else:
            waiting = self._waiting_for(host.node)
            host.timeout = StartTimeout(
                f"{step.plugin}.{step.name} did not start within {host.seconds:g} s and was cancelled",
                where=step.where,
                why=why + shortened(waiting),
                fix=f"find out what it waits for, or raise start_timeout of {step.plugin}",
                waiting=tuple(waiting),
                **facts,
            )
        now = self._clock()
        host.deadline = max(min(now, self.limit) + STUCK_AFTER, now + A_MOMENT)
        host.scope.cancel()
