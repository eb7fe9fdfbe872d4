"""The writer thread: many writes share a commit, and none suffers from its neighbours."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from objectkernel_system_dialect.contracts import (
    DatabaseFull,
    DialectClosed,
    DuplicateKey,
    EntitySchema,
    Field,
    Repository,
)
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from objectkernel_system_dialect.sqlite_executor import SqliteExecutor, SqliteOptions
from objectkernel_system_dialect.sqlite_writer import GROUP_LIMIT

NOTE = EntitySchema(
    name="Note",
    collection="notes",
    fields={"id": Field("integer"), "text": Field("text")},
)


@pytest.fixture
async def notes(dialect: SqlDialect) -> Repository:
    """Notes under a number."""
    await dialect.register(NOTE)
    return Repository(dialect, NOTE)


def sqlite_threads() -> list[threading.Thread]:
    """The threads of open databases."""
    return [thread for thread in threading.enumerate() if thread.name == "objectkernel-sqlite"]


class Held:
    """Keeps the writer busy from inside a job, so that what is written meanwhile waits in one queue."""

    def __init__(self, dialect: SqlDialect) -> None:
        self._write = dialect.engine.executor.write
        self._free = threading.Event()
        self._busy = threading.Event()

    async def hold(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        def job(_connection: sqlite3.Connection) -> None:
            self._busy.set()
            assert self._free.wait(60)

        async with anyio.create_task_group() as group:
            group.start_soon(self._write, job)
            await anyio.to_thread.run_sync(self._busy.wait)
            task_status.started()

    def free(self) -> None:
        self._free.set()


async def count_commits(dialect: SqlDialect, counted: list[str]) -> None:
    """Collect the COMMITs of the writer from now on."""

    def trace(sql: str) -> None:
        if sql == "COMMIT":
            counted.append(sql)

    await dialect.engine.executor.write(lambda connection: connection.set_trace_callback(trace))
    counted.clear()


@pytest.mark.anyio
async def test_waiting_writes_share_a_commit(dialect: SqlDialect, notes: Repository) -> None:
    """64 writes that wait at once are all made, with far fewer commits."""
    commits: list[str] = []
    await count_commits(dialect, commits)
    held = Held(dialect)
    async with anyio.create_task_group() as group:
        await group.start(held.hold)
        for number in range(64):
            group.start_soon(notes.create, {"id": number})
        await anyio.wait_all_tasks_blocked()
        held.free()
    assert len(commits) == 2
    assert await notes.count() == 64


@pytest.mark.anyio
async def test_a_commit_holds_a_limited_number_of_writes(dialect: SqlDialect, notes: Repository) -> None:
    """However many wait, the first of them is not kept waiting for all."""
    commits: list[str] = []
    await count_commits(dialect, commits)
    held = Held(dialect)
    async with anyio.create_task_group() as group:
        await group.start(held.hold)
        for number in range(GROUP_LIMIT + 1):
            group.start_soon(notes.create, {"id": number})
        await anyio.wait_all_tasks_blocked()
        held.free()
    assert len(commits) == 3


@pytest.mark.anyio
async def test_a_failing_write_is_undone_alone(dialect: SqlDialect, notes: Repository) -> None:
    """Of the writes in one commit the failing ones get their errors, wholly undone; the others are made."""
    await notes.create({"id": 1000})
    failed: list[int] = []

    async def pair(number: int, other: int) -> None:
        try:
            await notes.create_many([{"id": number}, {"id": other}])
        except DuplicateKey:
            failed.append(number)

    held = Held(dialect)
    async with anyio.create_task_group() as group:
        await group.start(held.hold)
        for number in range(10):
            group.start_soon(pair, number, 1000 if number % 3 == 0 else 100 + number)
        await anyio.wait_all_tasks_blocked()
        held.free()
    assert sorted(failed) == [0, 3, 6, 9]
    made = [row["id"] for row in await notes.find_all(sort={"id": 1})]
    assert made == [1, 2, 4, 5, 7, 8, 101, 102, 104, 105, 107, 108, 1000]


@pytest.mark.anyio
async def test_a_write_that_fails_by_itself_is_wholly_undone(dialect: SqlDialect, notes: Repository) -> None:
    """One that shares its commit with no other leaves nothing of itself, and the next one is made."""
    await notes.create({"id": 1})
    with pytest.raises(DuplicateKey):
        await notes.create_many([{"id": 2}, {"id": 1}])
    await notes.create({"id": 3})
    assert [row["id"] for row in await notes.find_all(sort={"id": 1})] == [1, 3]


@pytest.mark.anyio
async def test_a_full_database_fails_only_what_does_not_fit(dialect: SqlDialect, notes: Repository) -> None:
    """A full disk ends the shared transaction; the writes that fit are made all the same, one by one."""

    def limit(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 20}")

    await dialect.engine.executor.write(limit)
    outcome: dict[int, str] = {}

    async def write(number: int, size: int) -> None:
        try:
            await notes.create({"id": number, "text": "x" * size})
            outcome[number] = "made"
        except DatabaseFull as error:
            outcome[number] = str(error.facts["reason"])

    held = Held(dialect)
    async with anyio.create_task_group() as group:
        await group.start(held.hold)
        for number in range(6):
            group.start_soon(write, number, 10**7 if number == 3 else 10)
        await anyio.wait_all_tasks_blocked()
        held.free()
    assert outcome == {n: "SQLITE_FULL" if n == 3 else "made" for n in range(6)}
    assert await notes.count() == 5


class FullAtCommit:
    """A connection whose first COMMIT finds the disk full."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.commits = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            self.commits += 1
            if self.commits == 1:
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
                raise error
        return self._connection.execute(sql, *values)


