"""Real databases for tests of schema changes: each is worked on through the executor of its kind."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, TypeVar

import anyio
import attrs
import pytest
from objectkernel_system_dialect import schema_changes
from objectkernel_system_dialect.contracts import EntitySchema
from objectkernel_system_dialect.executor import Executor
from objectkernel_system_dialect.migrations import Migration
from objectkernel_system_dialect.schema_plan import Plan
from objectkernel_system_dialect.tables import build_link, build_table
from sqlalchemy import Connection, Table, text

from tests.plugins.system_dialect.databases import mariadb_database, mariadb_url, postgres_database, postgres_url

__all__ = ["Place", "mariadb_database", "mariadb_url", "place", "postgres_database", "postgres_url", "tables_of"]
T = TypeVar("T")


def tables_of(schemas: Sequence[EntitySchema]) -> list[Table]:
    """The tables of schemas that know each other, link tables among them."""
    by_name = {schema.name: schema for schema in schemas}
    shared: dict[str, list[EntitySchema]] = {}
    for schema in schemas:
        shared.setdefault(schema.collection, []).append(schema)
    tables = [build_table(together, by_name) for together in shared.values()]
    for schema in schemas:
        links = [name for name, relation in schema.relations.items() if relation.kind == "many-to-many"]
        tables += [build_link(schema, name, by_name).table for name in links]
    return tables


@attrs.frozen
class Place:
    """A database: ``sqlite``, ``postgres`` or ``mariadb``."""

    kind: str
    uri: str

    async def open(self) -> Executor:
        """Connect to it."""
        if self.kind == "sqlite":
            from objectkernel_system_dialect.sqlite_engine import SqliteEngine

            return (await SqliteEngine.open(self.uri)).executor
        if self.kind == "postgres":
            from objectkernel_system_dialect.postgres_engine import PostgresEngine

            return (await PostgresEngine.open(self.uri)).executor
        from objectkernel_system_dialect.mariadb_engine import MariadbEngine

        return (await MariadbEngine.open(self.uri)).executor

    def do(self, work: Callable[[Connection], T]) -> T:
        """Run work that may change the schema."""

        async def run() -> T:
            executor = await self.open()
            try:
                return await executor.schema_work(work)
            finally:
                await executor.aclose()

        return anyio.run(run)

    def up(
        self, *schemas: EntitySchema, strategy: schema_changes.Strategy = "update", migrations: Sequence[Migration] = ()
    ) -> None:
        """Bring it up to schemas."""
        tables = tables_of(schemas)
        self.do(lambda core: schema_changes.bring_up(core, tables, strategy, migrations=migrations))

    def plan(self, *schemas: EntitySchema) -> Plan:
        """What lies between it and schemas."""
        return self.do(lambda core: schema_changes.plan(core, tables_of(schemas)))

    def apply(self, *schemas: EntitySchema, destructive: bool = False) -> tuple[str, ...]:
        """Apply the plan, destructive steps if asked for."""
        return self.do(lambda core: schema_changes.apply(core, tables_of(schemas), destructive=destructive))

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements, and return the rows of the last one."""
        if self.kind == "sqlite":  # whose foreign keys rest while a schema is worked on
            with closing(sqlite3.connect(self.uri)) as connection, connection:
                connection.execute("PRAGMA foreign_keys = ON")
                return [connection.execute(statement).fetchall() for statement in statements][-1]

        def work(core: Connection) -> list[tuple[Any, ...]]:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                result = core.execute(text(statement))
                rows = [tuple(row) for row in result] if result.returns_rows else []
            return rows

        return self.do(work)


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def place(request: pytest.FixtureRequest) -> Place:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return Place("sqlite", str(request.getfixturevalue("tmp_path") / "test.db"))
    return Place(request.param, request.getfixturevalue(f"{request.param}_url"))
