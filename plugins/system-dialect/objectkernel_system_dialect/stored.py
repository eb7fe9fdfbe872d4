"""How each field lies in a database: a `Codec` for each kind of database, and one column type over them all."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from types import NoneType
from typing import Any, Final, TypeAlias

import attrs
from sqlalchemy import BigInteger, Dialect, Float, Integer, LargeBinary, String, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from objectkernel_system_dialect.schema import Field
from objectkernel_system_dialect.values import CHECKS, type_check

Convert: TypeAlias = Callable[[Any], Any]


@attrs.frozen
class Codec:
    """The way of a field's values into a database and back.

    Attributes:
        storage: the type that the driver gives, beside None.
        encode: from the field's Python value to what the driver takes; None where they are the same.
        decode: from what the driver gives to the field's Python value; None where they are the same.
        declared: the column's type in DDL.
        trusted: whether the database lets nothing into such a column that is no value of the field.
    """

    storage: type
    encode: Convert | None
    decode: Convert | None
    declared: TypeEngine[Any]
    trusted: bool = False


_MODULES: Final = {
    "default": "sqlite_types",  # a statement that is only printed
    "sqlite": "sqlite_types",
    "postgresql": "postgres_types",
    "mysql": "mariadb_types",
    "mariadb": "mariadb_types",
}


def codec(dialect: str, field: Field) -> Codec:
    """The codec of a field for the SQLAlchemy dialect of this name."""
    module = import_module(f"objectkernel_system_dialect.{_MODULES.get(dialect, 'generic_types')}")
    made: Codec = module.codec(field)
    return made


class Stored(TypeDecorator[Any]):
    """The column type of a field, on every database: what lies there is the codec's affair."""

    impl: Any = Text
    cache_ok = True

    def __init__(self, field: Field) -> None:
        # Not `super().__init__()`: what an operator means is decided by `impl`, which each kind has of its own.
        length = max(map(len, field.enum), default=1) if field.type == "enum" else field.length
        self.field = Field(field.type, length=length, precision=field.precision, scale=field.scale, items=field.items)
        self.kind, self.scale = field.type, field.scale
        self.impl = _neutral(self.field)
        self.check = type_check(self.field)
        self._codecs: dict[str, Codec] = {}

    def codec(self, dialect: str) -> Codec:
        """Its codec for the SQLAlchemy dialect of this name."""
        found = self._codecs.get(dialect)
        if found is None:
            found = self._codecs[dialect] = codec(dialect, self.field)
        return found

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(self.codec(dialect.name).declared)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return self._writes(dialect)(value)  # asked for a value that stands in the text itself

    def bind_processor(self, dialect: Dialect) -> Any:
        """Checks a value and writes it as it lies in this database: all that is known beforehand is looked up here."""
        write, adapt = self._writes(dialect), self.impl_instance.bind_processor(dialect)
        return write if adapt is None else lambda value: adapt(write(value))

    def _writes(self, dialect: Dialect) -> Convert:
        check, encode = self.check, self.codec(dialect.name).encode
        if encode is None and check is CHECKS["text"]:
            return _checked_text
        if encode is None:
            return lambda value: None if value is None else check(value)
        return lambda value: None if value is None else encode(check(value))

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:
        """Reads a value as it comes from this database."""
        codec = self.codec(dialect.name)
        storage, decode = codec.storage, codec.decode
        adapt = self.impl_instance.result_processor(dialect, coltype)
        whole = self.kind in ("integer", "sequence")

        def read(value: Any) -> Any:
            if adapt is not None:
                value = adapt(value)
            if type(value) is not storage:
                if isinstance(value, str | bytes):  # numbers: an expression's own affair
                    raise TypeError("the stored value is of another type")
                if whole and isinstance(value, Decimal) and value == int(value):
                    return int(value)  # the sum of integers, to databases whose own might be too small for it
            return value if value is None or decode is None else decode(value)

        return read

    def reads_as_it_is(self, dialect: Dialect, type: type) -> bool:
        """Whether `result_processor` would return every value of a type as it is."""
        codec = self.codec(dialect.name)
        plain = type is NoneType or (type is codec.storage and codec.decode is None)
        return plain and self.impl_instance.result_processor(dialect, None) is None


def _checked_text(value: Any) -> Any:
    """A text, or None; of most texts is seen at once that they fit."""
    if type(value) is str and value.isascii() and "\0" not in value:
        return value
    return None if value is None else CHECKS["text"](value)


dump_json: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode
"""A JSON value as the compact text that is stored."""


_read_json: Final = json.JSONDecoder().raw_decode


def load_json(text: str) -> Any:
    """A stored JSON value. Raises ValueError when it is none."""
    try:
        value, end = _read_json(text)  # which is twice as fast, but minds neither spaces nor what follows
    except ValueError:
        return json.loads(text)
    return value if end == len(text) else json.loads(text)


def load_array(text: str) -> list[Any]:
    """A stored array. Raises ValueError when it is none."""
    value = load_json(text)
    if not isinstance(value, list):
        raise ValueError("a stored array is none")
    return value


def _neutral(field: Field) -> TypeEngine[Any]:
    match field.type:
        case "string" | "enum":
            return String(field.length)
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
