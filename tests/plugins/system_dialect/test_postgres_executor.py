"""The pool of PostgreSQL: statements that commit themselves, cancellation, lost connections, the schema lock."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import anyio
import asyncpg
import pytest
import sqlalchemy
from objectkernel_system_dialect.errors import DatabaseBusy, DialectClosed, DialectUnsupported
from objectkernel_system_dialect.executor import Insertion
from objectkernel_system_dialect.postgres_errors import DRIVER_ERRORS
from objectkernel_system_dialect.postgres_executor import PostgresExecutor, PostgresOptions
from objectkernel_system_dialect.rows import PLAIN, Plain

from tests.plugins.system_dialect.databases import Cuttable, run_on_postgres

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

NOTE = Insertion("INSERT INTO notes (text) VALUES ($1)", "notes", ("text",), None)
NUMBERED = Insertion("INSERT INTO notes (text) VALUES ($1)", "notes", ("text",), "number")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only event loop that the driver knows."""
    return "asyncio"


@pytest.fixture
def postgres_url(postgres_url: str) -> str:
    """A database with the table."""
    run_on_postgres(postgres_url, "CREATE TABLE notes (number BIGSERIAL PRIMARY KEY, text TEXT UNIQUE)")
    return postgres_url


async def opened(url: str, **options: Any) -> PostgresExecutor:
    """An executor on a database."""
    return await PostgresExecutor.open(url, "the database", PostgresOptions(**options))


@pytest.fixture
async def executor(anyio_backend: str, postgres_url: str) -> AsyncIterator[PostgresExecutor]:
    """An executor with two connections at most."""
    async with aclosing(await opened(postgres_url, pool_size=2)) as executor:
        yield executor


async def texts(executor: PostgresExecutor) -> list[str]:
    """What is in the table."""
    return [text for (text,) in await executor.fetch("SELECT text FROM notes ORDER BY number", (), PLAIN)]


KILL_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class Doubting(Plain):
    """A reader that might refuse a row."""

    trusting = False


class Refusing:
    """A reader that takes no row."""

    trusting = False

    def rows(self, fetched: Any, names: Sequence[str]) -> list[Any]:
        raise ValueError("refused")


async def test_change_counts_what_it_found(executor: PostgresExecutor) -> None:
    """`change` answers with the number of rows that it found, whether or not they became others."""
    await executor.insert(NOTE, [("a",), ("b",), ("c",)])
    assert await executor.change("UPDATE notes SET text = text WHERE text < $1", ("c",)) == 2
    assert await executor.change("DELETE FROM notes WHERE text = $1", ("no such",)) == 0


async def test_fetch_gives_names_and_rows(executor: PostgresExecutor) -> None:
    """A reader gets the rows as the driver gives them, and the names of the columns."""
    seen: list[Sequence[str]] = []

    class Reader:
        trusting = False

        def rows(self, fetched: Any, names: Sequence[str]) -> list[tuple[Any, ...]]:
            seen.append(names)
            return [tuple(row) for row in fetched]

    assert await executor.fetch("SELECT $1::text AS a, 2 AS b", ("x",), Reader()) == [("x", 2)]
    assert seen == [("a", "b")]


async def test_a_write_that_no_reader_can_refuse_commits_itself(executor: PostgresExecutor) -> None:
    """A transaction around a write that returns rows is begun only for a reader that could have it undone."""
    with pytest.raises(asyncpg.NoActiveSQLTransactionError):
        await executor.fetch("SAVEPOINT within", (), PLAIN, writes=True)
    assert await executor.fetch("SAVEPOINT within", (), Doubting(), writes=True) == []


@pytest.mark.parametrize("count", [1, 5, 500])
async def test_insert_is_all_or_none(executor: PostgresExecutor, count: int) -> None:
    """However many rows are inserted, and whichever way the driver has for that, a bad one leaves none behind."""
    rows = [(f"{number:03}",) for number in range(count)]
    await executor.insert(NOTE, rows)
    assert await texts(executor) == [text for (text,) in rows]
    await executor.change("DELETE FROM notes WHERE text <> $1", rows[-1])
    with pytest.raises(asyncpg.UniqueViolationError):
        await executor.insert(NOTE, rows)
    assert await texts(executor) == [rows[-1][0]]


@pytest.mark.parametrize("count", [1, 5, 500])
async def test_insert_gives_numbers_in_order(executor: PostgresExecutor, count: int) -> None:
    """With a sequence every row's number is returned, in the order of the rows."""
    numbers = await executor.insert(NUMBERED, [(f"{number:03}",) for number in range(count)])
    found = await executor.fetch("SELECT number FROM notes ORDER BY text", (), PLAIN)
    assert numbers == [number for (number,) in found]


