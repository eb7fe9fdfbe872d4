"""What lies between a database and the tables that schemas want: alembic compares, and each difference is a step.

Some differences are none: a wider column than needed, what people have added themselves, names of constraints. Some
cannot be mended as things are - values that are missing, twice there or of another type: those steps say so, before
anything is changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import ops
from sqlalchemy import Column, Connection, ForeignKeyConstraint, MetaData, Table, inspect

from objectkernel_system_dialect.schema_plan import Plan, Step
from objectkernel_system_dialect.schema_record import Record, metadata_of
from objectkernel_system_dialect.schema_types import change_of_type
from objectkernel_system_dialect.sqlite_rebuild import Rebuild
from objectkernel_system_dialect.table_differences import TableDifferences


def plan(
    connection: Connection, tables: Sequence[Table], records: Mapping[str, Record], others: Collection[str] = ()
) -> Plan:
    """Compare a database with the tables that schemas want.

    Args:
        records: what the database remembers of its tables; one that is no more wanted may be dropped.
        others: names of tables that somebody else wants.
    """
    wanted = metadata_of(tables)
    inspector = inspect(connection)
    names = frozenset(inspector.get_table_names())
    missing = [table for table in wanted.sorted_tables if table.name not in names]
    steps = list(_creations(missing, alters=connection.dialect.supports_alter))
    rebuilds: dict[str, Rebuild] = {}
    held: dict[tuple[str, str], list[ForeignKeyConstraint]] = {}
    present = sorted(names.intersection(wanted.tables))
    found = _compared(connection, wanted, present) if present else {}
    for name in present:
        reflected = Table(name, MetaData())
        inspector.reflect_table(reflected, None, resolve_fks=False)
        table = TableDifferences(connection, inspector, wanted.tables[name], reflected, records.get(name))
        steps += table.steps(found.get(name, []))
        if connection.dialect.name == "sqlite":
            rebuilds[name] = table.rebuild()
        elif connection.dialect.name in ("mysql", "mariadb"):
            made = {one.name for one in reflected.foreign_key_constraints}
            _hold(held, [one for one in wanted.tables[name].foreign_key_constraints if one.name in made])
    gone = sorted(name for name in records if name in names and name not in {*wanted.tables, *others})
    return Plan((*steps, *map(_dropping, gone)), rebuilds, held)


def _creations(missing: Sequence[Table], *, alters: bool) -> Iterator[Step]:
    """A step for each table, targets of foreign keys first."""
    for table in missing:
        create = ops.CreateTableOp.from_table(table)
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        leads = {one for one in table.foreign_key_constraints if one.use_alter and alters}
        create.columns = [item for item in create.columns if item not in leads]
        create.info.clear()
        yield Step(
            collection=table.name,
            text=f"create the table {table.name}",
            operations=(
                create,
                *map(ops.CreateIndexOp.from_index, indexes),
                *map(ops.CreateForeignKeyOp.from_constraint, leads),
            ),
        )


def _compared(connection: Connection, wanted: MetaData, present: Sequence[str]) -> dict[str, list[Any]]:
    """What alembic finds different in the columns and constraints of tables; indexes are known by their names."""

    def types_differ(_context: object, _old: Column[Any], _new: Column[Any], old: Any, new: Any) -> bool:
        return change_of_type(old, new, connection.dialect) != "none"

    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": types_differ,
            "compare_server_default": False,
            "include_name": lambda name, kind, _parents: kind != "table" or name in present,
            "include_object": lambda _item, name, kind, _reflected, _other: (
                kind != "index" and (kind != "table" or name in present)
            ),
        },
    )
    script = produce_migrations(context, wanted)
    assert script.upgrade_ops is not None
    return {op.table_name: list(op.ops) for op in script.upgrade_ops.ops if isinstance(op, ops.ModifyTableOps)}


def _hold(held: dict[tuple[str, str], list[ForeignKeyConstraint]], keys: Sequence[ForeignKeyConstraint]) -> None:
    """Note foreign keys under the columns on both of their sides."""
    for key in keys:
        for element in key.elements:
            for column in (element.parent, element.column):
                held.setdefault((column.table.name, column.name), []).append(key)


def _dropping(name: str) -> Step:
    return Step(
        collection=name,
        text=f"drop the table {name}, which no schema has any more, with its rows",
        destructive=True,
        operations=(ops.DropTableOp(name),),
    )
