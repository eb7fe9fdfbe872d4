"""Databases that only SQLAlchemy knows, with its own SQLite dialect as their stand-in."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from objectkernel_system_dialect.contracts import (
    ConstraintViolated,
    DatabaseBusy,
    DatabaseUnavailable,
    DialectClosed,
    DialectUnsupported,
    DuplicateKey,
    FilterInvalid,
    OperationUnsupported,
    RowDamaged,
)
from objectkernel_system_dialect.executor import Insertion
from objectkernel_system_dialect.generic_engine import GenericEngine
from objectkernel_system_dialect.generic_errors import DriverError
from objectkernel_system_dialect.generic_executor import GenericExecutor, GenericOptions
from objectkernel_system_dialect.rows import PLAIN
from objectkernel_system_dialect.sql_dialect import SqlDialect
from sqlalchemy import URL, Column, Connection, Engine, String, Text, event, literal, text

from .conftest import POST, USER

pytestmark = pytest.mark.anyio

PLAINLY = Insertion("INSERT INTO items (name) VALUES (?)", "items", ("name",), None)
NUMBERED = Insertion("INSERT INTO items (name) VALUES (?)", "items", ("name",), "number")
NAMES = "SELECT name FROM items ORDER BY number"
SECRET = "tell-nobody"


def behave(engine: Engine) -> None:
    """Make SQLite do what others do by themselves: transactions with savepoints, LIKE by case, foreign keys."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        for pragma in ("case_sensitive_like = ON", "foreign_keys = ON", "journal_mode = WAL"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@pytest.fixture
async def engine(anyio_backend: str, tmp_path: Path) -> AsyncIterator[GenericEngine]:
    options = GenericOptions(pool_size=3, pool_timeout=5)
    engine = await GenericEngine.open(f"sqlite:///{tmp_path / 'test.db'}", options)
    engine.executor.engine.dispose()  # what was opened before it behaved
    behave(engine.executor.engine)
    async with aclosing(engine.executor):
        yield engine


@pytest.fixture
async def executor(engine: GenericEngine) -> GenericExecutor:
    sql = "CREATE TABLE items (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)"
    await engine.executor.schema_work(lambda connection: connection.execute(text(sql)))
    return engine.executor


@pytest.fixture
async def dialect(engine: GenericEngine) -> SqlDialect:
    dialect = SqlDialect(engine, strategy="create")
    await dialect.register(USER, POST)
    return dialect


async def names(session: Any) -> list[str]:
    return [name for (name,) in await session.fetch(NAMES, (), PLAIN)]


async def add(session: Any, *wanted: str) -> None:
    await session.insert(PLAINLY, [(name,) for name in wanted])


class Refusing:
    """A reader to which no row is good enough."""

    trusting = False

    def rows(self, fetched: Any, names: Any) -> list[Any]:
        raise RowDamaged("a row")


# --- the executor -------------------------------------------------------------------------------------------------


async def test_statements(executor: GenericExecutor) -> None:
    """Rows are inserted, counted when changed, and come with the names of their columns."""
    assert await executor.insert(NUMBERED, [("b",), ("a",)]) == [1, 2]
    assert await executor.insert(PLAINLY, [("c",)]) == []
    assert await executor.insert(PLAINLY, []) == []
    assert await executor.change("UPDATE items SET name = name WHERE number < ?", (3,)) == 2
    assert await names(executor) == ["b", "a", "c"]
    await executor.ping()


async def test_an_insert_is_whole(executor: GenericExecutor) -> None:
    """Rows are inserted all or none, with numbers and without."""
    await add(executor, "a")
    for insertion in (PLAINLY, NUMBERED):
        with pytest.raises(DriverError) as caught:
            await executor.insert(insertion, [("b",), ("a",)])
        assert caught.value.sign == "duplicate"
    assert await names(executor) == ["a"]


async def test_a_write_whose_rows_are_refused_is_undone(executor: GenericExecutor) -> None:
    """What a write returned and the reader refused was not written."""
    with pytest.raises(RowDamaged):
        await executor.fetch("INSERT INTO items (name) VALUES ('a') RETURNING name", (), Refusing(), writes=True)
    assert await names(executor) == []


async def test_transactions(executor: GenericExecutor) -> None:
    """What a block did is there after it, and nothing of it when it ended with an exception."""
    async with executor.transaction() as transaction:
        await add(transaction, "a")
        with suppress(KeyError):
            async with transaction.savepoint():
                await add(transaction, "b")
                raise KeyError
        async with transaction.savepoint():
            await add(transaction, "c")
    with pytest.raises(KeyError):
        async with executor.transaction() as transaction:
            await add(transaction, "d")
            raise KeyError
    assert await names(executor) == ["a", "c"]


