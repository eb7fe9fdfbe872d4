"""What others import of system-dialect: keys, schemas, `Dialect`, `Repository`, errors. No SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import attrs
from objectkernel.keys import Extension, Service

from objectkernel_system_dialect.errors import (
    ConstraintViolated,
    CursorInvalid,
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnavailable,
    DataError,
    DialectClosed,
    DialectUnsupported,
    DuplicateKey,
    EntityUnknown,
    FilterEmpty,
    FilterInvalid,
    OptionInvalid,
    RowDamaged,
    SchemaInvalid,
    SchemaOutdated,
    StatementFailed,
    StatementRefused,
    UnknownField,
    UnknownOperator,
    ValueInvalid,
)
from objectkernel_system_dialect.schema import EntitySchema, Field, FieldType, Index, Relation

if TYPE_CHECKING:
    from sqlalchemy import Delete, Insert, Table, Update
    from sqlalchemy.sql.selectable import SelectBase

    CoreStatement: TypeAlias = SelectBase | Insert | Update | Delete

Row: TypeAlias = dict[str, Any]
"""One row: every field of the entity (or those of `select`) by name, typed as `Field` says."""

Key: TypeAlias = Any
"""The value of the entity's key; for a key of several fields a tuple in the order of `EntitySchema.key`."""

Filter: TypeAlias = Mapping[str, Any]
"""A filter that means what MongoDB means: ``{"age": {"$gte": 18}, "$or": [{"name": "Ada"}, …]}``.

Operators: ``$eq $ne $gt $gte $lt $lte $in $nin $exists $contains $like $and $or $nor $not``. ``None`` and a
missing value are one; ``$ne`` and ``$nin`` match them; an empty ``$in`` matches nothing; an empty ``$or``, and
an empty filter within ``$and``, ``$or`` and ``$nor``, are refused. ``$contains`` looks for a part of a text or an
element of an array, ``$like`` knows ``%`` and ``_`` (escaped by a backslash); both heed case.
"""

Sort: TypeAlias = Mapping[str, Literal[1, -1]]
"""Fields in order of weight, 1 up and -1 down; a missing value comes first going up."""


@attrs.frozen
class Page:
    """Some rows of a longer list; `next`, given as `after`, gets the rest, and is None at the end."""

    rows: tuple[Row, ...]
    next: str | None