@pytest.mark.anyio
async def test_a_commit_that_finds_no_room_is_repeated_one_by_one(dialect: SqlDialect, notes: Repository) -> None:
    """The writes of a group whose commit failed are made one by one; a lone one gets the error."""
    writer = dialect.engine.executor._writer
    sound = writer._connection
    held = Held(dialect)
    async with anyio.create_task_group() as group:
        await group.start(held.hold)
        for number in range(3):
            group.start_soon(notes.create, {"id": number})
        await anyio.wait_all_tasks_blocked()
        first = FullAtCommit(sound)
        writer._connection = first  # type: ignore[assignment]
        held.free()
    assert first.commits == 1 + 3
    assert await notes.count() == 3
    writer._connection = FullAtCommit(sound)  # type: ignore[assignment]
    with pytest.raises(DatabaseFull):
        await notes.create({"id": 9})
    writer._connection = sound
    assert await notes.count() == 3


@pytest.mark.anyio
async def test_a_cancelled_write_that_waits_is_not_made(dialect: SqlDialect, notes: Repository) -> None:
    """A caller that is cancelled while its write waits leaves nothing behind, and delays nobody."""
    held = Held(dialect)
    async with anyio.create_task_group() as group:
        await group.start(held.hold)
        with anyio.move_on_after(0.05) as scope:
            await notes.create({"id": 1})
        assert scope.cancelled_caught
        group.start_soon(notes.create, {"id": 2})
        await anyio.wait_all_tasks_blocked()
        held.free()
    assert [row["id"] for row in await notes.find_all()] == [2]


@pytest.mark.anyio
async def test_cancelled_calls_cost_nothing(tmp_path: Path) -> None:
    """Reads and writes whose callers are gone are not run, and make no empty transaction."""
    ran: list[str] = []
    free = threading.Event()
    executor = await SqliteExecutor.open(str(tmp_path / "a.db"), SqliteOptions(readers=1))
    await executor.write(lambda connection: connection.set_trace_callback(ran.append))
    ran.clear()
    busy = threading.Barrier(3)

    def hold(_connection: sqlite3.Connection) -> None:
        busy.wait(60)
        free.wait(60)

    async with anyio.create_task_group() as group:
        for call in (executor.read, executor.write):
            group.start_soon(call, hold)
        await anyio.to_thread.run_sync(busy.wait, 60)
        async with anyio.create_task_group() as cancelled:
            for call in (executor.read, executor.write):
                cancelled.start_soon(call, lambda _: ran.append("a cancelled job"))
            await anyio.wait_all_tasks_blocked()
            cancelled.cancel_scope.cancel()
        free.set()
    await executor.read(lambda _: None)
    await executor.aclose()
    assert [sql for sql in ran if not sql.startswith("PRAGMA")] == [
        "BEGIN IMMEDIATE",
        "COMMIT",
    ]


