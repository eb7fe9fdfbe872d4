"""What runs compiled statements on one database: the part of a dialect that knows a driver.

An executor takes text with the driver's own placeholders and values in their order, already encoded, and gives rows
to a reader, which types them. It raises the driver's own errors; `Engine.translated` makes ours of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

import attrs

if TYPE_CHECKING:
    import sqlalchemy

T = TypeVar("T")

Fetched: TypeAlias = Sequence[Any]
"""One row as the driver gives it, in the order of the columns."""


class Reader(Protocol[T]):
    """Makes typed rows of fetched ones. It may run in a thread."""

    @property
    def trusting(self) -> bool:
        """Whether it refuses no row that the database can hold."""
        ...

    def rows(self, fetched: Iterable[Fetched], names: Sequence[str]) -> list[T]:
        """The rows; `names` are the columns', as far as the driver tells (not, for some, of no rows)."""
        ...


@attrs.frozen
class Insertion:
    """The statement that inserts one row.

    Attributes:
        sql: its text; one value for each of `columns`.
        table, columns: the same for drivers that have a faster way than statements.
        sequence: the column that the database fills with a number, if there is one.
    """

    sql: str
    table: str
    columns: tuple[str, ...]
    sequence: str | None


class Session(Protocol):
    """Statements: each by itself, or those of one transaction one after another."""

    async def fetch(self, sql: str, values: Sequence[Any], reader: Reader[T], *, writes: bool = False) -> list[T]:
        """Run a statement that gives rows. When it `writes` and the reader refuses a row, it is undone."""
        ...

    async def change(self, sql: str, values: Sequence[Any]) -> int:
        """Run a statement that gives none; the number of rows that it found, changed or not."""
        ...

    async def insert(self, insertion: Insertion, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        """Insert all rows or none; with a sequence, its number for each of them in order, else nothing."""
        ...


class Transaction(Session, Protocol):
    """A session within a transaction. Tasks may share it: each call waits for the one before."""

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """Undo alone what happens in the block when it ends with an exception."""
        ...


@runtime_checkable
class ReadsByKey(Protocol):
    """What an executor has beside, that reads one row by its key, and the like, faster than other statements."""

    async def fetch_by_key(self, sql: str, values: Sequence[Any], reader: Reader[T]) -> list[T]:
        """As `Session.fetch`, for a statement that looks for one row by its key, or may be as short."""
        ...


@attrs.frozen
class Fetch(Generic[T]):
    """What `Session.fetch` takes, to be run with others."""

    sql: str
    values: Sequence[Any]
    reader: Reader[T]
    writes: bool


@runtime_checkable
class FetchesTogether(Protocol):
    """What a session has beside, and an executor with its transactions, that runs several statements in one trip."""

    async def fetch_together(self, fetches: Sequence[Fetch[T]]) -> list[list[T]]:
        """Run statements one after another, all of them or none. When a reader refuses a row, they are undone."""
        ...


class Executor(Session, Protocol):
    """One database, with its connections."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction: committed at the end of the block, undone when it ends with an exception.

        Its end is not interrupted by a cancellation.
        """
        ...

    async def schema_work(self, work: Callable[[sqlalchemy.Connection], T]) -> T:
        """Run `work` with a SQLAlchemy connection, as the only one who changes the schema of this database.

        It runs in one transaction where the database has such for DDL; processes that come together wait for each
        other. It is a plain function, which may block.
        """
        ...

    async def ping(self) -> None:
        """Ask for a sign of life; returns when there is one."""
        ...

    async def aclose(self) -> None:
        """Finish what is under way, close the connections. No cancellation interrupts it."""
        ...
