"""What one kind of database brings along: everything that `SqlDialect` does not know of databases in general."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Dialect, Select, String, Table, literal_column
from sqlalchemy.types import TypeEngine

from objectkernel_system_dialect.dialect import Capability
from objectkernel_system_dialect.errors import DataError
from objectkernel_system_dialect.executor import Executor, Session


class Engine(Protocol):
    """One kind of database, and one connected executor."""

    @property
    def name(self) -> str:
        """``sqlite``, ``postgres``, ``mariadb``, …"""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    @property
    def executor(self) -> Executor: ...

    @property
    def core(self) -> Dialect:
        """The SQLAlchemy dialect that compiles, with the placeholders of the executor's driver."""
        ...

    @property
    def place(self) -> str:
        """How messages call this database: without credentials, without folders."""
        ...

    @property
    def driver_errors(self) -> tuple[type[Exception], ...]:
        """What the driver raises."""
        ...

    def translated(self, error: Exception, entity: str) -> DataError:
        """The error of data access for one of the driver's; `entity` is "" for a statement of the caller's."""
        ...

    async def identity(self, session: Session) -> str:
        """See `DataPlug.database_identity`; its questions go through the session.

        Raises:
            OperationUnsupported: there is no way to know.
        """
        ...

    # --- expressions that are written in another way in each database; all are true, false or NULL ------------

    @property
    def sorts_missing_first(self) -> bool:
        """Whether a missing value comes first going up, without being told so."""
        ...

    @property
    def updates_return_rows(self) -> bool:
        """Whether ``UPDATE … RETURNING`` and ``INSERT … ON CONFLICT … RETURNING`` exist."""
        ...

    @property
    def compares_rows(self) -> bool:
        """Whether there is ``(a, b) > (1, 2)``."""
        ...

    @property
    def limits_sorted_rows(self) -> bool:
        """Whether only rows in an order can be limited or skipped."""
        ...

    @property
    def has_upsert(self) -> bool:
        """Whether there is a statement for `upsert`; else an update is tried, and an insert where it found nothing."""
        ...

    def locked(self, statement: Select[Any], table: Table) -> Select[Any]:
        """A query for rows of one table that nobody else changes until the transaction ends."""
        ...

    def like_pattern(self, pattern: str) -> str:
        """A pattern of ``$like`` (``%``, ``_``, backslash) as `like` takes it. May raise `Misfit`."""
        ...

    def like(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        """A whole text against a pattern, by case."""
        ...

    def ilike(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        """A whole text against a pattern of ``%``, ``_`` and backslash, whatever the case."""
        ...

    def regex(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        """A regular expression found in a text; only called with the capability ``regex``."""
        ...

    def text_contains(self, column: ColumnElement[Any], part: ColumnElement[Any]) -> ColumnElement[bool]:
        """A text within a text, by case."""
        ...

    def array_contains(self, column: ColumnElement[Any], items: ColumnElement[Any]) -> ColumnElement[bool]:
        """An array that has the one item of the array `items` (as it is stored: JSON)."""
        ...

    def array_equals(self, column: ColumnElement[Any], items: ColumnElement[Any]) -> ColumnElement[bool]:
        """An array that is wholly the same as `items`, both as stored."""
        ...

    @property
    def json_types(self) -> Mapping[str, TypeEngine[Any]]:
        """The type of the placeholder of a value for `json_compare`, by its JSON type."""
        ...

    def json_compare(
        self, column: ColumnElement[Any], path: tuple[str, ...], operator: str, value: ColumnElement[Any], kind: str
    ) -> ColumnElement[bool]:
        """What lies at `path` in a json column against a value, if both are of the JSON type `kind`.

        Args:
            operator: ``$eq $gt $gte $lt $lte``; a different type fulfils none.
            value: as `json_value` gives it.
            kind: ``string``, ``number`` or ``boolean`` (that one only with ``$eq``).
        """
        ...

    def json_value(self, value: str | float | bool) -> Any:
        """A value as the driver takes it for `json_compare`."""
        ...

    def json_missing(self, column: ColumnElement[Any], path: tuple[str, ...]) -> ColumnElement[bool]:
        """Whether nothing, or JSON's null, lies at `path`."""
        ...

    def upsert(
        self,
        table: Table,
        key: tuple[str, ...],
        values: dict[str, Any],
        refreshed: dict[str, Any],
        where: ColumnElement[bool] | None,
    ) -> Any:
        """An insert of `values` that sets `refreshed` where a row has this key and fulfils `where`; with `has_upsert`.

        `refreshed` maps columns to expressions, or to None: the value that was to be inserted. Where a row has the key
        and does not fulfil `where`, nothing is changed. Another unique column that conflicts is an error, as in a
        plain insert, or else leaves no row with this key. Without ``returning``.
        """
        ...


def quoted(core: Dialect, text: str) -> ColumnElement[str]:
    """A text as a literal within a statement, safely quoted for the database."""
    quote = String().dialect_impl(core).literal_processor(core)
    assert quote is not None
    return literal_column(quote(text), String())
