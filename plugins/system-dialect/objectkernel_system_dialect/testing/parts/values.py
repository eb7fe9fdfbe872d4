"""Values come back as they were written, to the last digit, and what a field cannot hold is refused."""

from __future__ import annotations

import math
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pytest

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import UnknownField, ValueInvalid
from objectkernel_system_dialect.repository import Repository
from objectkernel_system_dialect.testing.schemas import ENTRY, FLAG, ITEM, MEMBER, TICKET
from objectkernel_system_dialect.testing.tools import Suite, emptied, refused

TEXTS: Final = (
    "", " ", "a", "a ", " a", "A", "ä", "a\u0308", "Straße", "中文", "😀", "\U0010ffff", "\uffff", "\t\r\n", "\x01\x7f",
    "'", '"', "\\", "\\'", "''", "%", "_", "$", "$1", "?", ":a", "%s", "%(a)s", "--", "/*", "; DROP TABLE x", "null",
)  # fmt: skip
EXACT: Final[Mapping[str, Sequence[Any]]] = {
    "name": (*TEXTS, "x" * 60, "😀" * 60),
    "note": (*TEXTS, "x" * 100_000, "😀" * 70_000),
    "size": (0, 1, -1, 2**31, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)),
    "weight": (0.0, 0.1, 1 / 3, 1e300, -1e-300, 5e-324, 1.7976931348623157e308, 2.0**53, 123456789.123456789),
    "price": tuple(map(Decimal, ("0.00", "0.01", "-0.01", "1.10", "9999999999.99", "-9999999999.99", "100.00"))),
    "open": (True, False),
    "moment": tuple(
        datetime(*parts, tzinfo=UTC)  # type: ignore[misc]
        for parts in (
            (1000, 1, 1), (1582, 10, 10), (1969, 12, 31, 23, 59, 59, 999999), (1970, 1, 1), (2000, 2, 29, 12),
            (2026, 3, 29, 1, 30), (2026, 7, 1, 1, 2, 3, 4), (2038, 1, 19, 3, 14, 8), (9999, 12, 31, 23, 59, 59, 999999),
        )
    ),
    "data": (
        True, False, 0, 1, -1.5, 1.0, 2**53 + 1, 2**63, 10**300, 0.1, 1e300, "", "text", "null", "é\u2028😀", '"\\/',
        [], {}, [[]], [None], {"": None}, [1, 1.0, True, "1", None], {"b": 1, "a": {"b": [{"c": None}]}},
        {"a.b": 1, "$c": 2, "d'e\"f\\": 3, "ключ": "значение", "😀": [1]}, {"n": 2**64 + 1}, "\u0000", ["x" * 70_000],
        [[[[[[[[[[[[[[[[[[[[{"deep": [1]}]]]]]]]]]]]]]]]]]]]],
    ),
    "code": (UUID(int=0), UUID(int=2**128 - 1), UUID("12345678-1234-5678-1234-567812345678")),
    "blob": (b"", b"\0", b"a\0b", bytes(range(256)), b"'; --", b"\\x00", b"\xff" * 70_000),
    "kind": ("small", "large", "ÜBERGROSS"),
    "labels": ([], [""], ["a", "a"], ["b", "a"], list(TEXTS)),
    "counts": ([], [0, -1, 2**53 + 1, 2**63 - 1, -(2**63)], [1, 1]),
    "ratios": ([], [0.1, 1e300, 1.0], [5e-324]),
    "flags": ([], [True, False, True]),
}  # fmt: skip
"""For each field values that come back as the very same."""

