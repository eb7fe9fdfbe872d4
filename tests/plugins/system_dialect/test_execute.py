"""`execute`: the one door for statements of a caller's own."""

from __future__ import annotations

import threading
from contextlib import aclosing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from objectkernel_system_dialect.contracts import (
    DataError,
    DuplicateKey,
    EntitySchema,
    Field,
    StatementFailed,
    StatementRefused,
    ValueInvalid,
)
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from objectkernel_system_dialect.tables import build_table
from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    Integer,
    MetaData,
    Table,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
    tuple_,
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

COUNTER = EntitySchema(
    name="Counter",
    collection="counters",
    fields={
        "id": Field("string"),
        "n": Field("integer"),
        "f": Field("number"),
        "s": Field("string"),
        "p": Field("decimal", scale=2),
        "q": Field("decimal", scale=2),
        "fine": Field("decimal", scale=6),
        "w": Field("datetime"),
    },
)
COUNTERS = build_table((COUNTER,), {"Counter": COUNTER})
C = COUNTERS.c


@pytest.fixture
async def sales(dialect: SqlDialect) -> Table:
    """Three sales."""
    await dialect.register(SALE)
    rows = [
        {"id": id, "price": Decimal(price), "at": datetime(2026, 1, day, tzinfo=UTC), "data": {"day": day}}
        for id, price, day in (("a", "1.10", 1), ("b", "2.20", 2), ("c", "3.30", 2))
    ]
    await dialect.create_many(SALE, rows)
    return dialect.table(SALE)


async def test_rows_are_typed_by_their_columns(dialect: SqlDialect, sales: Table) -> None:
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


async def test_a_statement_is_built_once_and_given_values(dialect: SqlDialect, sales: Table) -> None:
    """Parameters are typed by what they are compared with; the same statement object serves every call."""
    dearer = select(sales.c.id).where(sales.c.price > bindparam("price")).order_by(sales.c.id)
    assert await dialect.execute(dearer, {"price": Decimal(2)}) == [{"id": "b"}, {"id": "c"}]
    assert await dialect.execute(dearer, {"price": Decimal(3)}) == [{"id": "c"}]
    some = select(func.count().label("n")).where(sales.c.price.in_(bindparam("prices", expanding=True)))
    assert await dialect.execute(some, {"prices": [Decimal("1.1"), Decimal("2.2")]}) == [{"n": 2}]
    assert await dialect.execute(some, {"prices": []}) == [{"n": 0}]
    both = union_all(select(sales.c.price).where(sales.c.id == "a"), select(sales.c.price).where(sales.c.id == "b"))
    assert await dialect.execute(both) == [{"price": Decimal("1.10")}, {"price": Decimal("2.20")}]


async def test_more_statements_than_are_kept(dialect: SqlDialect, sales: Table) -> None:
    """Statements that are built anew each time work too; they are only compiled again."""
    for number in range(300):
        rows = await dialect.execute(select(literal_column(str(number)).label("n")).where(sales.c.id == "a"))
        assert rows == [{"n": number}]


async def test_writes_return_what_they_say(dialect: SqlDialect, sales: Table) -> None:
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
    ids=["text", "text with columns", "str", "column", "None"],
)
async def test_text_and_other_things_are_refused(dialect: SqlDialect, sales: Table, statement: Any) -> None:
    """Only Core's own queries and writes are run: no text, no DDL."""
    with pytest.raises(StatementRefused):
        await dialect.execute(statement)
    assert await dialect.count(SALE) == 3


async def test_parameters_are_checked(dialect: SqlDialect, sales: Table) -> None:
    """A missing or unknown parameter, and a value that does not fit, are refused before anything runs."""
    one = select(sales).where(sales.c.price == bindparam("price"))
    with pytest.raises(StatementRefused, match="no value"):
        await dialect.execute(one)
    with pytest.raises(StatementRefused, match="no parameter 'prize'"):
        await dialect.execute(one, {"price": Decimal(1), "prize": 1})
    with pytest.raises(ValueInvalid):
        await dialect.execute(one, {"price": 1.5})


async def test_what_cannot_be_compiled_or_run_is_an_error(dialect: SqlDialect, sales: Table) -> None:
    """What has no meaning is refused; what the database cannot run has failed. Neither shows a value."""
    with pytest.raises(StatementRefused, match="compiled"):
        await dialect.execute(insert(sales).values(id="x", prize=1))
    other = Table("nowhere", MetaData(), Column("id"))
    with pytest.raises(StatementFailed) as caught:
        await dialect.execute(select(other).where(other.c.id == "secret"))
    assert "secret" not in str(caught.value)


