"""Connections to MariaDB in a `ConnectionPool` that trusts none: what is out of step or was closed meanwhile goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import anyio
import attrs
from asyncmy.connection import Connection
from asyncmy.errors import MySQLError

from objectkernel_system_dialect.connection_limit import ConnectionLimit
from objectkernel_system_dialect.connection_pool import Condition, ConnectionPool, Driver, Held
from objectkernel_system_dialect.errors import DataError
from objectkernel_system_dialect.mariadb_connection import leave
from objectkernel_system_dialect.mariadb_errors import LOST, RAISED, UNSENT, ServerError, reported
from objectkernel_system_dialect.usage import Usage

T = TypeVar("T")
Connect: TypeAlias = Callable[[], Awaitable[Connection]]
Job: TypeAlias = Callable[[Connection], Awaitable[T]]

IDLE: Final = 30.0
"""Seconds after which a connection is asked for a sign of life first: what lies between may have forgotten it."""
KILL_PATIENCE: Final = 5.0
"""Seconds that the end of a cancelled call may take on the server."""
PAUSE: Final = 0.005
"""Seconds between two looks for it."""
ALIVE: Final = "SELECT 1 FROM information_schema.processlist WHERE id ="


@attrs.define(eq=False)
class Lent:
    """A connection out of the pool.

    Attributes:
        keep: whether it may be used again: its last command was answered wholly.
        given_up: its last command was cancelled, and the server may still be at it.
    """

    held: Held[Connection]
    keep: bool = False
    given_up: bool = False

    @property
    def connection(self) -> Connection:
        return self.held.connection

    @property
    def condition(self) -> Condition:
        """How it goes back."""
        return "good" if self.keep else "doubtful" if self.given_up else "bad"

    def give_up(self) -> None:
        """Note that a call was cancelled. The driver closes a connection that waits for an answer then."""
        self.given_up = not self.connection.connected


class Pool:
    """At most `size` connections; see `ConnectionPool`, also for the arguments."""

    def __init__(
        self,
        connect: Connect,
        size: int,
        timeout: float,
        place: str,
        *,
        least: int = 0,
        limit: ConnectionLimit | None = None,
    ) -> None:
        self._connect = connect
        self._pool = ConnectionPool(self, size=size, timeout=timeout, place=place, least=least, limit=limit)
        self.beside = self._pool.beside
        self.drop_idle = self._pool.drop_idle
        self.aclose = self._pool.aclose

    async def run(self, job: Job[T], *, repeatable: bool) -> T:
        """Run a job on a connection.

        Where the connection turns out to have been closed before, the job is run again on a new one, if nothing of it
        was sent or it is `repeatable`.

        Raises:
            ServerError: the server refused, or could not be reached.
            DatabaseBusy: no connection became free in time.
        """
        again = LOST if repeatable else UNSENT
        lent = await self._lend()
        was_fresh = lent.held.fresh
        try:
            return await self._run(lent, job)
        except ServerError as error:
            if was_fresh or error.number not in again:
                raise
        self._pool.let_all_go()
        return await self._run(await self._lend(), job)

    @asynccontextmanager
    async def lend(self, prepare: Job[Any]) -> AsyncIterator[Lent]:
        """A connection for a block, on which `prepare` was run first. Set `Lent.keep` when it may be used again."""
        lent = await self._prepared(prepare)
        try:
            yield lent
        finally:
            self._take_back(lent)

    async def _prepared(self, prepare: Job[Any]) -> Lent:
        while True:
            lent = await self._lend()
            was_fresh = lent.held.fresh
            try:
                await prepare(lent.connection)
                return lent
            except BaseException as error:
                self._take_back(lent)
                if was_fresh or not isinstance(error, ServerError) or error.number not in LOST:
                    raise
            self._pool.let_all_go()

    def usage(self) -> Usage:
        """See `TellsUsage.usage`."""
        return self._pool.usage()

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
            self._take_back(lent)

    async def _lend(self) -> Lent:
        while True:
            lent = Lent(await self._pool.lend())
            if lent.held.fresh or await self._answers(lent):
                return lent

    async def _answers(self, lent: Lent) -> bool:
        """Whether a connection lives, as far as there is doubt; one that does not is taken back."""
        connection = lent.connection
        if connection.loop.time() - lent.held.used_at < IDLE:
            return True
        try:
            await connection.ping(reconnect=False)
        except BaseException as error:
            self._take_back(lent)
            if not isinstance(error, RAISED):
                raise
            return False
        return True

    def _take_back(self, lent: Lent) -> None:
        self._pool.take_back(lent.held, lent.condition)

    # --- for the pool: see `Driver` -----------------------------------------------------------------------

    async def connect(self) -> Connection:
        try:
            return await self._connect()
        except RAISED as error:
            raise reported(error) from None

    def watch(self, connection: Connection, ended: Callable[[], None]) -> None:
        """The driver finds out when the connection is used."""

    def is_open(self, connection: Connection) -> bool:
        return bool(connection.connected)

    async def recover(self, connection: Connection) -> bool:
        """End it on the server, which would find out late that nobody waits; it is closed here."""
        with anyio.move_on_after(KILL_PATIENCE):
            while not await self._is_ended(connection.thread_id()):
                await asyncio.sleep(PAUSE)
        return False

    async def _is_ended(self, number: int) -> bool:
        """Whether a connection is gone from the server, once it was told to end it."""
        with suppress(ServerError, *RAISED):
            async with self._pool.spare() as other:
                with suppress(MySQLError):  # it has ended meanwhile
                    await other.query(f"KILL {number}")  # type: ignore[no-untyped-call]
                return not await other.query(f"{ALIVE} {number}")  # type: ignore[no-untyped-call]
        return False

    async def leave(self, connection: Connection) -> None:
        await leave(connection)

    def drop(self, connection: Connection) -> None:
        connection.close()


if TYPE_CHECKING:
    _is_a_driver: type[Driver[Connection]] = Pool
