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

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import BigInteger, Dialect, Float, Integer, LargeBinary, String, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from objectkernel_system_dialect.schema import Field, FieldType, ItemType
from objectkernel_system_dialect.values import PRECISE, type_check

Convert: TypeAlias = Callable[[Any], Any]


class Stored(TypeDecorator[Any]):
    """The column type of a field.

    Attributes:
        storage: the type that the driver gives and takes, beside None.
        encode: from the field's Python value to what the driver takes; None where they are the same.
        decode: from what the driver gives to the field's Python value; None where they are the same.
    """

    impl: Any = Text
    cache_ok = True

    def __init__(self, kind: FieldType, length: int, precision: int, scale: int, items: ItemType) -> None:
        # Not `super().__init__()`: what an operator means is decided by `impl`, which each kind has of its own.
        self.kind, self.length, self.precision, self.scale, self.items = kind, length, precision, scale, items
        self.impl = _declared(kind, length)
        self.check = type_check(Field(kind, precision=precision, scale=scale, items=items))
        self.storage = _STORAGE.get(kind, str)
        self.encode: Convert | None
        self.decode: Convert | None
        if kind == "decimal":
            self.encode, self.decode = partial(_scaled, scale), partial(_unscaled, scale)
        else:
            self.encode, self.decode = _ENCODE.get(kind), _DECODE.get(kind)

    @classmethod
    def of(cls, field: Field) -> Stored:
        """The column type for `field`."""
        length = max(map(len, field.enum), default=1) if field.type == "enum" else field.length
        return cls(field.type, length, field.precision, field.scale, field.items)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        value = self.check(value)
        return value if self.encode is None else self.encode(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if type(value) is not self.storage and isinstance(value, str | bytes):  # numbers: an expression's own affair
            raise TypeError("the stored value is of another type")
        return value if value is None or self.decode is None else self.decode(value)


def _declared(kind: FieldType, length: int) -> TypeEngine[Any]:
    match kind:
        case "string" | "enum":
            return String(length)
        case "integer":
            return BigInteger()
        case "boolean" | "sequence" | "decimal":  # of which the sum of two is of the same type to SQLAlchemy
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


def _list(text: str) -> list[Any]:
    value = json.loads(text)
    if not isinstance(value, list):
        raise ValueError("a stored array is none")
    return value


_dump = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode

_ENCODE: Final[Mapping[str, Convert]] = {"datetime": _instant, "json": _dump, "array": _dump, "uuid": str}
_DECODE: Final[Mapping[str, Convert]] = {
    "datetime": _moment,
    "json": json.loads,
    "array": _list,
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
