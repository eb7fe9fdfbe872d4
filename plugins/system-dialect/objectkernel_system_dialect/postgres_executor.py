"""PostgreSQL through a pool of asyncpg's: single statements commit themselves, sessions keep no state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import asyncpg  # type: ignore[import-untyped]
import attrs
from anyio.lowlevel import current_token

from objectkernel_system_dialect.closed import closed, other_loop
from objectkernel_system_dialect.connection_limit import ConnectionLimit
from objectkernel_system_dialect.connection_pool import Condition, ConnectionPool
from objectkernel_system_dialect.errors import DialectUnsupported
from objectkernel_system_dialect.executor import Insertion, Reader
from objectkernel_system_dialect.patience import patiently
from objectkernel_system_dialect.postgres_driver import PostgresDriver
from objectkernel_system_dialect.postgres_transaction import (
    Job,
    PostgresTransaction,
    changing,
    fetching,
    inserting,
)
from objectkernel_system_dialect.usage import Usage

if TYPE_CHECKING:
    import sqlalchemy

T = TypeVar("T")

SCHEMA_LOCK: Final = 0x6F626A6B736368
"""The number of the advisory lock that whoever changes the schema holds until the end of its transaction."""

CONNECTION_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    ConnectionResetError,
    ConnectionAbortedError,
    BrokenPipeError,
)


@attrs.frozen(kw_only=True)
class PostgresOptions:
    """How the connections of one database behave.

    Attributes:
        pool_size: the most connections that are open at once; the first is opened when it is needed.
        pool_min: how many of them stay open when nobody uses them.
        pool_timeout: seconds that an operation waits for one of them.
        limit: which connections there may be together with those of other pools.
        connect_timeout: seconds that opening one may take.
        command_timeout: seconds that one statement may take; 0 is no limit.
        statement_cache: prepared statements kept for each connection. 0 is needed where something between here
            and the server shares connections, such as pgbouncer in transaction mode.
    """

    pool_size: int = 10
    pool_min: int = 0
    pool_timeout: float = 30.0
    connect_timeout: float = 10.0
    command_timeout: float = 60.0
    statement_cache: int = 100
    limit: ConnectionLimit | None = None


class PostgresExecutor:
    """One database behind a pool. Made by `open`, in the event loop that it is used in; ended by `aclose`.

    A statement whose connection turns out to be lost is run again when it only reads; the next operation connects
    anew. A write that the server undid because of others at the same time is made again. A statement whose caller is
    cancelled is cancelled on the server.
    """

    def __init__(self, url: str, place: str, options: PostgresOptions) -> None:
        self._loop = asyncio.get_running_loop()
        self._connecting = {
            "dsn": url,
            "timeout": options.connect_timeout,
            "statement_cache_size": options.statement_cache,
            "max_cached_statement_lifetime": 0,
        }
        self._pool = ConnectionPool(
            PostgresDriver({**self._connecting, "command_timeout": options.command_timeout or None}),
            size=options.pool_size,
            least=options.pool_min,
            timeout=options.pool_timeout,
            place=place,
            limit=options.limit,
        )
        self._closed = False

    @classmethod
    async def open(cls, url: str, place: str, options: PostgresOptions) -> PostgresExecutor:
        """An executor that has not connected yet.

        Args:
            url: begins with ``postgresql://``.
            place: how messages call the database.

        Raises:
            DialectUnsupported: the event loop is not asyncio's.
        """
        if not isinstance(current_token().native_token, asyncio.AbstractEventLoop):
            raise DialectUnsupported(
                "PostgreSQL cannot be used from this event loop",
                why="its driver, asyncpg, knows asyncio only, and this is trio",
                fix="run on asyncio, or use SQLite or a remote data plane (MOSTA_DATA=net)",
            )
        return cls(url, place, options)

    async def fetch(self, sql: str, values: Sequence[Any], reader: Reader[T], *, writes: bool = False) -> list[T]:
        job = fetching(sql, values, reader)
        return await (self._write(job, alone=reader.trusting) if writes else self._read(job))

    async def change(self, sql: str, values: Sequence[Any]) -> int:
        return await self._write(changing(sql, values))

    async def insert(self, insertion: Insertion, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        return await self._write(inserting(insertion, rows)) if rows else []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresTransaction]:
        self._expect_open()
        held = await self._pool.lend()
        transaction = PostgresTransaction(held.connection)
        try:
            await transaction.begin()
            try:
                yield transaction
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await transaction.rollback()
                raise
            else:
                with anyio.CancelScope(shield=True):
                    await transaction.commit()
        finally:
            self._pool.take_back(held, "good" if transaction.settled else "doubtful")

    async def schema_work(self, work: Callable[[sqlalchemy.Connection], T]) -> T:
        from sqlalchemy import func, select
        from sqlalchemy.exc import DBAPIError

        from objectkernel_system_dialect.postgres_schema import schema_engine

        self._expect_open()
        try:
            async with self._pool.beside():
                engine = schema_engine(lambda: asyncpg.connect(**self._connecting))
                async with engine.begin() as connection:
                    await connection.execute(select(func.pg_advisory_xact_lock(SCHEMA_LOCK)))
                    return await connection.run_sync(work)
        except DBAPIError as error:
            raise error.driver_exception from None  # SQLAlchemy's own would tell statement and values

    async def ping(self) -> None:
        await self._read(changing("SELECT 1", ()))

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

    async def _read(self, job: Job[T]) -> T:
        try:
            return await self._run(job)
        except CONNECTION_LOST:  # perhaps long ago, while it lay in the pool
            return await self._run(job)

    async def _write(self, job: Job[T], *, alone: bool = True) -> T:
        """Run a job, again where a deadlock undid it.

        Args:
            alone: it commits itself; else its end may undo it, in a transaction of its own.
        """
        return await patiently(lambda: self._run(job) if alone else self._run_whole(job), _undone)

    async def _run_whole(self, job: Job[T]) -> T:
        async with self.transaction() as transaction:
            return await transaction.run(job)

    async def _run(self, job: Job[T]) -> T:
        self._expect_open()
        held = await self._pool.lend()
        condition: Condition = "doubtful"  # whoever is cancelled, or has waited long enough, leaves it in mid-work
        try:
            result = await job(held.connection)
            condition = "good"
            return result
        except Exception as error:
            if not isinstance(error, TimeoutError):
                condition = "good"
            raise
        finally:
            self._pool.take_back(held, condition)

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
    return isinstance(error, asyncpg.DeadlockDetectedError | asyncpg.SerializationError)


if TYPE_CHECKING:
    from objectkernel_system_dialect.executor import Executor, Transaction

    _is_an_executor: type[Executor] = PostgresExecutor
    _is_a_transaction: type[Transaction] = PostgresTransaction
