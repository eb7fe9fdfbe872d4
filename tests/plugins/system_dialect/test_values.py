"""Every field type comes back as it was written, and refuses what it cannot hold."""

from __future__ import annotations

import decimal
import json
import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objectkernel_system_dialect.contracts import EntitySchema, Field, Repository, ValueInvalid
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

VALUE = EntitySchema(
    name="Value",
    collection="vals",
    key=("number",),
    fields={
        "number": Field("integer"),
        "string": Field("string", length=5),
        "day": Field("string", length=10, format="date"),
        "clock": Field("string", length=24, format="time"),
        "text": Field("text"),
        "integer": Field("integer"),
        "small": Field("integer", min=-2, max=2),
        "float": Field("number"),
        "price": Field("decimal", precision=8, scale=2, max=Decimal(1000)),
        "fine": Field("decimal", precision=18, scale=18),
        "flag": Field("boolean"),
        "moment": Field("datetime"),
        "json": Field("json"),
        "uuid": Field("uuid"),
        "binary": Field("binary"),
        "kind": Field("enum", enum=("a", "b")),
        "names": Field("array"),
        "numbers": Field("array", items="integer"),
        "floats": Field("array", items="number"),
        "flags": Field("array", items="boolean"),
    },
)


@pytest.fixture
async def stored(dialect: SqlDialect) -> Repository:
    """An entity with a field of every type."""
    await dialect.register(VALUE)
    return Repository(dialect, VALUE)


EAST = timezone(timedelta(hours=5, minutes=30))
ROUND_TRIPS: list[tuple[str, Any, Any]] = [
    ("string", "é😀 x ", "é😀 x "),
    ("day", "2024-02-29", "2024-02-29"),
    *(("clock", time, time) for time in ("09:30", "23:59:59", "09:30:00.123456+05:30", "09:30Z")),
    ("text", "x" * 200_000, "x" * 200_000),
    ("text", "", ""),
    ("integer", 2**63 - 1, 2**63 - 1),
    ("integer", -(2**63), -(2**63)),
    ("integer", 2**53 + 1, 2**53 + 1),
    ("float", 0.1, 0.1),
    ("float", 3, 3.0),
    ("float", 5e-324, 5e-324),
    ("price", Decimal("10.1"), Decimal("10.10")),
    ("price", Decimal("-999999.99"), Decimal("-999999.99")),
    ("price", Decimal("1E+2"), Decimal("100.00")),
    ("price", 7, Decimal("7.00")),
    ("price", Decimal("-0"), Decimal("0.00")),
    ("fine", Decimal("0.123456789012345678"), Decimal("0.123456789012345678")),
    ("flag", False, False),
    ("moment", datetime(2026, 3, 29, 1, 30, 0, 7, EAST), datetime(2026, 3, 28, 20, 0, 0, 7, UTC)),
    ("moment", datetime(1, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)),
    (
        "json",
        {"a": [1, 2.5, None, {"ü": "\0"}], "big": 2**80},
        {"a": [1, 2.5, None, {"ü": "\0"}], "big": 2**80},
    ),
    ("json", False, False),
    ("json", (1, 2), [1, 2]),
    ("json", "text", "text"),
    ("uuid", UUID(int=7), UUID(int=7)),
    ("binary", b"\0\xff", b"\0\xff"),
    ("binary", bytearray(b""), b""),
    ("kind", "b", "b"),
    ("names", ("x", ""), ["x", ""]),
    ("numbers", [2**60], [2**60]),
    ("floats", [1, 0.1], [1.0, 0.1]),
    ("flags", [True], [True]),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("field", "given", "expected"), ROUND_TRIPS, ids=lambda value: repr(value)[:40])
async def test_a_value_comes_back_typed(stored: Repository, field: str, given: Any, expected: Any) -> None:
    """What `create` returns is what is read back: equal, of the same type, in the normal form."""
    made = await stored.create({"number": 1, field: given})
    read = await stored.find_by_id(1)
    assert read is not None
    for value in (made[field], read[field]):
        assert value == expected
        assert type(value) is type(expected)
        assert str(value) == str(expected)
    changed = await stored.update(1, {field: given})
    assert changed == read
    assert await stored.update(1, {field: None}) == read | {field: None}


