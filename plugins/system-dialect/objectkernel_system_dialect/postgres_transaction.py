"""What is done with one connection to PostgreSQL: statements, and transactions of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, TypeAlias, TypeVar

import anyio

from objectkernel_system_dialect.closed import transaction_ended
from objectkernel_system_dialect.errors import TransactionFailed
from objectkernel_system_dialect.executor import Insertion, Reader
from objectkernel_system_dialect.postgres_errors import DRIVER_ERRORS

T = TypeVar("T")
Connection: TypeAlias = Any
"""A connection of asyncpg, which has no types."""
Job: TypeAlias = Callable[[Connection], Awaitable[T]]

FEW: Final = 10
"""Rows up to which single inserts sent together are no slower than COPY."""


def fetching(sql: str, values: Sequence[Any], reader: Reader[T]) -> Job[list[T]]:
    """A statement that gives rows, which the reader types."""

    async def job(connection: Connection) -> list[T]:
        records = await connection.fetch(sql, *values)
        return reader.rows(records, tuple(records[0].keys()) if records else ())

    return job


def changing(sql: str, values: Sequence[Any]) -> Job[int]:
    """A statement that gives no rows; how many it found."""

    async def job(connection: Connection) -> int:
        status: str = await connection.execute(sql, *values)
        return int(status.rpartition(" ")[2])

    return job


def inserting(insertion: Insertion, rows: Sequence[tuple[Any, ...]]) -> Job[list[int]]:
    """All rows or none; with a sequence, its number for each of them."""

    async def job(connection: Connection) -> list[int]:
        if insertion.sequence is not None:
            sql = f'{insertion.sql} RETURNING "{insertion.sequence}"'
            return [number for (number,) in await connection.fetchmany(sql, rows)]
        if len(rows) == 1:
            await connection.execute(insertion.sql, *rows[0])
        elif len(rows) <= FEW:
            await connection.executemany(insertion.sql, rows)
        else:
            await connection.copy_records_to_table(insertion.table, records=rows, columns=insertion.columns)
        return []

    return job


class PostgresTransaction:
    """One connection for the calls of a transaction, one after another.

    When a call fails, the others fail as well until the savepoint around it, or else the transaction, is undone.

    Attributes:
        settled: it has ended, and the server has said so: the connection is free for others.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.settled = False
        self._turn = asyncio.Lock()
        self._ended = False
        self._numbers = count(1)

    async def fetch(self, sql: str, values: Sequence[Any], reader: Reader[T], *, writes: bool = False) -> list[T]:
        return await self.run(fetching(sql, values, reader))

    async def change(self, sql: str, values: Sequence[Any]) -> int:
        return await self.run(changing(sql, values))

    async def insert(self, insertion: Insertion, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        return await self.run(inserting(insertion, rows))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        name = f"level{next(self._numbers)}"
        await self._command(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            with anyio.CancelScope(shield=True), contextlib.suppress(*DRIVER_ERRORS):  # then all of it is lost
                await self._command(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
            raise
        else:
            await self._command(f"RELEASE SAVEPOINT {name}")

    async def begin(self) -> None:
        """Begin; to be called once, before everything else."""
        await self._connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")  # whatever the server's default is

    async def commit(self) -> None:
        """Make what was done last.

        Raises:
            TransactionFailed: a call within it had failed, so the database undid it all.
        """
        async with self._turn:
            self._ended = True
            answer = await self._connection.execute("COMMIT")
            self.settled = True
            if answer != "COMMIT":  # PostgreSQL takes it, and answers ROLLBACK
                raise TransactionFailed(
                    "the transaction was undone instead of made",
                    why="an operation in it failed",
                    fix="let the error leave the block, and try the whole transaction again",
                )

    async def rollback(self) -> None:
        """Undo everything. Where the connection is lost, the server does that by itself."""
        async with self._turn:
            self._ended = True
            with contextlib.suppress(*DRIVER_ERRORS):
                await self._connection.execute("ROLLBACK")
                self.settled = True

    async def _command(self, sql: str) -> None:
        await self.run(lambda connection: connection.execute(sql))

    async def run(self, job: Job[T]) -> T:
        """Run a job when it is its turn."""
        async with self._turn:
            if self._ended:
                raise transaction_ended()
            return await job(self._connection)
