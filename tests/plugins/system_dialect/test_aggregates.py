"""Groups as statements: one for each shape, and no value in it that is not typed."""

from __future__ import annotations

from typing import Any

import pytest
from objectkernel_system_dialect.contracts import EntitySchema, Field, FilterInvalid, RowDamaged, UnknownOperator
from objectkernel_system_dialect.pipelines import read_pipeline
from objectkernel_system_dialect.sql_dialect import SqlDialect
from sqlalchemy import literal_column, update

pytestmark = pytest.mark.anyio

SALE = EntitySchema(
    name="Sale",
    collection="sales",
    fields={
        "shop": Field("string"),
        "day": Field("datetime"),
        "pieces": Field("integer"),
        "price": Field("decimal", scale=2),
    },
)


@pytest.fixture
async def sales(dialect: SqlDialect) -> SqlDialect:
    """A dialect with three sales."""
    await dialect.register(SALE)
    rows = [{"shop": "a", "pieces": 1}, {"shop": "a", "pieces": 2}, {"shop": "b", "pieces": 4}]
    await dialect.create_many(SALE, rows)
    return dialect


def pipeline(shop: str, least: int, limit: int) -> list[dict[str, Any]]:
    return [
        {"$match": {"shop": {"$ne": shop}}},
        {"$group": {"_id": "$shop", "pieces": {"$sum": "$pieces"}}},
        {"$match": {"pieces": {"$gte": least}}},
        {"$limit": limit},
    ]


async def test_pipelines_of_one_shape_share_a_statement(sales: SqlDialect) -> None:
    """Values of both filters and numbers of rows are no part of the shape."""
    entity, statements = sales._registered.known(SALE)
    first, second = (read_pipeline(entity, pipeline(*values), regex=False) for values in (("a", 1, 5), ("b", 2, 6)))
    assert first.pipeline == second.pipeline
    assert (first.values, second.values) == ((1, 5), (2, 6))
    await sales.aggregate(SALE, pipeline("a", 1, 5))
    kept = len(statements._cache)
    assert await sales.aggregate(SALE, pipeline("b", 3, 6)) == [{"_id": "a", "pieces": 3}]
    assert await sales.aggregate(SALE, pipeline("b", 4, 6)) == []
    assert len(statements._cache) == kept


async def test_a_filter_behind_the_group_refuses_everything_else(sales: SqlDialect) -> None:
    """Operators are those of what was grouped: a sum has no patterns."""
    group = {"$group": {"_id": "$shop", "pieces": {"$sum": "$pieces"}}}
    with pytest.raises(FilterInvalid, match="has no"):
        await sales.aggregate(SALE, [group, {"$match": {"pieces": {"$like": "1%"}}}])
    with pytest.raises(FilterInvalid, match="wrong place"):
        await sales.aggregate(SALE, [group, {"$match": {"pieces": 1}}, {"$match": {"pieces": 1}}])
    with pytest.raises(FilterInvalid, match="no content"):
        await sales.aggregate(SALE, [group, {"$limit": None}])


async def test_what_is_unknown_is_named(sales: SqlDialect) -> None:
    """Whether it stands for a stage or an accumulator; what can be written there is told."""
    with pytest.raises(UnknownOperator, match=r"'\$unwind' is no stage") as caught:
        await sales.aggregate(SALE, [{"$unwind": "$shop"}])
    assert "$group" in caught.value.fix
    with pytest.raises(UnknownOperator, match=r"'\$push' is no accumulator"):
        await sales.aggregate(SALE, [{"$group": {"_id": None, "all": {"$push": "$shop"}}}])


@pytest.mark.parametrize("group", [{"_id": "$day"}, {"_id": None, "last": {"$max": "$day"}}], ids=["group", "max"])
async def test_a_damaged_value_is_no_group(sales: SqlDialect, group: dict[str, Any]) -> None:
    """What its field cannot have is told by the field, and never delivered."""
    table = sales.table(SALE)
    await sales.execute(update(table).values({table.c.day: literal_column("'yesterday'")}))
    with pytest.raises(RowDamaged) as caught:
        await sales.aggregate(SALE, [{"$group": group}])
    assert caught.value.facts == {"entity": "Sale", "key": None, "field": "day"}
