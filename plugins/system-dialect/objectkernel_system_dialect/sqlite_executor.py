"""SQLite on threads: one writer with group commit and a few readers, an operation in one hop."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

import anyio
import attrs
from anyio.lowlevel import checkpoint

from objectkernel_system_dialect import sqlite_jobs
from objectkernel_system_dialect.bridge import Bridge, Reply
from objectkernel_system_dialect.closed import closed, other_loop
from objectkernel_system_dialect.errors import DatabaseUnavailable
from objectkernel_system_dialect.executor import Reader as RowReader
from objectkernel_system_dialect.location import MEMORY, place_of
from objectkernel_system_dialect.sqlite_immediate import ImmediateReader
from objectkernel_system_dialect.sqlite_jobs import Job
from objectkernel_system_dialect.sqlite_readers import Reader, Readers
from objectkernel_system_dialect.sqlite_transaction import Call, SqliteTransaction, Statements
from objectkernel_system_dialect.sqlite_writer import Alone, Worker, Writer
from objectkernel_system_dialect.usage import Usage

if TYPE_CHECKING:
    import sqlalchemy

T = TypeVar("T")

log = logging.getLogger("objectkernel.plugin.system-dialect")

CACHE: Final = 16_384
"""KiB of the file that reads by key keep at most: rows all over a large file, and the indexes that lead to them."""


@attrs.frozen(kw_only=True)
class SqliteOptions:
    """How the connections of one database behave.

    Attributes:
        readers: number of reading threads, each with a connection; an in-memory database has none.
        synchronous: ``NORMAL`` keeps every acknowledged write when the process dies, ``FULL`` also when the
        machine does.
        busy_timeout: seconds to wait for another process that holds the file.
        immediate_reads: read a row by its key in the event loop's own thread, where that is short.
    """

    readers: int = 3
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    busy_timeout: float = 5.0
    immediate_reads: bool = True


class SqliteExecutor(Statements):
    """Runs jobs - functions of a connection - on the writer or on a reader.

    Writes that wait at the same time share one commit, each within a savepoint: one that fails is undone alone. A call
    is answered only after the commit that holds it. A job must be safe to run again, for when a shared transaction is
    lost as a whole its calls are repeated one by one.

    A call whose caller is cancelled before its job begins is dropped; one that has begun goes on and is committed.

    A transaction of several calls has the writer to itself until it ends; the writes of others wait.
    """

    def __init__(self, path: str, options: SqliteOptions) -> None:
        self.path = path
        self._options = options
        self._bridge = Bridge()
        self._writer = Writer(self._connect_writer, self._bridge)
        self._readers = Readers()
        self._put_read: Callable[[Call], None] = self._writer.calls.put if path == MEMORY else self._readers.put
        self._immediate: ImmediateReader | None = None
        self._started: list[Worker] = []
        self._transactions: set[SqliteTransaction] = set()
        self._file = Path(path).absolute()
        self.identity: tuple[int, int] | None = None
        self._closed = False

    @classmethod
    async def open(cls, path: str, options: SqliteOptions) -> SqliteExecutor:
        """Start the threads and connect them.

        Raises:
            sqlite3.Error: the file cannot be opened, or is no database.
        """
        executor = cls(path, options)
        workers: list[Worker] = [executor._writer]
        if path != MEMORY:
            connect, bridge = executor._connect_reader, executor._bridge
            workers += [Reader(connect, bridge, executor._readers) for _ in range(options.readers)]
        try:
            for worker in workers:
                worker.thread.start()
                executor._started.append(worker)
                await worker.ready
        except BaseException:
            await executor.aclose()
            raise
        executor.identity = _identity_of(executor._file)
        return executor

    async def read(self, job: Job[T]) -> T:
        """Run `job` on a connection that cannot write."""
        return await self._run(job, writes=False)

    async def write(self, job: Job[T]) -> T:
        """Run `job` in a transaction; return after the commit."""
        return await self._run(job, writes=True)

    async def fetch_by_key(self, sql: str, values: Sequence[Any], reader: RowReader[T]) -> list[T]:
        immediate = self._immediate
        if immediate is not None and not self._closed and self._bridge.is_here():
            rows = immediate.fetch(sql, values, reader)
            if immediate.is_turn_over():
                await checkpoint()
            if rows is not None:
                return rows
        return await self.fetch(sql, values, reader)

    async def _run(self, job: Job[T], *, writes: bool) -> T:
        reply = self._reply()
        if writes:
            self._writer.calls.put((job, reply))
        else:
            self._put_read((job, reply))
        return cast("T", await reply)

    def _reply(self) -> Reply:
        self._expect_use()
        return self._bridge.reply()

    def _expect_use(self) -> None:
        """Refuse calls behind the end, and from an event loop that gets no answers."""
        if self._closed:
            raise closed()
        if not self._bridge.is_here():
            raise other_loop()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqliteTransaction]:
        """The writer for this block alone: committed at its end, undone when it ends with an exception."""
        self._expect_use()
        transaction = SqliteTransaction(self._bridge)
        self._transactions.add(transaction)
        self._writer.calls.put(transaction)
        try:
            await transaction.begun
            yield transaction
            with anyio.CancelScope(shield=True):
                await transaction.commit()
        finally:
            transaction.end()
            self._transactions.discard(transaction)

    async def schema_work(self, work: Callable[[sqlalchemy.Connection], T]) -> T:
        reply = self._reply()
        self._writer.calls.put(Alone(lambda connection: sqlite_jobs.schema_work(connection, work), reply))
        return cast("T", await reply)

    async def ping(self) -> None:
        await self._run(self._sign_of_life, writes=False)

    def _sign_of_life(self, connection: sqlite3.Connection) -> None:
        sqlite_jobs.ping(connection)
        if self.path != MEMORY and self.identity != _identity_of(self._file):
            raise DatabaseUnavailable(
                f"{place_of(self.path)} was removed, or another was put in its place",
                why="what is read and written is in the old file, which is lost when it is closed",
                fix="put it back before the process ends, or have the database opened anew",
                database=place_of(self.path),
                reason="SQLITE_READONLY_DBMOVED",
            )

    def usage(self) -> Usage:
        """See `TellsUsage.usage`. What the event loop reads itself waits for nobody."""
        waiting = {"reader": self._readers.calls.qsize(), "writer": self._writer.calls.qsize()}
        return Usage(limit=len(self._started), waiting=waiting)

    async def aclose(self) -> None:
        """Finish what is queued, checkpoint, close and end the threads; no cancellation interrupts it.

        An open transaction is undone. For when the event loop that opened it has ended, another may call this; it waits
        without its tasks.
        """
        if self._closed:
            return
        self._closed = True
        writer, readers = self._started[:1], self._started[1:]
        if self._immediate is not None:
            self._immediate.close()
        with anyio.CancelScope(shield=True):
            for transaction in tuple(self._transactions):
                transaction.end()
            for calls, group in ((self._readers.calls, readers), (self._writer.calls, writer)):
                calls.put(None)  # the writer's last: the last connection out empties the log
                for worker in group:
                    if self._bridge.is_here():
                        await worker.ended
                    worker.thread.join()

    def _connect(self, *pragmas: str, own_thread: bool = True) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=self._options.busy_timeout,
            isolation_level=None,
            cached_statements=512,
            check_same_thread=own_thread,
        )
        try:
            connection.create_function("fold", 1, sqlite_jobs.fold, deterministic=True)
            for pragma in ("foreign_keys = ON", f"synchronous = {self._options.synchronous}", *pragmas):
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_writer(self) -> sqlite3.Connection:
        connection = self._connect()
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal" and self.path != MEMORY:
            log.warning(
                "%s cannot keep a write-ahead log where it lies (its journal mode is %r): "
                "reads and writes wait for each other; use a local disk",
                place_of(self.path),
                mode,
            )
        # This opens the log of a file that has only now got one. A log is emptied by the last who has it open, so that
        # has to be the writer: of readers that close at the same moment each sees the others, and none empties it.
        connection.execute("PRAGMA user_version").fetchone()
        if mode == "wal" and self._options.immediate_reads:
            pragmas = "query_only = ON", "busy_timeout = 0", f"cache_size = -{CACHE}"
            self._immediate = ImmediateReader(self._connect(*pragmas, own_thread=False))
        return connection

    def _connect_reader(self) -> sqlite3.Connection:
        return self._connect("query_only = ON")


def _identity_of(file: Path) -> tuple[int, int] | None:
    """What stays the same of a file while it is written, None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


if TYPE_CHECKING:
    from objectkernel_system_dialect.executor import Executor

    _is_an_executor: type[Executor] = SqliteExecutor
