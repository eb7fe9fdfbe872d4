"""Keyset pages: every row once, in order, at the same cost wherever in the list."""

from __future__ import annotations

import base64
import json
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objectkernel_system_dialect.contracts import (
    CursorInvalid,
    EntitySchema,
    Field,
    Index,
    OptionInvalid,
    Repository,
    UnknownField,
)
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from objectkernel_system_dialect.sqlite_executor import SqliteOptions

EVENT = EntitySchema(
    name="Event",
    collection="events",
    key=("number",),
    fields={
        "number": Field("integer"),
        "kind": Field("string"),
        "moment": Field("datetime", required=True),
        "price": Field("decimal", scale=2),
        "data": Field("json"),
    },
    indexes=(Index({"moment": -1, "number": -1}),),
)


def event(number: int, kind: str | None = None, day: int = 1) -> dict[str, Any]:
    return {"number": number, "kind": kind, "moment": datetime(2026, 1, day, tzinfo=UTC)}


@pytest.fixture
async def events(dialect: SqlDialect) -> Repository:
    """Twelve events on three days."""
    await dialect.register(EVENT)
    await dialect.create_many(EVENT, [event(n, "ab"[n % 2], 1 + n % 3) for n in range(12)])
    return Repository(dialect, EVENT)


@pytest.mark.anyio
async def test_pages_together_are_the_list(events: Repository) -> None:
    """Following the cursors gives every row once, in the order asked for, ties by key alike."""
    seen: list[int] = []
    after = None
    while True:
        page = await events.find_page(sort={"moment": -1}, limit=5, after=after, select=["number"])
        assert all(list(row) == ["number"] for row in page.rows)
        seen += [row["number"] for row in page.rows]
        if (after := page.next) is None:
            break
    assert seen == sorted(range(12), key=lambda n: (n % 3, n), reverse=True)


@pytest.mark.anyio
async def test_the_last_page_has_no_next(events: Repository) -> None:
    """A page that reaches the end says so, also when it is just full."""
    assert (await events.find_page(limit=12)).next is None
    assert (await events.find_page({"kind": "none"})).rows == ()


@pytest.mark.anyio
async def test_a_row_inserted_meanwhile_moves_no_page(events: Repository) -> None:
    """Rows that come before the cursor neither repeat nor hide others."""
    first = await events.find_page(limit=3)
    await events.create(event(-1))
    second = await events.find_page(limit=3, after=first.next)
    assert [row["number"] for row in first.rows + second.rows] == [0, 1, 2, 3, 4, 5]


@pytest.mark.anyio
async def test_a_page_is_found_through_the_index(tmp_path: Path) -> None:
    """With an index in the order of the page, SQLite seeks the cursor and sorts nothing."""
    async with aclosing(await open_sqlite(str(tmp_path / "a.db"), SqliteOptions(readers=1))) as dialect:
        await dialect.register(EVENT)
        await dialect.create_many(EVENT, [event(number) for number in range(9)])
        page = await dialect.find_page(EVENT, sort={"moment": -1}, limit=2)
        read = dialect.engine.executor.read
        statements: list[str] = []
        await read(lambda connection: connection.set_trace_callback(statements.append))
        await dialect.find_page(EVENT, sort={"moment": -1}, limit=2, after=page.next)
        await read(lambda connection: connection.set_trace_callback(None))
        plan = await read(lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {statements[0]}").fetchall())
    (step,) = [row[3] for row in plan]
    assert step.startswith("SEARCH events USING INDEX ix_events_moment_desc_number_desc")


@pytest.mark.anyio
async def test_a_cursor_belongs_to_its_order(events: Repository) -> None:
    """A cursor of another sort order, or one that was damaged, is refused and never means the first page."""
    cursor = (await events.find_page(sort={"moment": -1}, limit=2)).next
    assert cursor is not None
    forged, odd = (
        base64.urlsafe_b64encode(json.dumps(["number:1", value]).encode()).decode() for value in ("x'; --", [1])
    )
    for wrong, sort in (
        (cursor, {"moment": 1}),
        (cursor, None),
        (cursor[:-3], {"moment": -1}),
        ("", None),
        ("é", None),
        ("bnVsbA", None),
        (forged, None),
        (odd, None),
        (5, None),
    ):
        with pytest.raises(CursorInvalid):
            await events.find_page(sort=sort, after=wrong)  # type: ignore[arg-type]


@pytest.mark.anyio
@pytest.mark.parametrize("value", [5, [1], True, {"a": 1}, "zz"], ids=str)
async def test_a_forged_cursor_is_no_crash(dialect: SqlDialect, value: Any) -> None:
    """A cursor whose value is of another type than the key is damaged, whatever its type."""
    ticket = EntitySchema(name="Ticket", collection="tickets", fields={"id": Field("uuid")})
    await dialect.register(ticket)
    forged = base64.urlsafe_b64encode(json.dumps(["id:1", value]).encode()).decode()
    with pytest.raises(CursorInvalid):
        await dialect.find_page(ticket, after=forged)


@pytest.mark.anyio
async def test_pages_refuse_what_lists_refuse(events: Repository) -> None:
    """An unknown field, an order of documents, a page without room."""
    with pytest.raises(UnknownField):
        await events.find_page(sort={"nubmer": 1})
    with pytest.raises(OptionInvalid):
        await events.find_page(sort={"data": 1})
    with pytest.raises(OptionInvalid):
        await events.find_page(limit=0)


DIRECTION = st.sampled_from([1, -1])


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(st.sampled_from([None, "a", "b"]), st.integers(1, 2)), max_size=12),
    kind=DIRECTION,
    moment=DIRECTION,
    limit=st.integers(1, 5),
)
def test_random_pages_are_the_sorted_list(
    rows: list[tuple[str | None, int]], kind: Literal[1, -1], moment: Literal[1, -1], limit: int
) -> None:
    """Whatever the directions, and with missing values, the pages put together are the sorted list."""

    async def walk() -> tuple[list[int], list[int]]:
        dialect = await open_sqlite(":memory:")
        await dialect.register(EVENT)
        await dialect.create_many(EVENT, [event(n, k, d) for n, (k, d) in enumerate(rows)])
        sort: dict[str, Literal[1, -1]] = {"kind": kind, "moment": moment}
        seen: list[int] = []
        after = None
        for _ in range(len(rows) + 1):
            page = await dialect.find_page(EVENT, sort=sort, limit=limit, after=after)
            seen += [row["number"] for row in page.rows]
            if (after := page.next) is None:
                break
        whole = await dialect.find(EVENT, sort={**sort, "number": moment})
        await dialect.aclose()
        return seen, [row["number"] for row in whole]

    seen, whole = anyio.run(walk)
    assert seen == whole
    assert sorted(seen) == list(range(len(rows)))
