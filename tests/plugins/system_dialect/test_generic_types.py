"""How fields lie in databases that only SQLAlchemy knows."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from objectkernel_system_dialect.contracts import Field
from objectkernel_system_dialect.generic_types import codec
from objectkernel_system_dialect.stored import Stored
from sqlalchemy import URL, Column, MetaData, Table
from sqlalchemy.schema import CreateTable

FIELDS = {
    "string": Field("string", length=40),
    "text": Field("text"),
    "integer": Field("integer"),
    "number": Field("number"),
    "decimal": Field("decimal", scale=2),
    "boolean": Field("boolean"),
    "datetime": Field("datetime"),
    "uuid": Field("uuid"),
    "binary": Field("binary"),
    "json": Field("json"),
}
BY_CODE_POINTS = "COLLATE Latin1_General_100_BIN2"


@pytest.mark.parametrize(
    ("name", "types"),
    [
        (
            "oracle",
            [
                "VARCHAR2(40 CHAR)",
                "CLOB",
                "INTEGER",
                "FLOAT",
                "INTEGER",
                "INTEGER",
                "VARCHAR2(32 CHAR)",
                "VARCHAR2(36 CHAR)",
                "BLOB",
                "CLOB",
            ],
        ),
        (
            "mssql",
            [
                f"NVARCHAR(40) {BY_CODE_POINTS}",
                f"NVARCHAR(max) {BY_CODE_POINTS}",
                "BIGINT",
                "FLOAT",
                "BIGINT",
                "SMALLINT",
                f"NVARCHAR(32) {BY_CODE_POINTS}",
                f"NVARCHAR(36) {BY_CODE_POINTS}",
                "VARBINARY(max)",
                f"NVARCHAR(max) {BY_CODE_POINTS}",
            ],
        ),
    ],
)
def test_types_in_ddl(name: str, types: list[str]) -> None:
    """Each field has a type that the database knows; texts compare by code points."""
    table = Table("t", MetaData(), *(Column(name, Stored(field)) for name, field in FIELDS.items()))
    lines = str(CreateTable(table).compile(dialect=URL.create(name).get_dialect()())).splitlines()
    columns = [line.strip(" \t,").removesuffix(" NULL") for line in lines if line.startswith("\t")]
    assert [column.split(" ", 1)[1] for column in columns] == types


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("decimal", Decimal("-12.30"), -1230),
        ("datetime", datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2024-01-02T03:04:05.000006+00:00"),
        ("uuid", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("json", {"b": [1, "ä"]}, '{"b":[1,"ä"]}'),
    ],
)
def test_forms_that_every_database_keeps(name: str, value: Any, stored: Any) -> None:
    """What a driver may round, cut or shift lies there as a whole number or a text."""
    made = codec(FIELDS[name])
    assert made.encode is not None and made.decode is not None
    assert made.encode(value) == stored and type(stored) is made.storage
    assert made.decode(stored) == value
