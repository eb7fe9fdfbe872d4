"""Statements, transactions and lost connections on MariaDB."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Any

import anyio
import pytest
import trio
from objectkernel_system_dialect.contracts import DatabaseBusy, DialectClosed, DialectUnsupported, RowDamaged
from objectkernel_system_dialect.executor import Insertion
from objectkernel_system_dialect.mariadb_connection import MariadbOptions, Server, server_of
from objectkernel_system_dialect.mariadb_errors import ServerError
from objectkernel_system_dialect.mariadb_executor import MariadbExecutor
from objectkernel_system_dialect.rows import PLAIN
from sqlalchemy import Connection, text

from tests.plugins.system_dialect.databases import (
    MARIADB_URL,
    Cuttable,
    mariadb_cuttable,
    mariadb_database,
    mariadb_url,
    run_on_mariadb,
)

__all__ = ["mariadb_cuttable", "mariadb_database", "mariadb_url"]
pytestmark = [pytest.mark.anyio, pytest.mark.mariadb, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

NUMBERED = Insertion("INSERT INTO items (name, data) VALUES (%s, %s)", "items", ("name", "data"), "number")
PLAINLY = Insertion("INSERT INTO items (name, data) VALUES (%s, %s)", "items", ("name", "data"), None)
NAMES = "SELECT name FROM items ORDER BY number"
SECRET = "tell-nobody"


class Refusing:
    """A reader to which no row is good enough."""

    trusting = False

    def rows(self, fetched: Any, names: Any) -> list[Any]:
        raise RowDamaged("a row")


async def elsewhere(*statements: str, url: str = MARIADB_URL) -> None:
    """Run statements on another connection."""
    await asyncio.to_thread(run_on_mariadb, *statements, url=url)


async def make_items(url: str) -> None:
    await elsewhere(
        "CREATE TABLE items (number BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) NOT NULL UNIQUE,"
        " data LONGBLOB) ENGINE=InnoDB",
        url=url,
    )


@pytest.fixture
async def executor(anyio_backend: str, mariadb_url: str) -> AsyncIterator[MariadbExecutor]:
    await make_items(mariadb_url)
    async with aclosing(await MariadbExecutor.open(server_of(mariadb_url), MariadbOptions())) as executor:
        yield executor


async def names(session: Any) -> list[str]:
    return [name for (name,) in await session.fetch(NAMES, (), PLAIN)]


async def add(session: Any, *wanted: str) -> None:
    await session.insert(PLAINLY, [(name, None) for name in wanted])


async def connection_id(executor: MariadbExecutor) -> int:
    ((number,),) = await executor.fetch("SELECT CONNECTION_ID()", (), PLAIN)
    return int(number)


# --- statements ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", [0, 128])
async def test_values_arrive_as_they_are(mariadb_url: str, cache: int) -> None:
    """Quotes, backslashes, percent signs, bytes and numbers come back as they were given, with either protocol."""
    options = MariadbOptions(statement_cache_size=cache)
    values = ["'\"\\%s%%\n\0😀", bytes(range(256)), 2**63 - 1, -(2**63), 0.1, 5e-324, 1.7976931348623157e308, None]
    async with aclosing(await MariadbExecutor.open(server_of(mariadb_url), options)) as executor:
        sql = f"SELECT {', '.join(['%s'] * len(values))}, 'a%%b'"
        (row,) = await executor.fetch(sql, values, PLAIN)
    assert list(row) == [*values, "a%b"]


async def test_session_settings(executor: MariadbExecutor) -> None:
    """A session is strict, in UTC, sees what is committed, and compares texts by code points."""
    sql = "SELECT @@sql_mode, @@time_zone, @@tx_isolation, @@autocommit, 'a' = 'A', 'a' = 'a ', @@local_infile IS NULL"
    ((mode, zone, isolation, *rest),) = await executor.fetch(sql, (), PLAIN)
    assert "STRICT_ALL_TABLES" in mode and "NO_BACKSLASH_ESCAPES" not in mode
    assert (zone, isolation, rest[:3]) == ("+00:00", "READ-COMMITTED", [1, 0, 0])


@pytest.mark.parametrize("cache", [0, 128])
async def test_one_statement_at_a_time(mariadb_url: str, cache: int) -> None:
    """Two statements in one text are refused."""
    options = MariadbOptions(statement_cache_size=cache)
    async with aclosing(await MariadbExecutor.open(server_of(mariadb_url), options)) as executor:
        with pytest.raises(ServerError) as caught:
            await executor.change("DO 1; DO 2", ())
    assert caught.value.reason == "ER_PARSE_ERROR"


async def test_change_counts_found_rows(executor: MariadbExecutor) -> None:
    """An update counts the rows that it found, also those that it left as they were."""
    await add(executor, "a", "b")
    assert await executor.change("UPDATE items SET data = NULL WHERE name < %s", ("b",)) == 1


async def test_numbers_of_inserted_rows(executor: MariadbExecutor) -> None:
    """An insert gives the number of each row in their order, of one row as of many."""
    (first,) = await executor.insert(NUMBERED, [("z", None)])
    numbers = await executor.insert(NUMBERED, [(f"n{-number}", None) for number in range(50)])
    assert numbers == list(range(first + 1, first + 51))
    rows = await executor.fetch("SELECT name FROM items WHERE number = %s", (numbers[7],), PLAIN)
    assert rows == [("n-7",)]


async def test_large_inserts_are_divided(executor: MariadbExecutor) -> None:
    """Rows of more bytes than the server takes at once are inserted all the same; nothing where one of them fails."""
    data = bytes(range(256)) * 4096 * 3  # 3 MiB, more as text
    await executor.insert(PLAINLY, [(f"big {number}", data) for number in range(8)])
    rows = await executor.fetch("SELECT COUNT(*), MIN(data) = MAX(data), MIN(LENGTH(data)) FROM items", (), PLAIN)
    assert rows == [(8, 1, len(data))]
    with pytest.raises(ServerError):
        await executor.insert(PLAINLY, [*((f"new {number}", data) for number in range(4)), ("big 1", None)])
    assert len(await names(executor)) == 8


async def test_a_value_too_large_for_the_server(executor: MariadbExecutor) -> None:
    """A value that the server would break the connection for is refused before it is sent."""
    before = await connection_id(executor)
    for rows in ([("huge", bytes(17_000_000))], [("a", None), ("huge", bytes(17_000_000))]):
        with pytest.raises(ServerError) as caught:
            await executor.insert(PLAINLY, rows)
        assert caught.value.reason == "ER_NET_PACKET_TOO_LARGE"
    assert await connection_id(executor) == before
    assert await names(executor) == []


async def test_a_write_whose_rows_are_refused_is_undone(executor: MariadbExecutor) -> None:
    """What a write returned and the reader refused was not written; within a transaction that call alone."""
    sql = "INSERT INTO items (name) VALUES (%s) RETURNING name"
    with pytest.raises(RowDamaged):
        await executor.fetch(sql, ("a",), Refusing(), writes=True)
    async with executor.transaction() as transaction:
        await add(transaction, "b")
        with pytest.raises(RowDamaged):
            await transaction.fetch(sql, ("c",), Refusing(), writes=True)
    assert await names(executor) == ["b"]


async def test_a_duplicate_tells_columns_and_no_value(executor: MariadbExecutor) -> None:
    """Of a duplicate the columns are told, also of the primary key, and the value nowhere in the traceback."""
    await executor.insert(
        Insertion("INSERT INTO items (number, name) VALUES (%s, %s)", "items", (), None), [(7, SECRET)]
    )
    by_number = Insertion("INSERT INTO items (number, name) VALUES (%s, %s)", "items", ("number", "name"), None)
    for insertion, row, columns in ((PLAINLY, (SECRET, None), ("name",)), (by_number, (7, "x"), ("number",))):
        with pytest.raises(ServerError) as caught:
            await executor.insert(insertion, [row])
        assert caught.value.fields == columns
        assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_the_driver_logs_no_warnings(executor: MariadbExecutor, caplog: pytest.LogCaptureFixture) -> None:
    """What the server warns of, with values, does not get into a log."""
    caplog.set_level(logging.DEBUG)
    assert await executor.fetch("SELECT CAST(%s AS SIGNED)", (SECRET,), PLAIN) == [(0,)]
    assert SECRET not in caplog.text


async def waits_for_lock(executor: MariadbExecutor, marker: str) -> None:
    """Return when a statement with this comment waits for a lock."""
    sql = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE %s"
    while await executor.fetch(sql, (f"%{marker}%",), PLAIN) == [(0,)]:
        await anyio.sleep(0.2)  # asked more often, the server gives the answer before


async def test_a_deadlock_is_tried_again(executor: MariadbExecutor) -> None:
    """A statement that the server undoes because of a deadlock is made when the other one is done."""
    await add(executor, "a", "b")
    crossing = "UPDATE items SET data = CONCAT(data, '2') WHERE name IN ('a', 'b') ORDER BY name /* crossing */"
    async with anyio.create_task_group() as tasks, executor.transaction() as transaction:
        await add(transaction, *(f"weight {number}" for number in range(50)))  # the lighter one is the victim
        await transaction.change("UPDATE items SET data = '1' WHERE name = 'b'", ())
        tasks.start_soon(executor.change, crossing, ())
        await waits_for_lock(executor, "crossing")
        await transaction.change("UPDATE items SET data = '1' WHERE name = 'a'", ())
    rows = await executor.fetch("SELECT data FROM items WHERE name IN ('a', 'b')", (), PLAIN)
    assert rows == [(b"12",), (b"12",)]


async def test_a_deadlock_ends_the_transaction(executor: MariadbExecutor) -> None:
    """A transaction that the server undid fails at its end too, whatever its block did about the error."""
    await add(executor, "a", "b", *(f"weight {number}" for number in range(50)))
    async with anyio.create_task_group() as tasks, executor.transaction() as heavy:
        await heavy.change("UPDATE items SET data = '1' WHERE name <> 'a'", ())
        with pytest.raises(ServerError) as caught:
            async with executor.transaction() as light:
                await light.change("UPDATE items SET data = '2' WHERE name = 'a'", ())
                tasks.start_soon(heavy.change, "UPDATE items SET data = '1' WHERE name = 'a' /* heavy */", ())
                await waits_for_lock(executor, "heavy")
                with suppress(ServerError):
                    await light.change("UPDATE items SET data = '2' WHERE name = 'b'", ())
                with suppress(ServerError):
                    await light.change("UPDATE items SET name = 'c' WHERE name = 'b'", ())
        assert caught.value.reason == "ER_LOCK_DEADLOCK"
    assert await executor.fetch("SELECT DISTINCT data FROM items", (), PLAIN) == [(b"1",)]
    assert "c" not in await names(executor)


async def test_a_lock_held_too_long(mariadb_url: str) -> None:
    """A statement gives up waiting for a row after the lock timeout."""
    await make_items(mariadb_url)
    options = MariadbOptions(lock_timeout=1)
    async with aclosing(await MariadbExecutor.open(server_of(mariadb_url), options)) as executor:
        await add(executor, "a")
        async with executor.transaction() as transaction:
            await transaction.change("UPDATE items SET data = '1'", ())
            with pytest.raises(ServerError) as caught:
                await executor.change("UPDATE items SET data = '2'", ())
        assert caught.value.reason == "ER_LOCK_WAIT_TIMEOUT"


# --- transactions -------------------------------------------------------------------------------------------------


async def test_a_transaction_is_made_or_not(executor: MariadbExecutor) -> None:
    """What a block did is there after it; nothing of it when it ended with an exception."""
    async with executor.transaction() as transaction:
        await add(transaction, "a")
        assert await names(transaction) == ["a"]
        assert await names(executor) == []
    with pytest.raises(KeyError):
        async with executor.transaction() as transaction:
            await add(transaction, "b")
            raise KeyError
    assert await names(executor) == ["a"]


async def test_savepoints(executor: MariadbExecutor) -> None:
    """A savepoint that ends with an exception is undone alone, and so are those within it."""
    async with executor.transaction() as transaction:
        await add(transaction, "a")
        with suppress(KeyError):
            async with transaction.savepoint():
                await add(transaction, "b")
                async with transaction.savepoint():
                    await add(transaction, "c")
                raise KeyError
        async with transaction.savepoint():
            await add(transaction, "d")
    assert await names(executor) == ["a", "d"]


async def test_a_failed_call_is_undone_alone(executor: MariadbExecutor) -> None:
    """An insert of many rows that fails half way leaves nothing, and the transaction goes on."""
    async with executor.transaction() as transaction:
        await add(transaction, "a")
        with pytest.raises(ServerError):
            await add(transaction, "b", "a")
        await add(transaction, "c")
    assert await names(executor) == ["a", "c"]


async def test_tasks_share_a_transaction(executor: MariadbExecutor) -> None:
    """Calls of several tasks come one after another; one after the end is refused."""
    async with executor.transaction() as transaction, anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(add, transaction, f"{number:02}")
    assert await names(executor) == [f"{number:02}" for number in range(20)]
    with pytest.raises(DialectClosed):
        await add(transaction, "late")


@pytest.mark.parametrize("within", [False, True])
async def test_a_cancelled_transaction_is_undone(executor: MariadbExecutor, within: bool) -> None:
    """A block that is cancelled, in a call or between two, leaves nothing, and no connection that waits for more."""
    with anyio.move_on_after(0.1) as scope:
        async with executor.transaction() as transaction:
            await add(transaction, "a")
            await (transaction.change("DO SLEEP(60)", ()) if within else anyio.sleep_forever())
    assert scope.cancelled_caught
    await add(executor, "a")
    assert await names(executor) == ["a"]


async def test_a_cancelled_statement_ends_on_the_server(executor: MariadbExecutor) -> None:
    """The server does not go on with what nobody waits for, so its locks are free again."""
    await add(executor, "a")
    with anyio.move_on_after(0.2):
        await executor.change("UPDATE items SET data = SLEEP(60) /* given up */", ())
    sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'UPDATE%%given up%%'"
    with anyio.fail_after(30):
        while await executor.fetch(sql, (), PLAIN) != [(0,)]:
            await anyio.sleep(0.05)
    assert await executor.change("UPDATE items SET data = '1'", ()) == 1


async def test_a_cancelled_call_ends_the_transaction(executor: MariadbExecutor) -> None:
    """A block that goes on behind a cancelled call fails at its end: its connection is gone, and its work with it."""
    with pytest.raises(ServerError):
        async with executor.transaction() as transaction:
            await add(transaction, "a")
            with anyio.move_on_after(0.1):
                await transaction.change("DO SLEEP(60)", ())
    assert await names(executor) == []


# --- the pool -----------------------------------------------------------------------------------------------------


async def test_a_cancelled_statement_leaves_a_healthy_pool(mariadb_url: str) -> None:
    """Behind a cancelled statement the next one gets its own answer, not that of the one before."""
    options = MariadbOptions(pool_size=1)
    async with aclosing(await MariadbExecutor.open(server_of(mariadb_url), options)) as executor:
        for number in range(5):
            with anyio.move_on_after(0.02):
                await executor.fetch("SELECT SLEEP(60), 'wrong'", (), PLAIN)
            assert await executor.fetch("SELECT %s", (number,), PLAIN) == [(number,)]


async def test_the_pool_has_an_end(mariadb_url: str) -> None:
    """More tasks than connections wait for each other; who waits too long is told so."""
    options = MariadbOptions(pool_size=2, pool_timeout=0.2)
    async with aclosing(await MariadbExecutor.open(server_of(mariadb_url), options)) as executor:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(executor.ping)
        async with executor.transaction(), executor.transaction():
            with pytest.raises(DatabaseBusy, match="no connection"):
                await executor.ping()


async def test_a_connection_that_was_closed_meanwhile(executor: MariadbExecutor) -> None:
    """Connections that the server ended while nobody used them are replaced, for reads, writes and transactions."""
    calls: list[Callable[[], Any]] = [
        executor.ping,
        lambda: names(executor),
        lambda: add(executor, "a"),
        lambda: executor.change("UPDATE items SET data = NULL", ()),
    ]
    for call in calls:
        await elsewhere(f"KILL {await connection_id(executor)}")
        await anyio.sleep(0.05)
        await call()
    await elsewhere(f"KILL {await connection_id(executor)}")
    async with executor.transaction() as transaction:
        await add(transaction, "b")
    assert await names(executor) == ["a", "b"]


async def test_a_connection_killed_in_use(executor: MariadbExecutor) -> None:
    """A write whose connection is lost fails, for it may have been made; the next operation connects anew."""
    number = await connection_id(executor)
    async with anyio.create_task_group() as tasks:
        with pytest.raises(ServerError) as caught:
            tasks.start_soon(asyncio.to_thread, lambda: (time.sleep(0.2), run_on_mariadb(f"KILL {number}")))
            await executor.change("DO SLEEP(60)", ())
    assert caught.value.reason in ("CR_SERVER_LOST", "ER_CONNECTION_KILLED")
    await executor.ping()


async def test_the_way_to_the_server_is_cut(mariadb_cuttable: Cuttable) -> None:
    """While the server is out of reach operations fail; when it is back they work again, on the same executor."""
    options = MariadbOptions(connect_timeout=2)
    async with aclosing(await MariadbExecutor.open(server_of(mariadb_cuttable.url), options)) as executor:
        await executor.ping()
        mariadb_cuttable.cut()
        for _ in range(3):
            with pytest.raises(ServerError):
                await executor.ping()
        mariadb_cuttable.mend()
        await executor.ping()


async def test_a_server_that_says_nothing(mariadb_cuttable: Cuttable) -> None:
    """Neither a statement nor a new connection waits for ever on a network that loses everything."""
    options = MariadbOptions(connect_timeout=0.3, command_timeout=0.3, pool_size=1)
    async with aclosing(await MariadbExecutor.open(server_of(mariadb_cuttable.url), options)) as executor:
        await executor.ping()
        mariadb_cuttable.proxy.stall()
        with anyio.fail_after(30):
            for _ in range(2):
                with pytest.raises(ServerError):
                    await executor.change("DO 1", ())
        mariadb_cuttable.proxy.flow()


async def test_the_end_waits_for_what_is_under_way(mariadb_url: str) -> None:
    """Closing waits for the transaction that is open; afterwards nothing works."""
    await make_items(mariadb_url)
    executor = await MariadbExecutor.open(server_of(mariadb_url), MariadbOptions())
    async with anyio.create_task_group() as tasks, executor.transaction() as transaction:
        tasks.start_soon(executor.aclose)
        await anyio.sleep(0.05)
        await add(transaction, "a")
    with pytest.raises(DialectClosed):
        await executor.ping()
    async with aclosing(await MariadbExecutor.open(server_of(mariadb_url), MariadbOptions())) as other:
        assert await names(other) == ["a"]


async def test_another_event_loop(executor: MariadbExecutor) -> None:
    """An operation in another loop than that of the opening is refused."""
    with pytest.raises(DialectClosed, match="another event loop"):
        await asyncio.to_thread(asyncio.run, executor.ping())


async def test_trio_is_told_to_use_asyncio() -> None:
    """The driver knows asyncio alone; on trio opening says so."""
    server = server_of("mysql://root@127.0.0.1/db")
    with pytest.raises(DialectUnsupported, match="asyncio"):
        await asyncio.to_thread(trio.run, MariadbExecutor.open, server, MariadbOptions())


async def test_no_server(mariadb_url: str) -> None:
    """A port where nothing listens, a password that is wrong and a database that is not there are told apart."""
    good = server_of(mariadb_url)
    reasons = {}
    for name, changes in {
        "port": {"port": 1},
        "password": {"user": SECRET, "password": SECRET.encode()},
        "database": {"database": SECRET},
    }.items():
        server = Server(good.place, good.database, {**good.arguments, **changes})
        with pytest.raises(ServerError) as caught:
            await MariadbExecutor.open(server, MariadbOptions())
        reasons[name] = caught.value.reason
        assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert reasons == {
        "port": "CR_CONN_HOST_ERROR",
        "password": "ER_ACCESS_DENIED_ERROR",
        "database": "ER_BAD_DB_ERROR",
    }


# --- the schema ---------------------------------------------------------------------------------------------------


async def test_one_changes_the_schema_at_a_time(mariadb_url: str) -> None:
    """Processes that come together do their work one after another, whatever it does."""
    log: list[str] = []

    def work(connection: Connection) -> str:
        log.append("begin")
        connection.execute(text("DO SLEEP(0.1)"))
        log.append("end")
        return "done"

    async def come() -> None:
        async with aclosing(await MariadbExecutor.open(server_of(mariadb_url), MariadbOptions())) as executor:
            assert await executor.schema_work(work) == "done"

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(come)
    assert log == ["begin", "end"] * 4


async def test_schema_work_that_fails(executor: MariadbExecutor) -> None:
    """What the database refuses is told without statement and values; rows are undone, and the next may work."""

    def work(connection: Connection) -> None:
        connection.execute(text("INSERT INTO items (name) VALUES ('a')"))
        connection.execute(text("SELECT :secret FROM nowhere"), {"secret": SECRET})

    with pytest.raises(ServerError) as caught:
        await executor.schema_work(work)
    assert caught.value.reason == "ER_NO_SUCH_TABLE"
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert await names(executor) == []
    await executor.schema_work(lambda connection: connection.execute(text("DROP TABLE items")))
