"""A glance at a database before work on its schema begins: most boots find every table as it is wanted.

It goes the driver's own way, on a connection of the pool: work on the schema connects anew, holds a lock, and has
SQLAlchemy find out again what kind of server there is. A host with many small databases does that for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Table

from objectkernel_system_dialect.executor import Session
from objectkernel_system_dialect.migration_runs import RAN
from objectkernel_system_dialect.rows import PLAIN
from objectkernel_system_dialect.schema_record import RECORDED, fingerprint_of

NAMES: Final[Mapping[str, str]] = {
    "postgres": (
        "SELECT c.relname::text FROM pg_catalog.pg_class AS c"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'"
        " AND pg_catalog.pg_table_is_visible(c.oid) AND n.nspname <> 'pg_catalog'"
    ),
}
"""What asks for the names of tables, by the engine's name; of another engine nothing is asked."""
RECORDS: Final = f"SELECT collection, fingerprint, temporary FROM {RECORDED.name}"


async def is_as_wanted(session: Session, engine: str, tables: Sequence[Table]) -> bool:
    """Whether every table is there and remembered as it is wanted, and no migration has ever run.

    Where it says False somebody has to look closer; it may be as wanted all the same.
    """
    query = NAMES.get(engine)
    if query is None:
        return False
    names = {name for (name,) in await session.fetch(query, (), PLAIN)}
    if RECORDED.name not in names or RAN.name in names or not names.issuperset(table.name for table in tables):
        return False
    records = {
        name: (fingerprint, temporary) for name, fingerprint, temporary in await session.fetch(RECORDS, (), PLAIN)
    }
    return all(records.get(table.name) == (fingerprint_of(table), False) for table in tables)
