"""Any database that SQLAlchemy knows, through its synchronous engine in worker threads: right, and slower."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import attrs
import sqlalchemy
from anyio import to_thread
from sqlalchemy import URL, BigInteger, column, create_engine, insert, select, table
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from objectkernel_system_dialect.bridge import Bridge
from objectkernel_system_dialect.closed import closed, other_loop, transaction_ended
from objectkernel_system_dialect.errors import DatabaseBusy, DialectUnsupported
from objectkernel_system_dialect.executor import Insertion, Reader
from objectkernel_system_dialect.generic_errors import reported
from objectkernel_system_dialect.usage import Usage

T = TypeVar("T")

PACKAGES: Final = {"duckdb": "duckdb-engine", "cx_Oracle": "oracledb"}
"""What to install where it is not called like the missing module or dialect."""
POSITIONAL: Final = {"named": "numeric", "pyformat": "format"}
"""Styles of placeholders with names, and those of the same drivers without."""


@attrs.frozen(kw_only=True)
class GenericOptions:
    """How the connections of one database behave.

    Attributes:
        pool_size: the most connections, each with a thread while it works.
        pool_timeout: seconds that an operation waits for one of them.
    """

    pool_size: int = 5
    pool_timeout: float = 30.0


def connected(url: URL, options: GenericOptions) -> sqlalchemy.Engine:
    """An engine of SQLAlchemy that has reached its database, and writes placeholders by position.

    Raises:
        DialectUnsupported: the driver, or SQLAlchemy's part for this database, is not installed.
        DriverError: the database cannot be reached.
    """
    pool = {"pool_size": options.pool_size, "max_overflow": 0, "pool_pre_ping": True}
    try:
        engine = create_engine(url, **pool)
        if style := POSITIONAL.get(engine.dialect.paramstyle):
            engine = create_engine(url, paramstyle=style, **pool)
    except NoSuchModuleError:
        name = url.drivername.partition("+")[0]
        raise _not_installed(name, PACKAGES.get(name, f"SQLAlchemy's dialect for {name}")) from None
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        raise _not_installed(url.get_backend_name(), PACKAGES.get(name, name)) from None
    _run(engine.connect).close()
    return engine


class _Calls(ABC):
    """The operations of a session, each as a function of a connection."""

    @abstractmethod
    async def _call(self, job: Callable[[sqlalchemy.Connection], T]) -> T:
        """Run a job on a connection, in a thread."""

    async def fetch(self, sql: str, values: Sequence[Any], reader: Reader[T], *, writes: bool = False) -> list[T]:
        def job(connection: sqlalchemy.Connection) -> list[T]:
            result = connection.exec_driver_sql(sql, tuple(values))
            if not result.returns_rows:
                return []
            names = tuple(result.keys())
            return reader.rows([tuple(row) for row in result.fetchall()], names)

        return await self._call(job)

    async def change(self, sql: str, values: Sequence[Any]) -> int:
        return await self._call(lambda connection: connection.exec_driver_sql(sql, tuple(values)).rowcount)

    async def insert(self, insertion: Insertion, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        def job(connection: sqlalchemy.Connection) -> list[int]:
            if insertion.sequence is None:
                connection.exec_driver_sql(insertion.sql, list(rows))
                return []
            number = column(insertion.sequence, BigInteger())
            into = table(insertion.table, number, *(column(name) for name in insertion.columns))
            statement = insert(into).returning(number)
            given = [dict(zip(insertion.columns, row, strict=True)) for row in rows]
            return [int(connection.execute(statement, row).scalar_one()) for row in given]

        return await self._call(job) if rows else []


class GenericExecutor(_Calls):
    """One database behind a pool of SQLAlchemy's. Made by `open`, ended by `aclose`.

    A call whose caller is cancelled is waited for: its thread cannot be stopped.

    The schema is changed by one caller at a time within this process; other processes are not waited for.
    """

    def __init__(self, engine: sqlalchemy.Engine, place: str, options: GenericOptions) -> None:
        self.engine = engine
        self._place = place
        self._options = options
        self._here = Bridge()
        self._slots = anyio.Semaphore(options.pool_size)
        self._threads = anyio.CapacityLimiter(options.pool_size)
        self._schema = anyio.Lock()
        self._closed = False

    @classmethod
    async def open(cls, url: URL, place: str, options: GenericOptions) -> GenericExecutor:
        """Connect.

        Raises:
            DialectUnsupported: the driver is not installed.
            DriverError: the database cannot be reached.
        """
        return cls(await to_thread.run_sync(connected, url, options), place, options)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[GenericTransaction]:
        async with self._slot():
            connection = await self.in_thread(self.engine.connect)
            try:
                transaction = GenericTransaction(connection, self)
                await self.in_thread(connection.begin)
                try:
                    yield transaction
                except BaseException:
                    with anyio.CancelScope(shield=True):
                        await transaction.end(connection.rollback)
                    raise
                else:
                    with anyio.CancelScope(shield=True):
                        await transaction.end(connection.commit)
            finally:
                with anyio.CancelScope(shield=True):
                    await self.in_thread(connection.close)

    async def schema_work(self, work: Callable[[sqlalchemy.Connection], T]) -> T:
        async with self._schema:
            return await self._call(work)

    async def ping(self) -> None:
        await self._call(lambda connection: connection.execute(select(1)).close())

    def usage(self) -> Usage:
        """See `TellsUsage.usage`."""
        limit, waiting = self._options.pool_size, self._slots.statistics().tasks_waiting
        return Usage(limit=limit, used=limit - self._slots.value, waiting={"connection": waiting})

    async def aclose(self) -> None:
        """Finish what is under way, also transactions, and close the connections; no cancellation interrupts it.

        For when the event loop that opened it has ended, another may call this; it waits for nothing.
        """
        if self._closed:
            return
        self._closed = True
        if not self._here.is_here():
            self.engine.dispose()
            return
        with anyio.CancelScope(shield=True):
            for _ in range(self._options.pool_size):
                await self._slots.acquire()
            await self.in_thread(self.engine.dispose)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run what blocks in a thread.

        Raises:
            DriverError: instead of what SQLAlchemy raises.
        """
        return await to_thread.run_sync(_run, work, limiter=self._threads)

    async def _call(self, job: Callable[[sqlalchemy.Connection], T]) -> T:
        def work() -> T:
            with self.engine.begin() as connection:
                return job(connection)

        async with self._slot():
            return await self.in_thread(work)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        if self._closed:
            raise closed()
        if not self._here.is_here():
            raise other_loop()
        try:
            with anyio.fail_after(self._options.pool_timeout):
                await self._slots.acquire()
        except TimeoutError:
            raise DatabaseBusy(
                f"{self._place} had no connection free in {self._options.pool_timeout:g} s; nothing was changed",
                why=f"all {self._options.pool_size} connections of the pool are in use",
                fix="end transactions sooner, or raise the pool size",
                database=self._place,
                reason="pool",
            ) from None
        try:
            yield
        finally:
            self._slots.release()