@pytest.mark.anyio
async def test_a_cancelled_write_that_runs_is_made_wholly(dialect: SqlDialect, notes: Repository) -> None:
    """A write that has begun is committed although its caller is gone."""
    begun, go_on = threading.Event(), threading.Event()

    def job(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO notes (id) VALUES (1)")
        begun.set()
        assert go_on.wait(60)
        connection.execute("INSERT INTO notes (id) VALUES (2)")

    async with anyio.create_task_group() as group:
        group.start_soon(dialect.engine.executor.write, job)
        await anyio.to_thread.run_sync(begun.wait)
        group.cancel_scope.cancel()
    go_on.set()
    await notes.create({"id": 3})
    assert sorted(row["id"] for row in await notes.find_all()) == [1, 2, 3]


@pytest.mark.anyio
async def test_a_reader_sees_what_was_acknowledged(notes: Repository) -> None:
    """Whoever reads after a write has returned finds it, whichever thread answers."""

    async def write_and_read(number: int) -> None:
        await notes.create({"id": number})
        assert await notes.find_by_id(number) is not None

    async with anyio.create_task_group() as group:
        for number in range(64):
            group.start_soon(write_and_read, number)
    assert await notes.count() == 64


@pytest.mark.anyio
async def test_a_job_that_raises_anything_is_answered(dialect: SqlDialect, notes: Repository) -> None:
    """Whatever a job raises reaches its caller, undoes its writes, and the thread serves on."""

    def job(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO notes (id) VALUES (1)")
        raise KeyboardInterrupt

    for call in (dialect.engine.executor.write, dialect.engine.executor.read):
        with pytest.raises((KeyboardInterrupt, sqlite3.OperationalError)):
            await call(job)
    assert await notes.count() == 0


@pytest.mark.anyio
async def test_readers_cannot_write(tmp_path: Path) -> None:
    """A job that writes on a reading connection is refused by the database."""
    executor = await SqliteExecutor.open(str(tmp_path / "a.db"), SqliteOptions())
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await executor.read(lambda connection: connection.execute("CREATE TABLE a (b)"))
    await executor.aclose()


@pytest.mark.anyio
async def test_closing_finishes_what_is_queued(database: str) -> None:
    """Writes that wait when the dialect is closed are made; afterwards every call says that it is closed."""
    dialect = await open_sqlite(database)
    await dialect.register(NOTE)
    made: list[int] = []

    async def write(number: int) -> None:
        made.append((await dialect.create(NOTE, {"id": number}))["id"])

    held = Held(dialect)
    async with anyio.create_task_group() as group:
        await group.start(held.hold)
        for number in range(10):
            group.start_soon(write, number)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(dialect.aclose)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(DialectClosed):
            await dialect.create(NOTE, {"id": 99})
        held.free()
    assert sorted(made) == list(range(10))
    await dialect.aclose()
    for call in (dialect.ping(), dialect.count(NOTE)):
        with pytest.raises(DialectClosed):
            await call


@pytest.mark.anyio
async def test_closing_leaves_no_thread_and_no_log(tmp_path: Path) -> None:
    """The threads are gone and the log is in the file, also when the closer is being cancelled."""
    path = tmp_path / "a.db"
    dialect = await open_sqlite(str(path))
    await dialect.register(NOTE)
    await dialect.create(NOTE, {"id": 1})
    with anyio.CancelScope() as scope:
        scope.cancel()
        await dialect.aclose()
    assert not sqlite_threads()
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]


@pytest.mark.anyio
async def test_the_writer_has_the_log_of_a_new_file_open(tmp_path: Path) -> None:
    """So whoever closes last can empty it, however the readers' ends fall together, also where nothing was written."""
    executor = await SqliteExecutor.open(str(tmp_path / "a.db"), SqliteOptions(readers=0, immediate_reads=False))
    assert (tmp_path / "a.db-wal").exists()
    await executor.aclose()
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_another_event_loop_is_refused_before_anything_is_written(tmp_path: Path, backend: str) -> None:
    """A dialect whose loop has ended takes no call, and can still be closed; the file has what was acknowledged."""
    path = tmp_path / "a.db"

    async def first() -> SqlDialect:
        dialect = await open_sqlite(str(path))
        await dialect.register(NOTE)
        await dialect.create(NOTE, {"id": 1})
        return dialect

    async def second(dialect: SqlDialect) -> None:
        for call in (dialect.create(NOTE, {"id": 2}), dialect.count(NOTE)):
            with pytest.raises(DialectClosed, match="another event loop"):
                await call
        with anyio.fail_after(30):
            await dialect.aclose()

    dialect = anyio.run(first, backend=backend)
    anyio.run(second, dialect, backend="trio" if backend == "asyncio" else "asyncio")
    assert not sqlite_threads()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT id FROM notes").fetchall() == [(1,)]
    connection.close()


@pytest.mark.anyio
async def test_a_database_without_a_log_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """Where SQLite cannot keep a write-ahead log, as for its temporary files, a warning says what that costs."""
    executor = await SqliteExecutor.open("", SqliteOptions(readers=1))
    await executor.aclose()
    assert "write-ahead log" in caplog.text


@pytest.mark.anyio
async def test_opening_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    """Cancelled while it connects, the executor ends the threads it had started."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        await open_sqlite(str(tmp_path / "a.db"))
    assert scope.cancelled_caught
    assert not sqlite_threads()


@pytest.mark.parametrize(("synchronous", "level"), [("NORMAL", 1), ("FULL", 2)])
@pytest.mark.anyio
async def test_connections_are_set_up(tmp_path: Path, synchronous: Any, level: int) -> None:
    """Write-ahead log, foreign keys and the durability of the settings, on writer and readers."""
    options = SqliteOptions(synchronous=synchronous, readers=1)
    executor = await SqliteExecutor.open(str(tmp_path / "a.db"), options)

    def pragmas(connection: sqlite3.Connection) -> list[Any]:
        names = ("journal_mode", "foreign_keys", "synchronous")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await executor.write(pragmas) == ["wal", 1, level]
    assert await executor.read(pragmas) == ["wal", 1, level]
    await executor.aclose()


KILLED = """
import anyio, sys
from objectkernel_system_dialect.contracts import EntitySchema, Field
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

async def main():
    fields = {"id": Field("integer"), "text": Field("text")}
    schema = EntitySchema(name="Note", collection="notes", fields=fields)
    dialect = await open_sqlite(sys.argv[1])
    await dialect.register(schema)
    async def write(start):
        for number in range(start, 10**9, 16):
            await dialect.create_many(schema, [{"id": 2 * number}, {"id": 2 * number + 1, "text": "x" * 500}])
            print(number, flush=True)
    start = (await dialect.count(schema)) * 1000
    async with anyio.create_task_group() as group:
        for task in range(16):
            group.start_soon(write, start + task)

anyio.run(main)
"""


@pytest.mark.slow
def test_a_killed_process_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """After kill -9 every acknowledged write is there, none is torn, and the file is sound."""
    path = tmp_path / "killed.db"
    acknowledged: set[int] = set()
    for run in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ.copy(),
        )
        assert process.stdout is not None
        for _ in range(50 + 37 * run):
            acknowledged.add(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        acknowledged.update(int(line) for line in process.stdout.read().split("\n")[:-1])
        process.wait()
        process.stdout.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    found = {number for (number,) in connection.execute("SELECT id FROM notes")}
    connection.close()
    assert {2 * n for n in acknowledged} | {2 * n + 1 for n in acknowledged} <= found
    assert all(number ^ 1 in found for number in found)
