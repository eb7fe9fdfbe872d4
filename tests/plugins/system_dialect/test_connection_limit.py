"""One limit for many pools on real servers, which hold to it themselves: they refuse whoever comes beyond it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

import anyio
import attrs
import pytest
from objectkernel import Secret
from objectkernel_system_dialect.contracts import (
    DATA_PLUG,
    ConnectionLimit,
    DatabaseBusy,
    DatabaseUnavailable,
    DataError,
    DataPlug,
    Dialect,
    EntitySchema,
    Field,
    IsolatedOptions,
)
from objectkernel_system_dialect.databases import named
from objectkernel_system_dialect.opening import ConnectionOptions, SqlOpening
from objectkernel_system_dialect.rows import PLAIN
from objectkernel_system_dialect.sql_dialect import SqlDialect

from tests.plugins.system_dialect.databases import run_on_mariadb, run_on_postgres
from tests.plugins.system_dialect.kernels import shop

pytestmark = pytest.mark.anyio

NOTE = EntitySchema(name="Note", collection="notes", fields={"text": Field("string"), "number": Field("integer")})
MOST = 8
KILLER = 1
"""Connections with which one ends another on MariaDB, beyond the limit where that has no place."""
PASSWORD = "open-sesame"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only event loop that the drivers know."""
    return "asyncio"


@attrs.frozen
class Database:
    """A database, and a user whom its server gives no more than `MOST` connections.

    Attributes:
        nap: a statement that takes 10 seconds.
        kill: ends every connection of the user's.
    """

    dialect: str
    uri: str
    nap: str
    kill: Callable[[], None]


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[Database]:
    user = f"limited_{uuid4().hex}"
    run_on_postgres(
        postgres_url,
        f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT {MOST}; GRANT ALL ON SCHEMA public TO {user}",
    )
    kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{user}'"
    uri = f"{_as(postgres_url, user)}?sslmode=disable"  # of which asyncpg, cancelled while it asks, would complain
    try:
        yield Database("postgres", uri, "SELECT pg_sleep(10)", lambda: run_on_postgres(postgres_url, kill))
    finally:
        run_on_postgres(postgres_url, f"DROP OWNED BY {user} CASCADE; DROP ROLE {user}")


@pytest.fixture
def on_mariadb(mariadb_url: str) -> Iterator[Database]:
    user, name = f"limited_{uuid4().hex}", urlsplit(mariadb_url).path.removeprefix("/")
    run_on_mariadb(
        f"CREATE USER {user}@'%' IDENTIFIED BY '{PASSWORD}' WITH MAX_USER_CONNECTIONS {MOST + KILLER}",
        f"GRANT ALL ON {name}.* TO {user}@'%'",
    )
    try:
        yield Database(
            "mariadb",
            _as(mariadb_url, user),
            "DO SLEEP(10)",
            lambda: run_on_mariadb(f"KILL CONNECTION USER {user}@'%'"),
        )
    finally:
        run_on_mariadb(f"DROP USER {user}@'%'")


def _as(url: str, user: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}").geturl()


