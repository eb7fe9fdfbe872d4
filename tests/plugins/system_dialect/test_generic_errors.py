"""What drivers report through SQLAlchemy, and what it means to a caller."""

from __future__ import annotations

import pytest
from objectkernel_system_dialect import contracts
from objectkernel_system_dialect.generic_errors import DriverError, reported, translated
from sqlalchemy import exc

SECRET = "tell-nobody"


def of_driver(kind: type[exc.DBAPIError], words: str) -> exc.DBAPIError:
    """What SQLAlchemy makes of an error of a driver."""
    return kind(f"INSERT {SECRET}", {"a": SECRET}, Exception(f"{words} {SECRET}"))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (of_driver(exc.IntegrityError, "ORA-00001: unique constraint (A.B) violated"), contracts.DuplicateKey),
        (of_driver(exc.IntegrityError, "Cannot insert duplicate key in object"), contracts.DuplicateKey),
        (of_driver(exc.IntegrityError, "ORA-02291: parent key not found"), contracts.ConstraintViolated),
        (of_driver(exc.IntegrityError, "CHECK constraint failed"), contracts.ConstraintViolated),
        (of_driver(exc.DataError, "too long"), contracts.ValueInvalid),
        (exc.StatementError("no", "SELECT 1", {}, ValueError(SECRET)), contracts.ValueInvalid),
        (OverflowError(SECRET), contracts.ValueInvalid),
        (of_driver(exc.ProgrammingError, "no such table"), contracts.StatementFailed),
        (of_driver(exc.OperationalError, "Transaction was deadlocked"), contracts.DatabaseBusy),
        (exc.TimeoutError(SECRET), contracts.DatabaseBusy),
        (of_driver(exc.OperationalError, "no route to host"), contracts.DatabaseUnavailable),
        (of_driver(exc.InterfaceError, "closed"), contracts.DatabaseUnavailable),
    ],
)
def test_what_an_error_means(error: Exception, kind: type[contracts.DataError]) -> None:
    """Each error of a driver becomes the error of data access for it, without statement, values and words."""
    made = translated(reported(error), place="the database", entity="User")
    assert type(made) is kind
    assert SECRET not in str(made)


def test_a_lost_connection() -> None:
    """Whatever a driver says when the connection is lost: whether the operation took place is unknown."""
    lost = exc.ProgrammingError("INSERT", {}, Exception("gone"), connection_invalidated=True)
    assert type(translated(lost, place="the database", entity="User")) is contracts.DatabaseUnavailable


@pytest.mark.parametrize(
    ("words", "constraint"),
    [("FOREIGN KEY constraint failed", "foreign key"), ("NOT NULL failed", "not null"), ("other", "integrity")],
)
def test_which_constraint(words: str, constraint: str) -> None:
    """Which rule was broken is told as far as the driver's words show it."""
    made = translated(of_driver(exc.IntegrityError, words), place="the database", entity="User")
    assert isinstance(made, contracts.ConstraintViolated) and made.facts["constraint"] == constraint


def test_the_text_of_an_error() -> None:
    """The executor's own error has a name and no words."""
    assert str(reported(of_driver(exc.IntegrityError, "unique"))) == str(DriverError("IntegrityError"))
