"""How SQLite changes a table that it cannot alter: a new one, the rows moved over, the old one dropped.

As https://www.sqlite.org/lang_altertable.html, section 7, has it. Foreign keys must not be enforced meanwhile, for
dropping the old table would delete what leads to its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final

import attrs
from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    Connection,
    Constraint,
    Dialect,
    ForeignKeyConstraint,
    MetaData,
    Table,
    UniqueConstraint,
)
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import NullType, UserDefinedType

PREFIX: Final = "objectkernel_new_"
KEPT: Final = """
    SELECT name, sql FROM sqlite_schema
    WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY name
"""
UNIQUE: Final = """
    SELECT one.name, part.name FROM pragma_index_list(?) AS one, pragma_index_info(one.name) AS part
    WHERE one.origin = 'u' ORDER BY one.seq, part.seqno
"""
FOREIGN: Final = """
    SELECT id, "table" AS target, "from" AS "column", on_delete, on_update,
    coalesce("to", (SELECT name FROM pragma_table_info(lead."table") WHERE pk = lead.seq + 1)) AS "key"
    FROM pragma_foreign_key_list(?) AS lead ORDER BY id, seq
"""


class Untyped(UserDefinedType[Any]):
    """The type of a column that was declared without one, as SQLite allows."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return ""


@attrs.frozen
class Other:
    """A constraint that is neither a schema's nor ours: it stays.

    Attributes:
        columns: those that it is over; none where that is not known.
        leads: whether it is a foreign key.
        make: makes it once more.
    """

    columns: tuple[str, ...]
    make: Callable[[], Constraint]
    leads: bool = False


@attrs.frozen
class Rebuild:
    """How one table is made anew.

    Attributes:
        table: as it shall be.
        leftover: the columns that no schema has any more.
        others: the constraints that stay beside those of the schemas.
        kept: the statements that make its present indexes and triggers again, each with the columns that it is over.
    """

    table: Table
    leftover: tuple[Column[object], ...]
    others: tuple[Other, ...]
    kept: tuple[tuple[str, frozenset[str]], ...]
    dialect: Dialect

    def statements(self, dropped: frozenset[str]) -> list[str]:
        """The statements, in order; run when every new column is there already.

        Args:
            dropped: the leftover columns that are left out.
        """
        new = self._new(dropped)
        quote = self.dialect.identifier_preparer.quote
        old_name, new_name = quote(new.name), quote(PREFIX + new.name)
        columns = ", ".join(quote(column.name) for column in new.columns if column.computed is None)
        create = str(CreateTable(new).compile(dialect=self.dialect)).strip()
        carried = [
            f"DELETE FROM sqlite_sequence WHERE name = '{PREFIX}{new.name}'",
            "INSERT INTO sqlite_sequence (name, seq) "
            f"SELECT '{PREFIX}{new.name}', seq FROM sqlite_sequence WHERE name = '{new.name}'",
        ]
        return [
            "PRAGMA legacy_alter_table = ON",  # what leads to the table goes on leading to its name
            create.replace(f"CREATE TABLE {old_name}", f"CREATE TABLE {new_name}", 1),
            f"INSERT INTO {new_name} ({columns}) SELECT {columns} FROM {old_name}",
            *(carried if new.dialect_options["sqlite"]["autoincrement"] else ()),
            f"DROP TABLE {old_name}",
            f"ALTER TABLE {new_name} RENAME TO {old_name}",
            "PRAGMA legacy_alter_table = OFF",
            *(sql for sql, columns in self.kept if columns.isdisjoint(dropped)),
        ]

    def _new(self, dropped: frozenset[str]) -> Table:
        new = self.table.to_metadata(MetaData())
        new.indexes.clear()
        for column in self.leftover:
            if column.name not in dropped:
                new.append_column(_again(column))
        for other in self.others:
            if dropped.isdisjoint(other.columns):
                new.append_constraint(other.make())
        _stand_in(new)
        return new


def _again(column: Column[Any]) -> Column[Any]:
    """A reflected column for a new table; there it may be empty, unless it fills itself."""
    type = Untyped() if isinstance(column.type, NullType) else column.type
    if column.computed is not None:
        return Column(column.name, type, Computed(column.computed.sqltext, column.computed.persisted))
    default = getattr(column.server_default, "arg", None)
    return Column(column.name, type, server_default=default, nullable=column.nullable or default is None)


def rebuild_of(
    connection: Connection, wanted: Table, found: Table, own: Collection[str], stale: Collection[str]
) -> Rebuild:
    """How `found`, as it was reflected, is made anew as `wanted`.

    Args:
        own: names of constraints that are ours, to be left out unless `wanted` has them.
        stale: names of the indexes that shall not come back.
    """
    leftover = tuple(column for column in found.columns if column.name not in wanted.columns)
    over = {index.name: frozenset(column.name for column in index.columns) for index in found.indexes}
    made = connection.exec_driver_sql(KEPT, (wanted.name,)).all()
    kept = tuple((sql, over.get(name, frozenset())) for name, sql in made if name not in stale)
    ours = [*wanted.constraints, *(one for one in found.constraints if one.name in own)]
    handled = {_shape(one) for one in ours}
    made_with = (*_uniques(connection, wanted.name), *_foreign_keys(connection, wanted.name))
    checks = (
        Other((), partial(CheckConstraint, one.sqltext, name=one.name))
        for one in found.constraints
        if isinstance(one, CheckConstraint)
    )
    others = (*(one for one in made_with if (one.leads, frozenset(one.columns)) not in handled), *checks)
    return Rebuild(wanted, leftover, others, kept, connection.dialect)


def _shape(constraint: Constraint) -> tuple[bool, frozenset[str]]:
    """What two constraints have in common that are over the same: whether they lead elsewhere, and the columns."""
    if isinstance(constraint, ForeignKeyConstraint):
        return True, frozenset(constraint.column_keys)
    return False, frozenset(column.name for column in getattr(constraint, "columns", ()))


def _uniques(connection: Connection, table: str) -> list[Other]:
    """Those that the table was made with; reflection misses some that have no name."""
    columns: dict[str, list[str]] = {}
    for index, column in connection.exec_driver_sql(UNIQUE, (table,)):
        columns.setdefault(index, []).append(column)
    return [Other(tuple(names), partial(UniqueConstraint, *names)) for names in columns.values()]


def _foreign_keys(connection: Connection, table: str) -> list[Other]:
    """Those that the table was made with; reflection misses what some of them do on delete."""
    parts: dict[int, list[Any]] = {}
    for row in connection.exec_driver_sql(FOREIGN, (table,)):
        parts.setdefault(row.id, []).append(row)
    others = []
    for rows in parts.values():
        names, targets = [row.column for row in rows], [f"{row.target}.{row.key}" for row in rows]
        first = rows[0]
        make = partial(ForeignKeyConstraint, names, targets, ondelete=first.on_delete, onupdate=first.on_update)
        others.append(Other(tuple(names), make, leads=True))
    return others


def _stand_in(table: Table) -> None:
    """Let the targets of foreign keys be in the table's metadata: of each no more is needed than its name."""
    for key in [key for constraint in table.foreign_key_constraints for key in constraint.elements]:
        name, column = key.target_fullname.rsplit(".", 1)
        if name != table.name:
            Table(name, table.metadata, Column(column), extend_existing=True)
