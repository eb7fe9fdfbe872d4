"""Statements of MariaDB and MySQL, as jobs: functions of a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import attrs
from asyncmy.connection import Connection
from asyncmy.cursors import Cursor

from objectkernel_system_dialect.executor import Insertion, Reader
from objectkernel_system_dialect.mariadb_errors import (
    DUPLICATE,
    PACKET_TOO_LARGE,
    RAISED,
    ServerError,
    reported,
)
from objectkernel_system_dialect.mariadb_pool import Job

T = TypeVar("T")

OVERHEAD: Final = 4096
"""Bytes of a packet that are left for what surrounds the values."""
CHUNK: Final = 4 * 1024 * 1024
"""Bytes of an insert of many rows after which another one begins."""
INDEX_COLUMNS: Final = (
    "SELECT column_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND index_name = %s"
    " AND table_name = COALESCE(%s, table_name) ORDER BY seq_in_index"
)


@attrs.frozen
class Limits:
    """What a server can.

    Attributes:
        packet: its ``max_allowed_packet``, in bytes.
        inserts_return_rows: whether it has ``INSERT … RETURNING``.
    """

    packet: int
    inserts_return_rows: bool


class Statements:
    """Makes jobs: functions of a connection.

    Args:
        limits: those of the server.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def fetching(self, sql: str, values: Sequence[Any], reader: Reader[T]) -> Job[list[T]]:
        """A statement that gives rows, which the reader types."""

        async def job(connection: Connection) -> list[T]:
            cursor = await self._execute(connection, sql, values)
            names = tuple(column[0] for column in cursor.description or ())
            return reader.rows(await cursor.fetchall(), names)

        return job

    def changing(self, sql: str, values: Sequence[Any]) -> Job[int]:
        """A statement that gives no rows; how many it found."""

        async def job(connection: Connection) -> int:
            cursor = await self._execute(connection, sql, values)
            return int(str(cursor.rowcount))

        return job

    def inserting(self, insertion: Insertion, rows: Sequence[tuple[Any, ...]]) -> Job[list[int]]:
        """Rows in as few statements as can be; with a sequence, its number for each of them."""

        async def job(connection: Connection) -> list[int]:
            if len(rows) == 1 or (insertion.sequence is not None and not self._limits.inserts_return_rows):
                cursors = [await self._execute(connection, insertion.sql, row, insertion.table) for row in rows]
                return [] if insertion.sequence is None else [cursor.lastrowid for cursor in cursors]
            numbers: list[int] = []
            for sql in self._inserts(connection, insertion, rows):
                cursor = await _run(connection, sql, None, insertion.table)
                numbers += [number for (number,) in await cursor.fetchall()]
            return numbers

        return job

    def _inserts(self, connection: Connection, insertion: Insertion, rows: Sequence[tuple[Any, ...]]) -> list[str]:
        """The texts of inserts of many rows, each no longer than the server takes."""
        columns = ", ".join(map(quoted_name, insertion.columns))
        head = f"INSERT INTO {quoted_name(insertion.table)} ({columns}) VALUES "
        tail = "" if insertion.sequence is None else f" RETURNING {quoted_name(insertion.sequence)}"
        places = f"({', '.join(['%s'] * len(insertion.columns))})"
        cursor, most = connection.cursor(), min(CHUNK, self._limits.packet - OVERHEAD)
        texts: list[str] = []
        parts: list[str] = []
        length = 0
        for row in rows:
            self._refuse_large(row)
            try:
                part = cursor.mogrify(places, row)
            except RAISED as error:
                raise reported(error) from None
            size = _size(part)
            if parts and length + size > most:
                texts.append(head + ",".join(parts) + tail)
                parts, length = [], 0
            parts.append(part)
            length += size + 1
        return [*texts, head + ",".join(parts) + tail]

    async def _execute(
        self, connection: Connection, sql: str, values: Sequence[Any], table: str | None = None
    ) -> Cursor:
        self._refuse_large(values)
        return await _run(connection, sql, tuple(values), table)

    def _refuse_large(self, values: Sequence[Any]) -> None:
        """Refuse what the server would answer by closing the connection."""
        most = self._limits.packet - OVERHEAD
        large = [value for value in values if isinstance(value, str | bytes) and len(value) * 4 > most // 8]
        if large and sum(_size(value) for value in large) > most:
            raise ServerError(PACKET_TOO_LARGE)


def quoted_name(name: str) -> str:
    """A name of a table or column within a statement."""
    return f"`{name.replace('`', '``')}`"


def _size(value: str | bytes) -> int:
    if isinstance(value, bytes) or value.isascii():
        return len(value)
    return len(value.encode("utf-8", "surrogateescape"))


async def _run(connection: Connection, sql: str, values: tuple[Any, ...] | None, table: str | None = None) -> Cursor:
    """Run one statement.

    Args:
        values: None for a text that has no placeholders.
        table: which one a duplicate of the primary key is in, where that is known.

    Raises:
        ServerError: instead of what the driver raises.
    """
    cursor = connection.cursor()
    try:
        await cursor.execute(sql, values)
        return cursor
    except RAISED as error:
        failure = reported(error)
    if failure.number == DUPLICATE and failure.key:
        failure = attrs.evolve(failure, fields=await _columns(connection, failure.key, table))
    raise failure


async def _columns(connection: Connection, index: str, table: str | None) -> tuple[str, ...]:
    """The columns of an index; of a primary key only with its table, for all of them have one name."""
    named, _, index = index.rpartition(".")  # MySQL names the table too
    table = named or table
    if index == "PRIMARY" and table is None:
        return ()
    cursor = connection.cursor()
    try:
        await cursor.execute(INDEX_COLUMNS, (index, table))
        return tuple(dict.fromkeys(name for (name,) in await cursor.fetchall()))
    except RAISED:
        return ()


def statement(sql: str) -> Job[None]:
    """A job that runs a statement without values."""

    async def job(connection: Connection) -> None:
        await _run(connection, sql, None)

    return job
