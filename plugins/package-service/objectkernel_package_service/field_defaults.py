"""The defaults of fields: what a package writes, as a value of the mapped field, or a note why there is none."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import uuid4

import attrs
from objectkernel_system_dialect.contracts import Field

from objectkernel_package_service.given_field import GivenField, plain

NOW: Final = frozenset({"now", "currenttimestamp", "currentdatetime", "sysdate"})
TODAY: Final = frozenset({"today", "currentdate"})
_EXPRESSION: Final = re.compile(r"\$\w[\w.]*|\w+\(\)|\{.*\}|current_?user(\.\w+)?", re.IGNORECASE | re.DOTALL)

_CLOCK: Final = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?")


class Unfit(Exception):
    """Why a default is none for its field."""


def new_id() -> str:
    """The default of a key that is text."""
    return str(uuid4())


def now() -> datetime:
    """The default of a time that is filled in when a row is made."""
    return datetime.now(UTC)


def today() -> str:
    """The same of a date: the day in UTC."""
    return datetime.now(UTC).date().isoformat()


def with_default(given: GivenField, field: Field, options: Mapping[str, str] | None = None) -> Field:
    """The field with the default that the package gives.

    Args:
        options: of a choice, its values with their labels.
    """
    attribute, value = given.first("defaultValue", "default")
    if not attribute:
        return field
    try:
        made = _default(given, attribute, field, value, options)
        _within(field, made)
    except Unfit as why:
        given.warn(f"{why}, and is left out", attribute)
        return field
    return attrs.evolve(field, default=made)


def without_default(given: GivenField, why: str) -> None:
    """Note that a default is given where there can be none."""
    attribute, _ = given.first("defaultValue", "default")
    if attribute:
        given.warn(f"{why}, and is left out", attribute)


def _default(given: GivenField, attribute: str, field: Field, value: Any, options: Mapping[str, str] | None) -> Any:
    if field.type == "json":
        return value
    if isinstance(value, dict) or (isinstance(value, str) and _EXPRESSION.fullmatch(value)):
        word = plain(value) if isinstance(value, str) else ""
        if field.type == "datetime" and word in NOW | TODAY:
            return now
        if field.format == "date" and word in NOW | TODAY:
            return today
        raise Unfit("is an expression, which is not evaluated here")
    if options is not None:
        return _choice(given, attribute, field, value, options)
    if field.format == "date":
        return _date(value)
    if field.format == "time":
        return _time(value)
    return _CONVERT[field.type](field, value)


def _within(field: Field, value: Any) -> None:
    if field.min is not None and value < field.min:
        raise Unfit("is below the field's least value")
    if field.max is not None and value > field.max:
        raise Unfit("is above the field's largest value")


def _choice(given: GivenField, attribute: str, field: Field, value: Any, options: Mapping[str, str]) -> Any:
    """One of the options, or some of them; another spelling of one is taken for it, and noted."""
    values: Sequence[Any] = value if isinstance(value, list) else [value]
    found = []
    for one in values:
        spelled = one if isinstance(one, str) else str(one)
        if spelled not in options:
            alike = [key for key, label in options.items() if plain(spelled) in (plain(key), plain(label))]
            if len(alike) != 1 or not plain(spelled):
                raise Unfit(f"{spelled[:80]!r} is none of the options")
            given.warn(f"{spelled[:80]!r} is none of the options; {alike[0]!r} is taken", attribute)
            spelled = alike[0]
        found.append(spelled)
    if field.type == "array":
        return found
    if len(found) != 1:
        raise Unfit("is a list, of which the field takes one")
    return found[0]


def _date(value: Any) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise Unfit("is no date such as 2026-01-31") from None


def _time(value: Any) -> str:
    """The time as it is spelled, which a row's values are too: 09:00, not 09:00:00."""
    try:
        time.fromisoformat(value)
    except (TypeError, ValueError):
        raise Unfit("is no time of day such as 09:30") from None
    if not _CLOCK.fullmatch(value):
        raise Unfit("is no time of day such as 09:30")
    return str(value)


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise Unfit("is no text")
    if field.type == "string" and len(value) > field.length:
        raise Unfit(f"is longer than {field.length} characters")
    return value


def _integer(field: Field, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise Unfit("is no whole number")
    return int(value)


def _number(field: Field, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unfit("is no number")
    return float(value)


def exact(field: Field, value: Any) -> Decimal:
    """A number of JSON as the decimal that it was written as.

    Raises:
        Unfit: it is none, or has more digits than the field.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unfit("is no number")
    try:
        made = Decimal(str(value))
        quantised = made.quantize(Decimal(1).scaleb(-field.scale)) if made.is_finite() else None
    except (InvalidOperation, ValueError):
        raise Unfit("is no number that fits") from None
    if quantised is None or quantised != made or abs(made) >= Decimal(10) ** (field.precision - field.scale):
        raise Unfit(f"has more than {field.scale} digits behind the point, or too many before it")
    return quantised


def _boolean(field: Field, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unfit("is neither true nor false")
    return value


def _datetime(field: Field, value: Any) -> datetime:
    try:
        made = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Unfit("is no time such as 2026-01-31T12:00:00Z") from None
    if made.tzinfo is None:
        raise Unfit("is a time without a zone")
    return made.astimezone(UTC)


def _array(field: Field, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Unfit("is no list of texts")
    return value


_CONVERT: Final[Mapping[str, Callable[[Field, Any], Any]]] = {
    "string": _text,
    "text": _text,
    "integer": _integer,
    "number": _number,
    "decimal": exact,
    "boolean": _boolean,
    "datetime": _datetime,
    "array": _array,
}
