"""Filters mean what MongoDB means, and nothing of one is ever dropped."""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from typing import Any

import anyio
import mongomock
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objectkernel_system_dialect.contracts import (
    EntitySchema,
    Field,
    FilterInvalid,
    Relation,
    Repository,
    UnknownField,
    UnknownOperator,
    ValueInvalid,
)
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

ITEM = EntitySchema(
    name="Item",
    collection="items",
    key=("number",),
    fields={
        "number": Field("integer"),
        "name": Field("string"),
        "size": Field("integer"),
        "weight": Field("number"),
        "open": Field("boolean"),
        "labels": Field("array"),
        "notes": Field("json"),
    },
)
ROWS = (
    {
        "number": 1,
        "name": "ant",
        "size": 1,
        "weight": 0.5,
        "open": True,
        "labels": ["a", "b"],
        "notes": {"x": 1},
    },
    {"number": 2, "name": "Ant", "size": 2, "weight": 1.5, "open": False, "labels": []},
    {"number": 3, "name": "bee 100%", "size": None, "weight": None, "open": None, "labels": None},
    {"number": 4, "name": None, "size": -4, "weight": -0.0, "open": True, "labels": ["b"]},
    {"number": 5, "name": "b*[é]?", "size": 2**62, "weight": 1e300},
)


@pytest.fixture
async def items(dialect: SqlDialect) -> Repository:
    """Five rows of every kind of field."""
    await dialect.register(ITEM)
    await dialect.create_many(ITEM, ROWS)
    return Repository(dialect, ITEM)


def nested(times: int, around: Callable[[Any], Any], inner: Any) -> Any:
    for _ in range(times):
        inner = around(inner)
    return inner


MEANINGS: list[tuple[dict[str, Any], set[int]]] = [
    ({}, {1, 2, 3, 4, 5}),
    ({"name": "ant"}, {1}),
    ({"name": {"$eq": "Ant"}}, {2}),
    ({"name": None}, {4}),
    ({"name": {"$ne": "ant"}}, {2, 3, 4, 5}),
    ({"name": {"$ne": None}}, {1, 2, 3, 5}),
    ({"name": {"$not": {"$eq": "ant"}}}, {2, 3, 4, 5}),
    ({"size": {"$gt": 1}}, {2, 5}),
    ({"size": {"$gte": 1, "$lt": 2}}, {1}),
    ({"size": {"$lte": 1}}, {1, 4}),
    ({"size": {"$not": {"$gt": 1}}}, {1, 3, 4}),
    ({"size": {"$in": [1, 2, 99]}}, {1, 2}),
    ({"size": {"$in": [1, None]}}, {1, 3}),
    ({"size": {"$in": [None]}}, {3}),
    ({"size": {"$in": []}}, set()),
    ({"size": {"$nin": [1, 2]}}, {3, 4, 5}),
    ({"size": {"$nin": [1, None]}}, {2, 4, 5}),
    ({"size": {"$nin": []}}, {1, 2, 3, 4, 5}),
    ({"size": {"$exists": True}}, {1, 2, 4, 5}),
    ({"size": {"$exists": False}}, {3}),
    ({"notes": {"$exists": True}}, {1}),
    ({"notes": None}, {2, 3, 4, 5}),
    ({"open": True}, {1, 4}),
    ({"open": {"$ne": True}}, {2, 3, 5}),
    ({"weight": 0}, {4}),
    ({"labels": {"$contains": "b"}}, {1, 4}),
    ({"labels": ["b"]}, {4}),
    ({"labels": {"$ne": []}}, {1, 3, 4, 5}),
    ({"labels": {"$not": {"$contains": "b"}}}, {2, 3, 5}),
    ({"name": {"$contains": "nt"}}, {1, 2}),
    ({"name": {"$contains": "%"}}, {3}),
    ({"name": {"$contains": ""}}, {1, 2, 3, 5}),
    ({"name": {"$like": "a%"}}, {1}),
    ({"name": {"$like": "_nt"}}, {1, 2}),
    ({"name": {"$like": r"%\%"}}, {3}),
    ({"name": {"$like": "b*[_]?"}}, {5}),
    ({"name": {"$like": "b*"}}, set()),
    ({"$or": [{"size": 1}, {"name": None}]}, {1, 4}),
    ({"$or": [{"size": 1}, {"name": {"$nin": []}}]}, {1, 2, 3, 4, 5}),
    ({"$or": [{"size": 1}, {"name": {"$in": []}}], "open": True}, {1}),
    ({"$or": [{"size": {"$in": [1, 2]}, "name": {"$in": []}}, {"number": 3}], "size": None}, {3}),
    ({"$and": [{"size": 1}, {"name": {"$in": []}}]}, set()),
    ({"$nor": [{"size": 1, "name": {"$in": []}}]}, {1, 2, 3, 4, 5}),
    ({"size": {"$not": {"$in": []}}}, {1, 2, 3, 4, 5}),
    ({"$and": [{"open": True}, {"size": {"$lt": 0}}]}, {4}),
    ({"$nor": [{"size": {"$gt": 0}}, {"name": "ant"}]}, {3, 4}),
    ({"open": True, "size": 1}, {1}),
    ({"$nor": [{"$nor": [{"size": {"$gt": 1}}]}]}, {2, 5}),
    ({"$nor": [{"name": {"$nin": []}}]}, set()),
    ({"$or": [{"number": number} for number in range(3, 503)]}, {3, 4, 5}),
    (nested(13, lambda inner: {"$nor": [inner]}, {"$or": [{"size": {"$ne": 1}}] * 500}), {1}),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("filter", "expected"), MEANINGS, ids=lambda value: str(value)[:60])
