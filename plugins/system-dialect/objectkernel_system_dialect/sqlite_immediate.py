"""Reads by key in the event loop's own thread: a look-up in a file that the system has in memory costs less than to
have a thread do it.

Only what stays short is done here. A statement that takes more than a key's way through its index, a row that is
large, a file that is held by somebody: each is left to the threads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from objectkernel_system_dialect import sqlite_jobs
from objectkernel_system_dialect.executor import Reader

T = TypeVar("T")

STEPS: Final = 1000
"""Instructions of SQLite's machine, of which one statement has up to twice as many; a row by its key takes 20."""

LENGTH: Final = 2**16
"""Bytes of the longest row, text or value that is read here."""

FUNCTIONS: Final = frozenset({"coalesce", "ifnull", "max", "min"})
"""What a statement may call here. Others, of which LIKE is one, may take long within one instruction: ``count`` of a
table reads all of it.
"""

FUNCTIONS_OF_ROWS: Final = frozenset({"json_each", "json_tree"})
"""Functions that stand where tables do."""

TURN: Final = 16
"""Reads until the event loop is to have its turn again."""


class ImmediateReader:
    """A connection that only the event loop's thread uses. It cannot write, and waits for nobody."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LENGTH)
        connection.set_progress_handler(self._is_long, STEPS)
        connection.set_authorizer(_permission)
        self._connection = connection
        self._long: set[str] = set()
        self._reads = 0
        self._stretches = 0

    def fetch(self, sql: str, values: Sequence[Any], reader: Reader[T]) -> list[T] | None:
        """The rows, or None where the threads have to be asked.

        Raises:
            What `reader` raises about them.
        """
        if sql in self._long:
            return None
        self._stretches = 0
        try:
            names, rows = sqlite_jobs.fetch_all(self._connection, sql, values)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_AUTH):
                self._long.add(sql)  # one of a table without the index, or of a function: not to be tried each time
            return None  # the threads meet what else it is too, and say it as they do
        except (OverflowError, UnicodeEncodeError, sqlite_jobs.TextIllegible):
            return None
        return reader.rows(rows, names)

    def is_turn_over(self) -> bool:
        """Whether the caller has to let other tasks run now. To be asked once behind each read."""
        self._reads += 1
        return self._reads % TURN == 0

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _is_long(self) -> bool:
        """Called after each stretch of `STEPS`, of which the first may have begun in earlier runs of the statement."""
        self._stretches += 1
        return self._stretches > 1


def _permission(action: int, what: str | None, name: str | None, *_where: str | None) -> int:
    """Asked of each function and column that a statement has, when it is compiled."""
    calls = action == sqlite3.SQLITE_FUNCTION and name not in FUNCTIONS
    reads = action == sqlite3.SQLITE_READ and what in FUNCTIONS_OF_ROWS
    return sqlite3.SQLITE_DENY if calls or reads else sqlite3.SQLITE_OK
