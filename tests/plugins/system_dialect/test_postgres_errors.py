"""From PostgreSQL's errors to those of data access, and that no value and no password comes along."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import asyncpg
import pytest
from objectkernel_system_dialect.errors import (
    ConstraintViolated,
    DatabaseBusy,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnavailable,
    DataError,
    DuplicateKey,
    FilterInvalid,
    StatementFailed,
    ValueInvalid,
)
from objectkernel_system_dialect.postgres_errors import DRIVER_ERRORS, translated
from objectkernel_system_dialect.postgres_executor import PostgresExecutor, PostgresOptions
from objectkernel_system_dialect.rows import PLAIN

from tests.plugins.system_dialect.databases import run_on_postgres

TABLES = """
CREATE TABLE parents (id INT PRIMARY KEY);
CREATE TABLE children (
    id TEXT PRIMARY KEY, "Given name" TEXT, family_name TEXT NOT NULL DEFAULT '', age INT CHECK (age >= 0),
    parent INT REFERENCES parents, UNIQUE ("Given name", family_name)
);
INSERT INTO children (id, "Given name") VALUES ('hush-hush', 'hush-hush');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no %', NEW; END $$;
CREATE TRIGGER refuse BEFORE DELETE ON children EXECUTE FUNCTION refuse();
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only event loop that the driver knows."""
    return "asyncio"


@pytest.fixture
async def executor(anyio_backend: str, postgres_url: str) -> AsyncIterator[PostgresExecutor]:
    """An executor on a database with rules."""
    run_on_postgres(postgres_url, TABLES)
    async with aclosing(await PostgresExecutor.open(postgres_url, "the database", PostgresOptions())) as executor:
        yield executor


async def refused(executor: PostgresExecutor, sql: str, values: Sequence[Any] = ()) -> DataError:
    """The error for a statement that the database refuses."""
    with pytest.raises(DRIVER_ERRORS) as caught:
        await executor.fetch(sql, values, PLAIN)
    try:
        raise translated(caught.value, place="the database", entity="Child") from caught.value
    except DataError as error:
        return error


CASES = [
    ("INSERT INTO children (id) VALUES ($1)", ("hush-hush",), DuplicateKey, {"fields": ("id",), "entity": "Child"}),
    (
        "INSERT INTO children (id, \"Given name\") VALUES ('b', $1)",
        ("hush-hush",),
        DuplicateKey,
        {"fields": ("Given name", "family_name")},
    ),
    ("INSERT INTO children VALUES ('b', 'hush-hush', NULL)", (), ConstraintViolated, {"constraint": "not null"}),
    ("INSERT INTO children (id, age) VALUES ('hush-hush-', -1)", (), ConstraintViolated, {"constraint": "check"}),
    ("INSERT INTO children (id, parent) VALUES ('b', 7)", (), ConstraintViolated, {"constraint": "foreign key"}),
    ("DELETE FROM children", (), ConstraintViolated, {"constraint": "trigger"}),
    ("SELECT 'hush-hush'::int", (), ValueInvalid, {"entity": "Child"}),
    ("SELECT $1::int", ("hush-hush",), ValueInvalid, {}),
    ("SELECT $1::int", (2**80,), ValueInvalid, {}),
    ("SELECT '1e400'::float8", (), ValueInvalid, {}),
    (
        "INSERT INTO children (id) SELECT string_agg(md5(i::text), '') FROM generate_series(1, 999) i",
        (),
        ValueInvalid,
        {},
    ),
    ("SELECT 'hush-hush' ~ $1", ("(hush-hush",), FilterInvalid, {}),
    ("SELECT 'hush-hush!' LIKE $1", ("hush-hush\\",), FilterInvalid, {}),
    ("SELECT no_such_column FROM children", (), StatementFailed, {"reason": "42703"}),
    ("SELECT FROM no_such_table", (), StatementFailed, {"reason": "42P01"}),
    ("SELECT json_build_array('hush-hush') = '1'::json", (), StatementFailed, {"reason": "42883"}),
]


@pytest.mark.anyio
@pytest.mark.postgres
@pytest.mark.parametrize(("sql", "values", "kind", "facts"), CASES)
async def test_refusals(
    executor: PostgresExecutor, sql: str, values: tuple[Any, ...], kind: type[DataError], facts: dict[str, Any]
) -> None:
    """Each refusal is the error that says what the caller can do, with its facts, and tells no value."""
    error = await refused(executor, sql, values)
    assert type(error) is kind
    assert {name: getattr(error, name) for name in facts} == facts
    assert "hush-hush" not in "".join(traceback.format_exception(error))


@pytest.mark.anyio
@pytest.mark.postgres
async def test_read_only_database(executor: PostgresExecutor) -> None:
    """A write where only reading is allowed was not made, and the error says so."""
    with pytest.raises(DRIVER_ERRORS) as caught:
        async with executor.transaction() as transaction:
            await transaction.fetch("SET TRANSACTION READ ONLY", (), PLAIN)
            await transaction.change("INSERT INTO parents VALUES (1)", ())
    assert type(translated(caught.value, place="the database", entity="")) is DatabaseReadOnly


@pytest.mark.anyio
@pytest.mark.postgres
async def test_deadlock_is_busy(executor: PostgresExecutor) -> None:
    """Of two transactions that wait for each other one is told to try again."""
    await executor.change("INSERT INTO parents VALUES (1), (2)", ())
    locked = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async with executor.transaction() as transaction:
            await transaction.change("UPDATE parents SET id = id WHERE id = $1", (first,))
            await locked.wait()
            await transaction.change("UPDATE parents SET id = id WHERE id = $1", (second,))

    outcomes = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
    (failed,) = [one for one in outcomes if isinstance(one, Exception)]
    assert type(translated(failed, place="the database", entity="")) is DatabaseBusy


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (asyncpg.DiskFullError("hush"), DatabaseFull, "53100"),
        (asyncpg.TooManyConnectionsError("hush"), DatabaseUnavailable, "53300"),
        (asyncpg.InvalidPasswordError("hush"), DatabaseUnavailable, "28P01"),
        (asyncpg.InvalidCatalogNameError("hush"), DatabaseUnavailable, "3D000"),
        (asyncpg.AdminShutdownError("hush"), DatabaseUnavailable, "57P01"),
        (asyncpg.QueryCanceledError("hush"), DatabaseBusy, "57014"),
        (asyncpg.InvalidCachedStatementError("hush"), DatabaseBusy, "InvalidCachedStatementError"),
        (asyncpg.ConnectionDoesNotExistError("hush"), DatabaseUnavailable, "08003"),
        (asyncpg.InterfaceError("hush"), DatabaseUnavailable, "InterfaceError"),
        (asyncpg.InternalServerError("hush"), DatabaseUnavailable, "XX000"),
        (asyncpg.UnsupportedClientFeatureError("hush"), StatementFailed, "UnsupportedClientFeatureError"),
        (ConnectionRefusedError(111, "refused"), DatabaseUnavailable, "ConnectionRefusedError"),
        (TimeoutError(), DatabaseUnavailable, "TimeoutError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_trouble_with_the_server(error: Exception, kind: type[DataError], reason: str) -> None:
    """What the server or the way to it reports is told by a code and in our words, never in the driver's."""
    made = translated(error, place="the database", entity="User")
    assert (type(made), made.reason) == (kind, reason)
    assert "hush" not in f"{made}{error}{error!r}"


def test_fields_are_read_in_every_language() -> None:
    """The server speaks the language it is set to; the fields are those before the values all the same."""
    error = asyncpg.UniqueViolationError("doppelter Schlüsselwert")
    error.detail = "Schlüssel »(email, tenant)=(a)=(b, 1)« existiert bereits."
    made = translated(error, place="the database", entity="User")
    assert made.fields == ("email", "tenant")


def test_blanking_reaches_what_led_to_it() -> None:
    """An error that the driver raised because of another one is blanked with it."""
    error, first = asyncpg.InterfaceError("hush"), asyncpg.DataError("hush")
    error.__context__ = first
    translated(error, place="the database", entity="")
    assert "hush" not in f"{error}{first}"