async def test_tasks_share_a_transaction(executor: GenericExecutor) -> None:
    """Calls of several tasks come one after another; one after the end is refused."""
    async with executor.transaction() as transaction, anyio.create_task_group() as tasks:
        for number in range(9):
            tasks.start_soon(add, transaction, str(number))
    assert len(await names(executor)) == 9
    with pytest.raises(DialectClosed):
        await add(transaction, "late")


async def test_a_cancelled_transaction_is_undone(executor: GenericExecutor) -> None:
    """A block that is cancelled leaves nothing, and gives its connection back."""
    for _ in range(5):
        with anyio.move_on_after(0.05):
            async with executor.transaction() as transaction:
                await add(transaction, "a")
                await anyio.sleep_forever()
    assert await names(executor) == []


async def test_the_pool_has_an_end(executor: GenericExecutor) -> None:
    """More calls than connections wait for each other; who waits too long is told so."""
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(executor.ping)
    few = await GenericExecutor.open(executor.engine.url, "here", GenericOptions(pool_size=1, pool_timeout=0.1))
    async with aclosing(few), few.transaction():
        with pytest.raises(DatabaseBusy, match="connection"):
            await few.ping()


async def test_the_end_waits_for_what_is_under_way(executor: GenericExecutor) -> None:
    """Closing waits for the transaction that is open; afterwards nothing works."""
    async with anyio.create_task_group() as tasks, executor.transaction() as transaction:
        tasks.start_soon(executor.aclose)
        await anyio.wait_all_tasks_blocked()
        await add(transaction, "a")
    with pytest.raises(DialectClosed):
        await executor.ping()


async def test_another_event_loop(executor: GenericExecutor) -> None:
    """An operation in another loop than that of the opening is refused."""
    with pytest.raises(DialectClosed, match="another event loop"):
        await anyio.to_thread.run_sync(asyncio.run, executor.ping())


async def test_schema_work_is_done_by_one(executor: GenericExecutor) -> None:
    """Tasks that change the schema do so one after another; what is refused is told without statement and values."""
    log: list[str] = []

    def work(connection: Connection) -> None:
        log.append("begin")
        connection.execute(text("SELECT 1"))
        log.append("end")

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(executor.schema_work, work)
    assert log == ["begin", "end"] * 4
    with pytest.raises(DriverError) as caught:
        await executor.schema_work(lambda connection: connection.execute(text("SELECT :a FROM x"), {"a": SECRET}))
    assert SECRET not in "".join(traceback.format_exception(caught.value))


# --- the dialect --------------------------------------------------------------------------------------------------


async def test_a_dialect_over_it(dialect: SqlDialect) -> None:
    """Rows are created, found, counted up and deleted, with relations, sequences and pages."""
    ada = await dialect.create(USER, {"name": "Ada", "email": "ada@x", "age": 36, "tags": ["a"]})
    assert await dialect.find_by_id(USER, ada["id"]) == ada
    assert ((await dialect.update(USER, ada["id"], {"age": 37})) or {})["age"] == 37
    assert ((await dialect.increment(USER, ada["id"], "age", 3)) or {})["age"] == 40
    posts = await dialect.create_many(POST, [{"title": f"{n}", "author": ada["id"]} for n in range(3)])
    assert [post["number"] for post in posts] == [1, 2, 3]
    page = await dialect.find_page(POST, {"author.name": "Ada"}, sort={"title": -1}, limit=2)
    rest = await dialect.find_page(POST, {"author.name": "Ada"}, sort={"title": -1}, limit=2, after=page.next)
    assert [post["title"] for post in (*page.rows, *rest.rows)] == ["2", "1", "0"]
    assert await dialect.delete_many(POST, {"title": {"$in": ["0", "1"]}}) == 2
    with pytest.raises(ConstraintViolated) as caught:
        await dialect.create(POST, {"author": "nobody"})
    assert caught.value.constraint == "foreign key"


@pytest.mark.parametrize(
    ("filter", "count"),
    [
        ({"$like": "A%"}, 1),
        ({"$like": "a\\%"}, 1),
        ({"$ilike": "A%"}, 2),
        ({"$contains": "d"}, 1),
        ({"$contains": ""}, 2),
        ({"$not": {"$eq": "Ada"}}, 1),
        ({"$ne": "Ada"}, 1),
    ],
)
async def test_filters_on_text(dialect: SqlDialect, filter: dict[str, Any], count: int) -> None:
    """Patterns escape by a backslash and heed case."""
    await dialect.create_many(USER, [{"name": "Ada"}, {"name": "a%"}])
    assert await dialect.count(USER, {"name": filter}) == count


