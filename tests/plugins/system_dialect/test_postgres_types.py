"""How values lie in PostgreSQL: they come back as they went in, typed, exact, and sorted as Python sorts them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from objectkernel_system_dialect.contracts import EntitySchema, Field, RowDamaged
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.rows import PLAIN
from objectkernel_system_dialect.sql_dialect import SqlDialect
from sqlalchemy import Float, Numeric, cast, func, literal, select
from sqlalchemy.schema import CreateTable

from tests.plugins.system_dialect.databases import run_on_postgres

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

THING = EntitySchema(
    name="Thing",
    collection="things",
    key="number",
    fields={
        "number": Field("sequence"),
        "string": Field("string", length=20),
        "text": Field("text"),
        "integer": Field("integer"),
        "float": Field("number"),
        "decimal": Field("decimal", precision=18, scale=4),
        "boolean": Field("boolean"),
        "datetime": Field("datetime"),
        "json": Field("json"),
        "uuid": Field("uuid"),
        "binary": Field("binary"),
        "enum": Field("enum", enum=("a", "bcd")),
        "array": Field("array", items="number"),
    },
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only event loop that the driver knows."""
    return "asyncio"


@pytest.fixture
async def dialect(anyio_backend: str, postgres_url: str) -> AsyncIterator[SqlDialect]:
    """A dialect that knows things."""
    async with aclosing(SqlDialect(await PostgresEngine.open(postgres_url))) as dialect:
        await dialect.register(THING)
        yield dialect


async def test_columns_have_the_databases_own_types(dialect: SqlDialect, postgres_url: str) -> None:
    """Every field lies in the type that PostgreSQL has for it; text sorts by code points."""
    engine = await PostgresEngine.open(postgres_url)
    async with aclosing(engine.executor):
        found = await engine.executor.fetch(
            "SELECT attname, format_type(atttypid, atttypmod), collname"
            " FROM pg_attribute LEFT JOIN pg_collation ON attcollation = pg_collation.oid"
            " WHERE attrelid = 'things'::regclass AND attnum > 0 ORDER BY attnum",
            (),
            PLAIN,
        )
    assert [tuple(column) for column in found] == [
        ("number", "bigint", None),
        ("string", "character varying(20)", "C"),
        ("text", "character varying", "C"),
        ("integer", "bigint", None),
        ("float", "double precision", None),
        ("decimal", "numeric(18,4)", None),
        ("boolean", "boolean", None),
        ("datetime", "timestamp with time zone", None),
        ("json", "json", None),
        ("uuid", "uuid", None),
        ("binary", "bytea", None),
        ("enum", "character varying(3)", "C"),
        ("array", "json", None),
    ]
    assert "BIGSERIAL" in str(CreateTable(dialect.table(THING)).compile(dialect=engine.core))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("string", "Ä  ß\t𝄞 "),
        ("text", "x" * 100_000),
        ("integer", 2**63 - 1),
        ("integer", -(2**63)),
        ("float", 0.1),
        ("float", 5e-324),
        ("float", 1.7976931348623157e308),
        ("decimal", Decimal("99999999999999.9999")),
        ("decimal", Decimal("-0.0001")),
        ("decimal", Decimal("0.0000")),
        ("boolean", False),
        ("datetime", datetime(2024, 2, 29, 23, 59, 59, 999999, UTC)),
        ("datetime", datetime.max.replace(tzinfo=UTC)),
        ("datetime", datetime.min.replace(tzinfo=UTC)),
        ("json", {"z": [1, 1.0, 1e22, None, True, "ü\0\u2028"], "a": 2**200, "": {}}),
        ("json", "text"),
        ("json", 0),
        ("uuid", UUID("00000000-0000-0000-0000-00000000000f")),
        ("binary", bytes(range(256))),
        ("binary", b""),
        ("enum", "bcd"),
        ("array", [1.5, -2.0, 1e300]),
        ("array", []),
    ],
)
async def test_values_come_back_as_they_are(dialect: SqlDialect, field: str, value: Any) -> None:
    """A value that was written is read as an equal one of the same type, and found by it where it can be compared."""
    row = await dialect.create(THING, {field: value})
    (found,) = await dialect.find(THING, {} if field == "json" else {field: value})
    assert found == row
    assert (found[field], type(found[field]), repr(found[field])) == (value, type(value), repr(value))


