"""The steps from one table, as it lies in a database, to what its schemas want."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from alembic.operations import ops
from alembic.operations.ops import MigrateOperation
from sqlalchemy import Column, Connection, Inspector, Table
from sqlalchemy.types import TypeDecorator

from objectkernel_system_dialect.schema import TIMESTAMPS, VERSION, EntitySchema
from objectkernel_system_dialect.schema_plan import FillOp, Step
from objectkernel_system_dialect.schema_record import Record, Shape, counting, shape_of
from objectkernel_system_dialect.schema_types import Change, change_of_decimal, change_of_type, type_name
from objectkernel_system_dialect.sqlite_rebuild import Rebuild, rebuild_of
from objectkernel_system_dialect.stored import Stored
from objectkernel_system_dialect.stored_rows import StoredRows
from objectkernel_system_dialect.tables import unique_keys

OWN_CONSTRAINT: Final = re.compile(r"(?:uq|fk)_.*_[0-9a-f]{10}")
OWN_KEY: Final = re.compile(r"uq_.*_[0-9a-f]{10}")
OWN_INDEX: Final = re.compile(r"(?:ix|ux)_.*_[0-9a-f]{10}")
"""How `tables` names what it makes; what bears another name is people's own and stays."""
READABLE: Final = frozenset(
    {
        ("array", "json"),
        ("boolean", "integer"),
        ("enum", "string"),
        ("enum", "text"),
        ("integer", "sequence"),
        ("sequence", "integer"),
        ("string", "enum"),
        ("string", "text"),
        ("text", "string"),
        ("uuid", "string"),
        ("uuid", "text"),
    }
)
"""Changes of a field's type, old and new, after which stored values of the same column type mean what they did."""
NO_VALUE: Final = object()
LONGEST_KEY: Final = 3072
"""Bytes of an index of MariaDB's; a character has four."""
MIGRATE: Final = "a data migration can bring the values over"


