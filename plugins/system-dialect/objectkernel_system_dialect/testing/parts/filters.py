"""Filters mean what MongoDB means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pytest

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import FilterInvalid, OperationUnsupported
from objectkernel_system_dialect.repository import Repository
from objectkernel_system_dialect.testing.schemas import ITEM
from objectkernel_system_dialect.testing.tools import Suite, emptied, needs, refused

ROWS: Final[Sequence[Mapping[str, Any]]] = (
    {
        "number": 1, "name": "ant", "note": "The Äpfel of 100%", "size": 1, "weight": 0.5, "price": Decimal("1.10"),
        "open": True, "moment": datetime(2026, 1, 1, tzinfo=UTC), "code": UUID(int=1), "blob": b"a", "kind": "small",
        "labels": ["a", "b"], "counts": [1, 2], "flags": [True],
        "data": {"x": 1, "y": {"z": "deep"}, "flag": True, "list": [1, 2], "null": None, "t": "10"},
    },
    {
        "number": 2, "name": "Ant", "note": "äPFEL", "size": 2, "weight": 1.5, "price": Decimal("1.20"),
        "open": False, "moment": datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), "code": UUID(int=2), "blob": b"b",
        "kind": "large", "labels": [], "counts": [], "flags": [],
        "data": {"x": "1", "y": {"z": 5}, "flag": False, "list": {"0": 1}, "t": "9"},
    },
    {"number": 3, "name": "bee 100%", "data": {"x": 1.5, "y": None, "big": 2**53 + 1}},
    {"number": 4, "size": -4, "weight": -0.0, "open": True, "labels": ["b"], "kind": "small", "data": {"x": None}},
    {"number": 5, "name": "b*[é]?", "note": "a\\b_c", "size": 2**62, "weight": 1e300, "data": [1, {"x": 1}]},
    {"number": 6, "name": "ant ", "note": "", "size": 2**53 + 1, "labels": ["ab", "é", '"'], "data": "x"},
    {"number": 7, "name": "", "note": "line\nbreak", "size": 2**53, "data": {"x": True, "y": {}, "big": 2**53}},
)  # fmt: skip
ALL: Final = frozenset(range(1, 8))

CASES: Final[Mapping[str, Sequence[tuple[Mapping[str, Any], set[int] | None]]]] = {
    "nothing": [({}, {1, 2, 3, 4, 5, 6, 7})],
    "equal": [
        ({"name": "ant"}, {1}),
        ({"name": {"$eq": "Ant"}}, {2}),
        ({"name": "ant "}, {6}),
        ({"name": ""}, {7}),
        ({"size": 2**53 + 1}, {6}),
        ({"size": 2**53}, {7}),
        ({"weight": 0}, {4}),
        ({"weight": 0.5}, {1}),
        ({"price": Decimal("1.1")}, {1}),
        ({"open": True}, {1, 4}),
        ({"open": False}, {2}),
        ({"moment": datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)}, {2}),
        ({"code": UUID(int=2)}, {2}),
        ({"blob": b"b"}, {2}),
        ({"kind": "small"}, {1, 4}),
        ({"kind": "no such kind"}, set()),
        ({"name": "x" * 1000}, set()),
        ({"number": 1, "name": "ant"}, {1}),
        ({"number": 1, "name": "Ant"}, set()),
    ],
    "missing": [
        ({"name": None}, {4}),
        ({"name": {"$eq": None}}, {4}),
        ({"name": {"$ne": None}}, {1, 2, 3, 5, 6, 7}),
        ({"name": {"$exists": True}}, {1, 2, 3, 5, 6, 7}),
        ({"name": {"$exists": False}}, {4}),
        ({"data": None}, set()),
        ({"data": {"$exists": True}}, set(ALL)),
        ({"labels": None}, {3, 5, 7}),
        ({"labels": {"$exists": True}}, {1, 2, 4, 6}),
        ({"blob": {"$exists": False}}, {3, 4, 5, 6, 7}),
    ],
    "not equal": [
        ({"name": {"$ne": "ant"}}, {2, 3, 4, 5, 6, 7}),
        ({"open": {"$ne": True}}, {2, 3, 5, 6, 7}),
        ({"size": {"$ne": 1, "$gt": 0}}, {2, 5, 6, 7}),
        ({"name": {"$not": {"$eq": "ant"}}}, {2, 3, 4, 5, 6, 7}),
        ({"moment": {"$ne": datetime(2026, 1, 1, tzinfo=UTC)}}, {2, 3, 4, 5, 6, 7}),
        ({"price": {"$ne": Decimal(1)}}, set(ALL)),
    ],
    "ordered": [
        ({"size": {"$gt": 1}}, {2, 5, 6, 7}),
        ({"size": {"$gte": 1, "$lt": 2}}, {1}),
        ({"size": {"$lte": 1}}, {1, 4}),
        ({"size": {"$gt": 2**53}}, {5, 6}),
        ({"size": {"$not": {"$gt": 1}}}, {1, 3, 4}),
        ({"weight": {"$lt": 1.5}}, {1, 4}),
        ({"price": {"$gt": Decimal("1.1")}}, {2}),
        ({"moment": {"$gt": datetime(2026, 1, 1, tzinfo=UTC)}}, {2}),
        ({"moment": {"$lte": datetime(2026, 1, 1, tzinfo=UTC)}}, {1}),
        ({"name": {"$gt": "ant"}}, {3, 5, 6}),
        ({"name": {"$lt": "a"}}, {2, 7}),
        ({"name": {"$gte": "b*", "$lte": "b*~"}}, {5}),
        ({"code": {"$gt": UUID(int=1)}}, {2}),
        ({"blob": {"$gt": b"a"}}, {2}),
        ({"blob": {"$lt": b"a\0"}}, {1}),
        ({"kind": {"$lt": "m"}}, {2}),
    ],
    "between": [
        ({"size": {"$between": [1, 2]}}, {1, 2}),
        ({"size": {"$between": (2, 1)}}, set()),
        ({"size": {"$not": {"$between": [1, 2]}}}, {3, 4, 5, 6, 7}),
        ({"price": {"$between": [Decimal("1.1"), Decimal("1.2")]}}, {1, 2}),
        ({"name": {"$between": ["Ant", "ant"]}}, {1, 2}),
    ],
    "lists": [
        ({"size": {"$in": [1, 2, 99]}}, {1, 2}),
        ({"size": {"$in": [1, 1, 1]}}, {1}),
        ({"size": {"$in": (1,)}}, {1}),
        ({"size": {"$in": {1, 2}}}, {1, 2}),
        ({"size": {"$in": [1, None]}}, {1, 3}),
        ({"size": {"$in": [None]}}, {3}),
        ({"size": {"$in": []}}, set()),
        ({"size": {"$in": range(-10, 10)}}, {1, 2, 4}),
        ({"size": {"$nin": [1, 2]}}, {3, 4, 5, 6, 7}),
        ({"size": {"$nin": [1, None]}}, {2, 4, 5, 6, 7}),
        ({"size": {"$nin": [None]}}, {1, 2, 4, 5, 6, 7}),
        ({"size": {"$nin": []}}, set(ALL)),
        ({"size": {"$not": {"$in": []}}}, set(ALL)),
        ({"size": {"$not": {"$nin": [1]}}}, {1}),
        ({"open": {"$in": [True, None]}}, {1, 3, 4, 5, 6, 7}),
        ({"moment": {"$in": [datetime(2026, 1, 1, tzinfo=UTC)]}}, {1}),
        ({"code": {"$in": [UUID(int=1), UUID(int=7)]}}, {1}),
        ({"blob": {"$nin": [b"a"]}}, {2, 3, 4, 5, 6, 7}),
        ({"price": {"$in": [Decimal("1.10"), 7]}}, {1}),
    ],
    "parts of texts": [
        ({"name": {"$contains": "nt"}}, {1, 2, 6}),
        ({"name": {"$contains": "NT"}}, set()),
        ({"name": {"$contains": "%"}}, {3}),
        ({"name": {"$contains": "[é]"}}, {5}),
        ({"name": {"$contains": "_"}}, set()),
        ({"name": {"$contains": ""}}, {1, 2, 3, 5, 6, 7}),
        ({"note": {"$contains": "\\"}}, {5}),
        ({"note": {"$contains": "Äpf"}}, {1}),
        ({"kind": {"$contains": "mal"}}, {1, 4}),
        ({"name": {"$not": {"$contains": "nt"}}}, {3, 4, 5, 7}),
    ],
    "patterns": [
        ({"name": {"$like": "a%"}}, {1, 6}),
        ({"name": {"$like": "ant"}}, {1}),
        ({"name": {"$like": "ANT"}}, set()),
        ({"name": {"$like": "_nt"}}, {1, 2}),
        ({"name": {"$like": "_nt_"}}, {6}),
        ({"name": {"$like": r"%\%"}}, {3}),
        ({"name": {"$like": "b*[_]?"}}, {5}),
        ({"name": {"$like": "b*"}}, set()),
        ({"name": {"$like": ""}}, {7}),
        ({"name": {"$like": "%"}}, {1, 2, 3, 5, 6, 7}),
        ({"note": {"$like": r"a\\b\_c"}}, {5}),
        ({"note": {"$like": r"a\\b_c"}}, {5}),
        ({"note": {"$like": r"a\\b\%c"}}, set()),
        ({"note": {"$like": "line%break"}}, {7}),
        ({"note": {"$like": "line_break"}}, {7}),
        ({"name": {"$not": {"$like": "a%"}}}, {2, 3, 4, 5, 7}),
    ],
    "patterns whatever the case": [
        ({"name": {"$ilike": "ANT"}}, {1, 2}),
        ({"name": {"$ilike": "%NT%"}}, {1, 2, 6}),
        ({"note": {"$ilike": "ÄPFEL"}}, {2}),
        ({"note": {"$ilike": "%äpfel%"}}, {1, 2}),
        ({"name": {"$ilike": "%É%"}}, {5}),
        ({"note": {"$ilike": r"A\\B\_C"}}, {5}),
        ({"name": {"$ilike": r"BEE 100\%"}}, {3}),
        ({"name": {"$ilike": r"BEE 100\_"}}, set()),
        ({"kind": {"$ilike": "SMALL"}}, {1, 4}),
        ({"name": {"$not": {"$ilike": "ANT"}}}, {3, 4, 5, 6, 7}),
    ],
    "arrays": [
        ({"labels": {"$contains": "b"}}, {1, 4}),
        ({"labels": {"$contains": "é"}}, {6}),
        ({"labels": {"$contains": '"'}}, {6}),
        ({"labels": {"$contains": "a"}}, {1}),
        ({"labels": {"$contains": "A"}}, set()),
        ({"labels": ["b"]}, {4}),
        ({"labels": ["a", "b"]}, {1}),
        ({"labels": ["b", "a"]}, set()),
        ({"labels": []}, {2}),
        ({"labels": {"$eq": ["b"]}}, {4}),
        ({"labels": {"$ne": []}}, {1, 3, 4, 5, 6, 7}),
        ({"labels": {"$not": {"$contains": "b"}}}, {2, 3, 5, 6, 7}),
        ({"counts": {"$contains": 2}}, {1}),
        ({"counts": {"$contains": 12}}, set()),
        ({"counts": [1, 2]}, {1}),
        ({"flags": {"$contains": True}}, {1}),
        ({"flags": {"$contains": False}}, set()),
    ],
    "json": [
        ({"data.x": 1}, {1}),
        ({"data.x": 1.0}, {1}),
        ({"data.x": "1"}, {2}),
        ({"data.x": True}, {7}),
        ({"data.x": False}, set()),
        ({"data.x": {"$ne": 1}}, {2, 3, 4, 5, 6, 7}),
        ({"data.x": {"$gt": 0}}, {1, 3}),
        ({"data.x": {"$gte": 1.5}}, {3}),
        ({"data.x": {"$lt": "2"}}, {2}),
        ({"data.x": {"$not": {"$gt": 1}}}, {1, 2, 4, 5, 6, 7}),
        ({"data.x": {"$in": [1, "1"]}}, {1, 2}),
        ({"data.x": {"$in": [1, None]}}, {1, 4, 5, 6}),
        ({"data.x": {"$in": []}}, set()),
        ({"data.x": {"$nin": [1, "1", True]}}, {3, 4, 5, 6}),
        ({"data.x": {"$nin": []}}, set(ALL)),
        ({"data.x": {"$between": [1, 2]}}, {1, 3}),
        ({"data.x": None}, {4, 5, 6}),
        ({"data.x": {"$ne": None}}, {1, 2, 3, 7}),
        ({"data.x": {"$exists": True}}, {1, 2, 3, 7}),
        ({"data.x": {"$exists": False}}, {4, 5, 6}),
        ({"data.y.z": "deep"}, {1}),
        ({"data.y.z": {"$gte": 5}}, {2}),
        ({"data.y.z": {"$exists": False}}, {3, 4, 5, 6, 7}),
        ({"data.flag": True}, {1}),
        ({"data.flag": False}, {2}),
        ({"data.list": 1}, set()),
        ({"data.list.0": 1}, {2}),
        ({"data.0": {"$exists": True}}, set()),
        ({"data.null": None}, set(ALL)),
        ({"data.big": 2**53 + 1}, {3}),
        ({"data.big": {"$lt": 2**53 + 1}}, {7}),
        ({"data.t": {"$lt": "9"}}, {1}),
        ({"data.t": {"$lt": 11}}, set()),
        ({"data.no such": "x"}, set()),
    ],
    "logic": [
        ({"$or": [{"size": 1}, {"name": None}]}, {1, 4}),
        ({"$or": [{"size": 1}]}, {1}),
        ({"$and": [{"open": True}, {"size": {"$lt": 0}}]}, {4}),
        ({"$and": ({"open": True}, {"open": False})}, set()),
        ({"$nor": [{"size": {"$gt": 0}}, {"name": "ant"}]}, {3, 4}),
        ({"$nor": [{"$nor": [{"size": {"$gt": 1}}]}]}, {2, 5, 6, 7}),
        ({"open": True, "$or": [{"size": 1}, {"size": 2}]}, {1}),
        ({"$or": [{"size": 1}, {"name": {"$nin": []}}]}, set(ALL)),
        ({"$or": [{"size": 1}, {"name": {"$in": []}}], "open": True}, {1}),
        ({"$or": [{"size": {"$in": [1, 2]}, "name": {"$in": []}}, {"number": 3}], "size": None}, {3}),
        ({"$and": [{"size": 1}, {"name": {"$in": []}}]}, set()),
        ({"$nor": [{"size": 1, "name": {"$in": []}}]}, set(ALL)),
        ({"$nor": [{"name": {"$nin": []}}]}, set()),
        ({"$or": [{"$and": [{"size": 1}, {"open": True}]}, {"$nor": [{"size": {"$exists": True}}]}]}, {1, 3}),
        ({"$or": [{"number": number} for number in range(3, 303)]}, {3, 4, 5, 6, 7}),
        ({"size": {"$not": {"$not": {"$gt": 1}}}}, {2, 5, 6, 7}),
        ({"name": {"$in": ["ant", "Ant"], "$ne": "Ant"}}, {1}),
    ],
    "json and others": [
        ({"$or": [{"data.x": 1}, {"labels": {"$contains": "é"}}, {"name": {"$like": "b%"}}]}, {1, 3, 5, 6}),
        ({"data.x' OR 1=1 --": 1}, None),
        ({'data.x"] OR 1=1 --': 1}, None),
        ({"data.x`; --": 1}, set()),
        ({"data.x ? :a %s {0}": 1}, set()),
        ({"data.x": "' OR '1'='1"}, set()),
    ],
    "hostile values": [
        ({"name": "' OR '1'='1"}, set()),
        ({"name": {"$in": ["'", '"', "\\", "; --"]}}, set()),
        ({"name": {"$contains": "' OR 1=1 --"}}, set()),
        ({"name": {"$like": "%' OR 1=1 --"}}, set()),
    ],
}
"""By subject: filters and the numbers of the rows that match them; None: the filter is refused."""
REACHING: Final = ("arrays", "json", "json and others")
"""Those that need the capability `json`."""


@pytest.mark.anyio
class Filters(Suite):
    """What filters match."""

    @pytest.fixture
    async def beasts(self, dialect: Dialect) -> Repository:
        """Seven rows that differ in what filters ask for."""
        beasts = Repository(dialect, ITEM)
        found = await beasts.find_all(sort={"number": 1}, select=("number", "name", "data"))
        if found != [{name: row.get(name) for name in ("number", "name", "data")} for row in ROWS]:
            await emptied(dialect, ITEM)
            await beasts.create_many(ROWS)
        return beasts

    @pytest.mark.parametrize("subject", CASES)
    async def test_filters_match_what_they_say(self, dialect: Dialect, beasts: Repository, subject: str) -> None:
        """`find`, `find_page`, `count` and `exists` agree on what a filter matches."""
        if subject in REACHING:
            needs(dialect, "json")
        for filter, expected in CASES[subject]:
            if expected is None:
                await refused(FilterInvalid, beasts.find_all(filter), beasts.count(filter))
                continue
            assert {row["number"] for row in await beasts.find_all(filter, select=["number"])} == expected, filter
            page = await beasts.find_page(filter, select=["number"])
            assert {row["number"] for row in page.rows} == expected, filter
            assert await beasts.count(filter) == len(expected), filter
            assert await beasts.exists(filter) == bool(expected), filter

    async def test_regular_expressions(self, dialect: Dialect, beasts: Repository) -> None:
        """With the capability `regex` an expression is looked for in a text, by case; without it is refused."""
        cases: list[tuple[str, str, set[int]]] = [
            ("name", "^ant$", {1}),
            ("name", "nt", {1, 2, 6}),
            ("name", "[0-9]+%", {3}),
            ("name", "^$", {7}),
            ("name", r"\[é\]\?$", {5}),
            ("name", "ANT", set()),
            ("note", "Ä|ä", {1, 2}),
            ("kind", "^s.*l$", {1, 4}),
        ]
        if "regex" not in dialect.capabilities:
            for error in await refused(
                OperationUnsupported,
                beasts.find_all({"name": {"$regex": "a"}}),
                beasts.delete_many({"name": {"$not": {"$regex": "a"}}}, all=True),
            ):
                assert error.facts["capability"] == "regex"
        else:
            for field, expression, expected in cases:
                found = await beasts.find_all({field: {"$regex": expression}})
                assert {row["number"] for row in found} == expected, expression
            found = await beasts.find_all({"name": {"$not": {"$regex": "nt"}}})
            assert {row["number"] for row in found} == {3, 4, 5, 7}
            await refused(FilterInvalid, beasts.find_all({"name": {"$regex": "("}}))
        assert await beasts.count() == len(ROWS)

    async def test_lists_of_all_lengths(self, beasts: Repository) -> None:
        """`$in` takes from none to 16,384 values, `$nin` as many."""
        for length in (1, 2, 3, 5, 8, 1000, 16384):
            values = list(range(3, 3 + length))
            assert await beasts.count({"number": {"$in": values}}) == min(length, 5)
            assert await beasts.count({"number": {"$nin": values}}) == 7 - min(length, 5)

    async def test_deep_logic(self, beasts: Repository) -> None:
        """A filter of many levels is as good as one of few."""
        filter: dict[str, Any] = {"size": {"$gt": 1}}
        for _ in range(6):
            filter = {"$nor": [{"$and": [filter, {"number": {"$lt": 6}}]}]}
        found = {row["number"] for row in await beasts.find_all(filter)}

        def holds(row: Mapping[str, Any]) -> bool:
            held = (row.get("size") or 0) > 1
            for _ in range(6):
                held = not (held and row["number"] < 6)
            return held

        assert found == {row["number"] for row in ROWS if holds(row)}