async def test_no_rows_are_no_statement(executor: PostgresExecutor) -> None:
    """An insert of nothing asks the server nothing."""
    assert await executor.insert(Insertion("no SQL", "no table", (), None), []) == []


async def test_refused_write_is_undone(executor: PostgresExecutor) -> None:
    """A write whose rows the reader refuses leaves no trace."""
    with pytest.raises(ValueError, match="refused"):
        await executor.fetch("INSERT INTO notes (text) VALUES ('x') RETURNING text", (), Refusing(), writes=True)
    assert await texts(executor) == []


async def test_cancelled_statement_frees_its_connection(postgres_url: str) -> None:
    """A statement whose caller is cancelled ends on the server, and its connection serves the next."""
    async with aclosing(await opened(postgres_url, pool_size=1)) as executor:
        with anyio.move_on_after(0.05):
            await executor.change("SELECT pg_sleep(60)", ())
        assert await texts(executor) == []
        running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE $1 AND state = 'active'"
        assert (await executor.fetch(running, ("SELECT pg_sleep%",), PLAIN))[0][0] == 0


async def test_full_pool_is_busy(postgres_url: str) -> None:
    """Who gets no connection within the pool's timeout is told so; nobody waits without end."""
    async with aclosing(await opened(postgres_url, pool_size=1, pool_timeout=0.05)) as executor:
        async with executor.transaction():
            with pytest.raises(DatabaseBusy) as caught:
                await executor.ping()
        assert caught.value.reason == "pool"
        await executor.ping()


async def test_command_timeout_bounds_a_statement(postgres_url: str) -> None:
    """A statement that takes longer than the command timeout is given up, and its connection is not lost by that."""
    async with aclosing(await opened(postgres_url, pool_size=1, command_timeout=0.1)) as executor:
        with pytest.raises(TimeoutError):
            await executor.change("SELECT pg_sleep(60)", ())
        await executor.ping()


async def test_command_timeout_of_0_is_none(postgres_url: str) -> None:
    """Without a command timeout a statement takes the time that it takes."""
    async with aclosing(await opened(postgres_url, command_timeout=0)) as executor:
        assert await executor.change("SELECT pg_sleep(0.05)", ()) == 1


async def test_close_finishes_what_is_under_way(executor: PostgresExecutor, postgres_url: str) -> None:
    """`aclose` lets statements and transactions end, and refuses what comes later."""
    begun, finish = anyio.Event(), anyio.Event()

    async def transact() -> None:
        async with executor.transaction() as transaction:
            begun.set()
            await finish.wait()
            await transaction.insert(NOTE, [("transaction",)])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(transact)
        tasks.start_soon(executor.change, "INSERT INTO notes (text) SELECT 'slow' FROM pg_sleep(0.1)", ())
        await begun.wait()
        tasks.start_soon(executor.aclose)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(DialectClosed):
            await executor.ping()
        finish.set()
    async with aclosing(await opened(postgres_url)) as again:
        assert sorted(await texts(again)) == ["slow", "transaction"]


async def test_another_event_loop_is_refused(executor: PostgresExecutor) -> None:
    """Connections belong to the event loop that opened them; from another one the answer is clear."""

    def elsewhere() -> None:
        with pytest.raises(DialectClosed, match="another event loop"):
            asyncio.run(executor.ping())

    await anyio.to_thread.run_sync(elsewhere)


async def test_lost_connection_is_read_from_again(executor: PostgresExecutor, postgres_url: str) -> None:
    """A read that meets a connection which the server has ended in the meantime is made on another one."""
    await executor.insert(NOTE, [("a",)])
    run_on_postgres(postgres_url, KILL_OTHERS)  # the event loop hears of nothing
    assert await texts(executor) == ["a"]


async def test_lost_connection_is_not_written_to_again(executor: PostgresExecutor, postgres_url: str) -> None:
    """A write that meets a lost connection is not repeated, for nobody knows whether it took place; the next one is."""
    await executor.ping()
    run_on_postgres(postgres_url, KILL_OTHERS)  # the event loop hears of nothing
    with pytest.raises(DRIVER_ERRORS):
        await executor.insert(NOTE, [("once",)])
    await executor.insert(NOTE, [("then",)])
    assert await texts(executor) == ["then"]


async def test_cut_way_is_found_again(cuttable: Cuttable) -> None:
    """While the server cannot be reached operations fail at once; when it can, they work, on no more connections."""
    async with aclosing(await opened(cuttable.url, pool_size=2)) as executor:
        await executor.ping()
        cuttable.cut()
        for _ in range(5):
            with pytest.raises(DRIVER_ERRORS):
                await executor.ping()
        cuttable.mend()
        for number in range(5):
            await executor.insert(NOTE, [(str(number),)])
        assert await texts(executor) == ["0", "1", "2", "3", "4"]
        mine = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        assert (await executor.fetch(mine, (), PLAIN))[0][0] <= 2


