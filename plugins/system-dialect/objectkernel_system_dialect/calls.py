"""The way of every call to the executor: within the transaction that the task has open, its errors made ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio
import attrs
from sqlalchemy.exc import DBAPIError

from objectkernel_system_dialect.engine import Engine
from objectkernel_system_dialect.errors import OperationUnsupported, TransactionFailed
from objectkernel_system_dialect.executor import (
    Fetch,
    FetchesTogether,
    Insertion,
    Reader,
    ReadsByKey,
    Session,
    Transaction,
)
from objectkernel_system_dialect.patience import clashed, patiently
from objectkernel_system_dialect.statements import Prepared

if TYPE_CHECKING:
    import sqlalchemy

T = TypeVar("T")


@attrs.define(eq=False)
class _Block:
    """A transaction, or a savepoint within one, that a task has open.

    Attributes:
        lock: held by each call, and by a savepoint from its begin to its end: undoing it shall undo no other task's.
    """

    session: Transaction
    outer: _Block | None
    lock: anyio.Lock = attrs.field(factory=lambda: anyio.Lock(fast_acquire=True))
    failed: bool = False
    ended: bool = False


class Calls:
    """Calls of one engine's executor. Each names the entity that it is about, or "" for none."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._executor = executor = engine.executor
        reads_by_key, self._fetches_together = _powers(type(executor))
        self._fetch_by_key = cast("ReadsByKey", executor).fetch_by_key if reads_by_key else executor.fetch
        self._block: ContextVar[_Block | None] = ContextVar("block", default=None)

    async def fetch(
        self, entity: str, prepared: Prepared, values: Sequence[Any], reader: Reader[T], *, writes: bool = False
    ) -> list[T]:
        """Run a statement that gives rows."""
        sql, bound = prepared.sql, prepared.bind(values)
        if self._block.get() is not None:
            return await self.run(entity, lambda session: session.fetch(sql, bound, reader, writes=writes))
        try:  # the way of nearly every call, without a detour
            return await self._executor.fetch(sql, bound, reader, writes=writes)
        except self._engine.driver_errors as error:
            raise self._engine.translated(error, entity) from error

    async def fetch_by_key(self, entity: str, prepared: Prepared, values: Sequence[Any], reader: Reader[T]) -> list[T]:
        """Run a statement that looks for one row by its key."""
        if self._block.get() is not None:
            return await self.fetch(entity, prepared, values, reader)
        try:
            return await self._fetch_by_key(prepared.sql, prepared.bind(values), reader)
        except self._engine.driver_errors as error:
            raise self._engine.translated(error, entity) from error

    async def fetch_short(self, sql: str, values: Sequence[Any], reader: Reader[T]) -> list[T]:
        """Run a statement that may be as short as a look for one row by its key; one that is not costs a try."""
        if self._block.get() is not None:
            return await self.run("", lambda session: session.fetch(sql, values, reader))
        try:
            return await self._fetch_by_key(sql, values, reader)
        except self._engine.driver_errors as error:
            raise self._engine.translated(error, "") from error

    async def fetch_together(self, fetches: Sequence[Fetch[T]]) -> list[list[T]]:
        """Run statements one after another, all of them or none. Within a transaction they are one call of it."""

        if self._fetches_together:  # and so do its transactions
            return await self.run("", lambda session: cast("FetchesTogether", session).fetch_together(fetches))

        async def call(session: Session) -> list[list[T]]:
            return [
                await session.fetch(fetch.sql, fetch.values, fetch.reader, writes=fetch.writes) for fetch in fetches
            ]

        async def run() -> list[list[T]]:
            return await self.run("", call)

        return await run() if self._open_block() is not None else await self.together(run)

    async def change(self, entity: str, prepared: Prepared, values: Sequence[Any]) -> int:
        """Run a statement that gives none; the number of rows that it found."""
        sql, bound = prepared.sql, prepared.bind(values)
        return await self.run(entity, lambda session: session.change(sql, bound))

    async def insert(self, entity: str, insertion: Insertion, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        """Insert all rows or none; their sequence numbers, where there is a sequence."""
        return await self.run(entity, lambda session: session.insert(insertion, rows))

    async def run(self, entity: str, call: Callable[[Session], Awaitable[T]]) -> T:
        """Make a call. Within a transaction, one that fails leaves it good for nothing but its end."""
        block = self._open_block()
        if block is None:
            try:
                return await call(self._executor)
            except self._engine.driver_errors as error:
                raise self._engine.translated(error, entity) from error
        async with block.lock:
            if block is self._open_block():
                return await self._run_within(block, entity, call)
        return await self.run(entity, call)  # the block ended while another task had the lock

    async def _run_within(self, block: _Block, entity: str, call: Callable[[Session], Awaitable[T]]) -> T:
        try:
            return await call(block.session)
        except BaseException as error:
            block.failed = True
            if isinstance(error, self._engine.driver_errors):
                raise self._engine.translated(error, entity) from error
            raise

    @property
    def within_transaction(self) -> bool:
        """Whether the task has a transaction open."""
        return self._open_block() is not None

    async def schema_work(self, work: Callable[[sqlalchemy.Connection], T]) -> T:
        """Change the schema, alone; see `Executor.schema_work`.

        Raises:
            OperationUnsupported: the task has a transaction open, which the schema's would wait for.
        """
        if self._open_block() is not None:
            raise OperationUnsupported(
                "the schema cannot be changed within a transaction",
                why="it waits for the end of all others, and this task has one open",
                fix="register schemas before the block",
                dialect=self._engine.name,
                capability="transaction",
            )
        try:
            return await self._executor.schema_work(work)
        except Exception as error:
            driver = self._of_driver(error)
            if driver is None:
                raise
            raise self._engine.translated(driver, "") from driver

    def _of_driver(self, error: Exception) -> Exception | None:
        """The driver's own error, if it is one, or is behind this one of SQLAlchemy's, whose text shows values."""
        chain: BaseException | None = error
        while isinstance(chain, DBAPIError):
            chain = chain.orig
        while chain is not None and not isinstance(chain, self._engine.driver_errors):
            chain = chain.__cause__ if isinstance(error, DBAPIError) else None
        return chain

    async def ping(self) -> None:
        """Ask for a sign of life."""
        try:
            await self._executor.ping()
        except self._engine.driver_errors as error:
            raise self._engine.translated(error, "") from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """A transaction for the calls of this task and those that it starts; within one, a savepoint."""
        outer = self._open_block()
        from_block: BaseException | None = None
        try:
            async with self._begin(outer) as session:
                block = _Block(session, outer)
                self._block.set(block)
                try:
                    yield
                except BaseException as error:
                    from_block = error
                    raise
                finally:
                    with anyio.CancelScope(shield=True):
                        async with block.lock:  # another task's call comes to its end first
                            block.ended = True
                    self._block.set(outer)
                if block.failed:
                    raise _failed()
        except self._engine.driver_errors as error:
            if error is from_block:
                raise
            if outer is not None:
                outer.failed = True
            raise self._engine.translated(error, "") from error

    async def together(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run several calls as one: all of what they do is done, or nothing.

        Where they are alone in a transaction, and others at the same time had it undone, they are run again.
        """

        async def once() -> T:
            async with self.transaction():
                return await work()

        return await patiently(once, clashed) if self._open_block() is None else await once()

    @asynccontextmanager
    async def _begin(self, outer: _Block | None) -> AsyncIterator[Transaction]:
        if outer is None:
            async with self._executor.transaction() as session:
                yield session
        else:
            async with outer.lock:
                if outer.ended or outer.failed:
                    raise _failed()
                async with outer.session.savepoint():
                    yield outer.session

    def _open_block(self) -> _Block | None:
        block = self._block.get()
        while block is not None and block.ended:  # the task has outlived it
            block = block.outer
        if block is not None and block.failed:
            raise _failed()
        return block


@lru_cache(maxsize=16)
def _powers(executor: type[object]) -> tuple[bool, bool]:
    """Whether executors of a class read by key, and fetch together: to look at a protocol takes its time."""
    return issubclass(executor, ReadsByKey), issubclass(executor, FetchesTogether)


def _failed() -> TransactionFailed:
    return TransactionFailed(
        "the transaction cannot go on",
        why="an operation in it failed",
        fix="let the error leave the block; what may fail goes into a transaction() of its own within it",
    )
