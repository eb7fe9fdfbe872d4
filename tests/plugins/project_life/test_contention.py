"""Many who want the same at once."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from objectkernel_project_life.contracts import ProjectConfig, ProjectConflict, ProvisionResult

from tests.plugins.project_life.hosts import NOTE, Host, expect_consistent, host
from tests.plugins.project_life.project_databases import postgres_databases
from tests.plugins.system_dialect.databases import POSTGRES_URL

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MANY = 100


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.asyncio_only])])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def places(kind: str) -> Iterator[list[str | None]]:
    """For each who comes a database of its own, so that the slug alone decides; and those that they share."""
    if kind == "sqlite":
        yield [None] * MANY
        return
    with postgres_databases(4) as urls:
        yield [urls[number % 4] for number in range(MANY)]


async def all_at_once(at: Host, places: list[str | None]) -> list[ProvisionResult]:
    results: list[ProvisionResult] = []

    async def come(number: int) -> None:
        config = ProjectConfig(name=f"number {number}", slug="crm", uri=places[number], schemas=(NOTE,))
        results.append(await at.projects.provision_project("acme", config))

    async with anyio.create_task_group() as tasks:
        for number in range(MANY):
            tasks.start_soon(come, number)
    return results


async def test_a_hundred_want_one_slug(
    tmp_path: Path, kind: str, places: list[str | None], request: pytest.FixtureRequest
) -> None:
    """defects.md, project-life 1: one project is there, 99 have a clear conflict, and no connection is left over."""
    system = request.getfixturevalue("postgres_url") if kind == "postgres" else None
    settings = {"allowed_hosts": ["127.0.0.1", "localhost"]}
    async with host(tmp_path, system=system, **settings) as at:
        gc.collect()
        before = open_files(at)
        results = await all_at_once(at, places)
        assert Counter(type(result.error) for result in results) == {type(None): 1, ProjectConflict: MANY - 1}
        (row,) = (await at.rows()).values()
        (winner,) = [result.project for result in results if result.project is not None]
        assert row["id"] == winner.id
        assert [state.project_id for state in at.manager.list()] == [winner.id]
        await expect_consistent(at)
        if kind == "postgres":
            names = [str(place).rpartition("/")[2] for place in places[:4]]
            assert await connected_databases(names) <= 1
        assert len(list(at.file(".").glob("*.db"))) == (kind == "sqlite")
        await at.projects.deprovision_project("acme", winner.id)
        assert open_files(at) == before


async def connected_databases(names: list[str]) -> int:
    """How many of these databases somebody is connected to."""
    import asyncpg

    connection = await asyncpg.connect(POSTGRES_URL)
    try:
        sql = "SELECT count(DISTINCT datname) FROM pg_stat_activity WHERE datname = ANY($1)"
        return int(await connection.fetchval(sql, names))
    finally:
        await connection.close()


def open_files(at: Host) -> int:
    """How many files below the projects folder this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith(str(at.folder / "projects"))
        except FileNotFoundError:  # the folder's own, which is closed by now
            continue
    return found
