"""What SQLite's threads do with a connection: jobs, plain functions that take it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from objectkernel_system_dialect.executor import Insertion, Reader

if TYPE_CHECKING:
    import sqlalchemy

T = TypeVar("T")
Job: TypeAlias = Callable[[sqlite3.Connection], T]

SCHEMA_PATIENCE: Final = 12
"""Busy timeouts that one who changes the schema waits for another who does: that takes longer than a write."""


class TextIllegible(Exception):
    """A fetched text is no UTF-8."""


def fetch(connection: sqlite3.Connection, sql: str, values: Sequence[Any], reader: Reader[T]) -> list[T]:
    """Run a statement and read its rows. The reader refuses those that hold what they cannot have."""
    try:
        names, rows = fetch_all(connection, sql, values)
    except TextIllegible:
        # Again, where bytes instead of text show which row it is.
        connection.text_factory = _text_or_bytes
        try:
            names, rows = fetch_all(connection, sql, values)
        finally:
            connection.text_factory = str
    return reader.rows(rows, names)


def fetch_all(
    connection: sqlite3.Connection, sql: str, values: Sequence[Any] = ()
) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """The names of a statement's columns, and every row.

    The cursor ends here whatever happens: one that is left half way keeps its connection in the past.

    Raises:
        TextIllegible: some row has a text that is no UTF-8.
    """
    cursor = connection.execute(sql, values)
    try:
        return tuple([column[0] for column in cursor.description or ()]), cursor.fetchall()
    except sqlite3.OperationalError as error:
        if str(error).startswith("Could not decode to UTF-8"):  # which has no code: SQLite itself does not mind
            raise TextIllegible from None
        raise
    finally:
        cursor.close()


def insert(connection: sqlite3.Connection, insertion: Insertion, rows: Sequence[tuple[Any, ...]]) -> list[int]:
    """Insert rows; with a sequence, which is the row number, the one of each."""
    if insertion.sequence is None:
        connection.executemany(insertion.sql, rows).close()
        return []
    numbers = [connection.execute(insertion.sql, row).lastrowid for row in rows]
    return [number for number in numbers if number is not None]


def within(job: Job[T], savepoint: str) -> Job[T]:
    """The same job, undone alone when it fails."""

    def run(connection: sqlite3.Connection) -> T:
        execute = connection.execute
        execute(f"SAVEPOINT {savepoint}")
        try:
            result = job(connection)
        except BaseException:
            if connection.in_transaction:  # a full disk or a failing one ends the whole transaction
                execute(f"ROLLBACK TO {savepoint}")
                execute(f"RELEASE {savepoint}")
            raise
        execute(f"RELEASE {savepoint}")
        return result

    return run


def statement(*texts: str) -> Job[None]:
    """A job that runs statements one after another."""

    def run(connection: sqlite3.Connection) -> None:
        for text in texts:
            connection.execute(text)

    return run


begin = statement("BEGIN IMMEDIATE")
commit = statement("COMMIT")


def rollback(connection: sqlite3.Connection) -> None:
    """Undo the transaction, if there is one."""
    connection.rollback()


def fold(value: Any) -> Any:
    """Text in lower case, of all scripts; SQLite's own ``lower`` knows ASCII only."""
    return value.lower() if isinstance(value, str) else value


def ping(connection: sqlite3.Connection) -> None:
    """Read something of the file."""
    fetch_all(connection, "SELECT count(*) FROM sqlite_schema")


def schema_work(connection: sqlite3.Connection, work: Callable[[sqlalchemy.Connection], T]) -> T:
    """Run `work` with a SQLAlchemy connection over this one, in a transaction that nobody else can enter.

    Foreign keys rest meanwhile, for a table that is made anew is dropped first, and that would delete what leads to
    it; all of them are checked before the commit, unless nothing was changed. What led nowhere before, as in tables of
    others, is nobody's fault here.

    Raises:
        sqlite3.IntegrityError: a foreign key leads nowhere behind the work; nothing was changed.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    statement("PRAGMA foreign_keys = OFF", f"PRAGMA busy_timeout = {patience * SCHEMA_PATIENCE}")(connection)
    try:
        with engine.connect() as core:  # which undoes what it finds open, so the transaction begins behind it
            begin(connection)
            before = _changes(connection)
            result = work(core)
            if before != _changes(connection) and (lost := _lost_keys(connection)):
                (path,) = connection.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()
                with closing(sqlite3.connect(path)) as unchanged:  # which sees what is committed
                    if lost - _lost_keys(unchanged):
                        raise _leads_nowhere()
            commit(connection)
        return result
    finally:
        rollback(connection)
        statement(
            "PRAGMA foreign_keys = ON",
            "PRAGMA legacy_alter_table = OFF",  # when a table was being made anew
            f"PRAGMA busy_timeout = {patience}",
        )(connection)


def _lost_keys(connection: sqlite3.Connection) -> Counter[tuple[str, str]]:
    """How many rows lead nowhere, by their table and the one that they should lead to.

    A foreign key to something that is no key counts as one: SQLite does not look further in its table.
    """
    lost: Counter[tuple[str, str]] = Counter()
    for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        try:
            rows = connection.execute("SELECT parent, count(*) FROM pragma_foreign_key_check(?) GROUP BY 1", (table,))
            lost.update({(table, parent): count for parent, count in rows})
        except sqlite3.OperationalError:
            lost[table, ""] = 1
    return lost


def _changes(connection: sqlite3.Connection) -> tuple[int, int]:
    """Two numbers of which one is another one behind every change."""
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    return version, connection.total_changes


def _leads_nowhere() -> sqlite3.IntegrityError:
    """What SQLite itself raises for a foreign key that leads nowhere."""
    error = sqlite3.IntegrityError("FOREIGN KEY constraint failed")
    error.sqlite_errorcode = sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
    error.sqlite_errorname = "SQLITE_CONSTRAINT_FOREIGNKEY"
    return error


def _text_or_bytes(text: bytes) -> str | bytes:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text
