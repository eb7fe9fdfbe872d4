"""Which Python values fit a field, on every database: a check returns the value as it comes back."""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final, TypeAlias
from uuid import UUID

from objectkernel_system_dialect.errors import ValueInvalid
from objectkernel_system_dialect.schema import Field

Check: TypeAlias = Callable[[Any], Any]
"""Returns the normal form of a value, or raises `Misfit`."""

INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**63 - 1
JSON_NUMBER_END: Final = 10**308
ARRAYS: Final = (list, tuple)
OBJECTS: Final = (dict, Mapping)
"""What a JSON object is made of; the first is found sooner."""
PRECISE: Final = decimal.Context(prec=60)
"""A context of our own: the caller's may round."""
_CLOCK: Final = "([01][0-9]|2[0-3]):[0-5][0-9]"
FORMATS: Final[Mapping[str, tuple[str, Callable[[str], Any], str]]] = {
    "date": ("(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}", date.fromisoformat, "2026-01-31"),
    "time": (rf"{_CLOCK}(:[0-5][0-9](\.[0-9]{{1,6}})?)?(Z|[+-]{_CLOCK})?", time.fromisoformat, "09:30"),
}
"""Of each format of texts its pattern, what reads it, and an example."""


class Misfit(Exception):
    """Why a value does not fit, as the end of a sentence; never the value itself."""


def misfit(
    entity: str, field: str, value: object, why: str, fix: str = "give a value of the field's type, within its limits"
) -> ValueInvalid:
    """The error for a value that does not fit its field."""
    kind = type(value).__name__
    return ValueInvalid(
        f"{entity}.{field} does not take this value",
        why=f"a value of type {kind} was given: {why}",
        fix=fix,
        entity=entity,
        field=field,
        kind=kind,
    )


def type_check(field: Field) -> Check:
    """Holds a value against the field's type alone: what a filter may compare it with."""
    match field.type:
        case "decimal":
            return _decimal_check(field.precision, field.scale)
        case "array":
            return _array_check(CHECKS[field.items])
        case kind:
            return CHECKS[kind]


def write_check(field: Field) -> Check:
    """Holds a value against the field's type and its limits: what may be written."""
    check = type_check(field)
    match field.type:
        case "string":
            return _length_check(check if field.format is None else _format_check(check, field.format), field.length)
        case "enum":
            return _enum_check(field.enum)
        case "integer" | "number" | "decimal" if field.min is not None or field.max is not None:
            return _range_check(check, field.min, field.max)
        case _:
            return check


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Misfit("the field holds text (str)")
    if "\0" in value:
        raise Misfit("the text has a NUL character, which not every database can hold")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Misfit("the text has a lone surrogate, which is no character") from None
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Misfit("the field holds whole numbers (int)")
    if not INTEGER_MIN <= value <= INTEGER_MAX:
        raise Misfit("the number needs more than 64 bits")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Misfit("the field holds numbers (float)")
    try:
        number = float(value)
    except OverflowError:
        raise Misfit("the number is too large for a float") from None
    if not math.isfinite(number):
        raise Misfit("the number is not finite")
    if number != value:
        raise Misfit("a float cannot hold this whole number exactly; use an integer or decimal field")
    return number + 0.0  # of the two zeros one: not every database holds both


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Misfit("the field holds True or False (bool)")
    return value


def _datetime(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise Misfit("the field holds points in time (datetime)")
    if value.tzinfo is UTC:
        return value
    if value.utcoffset() is None:
        raise Misfit("the time has no zone: make it aware")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise Misfit("the time is outside the years 1 to 9999 in UTC") from None


def _uuid(value: Any) -> UUID:
    if not isinstance(value, UUID):
        raise Misfit("the field holds uuid.UUID")
    return value


def _binary(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise Misfit("the field holds bytes")
    return bytes(value)


def _json(value: Any) -> Any:
    """A copy of a JSON value: what is stored cannot be changed from outside any more."""
    try:
        return _json_copy(value)
    except RecursionError:
        raise Misfit("the JSON value is nested too deeply") from None


def _json_copy(value: Any) -> Any:
    if isinstance(value, str):  # first, being the most frequent
        return value if value.isascii() else _json_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) < JSON_NUMBER_END:
            return value
        raise Misfit("a number within it has more than 308 digits, which other readers of JSON cannot hold")
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise Misfit("JSON has no infinite numbers and no NaN")
    if isinstance(value, ARRAYS):
        return [_json_copy(item) for item in value]
    if isinstance(value, OBJECTS):
        return {_json_key(name): _json_copy(item) for name, item in value.items()}
    raise Misfit(f"a {type(value).__name__} within it is no JSON value")


def _json_text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Misfit("a text within it has a lone surrogate, which is no character") from None
    return value


def _json_key(name: Any) -> str:
    if not isinstance(name, str):
        raise Misfit("the keys of a JSON object are str")
    return _json_text(name)


CHECKS: Final[Mapping[str, Check]] = {
    "string": _text,
    "text": _text,
    "enum": _text,
    "integer": _integer,
    "sequence": _integer,
    "number": _number,
    "boolean": _boolean,
    "datetime": _datetime,
    "uuid": _uuid,
    "binary": _binary,
    "json": _json,
}


def _decimal_check(precision: int, scale: int) -> Check:
    """Exactly `scale` fractional digits, in integer arithmetic, so that nothing is ever rounded."""

    def check(value: Any) -> Decimal:
        if isinstance(value, int) and not isinstance(value, bool):
            value = Decimal(value)
        if not isinstance(value, Decimal):
            raise Misfit("the field holds decimal.Decimal; a float is not exact")
        if not value.is_finite():
            raise Misfit("the number is not finite")
        if not value:
            return Decimal((0, (0,), -scale))
        if value.adjusted() >= precision - scale:
            raise Misfit(f"it has more than {precision - scale} digits before the point")
        sign, digits, exponent = value.as_tuple()
        assert isinstance(exponent, int)  # finite
        surplus = -(exponent + scale)
        if surplus > 0 and any(digits[-surplus:]):
            raise Misfit(f"it has more than {scale} digits behind the point")
        digits = digits[:-surplus] if surplus > 0 else (*digits, *(0,) * -surplus)
        return Decimal((sign, digits, -scale))

    return check


def _array_check(item_check: Check) -> Check:
    def check(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise Misfit("the field holds a list")
        return [item_check(item) for item in value]

    return check


def _length_check(check: Check, length: int) -> Check:
    def limited(value: Any) -> Any:
        text = check(value)
        if len(text) > length:
            raise Misfit(f"it is longer than {length} characters")
        return text

    return limited


def _format_check(check: Check, format: str) -> Check:
    pattern, read, example = FORMATS[format]
    shape = re.compile(pattern)

    def formed(value: Any) -> Any:
        text = check(value)
        try:
            if shape.fullmatch(text):
                read(text)
                return text
        except ValueError:
            pass
        raise Misfit(f"it is no {format} such as {example}")

    return formed


def _enum_check(values: tuple[str, ...]) -> Check:
    allowed = frozenset(values)

    def limited(value: Any) -> Any:
        if not isinstance(value, str) or value not in allowed:
            raise Misfit(f"the field holds one of {', '.join(values)}")
        return value

    return limited


def _range_check(check: Check, low: Any, high: Any) -> Check:
    def limited(value: Any) -> Any:
        number = check(value)
        if low is not None and number < low:
            raise Misfit(f"it is below {low}")
        if high is not None and number > high:
            raise Misfit(f"it is above {high}")
        return number

    return limited
