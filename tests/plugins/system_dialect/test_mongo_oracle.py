"""Random rows, filters, orders and groups mean what they mean in MongoDB, for which mongomock speaks.

Where the meaning differs by design, or mongomock differs from MongoDB, the values are made so that it cannot show:

* ``None`` and a missing value are one here, so MongoDB is given rows without any null, also within json.
* Filters do not look into the elements of arrays here, so json has none.
* A boolean is no number here, nor in MongoDB, but in mongomock it is: in json it has a name of its own.
* A path through a text leads to nothing here, as in MongoDB, but not in mongomock: objects have names of their own.
* Of no rows there is no group here, nor in MongoDB, but in mongomock there is one.
* MongoDB keeps milliseconds, so times have no microseconds.
* Sums come out the same in any order, so numbers are eighths, and integers that are added are small.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import mongomock
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import given, settings
from hypothesis import strategies as st
from objectkernel_system_dialect.contracts import Dialect, EntitySchema, Field
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

ITEM = EntitySchema(
    name="Item",
    collection="items",
    key=("number",),
    fields={
        "number": Field("integer"),
        "name": Field("string"),
        "note": Field("text"),
        "size": Field("integer"),
        "count": Field("integer"),
        "weight": Field("number"),
        "open": Field("boolean"),
        "moment": Field("datetime"),
        "kind": Field("enum", enum=("small", "large")),
        "data": Field("json"),
    },
)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

TEXTS = st.sampled_from(["a", "b"]) | st.sampled_from(
    ["", "a", "B", "b", "ab", "a b", "é", "ä", "%", "_", "10", "9", "😀"]
)
EIGHTHS = st.integers(-80, 80).map(lambda number: number / 8)
FEW = st.integers(-2, 2)
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "name": TEXTS,
    "note": TEXTS,
    "size": FEW | st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, -(2**63), 2**63 - 1]),
    "count": FEW,
    "weight": EIGHTHS | FEW.map(float),
    "open": st.booleans(),
    "moment": st.integers(-3, 3).map(lambda number: BEGIN + timedelta(milliseconds=number)),
    "kind": st.sampled_from(["small", "large"]),
}
SCALARS = TEXTS | FEW | EIGHTHS | st.sampled_from([2**53 + 1, 2**53])
LEAF_NAMES, INNER_NAMES = ("x", "y"), ("o", "p")


def objects(depth: int) -> st.SearchStrategy[Any]:
    """What lies in json: objects within objects, with texts, numbers and nulls that are mixed under each name."""
    names: dict[str, Any] = {**dict.fromkeys(LEAF_NAMES, st.none() | SCALARS), "flag": st.none() | st.booleans()}
    if depth:
        names |= dict.fromkeys(INNER_NAMES, st.none() | objects(depth - 1))
    return st.fixed_dictionaries({}, optional=names)


INNER = st.lists(st.sampled_from(INNER_NAMES), max_size=2)
PATHS = st.builds(lambda inner, name: ".".join(["data", *inner, name]), INNER, st.sampled_from([*LEAF_NAMES, "flag"]))
ROWS = st.lists(
    st.fixed_dictionaries(
        {}, optional={name: values | values | st.none() for name, values in VALUES.items()} | {"data": objects(2)}
    ),
    min_size=2,
    max_size=12,
)


@st.composite
def operators(draw: st.DrawFn, values: st.SearchStrategy[Any], ordered: bool) -> dict[str, Any]:
    """One operator and what it compares with."""
    ranges = ("$gt", "$gte", "$lt", "$lte") if ordered else ()
    operator = draw(st.sampled_from(["$eq", "$ne", "$in", "$nin", "$exists", *ranges]))
    match operator:
        case "$eq" | "$ne":
            return {operator: draw(st.none() | values)}
        case "$in" | "$nin":
            return {operator: draw(st.lists(st.none() | values, max_size=4))}
        case "$exists":
            return {operator: draw(st.booleans())}
    return {operator: draw(values)}


@st.composite
def entries(draw: st.DrawFn) -> tuple[str, Any]:
    """A name in a filter, and what stands against it."""
    name = draw(st.sampled_from([*VALUES]) | PATHS)
    values = VALUES[name] if name in VALUES else st.booleans() if name.endswith("flag") else SCALARS
    ordered = name != "open" and not name.endswith("flag")
    match draw(st.sampled_from(["plain", "one", "two"])):
        case "plain":
            return name, draw(st.none() | values)
        case "one":
            return name, draw(operators(values, ordered))
    both = draw(operators(values, ordered)) | draw(operators(values, ordered))
    return name, {"$not": both} if draw(st.booleans()) else both


LEAVES = st.lists(entries(), min_size=1, max_size=2).map(dict)


@st.composite
def filters(draw: st.DrawFn, depth: int = 2) -> dict[str, Any]:
    """Names and logic, some levels deep."""
    shape = draw(st.sampled_from(["names", "logic", "both"])) if depth else "names"
    found = draw(LEAVES) if shape != "logic" else {}
    if shape != "names":
        name = draw(st.sampled_from(["$and", "$or", "$nor"]))
        found[name] = draw(st.lists(filters(depth - 1), min_size=1, max_size=3))
    return found


FILTERS = filters()
DIRECTIONS = st.sampled_from([1, -1])
ORDERS = st.dictionaries(st.sampled_from(list(VALUES)), DIRECTIONS, max_size=3)


@st.composite
def groups(draw: st.DrawFn) -> dict[str, Any]:
    """A ``$group``."""
    by = st.sampled_from([f"${name}" for name in VALUES])
    id = draw(st.none() | by | st.dictionaries(st.sampled_from("ab"), by, min_size=1, max_size=2))
    numbers, anything = st.sampled_from(["$count", "$weight"]), st.sampled_from([f"${name}" for name in VALUES])
    accumulators = st.one_of(
        st.just({"$sum": 1}),
        st.fixed_dictionaries({"$sum": numbers}),
        st.fixed_dictionaries({"$avg": numbers}),
        st.fixed_dictionaries({"$min": anything}),
        st.fixed_dictionaries({"$max": anything}),
    )
    return {"_id": id} | draw(st.dictionaries(st.sampled_from(["m", "n", "o"]), accumulators, max_size=3))


class Oracle:
    """The same rows here and in MongoDB."""

    def __init__(self, portal: BlockingPortal, dialect: Dialect) -> None:
        self._portal = portal
        self._dialect = dialect
        self._collection: Any = None

    def fill(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """These rows and no others."""
        self._collection = mongomock.MongoClient().db.items
        for number, row in enumerate(rows):
            self._collection.insert_one({"_id": number, "number": number} | stored(row))

        async def refill() -> None:
            await self._dialect.delete_many(ITEM, {}, all=True)
            await self._dialect.create_many(ITEM, [{"number": number, **row} for number, row in enumerate(rows)])

        self._portal.call(refill)

    def found(self, filter: Mapping[str, Any], **options: Any) -> tuple[list[int], list[int]]:
        """The numbers of the rows that match: ours, and MongoDB's; in the order of the options, if there is one."""
        find = partial(self._dialect.find, ITEM, filter, select=["number"], **options)
        ours = [row["number"] for row in self._portal.call(find)]
        cursor = self._collection.find(asked(filter))
        if sort := options.get("sort"):
            cursor = cursor.sort(list(sort.items())).skip(options["skip"]).limit(options["limit"])
        return ours, [document["_id"] for document in cursor]

    def count(self, filter: Mapping[str, Any]) -> int:
        """How many rows match here."""
        return self._portal.call(self._dialect.count, ITEM, filter)

    def grouped(self, pipeline: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
        """The groups, ours and MongoDB's, so written that equal ones are the same."""
        ours = self._portal.call(self._dialect.aggregate, ITEM, pipeline)
        theirs = list(self._collection.aggregate(asked(pipeline)))
        if not self._collection.count_documents(asked(pipeline[0]["$match"])):
            theirs = []
        (group,) = (stage["$group"] for stage in pipeline if "$group" in stage)
        return sorted(written(row, group["_id"]) for row in ours), sorted(written(row, group["_id"]) for row in theirs)


def stored(value: Any) -> Any:
    """What MongoDB is given of a row: no nulls."""
    if isinstance(value, Mapping):
        return {name: stored(part) for name, part in value.items() if part is not None}
    return asked(value)


def asked(value: Any) -> Any:
    """What MongoDB is asked: times without a zone."""
    if isinstance(value, Mapping):
        return {name: asked(part) for name, part in value.items()}
    if isinstance(value, list):
        return [asked(part) for part in value]
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def written(group: Mapping[str, Any], by: Any) -> str:
    """A group as text; MongoDB leaves a missing value out of a compound ``_id``."""
    if isinstance(by, Mapping):
        group = {**group, "_id": {name: group["_id"].get(name) for name in by}}
    return repr(sorted(asked(group).items()))


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """A dialect in an event loop of its own, which serves all examples."""

    @asynccontextmanager
    async def dialect() -> AsyncIterator[Dialect]:
        async with aclosing(await open_sqlite(":memory:")) as dialect:
            await dialect.register(ITEM)
            yield dialect

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(dialect()) as opened:
        yield Oracle(portal, opened)


@pytest.mark.slow
@settings(max_examples=200, report_multiple_bugs=False)
@given(rows=ROWS, wanted=st.lists(FILTERS, min_size=4, max_size=12))
def test_filters_find_what_mongodb_finds(
    oracle: Oracle, rows: list[dict[str, Any]], wanted: list[dict[str, Any]]
) -> None:
    """Every operator that both know, alone, negated, together, and into json."""
    oracle.fill(rows)
    for filter in wanted:
        ours, theirs = oracle.found(filter)
        assert sorted(ours) == theirs, filter
        assert oracle.count(filter) == len(theirs), filter


@settings(max_examples=80, report_multiple_bugs=False)
@given(rows=ROWS, filter=FILTERS, order=ORDERS, skip=st.integers(0, 4), limit=st.integers(1, 6))
def test_rows_come_in_mongodbs_order(
    oracle: Oracle, rows: list[dict[str, Any]], filter: dict[str, Any], order: dict[str, int], skip: int, limit: int
) -> None:
    """Missing values first going up, text by code points; then some are skipped, and some are too many."""
    oracle.fill(rows)
    ours, theirs = oracle.found(filter, sort={**order, "number": 1}, skip=skip, limit=limit)
    assert ours == theirs


@settings(max_examples=100, report_multiple_bugs=False)
@given(rows=ROWS, filter=FILTERS, group=groups())
def test_groups_are_mongodbs(
    oracle: Oracle, rows: list[dict[str, Any]], filter: dict[str, Any], group: dict[str, Any]
) -> None:
    """By nothing, a field or several, with every accumulator."""
    oracle.fill(rows)
    ours, theirs = oracle.grouped([{"$match": filter}, {"$group": group}])
    assert ours == theirs
