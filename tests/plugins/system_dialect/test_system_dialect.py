"""The system's data while the business database is switched, dropped, or out of reach; and its return."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import anyio
import pytest
from objectkernel import ObjectKernel, Secret
from objectkernel_system_dialect.contracts import (
    DATA_PLUG,
    DIALECT,
    SYSTEM_DIALECT,
    DatabaseUnavailable,
    DataError,
    Dialect,
)
from objectkernel_system_dialect.databases import named
from objectkernel_system_dialect.opening import SqlOpening

from tests.plugins.system_dialect.databases import Cuttable, run_on_mariadb, run_on_postgres
from tests.plugins.system_dialect.kernels import KEY_ROW, ORDER, shop
from tests.plugins.system_dialect.load import write_while_switching

pytestmark = pytest.mark.anyio


def run_on_mariadb_at(url: str, statement: str) -> None:
    """Run a statement on the server of a URL."""
    run_on_mariadb(statement, url=url)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only event loop that the drivers of servers know."""
    return "asyncio"


def business_at(url: str, folder: Path) -> Mapping[str, str]:
    """Settings with the business data in PostgreSQL and the system's in a file."""
    return {"SGBD_URI": url, "MOSTA_SYSTEM_DIALECT": "sqlite", "MOSTA_SYSTEM_URI": str(folder / "system.db")}


@pytest.fixture(
    params=[
        pytest.param("cuttable", marks=pytest.mark.postgres, id="postgres"),
        pytest.param("mariadb_cuttable", marks=pytest.mark.mariadb, id="mariadb"),
    ]
)
def way(request: pytest.FixtureRequest) -> Cuttable:
    """The way to a business database, which can be cut."""
    cuttable: Cuttable = request.getfixturevalue(request.param)
    return cuttable


@pytest.fixture
async def kernel(anyio_backend: str, way: Cuttable, tmp_path: Path) -> AsyncIterator[ObjectKernel]:
    """A kernel with its business database at the end of that way."""
    async with shop(business_at(way.url, tmp_path)) as kernel:
        yield kernel


async def fails(dialect: Dialect) -> None:
    """An operation says that the database is not there."""
    with pytest.raises(DatabaseUnavailable):
        await dialect.count(ORDER)


async def test_the_system_goes_on_while_the_business_database_is_out_of_reach(
    kernel: ObjectKernel, way: Cuttable
) -> None:
    """Its operations succeed while the others say so; when the way is mended the business dialect works again."""
    business, system = kernel.get(DIALECT), kernel.get(SYSTEM_DIALECT)
    order = await business.create(ORDER, {"total": 1})
    for _ in range(2):
        way.cut()
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(fails, business)
                tasks.start_soon(system.create, KEY_ROW, {"name": "a"})
        way.mend()
        assert await business.find_by_id(ORDER, order["id"]) == order
    assert await system.count(KEY_ROW) == 40


async def test_a_health_check_finds_it_down_and_up_again(kernel: ObjectKernel, way: Cuttable) -> None:
    """While the business database is out of reach its service is unwell and the system's is not."""
    way.cut()
    states = {service.service: service.state for service in (await kernel.health()).services}
    assert (states["dialect"], states["system-dialect"]) == ("degraded", "up")
    way.mend()
    assert (await kernel.health()).state == "running"


@pytest.mark.parametrize(
    ("server", "run", "drop"),
    [
        pytest.param("postgres_url", run_on_postgres, "DROP DATABASE {} WITH (FORCE)", marks=pytest.mark.postgres),
        pytest.param("mariadb_url", run_on_mariadb_at, "DROP DATABASE {}", marks=pytest.mark.mariadb),
    ],
    ids=["postgres", "mariadb"],
)
async def test_a_dropped_database_is_made_usable_when_it_returns(
    anyio_backend: str,
    server: str,
    run: Callable[[str, str], None],
    drop: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """It comes back empty: the first operations bring up its tables, without a restart and without an error."""
    at, name = request.getfixturevalue(server), f"objectkernel_test_{uuid4().hex}"
    run(at, f"CREATE DATABASE {name}")
    try:
        url = urlsplit(at)._replace(path=f"/{name}").geturl()
        async with shop(business_at(url, tmp_path)) as kernel:
            business, system = kernel.get(DIALECT), kernel.get(SYSTEM_DIALECT)
            await business.create(ORDER, {"total": 1})
            run(at, drop.format(name))
            with pytest.raises(DataError):
                await business.count(ORDER)
            await system.create(KEY_ROW, {"name": "a"})
            run(at, f"CREATE DATABASE {name}")
            assert await business.count(ORDER) == 0
            await business.create(ORDER, {"total": 2})
            run(at, drop.format(name))
            run(at, f"CREATE DATABASE {name}")
            assert await business.count(ORDER) == 0  # nothing was asked meanwhile
    finally:
        run(at, drop.format(name))


async def test_the_system_stays_while_the_business_data_is_switched(kernel: ObjectKernel, tmp_path: Path) -> None:
    """Its rows and schemas are where they were, whatever the business data does."""
    business, system = kernel.get(DIALECT), kernel.get(SYSTEM_DIALECT)
    key = await system.create(KEY_ROW, {"name": "a"})
    for uri in (tmp_path / "a.db", tmp_path / "b.db"):
        await kernel.get(DATA_PLUG).change_dialect("sqlite", str(uri))
        assert business.name == "sqlite"
        assert await system.find_by_id(KEY_ROW, key["id"]) == key
    assert system.schemas() == (KEY_ROW,)
    await kernel.get(DATA_PLUG).reset_dialect()
    assert (await business.count(ORDER), business.name != "sqlite") == (0, True)


@pytest.mark.slow
@pytest.mark.postgres
async def test_writers_lose_nothing_between_sqlite_and_postgres(
    anyio_backend: str, postgres_url: str, tmp_path: Path
) -> None:
    """SQLite to PostgreSQL and back, 50 times under 32 writers: no write fails, none is lost, none is doubled."""
    await write_while_switching(
        SqlOpening(named("sqlite"), Secret(str(tmp_path / "a.db"))),
        SqlOpening(named("postgres"), Secret(postgres_url)),
    )
