"""How each field type lies in PostgreSQL, where it sorts and compares as it does in Python.

===================  ================================================================================
string, enum, text   VARCHAR, of text without a limit, in the collation ``C``: by code points, case and spaces count
integer, sequence    BIGINT; a sequence is a BIGSERIAL
number               DOUBLE PRECISION
decimal              NUMERIC(precision, scale)
datetime             TIMESTAMPTZ; ``infinity`` stands for the last microsecond of the year 9999
json, array          JSON, which keeps the text as it is
uuid, binary         UUID, BYTEA
===================  ================================================================================
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as DriverUUID  # type: ignore[import-untyped]
from sqlalchemy import BigInteger, Boolean, Numeric, Uuid
from sqlalchemy.dialects.postgresql import BYTEA, DOUBLE_PRECISION, TIMESTAMP, VARCHAR
from sqlalchemy.dialects.postgresql.asyncpg import AsyncpgFloat, AsyncpgNumeric, PGDialect_asyncpg
from sqlalchemy.sql import sqltypes
from sqlalchemy.types import TypeEngine, UserDefinedType

from objectkernel_system_dialect.schema import Field
from objectkernel_system_dialect.stored import Codec, dump_json, load_array, load_json

COLLATION: Final = "C"


class JsonText(UserDefinedType[str]):
    """PostgreSQL's JSON, given and taken as text."""

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSON"


class _Exact(AsyncpgNumeric):
    def result_processor(self, dialect: Any, coltype: Any) -> None:
        return None  # the driver gives Decimal


class _Number(AsyncpgFloat):
    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        return _float


_IMPLEMENTED: Final = {**PGDialect_asyncpg.colspecs, sqltypes.Numeric: _Exact, sqltypes.Float: _Number}


class PostgresCore(PGDialect_asyncpg):
    """SQLAlchemy's dialect, for compiling alone: it types values without asking a cursor what they were."""

    supports_statement_cache = True
    colspecs = _IMPLEMENTED


def codec(field: Field) -> Codec:
    """How a field lies in PostgreSQL."""
    match field.type:
        case "string" | "enum":
            return _of(str, VARCHAR(field.length, COLLATION))
        case "text":
            return _of(str, VARCHAR(None, COLLATION))
        case "decimal":
            return Codec(Decimal, None, _finite, Numeric(field.precision, field.scale))
        case kind:
            return _CODECS[kind]


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _finite(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise ValueError("a stored decimal is no number")
    return value


def _moment(value: datetime) -> datetime:
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)  # the driver's infinity


def _uuid(value: UUID) -> UUID:
    return UUID(int=value.int)  # the driver has a class of its own


def _of(storage: type, declared: TypeEngine[Any]) -> Codec:
    return Codec(storage, None, None, declared, trusted=True)


_CODECS: Final = {
    "integer": _of(int, BigInteger()),
    "sequence": _of(int, BigInteger()),
    "number": _of(float, DOUBLE_PRECISION()),
    "boolean": _of(bool, Boolean()),
    "binary": _of(bytes, BYTEA()),
    "datetime": Codec(datetime, None, _moment, TIMESTAMP(timezone=True)),
    "uuid": Codec(DriverUUID, None, _uuid, Uuid(), trusted=True),
    "json": Codec(str, dump_json, load_json, JsonText()),
    "array": Codec(str, dump_json, load_array, JsonText()),
}
