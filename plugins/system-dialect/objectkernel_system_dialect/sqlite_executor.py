"""SQLite on threads: one writer with group commit and a few readers, an operation in one hop."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, cast

import anyio
import attrs

from objectkernel_system_dialect import sqlite_jobs
from objectkernel_system_dialect.bridge import Bridge, Outcome, Reply
from objectkernel_system_dialect.errors import DialectClosed
from objectkernel_system_dialect.executor import Insertion, Reader
from objectkernel_system_dialect.location import MEMORY, place_of
from objectkernel_system_dialect.sqlite_jobs import Job

if TYPE_CHECKING:
    import sqlalchemy

T = TypeVar("T")

log = logging.getLogger("objectkernel.plugin.system-dialect")

GROUP_LIMIT: Final = 256
"""The most calls that share one commit: bounds how long the first of them waits."""


@attrs.frozen(kw_only=True)
class SqliteOptions:
    """How the connections of one database behave.

    Attributes:
        readers: number of reading threads, each with a connection; an in-memory database has none.
        synchronous: ``NORMAL`` keeps every acknowledged write when the process dies, ``FULL`` also when the
        machine does.
        busy_timeout: seconds to wait for another process that holds the file.
    """

    readers: int = 3
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    busy_timeout: float = 5.0


class _Statements:
    """The operations of a session, each as one job."""

    async def _run(self, job: Job[T], *, writes: bool) -> T:
        raise NotImplementedError

    async def fetch(self, sql: str, values: Sequence[Any], reader: Reader[T], *, writes: bool = False) -> list[T]:
        return await self._run(lambda connection: sqlite_jobs.fetch(connection, sql, values, reader), writes=writes)

    async def change(self, sql: str, values: Sequence[Any]) -> int:
        return await self._run(lambda connection: connection.execute(sql, values).rowcount, writes=True)

    async def insert(self, insertion: Insertion, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        return await self._run(lambda connection: sqlite_jobs.insert(connection, insertion, rows), writes=True)


class SqliteExecutor(_Statements):
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
        self._writer = _Writer(self._connect_writer, self._bridge)
        self._reads: SimpleQueue[_Item] = self._writer.calls if path == MEMORY else SimpleQueue()
        self._started: list[_Worker] = []
        self._transactions: set[_Transaction] = set()
        self._closed = False

    @classmethod
    async def open(cls, path: str, options: SqliteOptions) -> SqliteExecutor:
        """Start the threads and connect them.

        Raises:
            sqlite3.Error: the file cannot be opened, or is no database.
        """
        executor = cls(path, options)
        workers: list[_Worker] = [executor._writer]
        if path != MEMORY:
            workers += [
                _Worker(executor._connect_reader, executor._bridge, executor._reads) for _ in range(options.readers)
            ]
        try:
            for worker in workers:
                worker.thread.start()
                executor._started.append(worker)
                await worker.ready
        except BaseException:
            await executor.aclose()
            raise
        return executor

    async def read(self, job: Job[T]) -> T:
        """Run `job` on a connection that cannot write."""
        return await self._run(job, writes=False)

    async def write(self, job: Job[T]) -> T:
        """Run `job` in a transaction; return after the commit."""
        return await self._run(job, writes=True)

    async def _run(self, job: Job[T], *, writes: bool) -> T:
        reply = self._reply()
        (self._writer.calls if writes else self._reads).put((job, reply))
        return cast("T", await reply)

    def _reply(self) -> Reply:
        if self._closed:
            raise _closed()
        if not self._bridge.is_here():
            raise DialectClosed(
                "the database was opened in another event loop",
                why="its answers arrive in that loop alone",
                fix="open a dialect in each event loop, and close it there",
            )
        return self._bridge.reply()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[_Transaction]:
        """The writer for this block alone: committed at its end, undone when it ends with an exception."""
        transaction = _Transaction(self._bridge, self._reply())
        self._transactions.add(transaction)
        self._writer.calls.put(transaction)
        try:
            await transaction.begun
            yield transaction
        except BaseException:
            with anyio.CancelScope(shield=True):
                await transaction.end(sqlite_jobs.rollback)
            raise
        else:
            with anyio.CancelScope(shield=True):
                await transaction.end(sqlite_jobs.commit)
        finally:
            self._transactions.discard(transaction)

    async def schema_work(self, work: Callable[[sqlalchemy.Connection], T]) -> T:
        reply = self._reply()
        self._writer.calls.put(_Alone(lambda connection: sqlite_jobs.schema_work(connection, work), reply))
        return cast("T", await reply)

    async def alone(self, job: Job[T]) -> T:
        """Run a job on the writer's connection, outside any transaction: it begins and ends its own."""
        reply = self._reply()
        self._writer.calls.put(_Alone(job, reply))
        return cast("T", await reply)

    async def ping(self) -> None:
        await self._run(sqlite_jobs.ping, writes=False)

    async def aclose(self) -> None:
        """Finish what is queued, checkpoint, close and end the threads; no cancellation interrupts it.

        An open transaction is undone. For when the event loop that opened it has ended, another may call this; it waits
        without its tasks.
        """
        if self._closed:
            return
        self._closed = True
        writer, readers = self._started[:1], self._started[1:]
        with anyio.CancelScope(shield=True):
            for transaction in tuple(self._transactions):
                transaction.abandon()
            for group in (readers, writer):  # the writer last: the last connection out empties the log
                for worker in group:
                    worker.calls.put(None)
                for worker in group:
                    if self._bridge.is_here():
                        await worker.ended
                    worker.thread.join()

    def _connect(self, *pragmas: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._options.busy_timeout, isolation_level=None, cached_statements=512
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
        return connection

    def _connect_reader(self) -> sqlite3.Connection:
        return self._connect("query_only = ON")


class _Transaction(_Statements):
    """The writer's connection, held for the calls of one transaction."""

    def __init__(self, bridge: Bridge, begun: Reply) -> None:
        self.begun = begun
        self.calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._bridge = bridge
        self._depth = 0
        self._ended = False

    async def _run(self, job: Job[T], *, writes: bool) -> T:
        return await self._call(sqlite_jobs.within(job, "call") if writes else job)

    async def _call(self, job: Job[T]) -> T:
        if self._ended:
            raise _closed()
        reply = self._bridge.reply()
        self.calls.put((job, reply))
        return cast("T", await reply)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        self._depth += 1
        name = f"level{self._depth}"
        try:
            await self._call(sqlite_jobs.statement(f"SAVEPOINT {name}"))
            try:
                yield
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await self._call(sqlite_jobs.statement(f"ROLLBACK TO {name}", f"RELEASE {name}"))
                raise
            else:
                await self._call(sqlite_jobs.statement(f"RELEASE {name}"))
        finally:
            self._depth -= 1

    async def end(self, job: Job[None]) -> None:
        """Run the last job and let go of the writer."""
        if self._ended:
            if job is sqlite_jobs.commit:
                raise _closed()
            return
        try:
            await self._call(job)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of the writer, which undoes what was not committed."""
        self._ended = True
        self.calls.put(None)


def _closed() -> DialectClosed:
    return DialectClosed(
        "the database is closed",
        why="its dialect has been stopped",
        fix="use it while the kernel is running",
    )


_Call: TypeAlias = tuple[Job[Any], Reply]


@attrs.frozen
class _Alone:
    """A job that begins and ends transactions itself."""

    job: Job[Any]
    reply: Reply


_Item: TypeAlias = _Call | _Alone | _Transaction | None
"""What waits for a thread: a call, work that has the writer to itself, or, as None, the end."""


class _Worker:
    """A thread with a connection that serves calls until it is given None."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], bridge: Bridge, calls: SimpleQueue[_Item]) -> None:
        self.calls = calls
        self.thread = Thread(target=self._work, name="objectkernel-sqlite", daemon=True)
        self._connect = connect
        self._bridge = bridge
        self.ready = bridge.reply()
        self.ended = bridge.reply()
        self._connection: sqlite3.Connection

    def _work(self) -> None:
        try:
            self._connection = self._connect()
        except BaseException as error:
            self._bridge.deliver([(self.ready, (None, error)), (self.ended, (None, None))])
            return
        self._bridge.deliver([(self.ready, (None, None))])
        try:
            while (item := self.calls.get()) is not None and self._serve(item):
                del item  # an idle thread holds on to nobody's data
        finally:
            self._connection.close()
            self._bridge.deliver([(self.ended, (None, None))])

    def _serve(self, item: _Item) -> bool:
        """Answer one call; whether to go on."""
        assert isinstance(item, tuple)  # the others go to the writer
        job, reply = item
        if not reply.cancelled():
            self._bridge.deliver([(reply, self._attempt(job))])
        return True

    def _attempt(self, job: Job[Any]) -> Outcome:
        try:
            return job(self._connection), None
        except BaseException as error:
            return None, error


class _Writer(_Worker):
    def __init__(self, connect: Callable[[], sqlite3.Connection], bridge: Bridge) -> None:
        super().__init__(connect, bridge, SimpleQueue())

    def _serve(self, item: _Item) -> bool:
        calls, then = self._gather(item)
        calls = [call for call in calls if not call[1].cancelled()]
        if calls:
            outcomes = self._commit([job for job, _ in calls])
            self._bridge.deliver(zip((reply for _, reply in calls), outcomes, strict=True))
        match then:
            case _Transaction():
                self._hold(then)
            case _Alone(job, reply):
                if not reply.cancelled():
                    self._bridge.deliver([(reply, self._attempt(job))])
        return then is not None

    def _gather(self, first: _Item) -> tuple[list[_Call], _Item | Literal[True]]:
        """The calls that wait, up to what has to have the writer to itself: that, or True when there is none."""
        calls: list[_Call] = []
        item = first
        try:
            while isinstance(item, tuple):
                calls.append(item)
                if len(calls) == GROUP_LIMIT:
                    return calls, True
                item = self.calls.get_nowait()
        except Empty:
            return calls, True
        return calls, item

    def _hold(self, transaction: _Transaction) -> None:
        """Serve a transaction until it lets go."""
        outcome = self._attempt(sqlite_jobs.begin)
        self._bridge.deliver([(transaction.begun, outcome)])
        try:
            while (call := transaction.calls.get()) is not None:
                job, reply = call
                self._bridge.deliver([(reply, self._attempt(job))])
                del call, job, reply
        finally:
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()

    def _commit(self, jobs: Sequence[Job[Any]]) -> list[Outcome]:
        """Run the jobs in one transaction; where it is lost as a whole, each in one of its own."""
        execute = self._connection.execute
        lost = False
        try:
            execute("BEGIN IMMEDIATE")
            outcomes: list[Outcome] = []
            for job in jobs:
                outcomes.append(self._attempt(sqlite_jobs.within(job, "call")))
                lost = not self._connection.in_transaction
                if lost:
                    break
            else:
                execute("COMMIT")
                return outcomes
            failure = outcomes[-1]
        except Exception as error:
            failure = None, error
            lost = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        with contextlib.suppress(sqlite3.Error):
            self._connection.rollback()
        if lost and len(jobs) > 1:
            return [self._commit([job])[0] for job in jobs]
        return [failure] * len(jobs)


if TYPE_CHECKING:
    from objectkernel_system_dialect.executor import Executor, Transaction

    _is_an_executor: type[Executor] = SqliteExecutor
    _is_a_transaction: type[Transaction] = _Transaction