BERLIN: Final = timezone(timedelta(hours=2))
NORMAL: Final[Sequence[tuple[str, Any, Any]]] = (
    ("weight", 3, 3.0),
    ("weight", 2**53, 2.0**53),
    ("weight", -0.0, 0.0),
    ("ratios", [-0.0], [0.0]),
    ("price", 5, Decimal("5.00")),
    ("price", Decimal("1.5"), Decimal("1.50")),
    ("price", Decimal("1.500"), Decimal("1.50")),
    ("price", Decimal("1E+2"), Decimal("100.00")),
    ("price", Decimal("-0"), Decimal("0.00")),
    ("moment", datetime(2026, 7, 1, 12, tzinfo=BERLIN), datetime(2026, 7, 1, 10, tzinfo=UTC)),
    ("blob", bytearray(b"ab"), b"ab"),
    ("blob", memoryview(b"ab"), b"ab"),
    ("labels", ("a", "b"), ["a", "b"]),
    ("ratios", [1, 2], [1.0, 2.0]),
    ("data", (1, (2,)), [1, [2]]),
    ("data", None, None),
)
"""Values that have a normal form, in which they come back."""

UNFIT: Final[Mapping[str, Sequence[Any]]] = {
    "number": ("1", 1.0, True, 2**63, -(2**63) - 1),
    "name": (1, b"a", True, "x" * 61, "a\0b", "\ud800", ["a"]),
    "note": (1, "a\0b", "\udfff"),
    "size": ("1", 1.0, True, 2**63, -(2**63) - 1, Decimal(1)),
    "weight": ("1", True, math.nan, math.inf, -math.inf, 2**53 + 1, 10**400, Decimal(1)),
    "price": ("1", 1.5, True, Decimal("0.001"), Decimal("10000000000"), Decimal("NaN"), Decimal("Infinity")),
    "open": (0, 1, "true", "f"),
    "moment": (0, "2026-01-01", datetime(2026, 1, 1), datetime.min.replace(tzinfo=BERLIN)),
    "data": (math.nan, {"a": math.inf}, {1: 2}, {None: 1}, [object()], {"a": b""}, "\ud800", {"\ud800": 1}, 10**308),
    "code": ("12345678-1234-5678-1234-567812345678", 5, b"\0" * 16),
    "blob": ("a", 5, [1]),
    "kind": ("medium", "SMALL", "", 5, ["small"]),
    "labels": ("a", [1], [None], {"a": 1}, ["a\0"], 5),
    "counts": ([1.0], [True], ["1"], [2**63]),
    "ratios": ([math.nan], ["1"], [True]),
    "flags": ([1], ["true"]),
}
"""For each field what it does not take."""