async def test_times_come_back_in_utc(dialect: SqlDialect) -> None:
    """A point in time of another zone is the same point in UTC."""
    there = datetime(2024, 7, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    await dialect.create(THING, {"datetime": there})
    (row,) = await dialect.find(THING)
    assert row["datetime"].isoformat() == "2024-07-01T06:30:00+00:00"


async def test_json_is_kept_as_text(dialect: SqlDialect, postgres_url: str) -> None:
    """JSON lies there as the compact text that was written: names in their order, numbers in their form."""
    await dialect.create(THING, {"json": {"b": 1.0, "a": [1, "é"]}, "array": [1, 2.5]})
    engine = await PostgresEngine.open(postgres_url)
    async with aclosing(engine.executor):
        (row,) = await engine.executor.fetch('SELECT json, "array" FROM things', (), PLAIN)
    assert tuple(row) == ('{"b":1.0,"a":[1,"é"]}', "[1.0,2.5]")


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)))
async def test_text_sorts_by_code_points(dialect: SqlDialect, texts: list[str]) -> None:
    """Text sorts as Python sorts it, whatever the database's locale."""
    await dialect.delete_many(THING, {}, all=True)
    await dialect.create_many(THING, [{"string": text} for text in texts])
    rows = await dialect.find(THING, sort={"string": 1})
    assert [row["string"] for row in rows] == sorted(texts)


@pytest.mark.parametrize(
    ("field", "stored"), [("decimal", "'NaN'"), ("array", "'{}'"), ("array", "'1'"), ("json", f"'{'1' * 5000}'")]
)
async def test_foreign_values_are_damage(dialect: SqlDialect, postgres_url: str, field: str, stored: str) -> None:
    """What others wrote and the field cannot have is an error that names the row and the field."""
    row = await dialect.create(THING, {})
    run_on_postgres(postgres_url, f'UPDATE things SET "{field}" = {stored}')
    with pytest.raises(RowDamaged) as caught:
        await dialect.find(THING)
    assert (caught.value.key, caught.value.field) == (row["number"], field)


@pytest.mark.parametrize("moment", ["10000-01-01", "0001-01-01 BC"])
async def test_a_time_outside_of_the_calendar_is_damage(dialect: SqlDialect, postgres_url: str, moment: str) -> None:
    """A time that no datetime can be is damage too, in a row that is read as in one that a write returns: it is undone.

    The driver does not tell the row and the field.
    """
    row = await dialect.create(THING, {"string": "before"})
    run_on_postgres(postgres_url, f"UPDATE things SET datetime = '{moment}'")
    for operation in (dialect.find(THING), dialect.update(THING, row["number"], {"string": "after"})):
        with pytest.raises(RowDamaged) as caught:
            await operation
        assert caught.value.facts["entity"] == "Thing"
    assert await dialect.count(THING, {"string": "before"}) == 1


async def test_callers_own_numbers_are_typed(dialect: SqlDialect) -> None:
    """In a caller's own statements numbers come as their SQLAlchemy types say."""
    await dialect.create_many(THING, [{"decimal": Decimal(1), "float": 1.5}, {"decimal": Decimal("2.5")}])
    table = dialect.table(THING)
    (row,) = await dialect.execute(
        select(
            func.sum(table.c.float).label("total"),
            cast(literal(1), Numeric(4, 2)).label("exact"),
            cast(literal(1), Float).label("float"),
        )
    )
    assert [repr(value) for value in row.values()] == ["1.5", "Decimal('1.00')", "1.0"]
