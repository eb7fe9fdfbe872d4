"""Transactions of MariaDB and MySQL: one connection, on which a call that fails is undone alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import attrs
from asyncmy.connection import Connection

from objectkernel_system_dialect.closed import transaction_ended
from objectkernel_system_dialect.executor import Insertion, Reader
from objectkernel_system_dialect.mariadb_errors import UNDONE, ServerError
from objectkernel_system_dialect.mariadb_pool import Job, Lent
from objectkernel_system_dialect.mariadb_statements import Statements, statement

T = TypeVar("T")

BEGIN: Final = statement("START TRANSACTION")


class MariadbTransaction:
    """One connection for the calls of a transaction.

    A statement that fails is undone alone, by the server; a call of several of them by a savepoint. When the server
    gives up the transaction as a whole, or the connection is lost, every further call and the end fail.
    """

    def __init__(self, lent: Lent, statements: Statements) -> None:
        self._lent = lent
        self._statements = statements
        self._turn = asyncio.Lock()
        self._failure: ServerError | None = None
        self._ended = False
        self._numbers = count(1)

    async def fetch(self, sql: str, values: Sequence[Any], reader: Reader[T], *, writes: bool = False) -> list[T]:
        job = self._statements.fetching(sql, values, reader)
        return await self._undoable(job) if writes else await self._run(job)

    async def change(self, sql: str, values: Sequence[Any]) -> int:
        return await self._run(self._statements.changing(sql, values))

    async def insert(self, insertion: Insertion, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        if not rows:
            return []
        job = self._statements.inserting(insertion, rows)
        return await self._run(job) if len(rows) == 1 else await self._undoable(job)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        name = self._name()
        await self._run(statement(f"SAVEPOINT {name}"))
        try:
            yield
        except BaseException:
            with anyio.CancelScope(shield=True):
                async with self._turn:
                    if not self._ended:
                        await self._back_to(name)
            raise
        else:
            await self._run(statement(f"RELEASE SAVEPOINT {name}"))

    async def commit(self) -> None:
        """Make what was done last.

        Raises:
            ServerError: the transaction was given up before; nothing was changed. Or the connection was lost over it.
        """
        async with self._turn:
            self._ended = True
            if self._failure is not None:
                await self._rollback()
                raise attrs.evolve(self._failure)
            await statement("COMMIT")(self._lent.connection)
            self._lent.keep = True

    async def rollback(self) -> None:
        """Undo everything. Where the connection is lost, the server does that by itself."""
        async with self._turn:
            self._ended = True
            await self._rollback()

    async def _rollback(self) -> None:
        try:
            await statement("ROLLBACK")(self._lent.connection)
            self._lent.keep = True
        except ServerError:
            self._lent.keep = False

    async def _undoable(self, job: Job[T]) -> T:
        name = self._name()

        async def whole(connection: Connection) -> T:
            await statement(f"SAVEPOINT {name}")(connection)
            try:
                result = await job(connection)
            except BaseException as error:
                self._note(error)
                with anyio.CancelScope(shield=True):
                    await self._back_to(name)
                raise
            await statement(f"RELEASE SAVEPOINT {name}")(connection)
            return result

        return await self._run(whole)

    async def _back_to(self, savepoint: str) -> None:
        """Undo what came behind a savepoint, as long as there is a transaction."""
        if self._failure is not None:
            return
        try:
            await statement(f"ROLLBACK TO SAVEPOINT {savepoint}")(self._lent.connection)
            await statement(f"RELEASE SAVEPOINT {savepoint}")(self._lent.connection)
        except ServerError as error:
            self._failure = error

    def _note(self, error: BaseException) -> None:
        """Remember what ends the transaction as a whole."""
        if isinstance(error, ServerError):
            if error.number in UNDONE or not error.in_step:
                self._failure = error
        elif isinstance(error, asyncio.CancelledError):
            self._lent.give_up()
            if self._lent.given_up:
                self._failure = ServerError("Cancelled")

    async def _run(self, job: Job[T]) -> T:
        async with self._turn:
            if self._ended:
                raise transaction_ended()
            if self._failure is not None:
                raise attrs.evolve(self._failure)
            try:
                return await job(self._lent.connection)
            except BaseException as error:
                self._note(error)
                raise

    def _name(self) -> str:
        return f"level{next(self._numbers)}"


if TYPE_CHECKING:
    from objectkernel_system_dialect.executor import Transaction

    _is_a_transaction: type[Transaction] = MariadbTransaction
