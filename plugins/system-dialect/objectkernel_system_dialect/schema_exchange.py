"""Taking entities away from a dialect in use and putting others in their place, with their tables or without."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from objectkernel_system_dialect.errors import OperationUnsupported, TableHeld
from objectkernel_system_dialect.relation_problems import has_link_table, link_table
from objectkernel_system_dialect.schema import EntitySchema

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from objectkernel_system_dialect.data_plug import SchemaStrategy
    from objectkernel_system_dialect.migrations import Migration


@runtime_checkable
class ExchangesSchemas(Protocol):
    """A dialect that can forget entities while it is in use."""

    async def exchange(
        self, remove: Sequence[EntitySchema], add: Sequence[EntitySchema], drop: Collection[str]
    ) -> tuple[str, ...]:
        """See `Schemas.exchange_schemas`."""
        ...


def inexchangeable(dialect: str) -> OperationUnsupported:
    """The error for a dialect that cannot."""
    return OperationUnsupported(
        "entities cannot be taken away from this dialect",
        why="its tables are the affair of another host, or of its maker",
        fix="do it where the tables are; in NET mode that is the server",
        dialect=dialect,
        capability="exchange",
    )


def tables_to_drop(remove: Sequence[EntitySchema], drop: Collection[str], kept: Sequence[Table]) -> frozenset[str]:
    """The tables of the collections to drop, those of links too, that nobody wants any more."""
    gone = {schema.collection for schema in remove if schema.collection in drop}
    for schema in remove:
        if schema.collection in gone:
            gone |= {link_table(schema, name) for name, one in schema.relations.items() if has_link_table(one)}
    return frozenset(gone).difference(table.name for table in kept)


def exchange_tables(
    connection: Connection,
    tables: Sequence[Table],
    gone: Collection[str],
    strategy: SchemaStrategy,
    *,
    migrations: Sequence[Migration] = (),
) -> tuple[str, ...]:
    """Bring `tables` up and drop those that are `gone`; returns the names of what was not there before.

    Raises:
        TableHeld: another table leads to one of `gone`; nothing was changed.
        OperationUnsupported: there is something to drop, and the strategy changes no tables.
        as `bring_up` does.
    """
    from sqlalchemy import inspect

    from objectkernel_system_dialect.schema_changes import bring_up

    before = frozenset(inspect(connection).get_table_names())
    if there := before.intersection(gone):
        _check_droppable(connection, there, before, strategy)
    bring_up(connection, tables, strategy, migrations=migrations)
    if there:
        _drop(connection, there)
    return tuple(table.name for table in tables if table.name not in before)


def _check_droppable(
    connection: Connection, gone: Collection[str], names: Collection[str], strategy: SchemaStrategy
) -> None:
    from sqlalchemy import inspect

    if strategy in ("none", "validate"):
        raise OperationUnsupported(
            "tables are not dropped here",
            why=f"the schema strategy {strategy} leaves tables to somebody else",
            fix="keep the tables, or drop them by hand",
            dialect=connection.dialect.name,
            capability="drop",
        )
    inspector = inspect(connection)
    holding = {
        name: {str(key["referred_table"]) for key in inspector.get_foreign_keys(name)}.intersection(gone)
        for name in sorted(set(names).difference(gone))
    }
    if held := {name: targets for name, targets in holding.items() if targets}:
        raise TableHeld(
            f"{', '.join(sorted(set().union(*held.values())))} cannot be dropped",
            why=[f"rows of {name} lead to {', '.join(sorted(targets))}" for name, targets in held.items()],
            fix="drop those tables first, or keep these",
            tables=tuple(held),
        )


def _drop(connection: Connection, names: Collection[str]) -> None:
    from objectkernel_system_dialect.schema_changes import drop_named
    from objectkernel_system_dialect.schema_record import forget

    drop_named(connection, names)
    forget(connection, sorted(names))
