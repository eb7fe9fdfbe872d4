"""How a database stands towards its schemas, table by table and migration by migration."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import attrs
from sqlalchemy import Connection, Table

from objectkernel_system_dialect.migration_runs import astray, check_migrations, due, plugins_of
from objectkernel_system_dialect.migrations import Migration
from objectkernel_system_dialect.schema_changes import BOOKKEEPING, State, plan

TableState: TypeAlias = Literal["as wanted", "differs", "missing", "no schema"]
MigrationState: TypeAlias = Literal["run", "waiting", "left", "astray"]


@attrs.frozen
class TableStatus:
    """One table: of a schema, or made for one that is no more."""

    collection: str
    state: TableState


@attrs.frozen
class MigrationStatus:
    """One migration.

    Attributes:
        applied_at: None where it did not run.
        state: ``left`` has run, and its plugin has no migrations in this host any more; ``astray`` does not run, as no
            entity has a table that it works on.
    """

    plugin: str
    number: int
    summary: str
    applied_at: datetime | None
    state: MigrationState


@attrs.frozen
class SchemaStatus:
    """A database and its schemas."""

    tables: tuple[TableStatus, ...]
    migrations: tuple[MigrationStatus, ...]

    @property
    def settled(self) -> bool:
        """Whether nothing waits to be done; a table without a schema harms nobody."""
        return all(table.state in ("as wanted", "no schema") for table in self.tables) and all(
            migration.state != "waiting" for migration in self.migrations
        )


def status(
    connection: Connection,
    tables: Sequence[Table],
    migrations: Sequence[Migration] = (),
    *,
    others: Collection[str] = (),
) -> SchemaStatus:
    """Look at a database; nothing is changed.

    Args:
        others: names of tables that are not among `tables` and wanted all the same.

    Raises:
        SchemaNewer: it has migrations behind it that come after those of their plugin in `migrations`.
        SchemaInvalid: migrations with one number.
    """
    check_migrations(migrations)
    state = State.read(connection)
    waiting = due(migrations, state.ran, [table.name for table in tables])
    differing = {step.collection for step in plan(connection, tables).safe}
    wanted = [TableStatus(table.name, _state(table.name, state, differing)) for table in tables]
    known = {table.name for table in tables} | BOOKKEEPING | set(others)
    left = [TableStatus(name, "no schema") for name in state.records if name not in known]
    here = plugins_of(migrations)
    told = [
        MigrationStatus(one.plugin, one.number, one.summary, one.applied_at, "run" if one.plugin in here else "left")
        for one in state.ran
    ]
    told += [MigrationStatus(one.plugin, one.number, one.summary, None, "waiting") for one in waiting]
    told += [
        MigrationStatus(one.plugin, one.number, one.summary, None, "astray")
        for one in astray(migrations, state.ran, [*others, *(table.name for table in tables)])
    ]
    return SchemaStatus((*wanted, *sorted(left, key=lambda one: one.collection)), tuple(told))


def _state(name: str, state: State, differing: set[str]) -> TableState:
    if name not in state.names:
        return "missing"
    return "differs" if name in differing else "as wanted"
