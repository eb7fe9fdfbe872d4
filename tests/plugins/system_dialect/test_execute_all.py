"""`execute_all`: several statements of a caller's own, all of them or none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest
from objectkernel_system_dialect.contracts import (
    DuplicateKey,
    EntitySchema,
    Field,
    RowDamaged,
    StatementFailed,
    StatementRefused,
    TransactionFailed,
    ValueInvalid,
)
from objectkernel_system_dialect.mariadb_engine import MariadbEngine
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_engine import SqliteEngine
from sqlalchemy import bindparam, delete, insert, select, text, update

pytestmark = pytest.mark.anyio

STEP = EntitySchema(
    name="Step",
    collection="steps",
    key=("name",),
    fields={
        "name": Field("string", required=True, length=20),
        "count": Field("integer", min=0),
        "number": Field("sequence"),
    },
)


@pytest.fixture
def anyio_backend() -> str:
    """Servers speak asyncio."""
    return "asyncio"


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
async def steps(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlDialect]:
    """A dialect of each kind, with one row."""
    url = str(tmp_path / "steps.db") if request.param == "sqlite" else request.getfixturevalue(f"{request.param}_url")
    engines: dict[str, Any] = {"sqlite": SqliteEngine, "postgres": PostgresEngine, "mariadb": MariadbEngine}
    async with aclosing(SqlDialect(await engines[request.param].open(url))) as dialect:
        await dialect.register(STEP)
        await dialect.create(STEP, {"name": "first", "count": 1})
        yield dialect


async def names(dialect: SqlDialect) -> list[tuple[str, int]]:
    rows = await dialect.find(STEP, sort={"number": 1})
    return [(row["name"], row["count"]) for row in rows]


async def test_statements_run_in_their_order_and_see_each_other(steps: SqlDialect) -> None:
    """Each has its rows, in the order of the statements; those of a write without `returning` are none."""
    table = steps.table(STEP)
    one = select(table.c.name, table.c.count, table.c.number).where(table.c.name == bindparam("wanted"))
    add, change = insert(table), update(table).where(table.c.name == bindparam("wanted"))
    inserted, none, (second,), (gone,), (), empty = await steps.execute_all([
        (add, {"name": "second", "count": 2}),
        (change, {"wanted": "second", "count": 3}),
        (one, {"wanted": "second"}),
        (one, {"wanted": "first"}),
        (delete(table).where(table.c.name == "first"), None),
        (one, {"wanted": "first"}),
    ])  # fmt: skip
    assert inserted == none == empty == []
    assert second == {"name": "second", "count": 3, "number": gone["number"] + 1}
    assert await names(steps) == [("second", 3)]
    assert await steps.execute_all([]) == []


async def test_where_one_fails_nothing_is_done(steps: SqlDialect) -> None:
    """The error is that of the statement, and what came before it is undone."""
    add = insert(steps.table(STEP))
    with pytest.raises(DuplicateKey):
        await steps.execute_all([(add, {"name": "second"}), (add, {"name": "first"}), (add, {"name": "third"})])
    assert await names(steps) == [("first", 1)]


async def test_what_is_refused_is_refused_before_anything_runs(steps: SqlDialect) -> None:
    """A text, and a value that does not fit, as of `execute`."""
    add: Any = insert(steps.table(STEP))
    with pytest.raises(StatementRefused):
        await steps.execute_all([(add, {"name": "second"}), (text("SELECT 1"), None)])  # type: ignore[list-item]
    with pytest.raises(ValueInvalid):
        await steps.execute_all([(add, {"name": "second"}), (add, {"name": "third", "count": "many"})])
    assert await names(steps) == [("first", 1)]


async def test_within_a_transaction_they_are_a_part_of_it(steps: SqlDialect) -> None:
    """They see what it did, and are undone with it."""
    table = steps.table(STEP)
    with pytest.raises(KeyError):
        async with steps.transaction():
            await steps.create(STEP, {"name": "second"})
            found, _ = await steps.execute_all([
                (select(table.c.name).order_by(table.c.number), None),
                (insert(table), {"name": "third"}),
            ])  # fmt: skip
            assert found == [{"name": "first"}, {"name": "second"}]
            raise KeyError
    assert await names(steps) == [("first", 1)]


async def test_one_that_fails_within_a_transaction_ends_it(steps: SqlDialect) -> None:
    """As a single statement's failure does, on every database; a block of its own within it is undone alone."""
    add = insert(steps.table(STEP))
    both = [(add, {"name": "second"}), (add, {"name": "first"})]
    async with steps.transaction():
        with pytest.raises(DuplicateKey):
            async with steps.transaction():
                await steps.execute_all(both)
        await steps.create(STEP, {"name": "third", "count": 3})
    with pytest.raises(TransactionFailed):
        async with steps.transaction():
            with pytest.raises(DuplicateKey):
                await steps.execute_all(both)
    assert await names(steps) == [("first", 1), ("third", 3)]


async def test_cancelled_half_way_within_a_transaction_nothing_of_it_stays(steps: SqlDialect) -> None:
    """A block that goes on behind the cancellation commits no half of them."""
    add = insert(steps.table(STEP))
    calls = [(add, {"name": f"n{number}"}) for number in range(200)]
    outcome = "whole"
    try:
        async with steps.transaction():
            with anyio.move_on_after(0.002):
                await steps.execute_all(calls)
    except TransactionFailed:
        outcome = "nothing"
    assert await steps.count(STEP) in ((1, 201) if outcome == "whole" else (1,))


@pytest.mark.parametrize("steps", ["sqlite"], indirect=True)
async def test_a_row_that_cannot_be_read_undoes_them(steps: SqlDialect) -> None:
    """As where a single statement gives such a row, which only SQLite can hold."""
    table = steps.table(STEP)
    await steps.schema_work(lambda core, _: core.execute(text("UPDATE steps SET name = x'00'")))
    with pytest.raises(RowDamaged):
        await steps.execute_all([(insert(table), {"name": "second"}), (select(table.c.name), None)])
    assert await steps.count(STEP) == 1


async def test_a_missing_table_is_a_failed_statement(steps: SqlDialect) -> None:
    """The error is ours, whatever the driver says."""
    add = insert(steps.table(STEP))
    await steps.schema_work(lambda core, _: core.execute(text("DROP TABLE steps")))
    with pytest.raises(StatementFailed):
        await steps.execute_all([(add, {"name": "second"})])