class GenericTransaction(_Calls):
    """One connection for the calls of a transaction, which come one after another.

    An insert of many rows that fails may leave some of them: then the transaction, or a savepoint, is to be undone.
    """

    def __init__(self, connection: sqlalchemy.Connection, executor: GenericExecutor) -> None:
        self._connection = connection
        self._executor = executor
        self._turn = anyio.Lock()
        self._ended = False

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        savepoint = await self._call(lambda connection: connection.begin_nested())
        try:
            yield
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._call(lambda _: savepoint.rollback())
            raise
        else:
            await self._call(lambda _: savepoint.commit())

    async def end(self, work: Callable[[], None]) -> None:
        """Run what comes last."""
        async with self._turn:
            self._ended = True
            await self._executor.in_thread(work)

    async def _call(self, job: Callable[[sqlalchemy.Connection], T]) -> T:
        async with self._turn:
            if self._ended:
                raise transaction_ended()
            return await self._executor.in_thread(lambda: job(self._connection))


def _run(work: Callable[[], T]) -> T:
    try:
        return work()
    except (SQLAlchemyError, OverflowError, UnicodeEncodeError) as error:
        raise reported(error) from None


def _not_installed(database: str, package: str) -> DialectUnsupported:
    return DialectUnsupported(
        f"{database} cannot be used without its driver",
        why=f"{package} is not installed",
        fix=f"pip install {package}" if " " not in package else "install the package that brings it",
        package=package,
    )


if TYPE_CHECKING:
    from objectkernel_system_dialect.executor import Executor, Transaction

    _is_an_executor: type[Executor] = GenericExecutor
    _is_a_transaction: type[Transaction] = GenericTransaction
