"""A pool of connections to one server, whichever driver makes them, alone or within a `ConnectionLimit`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Generic, Literal, Protocol, TypeAlias, TypeVar

import attrs

from objectkernel_system_dialect.connection_limit import ConnectionLimit
from objectkernel_system_dialect.errors import DatabaseBusy
from objectkernel_system_dialect.usage import Usage

C = TypeVar("C")

IDLE_LIFETIME: Final = 300.0
"""Seconds after which a connection that nobody uses is closed, if there are more than the least."""
TURN: Final = 0.05
"""Seconds for which a busy pool may use a connection whose place others wait for: connecting takes a part of that."""
LEAVE_PATIENCE: Final = 2.0
"""Seconds that a server has to let go of a connection."""

Condition: TypeAlias = Literal["good", "doubtful", "bad"]
"""How a connection comes back: ready for another use; broken off in its work, so that the driver has to see to it; or
good for nothing but its end."""


class Driver(Protocol[C]):
    """What a pool asks of a kind of connection."""

    async def connect(self) -> C:
        """A new one."""
        ...

    def watch(self, connection: C, ended: Callable[[], None]) -> None:
        """Call `ended` when the connection ends by itself, as far as the driver tells; perhaps a second time too."""
        ...

    def is_open(self, connection: C) -> bool:
        """Whether it can be used, as far as the driver knows without asking."""
        ...

    async def recover(self, connection: C) -> bool:
        """See to a connection that was broken off in its work; whether it can be used again. Raises nothing."""
        ...

    async def leave(self, connection: C) -> None:
        """Take leave; returns when the server has let go, or after `LEAVE_PATIENCE`. Raises nothing."""
        ...

    def drop(self, connection: C) -> None:
        """Close at once, without a word."""
        ...


@attrs.define(eq=False)
class Held(Generic[C]):
    """A connection of a pool.

    Attributes:
        since, used_at: when it was made and used last, as the event loop's clock has it.
        fresh: it has not been used before.
    """

    connection: C
    since: float
    used_at: float
    fresh: bool = True


class ConnectionPool(Generic[C]):
    """At most `size` connections, made when they are needed; the one used last is lent first.

    Args:
        least: how many of them stay open when nobody uses them.
        timeout: seconds to wait for a connection.
        place: how messages call the database.
        limit: which connections there may be together with those of other pools.
    """

    def __init__(
        self,
        driver: Driver[C],
        *,
        size: int,
        timeout: float,
        place: str,
        least: int = 0,
        limit: ConnectionLimit | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._driver = driver
        self._size = size
        self._least = least
        self._timeout = timeout
        self._place = place
        self._limit = limit
        self._all: set[Held[C]] = set()
        self._idle: list[Held[C]] = []  # in the order in which they were used
        self._waiters: deque[asyncio.Future[Held[C] | None]] = deque()
        self._open = 0  # those of `_all`, and those being made
        self._asked = 0  # places that the limit was asked for
        self._leaving = 0
        self._users = 0
        self._making: set[asyncio.Task[Held[C]]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reaper: asyncio.TimerHandle | None = None
        self._closing = False
        self._all_back = asyncio.Event()

    # --- lending ----------------------------------------------------------------------------------------

    async def lend(self) -> Held[C]:
        """A connection, to be given to `take_back`.

        Raises:
            DatabaseBusy: none became free in time.
            as the driver does, of a new one.
        """
        self._users += 1
        try:
            return self._rested() or await self._wait()
        except BaseException:
            self._left()
            raise

    def take_back(self, held: Held[C], condition: Condition = "good") -> None:
        """Take back what was lent, for others or for its end."""
        held.fresh = False
        held.used_at = self._loop.time()
        if condition == "doubtful":
            self._start(self._recover(held))
        elif condition == "good" and self._driver.is_open(held.connection):
            self._pass_on(held)
        else:
            self._drop(held)
        self._left()

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """A place for a connection that is none of the pool's, for a block that opens and closes it.

        Raises:
            DatabaseBusy: none became free in time.
        """
        self._users += 1
        try:
            if self._limit is None:
                yield
                return
            try:
                async with asyncio.timeout(self._timeout):
                    await self._limit.take()
            except TimeoutError:
                raise self._busy(self._limit) from None
            try:
                yield
            finally:
                self._limit.give_back()
        finally:
            self._left()

    @asynccontextmanager
    async def spare(self) -> AsyncIterator[C]:
        """A connection with which to end another: an idle one, or a new one, for which nobody waits.

        Raises:
            as the driver does, of a new one.
        """
        held = self._rested()
        if held is None:
            async with self._beyond():
                connection = await self._driver.connect()
                try:
                    yield connection
                finally:
                    await self._driver.leave(connection)
            return
        try:
            yield held.connection
        except BaseException:
            self._drop(held)
            raise
        self._pass_on(held)

    @asynccontextmanager
    async def _beyond(self) -> AsyncIterator[None]:
        """A place if there is one, or none; then for one at a time."""
        if self._limit is None:
            yield
        elif self._limit.try_take():
            try:
                yield
            finally:
                self._limit.give_back()
        else:
            async with self._limit.beyond:
                yield

    def usage(self) -> Usage:
        """See `TellsUsage.usage`."""
        idle = len(self._idle)
        waiting = {"connection": len(self._waiters)}
        return Usage(limit=self._size, used=len(self._all) - idle - self._leaving, idle=idle, waiting=waiting)

    def _rested(self) -> Held[C] | None:
        """The idle connection that was used last."""
        while self._idle:
            held = self._unrest(-1)
            if self._driver.is_open(held.connection):
                return held
            self._drop(held)
        return None

    async def _wait(self) -> Held[C]:
        if self._open < self._size and not self._waiters and (self._limit is None or self._limit.try_take()):
            self._open += 1
            return await self._connect()
        waiter: asyncio.Future[Held[C] | None] = self._loop.create_future()
        self._waiters.append(waiter)
        self._ask()
        try:
            async with asyncio.timeout(self._timeout):
                given = await waiter
        except BaseException as error:
            busy = self._busy(self._limit if self._asked else None)
            self._withdraw(waiter)
            if isinstance(error, TimeoutError):
                raise busy from None
            raise
        return given or await self._connect()

    def _withdraw(self, waiter: asyncio.Future[Held[C] | None]) -> None:
        """One who waits goes; what came together with the cancellation is for others."""
        if waiter.cancelled():
            with suppress(ValueError):  # it was passed over
                self._waiters.remove(waiter)
            self._ask()
        elif (given := waiter.result()) is None:
            self._vacate()
        else:
            self._pass_on(given)

    async def _connect(self) -> Held[C]:
        """A new connection, for which there is a place.

        Where the caller is cancelled, what has begun goes on, and is for others: no server is left with a connection
        that nobody counts.
        """
        making = self._loop.create_task(self._make())
        self._making.add(making)
        making.add_done_callback(self._making.discard)
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(self._made)
            raise

    async def _make(self) -> Held[C]:
        try:
            connection = await self._driver.connect()
        except BaseException:
            self._vacate()
            raise
        now = self._loop.time()
        held = Held(connection, now, now)
        self._all.add(held)
        self._driver.watch(connection, lambda: self._gone(held))
        return held

    def _made(self, making: asyncio.Task[Held[C]]) -> None:
        """A connection is there that nobody waits for any more."""
        if not making.cancelled() and making.exception() is None:
            self._pass_on(making.result())

    def _busy(self, limit: ConnectionLimit | None) -> DatabaseBusy:
        if limit is None:
            why = f"all {self._size} connections of the pool are in use"
            fix = "end transactions sooner, or raise the pool size"
        else:
            why = f"all {limit.most} connections to the server that {limit.setting} allows are in use"
            fix = f"end transactions sooner, or raise {limit.setting}"
        return DatabaseBusy(
            f"{self._place} got no connection for this within {self._timeout:g} s; nothing was changed",
            why=why,
            fix=fix,
            database=self._place,
            reason="pool" if limit is None else "limit",
        )

    # --- who is next ------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Have as many places asked for as there are connections to make for those who wait."""
        while self._asked < (wanted := min(len(self._waiters), self._size - self._open)):
            self._asked += 1
            if self._limit is None:
                self.granted()
            else:
                self._limit.ask(self)
        while self._asked > wanted:
            self._withdraw_place()

    def _withdraw_place(self) -> None:
        """Ask for one place less: for the one that was asked for first."""
        if self._asked and self._limit is not None:
            self._asked -= 1
            self._limit.withdraw(self)

    def granted(self) -> bool:
        """See `Asker.granted`: whoever waits longest makes a connection."""
        self._asked -= 1
        waiter = self._next_waiter()
        if waiter is None or self._open >= self._size:
            return False
        self._open += 1
        self._waiters.popleft().set_result(None)
        return True

    def _pass_on(self, held: Held[C]) -> None:
        """Give a connection to whoever waits longest; to another pool its place; or let it rest."""
        limit = self._limit
        if self._next_waiter() is not None:
            if limit is not None and limit.is_short and not limit.is_next(self) and self._has_had_its_turn(held):
                self._retire(held)
                return
            self._waiters.popleft().set_result(held)
            self._withdraw_place()  # what is asked for from now on is for those who came later
            self._ask()
        elif self._closing or (limit is not None and limit.is_short):
            self._retire(held)
        else:
            self._idle.append(held)
            if limit is not None:
                limit.rests(self)
            self._expect_reaper()

    def _has_had_its_turn(self, held: Held[C]) -> bool:
        return self._loop.time() - held.since >= TURN

    def _next_waiter(self) -> asyncio.Future[Held[C] | None] | None:
        while self._waiters and self._waiters[0].done():  # cancelled, and not yet gone
            self._waiters.popleft()
        return self._waiters[0] if self._waiters else None

    # --- rest and end -----------------------------------------------------------------------------------

    @property
    def rests_since(self) -> float:
        """See `Rester.rests_since`."""
        return self._idle[0].used_at

    def let_go(self) -> None:
        """See `Rester.let_go`."""
        self._retire(self._unrest(0))

    def let_all_go(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self.let_go()

    def drop_idle(self) -> None:
        """Close the connections that nobody uses, without a word and from wherever; their event loop has ended."""
        if self._reaper is not None:
            self._reaper.cancel()
        while self._idle:
            held = self._unrest(-1)
            with suppress(RuntimeError):  # the loop has closed it
                self._driver.drop(held.connection)
            self._gone(held)

    async def aclose(self) -> None:
        """Wait for those in use, and take leave of all."""
        self._closing = True
        while self._users:
            self._all_back.clear()
            await self._all_back.wait()
        for making in self._making:
            making.cancel()
        self.let_all_go()
        if self._reaper is not None:
            self._reaper.cancel()
        while ending := {*self._making, *self._tasks}:
            await asyncio.wait(ending)

    def _left(self) -> None:
        self._users -= 1
        if not self._users:
            self._all_back.set()

    def _unrest(self, index: int) -> Held[C]:
        held = self._idle.pop(index)
        if not self._idle and self._limit is not None:
            self._limit.stirs(self)
        return held

    def _retire(self, held: Held[C]) -> None:
        """Take leave of a connection, while others go on."""
        self._leaving += 1
        if self._limit is not None:
            self._limit.leaving += 1
        self._start(self._leave(held))

    async def _leave(self, held: Held[C]) -> None:
        try:
            await self._driver.leave(held.connection)
        finally:
            self._leaving -= 1
            if self._limit is not None:
                self._limit.leaving -= 1
            self._gone(held)

    async def _recover(self, held: Held[C]) -> None:
        if await self._driver.recover(held.connection):
            self._pass_on(held)
        else:
            self._retire(held)

    def _drop(self, held: Held[C]) -> None:
        self._driver.drop(held.connection)
        self._gone(held)

    def _gone(self, held: Held[C]) -> None:
        """Note that a connection is closed, whoever has closed it."""
        if held not in self._all:
            return
        self._all.discard(held)
        if held in self._idle:
            self._unrest(self._idle.index(held))
        self._vacate()

    def _vacate(self) -> None:
        """Give the place of a connection back."""
        self._open -= 1
        if self._limit is not None:
            self._limit.give_back()
        self._ask()

    def _expect_reaper(self) -> None:
        """See that the connection that rests longest is looked at when its time is over."""
        if self._reaper is None and self._idle and self._is_rich():
            self._reaper = self._loop.call_at(self.rests_since + IDLE_LIFETIME, self._reap)

    def _reap(self) -> None:
        self._reaper = None
        while self._idle and self._is_rich() and self._loop.time() >= self.rests_since + IDLE_LIFETIME:
            self.let_go()
        self._expect_reaper()

    def _is_rich(self) -> bool:
        """Whether there are more connections than the least."""
        return len(self._all) - self._leaving > self._least

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
