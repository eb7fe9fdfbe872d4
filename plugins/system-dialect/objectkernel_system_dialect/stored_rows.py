"""What lies in the rows of a table that is to be changed: asked before anything is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import Column, ColumnElement, Connection, Inspector, Integer, Table, func, literal_column, select

ONE = literal_column("1", Integer)


class StoredRows:
    """The rows of one table.

    Args:
        found: the table as it lies in the database.
        wanted: as its schemas want it.
    """

    def __init__(self, connection: Connection, inspector: Inspector, wanted: Table, found: Table) -> None:
        self._connection = connection
        self._inspector = inspector
        self._wanted = wanted
        self._found = found

    def any(self, *conditions: ColumnElement[bool]) -> bool:
        """Whether there is a row that fulfils all conditions."""
        rows = select(ONE).select_from(self._found).where(*conditions).limit(1)
        return self._connection.execute(rows).first() is not None

    def are_twice(self, names: Sequence[str]) -> bool:
        """Whether rows are, or with the defaults of new columns would be, equal in what shall be unique.

        A missing value is equal to nothing.
        """
        new = [name for name in names if name not in self._found.columns]
        if any(self._wanted.columns[name].nullable for name in new):
            return False
        columns = [self._found.columns[name] for name in names if name not in new]
        rows = select(func.count()).select_from(self._found).where(*(column.is_not(None) for column in columns))
        twice = rows.group_by(*columns).having(func.count() > 1).limit(1)
        return self._connection.execute(twice).first() is not None

    def lead_nowhere(self, column: Column[Any], table: str, key: str) -> bool:
        """Whether a value of `column` is no `key` of another table; of one that is not there yet, none is."""
        lost: list[ColumnElement[bool]] = [column.is_not(None)]
        if self._inspector.has_table(table):
            target = sqlalchemy.table(table, sqlalchemy.column(key)).alias("target")
            lost.append(~select(ONE).select_from(target).where(target.c[key] == column).exists())
        return self.any(*lost)