async def test_a_filter_matches(items: Repository, filter: dict[str, Any], expected: set[int]) -> None:
    """`find_all`, `count` and `exists` agree on what a filter matches."""
    assert {row["number"] for row in await items.find_all(filter)} == expected
    assert await items.count(filter) == len(expected)
    assert await items.exists(filter) == bool(expected)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("filter", "error"),
    [
        ({"nmae": "x"}, UnknownField),
        ({"$or": [{"nmae": "x"}]}, UnknownField),
        ({"name.first": "x"}, FilterInvalid),
        ({"name": {"$neq": "x"}}, UnknownOperator),
        ({"name": {"first": "x"}}, UnknownOperator),
        ({"$xor": [{"name": "x"}]}, UnknownOperator),
        ({"$gt": 3}, FilterInvalid),
        ({"$or": []}, FilterInvalid),
        ({"$and": []}, FilterInvalid),
        ({"$nor": []}, FilterInvalid),
        ({"$or": {"name": "x"}}, FilterInvalid),
        ({"$or": [{"name": "x"}, {}]}, FilterInvalid),
        ({"$and": [{}]}, FilterInvalid),
        ({"$nor": [{"$nor": [{}]}]}, FilterInvalid),
        ({"$or": [{"number": number} for number in range(501)]}, FilterInvalid),
        (nested(2000, lambda inner: {"$and": [inner]}, {"size": 1}), FilterInvalid),
        (nested(150, lambda inner: {"$nor": [inner]}, {"size": 1}), FilterInvalid),
        (nested(27, lambda inner: {"$or": [inner, inner]}, {"size": 1}), FilterInvalid),
        ({"size": nested(2000, lambda inner: {"$not": inner}, {"$eq": 1})}, FilterInvalid),
        ({"number": {"$in": range(16384), "$nin": range(16384)}}, FilterInvalid),
        ({"name": {"$like": "ant\\"}}, ValueInvalid),
        ({"$or": ["name"]}, FilterInvalid),
        ({"name": {}}, FilterInvalid),
        ({"name": {"$not": "x"}}, FilterInvalid),
        ({"name": {"$in": "ant"}}, FilterInvalid),
        ({"name": {"$in": 3}}, FilterInvalid),
        ({"name": {"$exists": 1}}, FilterInvalid),
        ({"name": {"$like": 3}}, FilterInvalid),
        ({"name": {"$contains": None}}, FilterInvalid),
        ({"size": {"$gt": None}}, FilterInvalid),
        ({"size": {"$contains": 1}}, FilterInvalid),
        ({"open": {"$gt": False}}, FilterInvalid),
        ({"labels": {"$in": [["a"]]}}, FilterInvalid),
        ({"labels": {"$contains": None}}, FilterInvalid),
        ({"notes": {"$eq": {"x": 1}}}, FilterInvalid),
        ({"size": {"$in": range(16385)}}, FilterInvalid),
        ({"size": "1"}, ValueInvalid),
        ({"size": True}, ValueInvalid),
        ({"size": {"$in": [1, "2"]}}, ValueInvalid),
        ({"labels": {"$contains": 3}}, ValueInvalid),
        ({"name": 5}, ValueInvalid),
        ([("name", "x")], FilterInvalid),
        ([], FilterInvalid),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else reprlib.repr(value),
)
async def test_a_filter_that_cannot_be_meant_is_refused(items: Repository, filter: Any, error: type[Exception]) -> None:
    """Reading, counting and deleting refuse it alike: a dropped condition would hit every row."""
    for operation in (items.find_all(filter), items.count(filter), items.delete_many(filter, all=True)):
        with pytest.raises(error):
            await operation
    assert await items.count() == len(ROWS)


