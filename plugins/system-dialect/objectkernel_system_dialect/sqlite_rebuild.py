"""How SQLite changes a table that it cannot alter: a new one, the rows moved over, the old one dropped.

As https://www.sqlite.org/lang_altertable.html, section 7, has it. Foreign keys must not be enforced meanwhile, for
dropping the old table would delete what leads to its rows.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import attrs
from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Constraint,
    Dialect,
    ForeignKeyConstraint,
    MetaData,
    Table,
    UniqueConstraint,
)
from sqlalchemy.schema import CreateTable

PREFIX: Final = "objectkernel_new_"
KEPT: Final = """
    SELECT name, sql FROM sqlite_schema
    WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY name
"""


@attrs.frozen
class Rebuild:
    """How one table is made anew.

    Attributes:
        table: as it shall be.
        leftover: the columns that no schema has any more.
        constraints: those that neither a schema nor we have made: of the leftover columns, checks, people's own.
        kept: the statements that make its present indexes and triggers again, each with the columns that it is over.
    """

    table: Table
    leftover: tuple[Column[object], ...]
    constraints: tuple[Constraint, ...]
    kept: tuple[tuple[str, frozenset[str]], ...]
    dialect: Dialect

    def statements(self, dropped: Collection[str]) -> list[str]:
        """The statements, in order; run when every new column is there already.

        Args:
            dropped: the leftover columns that are left out.
        """
        new = self._new(dropped)
        quote = self.dialect.identifier_preparer.quote
        old_name, new_name = quote(new.name), quote(PREFIX + new.name)
        columns = ", ".join(quote(column.name) for column in new.columns)
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

    def _new(self, dropped: Collection[str]) -> Table:
        new = self.table.to_metadata(MetaData())
        new.indexes.clear()
        _stand_in(new, *new.foreign_key_constraints)
        for column in self.leftover:
            if column.name not in dropped:
                default = column.server_default
                new.append_column(
                    Column(column.name, column.type, server_default=getattr(default, "arg", None), nullable=True)
                )
        for constraint in self.constraints:
            if not any(column.name in dropped for column in getattr(constraint, "columns", ())):
                _append(new, constraint)
        return new


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
    return Rebuild(wanted, leftover, tuple(_others(wanted, found, own)), kept, connection.dialect)


def _others(wanted: Table, found: Table, own: Collection[str]) -> list[Constraint]:
    """The constraints of a reflected table that are to stay as they are."""
    keys = {_columns(one) for one in wanted.constraints if isinstance(one, UniqueConstraint)}
    leads = {_columns(one) for one in wanted.foreign_key_constraints}
    keys.add(tuple(sorted(column.name for column in wanted.primary_key)))
    others: list[Constraint] = []
    for one in found.constraints:
        if one.name in own:
            continue
        if (
            isinstance(one, CheckConstraint)
            or (isinstance(one, UniqueConstraint) and _columns(one) not in keys)
            or (isinstance(one, ForeignKeyConstraint) and _columns(one) not in leads)
        ):
            others.append(one)
    return others


def _columns(constraint: UniqueConstraint | ForeignKeyConstraint) -> tuple[str, ...]:
    return tuple(sorted(column.name for column in constraint.columns))


def _append(table: Table, constraint: Constraint) -> None:
    if isinstance(constraint, UniqueConstraint):
        table.append_constraint(UniqueConstraint(*constraint.columns.keys(), name=constraint.name))
    elif isinstance(constraint, ForeignKeyConstraint):
        targets = [element.target_fullname for element in constraint.elements]
        table.append_constraint(
            ForeignKeyConstraint(
                constraint.column_keys,
                targets,
                name=constraint.name,
                ondelete=constraint.ondelete,
                onupdate=constraint.onupdate,
            )
        )
        _stand_in(table, constraint)
    elif isinstance(constraint, CheckConstraint):
        table.append_constraint(CheckConstraint(constraint.sqltext, name=constraint.name))


def _stand_in(table: Table, *constraints: ForeignKeyConstraint) -> None:
    """Let the targets of foreign keys be in the table's metadata: of each no more is needed than its name."""
    for constraint in constraints:
        for element in constraint.elements:
            name, column = element.target_fullname.rsplit(".", 1)
            if name != table.name:
                Table(name, table.metadata, Column(column), extend_existing=True)
