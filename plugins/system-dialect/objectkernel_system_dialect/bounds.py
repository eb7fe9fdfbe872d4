"""Which values of a number field may be added to: so that one statement adds and never leaves the bounds."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

from objectkernel_system_dialect.filters import NEVER, All, AnyOf, Compare, Condition, Missing
from objectkernel_system_dialect.schema import Field
from objectkernel_system_dialect.values import INTEGER_MAX, INTEGER_MIN, PRECISE


def within_bounds(field: Field, name: str, amount: Any) -> tuple[tuple[Condition, ...], list[Any]]:
    """The conditions on the present value under which the sum is within the field's bounds, and their values."""
    low, high = _natural(field)
    low = low if field.min is None else max(low, field.min)
    high = high if field.max is None else min(high, field.max)
    of_missing = low <= amount <= high
    least, most = _less(low, amount), _less(high, amount)
    natural_low, natural_high = _natural(field)
    if most < natural_low or least > natural_high:
        return ((Missing(name) if of_missing else NEVER),), []
    present = All((Compare(name, "$gte"), Compare(name, "$lte")))
    limits = [max(least, natural_low), min(most, natural_high)]
    return (AnyOf((present, Missing(name))) if of_missing else present,), limits


def _natural(field: Field) -> tuple[Any, Any]:
    match field.type:
        case "integer":
            return INTEGER_MIN, INTEGER_MAX
        case "decimal":
            most = Decimal((0, (9,) * field.precision, -field.scale))
            return -most, most
        case _:
            return -sys.float_info.max, sys.float_info.max


def _less(bound: Any, amount: Any) -> Any:
    if isinstance(amount, float):
        return max(-sys.float_info.max, min(sys.float_info.max, float(bound) - amount))
    return PRECISE.subtract(bound, amount) if isinstance(amount, Decimal) else bound - amount
