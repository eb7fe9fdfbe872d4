"""Making the tables of entities in SQLite, and looking whether those that exist are theirs."""

from __future__ import annotations

import sqlite3

from sqlalchemy import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from objectkernel_system_dialect.entity import Entity
from objectkernel_system_dialect.errors import SchemaOutdated
from objectkernel_system_dialect.rows import fetch_all
from objectkernel_system_dialect.tables import unique_keys

COLUMNS = "SELECT name, pk FROM pragma_table_info(?)"
UNIQUE_COLUMNS = """
    SELECT one.name, part.name FROM pragma_index_list(?) AS one, pragma_index_info(one.name) AS part
    WHERE one."unique" AND NOT one.partial
"""


def make_table(connection: sqlite3.Connection, entity: Entity, core: Dialect, place: str) -> None:
    """Make the table and the indexes of an entity where they are missing.

    Raises:
        SchemaOutdated: the table exists and lacks a column, or does not keep unique what the schema says is.
    """
    table = entity.table
    connection.execute(str(CreateTable(table, if_not_exists=True).compile(dialect=core)))
    columns = fetch_all(connection, COLUMNS, (table.name,))
    found = {name for name, _ in columns}
    if missing := tuple(name for name in entity.names if name not in found):
        raise _outdated(entity, place, missing, "add the columns, or move the old table away")
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        connection.execute(str(CreateIndex(index, if_not_exists=True).compile(dialect=core)))
    by_index = {"": [name for name, place_in_key in columns if place_in_key]}
    for index_name, column in fetch_all(connection, UNIQUE_COLUMNS, (table.name,)):
        by_index.setdefault(index_name, []).append(column)
    lost = unique_keys(table) - {tuple(sorted(names)) for names in by_index.values()}
    if lost:
        missing = tuple(f"unique ({', '.join(names)})" for names in sorted(lost))
        raise _outdated(entity, place, missing, "make the rows unique and the table anew, or move the old table away")


def _outdated(entity: Entity, place: str, missing: tuple[str, ...], fix: str) -> SchemaOutdated:
    return SchemaOutdated(
        f"the table {entity.table.name!r} lacks what {entity.schema.name} needs: {', '.join(missing)}",
        why=f"it exists in {place} and was made by an older schema",
        fix=fix,
        entity=entity.schema.name,
        collection=entity.table.name,
        missing=missing,
    )
