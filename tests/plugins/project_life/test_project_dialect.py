"""A project's dialect is a dialect like any other: the whole behaviour suite, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from objectkernel_project_life.contracts import ProjectNotServed
from objectkernel_project_life.manager import HostManager
from objectkernel_project_life.project_dialect import CAPABILITIES
from objectkernel_system_dialect.contracts import (
    DATA_PLANE_SCHEMAS,
    Dialect,
    EntitySchema,
    EntityUnknown,
    Field,
    OperationUnsupported,
    TenantRequired,
)
from objectkernel_system_dialect.testing import Dialects, DialectSuite

from tests.plugins.project_life.project_databases import (  # noqa: F401 - fixtures
    NOTE,
    TASK,
    managing,
    postgres_databases,
    project,
    two_uris,
)

OWNED = EntitySchema(
    name="Owned", collection="owned", fields={"account": Field("string"), "text": Field("text")}, tenant="account"
)


@pytest.fixture(scope="module")
async def dialects(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dialects]:
    """The dialect of a project in a file."""
    folder = tmp_path_factory.mktemp("suite")
    async with managing(folder) as manager:
        suite = project(folder / "suite.db")

        async def opened() -> Dialect:
            await manager.add_project(suite, open=False)
            return manager.get(suite.name).dialect

        async with Dialects(opened) as found:
            yield found


@pytest.mark.slow  # `make test` has the suite on the dialect behind it
class TestProjectDialect(DialectSuite):
    """Every operation through the gate."""


@pytest.mark.postgres
@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True, scope="module")
class TestProjectDialectOnPostgres(DialectSuite):
    """Every operation through the gate, on a server."""

    @pytest.fixture(scope="class")
    async def dialects(self, anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dialects]:
        """The dialect of a project on a server."""
        with postgres_databases(1) as (uri,):
            async with managing(tmp_path_factory.mktemp("suite")) as manager:
                suite = project(uri)

                async def opened() -> Dialect:
                    await manager.add_project(suite)
                    return manager.get(suite.name).dialect

                async with Dialects(opened) as found:
                    yield found


# --- what is its own ------------------------------------------------------------------------------------


@pytest.fixture
async def manager(anyio_backend: str, tmp_path: Path) -> AsyncIterator[HostManager]:
    """A manager of projects in files."""
    async with managing(tmp_path / "host") as manager:
        yield manager


@pytest.mark.anyio
async def test_what_it_can_is_known_before_it_is_open(manager: HostManager, two_uris: list[str]) -> None:  # noqa: F811
    """Its kind, its capabilities and its entities are the same with a connection and without."""
    one = project(two_uris[0], NOTE)
    await manager.add_project(one, open=False)
    dialect = manager.get(one.name).dialect
    told = dialect.name, dialect.capabilities, dialect.schemas()
    assert told == (one.dialect, CAPABILITIES[one.dialect], (NOTE, *DATA_PLANE_SCHEMAS))
    await dialect.ping()
    assert (dialect.name, dialect.capabilities, dialect.schemas()) == told


@pytest.mark.anyio
async def test_tables_are_known_once_it_is_open(manager: HostManager, tmp_path: Path) -> None:
    """Before, the error says what to await."""
    one = project(tmp_path / "one.db", NOTE)
    await manager.add_project(one, open=False)
    dialect = manager.get(one.name).dialect
    with pytest.raises(ProjectNotServed, match="ping"):
        dialect.table(NOTE)
    await dialect.ping()
    assert dialect.table(NOTE).name == "notes"


@pytest.mark.anyio
async def test_registered_schemas_stay_with_connections_that_follow(manager: HostManager, tmp_path: Path) -> None:
    """After it was closed, and when the project has moved; until the project has an entity of that name itself."""
    one = project(tmp_path / "one.db", NOTE)
    await manager.add_project(one)
    dialect = manager.get(one.name).dialect
    await dialect.register(TASK)
    await dialect.aclose()
    assert not manager.list()[0].open
    assert dialect.schemas() == (NOTE, *DATA_PLANE_SCHEMAS, TASK)
    assert await dialect.count(TASK) == 0
    await manager.add_project(project(tmp_path / "two.db", NOTE, id=one.project_id))
    assert await dialect.count(TASK) == 0
    wider = EntitySchema(name="Task", collection="tasks", fields={**TASK.fields, "rank": Field("integer")})
    await manager.add_project(project(tmp_path / "two.db", NOTE, wider, id=one.project_id))
    assert await dialect.count(wider) == 0
    with pytest.raises(EntityUnknown):
        await dialect.count(TASK)
    assert [schema.name for schema in manager.get(one.name).entities()] == ["Note", "Task"]


@pytest.mark.anyio
async def test_nothing_new_is_registered_in_a_transaction(manager: HostManager, tmp_path: Path) -> None:
    """What is known may be named again."""
    one = project(tmp_path / "one.db", NOTE)
    await manager.add_project(one)
    dialect = manager.get(one.name).dialect
    async with dialect.transaction():
        await dialect.register(NOTE)
        with pytest.raises(OperationUnsupported, match="within a transaction"):
            await dialect.register(TASK)


@pytest.mark.anyio
async def test_tenants_view_needs_no_connection(manager: HostManager, tmp_path: Path) -> None:
    """What is no tenant, or another than its own, is refused by its first operation; with a connection at once."""
    one = project(tmp_path / "one.db", OWNED)
    await manager.add_project(one, open=False)
    dialect = manager.get(one.name).dialect
    mine, nobodys = dialect.as_tenant("me"), dialect.as_tenant(None)
    await dialect.create_many(OWNED, [{"account": "me", "text": "a"}, {"account": "you", "text": "b"}])
    assert [row["text"] for row in await mine.find(OWNED)] == ["a"]
    assert [row["text"] async for row in mine.stream(OWNED)] == ["a"]
    async with mine.transaction():
        assert await mine.count(OWNED) == 1
    with pytest.raises(TenantRequired):
        await nobodys.count(OWNED)
    for refused in (None, "you"):
        with pytest.raises(TenantRequired):
            mine.as_tenant(refused)
    with pytest.raises(TenantRequired):
        dialect.as_tenant(None)
    await dialect.aclose()
    yours, again = mine.as_tenant("you"), mine.as_tenant("me")
    with pytest.raises(TenantRequired):
        await yours.count(OWNED)
    assert await again.count(OWNED) == 1


@pytest.mark.anyio
async def test_tasks_of_a_transaction_outlive_it_as_anybody(manager: HostManager, tmp_path: Path) -> None:
    """A task that was started within goes on after it, on the connection that the project has then."""
    one = project(tmp_path / "one.db", NOTE)
    await manager.add_project(one)
    dialect = manager.get(one.name).dialect
    ended, counts = anyio.Event(), []

    async def later() -> None:
        await ended.wait()
        counts.append(await dialect.count(NOTE))

    async with anyio.create_task_group() as tasks:
        async with dialect.transaction():
            tasks.start_soon(later)
            await dialect.create(NOTE, {"text": "kept"})
        await manager.add_project(project(tmp_path / "two.db", NOTE, id=one.project_id))
        ended.set()
    assert counts == [0]


@pytest.mark.anyio
async def test_a_first_use_within_another_projects_transaction(manager: HostManager, tmp_path: Path) -> None:
    """Opening it belongs to no transaction, also where the host's own data is looked at for it."""
    one, two = project(tmp_path / "one.db", NOTE), project(tmp_path / "two.db", NOTE)
    await manager.add_project(one)
    await manager.add_project(two, open=False)
    other = manager.get(two.name).dialect
    async with manager.get(one.name).dialect.transaction():
        await other.create(NOTE, {"text": "there"})
        assert await manager.get(one.name).dialect.count(NOTE) == 0
    assert await other.count(NOTE) == 1
