"""SQLite on threads: one writer with group commit and a few readers, an operation in one hop."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, Literal, TypeAlias, TypeVar, cast

import anyio
import attrs

from objectkernel_system_dialect.bridge import Bridge, Outcome, Reply
from objectkernel_system_dialect.errors import DialectClosed
from objectkernel_system_dialect.location import MEMORY, place_of

T = TypeVar("T")
Job: TypeAlias = Callable[[sqlite3.Connection], T]

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


class SqliteExecutor:
    """Runs jobs - functions of a connection - on the writer or on a reader.

    Writes that wait at the same time share one transaction and its commit, each within a savepoint: one that
    fails is undone alone. A call is answered only after the commit that holds it. A job must be safe to run
    again, for when a shared transaction is lost as a whole its calls are repeated one by one.

    A call whose caller is cancelled before its job begins is dropped; one that has begun goes on and is
    committed.
    """

    def __init__(self, path: str, options: SqliteOptions) -> None:
        self.path = path
        self._options = options
        self._bridge = Bridge()
        self._writer = _Writer(self._connect_writer, self._bridge)
        self._reads: SimpleQueue[_Call | None] = self._writer.calls if path == MEMORY else SimpleQueue()
        self._started: list[_Worker] = []
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
        return await self._call(self._reads, job)

    async def write(self, job: Job[T]) -> T:
        """Run `job` in a transaction; return after the commit."""
        return await self._call(self._writer.calls, job)

    async def _call(self, calls: SimpleQueue[_Call | None], job: Job[T]) -> T:
        if self._closed:
            raise DialectClosed(
                "the database is closed",
                why="its dialect has been stopped",
                fix="use it while the kernel is running",
            )
        if not self._bridge.is_here():
            raise DialectClosed(
                "the database was opened in another event loop",
                why="its answers arrive in that loop alone",
                fix="open a dialect in each event loop, and close it there",
            )
        reply = self._bridge.reply()
        calls.put((job, reply))
        return cast("T", await reply)

    async def aclose(self) -> None:
        """Finish what is queued, checkpoint, close and end the threads; no cancellation interrupts it.

        For when the event loop that opened it has ended, another may call this; it waits without its tasks.
        """
        if self._closed:
            return
        self._closed = True
        writer, readers = self._started[:1], self._started[1:]
        with anyio.CancelScope(shield=True):
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


_Call: TypeAlias = tuple[Job[object], Reply]


class _Worker:
    """A thread with a connection that serves calls until it is given None."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], bridge: Bridge, calls: SimpleQueue[_Call | None]
    ) -> None:
        self.calls = calls
        self.thread = Thread(target=self._run, name="objectkernel-sqlite", daemon=True)
        self._connect = connect
        self._bridge = bridge
        self.ready = bridge.reply()
        self.ended = bridge.reply()
        self._connection: sqlite3.Connection

    def _run(self) -> None:
        try:
            self._connection = self._connect()
        except BaseException as error:
            self._bridge.deliver([(self.ready, (None, error)), (self.ended, (None, None))])
            return
        self._bridge.deliver([(self.ready, (None, None))])
        try:
            while (call := self.calls.get()) is not None and self._serve(call):
                del call  # an idle thread holds on to nobody's data
        finally:
            self._connection.close()
            self._bridge.deliver([(self.ended, (None, None))])

    def _serve(self, call: _Call) -> bool:
        """Answer one call; whether to go on."""
        job, reply = call
        if not reply.cancelled():
            self._bridge.deliver([(reply, self._attempt(job))])
        return True

    def _attempt(self, job: Job[object]) -> Outcome:
        try:
            return job(self._connection), None
        except BaseException as error:
            return None, error


class _Writer(_Worker):
    def __init__(self, connect: Callable[[], sqlite3.Connection], bridge: Bridge) -> None:
        super().__init__(connect, bridge, SimpleQueue())

    def _serve(self, call: _Call) -> bool:
        calls, go_on = self._gather(call)
        calls = [call for call in calls if not call[1].cancelled()]
        outcomes = self._commit([job for job, _ in calls])
        self._bridge.deliver(zip((reply for _, reply in calls), outcomes, strict=True))
        return go_on

    def _gather(self, first: _Call) -> tuple[list[_Call], bool]:
        """The first call and those that wait behind it; False when the end is among them."""
        calls = [first]
        try:
            while len(calls) < GROUP_LIMIT:
                call = self.calls.get_nowait()
                if call is None:
                    return calls, False
                calls.append(call)
        except Empty:
            pass
        return calls, True

    def _commit(self, jobs: Sequence[Job[object]]) -> list[Outcome]:
        """Run the jobs in one transaction; where it is lost as a whole, each in one of its own."""
        if not jobs:
            return []
        execute = self._connection.execute
        lost = False
        try:
            execute("BEGIN IMMEDIATE")
            outcomes: list[Outcome] = []
            for job in jobs:
                outcomes.append(self._within_savepoint(job))
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

    def _within_savepoint(self, job: Job[object]) -> Outcome:
        execute = self._connection.execute
        execute("SAVEPOINT call")
        outcome = self._attempt(job)
        if self._connection.in_transaction:  # a full disk or a failing one ends the whole transaction
            if outcome[1] is not None:
                execute("ROLLBACK TO call")
            execute("RELEASE call")
        return outcome
