"""Reads by key in the event loop's thread: only what stays short, and nobody waits for it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest
from objectkernel_system_dialect import sqlite_immediate
from objectkernel_system_dialect.contracts import DialectClosed, EntitySchema, Field
from objectkernel_system_dialect.executor import Insertion
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from objectkernel_system_dialect.sqlite_executor import SqliteExecutor, SqliteOptions
from objectkernel_system_dialect.sqlite_immediate import ImmediateReader
from sqlalchemy import bindparam, select

pytestmark = pytest.mark.anyio

BY_KEY = "SELECT id, text FROM notes WHERE id = ?"
UNINDEXED = "SELECT id, text FROM notes WHERE text = ?"
NOTE = EntitySchema(name="Note", collection="notes", fields={"id": Field("string"), "text": Field("text")})


class Seen:
    """Reads rows as they are, and notes in which thread."""

    trusting = True

    def __init__(self) -> None:
        self.threads: list[int] = []

    def rows(self, fetched: Iterable[Sequence[Any]], names: Sequence[str]) -> list[tuple[Any, ...]]:
        self.threads.append(threading.get_ident())
        return [tuple(row) for row in fetched]

    @property
    def is_here(self) -> bool:
        """Whether the last rows were read in this thread."""
        return self.threads[-1] == threading.get_ident()


@pytest.fixture
async def executor(anyio_backend: str, tmp_path: Path) -> AsyncIterator[SqliteExecutor]:
    """A file with 3,000 notes."""
    async with aclosing(await SqliteExecutor.open(str(tmp_path / "a.db"), SqliteOptions())) as executor:
        await executor.change("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)", ())
        insertion = Insertion("INSERT INTO notes VALUES (?, ?)", "notes", ("id", "text"), None)
        await executor.insert(insertion, [(number, f"text {number}") for number in range(3000)])
        yield executor


async def test_a_row_by_its_key(executor: SqliteExecutor) -> None:
    """It is read in the event loop's thread, however often, and so is that there is none."""
    seen = Seen()
    for number in range(500):
        assert await executor.fetch_by_key(BY_KEY, (number,), seen) == [(number, f"text {number}")]
        assert seen.is_here
    assert await executor.fetch_by_key(BY_KEY, (-1,), seen) == []
    assert seen.is_here


async def test_what_was_written_is_read(executor: SqliteExecutor) -> None:
    """A write that was answered is there for the next read, and a table that was changed is read as it is now."""
    for number in range(50):
        await executor.change("UPDATE notes SET text = ? WHERE id = 7", (str(number),))
        assert await executor.fetch_by_key(BY_KEY, (7,), Seen()) == [(7, str(number))]
    await executor.change("ALTER TABLE notes ADD COLUMN more TEXT DEFAULT 'x'", ())
    assert await executor.fetch_by_key("SELECT more FROM notes WHERE id = ?", (7,), Seen()) == [("x",)]


async def test_a_long_statement(executor: SqliteExecutor) -> None:
    """One that goes through a table is given up, and from then on left to the threads at once."""
    seen = Seen()
    for number in (2999, 1, 2):
        assert await executor.fetch_by_key(UNINDEXED, (f"text {number}",), seen) == [(number, f"text {number}")]
        assert not seen.is_here
    await executor.fetch_by_key(BY_KEY, (1,), seen)
    assert seen.is_here


LONG_IN_ONE_STEP = {
    "count": "SELECT count(*) FROM notes WHERE ? = 1",
    "like": "SELECT id FROM notes WHERE id = ? AND text LIKE '%a%b%c%'",
    "glob": "SELECT id FROM notes WHERE id = ? AND text GLOB '*a*b*c*'",
    "json": "SELECT json_extract('{}', '$.a') FROM notes WHERE id = ?",
    "json rows": "SELECT each.value FROM notes, json_each('[1]') AS each WHERE notes.id = ?",
    "fold": "SELECT fold(text) FROM notes WHERE id = ?",
}


@pytest.mark.parametrize("sql", LONG_IN_ONE_STEP.values(), ids=LONG_IN_ONE_STEP)
async def test_what_may_be_long_within_one_step(executor: SqliteExecutor, sql: str) -> None:
    """No bound on steps ends a function: a statement with one is left to the threads at once, and `max` is none."""
    seen = Seen()
    for _ in range(2):
        await executor.fetch_by_key(sql, (1,), seen)
        assert not seen.is_here
    assert await executor.fetch_by_key("SELECT max(id) FROM notes WHERE id < ?", (3,), seen) == [(2,)]
    assert seen.is_here


async def test_a_large_row(executor: SqliteExecutor) -> None:
    """It is read in a thread, and the next small one here again."""
    seen = Seen()
    large = "x" * (sqlite_immediate.LENGTH + 1)
    await executor.change("UPDATE notes SET text = ? WHERE id = 7", (large,))
    assert await executor.fetch_by_key(BY_KEY, (7,), seen) == [(7, large)]
    assert not seen.is_here
    assert await executor.fetch_by_key(UNINDEXED, (large,), seen) == [(7, large)]
    await executor.fetch_by_key(BY_KEY, (8,), seen)
    assert seen.is_here


async def test_a_lock_is_not_waited_for(tmp_path: Path) -> None:
    """Where somebody holds the file, there is no answer here."""
    path = tmp_path / "held.db"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as holder,
        closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other,
    ):
        holder.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        reader = ImmediateReader(other)
        assert reader.fetch(BY_KEY, (1,), Seen()) == []
        holder.execute("BEGIN EXCLUSIVE")
        assert reader.fetch(BY_KEY, (1,), Seen()) is None
        holder.execute("COMMIT")
        assert reader.fetch(BY_KEY, (1,), Seen()) == []


