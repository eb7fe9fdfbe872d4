"""Pipelines group and count as MongoDB's do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pytest

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import DataError, FilterInvalid, OptionInvalid, UnknownField, UnknownOperator
from objectkernel_system_dialect.repository import Repository
from objectkernel_system_dialect.testing.schemas import ITEM
from objectkernel_system_dialect.testing.tools import Suite, emptied, refused

GROUP: Final = {"_id": "$kind", "n": {"$sum": 1}}
REFUSED: Final[Mapping[type[DataError], Sequence[Any]]] = {
    UnknownField: (
        [{"$group": {"_id": "$knid"}}],
        [{"$group": {"_id": {"a": "$knid"}}}],
        [{"$group": {"_id": None, "n": {"$sum": "$sise"}}}],
        [{"$group": {"_id": '$kind"; --'}}],
    ),
    UnknownOperator: (
        [{"$gruop": GROUP}],
        [{"$project": {"kind": 1}}, {"$group": GROUP}],
        [{"$group": {"_id": None, "n": {"$add": "$size"}}}],
    ),
    OptionInvalid: (
        [{"$group": GROUP}, {"$limit": -1}],
        [{"$group": GROUP}, {"$limit": 0}],
        [{"$group": GROUP}, {"$skip": "1"}],
        [{"$group": {"_id": "$labels"}}],
        [{"$group": {"_id": "$data"}}],
        [{"$group": {"_id": None, "n": {"$sum": "$name"}}}],
        [{"$group": {"_id": None, "n": {"$avg": "$open"}}}],
        [{"$group": {"_id": None, "n": {"$min": "$labels"}}}],
        [{"$group": {"_id": None, "n": {"$max": "$blob"}}}],
    ),
    FilterInvalid: (
        [],
        {},
        None,
        "$group",
        [{}],
        [{"$match": {}}],
        [{"$group": {}}],
        [{"$group": {"n": {"$sum": 1}}}],
        [{"$group": {"_id": {}}}],
        [{"$group": {"_id": "kind"}}],
        [{"$group": {"_id": "$"}}],
        [{"$group": {"_id": 5}}],
        [{"$group": {"_id": None, "n": 1}}],
        [{"$group": {"_id": None, "n": {"$sum": 2}}}],
        [{"$group": {"_id": None, "n": {"$sum": True}}}],
        [{"$group": {"_id": None, "n": {"$sum": None}}}],
        [{"$group": {"_id": None, "n": {"$count": 1}}}],
        [{"$group": {"_id": None, "n": {"$avg": 1}}}],
        [{"$group": {"_id": None, "n": {"$sum": 1, "$avg": "$size"}}}],
        [{"$group": {"_id": None, "a.b": {"$sum": 1}}}],
        [{"$group": {"_id": None, "$n": {"$sum": 1}}}],
        [{"$group": GROUP, "$sort": {"n": 1}}],
        [{"$group": GROUP}, {"$group": GROUP}],
        [{"$group": GROUP}, {"$sort": {"m": 1}}],
        [{"$group": GROUP}, {"$sort": {"n": 2}}],
        [{"$group": GROUP}, {"$sort": {"n": True}}],
        [{"$group": GROUP}, {"$sort": [("n", 1)]}],
        [{"$group": GROUP}, {"$limit": 1}, {"$sort": {"n": 1}}],
        [{"$sort": {"name": 1}}, {"$group": GROUP}],
    ),
}


@pytest.mark.anyio
class Aggregates(Suite):
    """Groups of rows."""

    @pytest.fixture
    async def goods(self, dialect: Dialect) -> Repository:
        """Six items of three kinds."""
        (goods,) = await emptied(dialect, ITEM)
        rows: list[tuple[str | None, int | None, float | None, str | None]] = [
            ("small", 1, 0.5, "0.10"),
            ("small", 2, 0.25, "0.20"),
            ("large", 2**53 + 1, None, "1.00"),
            ("large", 2**53 + 2, 1.0, "2.01"),
            (None, None, None, None),
            (None, -3, 2.0, None),
        ]
        await goods.create_many(
            [
                {
                    "number": number, "kind": kind, "size": size, "weight": weight, "open": bool(number % 2),
                    "price": None if price is None else Decimal(price), "name": "xyzXYa"[number],
                    "code": UUID(int=number), "moment": datetime(2026, 1, 1 + number, tzinfo=UTC),
                }
                for number, (kind, size, weight, price) in enumerate(rows)
            ]
        )  # fmt: skip
        return goods

    async def test_groups_of_a_field(self, goods: Repository) -> None:
        """The `_id` is the field's value; missing ones are a group of their own, which comes first going up."""
        pipeline: list[dict[str, Any]] = [
            {"$group": {"_id": "$kind", "n": {"$sum": 1}, "m": {"$count": {}}}},
            {"$sort": {"_id": 1}},
        ]
        assert await goods.aggregate(pipeline) == [
            {"_id": None, "n": 2, "m": 2},
            {"_id": "large", "n": 2, "m": 2},
            {"_id": "small", "n": 2, "m": 2},
        ]

    async def test_sums_and_averages_are_exact(self, goods: Repository) -> None:
        """Integers and decimals lose no digit; of nothing the sum is 0 and the average None."""
        pipeline: list[dict[str, Any]] = [
            {
                "$group": {
                    "_id": "$kind",
                    "size": {"$sum": "$size"}, "weight": {"$sum": "$weight"}, "price": {"$sum": "$price"},
                    "mean": {"$avg": "$size"}, "cost": {"$avg": "$price"}, "load": {"$avg": "$weight"},
                }
            },
            {"$sort": {"_id": 1}},
        ]  # fmt: skip
        none, large, small = await goods.aggregate(pipeline)
        assert none == {"_id": None, "size": -3, "weight": 2.0, "price": 0, "mean": -3.0, "cost": None, "load": 2.0}
        assert large["size"] == 2**54 + 3
        assert large["price"] == Decimal("3.01")
        assert large["cost"] == Decimal("1.505")
        assert small == {
            "_id": "small", "size": 3, "weight": 0.75, "price": Decimal("0.30"), "mean": 1.5,
            "cost": Decimal("0.15"), "load": 0.375,
        }  # fmt: skip
        kinds = {name: type(value) for name, value in small.items()}
        assert kinds == {
            "_id": str, "size": int, "weight": float, "price": Decimal, "mean": float, "cost": Decimal, "load": float,
        }  # fmt: skip

    async def test_least_and_greatest_of_every_type(self, goods: Repository) -> None:
        """`$min` and `$max` keep the type, look past missing values and are None of nothing else."""
        fields = ("size", "weight", "price", "open", "name", "code", "moment")
        group: dict[str, Any] = {"_id": None}
        group |= {f"{name}_{end}": {f"${end}": f"${name}"} for name in fields for end in ("min", "max")}
        (row,) = await goods.aggregate([{"$match": {"kind": {"$ne": None}}}, {"$group": group}])
        rows = await goods.find_all({"kind": {"$ne": None}})
        for name in fields:
            values = [row[name] for row in rows if row[name] is not None]
            assert repr(row[f"{name}_min"]) == repr(min(values)), name
            assert repr(row[f"{name}_max"]) == repr(max(values)), name
        (empty,) = await goods.aggregate([{"$match": {"number": 4}}, {"$group": {"_id": None, "x": {"$max": "$size"}}}])
        assert empty == {"_id": None, "x": None}

    async def test_groups_of_several_fields(self, goods: Repository) -> None:
        """The `_id` is a mapping with the names that were given."""
        pipeline: list[dict[str, Any]] = [
            {"$group": {"_id": {"what": "$kind", "is open": "$open"}, "n": {"$sum": 1}}},
            {"$sort": {"_id.what": -1, "_id.is open": 1}},
        ]
        assert await goods.aggregate(pipeline) == [
            {"_id": {"what": kind, "is open": is_open}, "n": 1}
            for kind in ("small", "large", None)
            for is_open in (False, True)
        ]

    @pytest.mark.parametrize("field", ["number", "weight", "price", "open", "moment", "code", "name", "size"])
    async def test_every_type_groups(self, goods: Repository, field: str) -> None:
        """Values of a group come back typed, and upper and lower case are two groups."""
        rows = await goods.find_all()
        found = await goods.aggregate([{"$group": {"_id": f"${field}", "n": {"$sum": 1}}}])
        expected: dict[Any, int] = {}
        for row in rows:
            expected[row[field]] = expected.get(row[field], 0) + 1
        assert {repr(row["_id"]): row["n"] for row in found} == {repr(value): n for value, n in expected.items()}

    async def test_one_group_of_all(self, goods: Repository) -> None:
        """With `_id` None there is one row, and none when no row matches."""
        everything: list[dict[str, Any]] = [{"$group": {"_id": None, "n": {"$sum": 1}}}]
        assert await goods.aggregate(everything) == [{"_id": None, "n": 6}]
        assert await goods.aggregate([{"$match": {"number": -1}}, *everything]) == []
        assert await goods.aggregate([{"$group": {"_id": None}}]) == [{"_id": None}]
        assert await goods.aggregate([{"$match": {"size": {"$in": []}}}, {"$group": GROUP}]) == []

    async def test_match_sort_skip_and_limit(self, goods: Repository) -> None:
        """Rows are filtered before they are grouped; groups are sorted and cut."""
        pipeline: list[dict[str, Any]] = [
            {"$match": {"number": {"$lt": 5}}},
            {"$group": {"_id": "$kind", "n": {"$sum": 1}, "most": {"$max": "$number"}}},
            {"$sort": {"n": -1, "most": 1}},
        ]
        whole = [
            {"_id": "small", "n": 2, "most": 1},
            {"_id": "large", "n": 2, "most": 3},
            {"_id": None, "n": 1, "most": 4},
        ]
        assert await goods.aggregate(pipeline) == whole
        assert await goods.aggregate([*pipeline, {"$limit": 1}]) == whole[:1]
        assert await goods.aggregate([*pipeline, {"$skip": 1}]) == whole[1:]
        assert await goods.aggregate([*pipeline, {"$skip": 1}, {"$limit": 1}]) == whole[1:2]
        assert await goods.aggregate([*pipeline, {"$skip": 3}]) == []

    async def test_groups_that_match(self, goods: Repository) -> None:
        """A `$match` behind the `$group` speaks of what was grouped."""
        group: dict[str, Any] = {
            "$group": {
                "_id": "$kind", "n": {"$sum": 1}, "size": {"$sum": "$size"}, "mean": {"$avg": "$weight"},
                "price": {"$sum": "$price"}, "last": {"$max": "$moment"},
            }
        }  # fmt: skip

        async def ids(match: Mapping[str, Any]) -> list[Any]:
            return [row["_id"] for row in await goods.aggregate([group, {"$match": match}, {"$sort": {"_id": 1}}])]

        assert await ids({"n": 2}) == [None, "large", "small"]
        assert await ids({"size": {"$gt": 3}}) == ["large"]
        assert await ids({"size": {"$lte": 3}, "mean": {"$lt": 1}}) == ["small"]
        assert await ids({"price": {"$gte": Decimal("0.3")}}) == ["large", "small"]
        assert await ids({"$or": [{"size": {"$lt": 0}}, {"mean": 0.375}]}) == [None, "small"]
        assert await ids({"last": {"$lt": datetime(2026, 1, 4, tzinfo=UTC)}}) == ["small"]
        assert await ids({"_id": "large"}) == ["large"]
        assert await ids({"_id": {"$in": [None, "small"]}}) == [None, "small"]
        assert await ids({"_id": {"$ne": None}, "n": {"$between": [1, 2]}}) == ["large", "small"]
        assert await ids({"$nor": [{"_id": "small"}]}) == [None, "large"]
        assert await ids({"size": {"$in": []}}) == []
        two: list[dict[str, Any]] = [
            {"$match": {"number": {"$gt": 0}}},
            {"$group": {"_id": {"kind": "$kind", "open": "$open"}, "n": {"$sum": 1}}},
            {"$match": {"_id.kind": "small"}},
        ]
        assert await goods.aggregate(two) == [{"_id": {"kind": "small", "open": True}, "n": 1}]
        await refused(UnknownField, goods.aggregate([group, {"$match": {"kind": "small"}}]))
        await refused(UnknownOperator, goods.aggregate([group, {"$match": {"n": {"$neq": 1}}}]))

    @pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
    async def test_a_pipeline_that_cannot_be_meant_is_refused(self, goods: Repository, kind: type[DataError]) -> None:
        """No stage, name or operator is ever dropped."""
        for pipeline in REFUSED[kind]:
            await refused(kind, goods.aggregate(pipeline))
