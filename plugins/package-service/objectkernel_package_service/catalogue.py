"""The tables that a database has, whoever made them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from objectkernel_system_dialect.contracts import Dialect
from sqlalchemy import Function, Select, String, column, select, table

_SCHEMA: Final[Mapping[str, str]] = {
    "postgres": "current_schema",
    "postgresql": "current_schema",
    "mysql": "database",
    "mariadb": "database",
    "duckdb": "current_schema",
    "mssql": "schema_name",
}
"""The function that tells where tables are made, of databases that have an ``information_schema``."""


async def table_names(dialect: Dialect) -> frozenset[str]:
    """The names of the tables and views where a dialect makes its own; those of SQLite, which heeds no case, in lower.

    None where nobody can ask: in NET mode, whose server has the tables, and of a database without a catalogue known
    here.
    """
    query = _query(dialect.name)
    rows = [] if query is None else await dialect.execute(query)
    names = (str(row["name"]) for row in rows)
    return frozenset(name.lower() if dialect.name == "sqlite" else name for name in names)


def _query(dialect: str) -> Select[Any] | None:
    if dialect == "sqlite":
        name, kind = column("name", String), column("type", String)
        return select(name).select_from(table("sqlite_master", name, kind)).where(kind.in_(("table", "view")))
    if dialect not in _SCHEMA:
        return None
    name, schema = column("table_name", String), column("table_schema", String)
    tables = table("tables", name, schema, schema="information_schema")
    return select(name.label("name")).select_from(tables).where(schema == Function(_SCHEMA[dialect], type_=String()))
