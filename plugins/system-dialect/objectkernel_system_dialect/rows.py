"""From what SQLite gives to typed rows; a row that holds what its fields cannot have is an error of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from objectkernel_system_dialect.errors import RowDamaged
from objectkernel_system_dialect.sqlite_types import Stored

UNDECODABLE: Final = (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError)
"""What decoding a value raises that is not what its type says."""

Fetched: TypeAlias = tuple[Any, ...]


class TextIllegible(Exception):
    """A fetched text is no UTF-8."""


def fetch_all(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> list[Fetched]:
    """Every row of a statement.

    The cursor ends here whatever happens: one that is left half way keeps its connection in the past.

    Raises:
        TextIllegible: some row has a text that is no UTF-8.
    """
    return _fetch(connection, sql, values)[1]


def fetch_named(
    connection: sqlite3.Connection, sql: str, values: Sequence[Any]
) -> tuple[tuple[str, ...], list[Fetched]]:
    """The names of a statement's columns, and every row as `fetch_all` has them."""
    description, rows = _fetch(connection, sql, values)
    return tuple(column[0] for column in description or ()), rows


def _fetch(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> tuple[Any, list[Fetched]]:
    cursor = connection.execute(sql, values)
    try:
        return cursor.description, cursor.fetchall()
    except sqlite3.OperationalError as error:
        if str(error).startswith("Could not decode to UTF-8"):  # which has no code: SQLite itself does not mind
            raise TextIllegible from None
        raise
    finally:
        cursor.close()


class RowReader:
    """Reads rows with certain columns of one entity.

    Args:
        entity: its name.
        key: the names of its key.
        columns: the types by name, in the order in which the values come.
    """

    def __init__(self, entity: str, key: Sequence[str], columns: Mapping[str, Stored]) -> None:
        self._entity = entity
        self._key = key
        self._names = tuple(columns)
        self._columns = tuple((name, stored.storage, stored.decode) for name, stored in columns.items())

    def fetch(self, connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        """Run a statement and type its rows.

        Raises:
            RowDamaged: a row has a value that its field cannot have.
        """
        try:
            return self.rows(fetch_all(connection, sql, values))
        except TextIllegible:
            connection.text_factory = _text_or_bytes
        try:
            return self.rows(fetch_all(connection, sql, values))  # where bytes instead of text show which row it is
        finally:
            connection.text_factory = str

    def rows(self, fetched: Iterable[Fetched]) -> list[dict[str, Any]]:
        """The rows, typed."""
        return [self.row(values) for values in fetched]

    def row(self, values: Sequence[Any]) -> dict[str, Any]:
        """One row, typed.

        Raises:
            RowDamaged: it has a value that its field cannot have.
        """
        row = dict(zip(self._names, values, strict=True))
        name = ""
        try:
            for name, storage, decode in self._columns:
                value = row[name]
                if type(value) is storage:
                    if decode is not None:
                        row[name] = decode(value)
                elif storage is float and type(value) is int:  # a whole number, as RETURNING gives it
                    row[name] = float(value)
                elif value is not None:
                    raise TypeError
        except UNDECODABLE as error:
            raise damaged(self._entity, name, self._key_of(values)) from error
        return row

    def _key_of(self, values: Sequence[Any]) -> Any:
        """The key of a damaged row, or None where that itself cannot be read or was not."""
        stored = dict(zip(self._names, values, strict=True))
        columns = {name: stored_as for name, *stored_as in self._columns}
        key: list[Any] = []
        for name in self._key:
            storage, decode = columns.get(name, (None, None))
            if type(stored.get(name)) is not storage:
                return None
            try:
                key.append(stored[name] if decode is None else decode(stored[name]))
            except UNDECODABLE:
                return None
        return tuple(key) if len(key) > 1 else key[0]


def damaged(entity: str, field: str, key: Any) -> RowDamaged:
    """The error for a row with a value in `field` that cannot be there."""
    return RowDamaged(
        f"a row of {entity or 'a statement'} holds a value that {field or 'its field'} cannot have",
        why="it was not written through this dialect, or the file was damaged; `key` of this error says which row",
        fix="write the row again, delete it by its key, or restore the database from a backup",
        entity=entity,
        key=key,
        field=field,
    )


def _text_or_bytes(text: bytes) -> str | bytes:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text
