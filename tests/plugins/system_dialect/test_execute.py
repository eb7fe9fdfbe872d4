"""`execute`: the one door for statements of a caller's own."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from objectkernel_system_dialect.contracts import (
    DuplicateKey,
    EntitySchema,
    Field,
    StatementFailed,
    StatementRefused,
    ValueInvalid,
)
from objectkernel_system_dialect.sqlite_dialect import SqliteDialect
from sqlalchemy import (
    Column,
    MetaData,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    text,
    union_all,
    update,
)

pytestmark = pytest.mark.anyio

SALE = EntitySchema(
    name="Sale",
    collection="sales",
    fields={
        "id": Field("string"),
        "price": Field("decimal", scale=2),
        "at": Field("datetime"),
        "data": Field("json"),
    },
)


@pytest.fixture
async def sales(dialect: SqliteDialect) -> Table:
    """Three sales."""
    await dialect.register(SALE)
    rows = [
        {"id": id, "price": Decimal(price), "at": datetime(2026, 1, day, tzinfo=UTC), "data": {"day": day}}
        for id, price, day in (("a", "1.10", 1), ("b", "2.20", 2), ("c", "3.30", 2))
    ]
    await dialect.create_many(SALE, rows)
    return dialect.table(SALE)


async def test_rows_are_typed_by_their_columns(dialect: SqliteDialect, sales: Table) -> None:
    """A column comes back as its field does, an aggregate as its column does, a count as it is."""
    rows = await dialect.execute(
        select(sales.c.at, func.sum(sales.c.price).label("total"), func.count().label("sales"))
        .group_by(sales.c.at)
        .order_by(sales.c.at.desc())
    )
    assert rows == [
        {"at": datetime(2026, 1, 2, tzinfo=UTC), "total": Decimal("5.50"), "sales": 2},
        {"at": datetime(2026, 1, 1, tzinfo=UTC), "total": Decimal("1.10"), "sales": 1},
    ]
    assert await dialect.execute(select(sales.c.data).where(sales.c.id == "a")) == [{"data": {"day": 1}}]


async def test_a_statement_is_built_once_and_given_values(dialect: SqliteDialect, sales: Table) -> None:
    """Parameters are typed by what they are compared with; the same statement object serves every call."""
    dearer = select(sales.c.id).where(sales.c.price > bindparam("price")).order_by(sales.c.id)
    assert await dialect.execute(dearer, {"price": Decimal(2)}) == [{"id": "b"}, {"id": "c"}]
    assert await dialect.execute(dearer, {"price": Decimal(3)}) == [{"id": "c"}]
    some = select(func.count().label("n")).where(sales.c.price.in_(bindparam("prices", expanding=True)))
    assert await dialect.execute(some, {"prices": [Decimal("1.1"), Decimal("2.2")]}) == [{"n": 2}]
    assert await dialect.execute(some, {"prices": []}) == [{"n": 0}]
    both = union_all(select(sales.c.price).where(sales.c.id == "a"), select(sales.c.price).where(sales.c.id == "b"))
    assert await dialect.execute(both) == [{"price": Decimal("1.10")}, {"price": Decimal("2.20")}]


async def test_more_statements_than_are_kept(dialect: SqliteDialect, sales: Table) -> None:
    """Statements that are built anew each time work too; they are only compiled again."""
    for number in range(300):
        rows = await dialect.execute(select(literal_column(str(number)).label("n")).where(sales.c.id == "a"))
        assert rows == [{"n": number}]


async def test_writes_return_what_they_say(dialect: SqliteDialect, sales: Table) -> None:
    """Insert, update and delete are run by the writer; rows come from `returning` and from nowhere else."""
    made = await dialect.execute(insert(sales).returning(sales.c.price), {"id": "d", "price": Decimal(4)})
    assert made == [{"price": Decimal("4.00")}]
    assert await dialect.execute(update(sales).values(price=Decimal(9)).where(sales.c.id == "d")) == []
    gone = await dialect.execute(delete(sales).where(sales.c.id == "d").returning(sales.c.id))
    assert gone == [{"id": "d"}]
    nothing = await dialect.execute(update(sales).where(sales.c.id == "a").returning(sales.c.price), {"price": None})
    assert nothing == [{"price": None}]
    with pytest.raises(DuplicateKey):
        await dialect.execute(insert(sales), {"id": "a"})
    assert await dialect.count(SALE) == 3


@pytest.mark.parametrize(
    "statement",
    [text("DELETE FROM sales"), text("SELECT 1").columns(), "DELETE FROM sales", literal_column("1"), None],
    ids=repr,
)
async def test_text_and_other_things_are_refused(dialect: SqliteDialect, sales: Table, statement: Any) -> None:
    """Only Core's own queries and writes are run: no text, no DDL."""
    with pytest.raises(StatementRefused):
        await dialect.execute(statement)
    assert await dialect.count(SALE) == 3


async def test_parameters_are_checked(dialect: SqliteDialect, sales: Table) -> None:
    """A missing or unknown parameter, and a value that does not fit, are refused before anything runs."""
    one = select(sales).where(sales.c.price == bindparam("price"))
    with pytest.raises(StatementRefused, match="no value"):
        await dialect.execute(one)
    with pytest.raises(StatementRefused, match="no parameter 'prize'"):
        await dialect.execute(one, {"price": Decimal(1), "prize": 1})
    with pytest.raises(ValueInvalid):
        await dialect.execute(one, {"price": 1.5})


async def test_what_cannot_be_compiled_or_run_is_an_error(dialect: SqliteDialect, sales: Table) -> None:
    """What has no meaning is refused; what the database cannot run has failed. Neither shows a value."""
    with pytest.raises(StatementRefused, match="compiled"):
        await dialect.execute(insert(sales).values(id="x", prize=1))
    other = Table("nowhere", MetaData(), Column("id"))
    with pytest.raises(StatementFailed) as caught:
        await dialect.execute(select(other).where(other.c.id == "secret"))
    assert "secret" not in str(caught.value)
