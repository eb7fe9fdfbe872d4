"""A transaction on SQLite's writer: a queue of its own, which the writer serves alone until the end."""

from __future__ import annotations

import contextlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import anyio

from objectkernel_system_dialect import sqlite_jobs
from objectkernel_system_dialect.bridge import Bridge, Reply
from objectkernel_system_dialect.closed import transaction_ended
from objectkernel_system_dialect.errors import DataError, TransactionFailed
from objectkernel_system_dialect.executor import Fetch, Insertion, Reader
from objectkernel_system_dialect.sqlite_jobs import Job

T = TypeVar("T")

Call: TypeAlias = tuple[Job[Any], Reply]
"""A job, and where its outcome goes."""


class Statements(ABC):
    """The operations of a session, each as one job."""

    @abstractmethod
    async def _run(self, job: Job[T], *, writes: bool) -> T:
        """Run a job on a connection of a thread."""

    async def fetch(self, sql: str, values: Sequence[Any], reader: Reader[T], *, writes: bool = False) -> list[T]:
        return await self._run(lambda connection: sqlite_jobs.fetch(connection, sql, values, reader), writes=writes)

    async def fetch_together(self, fetches: Sequence[Fetch[T]]) -> list[list[T]]:
        def job(connection: sqlite3.Connection) -> list[list[T]]:
            return [sqlite_jobs.fetch(connection, fetch.sql, fetch.values, fetch.reader) for fetch in fetches]

        return await self._run(job, writes=True)

    async def change(self, sql: str, values: Sequence[Any]) -> int:
        return await self._run(lambda connection: connection.execute(sql, values).rowcount, writes=True)

    async def insert(self, insertion: Insertion, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        return await self._run(lambda connection: sqlite_jobs.insert(connection, insertion, rows), writes=True)


class SqliteTransaction(Statements):
    """The writer's connection, held for the calls of one transaction.

    Attributes:
        begun: answered when the writer has begun it.
        calls: what the writer serves meanwhile; None lets go of the writer, which undoes what is not committed.
        ended: whether it takes no calls any more.
    """

    def __init__(self, bridge: Bridge) -> None:
        self.begun = bridge.reply()
        self.calls: SimpleQueue[Call | None] = SimpleQueue()
        self.ended = False
        self._bridge = bridge
        self._numbers = count(1)

    async def _run(self, job: Job[T], *, writes: bool) -> T:
        return await self._call(sqlite_jobs.within(job, "call") if writes else job)

    async def _call(self, job: Job[T]) -> T:
        return cast("T", await self._put(job))

    def _put(self, job: Job[Any]) -> Reply:
        if self.ended:
            raise transaction_ended()
        reply = self._bridge.reply()
        self.calls.put((job, reply))
        return reply

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        name = f"level{next(self._numbers)}"
        await self._call(sqlite_jobs.statement(f"SAVEPOINT {name}"))
        try:
            yield
        except BaseException:
            with anyio.CancelScope(shield=True), contextlib.suppress(DataError):  # then all of it is undone
                await self._call(sqlite_jobs.statement(f"ROLLBACK TO {name}", f"RELEASE {name}"))
            raise
        else:
            await self._call(sqlite_jobs.statement(f"RELEASE {name}"))

    async def commit(self) -> None:
        """Make what was done last, and end.

        Raises:
            DialectClosed: the database was closed meanwhile, which has undone it.
            TransactionFailed: the database has undone it by itself.
        """
        committed = self._put(sqlite_jobs.commit)
        self.end()
        await committed

    def end(self) -> None:
        """Take no more calls, and let go of the writer behind those that wait."""
        if not self.ended:
            self.ended = True
            self.calls.put(None)


def lost() -> TransactionFailed:
    """The error of a call behind the one at which SQLite gave the whole transaction up."""
    return TransactionFailed(
        "the transaction cannot go on",
        why="the database has undone all of it, as when the disk is full",
        fix="let the error leave the block, and try the whole transaction again",
    )


if TYPE_CHECKING:
    from objectkernel_system_dialect.executor import Transaction

    _is_a_transaction: type[Transaction] = SqliteTransaction
