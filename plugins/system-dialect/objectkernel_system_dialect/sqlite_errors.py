"""From what SQLite raises to the errors of data access; the driver's text stays in the cause."""

from __future__ import annotations

import re
import sqlite3
from typing import Final

from objectkernel_system_dialect.errors import (
    ConstraintViolated,
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnavailable,
    DataError,
    DuplicateKey,
    StatementFailed,
    ValueInvalid,
)

CONSTRAINTS: Final = {
    "SQLITE_CONSTRAINT_NOTNULL": "not null",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "foreign key",
    "SQLITE_CONSTRAINT_TRIGGER": "foreign key",  # of a row that must not be deleted
    "SQLITE_CONSTRAINT_CHECK": "check",
}
DUPLICATES: Final = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID"})
UNAVAILABLE: Final[tuple[tuple[str, type[DatabaseUnavailable], str, str], ...]] = (
    (
        "SQLITE_BUSY",
        DatabaseBusy,
        "is held by another process; nothing was changed",
        "try again, or raise the busy timeout",
    ),
    ("SQLITE_LOCKED", DatabaseBusy, "is held by another connection; nothing was changed", "try again"),
    (
        "SQLITE_FULL",
        DatabaseFull,
        "has no room left; the write was not made",
        "free space on the disk and try again",
    ),
    (
        "SQLITE_CORRUPT",
        DatabaseDamaged,
        "is damaged",
        "restore it from a backup; `PRAGMA integrity_check` shows the extent",
    ),
    (
        "SQLITE_NOTADB",
        DatabaseDamaged,
        "is no SQLite database",
        "check the path, or restore the file from a backup",
    ),
    (
        "SQLITE_READONLY",
        DatabaseReadOnly,
        "cannot be written; the write was not made",
        "check the permissions of the file and of its folder, and that the file was not moved away",
    ),
    (
        "SQLITE_CANTOPEN",
        DatabaseUnavailable,
        "cannot be opened",
        "check that the folder exists and that the file may be read and written",
    ),
)


def translated(error: Exception, *, place: str, entity: str) -> DataError:
    """The error of data access for one of the driver's.

    Args:
        place: how messages call the database.
        entity: what the operation was about, or "" for a statement of the caller's own.
    """
    reason = getattr(error, "sqlite_errorname", None) or type(error).__name__
    if reason in DUPLICATES:
        return _duplicate(error, entity)
    if reason.startswith("SQLITE_CONSTRAINT"):
        constraint = CONSTRAINTS.get(reason, reason.removeprefix("SQLITE_CONSTRAINT_").lower())
        return ConstraintViolated(
            f"a {constraint} rule of {entity or 'the table'} refuses this write",
            why=f"the database reports {reason}",
            fix="write what the rule asks for; a foreign key needs the row that it leads to",
            entity=entity,
            constraint=constraint,
        )
    for prefix, kind, what, fix in UNAVAILABLE:
        if reason.startswith(prefix):
            return kind(
                f"{place} {what}",
                why=f"the database reports {reason}",
                fix=fix,
                database=place,
                reason=reason,
            )
    if reason == "SQLITE_TOOBIG" or isinstance(error, sqlite3.DataError | OverflowError | UnicodeEncodeError):
        return ValueInvalid(
            f"a value for {entity or 'a statement'} is larger than the database can hold, or no Unicode text",
            why=f"the database reports {reason}",
            fix="split the value, or keep it in a store for large objects",
            entity=entity,
            field="",
            kind="",
        )
    if reason in ("SQLITE_ERROR", "SQLITE_SCHEMA") or isinstance(
        error, sqlite3.ProgrammingError | sqlite3.InterfaceError
    ):
        return StatementFailed(
            f"the database cannot run a statement about {entity or 'its tables'}",
            why=f"the database reports {reason}; its own words are in the cause of this error",
            fix="check that the table has the columns of its schema and that the statement fits them",
            entity=entity,
            reason=reason,
        )
    return DatabaseUnavailable(
        f"{place} did not answer properly: whether the operation took place is unknown",
        why=f"the database reports {reason}",
        fix="check the disk and the file, then look before repeating a write",
        database=place,
        reason=reason,
    )


def _duplicate(error: Exception, entity: str) -> DuplicateKey:
    # SQLite names the columns ("UNIQUE constraint failed: users.email"), never their values.
    fields = tuple(re.findall(r"\.(\w+)", str(error)))
    return DuplicateKey(
        f"{entity or 'the table'} has a row with this {', '.join(fields) or 'unique value'} already",
        why="these fields are unique",
        fix="choose another value, or use upsert to change the row that is there",
        entity=entity,
        fields=fields,
    )
