"""Running data migrations: which are due on a database, what they are given, and the record of those that ran."""

from __future__ import annotations

import json
import traceback
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import attrs
from objectkernel.errors import KernelError, nearest
from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    Table,
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from objectkernel_system_dialect.errors import MigrationFailed, SchemaInvalid, SchemaNewer
from objectkernel_system_dialect.migrations import Migration
from objectkernel_system_dialect.schema import Field
from objectkernel_system_dialect.schema_record import counting, read_records, rename_record
from objectkernel_system_dialect.stored import Stored

RAN: Final = Table(
    "objectkernel_migrations",
    MetaData(),
    Column("plugin", Stored(Field("string", length=63)), primary_key=True),
    Column("number", Stored(Field("integer")), primary_key=True, autoincrement=False),
    Column("summary", Stored(Field("text")), nullable=False),
    Column("collections", Stored(Field("text")), nullable=False),  # JSON
    Column("applied_at", Stored(Field("datetime")), nullable=False),
)


LIBRARIES: Final = ("sqlalchemy", "alembic", Path(__file__).parent.name)
"""Names in the paths of code that a migration calls, and that is not its own."""


@attrs.frozen
class Ran:
    """A migration that a database has behind it."""

    plugin: str
    number: int
    summary: str
    collections: tuple[str, ...]
    applied_at: datetime


class MigrationStep:
    """What a migration has at hand: the connection, within its transaction, and what SQL has no one word for."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        """SQLAlchemy's, to read and write with; neither committed nor rolled back by a migration."""

    def table(self, collection: str) -> Table:
        """The table as it lies in the database now, by reflection: its values are the database's own."""
        return Table(collection, MetaData(), autoload_with=self.connection, resolve_fks=False)

    def rename_field(self, collection: str, old: str, new: str) -> None:
        """Give a column another name; where that was done, or the table is not there, nothing happens."""
        if collection not in self._tables():
            return
        columns = {column["name"] for column in inspect(self.connection).get_columns(collection)}
        if old not in columns:
            return
        from alembic.migration import MigrationContext
        from alembic.operations import Operations

        column = self.table(collection).columns[old]
        Operations(MigrationContext.configure(self.connection)).alter_column(
            collection,
            old,
            new_column_name=new,
            existing_type=column.type,
            existing_nullable=column.nullable,
            existing_server_default=column.server_default,
            existing_comment=column.comment,
            **counting(self.connection, column),
        )
        self._rename(collection, collection, {old: new})

    def rename_collection(self, old: str, new: str) -> None:
        """Give a table another name; where that was done, or it is not there, nothing happens."""
        if old not in self._tables():
            return
        from alembic.migration import MigrationContext
        from alembic.operations import Operations

        Operations(MigrationContext.configure(self.connection)).rename_table(old, new)
        self._rename(old, new, {})

    def _tables(self) -> list[str]:
        return inspect(self.connection).get_table_names()

    def _rename(self, old: str, new: str, columns: dict[str, str]) -> None:
        tables = self._tables()
        record = read_records(self.connection, [*tables, old]).get(old)
        if record is not None:
            shape = {columns.get(name, name): kind for name, kind in record.shape.items()}
            rename_record(self.connection, old, new, shape)


def check_migrations(migrations: Sequence[Migration]) -> None:
    """Refuse migrations of which two have one number.

    Raises:
        SchemaInvalid: with every number that is used twice.
    """
    counts = Counter((one.plugin, one.number) for one in migrations)
    twice = [f"{plugin} has two migrations of the number {number}" for (plugin, number), n in counts.items() if n > 1]
    if twice:
        raise SchemaInvalid(
            "migrations have no order", why=twice, fix="number them from 1 on, each once", problems=tuple(twice)
        )


def read_ran(connection: Connection, names: Collection[str]) -> list[Ran]:
    """The migrations that a database has behind it, in their order.

    Args:
        names: of the tables that the database has.
    """
    if RAN.name not in names:
        return []
    rows = connection.execute(select(RAN).order_by(RAN.c.plugin, RAN.c.number)).all()
    return [
        Ran(row.plugin, row.number, row.summary, tuple(json.loads(row.collections)), row.applied_at) for row in rows
    ]


