"""Bringing a database's tables to their schemas, as a strategy says. Everything here runs in `Executor.schema_work`.

===============  ===================================================================================================
strategy         what it does
===============  ===================================================================================================
``none``         nothing; the tables are somebody else's affair
``validate``     looks, and refuses a database that differs in anything a schema needs
``create``       makes the tables that are missing; one that is there and differs is refused
``update``       makes what is missing and changes what differs, and never loses a value
``create-drop``  as ``update``, and `drop` ends it: for tests, on a database that holds nothing else
===============  ===================================================================================================

A table of ours remembers what the others were made for. Where that is what the schemas still say, a boot asks for
the names of the tables and for this record, and looks no further.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
from sqlalchemy import Column, Connection, MetaData, Table, inspect
from sqlalchemy.exc import OperationalError

from objectkernel_system_dialect.data_plug import SchemaStrategy
from objectkernel_system_dialect.errors import SchemaForeign, SchemaOutdated
from objectkernel_system_dialect.migration_runs import (
    RAN,
    Ran,
    check_migrations,
    due,
    keep,
    plugins_of,
    read_ran,
    run,
    told,
)
from objectkernel_system_dialect.migrations import Migration
from objectkernel_system_dialect.schema_record import (
    RECORDED,
    Record,
    fingerprint_of,
    forget,
    metadata_of,
    read_records,
    write_records,
)

if TYPE_CHECKING:
    from objectkernel_system_dialect.schema_plan import Plan, Step

log = logging.getLogger("objectkernel.plugin.system-dialect")

Strategy: TypeAlias = SchemaStrategy
BOOKKEEPING: Final = frozenset({RECORDED.name, RAN.name})


@attrs.frozen
class State:
    """A database as it is.

    Attributes:
        names: of all its tables.
        records: what it remembers of tables, by name.
        ran: the migrations that it has behind it.
    """

    names: frozenset[str]
    records: Mapping[str, Record]
    ran: tuple[Ran, ...]

    @classmethod
    def read(cls, connection: Connection) -> State:
        """Ask for it: two short queries, and one more where migrations have run."""
        names = frozenset(inspect(connection).get_table_names())
        return cls(names, read_records(connection, names), tuple(read_ran(connection, names)))

    def missing(self, tables: Iterable[Table]) -> list[Table]:
        """The tables that are not there."""
        return [table for table in tables if table.name not in self.names]

    def unknown(self, tables: Iterable[Table], *, temporary: bool) -> list[Table]:
        """The tables that are there, and that are not remembered as what they shall be."""
        wanted = {table.name: (fingerprint_of(table), temporary) for table in tables if table.name in self.names}
        records = {name: (record.fingerprint, record.temporary) for name, record in self.records.items()}
        return [table for table in tables if table.name in wanted and wanted[table.name] != records.get(table.name)]


def bring_up(
    connection: Connection, tables: Sequence[Table], strategy: Strategy, *, migrations: Sequence[Migration] = ()
) -> None:
    """Do what the strategy says with the tables of all registered schemas.

    Args:
        tables: every one, and what foreign keys of theirs lead to.
        migrations: of all plugins; those are due that work on one of `tables`.

    Raises:
        SchemaOutdated: with every difference that the strategy does not, or cannot, mend; nothing was changed.
        SchemaNewer: the database has migrations behind it that come after those of their plugin in `migrations`.
        SchemaForeign: ``create-drop`` on a database with tables that it has not made.
        SchemaInvalid: migrations with one number.
        MigrationFailed: on PostgreSQL and SQLite nothing was changed, on MariaDB nothing behind it.
    """
    if strategy == "none":
        return
    tables = list({table.name: table for table in tables}.values())
    state = State.read(connection)
    check_migrations(migrations)
    waiting = due(migrations, state.ran, [table.name for table in tables])
    _tell_left(state, tables, migrations)
    if strategy == "create-drop":
        _refuse_foreign(state)
    if strategy in ("update", "create-drop"):
        done = _update(connection, tables, state, waiting, temporary=strategy == "create-drop")
        for step in done if state.names else ():  # of a database that was empty nobody asks
            log.info("schema: %s", step)
    else:
        _create(connection, tables, state, waiting, looks_only=strategy == "validate")


def plan(connection: Connection, tables: Sequence[Table], *, others: Collection[str] = ()) -> Plan:
    """What lies between the database and the tables, destructive steps among it.

    Args:
        others: names of tables that are not among `tables` and wanted all the same.
    """
    from objectkernel_system_dialect.schema_differences import plan

    return plan(connection, tables, State.read(connection).records, others)


def foreseen(
    connection: Connection, tables: Sequence[Table], *, migrations: Sequence[Migration] = ()
) -> tuple[str, ...]:
    """What `bring_up` would do as ``update``, a sentence each; nothing is changed.

    What migrations that are due would do to tables is not known: the rest is said of the tables as they are.

    Raises:
        as `bring_up` does, of what it would refuse.
    """
    state = State.read(connection)
    check_migrations(migrations)
    waiting = due(migrations, state.ran, [table.name for table in tables])
    lines = [told(migration) for migration in waiting if set(migration.collections) & state.names]
    if state.unknown(tables, temporary=False):
        _, steps = _steps(connection, tables, state)
        return (*lines, *(step.text for step in steps))
    return (*lines, *(f"create the table {table.name}" for table in state.missing(tables)))


def apply(
    connection: Connection,
    tables: Sequence[Table],
    *,
    migrations: Sequence[Migration] = (),
    destructive: bool = False,
    others: Collection[str] = (),
) -> tuple[str, ...]:
    """Bring a database up as ``update`` does, after looking closely; returns what was done, a sentence each.

    Args:
        destructive: also make the steps that lose data.
        others: as for `plan`.

    Raises:
        as `bring_up` does.
    """
    tables = list({table.name: table for table in tables}.values())
    state = State.read(connection)
    check_migrations(migrations)
    waiting = due(migrations, state.ran, [table.name for table in tables])
    return _update(connection, tables, state, waiting, closely=True, destructive=destructive, others=others)


def drop(connection: Connection) -> None:
    """Drop every table that ``create-drop`` has made, and what is remembered of them."""
    state = State.read(connection)
    made = {name for name, record in state.records.items() if record.temporary}
    alone = made.union(BOOKKEEPING) >= state.names
    drop_named(connection, state.names.intersection(made | BOOKKEEPING if alone else made))
    if not alone:
        forget(connection, sorted(made))


def drop_named(connection: Connection, names: Collection[str]) -> None:
    """Drop tables that are there, whichever of them lead to each other."""
    metadata = MetaData()
    metadata.reflect(connection, only=lambda name, _: name in names, resolve_fks=False)
    tables = list(metadata.tables.values())
    if connection.dialect.name == "sqlite":  # which minds no order
        for table in tables:
            table.drop(connection, checkfirst=False)
        return
    for key in [key for table in tables for key in table.foreign_keys]:
        target, column = key.target_fullname.rsplit(".", 1)
        if target not in metadata.tables:  # it stays: a stand-in is enough to tell the order
            Table(target, metadata, Column(column))
    metadata.drop_all(connection, tables, checkfirst=False)


def _update(
    connection: Connection,
    tables: Sequence[Table],
    state: State,
    waiting: Sequence[Migration],
    *,
    temporary: bool = False,
    closely: bool = False,
    destructive: bool = False,
    others: Collection[str] = (),
) -> tuple[str, ...]:
    """Run migrations and bring the tables up.

    Args:
        waiting: the migrations that are due.
        temporary: what is made is ``create-drop``'s.
        closely: compare the tables even if they are remembered as they shall be.
    """
    done: list[str] = []
    for migration in waiting:
        if migration.when == "before":
            done += run(connection, migration, state.names)
            state = State.read(connection)
    behind = [migration for migration in waiting if migration.when == "after"]
    for migration in behind:  # one without tables counts as run before they are made: it does not fit new ones
        if state.names.isdisjoint(migration.collections):
            run(connection, migration, state.names)
    missing, unknown = state.missing(tables), state.unknown(tables, temporary=temporary)
    if unknown or closely:
        done += _change(connection, tables, state, destructive=destructive, others=others)
    else:
        done += [f"create the table {table.name}" for table in missing]
        _make(connection, tables, missing)
    for migration in behind:
        if not state.names.isdisjoint(migration.collections):
            done += run(connection, migration, state.names)
    if missing or unknown:
        try:
            write_records(connection, [*missing, *unknown], temporary=temporary, first=RECORDED.name not in state.names)
        except OperationalError as error:
            if done or not getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_READONLY"):
                raise
            log.info("schema: the tables are as wanted; the database cannot be written, and will not remember it")
        keep(connection)
    return tuple(done)


def _make(connection: Connection, tables: Sequence[Table], missing: Sequence[Table]) -> None:
    """Make tables, with alembic never imported: most databases of tests are made by this alone."""
    if connection.dialect.name == "sqlite":  # which minds no order
        for table in missing:
            table.create(connection, checkfirst=False)
    elif missing:
        metadata = metadata_of(tables)
        metadata.create_all(connection, [metadata.tables[table.name] for table in missing], checkfirst=False)


def _change(
    connection: Connection, tables: Sequence[Table], state: State, *, destructive: bool, others: Collection[str]
) -> list[str]:
    from objectkernel_system_dialect.schema_plan import apply

    planned, steps = _steps(connection, tables, state, destructive=destructive, others=others)
    apply(connection, planned, destructive=destructive)
    forget(connection, [step.collection for step in steps if step.collection not in {one.name for one in tables}])
    return [step.text for step in steps]


def _steps(
    connection: Connection,
    tables: Sequence[Table],
    state: State,
    *,
    destructive: bool = False,
    others: Collection[str] = (),
) -> tuple[Plan, tuple[Step, ...]]:
    """A plan, and the steps of it to make.

    Raises:
        SchemaOutdated: there is an obstacle to one of them.
    """
    from objectkernel_system_dialect.schema_differences import plan
    from objectkernel_system_dialect.schema_plan import described

    planned = plan(connection, tables, state.records, others)
    steps = planned.chosen(destructive=destructive)
    if any(step.obstacle is not None for step in steps):
        raise _outdated(
            described(step for step in steps if step.obstacle is not None),
            "do what each line says; no step was made",
        )
    return planned, steps


def _create(
    connection: Connection,
    tables: Sequence[Table],
    state: State,
    waiting: Sequence[Migration],
    *,
    looks_only: bool,
) -> None:
    """Make the tables that are missing, or none; refuse what differs."""
    missing = state.missing(tables)
    looked_at = tables if looks_only else state.unknown(tables, temporary=False)
    differences = [told(migration) for migration in waiting if set(migration.collections) & state.names]
    if looked_at:
        from objectkernel_system_dialect.schema_differences import plan
        from objectkernel_system_dialect.schema_plan import described

        skipped = () if looks_only else tuple(table.name for table in missing)
        steps = plan(connection, tables, {}).safe
        differences += described(step for step in steps if step.collection not in skipped)
    if differences:
        raise _outdated(
            differences,
            "`objectkernel schema apply` makes these changes; the strategy `update` makes them at every start",
        )
    if not looks_only:
        _update(connection, tables, state, waiting)


def _outdated(differences: Sequence[str], fix: str) -> SchemaOutdated:
    count = f"{len(differences)} thing{'s' if len(differences) > 1 else ''}"
    return SchemaOutdated(
        f"the database differs from its schemas in {count}", why=differences, fix=fix, differences=tuple(differences)
    )


def _tell_left(state: State, tables: Sequence[Table], migrations: Sequence[Migration]) -> None:
    """Say of which plugins that have no migrations here some have run on these tables: an older version may be one."""
    names = {table.name for table in tables}
    ran = {one.plugin for one in state.ran if not names.isdisjoint(one.collections)}
    for plugin in sorted(ran - plugins_of(migrations)):
        log.warning(
            "schema: the database has migrations of %s behind it, which has none in this host: "
            "it was removed, or is older than its data",
            plugin,
        )


def _refuse_foreign(state: State) -> None:
    made = {name for name, record in state.records.items() if record.temporary}
    if foreign := sorted(state.names - made - BOOKKEEPING):
        raise SchemaForeign(
            "the strategy create-drop is refused here",
            why=[f"the database has the table {name}, which it has not made and would drop" for name in foreign],
            fix="give tests an empty database; for this one choose the strategy update",
            tables=tuple(foreign),
        )
