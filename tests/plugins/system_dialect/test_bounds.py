"""An increment finds the row only when the sum stays within the field's bounds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from objectkernel_system_dialect.bounds import within_bounds
from objectkernel_system_dialect.contracts import ConstraintViolated, EntitySchema, Field
from objectkernel_system_dialect.filters import NEVER, All, AnyOf, Compare, Condition, Missing
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5) | st.sampled_from([2**63 - 1, -(2**63)])
CENTS = st.integers(-99999, 99999).map(lambda cents: Decimal(cents).scaleb(-2))


def holds(condition: Condition, present: Any, values: Iterator[Any]) -> bool:
    """Whether a row with this value fulfils the condition, as the database would see it."""
    match condition:
        case All(parts):
            held = [holds(part, present, values) for part in parts]  # each takes its values
            return all(held)
        case AnyOf(parts):
            held = [holds(part, present, values) for part in parts]
            return any(held)
        case Missing():
            return present is None
        case Compare(operator="$gte"):
            value = next(values)
            return present is not None and present >= value
        case Compare(operator="$lte"):
            value = next(values)
            return present is not None and present <= value
    assert condition == NEVER
    return False


def admits(field: Field, present: Any, amount: Any) -> bool:
    conditions, values = within_bounds(field, "n", amount)
    rest = iter(values)
    found = holds(All(conditions), present, rest)
    assert next(rest, None) is None  # every value stands for a comparison
    return found


@given(present=st.none() | INTEGERS, amount=INTEGERS, bounds=st.tuples(st.none() | INTEGERS, st.none() | INTEGERS))
@example(present=2**63 - 1, amount=1, bounds=(None, None))
@example(present=-1, amount=-(2**63), bounds=(None, None))
@example(present=None, amount=-(2**63), bounds=(None, None))
@example(present=0, amount=2**63 - 1, bounds=(None, 5))
def test_whole_numbers(present: int | None, amount: int, bounds: tuple[int | None, int | None]) -> None:
    """Within 64 bits and the field's bounds; a missing value counts as 0; all that is compared fits 64 bits."""
    field = Field("integer", min=bounds[0], max=bounds[1])
    low = -(2**63) if bounds[0] is None else bounds[0]
    high = 2**63 - 1 if bounds[1] is None else bounds[1]
    assert admits(field, present, amount) == (low <= (present or 0) + amount <= high)
    assert all(-(2**63) <= value < 2**63 for value in within_bounds(field, "n", amount)[1])


@given(present=st.none() | CENTS, amount=CENTS, low=st.none() | CENTS, high=st.none() | CENTS)
@example(present=Decimal("999.99"), amount=Decimal("0.01"), low=None, high=None)
def test_decimals(present: Decimal | None, amount: Decimal, low: Decimal | None, high: Decimal | None) -> None:
    """Within the digits that the field has and its bounds; all that is compared has no more digits."""
    field = Field("decimal", precision=5, scale=2, min=low, max=high)
    most = Decimal("999.99")
    lowest, highest = max(low if low is not None else -most, -most), min(high if high is not None else most, most)
    assert admits(field, present, amount) == (lowest <= (present or 0) + amount <= highest)
    assert all(abs(value) <= most for value in within_bounds(field, "n", amount)[1])


@pytest.mark.parametrize(
    ("present", "amount", "expected"),
    [
        (1.5, 0.5, True),
        (1.5, 0.75, False),
        (None, 2.0, True),
        (None, 2.5, False),
        (-sys.float_info.max, -sys.float_info.max, False),
        (-sys.float_info.max, sys.float_info.max, True),
    ],
)
def test_floats(present: float | None, amount: float, expected: bool) -> None:
    """Within the field's bounds, and never beyond what a float can hold."""
    assert admits(Field("number", max=2), present, amount) is expected


@pytest.mark.anyio
async def test_a_row_that_is_made_meanwhile_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that somebody makes just after an increment has not found it is counted up, not called out of bounds."""
    fields = {"id": Field("string", length=10, required=True), "count": Field("integer", max=2)}
    schema = EntitySchema(name="Counter", collection="counters", fields=fields)
    dialect = await open_sqlite(":memory:")
    try:
        await dialect.register(schema)
        look = dialect._is_there

        async def late(*row: Any) -> bool:
            monkeypatch.undo()
            await dialect.create(schema, {"id": "a", "count": 1})
            return await look(*row)

        monkeypatch.setattr(dialect, "_is_there", late)
        assert (await dialect.increment(schema, "a", "count") or {})["count"] == 2
        with pytest.raises(ConstraintViolated):
            await dialect.increment(schema, "a", "count")
        assert await dialect.increment(schema, "b", "count") is None
    finally:
        await dialect.aclose()
