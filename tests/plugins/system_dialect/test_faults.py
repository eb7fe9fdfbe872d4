"""A database that does not answer properly is an error that says so, never "not found"."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from objectkernel_system_dialect import errors
from objectkernel_system_dialect.contracts import (
    ConstraintViolated,
    DatabaseDamaged,
    DatabaseReadOnly,
    DatabaseUnavailable,
    DataError,
    DuplicateKey,
    EntitySchema,
    Field,
    StatementFailed,
    ValueInvalid,
)
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from objectkernel_system_dialect.sqlite_errors import translated

NOTE = EntitySchema(name="Note", collection="notes", fields={"text": Field("text")})
README = Path(__file__).parents[3] / "plugins" / "system-dialect" / "README.md"


def every_error() -> list[type[DataError]]:
    return [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, DataError)]


def test_codes_are_unique_and_explained() -> None:
    """Every error has a code of its own, and the README a line for it."""
    codes = {error.code: error.__name__ for error in every_error()}
    assert len(codes) == len(every_error())
    readme = README.read_text()
    for code, name in codes.items():
        assert f"| {code} | `{name}` |" in readme


@pytest.mark.anyio
async def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    """Opening it fails, leaves it as it was, and leaves no thread."""
    path = tmp_path / "text.db"
    path.write_bytes(b"this is no database, and long enough to be looked at" * 40)
    with pytest.raises(DatabaseDamaged) as caught:
        await open_sqlite(str(path))
    assert caught.value.facts == {"database": "the database file 'text.db'", "reason": "SQLITE_NOTADB"}
    assert path.read_bytes().startswith(b"this is no database")


@pytest.mark.anyio
async def test_a_missing_folder_is_unavailable(tmp_path: Path) -> None:
    """A file cannot be made where there is no folder; the path stays out of the message."""
    with pytest.raises(DatabaseUnavailable) as caught:
        await open_sqlite(str(tmp_path / "no" / "such" / "a.db"))
    assert caught.value.facts["reason"] == "SQLITE_CANTOPEN"
    assert caught.value.why == ("the folder that it is to be in does not exist",)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.anyio
async def test_damage_in_the_file_is_reported(tmp_path: Path) -> None:
    """A read that meets damaged pages is an error, not an empty list."""
    path = tmp_path / "a.db"
    dialect = await open_sqlite(str(path))
    await dialect.register(NOTE)
    await dialect.create_many(NOTE, [{"text": "x" * 500} for _ in range(100)])
    await dialect.aclose()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    dialect = await open_sqlite(str(path))
    with pytest.raises(DatabaseDamaged):
        await dialect.register(NOTE)
        await dialect.find(NOTE)
    await dialect.aclose()


@pytest.mark.anyio
async def test_a_read_only_database_can_be_read(tmp_path: Path) -> None:
    """A write that the file does not allow is refused; reading goes on."""
    dialect = await open_sqlite(str(tmp_path / "a.db"))
    await dialect.register(NOTE)
    await dialect.engine.executor.write(lambda connection: connection.execute("PRAGMA query_only = ON"))
    with pytest.raises(DatabaseReadOnly):
        await dialect.create(NOTE, {})
    assert await dialect.count(NOTE) == 0
    await dialect.aclose()


@pytest.mark.anyio
async def test_ping_asks_the_database(dialect: SqlDialect) -> None:
    """A database that answers is alive; one whose schema cannot be read is not."""
    await dialect.ping()


def fault(name: str, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    error = kind("hunter2: UNIQUE constraint failed: users.email")
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (fault("SQLITE_CONSTRAINT_UNIQUE"), DuplicateKey),
        (fault("SQLITE_CONSTRAINT_NOTNULL"), ConstraintViolated),
        (fault("SQLITE_CONSTRAINT_TRIGGER"), ConstraintViolated),
        (fault("SQLITE_IOERR_FSYNC"), DatabaseUnavailable),
        (fault("SQLITE_CORRUPT_INDEX"), DatabaseDamaged),
        (fault("SQLITE_READONLY_DBMOVED"), DatabaseReadOnly),
        (fault("SQLITE_TOOBIG", sqlite3.DataError), ValueInvalid),
        (fault("SQLITE_SCHEMA"), StatementFailed),
        (fault("SQLITE_SOMETHING_NEW"), DatabaseUnavailable),
        (sqlite3.ProgrammingError("hunter2"), StatementFailed),
    ],
    ids=lambda value: getattr(value, "sqlite_errorname", "") or getattr(value, "__name__", ""),
)
def test_a_fault_of_the_driver_has_its_error(error: sqlite3.Error, expected: type[DataError]) -> None:
    """Each symbolic code leads to one error; the driver's words are in none of them."""
    found = translated(error, place="the database", entity="User")
    assert type(found) is expected
    assert "hunter2" not in str(found)
    assert found.fix


def test_what_is_not_known_is_called_unknown() -> None:
    """An input or output error leaves open whether a write took place, and says so."""
    found = translated(fault("SQLITE_IOERR"), place="the database file 'a.db'", entity="User")
    assert "unknown" in str(found)
