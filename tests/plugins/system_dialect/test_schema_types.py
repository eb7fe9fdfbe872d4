"""Which types are the same, and which way a change of them goes."""

from __future__ import annotations

from typing import Any

import pytest
from objectkernel_system_dialect.schema_types import Change, change_of_decimal, change_of_type
from sqlalchemy import BigInteger, Boolean, DateTime, Dialect, Float, Integer, LargeBinary, Numeric, String, Text
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.types import JSON, NullType

PG: Dialect = postgresql.dialect()
MY: Dialect = mysql.dialect()
LITE: Dialect = sqlite.dialect()


@pytest.mark.parametrize(
    ("dialect", "found", "wanted", "change"),
    [
        (PG, String(20), String(20, collation="C"), "none"),
        (PG, String(20), String(21), "wider"),
        (PG, String(21), String(20), "narrower"),
        (PG, String(20), Text(), "wider"),
        (PG, Text(), String(20), "narrower"),
        (PG, String(), Text(), "none"),
        (PG, Integer(), BigInteger(), "wider"),
        (PG, BigInteger(), Integer(), "narrower"),
        (PG, Float(53), postgresql.DOUBLE_PRECISION(), "none"),
        (PG, postgresql.REAL(), postgresql.DOUBLE_PRECISION(), "wider"),
        (PG, postgresql.TIMESTAMP(timezone=True), DateTime(timezone=True), "none"),
        (PG, postgresql.TIMESTAMP(), DateTime(timezone=True), "other"),
        (PG, Numeric(8, 2), Numeric(10, 4), "wider"),
        (PG, Numeric(8, 2), Numeric(8, 4), "narrower"),
        (PG, Numeric(), Numeric(8, 4), "narrower"),
        (PG, Text(), BigInteger(), "other"),
        (PG, NullType(), BigInteger(), "other"),
        (MY, mysql.BIGINT(display_width=20), BigInteger(), "none"),
        (MY, mysql.TINYINT(display_width=1), Boolean(), "none"),
        (MY, mysql.VARCHAR(20, charset="utf8mb4", collation="utf8mb4_bin"), String(20), "none"),
        (MY, mysql.CHAR(36), String(36), "none"),
        (MY, mysql.TEXT(), mysql.LONGTEXT(), "wider"),
        (MY, mysql.DATETIME(fsp=6), mysql.DATETIME(fsp=6), "none"),
        (MY, mysql.FLOAT(), mysql.DOUBLE(), "wider"),
        (MY, mysql.BLOB(), mysql.LONGBLOB(), "wider"),
        (MY, mysql.INTEGER(unsigned=True), BigInteger(), "wider"),
        (LITE, Text(), String(20), "none"),
        (LITE, BigInteger(), Boolean(), "none"),
        (LITE, JSON(), Text(), "none"),
        (LITE, NullType(), LargeBinary(), "none"),
        (LITE, Float(), BigInteger(), "other"),
        (LITE, Numeric(8, 2), Integer(), "other"),
    ],
)
def test_a_change_of_type(dialect: Dialect, found: Any, wanted: Any, change: Change) -> None:
    """Spellings, collations and widths for display are none; what holds every value is wider."""
    assert change_of_type(found, wanted, dialect) == change


def test_a_decimal_needs_room_on_both_sides() -> None:
    """More digits behind the point are taken from those before it, unless there are more of them."""
    assert change_of_decimal((8, 2), (8, 2)) == "none"
    assert change_of_decimal((8, 2), (9, 2)) == "wider"
    assert change_of_decimal((8, 2), (9, 3)) == "wider"
    assert change_of_decimal((8, 2), (8, 3)) == "narrower"
    assert change_of_decimal((8, 2), (8, 1)) == "narrower"