@pytest.mark.parametrize("value", [2**70, "\ud800", object()], ids=["huge", "surrogate", "no value"])
async def test_errors_are_the_threads_own(executor: SqliteExecutor, value: Any) -> None:
    """What cannot be run fails as it does there."""
    with pytest.raises((sqlite3.Error, OverflowError, UnicodeEncodeError)) as here:
        await executor.fetch_by_key(BY_KEY, (value,), Seen())
    with pytest.raises(type(here.value)):
        await executor.fetch(BY_KEY, (value,), Seen())


async def test_text_that_is_none(executor: SqliteExecutor) -> None:
    """A damaged text reaches the reader as bytes, as from the threads."""
    await executor.change("UPDATE notes SET text = CAST(x'ff' AS TEXT) WHERE id = 7", ())
    assert await executor.fetch_by_key(BY_KEY, (7,), Seen()) == [(7, b"\xff")]


async def test_it_cannot_write(executor: SqliteExecutor) -> None:
    """A statement that writes is refused wherever it comes."""
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await executor.fetch_by_key("DELETE FROM notes WHERE id = ? RETURNING id", (7,), Seen())
    assert await executor.fetch_by_key(BY_KEY, (7,), Seen()) == [(7, "text 7")]


async def test_other_tasks_have_their_turn(executor: SqliteExecutor) -> None:
    """One that reads without end keeps no other from running, and a cancellation ends it."""
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(take_turns)
        await anyio.lowlevel.checkpoint()
        for number in range(sqlite_immediate.TURN * 20):
            await executor.fetch_by_key(BY_KEY, (number,), Seen())
        assert turns >= 20
        group.cancel_scope.cancel()
    reads = 0
    with anyio.CancelScope() as scope:
        scope.cancel()
        for number in range(3000):
            await executor.fetch_by_key(BY_KEY, (number,), Seen())
            reads += 1
    assert reads <= sqlite_immediate.TURN


async def test_behind_the_end_and_elsewhere(tmp_path: Path) -> None:
    """A closed file and another event loop's are refused as by the other reads."""
    async with aclosing(await SqliteExecutor.open(str(tmp_path / "a.db"), SqliteOptions())) as executor:

        def elsewhere() -> None:
            async def read() -> None:
                await executor.fetch_by_key("SELECT 1", (), Seen())

            with pytest.raises(DialectClosed, match="another event loop"):
                anyio.run(read)

        await anyio.to_thread.run_sync(elsewhere)
    with pytest.raises(DialectClosed, match="closed"):
        await executor.fetch_by_key("SELECT 1", (), Seen())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.db"]


@pytest.mark.parametrize(("name", "wanted"), [("a.db", False), (":memory:", True)], ids=["not wanted", "memory"])
async def test_where_there_is_none(tmp_path: Path, name: str, wanted: bool) -> None:
    """Without the setting, and for a database in memory, which has one connection, the threads read."""
    path = name if name == ":memory:" else str(tmp_path / name)
    async with aclosing(await SqliteExecutor.open(path, SqliteOptions(immediate_reads=wanted))) as executor:
        seen = Seen()
        assert await executor.fetch_by_key("SELECT 1", (), seen) == [(1,)]
        assert not seen.is_here


async def test_find_by_id_within_a_transaction(tmp_path: Path) -> None:
    """A transaction sees its own writes by key, and others do not before its end."""
    async with aclosing(await open_sqlite(str(tmp_path / "a.db"))) as dialect:
        await dialect.register(NOTE)
        outside = anyio.Event()
        seen: list[Any] = []

        async def look() -> None:
            await outside.wait()
            seen.append(await dialect.find_by_id(NOTE, "n"))
            outside_done.set()

        outside_done = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(look)
            async with dialect.transaction():
                await dialect.create(NOTE, {"id": "n", "text": "within"})
                found = await dialect.find_by_id(NOTE, "n")
                assert found is not None
                assert found["text"] == "within"
                outside.set()
                await outside_done.wait()
        assert seen == [None]
        assert await dialect.find_by_id(NOTE, "n") == found


async def test_short_statements_of_a_callers_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`execute` reads what an index leads to in the event loop's thread; what takes longer, and lists, it does not."""
    async with aclosing(await open_sqlite(str(tmp_path / "b.db"))) as dialect:
        await dialect.register(NOTE)
        await dialect.create_many(NOTE, [{"id": f"n{number:04}", "text": str(number)} for number in range(3000)])
        here: list[bool] = []
        fetch = ImmediateReader.fetch

        def noted(*args: Any) -> Any:
            rows = fetch(*args)
            here.append(rows is not None)
            return rows

        monkeypatch.setattr(ImmediateReader, "fetch", noted)
        notes = dialect.table(NOTE)
        newest = select(notes.c.text).where(notes.c.id < bindparam("before")).order_by(notes.c.id.desc()).limit(1)
        assert await dialect.execute(newest, {"before": "n0100"}) == [{"text": "99"}]
        by_text = select(notes.c.id).where(notes.c.text == bindparam("wanted"))
        assert await dialect.execute(by_text, {"wanted": "2999"}) == [{"id": "n2999"}]
        assert here == [True, False]
        listed = select(notes.c.text).where(notes.c.id.in_(bindparam("ids", expanding=True)))
        assert await dialect.execute(listed, {"ids": ["n0007"]}) == [{"text": "7"}]
        async with dialect.transaction():
            await dialect.update(NOTE, "n0099", {"text": "new"})
            assert await dialect.execute(newest, {"before": "n0100"}) == [{"text": "new"}]
        assert here == [True, False]