@runtime_checkable
class Dialect(Protocol):
    """One database, spoken to in entities. The schema of every call has to be registered.

    Every operation may raise `DatabaseUnavailable` and its kin, `DialectClosed` and `EntityUnknown`; with a
    filter or options also `UnknownField`, `UnknownOperator`, `FilterInvalid`, `ValueInvalid` and
    `OptionInvalid`; a write also `UnknownField`, `ValueInvalid`, `DuplicateKey` and `ConstraintViolated`.

    What returns rows raises `RowDamaged` when one of them holds what its field cannot have; a write is then
    undone. `count`, `exists`, `delete` and `delete_many` look at no stored value.

    A write whose caller is cancelled is either made wholly or not at all; the caller cannot know which.
    """

    @property
    def name(self) -> str:
        """Which database this is: ``sqlite``."""
        ...

    async def register(self, *schemas: EntitySchema) -> None:
        """Check the schemas with those already registered; make the tables and indexes that are missing.

        Registering the same schema again does nothing.

        Raises:
            SchemaInvalid: one or more schemas contradict themselves or each other; nothing was made.
            SchemaOutdated: a table exists without some column or unique key of its schema.
        """
        ...

    def schemas(self) -> tuple[EntitySchema, ...]:
        """The registered schemas in the order of their registration."""
        ...

    async def find(
        self,
        schema: EntitySchema,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        skip: int = 0,
        limit: int | None = None,
        select: Iterable[str] | None = None,
    ) -> list[Row]:
        """The rows that match, from number `skip` on, at most `limit`, with the fields of `select`."""
        ...

    async def find_page(
        self,
        schema: EntitySchema,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        limit: int = 50,
        after: str | None = None,
        select: Iterable[str] | None = None,
    ) -> Page:
        """The first `limit` rows behind the cursor `after`, at the same cost wherever that is.

        The key decides ties of `sort`, so that every row comes once, also while others are inserted.

        Raises:
            CursorInvalid: `after` is damaged or was made for another sort order.
        """
        ...

    async def find_one(
        self,
        schema: EntitySchema,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        select: Iterable[str] | None = None,
    ) -> Row | None:
        """The first row that matches, or None."""
        ...

    async def find_by_id(self, schema: EntitySchema, key: Key) -> Row | None:
        """The row with this key, or None."""
        ...

    async def create(self, schema: EntitySchema, data: Mapping[str, Any]) -> Row:
        """Insert one row and return it whole, with defaults for what `data` leaves out, timestamps and sequence."""
        ...

    async def create_many(self, schema: EntitySchema, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Insert all rows or none, and return them as `create` does."""
        ...

    async def update(self, schema: EntitySchema, key: Key, changes: Mapping[str, Any]) -> Row | None:
        """Change the row with this key in one statement and return it whole, or None when there is none."""
        ...

    async def upsert(self, schema: EntitySchema, data: Mapping[str, Any]) -> Row:
        """Insert the row, or set the fields of `data` and ``updated_at``, no others, in the one of its key.

        One statement of the database's own: ``created_at`` and a sequence stay those of the first insert.
        """
        ...

    async def delete(self, schema: EntitySchema, key: Key) -> bool:
        """Delete the row with this key; whether there was one."""
        ...

    async def delete_many(self, schema: EntitySchema, filter: Filter, *, all: bool = False) -> int:
        """Delete all rows that match and return their number.

        Raises:
            FilterEmpty: every row fulfils the filter, as it does an empty one, and `all` is not set.
        """
        ...

    async def count(self, schema: EntitySchema, filter: Filter | None = None) -> int:
        """How many rows match."""
        ...

    async def exists(self, schema: EntitySchema, filter: Filter | None = None) -> bool:
        """Whether a row matches."""
        ...

    def table(self, schema: EntitySchema) -> Table:
        """The SQLAlchemy table of a registered entity, to build statements for `execute` from."""
        ...

    async def execute(self, statement: CoreStatement, params: Mapping[str, Any] | None = None) -> list[Row]:
        """Run one Core statement and return its rows (of a write: those of ``returning``).

        Values are typed by the columns they stand against. The only way past entities: a ``text()`` is
        refused.

        Raises:
            StatementRefused: it is no query, insert, update or delete, or one that the database would get wrong:
                decimals and times lie there in a form of their own, and stand beside values of their type only.
            StatementFailed: the database could not run it.
        """
        ...

    async def ping(self) -> None:
        """Ask the database for a sign of life; raises `DatabaseUnavailable` when there is none."""
        ...


class Repository:
    """The rows of one entity, through any `Dialect`: its operations with the schema already given.

    Either ``Repository(dialect, USER)``, or a subclass with ``schema = USER`` and methods of its own.
    """

    schema: ClassVar[EntitySchema]

    def __init__(self, dialect: Dialect, schema: EntitySchema | None = None) -> None:
        self.dialect = dialect
        self.entity = schema if schema is not None else type(self).schema

    async def find_all(
        self,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        skip: int = 0,
        limit: int | None = None,
        select: Iterable[str] | None = None,
    ) -> list[Row]:
        """See `Dialect.find`."""
        return await self.dialect.find(self.entity, filter, sort=sort, skip=skip, limit=limit, select=select)

    async def find_page(
        self,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        limit: int = 50,
        after: str | None = None,
        select: Iterable[str] | None = None,
    ) -> Page:
        """See `Dialect.find_page`."""
        return await self.dialect.find_page(self.entity, filter, sort=sort, limit=limit, after=after, select=select)

    async def find_one(
        self, filter: Filter | None = None, *, sort: Sort | None = None, select: Iterable[str] | None = None
    ) -> Row | None:
        """See `Dialect.find_one`."""
        return await self.dialect.find_one(self.entity, filter, sort=sort, select=select)

    async def find_by_id(self, key: Key) -> Row | None:
        """See `Dialect.find_by_id`."""
        return await self.dialect.find_by_id(self.entity, key)

    async def create(self, data: Mapping[str, Any]) -> Row:
        """See `Dialect.create`."""
        return await self.dialect.create(self.entity, data)

    async def create_many(self, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """See `Dialect.create_many`."""
        return await self.dialect.create_many(self.entity, rows)

    async def update(self, key: Key, changes: Mapping[str, Any]) -> Row | None:
        """See `Dialect.update`."""
        return await self.dialect.update(self.entity, key, changes)

    async def upsert(self, data: Mapping[str, Any]) -> Row:
        """See `Dialect.upsert`."""
        return await self.dialect.upsert(self.entity, data)

    async def delete(self, key: Key) -> bool:
        """See `Dialect.delete`."""
        return await self.dialect.delete(self.entity, key)

    async def delete_many(self, filter: Filter, *, all: bool = False) -> int:
        """See `Dialect.delete_many`."""
        return await self.dialect.delete_many(self.entity, filter, all=all)

    async def count(self, filter: Filter | None = None) -> int:
        """See `Dialect.count`."""
        return await self.dialect.count(self.entity, filter)

    async def exists(self, filter: Filter | None = None) -> bool:
        """See `Dialect.exists`."""
        return await self.dialect.exists(self.entity, filter)


DIALECT = Service[Dialect]("dialect")
"""The business data's database."""
SYSTEM_DIALECT = Service[Dialect]("system-dialect")
"""The system's own database: keys, accounts, projects, packages."""
SYSTEM_SCHEMAS = Extension[EntitySchema]("system-schemas")
"""Schemas whose tables exist in the system database before `SYSTEM_DIALECT` is up."""
BUSINESS_SCHEMAS = Extension[EntitySchema]("business-schemas")
"""Schemas whose tables exist in the business database before `DIALECT` is up."""

__all__ = [
    "BUSINESS_SCHEMAS",
    "DIALECT",
    "SYSTEM_DIALECT",
    "SYSTEM_SCHEMAS",
    "ConstraintViolated",
    "CursorInvalid",
    "DataError",
    "DatabaseBusy",
    "DatabaseDamaged",
    "DatabaseFull",
    "DatabaseReadOnly",
    "DatabaseUnavailable",
    "Dialect",
    "DialectClosed",
    "DialectUnsupported",
    "DuplicateKey",
    "EntitySchema",
    "EntityUnknown",
    "Field",
    "FieldType",
    "Filter",
    "FilterEmpty",
    "FilterInvalid",
    "Index",
    "Key",
    "OptionInvalid",
    "Page",
    "Relation",
    "Repository",
    "Row",
    "RowDamaged",
    "SchemaInvalid",
    "SchemaOutdated",
    "Sort",
    "StatementFailed",
    "StatementRefused",
    "UnknownField",
    "UnknownOperator",
    "ValueInvalid",
]
