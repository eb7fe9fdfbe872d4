"""Random operations on random rows give the same on SQLite, PostgreSQL and MariaDB, errors too.

Names are words that SQL has reserved, and values those that some database or driver is known to get wrong.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import given, settings
from hypothesis import strategies as st
from objectkernel_system_dialect.contracts import (
    ConstraintViolated,
    DataError,
    DuplicateKey,
    EntitySchema,
    Field,
    Index,
    Relation,
)
from objectkernel_system_dialect.mariadb_engine import MariadbEngine
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_engine import SqliteEngine
from sqlalchemy import func, select

from .databases import mariadb_database, postgres_database

__all__ = ["mariadb_database", "postgres_database"]  # fixtures
pytestmark = [pytest.mark.postgres, pytest.mark.mariadb]

GROUP = EntitySchema(name="Group", collection="group", fields={"name": Field("string", length=40)})
ORDER = EntitySchema(
    name="Order",
    collection="order",
    key=("key", "index"),
    fields={
        "key": Field("string", length=20),
        "index": Field("integer"),
        "select": Field("string", length=40),
        "from": Field("text"),
        "where": Field("integer", min=-(2**63) + 1),
        "limit": Field("number"),
        "values": Field("decimal", precision=18, scale=4),
        "check": Field("boolean"),
        "table": Field("datetime"),
        "column": Field("json"),
        "references": Field("uuid"),
        "blob": Field("binary"),
        "user": Field("enum", enum=("all", "and")),
        "array": Field("array", default=list),
        "rows": Field("array", items="integer"),
        "unique": Field("string", unique=True, length=40),
    },
    relations={"to": Relation("Group", on_delete="cascade")},
    indexes=(Index({"where": -1, "select": 1}), Index({"limit": 1, "check": 1}, unique=True)),
    timestamps=True,
    soft_delete=True,
    version=True,
)
START = datetime(2026, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def opened(postgres: str, mariadb: str) -> AsyncIterator[list[SqlDialect]]:
    """A dialect of each kind. Their clocks tell the same times."""
    async with AsyncExitStack() as stack:
        dialects = []
        for engine in (
            await SqliteEngine.open(":memory:"),
            await PostgresEngine.open(postgres),
            await MariadbEngine.open(mariadb),
        ):
            clock = map(partial(_later, START), count())
            dialect = SqlDialect(engine, clock=clock.__next__)
            dialects.append(await stack.enter_async_context(aclosing(dialect)))
            await dialect.register(GROUP, ORDER)
        yield dialects


def _later(start: datetime, seconds: int) -> datetime:
    return start + timedelta(seconds=seconds, microseconds=1)


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    """An event loop beside the test, in which the dialects live."""
    with start_blocking_portal("asyncio") as portal:
        yield portal


@pytest.fixture(scope="module")
def dialects(portal: BlockingPortal, postgres_database: str, mariadb_database: str) -> Iterator[list[SqlDialect]]:
    """One dialect of each kind, with the same entities."""
    with portal.wrap_async_context_manager(opened(postgres_database, mariadb_database)) as dialects:
        yield dialects


TEXTS = st.sampled_from([
    "", " ", "a", "A", "a ", "ä", "Ä", "ß", "ab", "b", "😀", "\U0010ffff", "\uffff", "%", "_", "\\", "\\\\", "'", '"',
    "?", ":a", "%s", "$1", "{}", "[a]", "*", "\n", "\t", "\x7f", "null", "a%b_c\\d", "İ", "ı", "\u212a", "ſ",
])  # fmt: skip
INTEGERS = st.integers(-3, 3) | st.sampled_from([2**31, 2**53 + 1, 2**63 - 1, -(2**63) + 1])
NUMBERS = st.sampled_from([0.0, -0.0, 0.1, -1.5, 3.0, 1e300, 5e-324, 1.7976931348623157e308, 2.0**53, 1 / 3])
DECIMALS = st.sampled_from(["0", "-0.0001", "1.5", "1.5000", "99999999999999.9999", "-99999999999999.9999", "3"])
TIMES = st.sampled_from([(1, 1, 1), (999, 12, 31, 23, 59, 59, 999999), (1970, 1, 1), (2026, 3, 29, 1, 30, 0, 1)])
JSON = st.recursive(
    st.none() | st.booleans() | TEXTS | INTEGERS | NUMBERS | st.just(2**70),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS | st.sampled_from("xy"), inner, max_size=3),
    max_leaves=4,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "select": TEXTS,
    "from": TEXTS | st.sampled_from(["x" * 70_000, "😀" * 20_000]),
    "where": INTEGERS,
    "limit": NUMBERS,
    "values": DECIMALS.map(Decimal),
    "check": st.booleans(),
    "table": (TIMES | st.just((9999, 12, 31, 23, 59, 59, 999999))).map(lambda parts: datetime(*parts, tzinfo=UTC)),  # type: ignore[misc]
    "column": JSON,
    "references": st.sampled_from([0, 1, 2**127, 2**128 - 1]).map(lambda number: UUID(int=number)),
    "blob": st.sampled_from([b"", b"\0", b"a", b"\xff\xfe", b"'\\"]),
    "user": st.sampled_from(["all", "and"]),
    "array": st.lists(TEXTS, max_size=3),
    "rows": st.lists(INTEGERS, max_size=3),
    "unique": TEXTS,
    "to": st.sampled_from(["one", "two", "lost"]),
}
KEYS = st.tuples(st.sampled_from(["a", "A", "a ", "😀", ""]), st.integers(0, 1))
DATA = st.fixed_dictionaries({}, optional={name: st.none() | values for name, values in VALUES.items()})
ROWS = st.builds(lambda key, data: {"key": key[0], "index": key[1], **data}, KEYS, DATA)
ORDERED = ["select", "from", "where", "limit", "values", "table", "references", "user"]
SCALARS = [*ORDERED, "check", "blob", "unique"]
SORTS = st.dictionaries(st.sampled_from([*ORDERED, "check", "key"]), st.sampled_from([1, -1]), max_size=3)


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    """One entry of a filter."""
    name = draw(st.sampled_from([*SCALARS, "to.name", "array", "rows", "key", "deleted_at"]))
    if name == "deleted_at":
        return {name: {"$exists": draw(st.booleans())}}
    if name in ("array", "rows"):
        operator = draw(st.sampled_from(["$eq", "$ne", "$contains"]))
        items = VALUES[name]
        return {
            name: {operator: draw(items if operator != "$contains" else items.filter(bool).map(lambda one: one[0]))}
        }
    values = VALUES.get(name, TEXTS)
    operators = ["$eq", "$ne", "$in", "$nin"] + ["$gt", "$gte", "$lt", "$lte"] * (name != "check")
    if name in ("select", "from", "unique", "key"):
        operators += ["$like", "$ilike", "$contains"]
    operator = draw(st.sampled_from(operators))
    value = draw(st.lists(st.none() | values, max_size=3) if operator in ("$in", "$nin") else values)
    condition = {operator: value}
    return {name: {"$not": condition} if draw(st.booleans()) else condition}


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    """A filter of a few entries."""
    parts = draw(st.lists(conditions(), max_size=2))
    return {draw(st.sampled_from(["$and", "$or", "$nor"])): parts} if parts else {}


FILTERS = filters()
GROUPS = st.builds(
    lambda by, one, two: [
        {"$group": {"_id": f"${by}", "n": {"$sum": 1}, "s": {"$sum": f"${one}"}, "m": {"$min": f"${two}"}}},
        {"$sort": {"_id": 1}},
    ],
    st.sampled_from([*ORDERED, "check"]),
    st.sampled_from(["values", "index"]),
    st.sampled_from([*ORDERED, "check"]),
)
OPERATIONS = st.one_of(
    st.tuples(st.just("create"), ROWS),
    st.tuples(st.just("create_many"), st.lists(ROWS, max_size=4)),
    st.tuples(st.just("upsert"), ROWS),
    st.tuples(st.just("update"), KEYS, DATA),
    st.tuples(st.just("update_many"), FILTERS, DATA),
    st.tuples(st.just("increment"), KEYS, st.just("where"), INTEGERS),
    st.tuples(st.just("increment"), KEYS, st.just("values"), DECIMALS.map(Decimal)),
    st.tuples(st.just("add_to_set"), KEYS, st.just("array"), TEXTS),
    st.tuples(st.just("pull"), KEYS, st.just("rows"), INTEGERS),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("delete_many"), FILTERS),
    st.tuples(st.just("undelete"), KEYS),
    st.tuples(st.just("find_by_id"), KEYS),
    st.tuples(st.just("count"), FILTERS),
    st.tuples(st.just("exists"), FILTERS),
    st.tuples(st.just("distinct"), st.sampled_from([*ORDERED, "check"]), FILTERS),
    st.tuples(st.just("aggregate"), GROUPS),
    st.tuples(st.just("found"), FILTERS, SORTS),
    st.tuples(st.just("paged"), FILTERS, SORTS, st.integers(1, 3)),
    st.tuples(st.just("both"), ROWS, ROWS),
    st.tuples(st.just("counted")),
)


async def perform(dialect: SqlDialect, name: str, *arguments: Any) -> Any:
    """One operation of a dialect, or a few together."""
    match name:
        case "found":
            filter, sort = arguments
            return await dialect.find(ORDER, filter, sort={**sort, "key": 1, "index": 1})
        case "paged":
            filter, sort, limit = arguments
            rows, after = [], None
            while True:
                page = await dialect.find_page(ORDER, filter, sort=sort, limit=limit, after=after)
                rows.append(page.rows)
                if (after := page.next) is None:
                    return rows
        case "both":
            async with dialect.transaction():
                return [await dialect.upsert(ORDER, row) for row in arguments]
        case "counted":
            c = dialect.table(ORDER).c
            return await dialect.execute(
                select(
                    func.sum(c.index).label("sum"), func.max(c.where).label("max"), func.count(c.limit).label("count")
                )
            )
        case "update_many" | "delete_many":
            return await getattr(dialect, name)(ORDER, *arguments, all=True)
    return await getattr(dialect, name)(ORDER, *arguments)


async def outcome(dialect: SqlDialect, operation: Sequence[Any]) -> str:
    """What an operation returned, or the kind of its error and what it is about."""
    try:
        return repr(await perform(dialect, *operation))
    except (ConstraintViolated, DuplicateKey):  # of a row that breaks several rules any may be told
        return "the write was refused"
    except DataError as error:
        return f"{type(error).__name__} {error.facts}"


@pytest.mark.slow
@settings(max_examples=60)
@given(rows=st.lists(ROWS, max_size=6), operations=st.lists(OPERATIONS, min_size=1, max_size=10))
def test_operations_give_the_same_everywhere(
    portal: BlockingPortal, dialects: list[SqlDialect], rows: list[dict[str, Any]], operations: list[tuple[Any, ...]]
) -> None:
    """Each operation in a row of them returns the same, or fails in the same way, and leaves the same rows."""

    async def compare() -> None:
        for dialect in dialects:
            await dialect.delete_many(ORDER, {}, all=True, hard=True)
            await dialect.delete_many(GROUP, {}, all=True)
            await dialect.create_many(GROUP, [{"id": "one", "name": "a"}, {"id": "two", "name": "😀"}])
        first = [("upsert", row) for row in rows]
        for operation in [*first, *operations, ("found", {"deleted_at": {"$exists": True}}, {}), ("found", {}, {})]:
            outcomes = {dialect.name: await outcome(dialect, operation) for dialect in dialects}
            assert len(set(outcomes.values())) == 1, (operation, outcomes)

    portal.call(compare)
