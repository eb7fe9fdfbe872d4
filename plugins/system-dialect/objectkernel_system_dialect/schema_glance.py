"""A glance at a database before work on its schema begins: most boots find every table as it is wanted.

It goes the driver's own way, on a connection of the pool: work on the schema connects anew, holds a lock, and has
SQLAlchemy find out again what kind of server there is. A host with many small databases does that for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, Protocol, cast, runtime_checkable
from weakref import WeakKeyDictionary

from sqlalchemy import Table

from objectkernel_system_dialect.engine import Engine
from objectkernel_system_dialect.executor import Session
from objectkernel_system_dialect.schema_record import fingerprint_of

_fingerprints: Final[WeakKeyDictionary[Table, str]] = WeakKeyDictionary()
"""Those of tables of entities, which are never changed."""


@runtime_checkable
class Glances(Protocol):
    """What an engine has beside whose database can be asked in a few words whether its tables are as wanted."""

    def glance(self, wanted: Mapping[str, str]) -> str | None:
        """The statement that finds as many rows as there are names in `wanted`, if each of them is that of a table that
        is there and remembered with its fingerprint, and no migration has ever run.

        It gives no values, so that a driver need not prepare it.

        Args:
            wanted: fingerprints by the names of tables, both of lower case letters, digits and ``_``.

        Returns:
            None: when it was opened the database remembered nothing.
        """
        ...


async def is_as_wanted(session: Session, engine: Engine, tables: Sequence[Table]) -> bool:
    """Whether every table is there and remembered as it is wanted, and no migration has ever run.

    Where it says False somebody has to look closer; it may be as wanted all the same.

    Args:
        tables: those of entities and of their links, each with a name of its own.
    """
    if not _glances(type(engine)):
        return False
    statement = cast("Glances", engine).glance({table.name: _fingerprint(table) for table in tables})
    return statement is not None and await session.change(statement, ()) == len(tables)


@lru_cache(maxsize=16)
def _glances(engine: type[object]) -> bool:
    """Whether engines of a class glance: to look at a protocol takes its time."""
    return issubclass(engine, Glances)


def _fingerprint(table: Table) -> str:
    found = _fingerprints.get(table)
    if found is None:
        found = _fingerprints[table] = fingerprint_of(table)
    return found
