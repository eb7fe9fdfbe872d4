"""Values as JSON has them, by the type of their field, there and back without loss.

A decimal is a text of digits, a time a text of RFC 3339 in UTC, a UUID its text, bytes are base64 (RFC 4648, section
4); all others are what JSON has itself, with integers of any size exact. JSON knows one kind of numbers: ``7.0`` is a
whole one.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias
from uuid import UUID

from objectkernel_system_dialect.schema import Field
from objectkernel_system_dialect.values import Misfit

Convert: TypeAlias = Callable[[Any], Any]

_DECIMAL: Final = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?")
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}")
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EXACT: Final = 2**53
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


class Unsendable(Exception):
    """A value that JSON cannot hold."""


class Unreadable(ValueError):
    """Why a text is not taken as JSON, as the end of a sentence; never a part of the text."""


def to_wire(field: Field, value: Any) -> Any:
    """The JSON value of a field's value, which has been checked."""
    convert = ENCODE.get(field.type)
    return value if convert is None or value is None else convert(value)


def from_wire(field: Field, value: Any) -> Any:
    """The field's value of a JSON value; whatever JSON has itself is left to the field's own check.

    Raises:
        Misfit: the value is not how JSON holds one of this field.
    """
    if field.type == "array" and isinstance(value, list):
        return [_NUMBERS[field.items](item) for item in value] if field.items in _NUMBERS else value
    convert = DECODE.get(field.type)
    return value if convert is None or value is None else convert(value)


def from_text(field: Field, text: str) -> Any:
    """The value of a field of a key, from its text in a URL.

    Raises:
        Misfit: the text is no such value.
    """
    if field.type not in ("integer", "sequence"):
        return from_wire(field, text)
    if not _INTEGER.fullmatch(text):
        raise Misfit("the field holds whole numbers")
    return int(text)


def dump(value: Any) -> bytes:
    """JSON, compact and in UTF-8.

    Raises:
        Unsendable: a part of it is no JSON value.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):
        raise Unsendable from None


def load(text: bytes, depth: int, *, unique: bool = False) -> Any:
    """The value of a JSON text (RFC 8259) whose lists and objects are nested at most `depth` deep.

    Args:
        unique: refuse an object in which a name stands twice, so that one would be lost (RFC 7493).

    Raises:
        Unreadable: it is no JSON, nested more deeply, or a text in it is no Unicode.
    """
    try:
        value = json.loads(
            text.decode(), parse_constant=_refuse_constant, object_pairs_hook=_object if unique else None
        )
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise Unreadable("a text in it has a lone surrogate, which is no character") from None
    except Unreadable:
        raise
    except ValueError:
        raise Unreadable("it is no JSON in UTF-8 (RFC 8259)") from None
    if text.count(b"[") + text.count(b"{") > depth and _deeper(value, depth):
        raise Unreadable(f"it is nested more than {depth} deep")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise Unreadable("a name stands twice in an object (RFC 7493)")
    return made


def _refuse_constant(name: str) -> None:
    raise Unreadable(f"{name} is no JSON")


def _deeper(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(part for part in one.values() if isinstance(part, dict | list))
            elif isinstance(one, list):
                inner.extend(part for part in one if isinstance(part, dict | list))
        if not inner:
            return False
        level = inner
    return True


def _decimal_out(value: Any) -> str:
    return format(value, "f")


def _decimal_in(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise Misfit('the field holds decimals, in JSON a text such as "12.50"')
    return Decimal(value)


def _time_out(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _time_in(value: Any) -> datetime:
    why = 'the field holds points in time, in JSON a text such as "2024-05-17T08:30:00Z" (RFC 3339)'
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise Misfit(why)
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Misfit(why) from None


def _uuid_in(value: Any) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise Misfit("the field holds UUIDs, in JSON a text of 36 characters")
    return UUID(value)


def _binary_out(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _binary_in(value: Any) -> bytes:
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise Misfit("the field holds bytes, in JSON a text in base64")


def _number_in(value: Any) -> Any:
    """A whole number is a float again: other writers of JSON leave out the point."""
    return float(value) if type(value) is int and abs(value) <= _EXACT else value


def whole(value: Any) -> Any:
    """A whole number is an integer, also where another writer of JSON has given it a point; but never a rounded one."""
    return int(value) if type(value) is float and value.is_integer() and abs(value) < _EXACT else value


ENCODE: Final[Mapping[str, Convert]] = {
    "decimal": _decimal_out,
    "datetime": _time_out,
    "uuid": str,
    "binary": _binary_out,
}
DECODE: Final[Mapping[str, Convert]] = {
    "decimal": _decimal_in,
    "datetime": _time_in,
    "uuid": _uuid_in,
    "binary": _binary_in,
    "number": _number_in,
    "integer": whole,
    "sequence": whole,
}
_NUMBERS: Final[Mapping[str, Convert]] = {"number": _number_in, "integer": whole}
"""How the items of an array are read; others are what JSON has."""