async def test_silent_way_is_given_up(cuttable: Cuttable) -> None:
    """Where packets are lost without a word, the command timeout ends the wait, and the next operation reconnects."""
    async with aclosing(await opened(cuttable.url, pool_size=1, command_timeout=0.2, connect_timeout=5)) as executor:
        await executor.ping()
        cuttable.proxy.stall()
        with pytest.raises(DRIVER_ERRORS):
            await executor.change("SELECT 1", ())
        cuttable.proxy.flow()
        await executor.insert(NOTE, [("there",)])
        assert await texts(executor) == ["there"]


async def test_cut_within_a_transaction(cuttable: Cuttable) -> None:
    """A transaction whose way is cut fails, keeps nothing and takes no connection with it."""
    async with aclosing(await opened(cuttable.url, pool_size=1)) as executor:
        with pytest.raises(DRIVER_ERRORS):
            async with executor.transaction() as transaction:
                await transaction.insert(NOTE, [("lost",)])
                cuttable.cut()
                await transaction.insert(NOTE, [("never",)])
        cuttable.mend()
        assert await texts(executor) == []


async def test_schema_work_is_undone_when_it_fails(executor: PostgresExecutor) -> None:
    """Changes of the schema are made together or not at all; what `work` returns is returned."""

    def failing(connection: sqlalchemy.Connection) -> None:
        connection.execute(sqlalchemy.text("CREATE TABLE half (x INT)"))
        raise ValueError("broken off")

    with pytest.raises(ValueError, match="broken off"):
        await executor.schema_work(failing)
    assert await executor.schema_work(lambda connection: sqlalchemy.inspect(connection).get_table_names()) == ["notes"]


async def test_schema_work_comes_one_after_another(postgres_url: str) -> None:
    """Hosts that start together wait for each other: none sees a schema that another is changing."""

    def make(connection: sqlalchemy.Connection) -> bool:
        if "made" in sqlalchemy.inspect(connection).get_table_names():
            return False
        connection.execute(sqlalchemy.text("SELECT pg_sleep(0.05)"))
        connection.execute(sqlalchemy.text("CREATE TABLE made (x INT)"))
        return True

    made: list[bool] = []

    async def host() -> None:
        async with aclosing(await opened(postgres_url)) as executor:
            made.append(await executor.schema_work(make))

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(host)
    assert sorted(made) == [False, False, False, True]


async def test_schema_work_raises_the_drivers_errors(executor: PostgresExecutor) -> None:
    """A failing statement is the driver's error, without SQLAlchemy's, which would tell the values."""

    def work(connection: sqlalchemy.Connection) -> None:
        connection.execute(sqlalchemy.text("SELECT no_such_column, :secret"), {"secret": "hush-hush"})

    with pytest.raises(asyncpg.PostgresError) as caught:
        await executor.schema_work(work)
    assert "hush-hush" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_trio_is_refused(anyio_backend: str) -> None:
    """On trio there is no PostgreSQL, and the error names asyncio."""
    with pytest.raises(DialectUnsupported, match="asyncio"):
        await PostgresExecutor.open("postgresql://nowhere", "the database", PostgresOptions())


@pytest.mark.parametrize("state", ["40P01", "40001"])
async def test_what_others_had_undone_is_tried_again(executor: PostgresExecutor, postgres_url: str, state: str) -> None:
    """A write that the server undoes because of others is made again, a few times; within a transaction it is not."""
    run_on_postgres(
        postgres_url,
        "CREATE SEQUENCE attempts; CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF nextval('attempts') % 3 > 0 THEN RAISE EXCEPTION USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER undoing BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION undo()",
    )
    await executor.insert(NOTE, [("a",)])
    await executor.change("INSERT INTO notes (text) VALUES ($1)", ("b",))
    for reader, text in ((PLAIN, "c"), (Doubting(), "d")):
        await executor.fetch("INSERT INTO notes (text) VALUES ($1) RETURNING text", (text,), reader, writes=True)
    with pytest.raises(DRIVER_ERRORS):
        async with executor.transaction() as transaction:
            await transaction.insert(NOTE, [("e",)])
    assert await texts(executor) == ["a", "b", "c", "d"]


async def test_many_tasks_share_few_connections(executor: PostgresExecutor) -> None:
    """Any number of tasks is served by the connections there are."""
    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(partial(executor.insert, NOTE, [(f"{number:02}",)]))
    assert sorted(await texts(executor)) == [f"{number:02}" for number in range(50)]
