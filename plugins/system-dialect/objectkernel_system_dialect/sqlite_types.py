"""How each field type lies in SQLite, where it sorts and compares as it does in Python.

===================  ================================================================================
decimal              INTEGER, the value times ten to the scale: exact, sorted, summed by the database
datetime             TEXT ``YYYY-MM-DDTHH:MM:SS.ffffff+00:00``: sorts as time does
json, array          TEXT, compact JSON
uuid                 TEXT of 36 characters
boolean              INTEGER 0 and 1
===================  ================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Float, Integer, LargeBinary, String, Text
from sqlalchemy.types import TypeEngine

from objectkernel_system_dialect.schema import Field
from objectkernel_system_dialect.stored import Codec, Convert, dump_json, load_array, load_json
from objectkernel_system_dialect.values import PRECISE


def codec(field: Field) -> Codec:
    """How a field lies in SQLite."""
    storage = _STORAGE.get(field.type, str)
    if field.type == "decimal":
        return Codec(storage, partial(_scaled, field.scale), partial(_unscaled, field.scale), Integer())
    return Codec(storage, _ENCODE.get(field.type), _DECODE.get(field.type), _declared(field))


def _declared(field: Field) -> TypeEngine[Any]:
    match field.type:
        case "string" | "enum":
            return String(field.length)
        case "integer":
            return BigInteger()
        case "boolean" | "sequence":
            return Integer()
        case "number":
            return Float()
        case "binary":
            return LargeBinary()
        case _:
            return Text()


def _scaled(scale: int, value: Decimal) -> int:
    return int(value.scaleb(scale, PRECISE))


def _unscaled(scale: int, value: int) -> Decimal:
    return Decimal(value).scaleb(-scale, PRECISE)


def _instant(value: datetime) -> str:
    return value.isoformat(timespec="microseconds")


def _moment(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if value.tzinfo is not UTC:
        raise ValueError("a stored time has another zone than UTC, or none")
    return value


_ENCODE: Final[Mapping[str, Convert]] = {"datetime": _instant, "json": dump_json, "array": dump_json, "uuid": str}
_DECODE: Final[Mapping[str, Convert]] = {
    "datetime": _moment,
    "json": load_json,
    "array": load_array,
    "uuid": UUID,
    "boolean": bool,
}
_STORAGE: Final[Mapping[str, type]] = {
    "integer": int,
    "decimal": int,
    "boolean": int,
    "sequence": int,
    "number": float,
    "binary": bytes,
}