def due(migrations: Iterable[Migration], ran: Sequence[Ran], collections: Collection[str]) -> list[Migration]:
    """The migrations of the tables named that a database has not behind it, in their order.

    Raises:
        SchemaNewer: it has one behind it that comes after all of its plugin's. Those of a plugin that has none here at
            all are left alone: it was removed.
    """
    known = list(migrations)
    last = {plugin: max(one.number for one in known if one.plugin == plugin) for plugin in plugins_of(known)}
    beyond = [
        one
        for one in ran
        if one.plugin in last and one.number > last[one.plugin] and set(one.collections) & set(collections)
    ]
    if beyond:
        raise SchemaNewer(
            "the database is newer than this program",
            why=[f"it has migration {one.number} of {one.plugin} behind it: {one.summary}" for one in beyond],
            fix="run the version that made it, or a later one; or restore a backup from before",
            migrations=tuple((one.plugin, one.number) for one in beyond),
        )
    behind = {(one.plugin, one.number) for one in ran}
    waiting = [
        one for one in known if (one.plugin, one.number) not in behind and set(one.collections) & set(collections)
    ]
    return sorted(waiting, key=lambda one: (one.plugin, one.number))


def plugins_of(migrations: Iterable[Migration]) -> frozenset[str]:
    """Names of the plugins that have migrations."""
    return frozenset(one.plugin for one in migrations)


def astray(migrations: Iterable[Migration], ran: Sequence[Ran], collections: Collection[str]) -> list[Migration]:
    """The migrations that never ran and never will as things are: no entity has a table of theirs.

    Args:
        collections: names of the tables of all entities of the host.
    """
    behind = {(one.plugin, one.number) for one in ran}
    lost = [one for one in migrations if (one.plugin, one.number) not in behind]
    return sorted(
        (one for one in lost if not set(one.collections) & set(collections)),
        key=lambda one: (one.plugin, one.number),
    )


def run(connection: Connection, migration: Migration, names: Collection[str]) -> list[str]:
    """Run a migration and record it, or record it alone where no table of its is there; returns what was done.

    Args:
        names: of the tables that the database had before any was made.

    Raises:
        MigrationFailed: its function raised an error that is none of ours.
    """
    wanted = not set(names).isdisjoint(migration.collections)
    if wanted:
        try:
            migration.apply(MigrationStep(connection))
        except KernelError:
            raise
        except Exception as error:
            raise _failed(migration, error, names) from (None if isinstance(error, SQLAlchemyError) else error)
    if RAN.name not in inspect(connection).get_table_names():
        RAN.create(connection)
    connection.execute(
        insert(RAN).values(
            plugin=migration.plugin,
            number=migration.number,
            summary=migration.summary,
            collections=json.dumps(migration.collections),
            applied_at=datetime.now(UTC),
        )
    )
    keep(connection)
    return [told(migration)] if wanted else []


def keep(connection: Connection) -> None:
    """Commit what was done up to here where a change of tables ends every transaction anyway."""
    if connection.dialect.name in ("mysql", "mariadb"):
        connection.exec_driver_sql("COMMIT")


def told(migration: Migration) -> str:
    """A migration for a list of steps."""
    return f"run migration {migration.number} of {migration.plugin}: {migration.summary}"


def _failed(migration: Migration, error: Exception, names: Collection[str]) -> MigrationFailed:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if set(LIBRARIES).isdisjoint(Path(frame.filename).parts)
    ]
    own = [frame for frame in frames if frame.filename == frames[0].filename]  # the first is the function's
    where: Any = own[-1] if own else None
    why, fix = f"its function raised {type(error).__name__}", "correct it, or what it stumbled over"
    if isinstance(error, NoSuchTableError):
        why = f"{why}: the database has no table {str(error)!r}"
        fix = f"did you mean {near[0]!r}? Correct it" if (near := nearest(str(error), names, 1)) else fix
    return MigrationFailed(
        f"migration {migration.number} of {migration.plugin} failed: {migration.summary}",
        where=f"{where.filename}:{where.lineno}" if where is not None else "",
        why=why,
        fix=f"{fix}; it runs again at the next start",
        plugin=migration.plugin,
        number=migration.number,
    )
