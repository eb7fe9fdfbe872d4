"""`Dialect`: one database, spoken to in entities.

Anybody may implement it: `BaseDialect` gives what follows from the rest, `testing` has the suite that proves it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

import attrs

from objectkernel_system_dialect.schema import EntitySchema

if TYPE_CHECKING:
    from sqlalchemy import Delete, Insert, Table, Update
    from sqlalchemy.sql.selectable import SelectBase

    CoreStatement: TypeAlias = SelectBase | Insert | Update | Delete

Row: TypeAlias = dict[str, Any]
"""One row: every field of the entity (or those of `select`) by name, typed as `Field` says."""

Key: TypeAlias = Any
"""The value of the entity's key; for a key of several fields a tuple in the order of `EntitySchema.key`."""

Filter: TypeAlias = Mapping[str, Any]
"""A filter in the language of MongoDB: ``{"age": {"$gte": 18}, "$or": [{"name": "Ada"}, …]}``.

Operators: ``$eq $ne $gt $gte $lt $lte $between $in $nin $exists $contains $like $ilike $regex $and $or $nor $not``.
``None`` and a missing value are one; ``$ne`` and ``$nin`` match them; an empty ``$in`` matches nothing; an empty
``$or``, and an empty filter within ``$and``, ``$or`` and ``$nor``, are refused. ``$between`` takes two bounds, both
inclusive. An array is compared as a whole (``{"tags": ["a", "b"]}``); ``$contains`` looks for an element of one, or for
a part of a text. ``$like`` knows ``%`` and ``_`` (escaped by a backslash) and heeds case, ``$ilike`` does not.
``$regex`` is a regular expression of the database's own, found anywhere in the text, where the dialect has the
capability ``regex``.

A dotted name reaches into a json field (``{"meta.size.width": {"$gt": 3}}``, objects only, compared with values of
the same JSON type) or into a related row (``{"author.name": "Ada"}``; of several related rows at least one).
"""

Sort: TypeAlias = Mapping[str, Literal[1, -1]]
"""Fields in order of weight, 1 up and -1 down; a missing value comes first going up. Text sorts by code points."""

Stage: TypeAlias = Mapping[str, Any]
"""A stage of `Dialect.aggregate`: ``$match``, ``$group``, ``$sort``, ``$skip`` or ``$limit``, as MongoDB has them.

``{"$group": {"_id": "$role", "people": {"$sum": 1}, "oldest": {"$max": "$age"}}}``: ``_id`` is None (one group), a
field, or a mapping of names to fields; accumulators are ``$sum`` (of a field or of 1), ``$avg``, ``$min``, ``$max``
and ``$count`` (``{}``). The stages come in this order: ``$match``, ``$group``, ``$match`` over what was
grouped, ``$sort``, ``$skip``, ``$limit``; each at most once. On SQLite whole numbers whose sum needs more than 64 bits
are a `StatementFailed`.
"""