@pytest.fixture(
    params=[
        pytest.param("on_postgres", marks=pytest.mark.postgres),
        pytest.param("on_mariadb", marks=pytest.mark.mariadb),
    ]
)
def database(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def plug(anyio_backend: str) -> AsyncIterator[DataPlug]:
    """A kernel's data plug."""
    async with shop({"SGBD_URI": ":memory:"}) as kernel:
        yield kernel.get(DATA_PLUG)


@asynccontextmanager
async def many(
    plug: DataPlug, database: Database, limit: ConnectionLimit, count: int, *, size: int = 5
) -> AsyncIterator[list[SqlDialect]]:
    """Dialects that were opened all at once, each with a pool of its own."""
    found: list[SqlDialect] = []
    options = IsolatedOptions(pool_size=size, limit=limit)

    async def open_one() -> None:
        opened = await plug.open_isolated_dialect(
            database.dialect, database.uri, "update", schemas=[NOTE], options=options
        )
        found.append(cast("SqlDialect", opened))

    async with AsyncExitStack() as stack:
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(open_one)
        for dialect in found:
            await stack.enter_async_context(aclosing(dialect))
        yield found
    assert (limit.open, limit.waiting, limit.leaving) == (0, 0, 0)


async def nap(dialect: SqlDialect, database: Database) -> None:
    await dialect.engine.executor.change(database.nap, ())


async def test_many_pools_keep_to_one_limit(plug: DataPlug, database: Database) -> None:
    """20 pools of 5 share 8 connections, all of them at work: every operation succeeds, in each of the pools."""
    limit = ConnectionLimit(MOST, setting="max_connections_total")
    async with many(plug, database, limit, 20) as dialects:
        assert limit.open <= MOST

        async def work(dialect: Dialect, number: int) -> None:
            await dialect.create(NOTE, {"number": number})
            assert await dialect.count(NOTE, {"number": number}) > 0

        async with anyio.create_task_group() as tasks:
            for number, dialect in enumerate(dialects):
                for _ in range(7):
                    tasks.start_soon(work, dialect, number)
        found = await dialects[0].aggregate(NOTE, [{"$group": {"_id": "$number", "n": {"$sum": 1}}}])
        assert [row["n"] for row in found] == [7] * 20
        assert limit.peak == MOST
        usages = [dialect.usage() for dialect in dialects]
        assert sum(usage.idle for usage in usages if usage and usage.idle) == limit.open


async def test_transactions_share_it_too(plug: DataPlug, database: Database) -> None:
    """Transactions that wait for each other's places all come to their end."""
    limit = ConnectionLimit(2)
    async with many(plug, database, limit, 4) as dialects:

        async def work(dialect: Dialect) -> None:
            for number in range(3):
                async with dialect.transaction():
                    await dialect.create(NOTE, {"number": number})
                    await dialect.count(NOTE)

        async with anyio.create_task_group() as tasks:
            for dialect in dialects * 3:
                tasks.start_soon(work, dialect)
        assert await dialects[0].count(NOTE) == 36
        assert limit.peak == 2


async def test_a_limit_of_one_is_enough(plug: DataPlug, database: Database) -> None:
    """Opening, making tables, writing and another pool's reading go one after another where there is one place."""
    limit = ConnectionLimit(1)
    async with many(plug, database, limit, 2) as (one, other):
        await one.create(NOTE, {"text": "a"})
        assert await other.count(NOTE) == 1
        await other.register(EntitySchema(name="Late", collection="lates", fields={"x": Field("string")}))
        assert limit.peak == 1


async def test_whoever_waits_too_long_is_told_of_the_limit(database: Database) -> None:
    """The error names the limit by its setting, not a pool that has room."""
    limit = ConnectionLimit(1, setting="max_connections_total")
    options = ConnectionOptions(limit=limit, pool_timeout=5.0)
    opening = SqlOpening(named(database.dialect), Secret(database.uri), "update", options)
    hasty = attrs.evolve(opening, options=attrs.evolve(options, pool_timeout=0.05))
    async with aclosing(await opening.open([NOTE])) as one, aclosing(await hasty.open([NOTE])) as other:
        async with one.transaction():
            await one.count(NOTE)
            with pytest.raises(DatabaseBusy) as caught:
                await other.count(NOTE)
            with pytest.raises(DatabaseBusy, match="max_connections_total"):
                await other.register(EntitySchema(name="Late", collection="lates", fields={"x": Field("string")}))
        assert caught.value.facts["reason"] == "limit"
        assert "all 1 connections" in caught.value.why[0] and "max_connections_total" in caught.value.why[0]
        assert await other.count(NOTE) == 0


async def test_cancellations_and_losses_cost_no_place(plug: DataPlug, database: Database) -> None:
    """Callers that are cancelled, while they wait or at work, and connections that the server ends, leave the count of
    places true: everybody is served behind them."""
    limit, chance = ConnectionLimit(MOST), random.Random(1)
    async with many(plug, database, limit, 6, size=3) as dialects:

        async def work(dialect: SqlDialect) -> None:
            for _ in range(6):
                with anyio.move_on_after(chance.choice([0, 0.001, 0.01, 0.05])):
                    await (nap(dialect, database) if chance.random() < 0.5 else dialect.count(NOTE))

        async with anyio.create_task_group() as tasks:
            for dialect in dialects * 3:
                tasks.start_soon(work, dialect)
        await _serve_all(dialects)
        database.kill()
        await anyio.sleep(0.05)
        await _serve_all(dialects)
        lost: list[SqlDialect] = []
        async with anyio.create_task_group() as tasks:
            for dialect in dialects:
                tasks.start_soon(_lose, dialect, database, lost)
            while len(lost) < len(dialects):
                await anyio.sleep(0.1)
                database.kill()
        await _serve_all(dialects)
        assert limit.peak <= MOST
        usages = [usage for dialect in dialects if (usage := dialect.usage()) is not None]
        with anyio.fail_after(30):
            while any(usage.used for usage in usages) or limit.leaving:
                await anyio.sleep(0.01)
                usages = [usage for dialect in dialects if (usage := dialect.usage()) is not None]
        assert limit.open == sum(usage.idle or 0 for usage in usages)


async def _serve_all(dialects: list[SqlDialect]) -> None:
    """Every pool serves all that its size lets it: none has lost a place."""

    async def read(dialect: SqlDialect) -> None:
        with anyio.fail_after(30):
            while True:
                try:
                    await dialect.count(NOTE)
                    return
                except DatabaseUnavailable:  # of a connection that is found to be dead: the next one is another
                    pass

    async with anyio.create_task_group() as tasks:
        for dialect in dialects * 5:
            tasks.start_soon(read, dialect)


async def _lose(dialect: SqlDialect, database: Database, lost: list[SqlDialect]) -> None:
    """Run a statement whose connection is ended."""
    with pytest.raises(dialect.engine.driver_errors):
        await nap(dialect, database)
    lost.append(dialect)


async def test_an_opening_that_fails_leaves_no_place_taken(plug: DataPlug, database: Database) -> None:
    """Neither one that is refused, nor one whose schemas do not fit, nor one that is cancelled on its way."""
    limit = ConnectionLimit(2)
    options = IsolatedOptions(limit=limit)
    wrong = urlsplit(database.uri)._replace(path="/nowhere_at_all").geturl()
    with pytest.raises(DatabaseUnavailable):
        await plug.open_isolated_dialect(database.dialect, wrong, options=options)
    with pytest.raises(DataError):
        await plug.open_isolated_dialect(database.dialect, database.uri, "validate", schemas=[NOTE], options=options)
    assert limit.open == 0
    for delay in (0.0, 0.001, 0.005, 0.01, 0.02, 0.04, 0.08):
        with anyio.move_on_after(delay):
            opened = await plug.open_isolated_dialect(
                database.dialect, database.uri, "update", schemas=[NOTE], options=options
            )
            await opened.aclose()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0)
        assert (limit.open, limit.waiting) == (0, 0)


