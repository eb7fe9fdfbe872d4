"""What a greedy tenant would take from the others: the host's time, its files, its own migrations."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from objectkernel import Plugin, contributes
from objectkernel_project_life.contracts import InvalidProject, ManagedProject
from objectkernel_project_life.crowd import Crowd
from objectkernel_project_life.manager import HostManager
from objectkernel_system_dialect.contracts import (
    DATA_PLANE_SCHEMAS,
    MIGRATIONS,
    EntitySchema,
    Field,
    Index,
    Migration,
    Relation,
)
from objectkernel_system_dialect.migration_runs import MigrationStep

from tests.plugins.project_life import project_databases
from tests.plugins.project_life.hosts import NOTE, host
from tests.plugins.project_life.project_databases import managing, project

pytestmark = pytest.mark.anyio


def entity(number: int, fields: int = 1, **given: Any) -> EntitySchema:
    """An entity with so many fields."""
    columns = {f"field_{one}": Field("string") for one in range(fields)}
    return EntitySchema(name=f"Entity{number}", collection=f"rows_{number}", fields=columns, **given)


LINKS: Final = {f"to_{one}": Relation(f"Entity{one}", kind="many-to-many") for one in range(40)}
GREEDY: Final[dict[str, list[EntitySchema]]] = {
    "251 are more": [entity(number) for number in range(251)],
    "Entity0 has 251": [entity(0, 251)],
    "Entity0 has 252": [entity(0, 200, indexes=tuple(Index((f"field_{one}",)) for one in range(52)))],
    "together they have 3250": [entity(number, 250) for number in range(13)],
    "1600 many-to-many relations": [entity(number, relations=LINKS) for number in range(40)],
    "longer than 262144": [
        EntitySchema(name="Entity0", collection="rows", fields={"a": Field("text", default="x" * 262_144)})
    ],
}


@pytest.mark.parametrize("told", GREEDY)
async def test_schemas_that_would_keep_others_waiting(tmp_path: Path, told: str) -> None:
    """How many entities, fields and links a project may have is bounded: they are worked out at every opening."""
    async with host(tmp_path) as at:
        made = await at.made()
        refused = (await at.projects.update_schemas("acme", made.id, GREEDY[told])).error
        assert isinstance(refused, InvalidProject) and told in "\n".join(refused.why)
        assert [schema["name"] for schema in (await at.row(made.id))["schemas"]] == ["Note"]


async def test_the_collections_of_the_data_plane_are_taken(tmp_path: Path) -> None:
    """Who would have them is told so, as with other schemas that do not go together."""
    (kept,) = DATA_PLANE_SCHEMAS
    async with host(tmp_path) as at:
        made = await at.made()
        for schema in (
            EntitySchema(name="Mine", collection=kept.collection, fields={"id": Field("string")}),
            EntitySchema(name=kept.name, collection="mine", fields={"id": Field("string")}),
        ):
            assert isinstance((await at.projects.update_schemas("acme", made.id, [schema])).error, InvalidProject)


async def test_what_no_database_can_store(tmp_path: Path) -> None:
    """It is the caller's mistake, and no failure of the host."""
    odd = EntitySchema(name="Odd", collection="odd", fields={"a": Field("enum", enum=("\ud800", "b"))})
    async with host(tmp_path) as at:
        made = await at.made()
        refused = (await at.projects.update_schemas("acme", made.id, [odd])).error
        assert isinstance(refused, InvalidProject) and "surrogate" in refused.why[0]


# --- files ----------------------------------------------------------------------------------------------------


async def test_no_more_files_are_open_than_may_be(tmp_path: Path) -> None:
    """Those that nobody uses make room, and are there again when somebody needs them; those in use stay open."""
    projects = [project(tmp_path / f"{number}.db", project_databases.NOTE) for number in range(6)]
    async with managing(tmp_path, max_open_files=2) as manager:
        first, *others = projects
        await manager.add_project(first)
        async with manager.get(first.name).dialect.transaction():
            for one in others:
                await manager.add_project(one)
                assert manager.tally().open == 2 and open_ones(manager) == {first.name, one.name}

        async def write(one: ManagedProject) -> None:
            for number in range(3):
                await manager.get(one.name).repository("Note").create({"text": str(number)})

        async with anyio.create_task_group() as tasks:
            for one in projects:
                tasks.start_soon(write, one)
        for one in projects:
            assert await manager.get(one.name).repository("Note").count() == 3
        assert manager.tally().open == 2


async def test_what_is_used_is_not_closed(tmp_path: Path) -> None:
    """Of two that are open that one goes which was not used since the last one came."""
    used, unused, *more = (project(tmp_path / f"{number}.db", project_databases.NOTE) for number in range(4))
    async with managing(tmp_path, max_open_files=2) as manager:
        await manager.add_project(used)
        await manager.add_project(unused)
        for number, one in enumerate(more):
            await manager.get(used.name).repository("Note").count()
            await manager.add_project(one)
            assert open_ones(manager) == {used.name, one.name}, number


def open_ones(manager: HostManager) -> set[str]:
    return {state.name for state in manager.list() if state.open}


def test_files_are_fewer_where_the_system_allows_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what the process may open is left to the host itself."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert Crowd(250).most == 32
    assert Crowd(10).most == 10
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert Crowd(250).most == 250


# --- migrations -----------------------------------------------------------------------------------------------


class Renaming(Plugin):
    """Has a migration of its table ``notes``."""

    name = "renaming"

    def __init__(self) -> None:
        self.ran = 0

    @contributes(MIGRATIONS, uses=())
    def migration(self) -> Migration:
        def apply(step: MigrationStep) -> None:
            self.ran += 1

        return Migration("renaming", 1, "rename", apply, collections="notes")


async def test_migrations_of_the_host_leave_projects_alone(tmp_path: Path) -> None:
    """A tenant's table is called as it likes; what a plugin changes in its own is no affair of it."""
    renaming = Renaming()
    async with host(tmp_path) as at:
        made = await at.made()
        await at.write(made, "kept")
    wider = EntitySchema(name="Note", collection="notes", fields={**NOTE.fields, "body": Field("text")})
    async with host(tmp_path, renaming) as at:
        plan = await at.projects.plan_schemas("acme", made.id, [wider])
        assert len(plan) == 1 and "body" in plan[0]
        assert (await at.projects.update_schemas("acme", made.id, [wider])).ok
        assert await at.titles(made) == ["kept"]
    assert renaming.ran == 0
