"""MariaDB and MySQL through a pool of asyncmy's connections: single statements commit themselves."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import attrs
from anyio.lowlevel import current_token
from asyncmy.connection import Connection

from objectkernel_system_dialect.closed import closed, other_loop
from objectkernel_system_dialect.errors import DialectUnsupported
from objectkernel_system_dialect.executor import Insertion, Reader
from objectkernel_system_dialect.mariadb_connection import MariadbOptions, Server, connect, is_mariadb, version
from objectkernel_system_dialect.mariadb_errors import DEADLOCK, LOCK_TIMEOUT, RAISED, ServerError, reported
from objectkernel_system_dialect.mariadb_pool import Job, Pool
from objectkernel_system_dialect.mariadb_statements import Limits, Statements
from objectkernel_system_dialect.mariadb_transaction import BEGIN, MariadbTransaction
from objectkernel_system_dialect.patience import patiently
from objectkernel_system_dialect.usage import Usage

if TYPE_CHECKING:
    import sqlalchemy

T = TypeVar("T")

SCHEMA_PATIENCE: Final = 600
"""Seconds to wait for others that change the schema."""


@attrs.frozen
class Learnt:
    """What a server is: MariaDB or MySQL, its version, and what it takes."""

    mariadb: bool
    version: tuple[int, ...]
    limits: Limits


class MariadbExecutor:
    """One database behind a pool. Made by `open`, in the event loop that it is used in; ended by `aclose`.

    A statement that finds its connection closed is run again on a new one, when nothing of it was sent or it only
    reads. Of one whose caller is cancelled the connection is given up: the server finishes or drops it.

    Attributes:
        mariadb: whether the server is MariaDB and not MySQL.
        version: of the server, in numbers.
    """

    def __init__(self, server: Server, options: MariadbOptions, pool: Pool, learnt: Learnt) -> None:
        self.mariadb = learnt.mariadb
        self.version = learnt.version
        self._server = server
        self._options = options
        self._statements = Statements(learnt.limits)
        self._loop = asyncio.get_running_loop()
        self._pool = pool
        self._closed = False

    @classmethod
    async def open(cls, server: Server, options: MariadbOptions) -> MariadbExecutor:
        """Connect, to learn what the server is.

        Raises:
            DialectUnsupported: the event loop is not asyncio's.
            ServerError: the server cannot be reached, or lets nobody in.
        """
        if not isinstance(current_token().native_token, asyncio.AbstractEventLoop):
            raise DialectUnsupported(
                "MariaDB and MySQL cannot be used from this event loop",
                why="their driver, asyncmy, knows asyncio only, and this is trio",
                fix="run on asyncio, or use SQLite or a remote data plane (MOSTA_DATA=net)",
            )
        pool = Pool(
            lambda: connect(server, options),
            options.pool_size,
            options.pool_timeout,
            server.place,
            least=options.pool_min,
            limit=options.limit,
        )
        try:
            return cls(server, options, pool, await pool.run(_learn, repeatable=True))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await pool.aclose()
            raise

    async def fetch(self, sql: str, values: Sequence[Any], reader: Reader[T], *, writes: bool = False) -> list[T]:
        if not writes:
            return await self._run(self._statements.fetching(sql, values, reader), repeatable=True)
        return await self._again(lambda transaction: transaction.fetch(sql, values, reader))

    async def change(self, sql: str, values: Sequence[Any]) -> int:
        return await self._run(self._statements.changing(sql, values))

    async def insert(self, insertion: Insertion, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        if not rows:
            return []
        if len(rows) == 1:
            return await self._run(self._statements.inserting(insertion, rows))
        return await self._again(lambda transaction: transaction.insert(insertion, rows))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[MariadbTransaction]:
        self._expect_open()
        async with self._pool.lend(BEGIN) as lent:
            transaction = MariadbTransaction(lent, self._statements)
            try:
                yield transaction
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await transaction.rollback()
                raise
            else:
                with anyio.CancelScope(shield=True):
                    await transaction.commit()

    async def schema_work(self, work: Callable[[sqlalchemy.Connection], T]) -> T:
        """Run `work` as the only one who changes the schema; what it does to tables is not undone when it fails."""
        from sqlalchemy import NullPool, text
        from sqlalchemy.exc import DBAPIError
        from sqlalchemy.ext.asyncio import create_async_engine

        self._expect_open()
        engine = create_async_engine(
            f"{'mariadb' if self.mariadb else 'mysql'}+asyncmy://",
            async_creator=lambda: connect(self._server, self._options, for_schema=True),
            poolclass=NullPool,
        )
        name = hashlib.blake2s(self._server.database.encode(), digest_size=16).hexdigest()
        try:
            async with self._pool.beside(), engine.connect() as connection:
                lock = {"name": f"objectkernel:{name}", "patience": SCHEMA_PATIENCE}
                if not await connection.scalar(text("SELECT GET_LOCK(:name, :patience)"), lock):
                    raise ServerError(LOCK_TIMEOUT)
                result = await connection.run_sync(work)
                await connection.commit()
                return result
        except DBAPIError as error:
            failure = reported(error.orig or error)
        except RAISED as error:
            failure = reported(error)
        raise failure

    async def ping(self) -> None:
        await self._run(_ping, repeatable=True)

    def usage(self) -> Usage:
        """See `TellsUsage.usage`."""
        return self._pool.usage()

    async def aclose(self) -> None:
        """Finish what is under way, also transactions, and close the connections; no cancellation interrupts it.

        For when the event loop that opened it has ended, another may call this; it drops the connections.
        """
        if self._closed:
            return
        self._closed = True
        if not self._is_here():
            self._pool.drop_idle()
            return
        with anyio.CancelScope(shield=True):
            await self._pool.aclose()

    async def _run(self, job: Job[T], *, repeatable: bool = False) -> T:
        self._expect_open()
        return await patiently(lambda: self._pool.run(job, repeatable=repeatable), _undone)

    async def _again(self, work: Callable[[MariadbTransaction], Awaitable[T]]) -> T:
        """Run one call in a transaction of its own."""

        async def once() -> T:
            async with self.transaction() as transaction:
                return await work(transaction)

        return await patiently(once, _undone)

    def _expect_open(self) -> None:
        if self._closed:
            raise closed()
        if not self._is_here():
            raise other_loop()

    def _is_here(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:  # a loop of the other kind
            return False


def _undone(error: Exception) -> bool:
    """Whether a deadlock ended it. What waited for a lock has waited as long as it may."""
    return isinstance(error, ServerError) and error.number == DEADLOCK


async def _learn(connection: Connection) -> Learnt:
    try:
        cursor = connection.cursor()
        await cursor.execute("SELECT @@max_allowed_packet")
        (packet,) = await cursor.fetchone()
    except RAISED as error:
        raise reported(error) from None
    mariadb, number = is_mariadb(connection), version(connection)
    return Learnt(mariadb, number, Limits(int(packet), mariadb and number >= (10, 5)))


async def _ping(connection: Connection) -> None:
    try:
        await connection.ping(reconnect=False)
    except RAISED as error:
        raise reported(error) from None


if TYPE_CHECKING:
    from objectkernel_system_dialect.executor import Executor

    _is_an_executor: type[Executor] = MariadbExecutor
