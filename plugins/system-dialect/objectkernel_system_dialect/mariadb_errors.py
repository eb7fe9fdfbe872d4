"""From what MariaDB, MySQL and their driver report to the errors of data access.

Their messages hold values, users and pieces of statements. So a `ServerError` keeps the number alone, and of a
duplicate the columns.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import attrs
from asyncmy.constants import CR, ER
from asyncmy.errors import MySQLError

from objectkernel_system_dialect.errors import (
    ConstraintViolated,
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnavailable,
    DataError,
    DuplicateKey,
    FilterInvalid,
    StatementFailed,
    ValueInvalid,
)

RAISED: Final[tuple[type[Exception], ...]] = (MySQLError, OSError, AssertionError, OverflowError, ValueError)
"""What the driver raises: also for values that it cannot send, and packets that it cannot read."""

DUPLICATE: Final = 1062
LOCK_TIMEOUT: Final = 1205
DEADLOCK: Final = 1213
PACKET_TOO_LARGE: Final = 1153
DISK_FULL: Final = 1021
STORAGE_ENGINE: Final = 1030
GONE: Final = 2006
UNREACHABLE: Final = 2003

UNSENT: Final = frozenset({GONE, "InterfaceError"})
"""The connection was found closed before anything of a command was sent."""
LOST: Final = UNSENT | {2013, 2055, 1053, 1927, 4031}
"""The connection is gone: whether the command was run is unknown."""
UNDONE: Final = frozenset({DEADLOCK, LOCK_TIMEOUT, 1020})
"""The statement lost against others at the same time; with it, or by our own decision, its transaction."""
UNSENDABLE: Final = frozenset({"ProgrammingError", "OverflowError", "UnicodeEncodeError", "ValueError"})
"""What the driver raises for a value before it sends anything."""
VALUES: Final = UNSENDABLE | {1264, 1265, 1292, 1366, 1367, 1406, 1411, 1690, 3140, PACKET_TOO_LARGE}
PATTERNS: Final = frozenset({1139, *range(3685, 3700)})
CONSTRAINTS: Final = {
    1048: "not null",
    1364: "not null",
    1216: "foreign key",
    1217: "foreign key",
    1451: "foreign key",
    1452: "foreign key",
    1644: "trigger",
    3819: "check",
    4025: "check",
}
LIMITS: Final = {
    1071: ("a key or index of this table is longer than the 3072 bytes that the database takes", "length"),
    1074: ("a text field of this table is longer than the database takes", "length"),
    1118: ("a row of this table is longer than the 65535 bytes that the database takes", "length, or use type text"),
    1170: ("a key or index of this table has a text without a length", "type to string"),
}
UNAVAILABLE: Final[tuple[tuple[frozenset[int | str], type[DatabaseUnavailable], str, str], ...]] = (
    (
        frozenset({2002, UNREACHABLE, 2005, "ConnectionRefusedError", "gaierror", "TimeoutError"}),
        DatabaseUnavailable,
        "cannot be reached; nothing was changed",
        "check that the server runs, and the host and port of the URL",
    ),
    (
        frozenset({1044, 1045, 1129, 1130, 1698}),
        DatabaseUnavailable,
        "refuses this user, password or host",
        "check the user and the password of the URL, and what the server grants them",
    ),
    (
        frozenset({1049}),
        DatabaseUnavailable,
        "does not exist",
        "create it, or check the name at the end of the URL",
    ),
    (
        frozenset({1040, 1203, 1226}),
        DatabaseUnavailable,
        "has no connection left",
        "lower the pool sizes of its clients or raise the server's max_connections",
    ),
    (
        frozenset({*UNDONE, 1412, 1615, 1637, 3572}),
        DatabaseBusy,
        "undid this because of what others did at the same time; nothing was changed",
        "try again",
    ),
    (
        frozenset({1317, 1969, 3024}),
        DatabaseBusy,
        "stopped this because it took too long or on command; nothing was changed",
        "try again, give the filter an index, or raise the server's max_statement_time",
    ),
    (
        frozenset({DISK_FULL, 1026, 1114}),
        DatabaseFull,
        "has no room left; the write was not made",
        "free space on the server's disk and try again",
    ),
    (
        frozenset({1290, 1792, 1836}),
        DatabaseReadOnly,
        "cannot be written; the write was not made",
        "connect to the primary server, and check its read_only",
    ),
    (
        frozenset({1034, 1194, 1195, 1712}),
        DatabaseDamaged,
        "is damaged",
        "restore it from a backup; CHECK TABLE shows the extent",
    ),
)
"""Numbers, or names of exceptions, and what they say of the database."""


@attrs.frozen
class ServerError(Exception):
    """What the server or the driver reported, without its words.

    Attributes:
        number: the server's or the driver's; or the name of an exception that has none.
        key: of a duplicate the name of the index.
        fields: of a duplicate its columns, as far as they are known.
    """

    number: int | str
    key: str = ""
    fields: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Its symbolic name."""
        if isinstance(self.number, str):
            return self.number
        return _names().get(self.number) or f"error {self.number}"

    @property
    def in_step(self) -> bool:
        """Whether the connection can go on: it was the server's whole answer, or nothing was sent."""
        if isinstance(self.number, str):
            return self.number in UNSENDABLE
        return self.number not in LOST and not 2000 <= self.number < 3000

    def __str__(self) -> str:
        return self.reason


