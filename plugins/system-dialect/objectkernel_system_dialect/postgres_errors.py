"""From what PostgreSQL and its driver raise to the errors of data access.

PostgreSQL tells values and connections in its messages, so they are blanked: what stays is its SQLSTATE, and its
words where they are about names alone.
"""

from __future__ import annotations

import re
from typing import Final

import asyncpg  # type: ignore[import-untyped]

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
from objectkernel_system_dialect.rows import damaged

DRIVER_ERRORS: Final[tuple[type[Exception], ...]] = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # of which TimeoutError is one
    OverflowError,
    UnicodeEncodeError,
)
BLANKED: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

DUPLICATE: Final = "23505"
CONSTRAINTS: Final = {
    "23001": "foreign key",
    "23502": "not null",
    "23503": "foreign key",
    "23514": "check",
    "23P01": "exclusion",
    "44000": "check",
    "P0001": "trigger",
}
STATEMENT_LOST: Final = ("26000", "42P05")
PATTERN_INVALID: Final = ("2201B", "22025")
TOO_LARGE_FOR_INDEX: Final = "54000"
SERVER_TROUBLE: Final = ("08", "53", "57", "58", "F0", "XX")
"""Classes of SQLSTATE that speak of the server and not of a statement."""

UNAVAILABLE: Final[tuple[tuple[tuple[str, ...], type[DatabaseUnavailable], str, str], ...]] = (
    (
        ("ConnectionRefusedError", "gaierror", "57P03"),
        DatabaseUnavailable,
        "cannot be reached; nothing was changed",
        "check that the server runs, and the host and port of the URL",
    ),
    (
        ("28",),
        DatabaseUnavailable,
        "refuses this user or password",
        "check the user and the password of the URL",
    ),
    (
        ("3D000",),
        DatabaseUnavailable,
        "does not exist",
        "create it, or check the name at the end of the URL",
    ),
    (
        ("53300",),
        DatabaseUnavailable,
        "has no connection left",
        "lower the pool sizes of its clients or raise the server's max_connections",
    ),
    (
        ("40001", "40P01"),
        DatabaseBusy,
        "undid this because of what others did at the same time; nothing was changed",
        "try again",
    ),
    (
        ("55P03", "55006", "InvalidCachedStatementError"),
        DatabaseBusy,
        "is being changed by others; nothing was changed",
        "try again",
    ),
    (
        ("57014",),
        DatabaseBusy,
        "took too long and gave up; nothing was changed",
        "try again, give the filter an index, or raise the server's statement_timeout",
    ),
    (
        ("53100",),
        DatabaseFull,
        "has no room left; the write was not made",
        "free space on the server's disk and try again",
    ),
    (
        ("25006",),
        DatabaseReadOnly,
        "cannot be written; the write was not made",
        "connect to the primary server, and check default_transaction_read_only",
    ),
    (
        ("XX001", "XX002"),
        DatabaseDamaged,
        "is damaged",
        "restore it from a backup; a damaged index (XX002) is rebuilt with REINDEX",
    ),
)
"""How a SQLSTATE or the name of an exception begins, and what that says of the database."""


def translated(error: Exception, *, place: str, entity: str) -> DataError:
    """The error of data access for one of the driver's, from which every value is taken away.

    Args:
        place: how messages call the database.
        entity: what the operation was about, or "" for a statement of the caller's own.
    """
    if isinstance(error, OverflowError):  # of a time in a row; in a value that is sent the driver makes another of it
        return damaged(entity, "", None)
    reason = _reason(error)
    made = _made(error, reason, place, entity)
    _blank(error)
    return made


def _made(error: Exception, reason: str, place: str, entity: str) -> DataError:
    why = f"the database reports {reason}"
    if reason == DUPLICATE:
        return _duplicate(error, entity)
    if constraint := CONSTRAINTS.get(reason):
        return ConstraintViolated(
            f"a {constraint} rule of {entity or 'the table'} refuses this write",
            why=why,
            fix="write what the rule asks for; a foreign key needs the row that it leads to",
            entity=entity,
            constraint=constraint,
        )
    for beginnings, kind, what, fix in UNAVAILABLE:
        if reason.startswith(beginnings):
            return kind(f"{place} {what}", why=why, fix=fix, database=place, reason=reason)
    if reason in PATTERN_INVALID:
        return FilterInvalid(
            "the filter cannot be meant",
            where=f"a filter of {entity or 'a statement'}",
            why=f"the database reports {reason}: a pattern that it cannot read",
            fix="nothing was read or changed; write a regular expression as PostgreSQL has them",
        )
    if reason in STATEMENT_LOST:
        return StatementFailed(
            f"{place} lost or mixed up a prepared statement",
            why=f"{why}: between here and the server something like pgbouncer shares connections",
            fix="set `statement_cache` of system-dialect to 0",
            entity=entity,
            reason=reason,
        )
    if reason.startswith(("22", TOO_LARGE_FOR_INDEX)) or isinstance(error, ValueError):
        return ValueInvalid(
            f"a value for {entity or 'a statement'} is none that the database can take",
            why=why,
            fix="give a value of the column's type; a text in a key or an index may have some 2,700 bytes",
            entity=entity,
            field="",
            kind="",
        )
    if _is_about_statement(error):
        return StatementFailed(
            f"the database cannot run a statement about {entity or 'its tables'}",
            why=f"{why}; its own words are in the cause of this error",
            fix="check that the table has the columns of its schema and that the statement fits them",
            entity=entity,
            reason=reason,
        )
    return DatabaseUnavailable(
        f"{place} did not answer properly: whether the operation took place is unknown",
        why=why,
        fix="check the server and the way to it, then look before repeating a write",
        database=place,
        reason=reason,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, asyncpg.InvalidCachedStatementError):  # which shares its SQLSTATE with others
        return type(error).__name__
    return getattr(error, "sqlstate", None) or type(error).__name__


def _is_about_statement(error: Exception) -> bool:
    state: str | None = getattr(error, "sqlstate", None)
    if state is not None:
        return not state.startswith(SERVER_TROUBLE)
    return isinstance(error, asyncpg.UnsupportedClientFeatureError | asyncpg.UnsupportedServerFeatureError)


def _duplicate(error: Exception, entity: str) -> DuplicateKey:
    # "Key (email)=(…) already exists.", in the server's language: the first parentheses hold names, the others values.
    named = re.match(r"[^()]*\(([\w\", ]+)\)=\(", getattr(error, "detail", None) or "")
    fields = tuple(name.strip(' "') for name in named[1].split(",")) if named else ()
    return DuplicateKey(
        f"{entity or 'the table'} has a row with this {', '.join(fields) or 'unique value'} already",
        why="these fields are unique",
        fix="choose another value, or use upsert to change the row that is there",
        entity=entity,
        fields=fields,
    )


def _blank(error: BaseException | None) -> None:
    """Take away what the driver says of values, users and connections, here and in what led to it."""
    while error is not None:
        if isinstance(error, BLANKED):
            state = getattr(error, "sqlstate", None)
            if state is None or not state.startswith("42"):  # those speak of tables, columns and types
                error.args = (state or type(error).__name__,)
            for name in ("detail", "hint"):
                if hasattr(error, name):
                    setattr(error, name, None)
        error = error.__cause__ or error.__context__
