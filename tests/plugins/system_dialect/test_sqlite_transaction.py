"""A transaction on SQLite has the writer to itself, and gives it back however it ends."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
import sqlalchemy
from objectkernel_system_dialect.contracts import (
    ConstraintViolated,
    DatabaseBusy,
    DatabaseFull,
    DialectClosed,
    EntitySchema,
    Field,
    Repository,
    TransactionFailed,
)
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from objectkernel_system_dialect.sqlite_executor import SqliteOptions

NOTE = EntitySchema(
    name="Note",
    collection="notes",
    fields={"id": Field("integer"), "text": Field("text")},
)
INSERT = "INSERT INTO notes (id) VALUES (?)"


@pytest.fixture
async def notes(dialect: SqlDialect) -> Repository:
    """Notes under a number."""
    await dialect.register(NOTE)
    return Repository(dialect, NOTE)


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to the same file that is not the dialect's."""
    with closing(sqlite3.connect(tmp_path / "test.db", isolation_level=None)) as connection:
        yield connection


async def ids(notes: Repository) -> list[int]:
    """The notes that there are."""
    return [row["id"] for row in await notes.find_all(sort={"id": 1})]


class Blocked:
    """A job that lasts until it is told to end."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.free = threading.Event()

    def __call__(self, _: Any) -> None:
        self.begun.set()
        assert self.free.wait(60)


@pytest.mark.anyio
async def test_others_write_behind_a_transaction(dialect: SqlDialect, notes: Repository) -> None:
    """A write from outside waits for the end of the block; it is neither lost nor part of it."""
    executor = dialect.engine.executor
    order: list[str] = []

    async def write() -> None:
        await executor.change(INSERT, (2,))
        order.append("write")

    async with anyio.create_task_group() as group:
        with pytest.raises(KeyError):
            async with executor.transaction() as transaction:
                await transaction.change(INSERT, (1,))
                group.start_soon(write)
                await anyio.wait_all_tasks_blocked()
                order.append("end of the block")
                raise KeyError
    assert order == ["end of the block", "write"]
    assert await ids(notes) == [2]


@pytest.mark.anyio
async def test_who_waits_to_begin_can_be_cancelled(dialect: SqlDialect, notes: Repository) -> None:
    """A transaction whose turn has not come ends at once with its caller, although another holds the writer."""
    executor = dialect.engine.executor
    with anyio.fail_after(30):
        async with executor.transaction() as transaction:
            with anyio.move_on_after(0.02) as scope:
                async with executor.transaction():
                    pytest.fail("two transactions at once")
            assert scope.cancelled_caught
            await transaction.change(INSERT, (1,))
        await executor.change(INSERT, (2,))
    assert await ids(notes) == [1, 2]


@pytest.mark.anyio
async def test_a_cancelled_block_is_undone(dialect: SqlDialect, notes: Repository) -> None:
    """Cancelled while a statement runs, the block ends without waiting for it, and nothing of it stays."""
    executor = dialect.engine.executor
    blocked = Blocked()

    async def block() -> None:
        async with executor.transaction() as transaction:
            await transaction.change(INSERT, (1,))
            await transaction._run(blocked, writes=False)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(block)
            await anyio.to_thread.run_sync(blocked.begun.wait, 60)
            group.cancel_scope.cancel()
        blocked.free.set()
        await executor.change(INSERT, (2,))
    assert await ids(notes) == [2]


@pytest.mark.anyio
async def test_a_cancellation_at_the_end_leaves_all_or_nothing(dialect: SqlDialect, notes: Repository) -> None:
    """A block that is cancelled when it is through is committed: its end is not interrupted."""
    with anyio.CancelScope() as scope:
        async with dialect.transaction():
            await notes.create({"id": 1})
            await notes.create({"id": 2})
            scope.cancel()
    assert await ids(notes) == [1, 2]


@pytest.mark.parametrize("database", ["file"], indirect=True)
@pytest.mark.anyio
async def test_a_file_that_another_holds_is_busy(
    dialect: SqlDialect, notes: Repository, foreign: sqlite3.Connection
) -> None:
    """A transaction that cannot begin says so; the next one begins."""
    await dialect.engine.executor.write(lambda connection: connection.execute("PRAGMA busy_timeout = 10"))
    foreign.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        with pytest.raises(DatabaseBusy):
            async with dialect.transaction():
                pytest.fail("it has not begun")
    foreign.execute("COMMIT")
    async with dialect.transaction():
        await notes.create({"id": 1})
    assert await ids(notes) == [1]


@pytest.mark.anyio
async def test_a_transaction_that_is_lost_takes_no_more(dialect: SqlDialect, notes: Repository) -> None:
    """Where a full disk has undone all of it, what follows is refused, and not committed by itself."""

    def limit(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 20}")

    executor = dialect.engine.executor
    told: list[str] = []
    await executor.write(limit)
    with pytest.raises(TransactionFailed):
        async with executor.transaction() as transaction:
            await transaction.change(INSERT, (1,))
            with pytest.raises(sqlite3.OperationalError, match="full"):
                async with transaction.savepoint():
                    await transaction.change("INSERT INTO notes VALUES (2, ?)", ("x" * 10**7,))
            with pytest.raises(TransactionFailed):
                await transaction.change(INSERT, (3,))
            told.append("refused")
    assert told == ["refused"]
    assert await ids(notes) == []
    with pytest.raises(DatabaseFull):
        async with dialect.transaction():
            await notes.create({"id": 4, "text": "x" * 10**7})
    await notes.create({"id": 5})
    assert await ids(notes) == [5]


@pytest.mark.anyio
async def test_savepoints_are_undone_alone(dialect: SqlDialect, notes: Repository) -> None:
    """Of nested blocks those that fail leave nothing, the others stay."""
    async with dialect.transaction():
        await notes.create({"id": 1})
        for number in (2, 3, 4):
            try:
                async with dialect.transaction():
                    await notes.create({"id": number})
                    async with dialect.transaction():
                        await notes.create({"id": 10 * number})
                    if number == 3:
                        raise KeyError
            except KeyError:
                pass
    assert await ids(notes) == [1, 2, 4, 20, 40]


@pytest.mark.anyio
async def test_a_task_that_outlives_the_block_is_refused(dialect: SqlDialect, notes: Repository) -> None:
    """What comes behind the end of a transaction is an error, not a write of its own."""
    async with dialect.engine.executor.transaction() as transaction:
        await transaction.change(INSERT, (1,))
    with pytest.raises(DialectClosed, match="the transaction has ended"):
        await transaction.change(INSERT, (2,))
    assert await ids(notes) == [1]


@pytest.mark.anyio
async def test_closing_undoes_what_is_open(tmp_path: Path) -> None:
    """The open transaction is undone, it and those that wait for their turn are told, and no thread stays."""
    path = tmp_path / "a.db"
    dialect = await open_sqlite(str(path))
    await dialect.register(NOTE)
    executor = dialect.engine.executor
    told: list[str] = []

    async def waiting() -> None:
        with pytest.raises(DialectClosed):
            async with executor.transaction():
                pytest.fail("it has not begun")
        told.append("waiting")

    async with anyio.create_task_group() as group:
        with pytest.raises(DialectClosed), anyio.fail_after(30):
            async with executor.transaction() as transaction:
                await transaction.change(INSERT, (1,))
                group.start_soon(waiting)
                await anyio.wait_all_tasks_blocked()
                await dialect.aclose()
                with pytest.raises(DialectClosed):
                    await transaction.change(INSERT, (2,))
                told.append("open")
    assert sorted(told) == ["open", "waiting"]
    assert not [one for one in threading.enumerate() if one.name == "objectkernel-sqlite"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (0,)


def test_a_transaction_of_an_ended_loop_is_undone_by_closing(tmp_path: Path) -> None:
    """Its event loop gone in the midst of it, another can close the dialect; the file is as before."""
    path = tmp_path / "a.db"

    async def begin() -> tuple[SqlDialect, Any]:
        dialect = await open_sqlite(str(path))
        await dialect.register(NOTE)
        transaction = dialect.engine.executor.transaction()
        await (await transaction.__aenter__()).change(INSERT, (1,))
        return dialect, transaction

    loop = asyncio.new_event_loop()
    dialect, transaction = loop.run_until_complete(begin())
    loop.close()

    async def close() -> None:
        with anyio.fail_after(30):
            await dialect.aclose()

    anyio.run(close)
    del transaction
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (0,)
        connection.execute("INSERT INTO notes (id) VALUES (2)")


@pytest.mark.anyio
async def test_schema_work_is_alone(dialect: SqlDialect, notes: Repository) -> None:
    """While the schema is being changed nobody writes; the writes that came meanwhile are made behind it."""
    executor = dialect.engine.executor
    blocked = Blocked()
    order: list[str] = []

    def work(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE more (a)")
        blocked(None)
        order.append("work")

    async def write() -> None:
        await notes.create({"id": 1})
        order.append("write")

    async with anyio.create_task_group() as group:
        group.start_soon(executor.schema_work, work)
        await anyio.to_thread.run_sync(blocked.begun.wait, 60)
        group.start_soon(write)
        await anyio.wait_all_tasks_blocked()
        blocked.free.set()
    assert order == ["work", "write"]


@pytest.mark.anyio
async def test_schema_work_that_fails_is_undone(dialect: SqlDialect, notes: Repository) -> None:
    """Nothing of it stays, DDL included, and foreign keys are heeded again."""

    def work(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE more (a)")
        connection.exec_driver_sql("INSERT INTO notes (id) VALUES (1)")
        raise KeyError

    def look(connection: sqlite3.Connection) -> tuple[int, int]:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'more'").fetchone()
        (keys,) = connection.execute("PRAGMA foreign_keys").fetchone()
        return tables, keys

    executor = dialect.engine.executor
    with pytest.raises(KeyError):
        await executor.schema_work(work)
    assert await executor.write(look) == (0, 1)
    assert await ids(notes) == []


@pytest.mark.anyio
async def test_schema_work_leaves_no_foreign_key_that_leads_nowhere(dialect: SqlDialect) -> None:
    """Foreign keys rest while the schema changes; one that leads nowhere at the end undoes the work."""

    def work(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE more (a REFERENCES users (id))")
        connection.exec_driver_sql("INSERT INTO more VALUES ('nobody')")

    with pytest.raises(ConstraintViolated) as caught:
        await dialect.schema_work(lambda connection, _: work(connection))
    assert caught.value.facts["constraint"] == "foreign key"
    await dialect.schema_work(lambda connection, _: connection.exec_driver_sql("CREATE TABLE more (a)").close())


@pytest.mark.anyio
async def test_schema_work_that_waits_can_be_cancelled(dialect: SqlDialect, notes: Repository) -> None:
    """Cancelled before its turn, it is not run."""
    executor = dialect.engine.executor
    async with executor.transaction():
        with anyio.move_on_after(0.02) as scope:
            await executor.schema_work(lambda _: pytest.fail("it was cancelled"))
    assert scope.cancelled_caught
    await notes.create({"id": 1})


@pytest.mark.anyio
async def test_a_savepoint_cancelled_in_the_midst_is_undone_alone(dialect: SqlDialect, notes: Repository) -> None:
    """A nested block whose statement is cancelled leaves nothing; the outer one goes on and is committed."""
    executor = dialect.engine.executor
    blocked = Blocked()

    async def nested(transaction: Any, scope: anyio.CancelScope) -> None:
        with scope:
            async with transaction.savepoint():
                await transaction.change(INSERT, (2,))
                await transaction._run(blocked, writes=False)

    with anyio.fail_after(30):
        async with executor.transaction() as transaction:
            await transaction.change(INSERT, (1,))
            scope = anyio.CancelScope()
            async with anyio.create_task_group() as group:
                group.start_soon(nested, transaction, scope)
                await anyio.to_thread.run_sync(blocked.begun.wait, 60)
                scope.cancel()
                blocked.free.set()
            await transaction.change(INSERT, (3,))
    assert await ids(notes) == [1, 3]


@pytest.mark.anyio
async def test_options_reach_the_writer(tmp_path: Path) -> None:
    """How long a transaction waits for another process is a setting."""
    dialect = await open_sqlite(str(tmp_path / "a.db"), SqliteOptions(busy_timeout=1.5))
    timeout = await dialect.engine.executor.write(lambda c: c.execute("PRAGMA busy_timeout").fetchone())
    await dialect.aclose()
    assert timeout == (1500,)