async def test_filters_that_are_refused(dialect: SqlDialect) -> None:
    """Regular expressions and filters that look into arrays are refused in words, on this kind of database."""
    with pytest.raises(OperationUnsupported, match="array"):
        await dialect.count(USER, {"tags": {"$contains": "a"}})
    with pytest.raises((FilterInvalid, OperationUnsupported), match="regex"):
        await dialect.count(USER, {"name": {"$regex": "a"}})
    await dialect.create(USER, {"name": "a", "tags": ["x"]})
    assert await dialect.count(USER, {"tags": ["x"]}) == 1


async def test_upsert(dialect: SqlDialect) -> None:
    """A row is inserted, or changed by its key alone; another unique value that is taken is an error."""
    made = await dialect.upsert(USER, {"id": "1", "name": "a", "email": "a@x"})
    await dialect.create(USER, {"name": "b", "email": "b@x"})
    changed = await dialect.upsert(USER, {"id": "1", "name": "c"})
    assert changed == {**made, "name": "c", "updated_at": changed["updated_at"]}
    for id in ("1", "2"):
        with pytest.raises(DuplicateKey):
            await dialect.upsert(USER, {"id": id, "name": "d", "email": "b@x"})
    assert await dialect.find_by_id(USER, "1") == changed
    assert await dialect.count(USER) == 2


async def test_upserts_at_the_same_time(dialect: SqlDialect) -> None:
    """Tasks that upsert one new row all succeed; there is one row."""
    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(dialect.upsert, USER, {"id": "1", "name": str(number)})
    assert await dialect.count(USER) == 1


async def test_a_transaction_of_the_dialect(dialect: SqlDialect) -> None:
    """What a block did is undone with it, nested blocks alone."""
    with suppress(KeyError):
        async with dialect.transaction():
            await dialect.create(USER, {"name": "a"})
            raise KeyError
    async with dialect.transaction():
        await dialect.create(USER, {"name": "b"})
        with suppress(KeyError):
            async with dialect.transaction():
                await dialect.create(USER, {"name": "c"})
                raise KeyError
    assert [row["name"] for row in await dialect.find(USER)] == ["b"]


# --- opening ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "package"),
    [
        (f"oracle+oracledb://{SECRET}@db/x", "oracledb"),
        (f"mssql+pyodbc://{SECRET}@db/x", "pyodbc"),
        (f"duckdb:///{SECRET}", "duckdb-engine"),
    ],
)
async def test_a_driver_that_is_not_installed(uri: str, package: str) -> None:
    """The error names the package to install, and does not show the URI."""
    with pytest.raises(DialectUnsupported, match=f"pip install {package}") as caught:
        await GenericEngine.open(uri)
    assert caught.value.package == package
    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_what_cannot_be_opened(tmp_path: Path) -> None:
    """A URL that is none, and a database that is not there, are errors that do not show the URI."""
    with pytest.raises(DialectUnsupported, match="no URL") as unsupported:
        await GenericEngine.open(f"::{SECRET}::")
    with pytest.raises(DatabaseUnavailable) as unavailable:
        await GenericEngine.open(f"sqlite:///{tmp_path}/{SECRET}/x.db")
    for caught in (unsupported, unavailable):
        assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("oracle", ["instr(x, 'p') > 0", "dbms_lob.compare(y, 'p') = 0", "a[b"]),
        ("mssql", ["charindex('p', x) > 0 OR '' = 'p'", "y = 'p'", "a\\[b"]),
    ],
)
def test_words_of_other_databases(name: str, words: list[str]) -> None:
    """What differs between databases is written in the words of each."""
    core = URL.create(name).get_dialect()()
    executor: Any = type("Unconnected", (), {"engine": type("Unconnected", (), {"dialect": core})})
    engine, part = GenericEngine(executor, "nowhere"), literal("p")
    written = [engine.text_contains(Column("x", String()), part), engine.array_equals(Column("y", Text()), part)]
    arguments = {"dialect": core, "compile_kwargs": {"literal_binds": True}}
    compiled = [str(one.compile(**arguments)).replace("N'", "'") for one in written]
    assert [*compiled, engine.like_pattern("a[b")] == words