class TableDifferences:
    """One table, wanted and found.

    Args:
        record: what the database remembers of it; None for a table that we have not made.
    """

    def __init__(
        self, connection: Connection, inspector: Inspector, wanted: Table, found: Table, record: Record | None
    ) -> None:
        self._connection = connection
        self._rows = StoredRows(connection, inspector, wanted, found)
        self._wanted = wanted
        self._found = found
        self._shape: Shape = {} if record is None else record.shape
        self._name = wanted.name
        self._is_sqlite = connection.dialect.name == "sqlite"
        self._heeds_no_case = connection.dialect.name in ("sqlite", "mysql", "mariadb")
        own = {str(index.name) for index in found.indexes if OWN_INDEX.fullmatch(str(index.name))}
        own |= self._left_keys(wanted, found)
        self._stale = sorted(own.difference(str(index.name) for index in wanted.indexes))
        self._keys = _found_keys(found)
        computed = ((column.name, column.computed) for column in found.columns)
        self._opaque = [name for name, how in computed if how is not None and not str(how.sqltext)]

    def _left_keys(self, wanted: Table, found: Table) -> set[str]:
        """The unique keys of ours that no schema has any more, on MariaDB, where they are indexes and nothing else."""
        if self._connection.dialect.name not in ("mysql", "mariadb"):
            return set()
        keys = unique_keys(wanted)
        named = ((str(index.name), tuple(sorted(column.name for column in index.columns))) for index in found.indexes)
        return {name for name, columns in named if OWN_KEY.fullmatch(name) and columns not in keys}

    def rebuild(self) -> Rebuild:
        """How SQLite makes this table anew."""
        own = {str(one.name) for one in self._found.constraints if OWN_CONSTRAINT.fullmatch(str(one.name))}
        return rebuild_of(self._connection, self._wanted, self._found, own, self._stale)

    def steps(self, differences: Sequence[MigrateOperation]) -> Iterator[Step]:
        """A step for each difference that alembic has found and that is one, for each index, and for the key."""
        for one in differences:
            match one:
                case ops.AddColumnOp(column=column):
                    yield self._added(self._wanted.columns[column.name])
                case ops.AlterColumnOp(column_name=name):
                    yield from self._altered(one, self._wanted.columns[name], self._found.columns[name])
                case ops.DropColumnOp(column_name=name):
                    yield from self._left(self._found.columns[name])
                case ops.CreateUniqueConstraintOp(columns=names):
                    if tuple(sorted(map(str, names))) not in self._keys:
                        yield self._made_unique(tuple(map(str, names)), one)
                case ops.CreateForeignKeyOp():
                    yield self._led(one)
                case ops.DropConstraintOp(constraint_name=name) if OWN_CONSTRAINT.fullmatch(str(name)):
                    yield from self._freed(one)
        yield from self._key()
        yield from self._indexes()
        yield from self._values()

    # --- columns -----------------------------------------------------------------------------------------

    def _added(self, column: Column[Any]) -> Step:
        """A new column: at first without values, then filled, then required."""
        text = f"add the column {self._told(column)}"
        if column.primary_key:
            return self._step(text, obstacle=f"it belongs to the key of a table that is there; {MIGRATE}")
        if self._heeds_no_case and (other := self._found_as(column.name)) is not None:
            return self._step(text, obstacle=f"it is there as {other}: a data migration before can rename it")
        plain = Column(column.name, column.type, nullable=True)
        add = ops.AddColumnOp(self._name, plain)
        if column.nullable:
            return self._step(text, add)
        if not self._rows.any():
            return self._step(f"{text}, required", add, *self._required(plain, plain.type), rebuilds=self._is_sqlite)
        value = self._value(column)
        if value is NO_VALUE:
            return self._step(
                f"{text}, required",
                obstacle="the table has rows, which would have no value in it: give the field a default that is a "
                "value, or add it as optional first and fill it by a data migration",
            )
        return self._step(
            f"{text}, required, and give the rows its default",
            add,
            FillOp(column, value),
            *self._required(plain, plain.type),
            rebuilds=self._is_sqlite,
        )

    def _altered(self, found: ops.AlterColumnOp, wanted: Column[Any], reflected: Column[Any]) -> Iterator[Step]:
        change = change_of_type(reflected.type, wanted.type, self._connection.dialect)
        retyped = found.modify_type is not None
        # MariaDB changes all of a column or nothing: what is made narrower when asked for, if ever, comes last.
        wider = retyped and change != "narrower"
        if wider:
            yield self._retyped(wanted, reflected, change, nullable=reflected.nullable)
        kept = wanted.type if wider else reflected.type
        if found.modify_nullable is True:
            yield self._relaxed(reflected, kept, f"let {self._name}.{wanted.name} be empty")
        elif found.modify_nullable is False:
            yield self._tightened(wanted, reflected, kept)
        if retyped and not wider:
            yield self._retyped(wanted, reflected, change, nullable=wanted.nullable)

    def _retyped(self, wanted: Column[Any], reflected: Column[Any], change: Change, *, nullable: bool | None) -> Step:
        dialect = self._connection.dialect
        old, new = type_name(reflected.type, dialect), type_name(wanted.type, dialect)
        text = f"make the column {self._name}.{wanted.name} {new} (it is {old})"
        if change == "other":
            return self._step(text, obstacle=f"no database knows what its values are then; {MIGRATE}")
        alter = self._alter(reflected, reflected.type, nullable, modify_type=wanted.type)
        return self._step(text, alter, destructive=change == "narrower")

    def _relaxed(self, column: Column[Any], type: Any, text: str) -> Step:
        alter = self._alter(column, type, False, modify_nullable=True)
        return self._step(text, *([] if self._is_sqlite else [alter]), rebuilds=self._is_sqlite)

    def _tightened(self, wanted: Column[Any], reflected: Column[Any], type: Any) -> Step:
        text = f"require the column {self._name}.{wanted.name}"
        if not self._rows.any(reflected.is_(None)):
            return self._step(text, *self._required(reflected, type), rebuilds=self._is_sqlite)
        value = self._value(wanted)
        if value is NO_VALUE:
            return self._step(
                text,
                obstacle="rows have no value in it: give the field a default that is a value, or fill it by a data "
                "migration before",
            )
        return self._step(
            f"{text}, and give rows without a value its default",
            FillOp(wanted, value),
            *self._required(reflected, type),
            rebuilds=self._is_sqlite,
        )

    def _left(self, reflected: Column[Any]) -> Iterator[Step]:
        """A column that no schema has: it stays, but hinders no row."""
        if reflected.primary_key:
            return  # the key tells
        place = f"{self._name}.{reflected.name}"
        if not reflected.nullable and reflected.server_default is None:
            yield self._relaxed(reflected, reflected.type, f"let {place} be empty, which no schema has any more")
        drop = ops.DropColumnOp(self._name, reflected.name)
        yield self._step(
            f"drop the column {place}, which no schema has any more, with its values",
            *([] if self._is_sqlite else [drop]),
            destructive=True,
            rebuilds=self._is_sqlite,
            drops=reflected.name,
        )

    def _required(self, column: Column[Any], type: Any) -> list[MigrateOperation]:
        return [] if self._is_sqlite else [self._alter(column, type, True, modify_nullable=False)]

    def _alter(self, column: Column[Any], type: Any, nullable: bool | None, **changes: Any) -> ops.AlterColumnOp:
        """An operation that keeps all else of a column as it is then; MariaDB forgets what it is not told."""
        return ops.AlterColumnOp(
            self._name,
            column.name,
            existing_type=type,
            existing_nullable=nullable,
            existing_server_default=column.server_default,
            existing_comment=column.comment,
            **counting(self._connection, column),
            **changes,
        )

    def _found_as(self, name: str) -> str | None:
        """The spelling that the table has a name in."""
        return next((one.name for one in self._found.columns if one.name.lower() == name.lower()), None)

    def _value(self, column: Column[Any]) -> Any:
        """What rows get in a column that becomes required; NO_VALUE where nobody can know."""
        schemas: Sequence[EntitySchema] = self._wanted.info.get("schemas", ())
        for schema in schemas:
            if schema.timestamps and column.name in TIMESTAMPS:
                return datetime.now(UTC)
            if schema.version and column.name == VERSION:
                return 1
            if schema.discriminator is not None and column.name == schema.discriminator.field:
                return schema.discriminator.value if len(schemas) == 1 else NO_VALUE
            field = schema.all_fields.get(column.name)
            if field is not None and field.default is not None:
                return _constant(field.default)
        return NO_VALUE

    # --- keys and indexes -----------------------------------------------------------------------------------

    def _made_unique(self, names: Sequence[str], *operations: MigrateOperation, index: bool = False) -> Step:
        text = f"keep {self._name} unique by {', '.join(names)}"
        obstacle = None
        if self._rows.are_twice(names):
            obstacle = f"rows are equal in it: change them, or delete what is there twice; {MIGRATE} before"
        anew = self._is_sqlite and not index
        return self._step(text, *([] if anew else operations), obstacle=obstacle, rebuilds=anew)

    def _led(self, operation: ops.CreateForeignKeyOp) -> Step:
        (name,) = operation.local_cols
        text = f"hold {self._name}.{name} to the rows of {operation.referent_table}"
        obstacle = None
        column = self._found.columns.get(name)
        if column is not None and self._rows.lead_nowhere(column, operation.referent_table, *operation.remote_cols):
            obstacle = f"rows lead to some that are not there: change or delete them; {MIGRATE} before"
        return self._step(text, *([] if self._is_sqlite else [operation]), obstacle=obstacle, rebuilds=self._is_sqlite)

    def _freed(self, operation: ops.DropConstraintOp) -> Iterator[Step]:
        """A constraint of ours that no schema has any more."""
        constraint = next(one for one in self._found.constraints if one.name == operation.constraint_name)
        names = [column.name for column in getattr(constraint, "columns", ())]
        if operation.constraint_type == "unique" and tuple(sorted(names)) in unique_keys(self._wanted):
            return
        kind = "unique by" if operation.constraint_type == "unique" else "held to other rows by"
        yield self._step(
            f"let {self._name} no more be {kind} {', '.join(names)}",
            *([] if self._is_sqlite else [operation]),
            rebuilds=self._is_sqlite,
        )

    def _key(self) -> Iterator[Step]:
        names = tuple(column.name for column in self._wanted.primary_key)
        if tuple(sorted(names)) not in self._keys and all(name in self._found.columns for name in names):
            yield self._step(
                f"make {', '.join(names)} the key of {self._name}",
                obstacle=f"the table is there with another key, or none; {MIGRATE} to a table of another name",
            )

        for column in self._wanted.columns:
            counts = isinstance(column.type, Stored) and column.type.kind == "sequence"
            if counts and column.name in self._found.columns and not self._counts(self._found.columns[column.name]):
                yield self._step(
                    f"let {self._name}.{column.name} be counted by the database",
                    obstacle=f"the table was made without; {MIGRATE} to a table of another name",
                )

    def _counts(self, column: Column[Any]) -> bool:
        """Whether the database gives a column its next number: SQLite does so where it is the row's own."""
        if not self._is_sqlite:
            return column.autoincrement is True or column.identity is not None
        key = [one.name for one in self._found.primary_key]
        return key == [column.name] and type_name(column.type, self._connection.dialect) == "INTEGER"

    def _indexes(self) -> Iterator[Step]:
        present = {str(index.name) for index in self._found.indexes}
        for index in sorted(self._wanted.indexes, key=lambda index: str(index.name)):
            if str(index.name) in present:
                continue
            names = [column.name for column in index.columns]
            create = ops.CreateIndexOp.from_index(index)
            if self._too_long(index.columns):
                yield self._step(
                    f"index {self._name} by {', '.join(names)}",
                    obstacle=f"the database takes {LONGEST_KEY} bytes: give texts a shorter `length`, or leave one out",
                )
            elif not index.unique:
                yield self._step(f"index {self._name} by {', '.join(names)}", create)
            else:
                yield self._made_unique(names, create, index=True)
        for name in self._stale:
            drop = ops.DropIndexOp(name, self._name, if_exists=self._is_sqlite or None)  # a new table is without it
            yield self._step(f"drop the index {name}, which no schema has any more", drop)

    def _too_long(self, columns: Iterable[Column[Any]]) -> bool:
        dialect = self._connection.dialect
        if dialect.name not in ("mysql", "mariadb"):
            return False
        declared = [column.type.dialect_impl(dialect) for column in columns]
        return sum(4 * (getattr(type, "length", None) or 0) for type in declared) > LONGEST_KEY

    # --- what the values mean ---------------------------------------------------------------------------------

    def _values(self) -> Iterator[Step]:
        """Fields of another type whose column is the same: only what the database remembers tells."""
        wanted = shape_of(self._wanted)
        for name in sorted(self._shape.keys() & wanted.keys()):
            (old, *old_digits), (new, *digits) = self._shape[name], wanted[name]
            if old != new and (old, new) not in READABLE:
                if (
                    change_of_type(
                        self._found.columns[name].type, self._wanted.columns[name].type, self._connection.dialect
                    )
                    != "other"
                ):
                    yield self._step(
                        f"make {self._name}.{name} a field of type {new} (it is {old})",
                        obstacle=f"its values would mean something else; {MIGRATE}",
                    )
            elif old == new == "decimal" and self._is_sqlite and old_digits != digits:
                yield from self._rescaled(name, (old_digits[0], old_digits[1]), (digits[0], digits[1]))

    def _rescaled(self, name: str, old: tuple[int, int], new: tuple[int, int]) -> Iterator[Step]:
        """In SQLite a decimal is a whole number, and its scale known to the schema alone."""
        text = f"give {self._name}.{name} {new[0]} digits, {new[1]} of them behind the point"
        if change_of_decimal(old, new) == "narrower":
            yield self._step(text, obstacle=f"numbers may be too large or too exact for it; {MIGRATE}")
        elif old[1] != new[1]:
            quote = self._connection.dialect.identifier_preparer.quote
            column = quote(name)
            sql = f"UPDATE {quote(self._name)} SET {column} = {column} * {10 ** (new[1] - old[1])}"
            yield self._step(text, ops.ExecuteSQLOp(sql))

    # --- words -----------------------------------------------------------------------------------------------

    def _step(self, text: str, *operations: MigrateOperation, **more: Any) -> Step:
        if more.get("rebuilds") and self._opaque:
            more["obstacle"] = f"the column {self._opaque[0]} is computed in a way that cannot be read: drop it before"
        return Step(collection=self._name, text=text, operations=operations, **more)

    def _told(self, column: Column[Any]) -> str:
        type = column.type
        declared = type.load_dialect_impl(self._connection.dialect) if isinstance(type, TypeDecorator) else type
        return f"{self._name}.{column.name} ({type_name(declared, self._connection.dialect)})"


def _found_keys(table: Table) -> set[tuple[str, ...]]:
    """Every set of columns that a reflected table keeps unique, all of its rows at once."""
    keys = unique_keys(table)
    for index in table.indexes:
        partial = any(value is not None for name, value in index.dialect_kwargs.items() if name.endswith("_where"))
        if index.unique and (partial or len(index.expressions) != len(index.columns)):
            keys.discard(tuple(sorted(column.name for column in index.columns)))
    return keys


def _constant(default: Any) -> Any:
    """The default, if it is the same for all rows: a value, or what a callable makes twice alike."""
    if not callable(default):
        return default
    value = default()
    return value if value == default() else NO_VALUE