@pytest.mark.anyio
class Values(Suite):
    """Values and what becomes of them."""

    @pytest.mark.parametrize("field", EXACT)
    async def test_values_come_back_as_they_were_written(self, items: Repository, field: str) -> None:
        """Every value of a field is read as it was written, of the same type, also after an update."""
        values = EXACT[field]
        made = await items.create_many([{"number": number, field: value} for number, value in enumerate(values)])
        found = await items.find_all(sort={"number": 1})
        assert [repr(row[field]) for row in made] == [repr(value) for value in values]
        assert [repr(row[field]) for row in found] == [repr(value) for value in values]
        assert list(found[0]) == list(ITEM.names)
        await items.create({"number": -1})
        for value in values[:40]:
            changed = await items.update(-1, {field: value})
            assert changed is not None
            assert repr(changed[field]) == repr(value)

    @pytest.mark.parametrize(
        ("field", "given", "normal"), NORMAL, ids=lambda value: repr(value).partition(" at 0x")[0][:40]
    )
    async def test_a_value_comes_back_in_its_normal_form(
        self, items: Repository, field: str, given: Any, normal: Any
    ) -> None:
        """`create` answers what `find_by_id` will: times in UTC, decimals with all their digits, lists for tuples."""
        made = await items.create({"number": 1, field: given})
        assert repr(made[field]) == repr(normal)
        found = await items.find_by_id(1)
        assert found == made
        assert found is not None
        assert repr(found[field]) == repr(normal)

    @pytest.mark.parametrize("field", UNFIT)
    async def test_a_value_that_does_not_fit_is_refused(self, items: Repository, field: str) -> None:
        """A write with it writes nothing; the error names the field and the type, and never the value."""
        for value in UNFIT[field]:
            writes: list[Coroutine[Any, Any, Any]] = [
                items.create({"number": 1, field: value}),
                items.create_many([{"number": 1}, {"number": 2, field: value}]),
                items.upsert({"number": 1, field: value}),
            ]
            if field != "number":
                writes += [items.update(1, {field: value}), items.update_many({}, {field: value}, all=True)]
            for error in await refused(ValueInvalid, *writes):
                assert error.facts == {"entity": "SuiteItem", "field": field, "kind": type(value).__name__}
        assert await items.count() == 0

    async def test_a_missing_value_is_none(self, items: Repository) -> None:
        """What is left out and what is given as None are one: the row has every name, with None."""
        given: dict[str, Any] = {"number": 2} | {name: None for name in ITEM.fields if name != "number"}
        empty, explicit = await items.create_many([{"number": 1}, given])
        assert empty == explicit | {"number": 1}
        assert set(empty) == set(ITEM.names)
        assert await items.find_by_id(1) == empty
        assert [name for name, value in empty.items() if value is not None] == ["number"]

    async def test_what_is_returned_is_the_callers_own(self, items: Repository) -> None:
        """A list or an object of a written row may be changed afterwards: no stored row changes with it."""
        data, labels = {"a": [1]}, ["a"]
        made = await items.create({"number": 1, "data": data, "labels": labels})
        data["a"].append(2)
        labels.append("b")
        made["data"]["a"].append(3)
        found = await items.find_by_id(1)
        assert found is not None
        assert found["data"] == {"a": [1]}
        assert found["labels"] == ["a"]

    async def test_defaults_are_made_for_each_row(self, dialect: Dialect) -> None:
        """What is left out has its default, made anew for each row; None is no value and has no default."""
        (members,) = await emptied(dialect, MEMBER)
        first, second = await members.create_many([{"name": "Ada"}, {"name": "Bob"}])
        assert first["id"] != second["id"]
        assert first["role"] == "member"
        assert first["tags"] == []
        assert first["tags"] is not second["tags"]
        assert first["visits"] == 0
        none = await members.create({"name": "Eve", "role": None, "tags": None})
        assert (none["role"], none["tags"]) == (None, None)
        assert await members.find_by_id(none["id"]) == none

    async def test_a_required_value_cannot_be_missing(self, dialect: Dialect) -> None:
        """Without a default it has to be given, and None is refused in every write."""
        (members,) = await emptied(dialect, MEMBER)
        made = await members.create({"name": "Ada"})
        await refused(
            ValueInvalid,
            members.create({"email": "x"}),
            members.create({"name": None}),
            members.create({"name": "Bob", "visits": None}),
            members.create({"name": "Bob", "id": None}),
            members.create_many([{"name": "Bob"}, {}]),
            members.upsert({"id": made["id"], "name": None}),
            members.update(made["id"], {"name": None}),
            members.update_many({"name": "Ada"}, {"name": None}),
            match="required",
        )
        assert await members.find_all() == [made]

    async def test_bounds_hold_for_every_write(self, dialect: Dialect) -> None:
        """A number below `min` or above `max` is refused; the bounds themselves are taken."""
        (members,) = await emptied(dialect, MEMBER)
        made = await members.create({"id": "a", "name": "Ada", "score": 100, "balance": Decimal("-5"), "rating": 5})
        assert made["balance"] == Decimal("-5.00")
        for wrong in ({"score": 101}, {"score": -1}, {"balance": Decimal("-5.01")}, {"rating": 5.1}):
            await refused(
                ValueInvalid,
                members.create({"name": "Bob", **wrong}),
                members.upsert({"id": "a", "name": "Ada", **wrong}),
                members.update("a", wrong),
            )
        assert await members.find_all() == [made]

    async def test_an_unknown_name_is_refused_in_every_write(self, dialect: Dialect) -> None:
        """A name that is no field makes no column: nothing is written, and the nearest name is offered."""
        (members,) = await emptied(dialect, MEMBER)
        made = await members.create({"id": "a", "name": "Ada"})
        for error in await refused(
            UnknownField,
            members.create({"name": "Bob", "emial": "x"}),
            members.create_many([{"name": "Bob"}, {"name": "Eve", "emial": "x"}]),
            members.update("a", {"emial": "x"}),
            members.update_many({"name": "Ada"}, {"emial": "x"}),
            members.upsert({"id": "a", "name": "Ada", "emial": "x"}),
        ):
            assert error.facts == {"entity": "SuiteMember", "name": "emial", "near": ("email",)}
        for hostile in ('name") VALUES (1); --', "name; DROP TABLE suite_members", "Name", " name", "name\0", ""):
            await refused(UnknownField, members.create({"name": "Bob", hostile: "x"}))
        assert await members.find_all() == [made]

    async def test_what_the_dialect_keeps_cannot_be_written(self, dialect: Dialect) -> None:
        """Times, versions and sequences are the dialect's own."""
        members, entries = await emptied(dialect, MEMBER, ENTRY)
        made = await members.create({"id": "a", "name": "Ada"})
        now = datetime.now(UTC)
        await refused(
            ValueInvalid,
            members.create({"name": "Bob", "created_at": now}),
            members.update("a", {"updated_at": now}),
            members.update_many({"name": "Ada"}, {"version": 5}),
            members.upsert({"id": "a", "name": "Ada", "version": 5}),
            entries.create({"topic": "t", "rank": 1, "body": "", "number": 7}),
            match="keeps this field itself",
        )
        assert await members.find_all() == [made]

    @pytest.mark.parametrize("wrong", [None, ["name"], "name", 5], ids=repr)
    async def test_what_is_written_is_a_mapping(self, dialect: Dialect, wrong: Any) -> None:
        """Anything else is refused as a value, before anything is written."""
        (flags,) = await emptied(dialect, FLAG)
        made = await flags.create({"id": "a"})
        many: list[Any] = [wrong, [wrong], {"note": "x"}]
        await refused(
            ValueInvalid,
            flags.create(wrong),
            flags.update("a", wrong),
            flags.update_many({"id": "a"}, wrong),
            flags.upsert(wrong),
            *(flags.create_many(rows) for rows in many),
        )
        assert await flags.find_all() == [made]

    async def test_a_sequence_grows_and_is_never_used_twice(self, dialect: Dialect) -> None:
        """Numbers come in the order of the rows; that of a deleted row, were it the last, does not come back."""
        entries, tickets = await emptied(dialect, ENTRY, TICKET)
        made = await entries.create_many([{"topic": "t", "rank": 3 - rank, "body": ""} for rank in range(3)])
        made.append(await entries.create({"topic": "u", "rank": 0, "body": ""}))
        assert await entries.delete(("u", 0))
        assert await entries.delete_many({}, all=True) == 3
        made += await entries.create_many([{"topic": "t", "rank": rank, "body": ""} for rank in range(2)])
        numbers = [row["number"] for row in made]
        assert numbers == sorted(set(numbers))
        assert await entries.find_all(sort={"number": 1}) == made[-2:]
        first, second = await tickets.create_many([{"topic": "a"}, {"topic": "b"}])
        third = await tickets.create({})
        assert first["number"] < second["number"] < third["number"]
        assert await tickets.find_by_id(second["number"]) == second
        assert await tickets.update(second["number"], {"topic": "c"}) == second | {"topic": "c"}

    async def test_long_inserts_are_whole(self, items: Repository) -> None:
        """Five thousand rows at once are all there, each as it was given."""
        rows = [{"number": number, "name": f"n{number % 7}", "size": -number, "labels": []} for number in range(5000)]
        made = await items.create_many(rows)
        assert [row["number"] for row in made] == list(range(5000))
        assert await items.count() == 5000
        assert await items.find_all(sort={"number": 1}) == made
        assert await items.create_many([]) == []

    async def test_large_rows_are_whole(self, items: Repository) -> None:
        """Many rows of much text each are written together, and read together."""
        rows = [{"number": number, "note": chr(97 + number % 26) * 200_000} for number in range(40)]
        await items.create_many(rows)
        found = await items.find_all(sort={"number": 1}, select=["number", "note"])
        assert found == rows
