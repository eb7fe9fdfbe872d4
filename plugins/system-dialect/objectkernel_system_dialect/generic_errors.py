"""From what SQLAlchemy reports of any driver to the errors of data access.

Drivers agree on the classes of PEP 249 alone; the rest is in their words, of which only a few are listened for and
none is passed on.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError, StatementError, TimeoutError

from objectkernel_system_dialect.errors import (
    ConstraintViolated,
    DatabaseBusy,
    DatabaseUnavailable,
    DataError,
    DuplicateKey,
    StatementFailed,
    ValueInvalid,
)

CONSTRAINTS: Final = {"foreign": "foreign key", "parent key": "foreign key", "child record": "foreign key"} | {
    "not null": "not null",
    "insert null": "not null",
    "check": "check",
}
"""Words of drivers about a constraint, and which one they mean."""
DUPLICATES: Final = ("unique", "duplicate")
CLASHES: Final = ("deadlock", "locked", "lock timeout", "lock request", "serialize", "conflict")
OF_STATEMENTS: Final = frozenset({"ProgrammingError", "NotSupportedError"})
OF_VALUES: Final = frozenset({"DataError", "StatementError", "OverflowError", "UnicodeEncodeError"})


class DriverError(Exception):
    """What a driver reported, without its words.

    Attributes:
        kind: its class by PEP 249, such as ``IntegrityError``, or the name of another exception.
        sign: what is known beyond that: ``duplicate``, a kind of constraint, ``clash``, ``lost``, or "".
    """

    def __init__(self, kind: str, sign: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.sign = sign


def reported(error: Exception) -> DriverError:
    """The `DriverError` for one that SQLAlchemy raised."""
    if isinstance(error, TimeoutError):
        return DriverError("TimeoutError", "pool")
    if isinstance(error, DisconnectionError) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return DriverError(type(error).__name__, "lost")
    if not isinstance(error, StatementError):
        return DriverError(type(error).__name__)
    words = str(error.orig).lower()
    kind = type(error).__name__
    if kind == "IntegrityError":
        return DriverError(kind, _constraint(words))
    return DriverError(kind, "clash" if any(word in words for word in CLASHES) else "")


def _constraint(words: str) -> str:
    if any(word in words for word in DUPLICATES):
        return "duplicate"
    return next((constraint for word, constraint in CONSTRAINTS.items() if word in words), "integrity")


def translated(error: Exception, *, place: str, entity: str) -> DataError:
    """The error of data access for one that the executor raised.

    Args:
        place: how messages call the database.
        entity: what the operation was about, or "" for a statement of the caller's own.
    """
    if not isinstance(error, DriverError):
        error = reported(error)
    why = f"its driver reports {error.kind}"
    match error:
        case DriverError(sign="lost"):
            pass
        case DriverError(sign="duplicate"):
            return DuplicateKey(
                f"{entity or 'the table'} has a row with this unique value already",
                why=why,
                fix="choose another value, or use upsert to change the row that is there",
                entity=entity,
                fields=(),
            )
        case DriverError(kind="IntegrityError", sign=constraint):
            return ConstraintViolated(
                f"a rule of {entity or 'the table'} refuses this write: {constraint}",
                why=why,
                fix="write what the rule asks for; a foreign key needs the row that it leads to",
                entity=entity,
                constraint=constraint,
            )
        case DriverError(sign="clash" | "pool"):
            return DatabaseBusy(
                f"{place} is held by others; nothing was changed",
                why=why,
                fix="try again",
                database=place,
                reason=error.kind,
            )
        case DriverError(kind=kind) if kind in OF_VALUES:
            return ValueInvalid(
                f"a value for {entity or 'a statement'} is none that the database can take",
                why=why,
                fix="give a value of the column's type",
                entity=entity,
                field="",
                kind="",
            )
        case DriverError(kind=kind) if kind in OF_STATEMENTS:
            return StatementFailed(
                f"the database cannot run a statement about {entity or 'its tables'}",
                why=why,
                fix="check that the table has the columns of its schema and that the statement fits them",
                entity=entity,
                reason=kind,
            )
    return DatabaseUnavailable(
        f"{place} did not answer properly: whether the operation took place is unknown",
        why=why,
        fix="check the server and the way to it, then look before repeating a write",
        database=place,
        reason=error.kind,
    )


DRIVER_ERRORS: Final[tuple[type[Exception], ...]] = (DriverError, SQLAlchemyError)
"""What the executor raises, and SQLAlchemy within the schema work of others."""
