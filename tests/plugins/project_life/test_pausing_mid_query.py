"""A project that is paused while it works: what runs has its time, new operations are refused, others go on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import monotonic

import anyio
import pytest
from anyio.lowlevel import checkpoint
from objectkernel_project_life.contracts import ManagedProject, ProjectNotServed
from objectkernel_project_life.manager import HostManager
from objectkernel_system_dialect.contracts import Dialect, Repository
from sqlalchemy import column, func, literal_column, select, table

from tests.plugins.project_life.project_databases import NOTE, managing, postgres_databases, project

pytestmark = pytest.mark.anyio


@pytest.fixture
async def manager(anyio_backend: str, tmp_path: Path) -> AsyncIterator[HostManager]:
    """A manager of projects in files."""
    async with managing(tmp_path / "host", pause_deadline=60.0) as manager:
        yield manager


@pytest.fixture
def one(tmp_path: Path) -> ManagedProject:
    """A project that will be paused."""
    return project(tmp_path / "one.db", NOTE)


@pytest.fixture
async def notes(manager: HostManager, one: ManagedProject) -> Repository:
    """Its notes."""
    await manager.add_project(one)
    return manager.get(one.name).repository("Note")


async def test_transaction_ends_within_the_deadline(
    manager: HostManager, one: ManagedProject, notes: Repository
) -> None:
    """Its own further operations are let through, also those of its tasks; those of others are refused at once."""
    begun, paused = anyio.Event(), anyio.Event()
    order: list[str] = []

    async def work() -> None:
        async with notes.transaction():
            await notes.create({"text": "first"})
            begun.set()
            await paused.wait()
            await notes.create({"text": "second"})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(notes.create, {"text": "third"})
            assert [row["text"] async for row in notes.stream(sort={"text": 1})] == ["first", "second", "third"]
            order.append("worked")

    async def pause() -> None:
        await manager.remove_project(one.name)
        order.append("paused")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await begun.wait()
        tasks.start_soon(pause)
        while manager.has_project(one.name):
            await checkpoint()
        tasks_of_others = (notes.count(), notes.create({"text": "other"}))
        paused.set()
        for refused in tasks_of_others:
            with pytest.raises(ProjectNotServed):
                await refused
    assert order == ["worked", "paused"]
    await manager.add_project(one)
    assert await notes.count() == 3


async def test_transaction_is_undone_behind_the_deadline(
    manager: HostManager, one: ManagedProject, notes: Repository
) -> None:
    """Whoever is in it is cancelled and gets to know why."""
    begun = anyio.Event()

    async def work() -> None:
        with pytest.raises(ProjectNotServed, match="longer than the deadline"):
            async with notes.transaction():
                await notes.create({"text": "undone"})
                begun.set()
                await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await begun.wait()
        assert await manager.remove_project(one.name, deadline=0.05)
    await manager.add_project(one)
    assert await notes.count() == 0


async def test_write_that_waits_for_a_transaction_ends_with_it(
    manager: HostManager, one: ManagedProject, notes: Repository
) -> None:
    """It had begun before the pause: once the transaction is cancelled it comes to its end, wholly."""
    begun = anyio.Event()

    async def hold() -> None:
        with pytest.raises(ProjectNotServed):
            async with notes.transaction():
                await notes.create({"text": "undone"})
                begun.set()
                await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hold)
        await begun.wait()
        tasks.start_soon(notes.create, {"text": "kept"})
        while manager.list()[0].running < 2:
            await checkpoint()
        await manager.remove_project(one.name, deadline=0.05)
    await manager.add_project(one)
    assert [row["text"] for row in await notes.find_all()] == ["kept"]


async def test_stream_ends_within_the_deadline_or_is_cut(
    manager: HostManager, one: ManagedProject, notes: Repository
) -> None:
    """A reader who is quick gets every row, one who stops reading is not waited for any longer."""
    await notes.create_many([{"text": str(number)} for number in range(10)])
    rows = aiter(notes.stream(batch=2))
    await anext(rows)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(manager.remove_project, one.name)
        while manager.has_project(one.name):
            await checkpoint()
        assert len([row async for row in rows]) == 9
    await manager.add_project(one)
    rows = aiter(notes.stream(batch=2))
    await anext(rows)
    await manager.remove_project(one.name, deadline=0.0)
    with pytest.raises(ProjectNotServed, match="longer than the deadline"):
        await anext(rows)


async def test_hurry_of_a_second_removal(
    manager: HostManager, one: ManagedProject, notes: Repository, tmp_path: Path
) -> None:
    """What still runs on an older connection has the time of the pause and not that of the move."""
    begun = anyio.Event()

    async def work() -> None:
        with pytest.raises(ProjectNotServed):
            async with notes.transaction():
                begun.set()
                await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await begun.wait()
        await manager.add_project(project(tmp_path / "moved.db", NOTE, id=one.project_id))
        assert manager.list()[0].running == 1
        await manager.remove_project(one.name, deadline=0.0)


async def test_end_of_the_manager_has_a_deadline(tmp_path: Path, anyio_backend: str) -> None:
    """Whoever is at work then is cancelled behind it."""
    begun = anyio.Event()
    async with anyio.create_task_group() as tasks, managing(tmp_path, pause_deadline=0.05) as manager:
        one = project(tmp_path / "one.db", NOTE)
        await manager.add_project(one)
        dialect = manager.get(one.name).dialect

        async def work() -> None:
            with pytest.raises(ProjectNotServed):
                async with dialect.transaction():
                    begun.set()
                    await anyio.sleep_forever()

        tasks.start_soon(work)
        await begun.wait()


# --- on a server --------------------------------------------------------------------------------------------


@pytest.fixture
def two_databases(anyio_backend: str) -> Iterator[list[str]]:
    """Two databases of PostgreSQL."""
    with postgres_databases(2) as uris:
        yield uris


@pytest.mark.postgres
@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_query_on_a_server(manager: HostManager, two_databases: list[str]) -> None:
    """One that ends within the deadline is answered, one that does not is cancelled on the server; others go on."""
    projects = [project(uri, NOTE) for uri in two_databases]
    for one in projects:
        await manager.add_project(one)
    dialects = [manager.get(one.name).dialect for one in projects]
    answered: list[object] = []

    async def sleep(number: int, seconds: float) -> None:
        rows = await dialects[number].execute(select(func.pg_sleep(seconds), literal_column("1").label("one")))
        answered.append(rows[0]["one"])

    async def cancelled() -> None:
        with pytest.raises(ProjectNotServed, match="longer than the deadline"):
            await sleep(0, 600.0)

    async def running() -> int:
        return sum(state.running for state in manager.list())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sleep, 0, 0.3)
        while not await running():
            await checkpoint()
        await manager.remove_project(projects[0].name)
    assert answered == [1]

    await manager.add_project(projects[0])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cancelled)
        tasks.start_soon(sleep, 1, 0.4)
        while await running() < 2:
            await checkpoint()
        await anyio.sleep(0.1)  # until the server has it
        before = monotonic()
        await manager.remove_project(projects[0].name, deadline=0.05)
        assert monotonic() - before < 60
        with pytest.raises(ProjectNotServed):
            await dialects[0].count(NOTE)
    assert answered == [1, 1]
    assert await sessions(dialects[1], two_databases[0]) == 0


async def sessions(dialect: Dialect, uri: str) -> int:
    """How many connections the server has for a database, as asked through another's dialect."""
    activity = table("pg_stat_activity", column("datname"))
    name = uri.rpartition("/")[2]
    query = (
        select(func.count().label("n")).select_from(activity).where(activity.c.datname == literal_column(f"'{name}'"))
    )
    rows = await dialect.execute(query)
    return int(rows[0]["n"])
