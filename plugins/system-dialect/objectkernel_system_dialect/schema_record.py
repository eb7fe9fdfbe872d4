"""What a database remembers of the schemas that its tables were made for: one row a table, read at every boot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs
from sqlalchemy import (
    Column,
    Connection,
    ForeignKeyConstraint,
    MetaData,
    Table,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.sql.ddl import sort_tables_and_constraints

from objectkernel_system_dialect.schema import Field
from objectkernel_system_dialect.stored import Stored

PLANNER: Final = 1
"""Goes up when the same schema is to be looked at again: another column type of a codec, another rule of the plan."""

RECORDED: Final = Table(
    "objectkernel_schema",
    MetaData(),
    Column("collection", Stored(Field("string", length=63)), primary_key=True),
    Column("fingerprint", Stored(Field("string", length=32)), nullable=False),
    Column("shape", Stored(Field("text")), nullable=False),  # JSON
    Column("temporary", Stored(Field("boolean")), nullable=False),
)

Shape: TypeAlias = dict[str, tuple[str, int, int]]
"""Of each column the type of its field, with precision and scale: what the database itself may not tell apart."""


@attrs.frozen
class Record:
    """One remembered table.

    Attributes:
        fingerprint: of the table as it was when it was made or last brought up.
        temporary: made by the strategy ``create-drop``, and dropped by it.
    """

    fingerprint: str
    shape: Shape
    temporary: bool


def metadata_of(tables: Iterable[Table]) -> MetaData:
    """Copies of tables in one metadata, where they find each other; of several of one name the first.

    Foreign keys that make a ring are marked to be made when all of its tables are there.
    """
    metadata = MetaData()
    for table in tables:
        if table.name not in metadata.tables:
            table.to_metadata(metadata)
    ordered = sort_tables_and_constraints(metadata.tables.values())  # type: ignore[no-untyped-call]
    for table, constraints in ordered:
        for constraint in constraints if table is None else ():
            constraint.use_alter = True
    return metadata


def shape_of(table: Table) -> Shape:
    """The shape of a table as its schema wants it."""
    fields = {column.name: column.type.field for column in table.columns if isinstance(column.type, Stored)}
    return {name: (field.type, field.precision, field.scale) for name, field in fields.items()}


def fingerprint_of(table: Table) -> str:
    """The same for two tables that are made alike; names of keys and indexes tell what they are over."""
    columns = [
        (column.name, repr(column.type.field) if isinstance(column.type, Stored) else str(column.type), column.nullable)
        for column in table.columns
    ]
    keys = sorted((str(one.name), *_foreign(one)) for one in table.constraints)
    indexes = sorted(str(index.name) for index in table.indexes)
    told = repr((PLANNER, columns, keys, indexes))
    return hashlib.blake2s(told.encode(), digest_size=16).hexdigest()


def _foreign(constraint: object) -> tuple[str, ...]:
    if not isinstance(constraint, ForeignKeyConstraint):
        return ()
    return (*(element.target_fullname for element in constraint.elements), str(constraint.ondelete))


def counting(connection: Connection, column: Column[Any]) -> dict[str, Any]:
    """What alembic is told of a reflected column, so that a change on MariaDB leaves it one that counts."""
    is_mariadb = connection.dialect.name in ("mysql", "mariadb")
    return {"existing_autoincrement": True} if is_mariadb and column.autoincrement is True else {}


def read_records(connection: Connection, names: Collection[str]) -> dict[str, Record]:
    """The record of each table that is there: one whose table is gone counts for nothing.

    Args:
        names: of the tables that the database has.
    """
    if RECORDED.name not in names:
        return {}
    rows = connection.execute(select(RECORDED)).all()
    return {
        row.collection: Record(
            row.fingerprint, {name: tuple(kind) for name, kind in json.loads(row.shape).items()}, row.temporary
        )
        for row in rows
        if row.collection in names
    }


def write_records(connection: Connection, tables: Sequence[Table], *, temporary: bool, first: bool) -> None:
    """Remember tables as they are wanted now.

    Args:
        first: nothing was remembered up to now, there is not even a table for it.
    """
    if first:
        RECORDED.create(connection, checkfirst=False)
    else:
        forget(connection, [table.name for table in tables])
    rows = [
        {
            "collection": table.name,
            "fingerprint": fingerprint_of(table),
            "shape": json.dumps(shape_of(table)),
            "temporary": temporary,
        }
        for table in tables
    ]
    if rows:
        connection.execute(insert(RECORDED), rows)


def forget(connection: Connection, collections: Sequence[str]) -> None:
    """Remove the records of tables."""
    if collections:
        connection.execute(delete(RECORDED).where(RECORDED.c.collection.in_(collections)))


def rename_record(connection: Connection, old: str, new: str, shape: Mapping[str, Any]) -> None:
    """Keep a record for a table, or columns, of another name; its fingerprint fits nothing any more."""
    if old != new:
        forget(connection, [new])  # of a table of that name which is gone
    connection.execute(
        update(RECORDED)
        .where(RECORDED.c.collection == old)
        .values(collection=new, shape=json.dumps(shape), fingerprint="")
    )
