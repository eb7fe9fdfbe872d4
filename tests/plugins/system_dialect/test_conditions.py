"""Conditions and orders as SQL: what an index answers, and what each database has to be told."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from objectkernel_system_dialect.conditions import Conditions
from objectkernel_system_dialect.contracts import EntitySchema, Field, Index
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_engine import SqliteEngine
from sqlalchemy import Integer, column

pytestmark = pytest.mark.anyio

VISIT = EntitySchema(
    name="Visit",
    collection="visits",
    key=("number",),
    fields={
        "number": Field("integer"),
        "page": Field("string", required=True),
        "rank": Field("integer", required=True),
        "guest": Field("string"),
    },
    indexes=(Index({"page": 1, "rank": 1}), Index({"guest": 1})),
)


@pytest.fixture
async def visits(dialect: SqlDialect) -> SqlDialect:
    """A dialect with thirty visits."""
    await dialect.register(VISIT)
    rows = [{"number": n, "page": "ab"[n % 2], "rank": n % 3, "guest": "g" if n % 5 else None} for n in range(30)]
    await dialect.create_many(VISIT, rows)
    return dialect


async def plan(dialect: SqlDialect, filter: dict[str, Any], **options: Any) -> str:
    """How SQLite goes about a query."""
    entity, statements = dialect._registered.known(VISIT)
    condition, values, _ = entity.where(filter, None)
    prepared = statements.find(entity.names, condition, sort=entity.sorting(options.get("sort")))
    run = dialect.engine.executor
    bound = prepared.bind(values)
    rows = await run.read(lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {prepared.sql}", bound).fetchall())  # type: ignore[attr-defined]
    return "; ".join(row[3] for row in rows)


@pytest.mark.parametrize(
    ("filter", "index"),
    [
        ({"page": "a"}, "page"),
        ({"page": {"$in": ["a", "b"]}}, "page"),
        ({"page": {"$gte": "a", "$lt": "b"}}, "page"),
        ({"page": "a", "rank": {"$between": [1, 2]}}, "page_rank"),
        ({"guest": None}, "guest"),
        ({"$or": [{"guest": "g"}, {"page": "a"}]}, "guest"),
        ({"number": {"$in": [1, 2]}}, "(number=?)"),
    ],
    ids=str,
)
async def test_an_index_answers(visits: SqlDialect, filter: dict[str, Any], index: str) -> None:
    """What is compared stands alone on its side, so that the database looks for it where it is listed."""
    found = await plan(visits, filter)
    assert "SEARCH" in found
    assert index in found
    assert "SCAN" not in found


async def test_an_index_gives_the_order(visits: SqlDialect) -> None:
    """Nothing is sorted that lies in order already."""
    assert "TEMP B-TREE" not in await plan(visits, {}, sort={"page": 1, "rank": 1})
    assert "TEMP B-TREE" not in await plan(visits, {}, sort={"guest": -1})
    assert "TEMP B-TREE" in await plan(visits, {}, sort={"page": 1, "rank": -1})


@pytest.mark.parametrize("missing_first", [True, False])
@pytest.mark.parametrize("nullable", [True, False])
def test_the_place_of_missing_values_is_said_where_it_has_to_be(missing_first: bool, nullable: bool) -> None:
    """And only there: an order in so many words is none that an index has."""

    class Some(SqliteEngine):
        sorts_missing_first = missing_first

    conditions = Conditions(object.__new__(Some), None)  # type: ignore[arg-type]
    up, down = (str(conditions.term(column("n", Integer), way, nullable=nullable)) for way in (1, -1))
    said = nullable and not missing_first
    assert (up, down) == (("n ASC NULLS FIRST", "n DESC NULLS LAST") if said else ("n", "n DESC"))


@pytest.mark.parametrize("direction", [1, -1])
async def test_pages_are_the_same_without_comparing_rows(
    visits: SqlDialect, monkeypatch: pytest.MonkeyPatch, direction: Literal[1, -1]
) -> None:
    """Where a database does not know ``(a, b) > (1, 2)``, it is said in other words."""
    whole = await visits.find(VISIT, sort={"page": direction, "rank": direction, "number": direction})
    for compares_rows in (True, False):
        monkeypatch.setattr(SqliteEngine, "compares_rows", compares_rows)
        visits._registered.known(VISIT)[1]._cache.clear()
        rows: list[Any] = []
        after = None
        for _ in range(5):
            sort: dict[str, Literal[1, -1]] = {"page": direction, "rank": direction}
            page = await visits.find_page(VISIT, sort=sort, limit=7, after=after)
            rows += page.rows
            after = page.next
        assert rows == whole
        assert after is None