REFUSED: list[tuple[str, Any]] = [
    ("string", "123456"),
    ("string", 5),
    ("string", b"x"),
    *(("day", day) for day in ("", "2026-02-29", "31.1.2026", "20260131", "0000-01-01", "2026-01-3٣", "2026-01-31 ")),
    *(("clock", time) for time in ("", "9:30", "24:00", "0930", "T09:30", "09:30+5", "09:30:00,5", "now")),
    ("text", "a\0b"),
    ("text", "\ud800"),
    ("integer", 2**63),
    ("integer", 1.0),
    ("integer", True),
    ("integer", "1"),
    ("small", 3),
    ("small", -3),
    ("float", math.nan),
    ("float", math.inf),
    ("float", 2**53 + 1),
    ("float", 10**400),
    ("float", True),
    ("float", "1"),
    ("price", 0.1),
    ("price", Decimal("0.001")),
    ("price", Decimal("1000000")),
    ("price", Decimal("1000.01")),
    ("price", Decimal("1E+999999")),
    ("price", Decimal("1E-999999")),
    ("price", Decimal("NaN")),
    ("price", True),
    ("flag", 1),
    ("moment", datetime(2026, 1, 1)),
    ("moment", datetime(1, 1, 1, tzinfo=EAST)),
    ("moment", "2026-01-01T00:00:00Z"),
    ("json", {1: "x"}),
    ("json", {"x": math.nan}),
    ("json", [object]),
    ("json", {"x": "\ud800"}),
    ("json", [10**308]),
    ("json", -(10**4000)),
    ("json", {"\ud800": 1}),
    ("uuid", "00000000-0000-0000-0000-000000000007"),
    ("binary", "x"),
    ("kind", "c"),
    ("kind", 1),
    ("names", "x"),
    ("names", [1]),
    ("names", [None]),
    ("numbers", [True]),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("field", "value"), REFUSED, ids=lambda value: repr(value)[:40])
async def test_a_value_that_does_not_fit_is_refused(stored: Repository, field: str, value: Any) -> None:
    """The error names entity, field and the type given, never the value; nothing is written."""
    with pytest.raises(ValueInvalid) as caught:
        await stored.create({"number": 1, field: value})
    assert caught.value.facts == {"entity": "Value", "field": field, "kind": type(value).__name__}
    assert await stored.count() == 0


@pytest.mark.anyio
async def test_json_that_is_nested_too_deeply_is_refused(stored: Repository) -> None:
    """A document that no reader could walk is refused like any other that does not fit."""
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueInvalid, match="nested"):
        await stored.create({"number": 1, "json": value})


@pytest.mark.anyio
async def test_what_is_written_is_a_copy(stored: Repository) -> None:
    """Changing a list or document after the write changes no row that was returned."""
    document = {"tags": ["a"]}
    made = await stored.create({"number": 1, "json": document})
    document["tags"].append("b")
    assert made["json"] == {"tags": ["a"]}


@pytest.mark.anyio
async def test_decimals_ignore_the_context_of_the_caller(stored: Repository) -> None:
    """A caller whose context rounds to three digits still writes and reads every digit."""
    with decimal.localcontext(decimal.Context(prec=3)):
        made = await stored.create({"number": 1, "price": Decimal("912.34")})
        assert str(made["price"]) == "912.34"
        read = await stored.find_by_id(1)
    assert read is not None
    assert str(read["price"]) == "912.34"


@pytest.mark.anyio
async def test_order_in_the_database_is_order_in_python(stored: Repository) -> None:
    """Decimals, times and UUIDs sort by value, not by their text."""
    prices = [Decimal(n) for n in ("-10.5", "-9", "0", "2", "10", "100.01")]
    moments = [datetime(2026, 1, 1, tzinfo=EAST) + timedelta(microseconds=n) for n in (0, 1, 999_999, 10**6)]
    uuids = sorted(uuid4() for _ in range(4))
    for field, values in (("price", prices), ("moment", moments), ("uuid", uuids)):
        await stored.delete_many({}, all=True)
        shuffled = sorted(enumerate(values), key=lambda pair: (pair[0] * 7) % len(values))
        await stored.create_many([{"number": number, field: value} for number, value in shuffled])
        rows = await stored.find_all(sort={field: 1})
        assert [row["number"] for row in rows] == list(range(len(values)))
        assert await stored.count({field: {"$gt": values[1]}}) == len(values) - 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=60)
@given(
    text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    integer=st.integers(-(2**63), 2**63 - 1),
    float=st.floats(allow_nan=False, allow_infinity=False),
    fine=st.decimals("-0.999999999999999999", "0.999999999999999999", places=18),
    moment=st.datetimes(timezones=st.timezones(), min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)),
    binary=st.binary(),
    document=JSON,
)
def test_random_values_come_back(document: Any, **values: Any) -> None:
    """Whatever a field accepts it returns, bit for bit."""
    values["moment"] = values["moment"].astimezone(UTC)  # in a gap or a fold, local times are equal to none
    row = {"number": 1, "json": document, **values}

    async def round_trip() -> dict[str, Any] | None:
        dialect = await open_sqlite(":memory:")
        await dialect.register(VALUE)
        await dialect.create(VALUE, row)
        read = await dialect.find_by_id(VALUE, 1)
        await dialect.aclose()
        return read

    read = anyio.run(round_trip)
    assert read is not None
    assert {name: read[name] for name in values} == values
    assert json.dumps(read["json"]) == json.dumps(document)
