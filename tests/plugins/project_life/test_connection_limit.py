"""`max_connections_total`: what all projects of one server have together, whatever each of them may have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import attrs
import pytest
from objectkernel_project_life.contracts import ProjectUnavailable
from objectkernel_project_life.figures import project_figures
from objectkernel_project_life.manager import HostManager
from objectkernel_project_life.servers import Servers
from objectkernel_system_dialect.contracts import DatabasePlace, Dialect

from tests.plugins.project_life.hosts import host
from tests.plugins.project_life.project_databases import (
    NOTE,
    managing,
    mariadb_databases,
    postgres_databases,
    project,
)
from tests.plugins.system_dialect.databases import POSTGRES_URL

PROJECTS = 6
MOST = 4


@pytest.fixture(params=[pytest.param("postgres", marks=pytest.mark.postgres),
                        pytest.param("mariadb", marks=pytest.mark.mariadb)])  # fmt: skip
def uris(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Databases on one server; every other URI names it in another way."""
    with (postgres_databases if request.param == "postgres" else mariadb_databases)(PROJECTS) as uris:
        yield [uri.replace("127.0.0.1", "LOCALHOST") if number % 2 else uri for number, uri in enumerate(uris)]


@pytest.fixture
async def manager(anyio_backend: str, tmp_path: Path) -> AsyncIterator[HostManager]:
    """A manager with few connections for each server."""
    async with managing(tmp_path, max_connections_total=MOST) as manager:
        yield manager


async def sessions_of(uris: list[str]) -> int:
    """How many connections PostgreSQL has for these databases, as it says itself."""
    import asyncpg

    names = [urlsplit(uri).path.removeprefix("/") for uri in uris]
    connection = await asyncpg.connect(POSTGRES_URL)
    try:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = ANY($1) AND backend_type = 'client backend'"
        return int(await connection.fetchval(query, names))
    finally:
        await connection.close()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_projects_of_one_server_share_its_connections(manager: HostManager, uris: list[str]) -> None:
    """All of them work at the same time, each with a pool that is larger; nobody is refused, and the limit is kept."""
    projects = [project(uri, NOTE, pool_size=5) for uri in uris]
    for one in projects:
        await manager.add_project(one)
    dialects = [manager.get(one.name).dialect for one in projects]
    seen: list[int] = []
    done = anyio.Event()

    async def watch() -> None:
        while not done.is_set():
            seen.append(await sessions_of(uris))
            await anyio.sleep(0.005)

    async def work(dialect: Dialect) -> None:
        for number in range(6):
            async with dialect.transaction():
                await dialect.create(NOTE, {"text": str(number)})

    async with anyio.create_task_group() as tasks:
        if projects[0].dialect == "postgres":
            tasks.start_soon(watch)
        async with anyio.create_task_group() as workers:
            for dialect in dialects:
                for _ in range(3):
                    workers.start_soon(work, dialect)
        done.set()
    assert [await dialect.count(NOTE) for dialect in dialects] == [18] * PROJECTS
    ((server, limit),) = manager.opener.servers
    assert server == f"127.0.0.1:{urlsplit(uris[0]).port}"
    assert limit.most == MOST and 1 < limit.peak <= MOST
    assert max(seen, default=0) <= MOST
    assert sum(state.connections for state in manager.list()) == limit.open > 0
    figures = {(one.name, *one.labels.values()): one.value for one in project_figures(manager)}
    assert figures["projects_connections", server] == limit.open
    assert figures["projects_connections_limit", server] == MOST
    assert figures["projects_connections_waiting", server] == 0
    for one in projects:
        await manager.remove_project(one.name)
    assert limit.open == 0


@pytest.mark.anyio
@pytest.mark.postgres
@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_a_plan_has_no_connection_beside_them(anyio_backend: str, tmp_path: Path) -> None:
    """To look at a project's tables takes one of the connections: with none left it waits, and is not made."""
    plans: list[tuple[str, ...]] = []
    settings = {"allowed_hosts": ["127.0.0.1", "localhost"], "max_connections_total": 1}
    with postgres_databases(1) as (uri,):
        async with host(tmp_path, open_timeout=60.0, **settings) as at:
            made = await at.made(uri=uri, schemas=(), pool_size=3)
            assert isinstance(at.manager, HostManager)
            ((_, limit),) = at.manager.opener.servers

            async def plan() -> None:
                plans.append(await at.projects.plan_schemas("acme", made.id, [NOTE]))

            async with anyio.create_task_group() as tasks, at.manager.get(made.mproject_name).dialect.transaction():
                tasks.start_soon(plan)
                while not limit.waiting and not plans:
                    await anyio.sleep(0.01)
                assert not plans
            assert any("notes" in line for line in plans[0])
            assert limit.peak == 1


@pytest.mark.anyio
async def test_figures_count_projects_and_name_none(anyio_backend: str, tmp_path: Path) -> None:
    """Open, closed and failed ones, what is under way, and attempts."""
    async with managing(tmp_path) as manager:
        lazy, open, broken = (
            project(tmp_path / "lazy.db", NOTE),
            project(tmp_path / "open.db", NOTE),
            project(tmp_path / "nowhere" / "x.db", NOTE),
        )
        await manager.add_project(lazy, open=False)
        await manager.add_project(open)
        await manager.add_project(broken, open=False)
        with pytest.raises(ProjectUnavailable):
            await manager.try_project(broken.name)
        async with manager.get(open.name).dialect.transaction():
            figures = list(project_figures(manager))
    assert {(one.name, *one.labels.values()): one.value for one in figures} == {
        ("projects_served", "open"): 1,
        ("projects_served", "closed"): 1,
        ("projects_served", "failed"): 1,
        ("projects_operations",): 1,
        ("projects_openings", "opened"): 1,
        ("projects_openings", "failed"): 1,
    }


def test_server_has_one_limit_however_it_is_spelled() -> None:
    """Case, a last dot and the machine's own names make no other server; another port does, and files have none."""
    servers = Servers(3)
    here = DatabasePlace(dialect="postgres", hosts=(("127.0.0.1", 5432),), database="a")
    limit = servers.limit_of(here)
    assert limit is not None and limit.most == 3
    for spelled in ("localhost", "LocalHost.", "::1", "[::1]", "::ffff:127.0.0.1"):
        assert servers.limit_of(attrs.evolve(here, hosts=((spelled, 5432),), database="b")) is limit
    assert servers.limit_of(attrs.evolve(here, hosts=(("127.0.0.1", 5433),))) is not limit
    assert servers.limit_of(DatabasePlace(dialect="sqlite", database="/a.db")) is None
    assert servers.limit_of(attrs.evolve(here, hosts=(("localhost", 5432), ("127.0.0.1", 5432)))) is limit
    assert dict(servers) == {"127.0.0.1:5432": limit}


def test_urls_of_several_servers_share_one_limit() -> None:
    """Each may lead to any of its servers: another combination of them is no way to have more connections."""
    servers = Servers(3)
    places = [
        DatabasePlace(dialect="postgres", hosts=tuple((host, 5432) for host in hosts), database="a")
        for hosts in (("db", "10.0.0.1"), ("db", "10.0.0.2"), ("10.0.0.2", "db", "db"), ("db", "other"))
    ]
    limits = [servers.limit_of(place) for place in places]
    assert limits[0] is not None and all(limit is limits[0] for limit in limits)
    assert dict(servers) == {"several": limits[0]}
