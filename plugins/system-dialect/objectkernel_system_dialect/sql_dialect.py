"""`SqlDialect`: `Dialect` on any database that speaks SQL; what differs between them is the engine's affair."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
from anyio.lowlevel import checkpoint
from sqlalchemy import Table

from objectkernel_system_dialect.aggregates import GroupReader, build
from objectkernel_system_dialect.base_dialect import BaseDialect
from objectkernel_system_dialect.bounds import within_bounds
from objectkernel_system_dialect.calls import Calls
from objectkernel_system_dialect.conditions import Conditions
from objectkernel_system_dialect.core_statements import CoreStatements
from objectkernel_system_dialect.cursors import make_cursor, read_cursor
from objectkernel_system_dialect.dialect import Dialect, Filter, Key, Page, Row, Sort, Stage
from objectkernel_system_dialect.engine import Engine
from objectkernel_system_dialect.entity import Entity
from objectkernel_system_dialect.errors import (
    ConstraintViolated,
    DatabaseUnavailable,
    DuplicateKey,
    FilterEmpty,
    OptionInvalid,
    TenantRequired,
    VersionConflict,
)
from objectkernel_system_dialect.executor import Fetch, Reader
from objectkernel_system_dialect.filters import All, Compare, Condition, In, chunked, padded
from objectkernel_system_dialect.migrations import Migration
from objectkernel_system_dialect.pipelines import read_pipeline
from objectkernel_system_dialect.registered import Registered
from objectkernel_system_dialect.registry import check_are_schemas
from objectkernel_system_dialect.rows import PLAIN, RowReader
from objectkernel_system_dialect.schema import DELETED_AT, EntitySchema
from objectkernel_system_dialect.schema_changes import Strategy, bring_up, drop, foreseen
from objectkernel_system_dialect.schema_exchange import exchange_tables, tables_to_drop
from objectkernel_system_dialect.schema_glance import is_as_wanted
from objectkernel_system_dialect.statements import Prepared, Statements
from objectkernel_system_dialect.usage import TellsUsage, Usage

if TYPE_CHECKING:
    import sqlalchemy

    from objectkernel_system_dialect.dialect import CoreStatement

T = TypeVar("T")

LITTLE: Final = 100
"""Entities, fields and relations whose tables are worked out in the event loop's own thread: some milliseconds."""
BREATH: Final = 256
"""Rows that are made ready for an insert before the event loop gets its turn."""


def _is_little(schemas: Sequence[EntitySchema]) -> bool:
    """Whether their tables are worked out in an instant."""
    return sum(1 + len(one.fields) + len(one.relations) for one in schemas) <= LITTLE


def utc_now() -> datetime:
    """The present, aware."""
    return datetime.now(UTC)