@pytest.mark.postgres
async def test_the_servers_own_count(plug: DataPlug, on_postgres: Database, postgres_url: str) -> None:
    """At no moment does PostgreSQL itself show more connections than the limit."""
    limit, done, seen = ConnectionLimit(3), False, list[int]()
    asking = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1"
    own = SqlOpening(named("postgres"), Secret(postgres_url), "none")
    async with aclosing(await own.open([])) as watcher, many(plug, on_postgres, limit, 6, size=2) as dialects:

        async def watch() -> None:
            user = urlsplit(on_postgres.uri).username
            while not done:
                executor = cast("SqlDialect", watcher).engine.executor
                seen.append((await executor.fetch(asking, (user,), PLAIN))[0][0])

        async def work(dialect: Dialect) -> None:
            for _ in range(5):
                await dialect.count(NOTE)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            async with anyio.create_task_group() as workers:
                for dialect in dialects * 4:
                    workers.start_soon(work, dialect)
            done = True
    assert max(seen) == 3


async def test_sqlite_heeds_no_limit(plug: DataPlug) -> None:
    """Its file has no connections in this sense."""
    limit = ConnectionLimit(1)
    for _ in range(3):
        opened: Any = await plug.open_isolated_dialect("sqlite", ":memory:", options=IsolatedOptions(limit=limit))
        async with aclosing(opened):
            assert limit.open == 0
