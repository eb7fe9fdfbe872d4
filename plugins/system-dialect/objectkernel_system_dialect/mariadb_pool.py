"""A pool of connections to MariaDB that trusts none: what is out of step or was closed meanwhile goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias, TypeVar

import anyio
import attrs
from asyncmy.connection import Connection

from objectkernel_system_dialect.errors import DatabaseBusy, DataError
from objectkernel_system_dialect.mariadb_errors import LOST, RAISED, UNSENT, ServerError, reported
from objectkernel_system_dialect.usage import Usage

T = TypeVar("T")
Connect: TypeAlias = Callable[[], Awaitable[Connection]]
Job: TypeAlias = Callable[[Connection], Awaitable[T]]

IDLE: Final = 30.0
"""Seconds after which a connection is asked for a sign of life first: what lies between may have forgotten it."""
KILL_PATIENCE: Final = 1.0
"""Seconds that the end of a cancelled call may take."""


@attrs.define(eq=False)
class Lent:
    """A connection out of the pool.

    Attributes:
        fresh: it has not been used before.
        keep: whether it may be used again: its last command was answered wholly.
        given_up: its last command was cancelled, and the server may still be at it.
    """

    connection: Connection
    fresh: bool
    keep: bool = False
    given_up: bool = False

    def give_up(self) -> None:
        """Note that a call was cancelled. The driver closes a connection that waits for an answer then."""
        self.given_up = not self.connection.connected


class Pool:
    """At most `size` connections, made when they are needed; the one used last is lent first.

    Args:
        timeout: seconds to wait for a connection.
        place: how messages call the database.
    """

    def __init__(self, connect: Connect, size: int, timeout: float, place: str) -> None:
        self._connect = connect
        self._size = size
        self._timeout = timeout
        self._place = place
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._used = 0
        self._waiting = 0

    async def run(self, job: Job[T], *, repeatable: bool) -> T:
        """Run a job on a connection.

        Where the connection turns out to have been closed before, the job is run again on a new one, if nothing of it
        was sent or it is `repeatable`.

        Raises:
            ServerError: the server refused, or could not be reached.
            DatabaseBusy: no connection became free in time.
        """
        again = LOST if repeatable else UNSENT
        async with self._slot():
            lent = await self._lend()
            try:
                return await self._run(lent, job)
            except ServerError as error:
                if lent.fresh or error.number not in again:
                    raise
            self.drop_idle()
            return await self._run(await self._lend(), job)

    @asynccontextmanager
    async def lend(self, prepare: Job[Any]) -> AsyncIterator[Lent]:
        """A connection for a block, on which `prepare` was run first. Set `Lent.keep` when it may be used again."""
        async with self._slot():
            lent = await self._lend()
            try:
                try:
                    await prepare(lent.connection)
                except ServerError as error:
                    if lent.fresh or error.number not in LOST:
                        raise
                    lent.connection.close()
                    self.drop_idle()
                    lent = await self._lend()
                    await prepare(lent.connection)
                yield lent
            finally:
                await self._take_back(lent)

    def drop_idle(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            with suppress(RuntimeError):  # an event loop that has ended closed it
                self._idle.pop().close()

    def usage(self) -> Usage:
        """See `TellsUsage.usage`."""
        idle = len(self._idle)
        return Usage(limit=self._size, used=self._used, idle=idle, waiting={"connection": self._waiting})

    async def aclose(self) -> None:
        """Wait for those in use, and take leave of all."""
        for _ in range(self._size):
            await self._slots.acquire()
        while self._idle:
            connection = self._idle.pop()
            with suppress(*RAISED):
                await connection.ensure_closed()

    async def _run(self, lent: Lent, job: Job[T]) -> T:
        try:
            result = await job(lent.connection)
            lent.keep = True
            return result
        except ServerError as error:
            lent.keep = error.in_step
            raise
        except DataError:  # of a reader: everything had come
            lent.keep = True
            raise
        except asyncio.CancelledError:
            lent.give_up()
            raise
        finally:
            await self._take_back(lent)

    async def _lend(self) -> Lent:
        while self._idle:
            connection = self._idle.pop()
            if await _answers(connection):
                return Lent(connection, fresh=False)
        try:
            return Lent(await self._connect(), fresh=True)
        except RAISED as error:
            raise reported(error) from None

    async def _take_back(self, lent: Lent) -> None:
        if lent.keep and lent.connection.connected:
            self._idle.append(lent.connection)
            return
        lent.connection.close()
        if lent.given_up:
            with anyio.move_on_after(KILL_PATIENCE, shield=True), suppress(ServerError, *RAISED):
                await self._kill(lent.connection.thread_id())

    async def _kill(self, number: int) -> None:
        """End a connection on the server, which would find out late that nobody waits."""
        killer = (await self._lend()).connection
        try:
            await killer.query(f"KILL {number}")  # type: ignore[no-untyped-call]
            self._idle.append(killer)
        except BaseException:
            killer.close()
            raise

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._slots.acquire()
        except TimeoutError:
            raise DatabaseBusy(
                f"{self._place} got no connection for this within {self._timeout:g} s; nothing was changed",
                why=f"all {self._size} connections of the pool are in use",
                fix="end transactions sooner, or raise the pool size",
                database=self._place,
                reason="pool",
            ) from None
        finally:
            self._waiting -= 1
        self._used += 1
        try:
            yield
        finally:
            self._used -= 1
            self._slots.release()


async def _answers(connection: Connection) -> bool:
    """Whether a connection lives, as far as there is doubt."""
    if connection.connected and connection.loop.time() - connection.last_usage < IDLE:
        return True
    try:
        await connection.ping(reconnect=False)
    except BaseException as error:
        connection.close()
        if not isinstance(error, RAISED):
            raise
        return False
    return True