@pytest.mark.anyio
async def test_the_nearest_name_is_offered(items: Repository) -> None:
    """An unknown field or operator says which one was probably meant."""
    with pytest.raises(UnknownField, match="did you mean 'name'"):
        await items.find_all({"nmae": "x"})
    with pytest.raises(UnknownOperator, match=r"did you mean '\$ne'"):
        await items.find_all({"name": {"$neq": "x"}})


@pytest.mark.anyio
async def test_each_name_is_offered_once(dialect: SqlDialect) -> None:
    """A relation that is kept in a field of its name is one name."""
    folder = EntitySchema(name="Folder", collection="folders", fields={"name": Field("string")})
    paper = EntitySchema(
        name="Paper",
        collection="papers",
        fields={"name": Field("string")},
        relations={"folder": Relation("Folder")},
    )
    await dialect.register(folder, paper)
    with pytest.raises(UnknownField) as caught:
        await dialect.find(paper, {"nothing": "x"})
    assert caught.value.fix.count("folder") == 1


@pytest.mark.anyio
async def test_the_advice_is_something_to_do(items: Repository) -> None:
    """What is wrong is to be corrected; that nothing happened is no advice by itself."""
    with pytest.raises(FilterInvalid, match="correct that part of the filter"):
        await items.find_all({"$or": []})


@pytest.mark.anyio
async def test_lists_of_all_lengths_work(items: Repository) -> None:
    """The places of an `$in` come in powers of two; the values fill them exactly."""
    for length in (1, 2, 3, 5, 8, 9, 1000, 16384):
        assert await items.count({"number": {"$in": list(range(5, 5 + length))}}) == 1


TEXTS = st.sampled_from(["a", "b", "B", "ab", "", "é", "%", "z"])
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([2**53 + 1, -(2**63), 2**63 - 1]))
BOOLEANS = st.booleans()
VALUES = {"name": TEXTS, "size": NUMBERS, "open": BOOLEANS}


def conditions(field: str) -> st.SearchStrategy[Any]:
    """What may stand against a field in a filter."""
    values = VALUES[field]
    maybe = st.none() | values
    several = st.lists(maybe, max_size=4)
    plain = (
        [st.fixed_dictionaries({operator: maybe}) for operator in ("$eq", "$ne")]
        + [st.fixed_dictionaries({operator: several}) for operator in ("$in", "$nin")]
        + [st.fixed_dictionaries({"$exists": BOOLEANS})]
    )
    if field != "open":
        plain += [st.fixed_dictionaries({operator: values}) for operator in ("$gt", "$gte", "$lt", "$lte")]
    single = st.one_of(*plain)
    both = st.tuples(single, single).map(lambda pair: pair[0] | pair[1])
    return st.one_of(maybe, both, both.map(lambda operators: {"$not": operators}))


def filters() -> st.SearchStrategy[dict[str, Any]]:
    """Filters of every shape, some levels deep."""
    leaves = st.fixed_dictionaries({}, optional={field: conditions(field) for field in VALUES})
    return st.recursive(
        leaves,
        lambda inner: st.builds(
            lambda name, parts, beside: {name: parts} | beside,
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner.filter(bool), min_size=1, max_size=3),
            leaves,
        ),
        max_leaves=6,
    )


@settings(max_examples=200)
@given(
    rows=st.lists(st.fixed_dictionaries({}, optional=VALUES), max_size=8),
    wanted=st.lists(filters(), min_size=1, max_size=6),
)
def test_random_filters_match_what_mongodb_matches(rows: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """On random rows, random filters find what MongoDB's (by mongomock) find; a missing value is no value."""
    collection = mongomock.MongoClient().db.items
    for number, row in enumerate(rows):
        collection.insert_one({"_id": number, **row})

    async def compare() -> None:
        dialect = await open_sqlite(":memory:")
        await dialect.register(ITEM)
        await dialect.create_many(ITEM, [{"number": number, **row} for number, row in enumerate(rows)])
        for filter in wanted:
            ours = {row["number"] for row in await dialect.find(ITEM, filter, select=["number"])}
            assert ours == {document["_id"] for document in collection.find(filter)}, filter
        await dialect.aclose()

    anyio.run(compare)
