"""What a host reports of the databases."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from objectkernel import ObjectKernel
from objectkernel.secret import Secret
from objectkernel_contracts import METRICS, ROUTERS
from objectkernel_system_dialect import plugin as plugin_module
from objectkernel_system_dialect.contracts import DIALECT, Dialect
from objectkernel_system_dialect.databases import locate
from objectkernel_system_dialect.figures import connection_figures
from objectkernel_system_dialect.idempotency_record import IDEMPOTENCY
from objectkernel_system_dialect.opening import ConnectionOptions, SqlOpening
from objectkernel_system_dialect.plugin import SystemDialectPlugin
from objectkernel_system_dialect.switching import switchable

from tests.plugins.system_dialect.net_entities import THING

pytestmark = pytest.mark.anyio


def told(dialect: Dialect) -> dict[tuple[str, ...], float]:
    """The figures of one dialect, by name and what tells them apart."""
    found = {}
    for figure in connection_figures({"business": dialect}):
        assert figure.labels["database"] == "business"
        found[figure.name, *(value for name, value in figure.labels.items() if name != "database")] = figure.value
    return found


async def test_sqlite(tmp_path: Path) -> None:
    """Its connections are its threads; who waits for the writer is counted while a transaction has it."""
    async with switchable(SqlOpening(locate("sqlite", None).database, Secret(f"sqlite:///{tmp_path}/a.db"))) as dialect:
        assert told(dialect) == {
            ("database_connections_limit",): 4,
            ("database_calls_waiting", "reader"): 0,
            ("database_calls_waiting", "writer"): 0,
        }
        await dialect.register(THING)
        begun = anyio.Event()

        async def write() -> None:  # not within the transaction, as what is started in it would be
            await begun.wait()
            await dialect.create(THING, {"name": "n"})

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(write)
            async with dialect.transaction():
                begun.set()
                with anyio.fail_after(10):
                    while told(dialect)["database_calls_waiting", "writer"] < 3:
                        await anyio.sleep(0.01)
        assert told(dialect)["database_calls_waiting", "writer"] == 0


async def _busy(url: str) -> None:
    options = ConnectionOptions(pool_size=2)
    opening = SqlOpening(locate(None, Secret(url)).database, Secret(url), options=options)
    async with switchable(opening) as dialect:
        assert told(dialect)["database_connections_limit",] == 2
        await dialect.register(THING)
        go_on = anyio.Event()

        async def use() -> None:
            async with dialect.transaction():
                await dialect.count(THING)
                await go_on.wait()

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(use)
            with anyio.fail_after(10):
                while (busy := told(dialect))["database_connections", "used"] < 2:
                    await anyio.sleep(0.01)
            assert busy["database_calls_waiting", "connection"] == 3
            go_on.set()
        found = told(dialect)
        assert (found["database_connections", "used"], found["database_connections", "idle"]) == (0, 2)
        assert found["database_calls_waiting", "connection"] == 0


@pytest.mark.postgres
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_postgres(postgres_url: str, anyio_backend: str) -> None:
    """Those of the pool that work and that do not, and who waits for one."""
    await _busy(postgres_url)


@pytest.mark.mariadb
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_mariadb(mariadb_url: str, anyio_backend: str) -> None:
    """Those of the pool that work and that do not, and who waits for one."""
    await _busy(mariadb_url)


async def test_a_dialect_that_does_not_know() -> None:
    """Nothing is told of one that has no connections of its own, such as a server's."""

    class Remote:
        name = "net"

    assert list(connection_figures({"business": Remote()})) == []  # type: ignore[dict-item]


async def test_the_plugin_contributes_them() -> None:
    """One database for both is told once."""
    async with ObjectKernel(plugins=[SystemDialectPlugin.in_memory()], discover=False) as kernel:
        (source,) = kernel.contributions(METRICS)
        assert {figure.labels["database"] for figure in source()} == {"business"}


async def test_the_plugin_removes_what_has_come_of_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the application, once the data plane is served; else no table is made for it."""
    from datetime import timedelta

    monkeypatch.setattr(plugin_module, "PAUSE", timedelta(seconds=0.01))
    async with ObjectKernel(plugins=[SystemDialectPlugin.in_memory()], discover=False) as kernel:
        dialect = kernel.get(DIALECT)
        await anyio.sleep(0.05)
        assert IDEMPOTENCY not in dialect.schemas()
        for make in kernel.contributions(ROUTERS):
            make()
        with anyio.fail_after(10):
            while IDEMPOTENCY not in dialect.schemas():
                await anyio.sleep(0.01)