Capability: TypeAlias = Literal["execute", "json", "regex", "transaction"]
"""What not every dialect can: SQL, filters that reach into json and arrays, regular expressions, transactions."""


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

    `select` and `exclude` name fields to have and to leave out; the key is what callers select for themselves.
    `include` names relations to load: instead of the other's key (or beside the row's fields) stands the other
    row, None, or a list of rows; at most one query a relation.
    """

    @property
    def name(self) -> str:
        """Which kind of database this is: ``sqlite``, ``postgres``, ``mariadb``, ``net``, …"""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this dialect can beyond the operations that all have."""
        ...

    async def register(self, *schemas: EntitySchema) -> None:
        """Check the schemas with those already registered; bring the tables to them, as the strategy says.

        Registering the same schema again does nothing.

        Raises:
            SchemaInvalid: one or more schemas contradict themselves or each other; nothing was made.
            SchemaOutdated: a table exists and lacks what its schema needs, and the strategy does not mend it.
        """
        ...

    def schemas(self) -> tuple[EntitySchema, ...]:
        """The registered schemas in the order of their registration."""
        ...

    def as_tenant(self, tenant: Any) -> Dialect:
        """This dialect as one tenant sees it: entities with a tenant field have that tenant's rows only.

        Entities without a tenant field are as they are. Within the answer `as_tenant` of another is refused. A dialect
        that is nobody's sees and changes the rows of all tenants.
        """
        ...

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Make the writes of a block together or not at all, in the task that enters it and those it starts.

        Every operation of this dialect within the block takes part. An exception undoes all of it. Within another
        one it is a savepoint: undone alone. On SQLite the others' writes wait meanwhile: keep it short.

        Raises:
            OperationUnsupported: the dialect has not the capability ``transaction``.
        """
        ...

    # --- reading --------------------------------------------------------------------------------------

    async def find(
        self,
        schema: EntitySchema,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        skip: int = 0,
        limit: int | None = None,
        select: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> list[Row]:
        """The rows that match, from number `skip` on, at most `limit`."""
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
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
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
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> Row | None:
        """The first row that matches, or None."""
        ...

    async def find_by_id(self, schema: EntitySchema, key: Key, *, include: Iterable[str] | None = None) -> Row | None:
        """The row with this key, or None."""
        ...

    async def find_by_ids(
        self, schema: EntitySchema, keys: Iterable[Key], *, include: Iterable[str] | None = None
    ) -> list[Row]:
        """The rows with these keys, in their order; missing ones are left out. The key must be one field."""
        ...

    def stream(
        self,
        schema: EntitySchema,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        select: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        batch: int = 1000,
    ) -> AsyncIterator[Row]:
        """All rows that match, one after another, `batch` of them in memory.

        Each batch is read behind the last row of the one before: a row that is inserted or changed meanwhile may
        be seen or not, one that stays as it is comes exactly once.
        """
        ...

    async def count(self, schema: EntitySchema, filter: Filter | None = None) -> int:
        """How many rows match."""
        ...

    async def exists(self, schema: EntitySchema, filter: Filter | None = None) -> bool:
        """Whether a row matches."""
        ...

    async def distinct(self, schema: EntitySchema, field: str, filter: Filter | None = None) -> list[Any]:
        """The different values of a field, sorted, without the missing one."""
        ...

    async def aggregate(self, schema: EntitySchema, pipeline: Sequence[Stage]) -> list[Row]:
        """What a pipeline of stages gives: rows with ``_id`` and the accumulators' names. See `Stage`."""
        ...

    async def search(
        self,
        schema: EntitySchema,
        text: str,
        *,
        fields: Iterable[str] | None = None,
        filter: Filter | None = None,
        sort: Sort | None = None,
        skip: int = 0,
        limit: int = 50,
    ) -> list[Row]:
        """Rows in which every word of `text` is part of one of `fields` (by default all of text), whatever the case."""
        ...

    # --- writing ----------------------------------------------------------------------------------------

    async def create(self, schema: EntitySchema, data: Mapping[str, Any]) -> Row:
        """Insert one row and return it whole, with defaults for what `data` leaves out, timestamps and sequence."""
        ...

    async def create_many(self, schema: EntitySchema, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Insert all rows or none, and return them as `create` does."""
        ...

    async def update(
        self, schema: EntitySchema, key: Key, changes: Mapping[str, Any], *, version: int | None = None
    ) -> Row | None:
        """Change the row with this key in one statement and return it whole, or None when there is none.

        Raises:
            VersionConflict: the row is there and has another version than `version`; nothing was changed.
        """
        ...

    async def update_many(
        self, schema: EntitySchema, filter: Filter, changes: Mapping[str, Any], *, all: bool = False
    ) -> int:
        """Change all rows that match and return their number.

        Raises:
            FilterEmpty: every row fulfils the filter and `all` is not set.
        """
        ...

    async def upsert(self, schema: EntitySchema, data: Mapping[str, Any]) -> Row:
        """Insert the row, or set the fields of `data` and ``updated_at``, no others, in the one of its key.

        One statement of the database's own: ``created_at`` and a sequence stay those of the first insert.
        """
        ...

    async def increment(self, schema: EntitySchema, key: Key, field: str, by: Any = 1) -> Row | None:
        """Add to a number in one statement and return the row whole, or None when there is none.

        A missing value counts as 0. What leaves the field's bounds is a `ConstraintViolated`.
        """
        ...

    async def add_to_set(self, schema: EntitySchema, key: Key, field: str, value: Any) -> Row | None:
        """Append `value` to an array unless it is in it, and return the row whole, or None when there is none."""
        ...

    async def pull(self, schema: EntitySchema, key: Key, field: str, value: Any) -> Row | None:
        """Take every `value` out of an array and return the row whole, or None when there is none."""
        ...

    async def delete(self, schema: EntitySchema, key: Key, *, hard: bool = False) -> bool:
        """Delete the row with this key; whether there was one. `hard`: for good, where deleting is soft."""
        ...

    async def delete_many(self, schema: EntitySchema, filter: Filter, *, all: bool = False, hard: bool = False) -> int:
        """Delete all rows that match and return their number.

        Raises:
            FilterEmpty: every row fulfils the filter, as it does an empty one, and `all` is not set.
        """
        ...

    async def undelete(self, schema: EntitySchema, key: Key) -> Row | None:
        """Bring a softly deleted row back and return it, or None when there is none."""
        ...

    # --- SQL, and signs of life -----------------------------------------------------------------------------

    def table(self, schema: EntitySchema) -> Table:
        """The SQLAlchemy table of a registered entity, to build statements for `execute` from.

        Raises:
            OperationUnsupported: the dialect has not the capability ``execute``.
        """
        ...

    async def execute(self, statement: CoreStatement, params: Mapping[str, Any] | None = None) -> list[Row]:
        """Run one Core statement and return its rows (of a write: those of ``returning``).

        Values are typed by the columns they stand against. The only way past entities, soft deletes and tenants: a
        ``text()`` is refused.

        Raises:
            OperationUnsupported: the dialect has not the capability ``execute``.
            StatementRefused: it is no query, insert, update or delete, or one that the database would get wrong:
                decimals and times lie there in a form of their own, and stand beside values of their type only.
            StatementFailed: the database could not run it.
        """
        ...

    async def execute_all(self, calls: Sequence[tuple[CoreStatement, Mapping[str, Any] | None]]) -> list[list[Row]]:
        """Run Core statements with their parameters one after another, all of them or none; the rows of each.

        What `execute` in a transaction does, where no answer decides what comes next: on SQLite it is one trip to the
        thread that writes instead of one for each, and shares a commit with others.

        Raises:
            As `execute` does.
        """
        ...

    async def ping(self) -> None:
        """Ask the database for a sign of life; raises `DatabaseUnavailable` when there is none."""
        ...

    async def aclose(self) -> None:
        """Finish what is under way and close the connections."""
        ...
