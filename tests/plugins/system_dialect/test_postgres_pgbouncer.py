"""PostgreSQL through pgbouncer, which lends a server's connection for one transaction at a time."""

from __future__ import annotations

from contextlib import aclosing

import anyio
import pytest
import sqlalchemy
from objectkernel_system_dialect.contracts import EntitySchema, Field
from objectkernel_system_dialect.errors import StatementFailed
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.postgres_executor import PostgresOptions
from objectkernel_system_dialect.rows import PLAIN
from objectkernel_system_dialect.sql_dialect import SqlDialect

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

NOTE = EntitySchema(name="Note", collection="notes", fields={"text": Field("string"), "number": Field("sequence")})


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only event loop that the driver knows."""
    return "asyncio"


async def test_tasks_share_the_servers_connections(pgbouncer_url: str) -> None:
    """Without a statement cache more clients than the server has connections work side by side."""
    engine = await PostgresEngine.open(pgbouncer_url, PostgresOptions(statement_cache=0, pool_size=10))
    async with aclosing(SqlDialect(engine)) as dialect:
        await dialect.register(NOTE)

        async def write(text: str) -> None:
            async with dialect.transaction():
                row = await dialect.create(NOTE, {"text": text})
                await dialect.create_many(NOTE, [{"text": text}] * 20)
            assert await dialect.update(NOTE, row["id"], {"text": text + "!"}) is not None
            assert await dialect.count(NOTE, {"text": text}) == 20

        async with anyio.create_task_group() as tasks:
            for number in range(16):
                tasks.start_soon(write, str(number))
        assert await dialect.count(NOTE) == 16 * 21


async def test_hosts_wait_for_each_other(pgbouncer_url: str) -> None:
    """The lock of schema work belongs to a transaction, so it holds where sessions are shared."""
    made: list[bool] = []

    def make(connection: sqlalchemy.Connection) -> bool:
        if "made" in sqlalchemy.inspect(connection).get_table_names():
            return False
        connection.execute(sqlalchemy.text("SELECT pg_sleep(0.05)"))
        connection.execute(sqlalchemy.text("CREATE TABLE made (x INT)"))
        return True

    async def host() -> None:
        engine = await PostgresEngine.open(pgbouncer_url, PostgresOptions(statement_cache=0))
        async with aclosing(engine.executor):
            made.append(await engine.executor.schema_work(make))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(host)
    assert sorted(made) == [False, False, True]


async def test_statement_cache_names_the_setting(pgbouncer_url: str) -> None:
    """Prepared statements stay behind with a server's connection; the error says which setting to change."""
    engine = await PostgresEngine.open(pgbouncer_url, PostgresOptions(statement_cache=100))
    other = await PostgresEngine.open(pgbouncer_url, PostgresOptions(statement_cache=0))
    async with aclosing(engine.executor), aclosing(other.executor):
        await engine.executor.fetch("SELECT $1::int", (1,), PLAIN)
        async with other.executor.transaction() as transaction:  # it gets the connection that was used last
            await transaction.fetch("SELECT 1", (), PLAIN)
            with pytest.raises(engine.driver_errors) as caught:
                await engine.executor.fetch("SELECT $1::int", (1,), PLAIN)
    error = engine.translated(caught.value, "")
    assert isinstance(error, StatementFailed)
    assert "statement_cache" in error.fix