class SqlDialect(BaseDialect):
    """One SQL database. Made from an opened engine, ended by `aclose`.

    Args:
        engine: the database.
        strategy: what registering schemas does to its tables.
        migrations: the data migrations of all plugins.
        clock: tells the time for timestamps.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        strategy: Strategy = "update",
        migrations: Sequence[Migration] = (),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.engine = engine
        self.name = engine.name
        self.capabilities = engine.capabilities
        self._strategy: Strategy = strategy
        self._migrations = tuple(migrations)
        self._calls = Calls(engine)
        self._clock = clock
        self._core_statements = CoreStatements(engine.core)
        self._registered = Registered(engine)
        self._conditions = Conditions(engine, self._registered)
        self._registering = anyio.Lock(fast_acquire=True)
        self._tenant: Any = None

    def usage(self) -> Usage | None:
        """See `TellsUsage.usage`."""
        executor = self.engine.executor
        return executor.usage() if isinstance(executor, TellsUsage) else None

    async def aclose(self) -> None:
        try:
            if self._strategy == "create-drop" and self._registered.tables():
                await self._calls.schema_work(drop)
        finally:
            await self.engine.executor.aclose()

    # --- schemas ------------------------------------------------------------------------------------

    async def register(self, *schemas: EntitySchema) -> None:
        async with self._registering:
            await self._register(schemas)

    async def _register(self, schemas: Sequence[EntitySchema]) -> None:
        check_are_schemas(schemas)
        if _is_little(schemas):
            draft = self._registered.draft(schemas)
        else:  # in a thread: others go on meanwhile
            draft = await anyio.to_thread.run_sync(self._registered.draft, schemas)
        if draft is None:
            return
        tables = tuple(draft.tables.values())
        if not await self._is_as_wanted(tables):
            await self._calls.schema_work(
                lambda core: bring_up(core, tables, self._strategy, migrations=self._migrations)
            )
        self._registered.keep(draft)

    async def _is_as_wanted(self, tables: Sequence[Table]) -> bool:
        """Whether a glance is enough to know that nothing has to be done."""
        if self._migrations or self._strategy not in ("create", "update") or self._calls.within_transaction:
            return False
        try:
            return await self._calls.run("", lambda session: is_as_wanted(session, self.engine, tables))
        except DatabaseUnavailable:  # of a connection that was lost long ago: whoever looks closer makes a new one
            return False

    async def exchange(
        self, remove: Sequence[EntitySchema], add: Sequence[EntitySchema], drop: Collection[str]
    ) -> tuple[str, ...]:
        """See `ExchangesSchemas.exchange`."""
        async with self._registering:
            draft = self._registered.exchanged(remove, add)
            tables = tuple(draft.tables.values())
            gone = tables_to_drop(remove, drop, tables)
            made = await self._calls.schema_work(
                lambda core: exchange_tables(core, tables, gone, self._strategy, migrations=self._migrations)
            )
            self._registered.replace(draft)
            return made

    async def plan(self, schemas: Sequence[EntitySchema]) -> tuple[str, ...]:
        """See `TellsOfDatabase.plan`."""
        draft = Registered(self.engine).draft(schemas)
        tables = () if draft is None else tuple(draft.tables.values())
        return await self._calls.schema_work(lambda core: foreseen(core, tables, migrations=self._migrations))

    async def identity(self) -> str:
        """See `TellsOfDatabase.identity`."""
        return await self._calls.run("", self.engine.identity)

    async def schema_work(self, work: Callable[[sqlalchemy.Connection, Sequence[Table]], T]) -> T:
        """Run `work` with a SQLAlchemy connection and the tables of all entities, as the only one who changes them."""
        return await self._calls.schema_work(lambda core: work(core, self._registered.tables()))

    def schemas(self) -> tuple[EntitySchema, ...]:
        return self._registered.schemas()

    def table(self, schema: EntitySchema) -> Table:
        return self._registered.known(schema)[0].table

    def as_tenant(self, tenant: Any) -> SqlDialect:
        if self._tenant is not None and tenant != self._tenant:
            raise TenantRequired(
                "this dialect belongs to one tenant already",
                why="it came from `as_tenant`",
                fix="call `as_tenant` of the dialect that the kernel gave",
                entity="",
            )
        if tenant is None:
            raise TenantRequired(
                "a tenant that is None", why="that would see the rows of all", fix="give the tenant's id", entity=""
            )
        scoped = copy.copy(self)
        scoped._tenant = tenant
        return scoped

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
        entity, statements = self._registered.known(schema)
        condition, values, _ = entity.where(filter, self._tenant)
        wanted = entity.selected(select, exclude)
        relations, names = self._including(entity, wanted, include)
        if limit is not None:
            values = [*values, _whole("limit", limit)]
        if _whole("skip", skip):
            values = [*values, skip]
        prepared = statements.find(names, condition, sort=entity.sorting(sort), limit=limit is not None, skip=skip != 0)
        rows = await self._rows(entity, names, prepared, values)
        return await self._finish(schema, rows, names, wanted, relations)

    def _including(
        self, entity: Entity, wanted: tuple[str, ...], include: Iterable[str] | None, *more: str
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The relations to load, and the columns to fetch for them beside those wanted."""
        if include is None and not more:
            return (), wanted
        relations, columns = self.needed(entity.schema, include or ())
        names = {*wanted, *columns, *more}
        return relations, tuple(name for name in entity.names if name in names)

    async def _finish(
        self,
        schema: EntitySchema,
        rows: list[Row],
        names: tuple[str, ...],
        wanted: tuple[str, ...],
        relations: tuple[str, ...],
    ) -> list[Row]:
        """Load relations, and leave out what was fetched for other reasons."""
        await self.included(schema, rows, relations)
        surplus = [name for name in names if name not in wanted and name not in relations]
        for row in rows if surplus else ():
            for name in surplus:
                del row[name]
        return rows

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
        entity, statements = self._registered.known(schema)
        condition, values, _ = entity.where(filter, self._tenant)
        wanted = entity.selected(select, exclude)
        order = entity.sorting(sort)
        ties = order[-1][1] if order else 1
        order += tuple((name, ties) for name in schema.key if name not in dict(order))
        relations, names = self._including(entity, wanted, include, *dict(order))
        there: tuple[bool, ...] | None = None
        if after is not None:
            place = read_cursor(entity, order, after)
            there = tuple(value is not None for value in place)
            values = [*values, *(value for value in place if value is not None)]
        values = [*values, _whole("limit", limit, least=1) + 1]
        prepared = statements.find(names, condition, sort=order, after=there, limit=True)
        rows = await self._rows(entity, names, prepared, values)
        cursor = make_cursor(entity, order, rows[limit - 1]) if len(rows) > limit else None
        return Page(tuple(await self._finish(schema, rows[:limit], names, wanted, relations)), cursor)

    async def find_by_id(self, schema: EntitySchema, key: Key, *, include: Iterable[str] | None = None) -> Row | None:
        entity, statements = self._registered.known(schema)
        if not entity.is_scoped:
            prepared, values = statements.find_by_id, entity.key_values(key)
        else:
            condition, found = entity.this(key, self._tenant)
            prepared, values = statements.find(entity.names, condition), tuple(found)
        rows = await self._calls.fetch_by_key(schema.name, prepared, values, entity.whole)
        if include is not None:
            relations, names = self._including(entity, entity.names, include)
            await self._finish(schema, rows, names, entity.names, relations)
        return rows[0] if rows else None

    async def linked(self, schema: EntitySchema, relation: str, keys: Sequence[Key]) -> list[tuple[Key, Row]]:
        entity, statements = self._registered.known(schema)
        target = self._registered.entity(schema.relations[relation].target)
        conditions, values = target.scope(self._tenant)
        own = padded([entity.key_values(key)[0] for key in keys])
        prepared = statements.linked(relation, len(own), All(conditions))
        reader = _LinkedReader(entity.reader(schema.key), target.whole)
        return await self._fetch(target, prepared, [*values, *own], reader)

    async def count(self, schema: EntitySchema, filter: Filter | None = None) -> int:
        entity, statements = self._registered.known(schema)
        condition, values, _ = entity.where(filter, self._tenant)
        (row,) = await self._fetch(entity, statements.count(condition), values, PLAIN)
        return int(row[0])

    async def exists(self, schema: EntitySchema, filter: Filter | None = None) -> bool:
        entity, statements = self._registered.known(schema)
        condition, values, _ = entity.where(filter, self._tenant)
        return bool(await self._fetch(entity, statements.exists(condition), values, PLAIN))

    async def distinct(self, schema: EntitySchema, field: str, filter: Filter | None = None) -> list[Any]:
        entity, statements = self._registered.known(schema)
        entity.sorting({field: 1})
        condition, values, _ = entity.where(filter, self._tenant)
        rows = await self._rows(entity, (field,), statements.distinct(field, condition), values)
        return [row[field] for row in rows]

    async def aggregate(self, schema: EntitySchema, pipeline: Sequence[Stage]) -> list[Row]:
        entity, statements = self._registered.known(schema)
        read = read_pipeline(entity, pipeline, regex="regex" in self.capabilities)
        condition, values, _ = entity.where(read.match, self._tenant)
        prepared = statements.prepared(
            ("aggregate", condition, read.pipeline),
            lambda: build(entity, self._conditions, condition, read.pipeline),
        )
        return await self._fetch(entity, prepared, [*values, *read.values], GroupReader(entity, read.pipeline))

    # --- writing ----------------------------------------------------------------------------------------

    async def create(self, schema: EntitySchema, data: Mapping[str, Any]) -> Row:
        return (await self.create_many(schema, (data,)))[0]

    async def create_many(self, schema: EntitySchema, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        entity, statements = self._registered.known(schema)
        now = self._clock()
        given = list(entity.several(rows))
        made, values = [], []
        for number, data in enumerate(given, start=1):
            made.append(entity.new_row(data, now, self._tenant))
            values.append(entity.encoded(made[-1]))
            if number % BREATH == 0:
                await checkpoint()
        await self._refuse_foreign(entity, made)
        links = [self._links_of(entity, data) for data in given] if entity.links else []
        if not any(links):
            numbers = await self._calls.insert(schema.name, statements.create, values) if values else []
            return entity.numbered(made, numbers)

        async def create() -> list[Row]:
            new = entity.numbered(made, await self._calls.insert(schema.name, statements.create, values))
            for row, one in zip(new, links, strict=True):
                await self._link(entity, entity.key_of(row), one)
            return new

        return await self._calls.together(create)

    async def update(
        self, schema: EntitySchema, key: Key, changes: Mapping[str, Any], *, version: int | None = None
    ) -> Row | None:
        entity, statements = self._registered.known(schema)
        changed = entity.changes(changes, self._clock(), self._tenant)
        links = self._links_of(entity, changes)
        condition, values = self._versioned(entity, key, version)
        await self._refuse_foreign(entity, (changed,))

        async def update() -> Row | None:
            row = await self._update(entity, statements, key, version, changes, changed, condition, values)
            if row is not None and links:
                await self._link(entity, key, links)
            return row

        return await (self._calls.together(update) if links else update())

    async def _update(
        self,
        entity: Entity,
        statements: Statements,
        key: Key,
        version: int | None,
        changes: Mapping[str, Any],
        changed: dict[str, Any],
        condition: Condition,
        values: list[Any],
    ) -> Row | None:
        if changes and (changed or entity.schema.version):  # links alone are no columns
            row = await self._changed(
                entity, statements, tuple(changed), condition, key, (*entity.encoded(changed), *values)
            )
        else:
            rows = await self._rows(entity, entity.names, statements.find(entity.names, condition), values)
            row = rows[0] if rows else None
        if row is None and version is not None and await self._is_there(entity, key):
            raise VersionConflict(
                f"the row of {entity.schema.name} was changed by somebody else",
                why="it has another version than the one that this change was made for",
                fix="read it again, and make the change for its new version",
                entity=entity.schema.name,
                key=key,
                wanted=version,
            )
        return row

    def _versioned(self, entity: Entity, key: Key, version: int | None) -> tuple[Condition, list[Any]]:
        condition, values = entity.this(key, self._tenant)
        if version is None:
            return condition, values
        if not entity.schema.version:
            raise OptionInvalid(
                f"{entity.schema.name} has no versions",
                why="its schema does not say `version=True`",
                fix="leave `version` out, or give the schema versions",
            )
        return All((condition, Compare("version", "$eq"))), [*values, entity.comparable("version", "$eq", version)]

    async def _is_there(self, entity: Entity, key: Key) -> bool:
        condition, values = entity.this(key, self._tenant)
        return bool(await self._fetch(entity, self._registered.statements(entity).exists(condition), values, PLAIN))

    async def _changed(
        self,
        entity: Entity,
        statements: Statements,
        names: tuple[str, ...],
        condition: Condition,
        key: Key,
        values: Sequence[Any],
        *,
        add: str | None = None,
    ) -> Row | None:
        """Update the one row that fulfils the condition, and return it."""
        if self.engine.updates_return_rows:
            prepared = statements.update(names, condition, add=add, rows=True)
            rows = await self._fetch(entity, prepared, values, entity.whole, writes=True)
            return rows[0] if rows else None

        async def change() -> Row | None:
            if not await self._change(entity, statements.update(names, condition, add=add), values):
                return None
            return await self._current(entity, statements, key)

        return await self._calls.together(change)

    async def _current(self, entity: Entity, statements: Statements, key: Key) -> Row | None:
        """The row with this key as it is now, softly deleted or not."""
        condition, values = entity.this(key, self._tenant, deleted=True)
        rows = await self._rows(entity, entity.names, statements.find(entity.names, condition), values)
        return rows[0] if rows else None

    async def update_many(
        self, schema: EntitySchema, filter: Filter, changes: Mapping[str, Any], *, all: bool = False
    ) -> int:
        entity, statements = self._registered.known(schema)
        condition, values, everything = entity.where(filter, self._tenant)
        if everything and not all:
            raise _all_rows(schema, "change", "update_many({}, changes, all=True)")
        changed = entity.changes(changes, self._clock(), self._tenant)
        if named := [name for name in entity.links if name in changes]:
            raise OptionInvalid(
                f"{schema.name}.{named[0]} cannot be set for many rows",
                why="it is a many-to-many relation",
                fix="use update for each row",
            )
        await self._refuse_foreign(entity, (changed,))
        if not changes:
            return await self.count(schema, filter)
        prepared = statements.update(tuple(changed), condition)
        return await self._change(entity, prepared, (*entity.encoded(changed), *values))

    async def upsert(self, schema: EntitySchema, data: Mapping[str, Any]) -> Row:
        entity, statements = self._registered.known(schema)
        if entity.sequence in schema.key:
            raise OptionInvalid(
                f"{schema.name} cannot be upserted",
                why="its key is a sequence, which the database gives: nobody can say which row is meant",
                fix="use create, or update with the key of a row",
            )
        row = entity.new_row(data, self._clock(), self._tenant)
        await self._refuse_foreign(entity, (row,))
        links, key = self._links_of(entity, data), entity.key_of(row)

        async def upsert() -> Row:
            written = await self._upsert(entity, statements, data, row, key)
            if links:
                await self._link(entity, key, links)
            return written

        return await (self._calls.together(upsert) if links else upsert())

    async def _upsert(
        self, entity: Entity, statements: Statements, data: Mapping[str, Any], row: dict[str, Any], key: Key
    ) -> Row:
        if not self.engine.has_upsert:
            return await self._update_or_insert(entity, statements, entity.refreshed(data), row, key)
        conditions, values = entity.scope(self._tenant, deleted=True)
        prepared = statements.upsert(entity.refreshed(data), All(conditions))
        bound = (*entity.encoded(row), *values)
        if self.engine.updates_return_rows:
            rows = await self._fetch(entity, prepared, bound, entity.whole, writes=True)
            if rows:
                return rows[0]
            raise DuplicateKey(  # the row with this key is of another tenant or kind
                f"{entity.schema.name} has a row with this key already",
                why="it is not the caller's to change",
                fix="choose another value",
                entity=entity.schema.name,
                fields=entity.schema.key,
            )

        async def upsert() -> Row:
            await self._change(entity, prepared, bound)
            written = await self._current(entity, statements, key)
            if written is None:  # another row has the key, or another unique value: an insert is told which
                await self._calls.insert(entity.schema.name, statements.create, [entity.encoded(row)])
                written = await self._current(entity, statements, key)
                assert written is not None  # what was in the way had gone
            return written

        return await self._calls.together(upsert)

    async def _update_or_insert(
        self, entity: Entity, statements: Statements, names: tuple[str, ...], row: dict[str, Any], key: Key
    ) -> Row:
        """An upsert in two statements."""
        condition, values = entity.this(key, self._tenant, deleted=True)
        changed = (*entity.encoded({name: row[name] for name in names}), *values)

        async def attempt() -> Row:
            if not await self._change(entity, statements.update(names, condition), changed):
                await self._calls.insert(entity.schema.name, statements.create, [entity.encoded(row)])
            written = await self._current(entity, statements, key)
            assert written is not None  # it was updated or inserted
            return written

        try:
            return await self._calls.together(attempt)
        except DuplicateKey:  # perhaps of a row that somebody else inserted between the two
            return await self._calls.together(attempt)

    async def increment(self, schema: EntitySchema, key: Key, field: str, by: Any = 1) -> Row | None:
        entity, statements = self._registered.known(schema)
        kind, amount = entity.addend(field, by, self._tenant)
        condition, values = entity.this(key, self._tenant)
        bounds, limits = within_bounds(kind, field, amount)
        encode = entity.codecs[field].encode or _same
        touched = entity.changes({}, self._clock(), self._tenant)
        bound = [*entity.encoded(touched), encode(amount), *values, *map(encode, limits)]
        within = All((condition, *bounds))
        for _ in range(2):  # a row that is there only now may have been made after the first attempt
            row = await self._changed(entity, statements, tuple(touched), within, key, bound, add=field)
            if row is not None or not await self._is_there(entity, key):
                return row
        raise ConstraintViolated(
            f"{schema.name}.{field} would leave its bounds",
            why="the sum is below or above what the field can have",
            fix="add less",
            entity=schema.name,
            constraint="bounds",
        )

    async def add_to_set(self, schema: EntitySchema, key: Key, field: str, value: Any) -> Row | None:
        return await self._change_array(
            schema, key, field, value, lambda items, item: items if item in items else [*items, item]
        )

    async def pull(self, schema: EntitySchema, key: Key, field: str, value: Any) -> Row | None:
        return await self._change_array(
            schema, key, field, value, lambda items, item: [one for one in items if one != item]
        )

    async def _change_array(
        self, schema: EntitySchema, key: Key, field: str, value: Any, change: Callable[[list[Any], Any], list[Any]]
    ) -> Row | None:
        """Read an array, change it and write it back while nobody else can."""
        entity, statements = self._registered.known(schema)
        entity.field(field, frozenset({"array"}), "a set")
        (item,) = entity.changes({field: [value]}, self._clock(), self._tenant)[field]
        condition, values = entity.this(key, self._tenant)
        prepared = statements.find(entity.names, condition, lock=True)

        async def exchange() -> Row | None:
            rows = await self._rows(entity, entity.names, prepared, values)
            if not rows:
                return None
            before = rows[0][field]
            after = change(before or [], item)
            if before == after or (before is None and not after):
                return rows[0]
            return await self.update(schema, key, {field: after})

        return await self._calls.together(exchange)

    async def delete(self, schema: EntitySchema, key: Key, *, hard: bool = False) -> bool:
        entity, statements = self._registered.known(schema)
        condition, values = entity.this(key, self._tenant, deleted=hard)
        return await self._delete(entity, statements, condition, values, hard) > 0

    async def delete_many(self, schema: EntitySchema, filter: Filter, *, all: bool = False, hard: bool = False) -> int:
        entity, statements = self._registered.known(schema)
        condition, values, everything = entity.where(filter, self._tenant)
        if everything and not all:
            raise _all_rows(schema, "delete", "delete_many({}, all=True)")
        return await self._delete(entity, statements, condition, values, hard)

    async def _delete(
        self, entity: Entity, statements: Statements, condition: Condition, values: Sequence[Any], hard: bool
    ) -> int:
        if hard or not entity.schema.soft_delete:
            return await self._change(entity, statements.delete(condition), values)
        now = self._clock()
        marked = {DELETED_AT: now, **({entity.touched: now} if entity.touched else {})}
        prepared = statements.update(tuple(marked), condition)
        return await self._change(entity, prepared, (*entity.encoded(marked), *values))

    async def undelete(self, schema: EntitySchema, key: Key) -> Row | None:
        entity, statements = self._registered.known(schema)
        if not schema.soft_delete:
            raise OptionInvalid(
                f"{schema.name} deletes for good",
                why="its schema does not say `soft_delete=True`",
                fix="create the row again",
            )
        condition, values = entity.this(key, self._tenant, deleted=True)
        restored = {DELETED_AT: None, **({entity.touched: self._clock()} if entity.touched else {})}
        return await self._changed(
            entity, statements, tuple(restored), condition, key, (*entity.encoded(restored), *values)
        )

    # --- relations --------------------------------------------------------------------------------------

    def _links_of(self, entity: Entity, data: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The keys that a write gives for many-to-many relations, encoded."""
        links: dict[str, list[Any]] = {}
        for name in entity.links:
            if name in data:
                target = self._registered.entity(entity.schema.relations[name].target)
                links[name] = entity.linked_keys(name, data[name], target)
        return links

    async def _link(self, entity: Entity, key: Key, links: Mapping[str, list[Any]]) -> None:
        """Lead a row's many-to-many relations to these keys and no others; within a transaction."""
        statements = self._registered.statements(entity)
        (own,) = entity.key_values(key)
        for name, others in links.items():
            target = self._registered.entity(entity.schema.relations[name].target)
            await self._refuse_foreign_keys(target, name, others)
            await self._change(entity, statements.unlink(name), (own,))
            insertion = statements.link(name)
            link = self._registered.link(entity, name)
            rows = [tuple(own if column == link.own else other for column in insertion.columns) for other in others]
            if rows:
                await self._calls.insert(entity.schema.name, insertion, rows)

    async def _refuse_foreign(self, entity: Entity, rows: Sequence[Mapping[str, Any]]) -> None:
        """Refuse relations of one tenant's rows to those of another, as if these did not exist."""
        if self._tenant is None:
            return
        for name, relation in entity.schema.relations.items():
            if relation.has_column:
                target = self._registered.entity(relation.target)
                encode = entity.codecs[name].encode or _same
                keys = {encode(row[name]): None for row in rows if row.get(name) is not None}
                await self._refuse_foreign_keys(target, name, list(keys))

    async def _refuse_foreign_keys(self, target: Entity, relation: str, keys: list[Any]) -> None:
        if self._tenant is None or target.schema.tenant is None or not keys:
            return
        conditions, values = target.scope(self._tenant, deleted=True)
        statements = self._registered.statements(target)
        for some in chunked(keys):
            listed = padded(some)
            condition = All((In(target.schema.key[0], len(listed), False), *conditions))
            ((found,),) = await self._fetch(target, statements.count(condition), [*listed, *values], PLAIN)
            if found < len(some):
                raise ConstraintViolated(
                    f"the relation {relation!r} leads to no row",
                    why=f"there is no {target.schema.name} with this key",
                    fix="create that row first",
                    entity=target.schema.name,
                    constraint="foreign key",
                )

    # --- transactions, statements of the caller's own, signs of life ---------------------------------------

    def transaction(self) -> AbstractAsyncContextManager[None]:
        return self._calls.transaction()

    async def execute(self, statement: CoreStatement, params: Mapping[str, Any] | None = None) -> list[Row]:
        prepared = self._core_statements.prepared(statement, params)
        sql, values = prepared.bind(params)
        writes = prepared.writes
        if not (writes or prepared.varies):
            return await self._calls.fetch_short(sql, values, prepared)
        return await self._calls.run("", lambda session: session.fetch(sql, values, prepared, writes=writes))

    async def execute_all(self, calls: Sequence[tuple[CoreStatement, Mapping[str, Any] | None]]) -> list[list[Row]]:
        fetches: list[Fetch[Row]] = []
        for statement, params in calls:
            prepared = self._core_statements.prepared(statement, params)
            fetches.append(Fetch(*prepared.bind(params), prepared, prepared.writes))
        return await self._calls.fetch_together(fetches)

    async def ping(self) -> None:
        await self._calls.ping()

    # --- the way to the executor ----------------------------------------------------------------------------

    async def _rows(
        self, entity: Entity, names: tuple[str, ...], prepared: Prepared, values: Sequence[Any]
    ) -> list[Row]:
        return await self._fetch(entity, prepared, values, entity.reader(names))

    async def _fetch(
        self, entity: Entity, prepared: Prepared, values: Sequence[Any], reader: Reader[T], *, writes: bool = False
    ) -> list[T]:
        return await self._calls.fetch(entity.schema.name, prepared, values, reader, writes=writes)

    async def _change(self, entity: Entity, prepared: Prepared, values: Sequence[Any]) -> int:
        return await self._calls.change(entity.schema.name, prepared, values)


class _LinkedReader:
    """Reads rows that stand behind the key that leads to them."""

    trusting = False

    def __init__(self, key: RowReader, target: RowReader) -> None:
        self._key = key
        self._target = target

    def rows(self, fetched: Iterable[Sequence[Any]], names: Sequence[str]) -> list[tuple[Key, Row]]:
        """Pairs of a key and a row."""
        return [(next(iter(self._key.row(values[:1]).values())), self._target.row(values[1:])) for values in fetched]


def _same(value: Any) -> Any:
    return value


def _all_rows(schema: EntitySchema, what: str, call: str) -> FilterEmpty:
    return FilterEmpty(
        f"this would {what} every row of {schema.name}",
        why="the filter is empty, or holds for every row there could be",
        fix=f"name the rows, or say {call}",
        entity=schema.name,
    )


def _whole(name: str, value: object, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 2**53:
        raise OptionInvalid(
            f"`{name}` cannot be meant",
            why=f"it is a whole number from {least} on",
            fix=f"give a number, or leave `{name}` out",
        )
    return value


if TYPE_CHECKING:
    _is_a_dialect: type[Dialect] = SqlDialect
