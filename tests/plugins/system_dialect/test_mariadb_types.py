"""How fields lie in MariaDB and MySQL."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from objectkernel_system_dialect.contracts import EntitySchema, Field, StatementFailed
from objectkernel_system_dialect.mariadb_engine import MariadbEngine
from objectkernel_system_dialect.rows import PLAIN
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.stored import Stored
from sqlalchemy import URL, Column, MetaData, Table
from sqlalchemy.schema import CreateTable

from tests.plugins.system_dialect.databases import mariadb_database, mariadb_url

__all__ = ["mariadb_database", "mariadb_url"]

FIELDS = {
    "string": Field("string", length=40),
    "long": Field("string", length=2000),
    "text": Field("text"),
    "enum": Field("enum", enum=("a", "bcd")),
    "integer": Field("integer"),
    "number": Field("number"),
    "decimal": Field("decimal", precision=18, scale=6),
    "boolean": Field("boolean"),
    "datetime": Field("datetime"),
    "json": Field("json"),
    "uuid": Field("uuid"),
    "binary": Field("binary"),
    "array": Field("array", items="number"),
}
EVERYTHING = EntitySchema(name="Everything", collection="everything", fields=FIELDS)
ON_SERVER = (
    pytest.mark.anyio,
    pytest.mark.mariadb,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
)


def on_server(test: Any) -> Any:
    """Mark a test that needs the server."""
    for mark in ON_SERVER:
        test = mark(test)
    return test


@pytest.fixture
async def dialect(anyio_backend: str, mariadb_url: str) -> AsyncIterator[SqlDialect]:
    async with aclosing(SqlDialect(await MariadbEngine.open(mariadb_url))) as dialect:
        await dialect.register(EVERYTHING)
        yield dialect


def declared(name: str) -> dict[str, str]:
    """The columns' types in DDL, by field."""
    table = Table("t", MetaData(), *(Column(name, Stored(field)) for name, field in FIELDS.items()))
    core = URL.create(f"{name}+asyncmy").get_dialect()()
    lines = str(CreateTable(table).compile(dialect=core)).splitlines()
    return dict(line.strip(" \t,").replace("`", "").split(" ", 1) for line in lines if line.startswith("\t"))


@pytest.mark.parametrize(("name", "collation"), [("mariadb", "utf8mb4_nopad_bin"), ("mysql", "utf8mb4_0900_bin")])
def test_types_in_ddl(name: str, collation: str) -> None:
    """Every text has the server's collation by code points; what is longer than a key can be is a LONGTEXT."""
    words = f"CHARACTER SET utf8mb4 COLLATE {collation}"
    assert declared(name) == {
        "string": f"VARCHAR(40) {words}",
        "long": f"LONGTEXT {words}",
        "text": f"LONGTEXT {words}",
        "enum": f"VARCHAR(3) {words}",
        "integer": "BIGINT",
        "number": "DOUBLE",
        "decimal": "DECIMAL(18, 6)",
        "boolean": "TINYINT(1)",
        "datetime": "DATETIME(6)",
        "json": f"LONGTEXT {words}",
        "uuid": "CHAR(36) CHARACTER SET ascii COLLATE ascii_bin",
        "binary": "LONGBLOB",
        "array": f"LONGTEXT {words}",
    }


MOST = datetime.max.replace(tzinfo=UTC)
LEAST = datetime.min.replace(tzinfo=UTC)


@on_server
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("string", "Ä😀 %_\\'\"\n "),
        ("string", ""),
        ("long", "😀" * 2000),
        ("text", "x" * 70_000),
        ("enum", "bcd"),
        ("integer", 2**63 - 1),
        ("integer", -(2**63)),
        ("number", 0.1),
        ("number", 5e-324),
        ("number", -1.7976931348623157e308),
        ("decimal", Decimal("999999999999.999999")),
        ("decimal", Decimal("-0.000001")),
        ("boolean", True),
        ("boolean", False),
        ("datetime", MOST),
        ("datetime", LEAST),
        ("datetime", datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC)),
        ("json", {"b": [1, 2.5, "ü\0", None, True, 10**60], "a": {}}),
        ("json", ""),
        ("uuid", uuid.UUID(int=2**128 - 1)),
        ("binary", bytes(range(256))),
        ("binary", b""),
        ("array", [1.0, 1e300, -0.5]),
        ("array", []),
    ],
)
async def test_a_value_comes_back(dialect: SqlDialect, name: str, value: Any) -> None:
    """What is written is what is read and found, of the same type and to the last digit."""
    made = await dialect.create(EVERYTHING, {name: value})
    read = await dialect.find_by_id(EVERYTHING, made["id"])
    assert read == made == {"id": made["id"], **dict.fromkeys(FIELDS), name: value}
    assert type(read[name]) is type(value)
    if name != "json":
        assert await dialect.count(EVERYTHING, {name: value}) == 1


@on_server
async def test_json_keeps_its_text(dialect: SqlDialect) -> None:
    """JSON lies there as the compact text that was written: order of keys, large numbers, no escapes."""
    await dialect.create(EVERYTHING, {"json": {"z": 2**64 + 1, "a": "ü"}})
    assert await raw(dialect, "json") == '{"z":18446744073709551617,"a":"ü"}'


async def raw(dialect: SqlDialect, column: str) -> Any:
    """What the driver gives for a column of the one row."""
    ((value,),) = await dialect.engine.executor.fetch(f"SELECT `{column}` FROM everything", (), PLAIN)
    return value


@on_server
async def test_times_lie_in_utc(dialect: SqlDialect) -> None:
    """A time of another zone lies there as that of UTC, and comes back in UTC."""
    noon = datetime.fromisoformat("2024-06-01T12:00:00+02:00")
    made = await dialect.create(EVERYTHING, {"datetime": noon})
    assert await raw(dialect, "datetime") == datetime(2024, 6, 1, 10)
    assert made["datetime"].utcoffset() == timedelta(0)


@on_server
async def test_texts_sort_by_code_points(dialect: SqlDialect) -> None:
    """Capitals before small letters, accents behind them, characters of four bytes last, spaces count."""
    texts = ["", " ", "A", "B", "a", "a ", "a\u0301", "b", "ß", "ä", "\uffee", "😀"]
    await dialect.create_many(EVERYTHING, [{"string": text, "text": text} for text in reversed(texts)])
    for name in ("string", "text"):
        rows = await dialect.find(EVERYTHING, sort={name: 1})
        assert [row[name] for row in rows] == sorted(texts)
        assert await dialect.count(EVERYTHING, {name: "A"}) == 1


@on_server
async def test_keys_that_are_too_long(mariadb_url: str) -> None:
    """A key of more bytes than the server takes is refused with what to change."""
    long = Field("string", length=700, required=True)
    schema = EntitySchema(name="Long", collection="long", fields={"a": long, "b": long}, key=("a", "b"))
    async with aclosing(SqlDialect(await MariadbEngine.open(mariadb_url))) as dialect:
        with pytest.raises(StatementFailed, match="3072 bytes") as caught:
            await dialect.register(schema)
        assert "length" in caught.value.fix
