"""What MariaDB's numbers mean to a caller; its words stay behind."""

from __future__ import annotations

import pytest
from asyncmy import errors as driver
from objectkernel_system_dialect import contracts
from objectkernel_system_dialect.mariadb_errors import ServerError, reported, translated

PLACE = "the database 'shop' at db:3306"
SECRET = "tell-nobody"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (1062, contracts.DuplicateKey),
        (1048, contracts.ConstraintViolated),
        (1452, contracts.ConstraintViolated),
        (4025, contracts.ConstraintViolated),
        (1406, contracts.ValueInvalid),
        (1264, contracts.ValueInvalid),
        (1366, contracts.ValueInvalid),
        (1139, contracts.FilterInvalid),
        (3692, contracts.FilterInvalid),
        (1054, contracts.StatementFailed),
        (1064, contracts.StatementFailed),
        (1071, contracts.StatementFailed),
        (1205, contracts.DatabaseBusy),
        (1213, contracts.DatabaseBusy),
        (1114, contracts.DatabaseFull),
        (1290, contracts.DatabaseReadOnly),
        (1034, contracts.DatabaseDamaged),
        (2003, contracts.DatabaseUnavailable),
        (2006, contracts.DatabaseUnavailable),
        (2013, contracts.DatabaseUnavailable),
        (1040, contracts.DatabaseUnavailable),
        (1045, contracts.DatabaseUnavailable),
        (1049, contracts.DatabaseUnavailable),
    ],
)
def test_what_a_number_means(number: int, kind: type[contracts.DataError]) -> None:
    """Each number of the server becomes the error of data access for it, which has none of the server's words."""
    raised = driver.OperationalError(number, f"{SECRET} for key '{SECRET}'")
    error = translated(reported(raised), place=PLACE, entity="User")
    assert type(error) is kind
    assert SECRET not in str(error)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (driver.InterfaceError(0, "Not connected"), contracts.DatabaseUnavailable),
        (ConnectionRefusedError(SECRET), contracts.DatabaseUnavailable),
        (TimeoutError(SECRET), contracts.DatabaseUnavailable),
        (UnicodeEncodeError("utf-8", SECRET, 0, 1, SECRET), contracts.ValueInvalid),
        (ValueError(SECRET), contracts.ValueInvalid),
        (driver.ProgrammingError(SECRET), contracts.ValueInvalid),
        (AssertionError(SECRET), contracts.DatabaseUnavailable),
    ],
)
def test_what_has_no_number(raised: Exception, kind: type[contracts.DataError]) -> None:
    """What the driver raises by itself is told by the name of its kind alone."""
    error = translated(reported(raised), place=PLACE, entity="User")
    assert type(error) is kind
    assert type(raised).__name__ in str(error) and SECRET not in str(error)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Duplicate entry 'x' for key 'uq_users_email'", "uq_users_email"),
        ("Duplicate entry 'it's for key 'PRIMARY'' for key 'users.email'", "users.email"),
        ("Duplicate entry", ""),
    ],
)
def test_the_index_of_a_duplicate(text: str, key: str) -> None:
    """The name of the index is what stands last in the message, whatever the value before it looks like."""
    assert reported(driver.IntegrityError(1062, text)).key == key


def test_a_full_disk_behind_the_storage_engine() -> None:
    """That a disk is full is told also by the general number of the storage engine."""
    full = reported(driver.OperationalError(1030, 'Got error 28 "No space left on device" from storage engine InnoDB'))
    assert type(translated(full, place=PLACE, entity="")) is contracts.DatabaseFull
    other = reported(driver.OperationalError(1030, "Got error 122 from storage engine"))
    assert type(translated(other, place=PLACE, entity="")) is contracts.StatementFailed


def test_the_facts() -> None:
    """Errors have their facts as attributes: fields, constraint, database and reason."""
    duplicate = translated(ServerError(1062, fields=("email",)), place=PLACE, entity="User")
    assert (duplicate.entity, duplicate.fields) == ("User", ("email",))
    assert "User has a row with this email already" in str(duplicate)
    assert translated(ServerError(1451), place=PLACE, entity="User").constraint == "foreign key"
    busy = translated(ServerError(1205), place=PLACE, entity="User")
    assert (busy.database, busy.reason) == (PLACE, "ER_LOCK_WAIT_TIMEOUT")
    assert translated(ServerError(4999), place=PLACE, entity="").reason == "error 4999"


def test_which_errors_leave_a_connection_usable() -> None:
    """Behind an answer of the server, or what was never sent, the connection goes on; else it does not."""
    assert all(ServerError(number).in_step for number in (1062, 4025, "UnicodeEncodeError"))
    assert not any(ServerError(number).in_step for number in (2006, 2013, 1927, "InterfaceError", "TimeoutError"))
