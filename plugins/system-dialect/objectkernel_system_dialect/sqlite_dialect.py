"""`Dialect` on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import anyio
from anyio.lowlevel import checkpoint
from objectkernel.errors import nearest
from sqlalchemy import Table
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from objectkernel_system_dialect.contracts import Dialect, Filter, Key, Page, Row, Sort
from objectkernel_system_dialect.core_statements import CoreStatements
from objectkernel_system_dialect.cursors import make_cursor, read_cursor
from objectkernel_system_dialect.entity import Entity
from objectkernel_system_dialect.errors import EntityUnknown, FilterEmpty, OptionInvalid
from objectkernel_system_dialect.filters import ALWAYS
from objectkernel_system_dialect.location import place_of
from objectkernel_system_dialect.registry import check_are_schemas, check_schemas
from objectkernel_system_dialect.rows import fetch_all
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.sqlite_errors import translated
from objectkernel_system_dialect.sqlite_executor import Job, SqliteExecutor, SqliteOptions
from objectkernel_system_dialect.sqlite_tables import make_table
from objectkernel_system_dialect.sqlite_types import Stored
from objectkernel_system_dialect.statements import Prepared, Statements
from objectkernel_system_dialect.tables import build_table, stored_fields

if TYPE_CHECKING:
    from objectkernel_system_dialect.contracts import CoreStatement

T = TypeVar("T")

BREATH: Final = 256
"""Rows that are made ready for an insert before the event loop gets its turn."""
DRIVER_ERRORS: Final = (sqlite3.Error, OverflowError, UnicodeEncodeError)
"""What the driver raises, for values too: a whole number of more than 64 bits, text that is no Unicode."""


def utc_now() -> datetime:
    """The present, aware."""
    return datetime.now(UTC)


class SqliteDialect:
    """One SQLite database, in a file or in memory. Made by `open`, ended by `aclose`."""

    name = "sqlite"

    def __init__(self, executor: SqliteExecutor, clock: Callable[[], datetime]) -> None:
        self._executor = executor
        self._clock = clock
        self._place = place_of(executor.path)
        self._core = SQLiteDialect_pysqlite(paramstyle="qmark")
        self._core_statements = CoreStatements(self._core)
        self._entities: dict[str, tuple[Entity, Statements]] = {}
        self._registering = anyio.Lock()

    @classmethod
    async def open(
        cls, path: str, options: SqliteOptions | None = None, *, clock: Callable[[], datetime] = utc_now
    ) -> SqliteDialect:
        """Open the file, which is made when it is missing, or ``:memory:``.

        Raises:
            DatabaseUnavailable: it cannot be opened; `DatabaseDamaged`: it is no database.
        """
        try:
            executor = await SqliteExecutor.open(path, options or SqliteOptions())
        except sqlite3.Error as error:
            raise translated(error, place=place_of(path), entity="") from error
        return cls(executor, clock)

    async def aclose(self) -> None:
        """Finish what is under way and close the connections."""
        await self._executor.aclose()

    # --- schemas ------------------------------------------------------------------------------------

    async def register(self, *schemas: EntitySchema) -> None:
        async with self._registering:
            await self._register(schemas)

    async def _register(self, schemas: Sequence[EntitySchema]) -> None:
        check_are_schemas(schemas)
        known = self.schemas()
        new = [schema for schema in dict.fromkeys(schemas) if schema not in known]
        if not new:
            return
        together = (*known, *new)
        check_schemas(together)
        by_name = {schema.name: schema for schema in together}
        entities = []
        for schema in new:
            fields = stored_fields(schema, by_name)
            entities.append(Entity(schema, fields, build_table(schema, fields, by_name, Stored.of)))

        def job(connection: sqlite3.Connection) -> None:
            for entity in entities:
                make_table(connection, entity, self._core, self._place)

        await self._write("", job)
        for entity in entities:
            self._entities[entity.schema.name] = entity, Statements(entity, self._core)

    def schemas(self) -> tuple[EntitySchema, ...]:
        return tuple(entity.schema for entity, _ in self._entities.values())

    def table(self, schema: EntitySchema) -> Table:
        return self._entity(schema)[0].table

    def _entity(self, schema: EntitySchema) -> tuple[Entity, Statements]:
        if not isinstance(schema, EntitySchema):
            raise EntityUnknown(
                f"a {type(schema).__name__} is no entity schema",
                why="every operation takes the EntitySchema that was registered, not its name",
                fix="give the schema itself",
                entity="",
                known=(),
            )
        known = self._entities.get(schema.name)
        if known is None or (known[0].schema is not schema and known[0].schema != schema):
            near = nearest(schema.name, self._entities)
            raise EntityUnknown(
                f"the entity {schema.name!r} is not registered with this dialect",
                why="another schema of that name is" if known else f"known are: {', '.join(self._entities) or 'none'}",
                fix="contribute it to SYSTEM_SCHEMAS or BUSINESS_SCHEMAS, or await dialect.register(schema)",
                entity=schema.name,
                known=near,
            )
        return known

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
    ) -> list[Row]:
        entity, statements = self._entity(schema)
        condition, values = entity.parser.parse(filter)
        names = entity.selected(select)
        limited = limit is not None or skip != 0
        if limited:
            values += [-1 if limit is None else _whole("limit", limit), _whole("skip", skip)]
        prepared = statements.find(names, condition, sort=entity.sorting(sort), limited=limited)
        return await self._rows(entity, names, prepared, values)

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
        entity, statements = self._entity(schema)
        condition, values = entity.parser.parse(filter)
        wanted = entity.selected(select)
        order = entity.sorting(sort)
        ties = order[-1][1] if order else 1
        order += tuple((name, ties) for name in schema.key if name not in dict(order))
        names = tuple(name for name in entity.names if name in wanted or name in dict(order))
        there: tuple[bool, ...] | None = None
        if after is not None:
            place = read_cursor(entity, order, after)
            there = tuple(value is not None for value in place)
            values += [value for value in place if value is not None]
        values += [_whole("limit", limit, least=1) + 1, 0]
        prepared = statements.find(names, condition, sort=order, after=there, limited=True)
        rows = await self._rows(entity, names, prepared, values)
        cursor = make_cursor(entity, order, rows[limit - 1]) if len(rows) > limit else None
        if names != wanted:
            rows = [{name: row[name] for name in wanted} for row in rows]
        return Page(tuple(rows[:limit]), cursor)

    async def find_one(
        self,
        schema: EntitySchema,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        select: Iterable[str] | None = None,
    ) -> Row | None:
        rows = await self.find(schema, filter, sort=sort, limit=1, select=select)
        return rows[0] if rows else None

    async def find_by_id(self, schema: EntitySchema, key: Key) -> Row | None:
        entity, statements = self._entity(schema)
        sql, values = statements.find_by_id.sql, entity.key_values(key)
        rows = await self._read(schema.name, lambda connection: entity.whole.fetch(connection, sql, values))
        return rows[0] if rows else None

    async def count(self, schema: EntitySchema, filter: Filter | None = None) -> int:
        entity, statements = self._entity(schema)
        condition, values = entity.parser.parse(filter)
        prepared = statements.count(condition)
        (row,) = await self._plain(schema, prepared, values)
        return int(row[0])

    async def exists(self, schema: EntitySchema, filter: Filter | None = None) -> bool:
        entity, statements = self._entity(schema)
        condition, values = entity.parser.parse(filter)
        prepared = statements.exists(condition)
        return bool(await self._plain(schema, prepared, values))

    # --- writing ----------------------------------------------------------------------------------------

    async def create(self, schema: EntitySchema, data: Mapping[str, Any]) -> Row:
        return (await self.create_many(schema, (data,)))[0]

    async def create_many(self, schema: EntitySchema, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        entity, statements = self._entity(schema)
        now = self._clock()
        made, values = [], []
        for number, data in enumerate(entity.several(rows), start=1):
            made.append(entity.new_row(data, now))
            values.append(entity.encoded(made[-1]))
            if number % BREATH == 0:
                await checkpoint()
        sql = statements.create.sql
        sequence = entity.sequence
        if sequence is None:
            await self._write(schema.name, lambda connection: connection.executemany(sql, values).close())
            return made

        def job(connection: sqlite3.Connection) -> list[int | None]:
            return [connection.execute(sql, row).lastrowid for row in values]  # the sequence is the row number

        numbers = await self._write(schema.name, job)
        return [
            {name: number if name == sequence else row[name] for name in entity.names}
            for row, number in zip(made, numbers, strict=True)
        ]

    async def update(self, schema: EntitySchema, key: Key, changes: Mapping[str, Any]) -> Row | None:
        entity, statements = self._entity(schema)
        changed = entity.changes(changes, self._clock())
        if not changes:
            return await self.find_by_id(schema, key)
        prepared = statements.update(tuple(changed))
        return await self._returning(entity, prepared, (*entity.encoded(changed), *entity.key_values(key)))

    async def upsert(self, schema: EntitySchema, data: Mapping[str, Any]) -> Row:
        entity, statements = self._entity(schema)
        row = entity.new_row(data, self._clock())
        prepared = statements.upsert(entity.refreshed(data))
        written = await self._returning(entity, prepared, entity.encoded(row))
        assert written is not None  # an upsert always leaves a row
        return written

    async def delete(self, schema: EntitySchema, key: Key) -> bool:
        entity, statements = self._entity(schema)
        return await self._changed(schema, statements.delete, entity.key_values(key)) > 0

    async def delete_many(self, schema: EntitySchema, filter: Filter, *, all: bool = False) -> int:
        entity, statements = self._entity(schema)
        condition, values = entity.parser.parse(filter)
        if condition == ALWAYS and not all:
            raise FilterEmpty(
                f"this would delete every row of {schema.name}",
                why="the filter is empty, or holds for every row there could be",
                fix="name the rows, or say delete_many({}, all=True)",
                entity=schema.name,
            )
        return await self._changed(schema, statements.delete_many(condition), values)

    # --- statements of the caller's own, and signs of life --------------------------------------------------

    async def execute(self, statement: CoreStatement, params: Mapping[str, Any] | None = None) -> list[Row]:
        prepared = self._core_statements.prepared(statement, params)
        sql, values = prepared.bind(params)

        run = self._write if prepared.writes else self._read
        return await run("", lambda connection: prepared.fetch(connection, sql, values))

    async def ping(self) -> None:
        await self._read("", lambda connection: fetch_all(connection, "SELECT count(*) FROM sqlite_schema", ()))

    # --- the way to the threads -----------------------------------------------------------------------

    async def _rows(
        self, entity: Entity, names: tuple[str, ...], prepared: Prepared, values: Sequence[Any]
    ) -> list[Row]:
        sql, bound = prepared.sql, prepared.bind(values)
        reader = entity.reader(names)
        return await self._read(entity.schema.name, lambda connection: reader.fetch(connection, sql, bound))

    async def _plain(self, schema: EntitySchema, prepared: Prepared, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        sql, bound = prepared.sql, prepared.bind(values)
        return await self._read(schema.name, lambda connection: fetch_all(connection, sql, bound))

    async def _returning(self, entity: Entity, prepared: Prepared, values: Sequence[Any]) -> Row | None:
        sql, bound = prepared.sql, prepared.bind(values)
        rows = await self._write(entity.schema.name, lambda connection: entity.whole.fetch(connection, sql, bound))
        return rows[0] if rows else None

    async def _changed(self, schema: EntitySchema, prepared: Prepared, values: Sequence[Any]) -> int:
        sql, bound = prepared.sql, prepared.bind(values)
        return await self._write(schema.name, lambda connection: connection.execute(sql, bound).rowcount)

    async def _read(self, entity: str, job: Job[T]) -> T:
        try:
            return await self._executor.read(job)
        except DRIVER_ERRORS as error:
            self._fail(error, entity)

    async def _write(self, entity: str, job: Job[T]) -> T:
        try:
            return await self._executor.write(job)
        except DRIVER_ERRORS as error:
            self._fail(error, entity)

    def _fail(self, error: Exception, entity: str) -> NoReturn:
        raise translated(error, place=self._place, entity=entity) from error


def _whole(name: str, value: object, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 2**53:
        raise OptionInvalid(
            f"`{name}` cannot be meant",
            why=f"it is a whole number from {least} on",
            fix=f"give a number, or leave `{name}` out",
        )
    return value


if TYPE_CHECKING:
    _is_a_dialect: type[Dialect] = SqliteDialect
