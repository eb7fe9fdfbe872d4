"""Which tables a database has, whoever made them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from objectkernel_system_dialect.contracts import Dialect, OperationUnsupported, StatementFailed
from sqlalchemy import Function, Select, String, column, false, literal, select, table

_SCHEMA: Final[Mapping[str, str]] = {"postgres": "current_schema", "mariadb": "database", "mysql": "database"}
"""The function that tells where tables are made, of databases that are asked by their ``information_schema``."""


async def present(dialect: Dialect, names: Iterable[str]) -> frozenset[str]:
    """Those of the names that a table or a view has where the dialect makes its own.

    In NET mode none: the server has the tables, and refuses what would come of it.
    """
    query = _query(dialect.name)
    if query is None:
        return frozenset([name for name in names if await _is_there(dialect, name)])
    there = {str(row["name"]) for row in await dialect.execute(query)}
    if dialect.name == "sqlite":  # which heeds no case
        there = {name.lower() for name in there}
    return frozenset(there.intersection(names))


async def _is_there(dialect: Dialect, name: str) -> bool:
    """Whether a table can be read, of a database whose catalogue nobody knows here."""
    try:
        await dialect.execute(select(literal(1)).select_from(table(name)).where(false()))
    except (StatementFailed, OperationUnsupported):
        return False
    return True


def _query(dialect: str) -> Select[Any] | None:
    if dialect == "sqlite":
        name, kind = column("name", String), column("type", String)
        return select(name).select_from(table("sqlite_master", name, kind)).where(kind.in_(("table", "view")))
    if dialect not in _SCHEMA:
        return None
    name, schema = column("table_name", String), column("table_schema", String)
    tables = table("tables", name, schema, schema="information_schema")
    return select(name.label("name")).select_from(tables).where(schema == Function(_SCHEMA[dialect], type_=String()))