def reported(error: BaseException) -> ServerError:
    """The `ServerError` for what the driver raised."""
    number, text = (*error.args, "", "")[:2]
    if not isinstance(error, MySQLError) or not isinstance(number, int) or number == 0:
        return ServerError(type(error).__name__)
    if number == DUPLICATE:
        named = re.search(r"'([^']*)'$", str(text))
        return ServerError(number, key=named[1] if named else "")
    if number == STORAGE_ENGINE and "error 28 " in str(text):
        return ServerError(DISK_FULL)
    return ServerError(number)


def translated(error: Exception, *, place: str, entity: str) -> DataError:
    """The error of data access for one that the executor raised.

    Args:
        place: how messages call the database.
        entity: what the operation was about, or "" for a statement of the caller's own.
    """
    if not isinstance(error, ServerError):
        error = reported(error)
    number, why = error.number, f"the database reports {error.reason}"
    if number == DUPLICATE:
        return DuplicateKey(
            f"{entity or 'the table'} has a row with this {', '.join(error.fields) or 'unique value'} already",
            why="these fields are unique",
            fix="choose another value, or use upsert to change the row that is there",
            entity=entity,
            fields=error.fields,
        )
    if constraint := CONSTRAINTS.get(number) if isinstance(number, int) else None:
        return ConstraintViolated(
            f"a {constraint} rule of {entity or 'the table'} refuses this write",
            why=why,
            fix="write what the rule asks for; a foreign key needs the row that it leads to",
            entity=entity,
            constraint=constraint,
        )
    for numbers, kind, what, fix in UNAVAILABLE:
        if number in numbers:
            return kind(f"{place} {what}", why=why, fix=fix, database=place, reason=error.reason)
    if number in PATTERNS:
        return FilterInvalid(
            "the filter cannot be meant",
            where=f"a filter of {entity or 'a statement'}",
            why=f"{why}: a pattern that it cannot read",
            fix="nothing was read or changed; write a regular expression as the database has them",
        )
    if number in VALUES:
        return ValueInvalid(
            f"a value for {entity or 'a statement'} is none that the database can take",
            why=why,
            fix="give a value of the column's type; all values of a call fit into the server's max_allowed_packet",
            entity=entity,
            field="",
            kind="",
        )
    if isinstance(number, int) and error.in_step:
        return _failed(number, why, entity, error.reason)
    return DatabaseUnavailable(
        f"{place} did not answer properly: whether the operation took place is unknown",
        why=why,
        fix="check the server and the way to it, then look before repeating a write",
        database=place,
        reason=error.reason,
    )


def _failed(number: int, why: str, entity: str, reason: str) -> StatementFailed:
    what = f"the database cannot run a statement about {entity or 'its tables'}"
    fix = "check that the table has the columns of its schema and that the statement fits them"
    if limit := LIMITS.get(number):
        what, fix = limit[0], f"change the fields' {limit[1]}"
    return StatementFailed(what, why=why, fix=fix, entity=entity, reason=reason)


@cache
def _names() -> dict[int, str]:
    """The symbolic names of the numbers."""
    return {
        number: f"{prefix}{name.removeprefix('CR_')}"
        for prefix, module in (("ER_", ER), ("CR_", CR))
        for name, number in vars(module).items()
        if isinstance(number, int) and name.isupper() and not name.endswith(("_FIRST", "_LAST"))
    }