async def test_numbers_are_calculated_with(dialect: SqlDialect, sales: Table) -> None:
    """Arithmetic on a numeric column is arithmetic, of its own type; an increment is one statement."""
    await dialect.register(COUNTER)
    table = dialect.table(COUNTER)
    await dialect.create(COUNTER, {"id": "a", "n": 2, "f": 1.5, "s": "x", "p": Decimal("1.50"), "q": Decimal("0.25")})
    await dialect.execute(update(table).values(n=table.c.n + 1, p=table.c.p - Decimal("0.5")))
    (row,) = await dialect.execute(
        select(
            (table.c.n * 2 - 1).label("n"),
            (table.c.f + 1).label("f"),
            (table.c.s + "y").label("s"),
            (table.c.p + 1).label("p"),
            (table.c.p - table.c.q).label("difference"),
            func.coalesce(func.sum(table.c.p), literal(Decimal(0), table.c.p.type)).label("sum"),
            (func.count(table.c.p) + 1).label("count"),
        )
    )
    assert row == {
        "n": 5,
        "f": 2.5,
        "s": "xy",
        "p": Decimal("2.00"),
        "difference": Decimal("0.75"),
        "sum": Decimal("1.00"),
        "count": 2,
    }
    assert str(row["p"]) == "2.00"


@pytest.mark.parametrize(
    "wrong",
    [
        C.p * 2,
        C.p / 2,
        C.p % 2,
        C.n * C.p,
        C.p + C.n,
        C.n + C.p,
        C.p > C.n,
        C.p == C.fine,
        func.avg(C.p),
        func.round(C.p),
        func.coalesce(C.p, 0),
        case((C.n > 1, C.p), else_=C.n),
        cast(C.p, Integer),
        C.w > func.now(),
        tuple_(C.p, C.n) > tuple_(1, 2),
        func.max(C.p * 2),
    ],
    ids=str,
)
async def test_what_sql_would_get_wrong_is_refused(dialect: SqlDialect, wrong: ColumnElement[Any]) -> None:
    """A decimal is a whole number to SQL, a time a text: beside another type they mean something else."""
    await dialect.register(COUNTER)
    with pytest.raises(StatementRefused) as caught:
        await dialect.execute(select(wrong))
    assert "decimal" in str(caught.value)


async def test_decimals_and_times_compare_with_their_like(dialect: SqlDialect, sales: Table) -> None:
    """Comparisons, ranges, lists, NULL, the least and the greatest work, with parameters typed by their columns."""
    day = datetime(2026, 1, 2, tzinfo=UTC)
    found = await dialect.execute(
        select(func.max(sales.c.price).label("most"), func.min(sales.c.at).label("first")).where(
            sales.c.price.between(Decimal(1), Decimal(3)),
            sales.c.price.in_([Decimal("1.1"), Decimal("2.2")]),
            sales.c.price.is_distinct_from(None),
            sales.c.at <= day,
            case((sales.c.at == day, sales.c.price), else_=sales.c.price) > 2,
        )
    )
    assert found == [{"most": Decimal("2.20"), "first": day}]


@pytest.mark.parametrize("value", [2**70, "\ud800", object()], ids=["large", "surrogate", "object"])
async def test_a_value_that_the_driver_refuses_is_an_error(dialect: SqlDialect, value: Any) -> None:
    """An untyped value that SQLite cannot hold is one of the errors of data access too."""
    with pytest.raises(DataError):
        await dialect.execute(select(bindparam("value", value)))


async def test_a_value_of_sqlalchemys_own_types_is_checked(dialect: SqlDialect, sales: Table) -> None:
    """A value that a type of SQLAlchemy refuses is refused as one of ours is."""
    with pytest.raises(ValueInvalid):
        await dialect.execute(select(bindparam("day", type_=Date)), {"day": "today"})


async def test_a_query_does_not_wait_for_the_writer(tmp_path: Path) -> None:
    """`execute` reads on a reader, while a write is under way."""
    async with aclosing(await open_sqlite(str(tmp_path / "a.db"))) as dialect:
        await dialect.register(SALE)
        free = threading.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(dialect.engine.executor.write, lambda _: free.wait(60))
            await anyio.wait_all_tasks_blocked()
            try:
                with anyio.fail_after(30):
                    assert await dialect.execute(select(dialect.table(SALE).c.id)) == []
            finally:
                free.set()
