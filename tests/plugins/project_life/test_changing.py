"""What may be changed of a project, and other entities for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from objectkernel_project_life.contracts import InvalidProject, ProjectConflict, ProjectUnavailable, UriRefused
from objectkernel_system_dialect.contracts import CursorInvalid, EntitySchema, Field

from tests.plugins.project_life.hosts import NOTE, WIDER_NOTE, Hook, Trail, expect_consistent, host, spoil

pytestmark = pytest.mark.anyio

NUMBERED = EntitySchema(name="Note", collection="notes", fields={"title": Field("integer", required=True)})
TASK = EntitySchema(name="Task", collection="tasks", fields={"done": Field("boolean")})


async def test_an_update(tmp_path: Path) -> None:
    """Name, transports and pool are changed, and the manager has the new pool; the data is served on."""
    trail = Trail()
    async with host(tmp_path, trail) as at:
        project = await at.made()
        await at.write(project, "kept")
        changes = {"name": "New", "transports": ["rest", "mcp"], "pool_size": 9, "pool_min": 2}
        changed = (await at.projects.update_project("acme", project.id, changes)).expect_ok()
        assert changed is not None
        assert (changed.name, changed.transports, changed.pool_size, changed.pool_min) == (
            "New",
            ("rest", "mcp"),
            9,
            2,
        )
        assert changed.version == project.version + 1
        assert [state.pool_size for state in at.manager.list()] == [9]
        assert await at.titles(project) == ["kept"]
        again = (await at.projects.update_project("acme", project.id, changes)).expect_ok()
        assert again == changed
        await expect_consistent(at)
    assert trail.entries[1] == (
        "project.update",
        "acme",
        {"slug": "crm", "changed": ["name", "pool_min", "pool_size", "transports"]},
    )
    assert len(trail.entries) == 2


async def test_what_an_update_never_changes(tmp_path: Path) -> None:
    """defects.md, project-life 6: account, URI, status and id are no business of an update; nothing is changed."""
    async with host(tmp_path) as at:
        project = await at.made()
        before = await at.row(project.id)
        for field in ("account", "uri", "status", "id", "slug", "version", "nmae"):
            changes = {field: "bolt", "name": "Other", "pool_size": 0}
            result = await at.projects.update_project("acme", project.id, changes)
            assert isinstance(result.error, InvalidProject)
            assert {problem.partition(":")[0] for problem in result.error.why} == {field, "pool_size"}
        assert await at.row(project.id) == before


async def test_the_version_that_is_meant(tmp_path: Path) -> None:
    """A change that is meant for another version is a conflict."""
    async with host(tmp_path) as at:
        project = await at.made()
        stale = await at.projects.update_project("acme", project.id, {"name": "x"}, version=project.version - 1)
        assert isinstance(stale.error, ProjectConflict)
        fitting = await at.projects.update_project("acme", project.id, {"name": "x"}, version=project.version)
        assert fitting.ok


async def test_a_smaller_pool_than_its_minimum(tmp_path: Path) -> None:
    """Bounds hold for what a change and the row make together."""
    async with host(tmp_path) as at:
        project = await at.made(pool_size=5, pool_min=4)
        result = await at.projects.update_project("acme", project.id, {"pool_size": 3})
        assert isinstance(result.error, InvalidProject)
        assert (await at.projects.update_project("acme", project.id, {"pool_size": 3, "pool_min": 1})).ok


# --- schemas --------------------------------------------------------------------------------------------


async def test_other_schemas(tmp_path: Path) -> None:
    """Planned first, nothing happens; then tables are widened and made, and no row is lost."""
    trail = Trail()
    async with host(tmp_path, trail) as at:
        project = await at.made()
        await at.write(project, "kept")
        plan = await at.projects.plan_schemas("acme", project.id, [WIDER_NOTE, TASK])
        assert len(plan) == 2
        assert any("notes.body" in line for line in plan)
        assert any("tasks" in line for line in plan)
        assert await at.projects.plan_schemas("acme", project.id, [WIDER_NOTE, TASK]) == plan
        changed = (await at.projects.update_schemas("acme", project.id, [WIDER_NOTE, TASK])).expect_ok()
        assert changed is not None
        assert [schema["name"] for schema in changed.schemas] == ["Note", "Task"]
        service = at.manager.get(project.mproject_name)
        assert [(row["title"], row["body"]) for row in await service.repository("Note").find_all()] == [("kept", None)]
        await service.repository("Task").create({"done": True})
        assert await at.projects.plan_schemas("acme", project.id, [WIDER_NOTE, TASK]) == ()
        version = changed.version
        same = (await at.projects.update_schemas("acme", project.id, changed.schemas)).expect_ok()
        assert same is not None
        assert same.version == version
        fewer = await at.projects.update_schemas("acme", project.id, [WIDER_NOTE])
        assert fewer.ok
        back = await at.projects.update_schemas("acme", project.id, [WIDER_NOTE, TASK])
        assert back.ok
        assert await at.manager.get(project.mproject_name).repository("Task").count() == 1
        await expect_consistent(at)
    assert trail.entries[1] == ("project.schemas", "acme", {"slug": "crm", "entities": ["Note", "Task"]})


async def test_schemas_that_the_tables_cannot_have(tmp_path: Path) -> None:
    """The plan says why, the change is refused, and the project is served with what it had."""
    async with host(tmp_path) as at:
        project = await at.made()
        await at.write(project, "kept")
        with pytest.raises(InvalidProject, match="notes") as planned:
            await at.projects.plan_schemas("acme", project.id, [NUMBERED])
        result = await at.projects.update_schemas("acme", project.id, [NUMBERED])
        assert isinstance(result.error, InvalidProject)
        assert str(result.error) == str(planned.value)
        assert [schema["name"] for schema in (await at.projects.get("acme", project.id)).schemas] == ["Note"]
        assert await at.titles(project) == ["kept"]
        await expect_consistent(at)
        await at.projects.pause_project("acme", project.id)
        result = await at.projects.update_schemas("acme", project.id, [NUMBERED])
        assert str(result.error) == str(planned.value)
        spoil(at.file(f"{project.id}.db"))
        result = await at.projects.update_schemas("acme", project.id, [NUMBERED])
        assert isinstance(result.error, ProjectUnavailable), "that is no matter of the schemas"


async def test_what_is_no_schema(tmp_path: Path) -> None:
    """All problems are told, by the plan as by the change."""
    async with host(tmp_path) as at:
        project = await at.made()
        refused: list[Any] = ["x", [{"name": "A"}], [NOTE, NOTE], [3]]
        for schemas in refused:
            with pytest.raises(InvalidProject):
                await at.projects.plan_schemas("acme", project.id, schemas)
            assert isinstance((await at.projects.update_schemas("acme", project.id, schemas)).error, InvalidProject)


async def test_a_plan_of_a_database_that_is_away(tmp_path: Path) -> None:
    """The plan of a project that cannot be opened says so."""
    async with host(tmp_path) as at:
        project = await at.made(uri="sqlite:///first.db")
        await at.projects.pause_project("acme", project.id)
        assert len(await at.projects.plan_schemas("acme", project.id, [WIDER_NOTE])) == 1
        spoil(at.file("first.db"))
        with pytest.raises(ProjectUnavailable):
            await at.projects.plan_schemas("acme", project.id, [WIDER_NOTE])


async def test_a_plan_of_a_database_that_is_not_allowed_any_more(tmp_path: Path) -> None:
    """Settings hold for whoever looks, too: nothing connects to a place that projects may not have by now."""
    async with host(tmp_path) as at:
        project = await at.made()
    async with host(tmp_path, allowed_dialects=["postgres"]) as at:
        with pytest.raises(UriRefused, match="allowed_dialects"):
            await at.projects.plan_schemas("acme", project.id, [NOTE])


async def test_other_schemas_of_a_paused_project(tmp_path: Path) -> None:
    """They are tried, and it stays paused."""
    async with host(tmp_path) as at:
        project = await at.made()
        await at.projects.pause_project("acme", project.id)
        changed = (await at.projects.update_schemas("acme", project.id, [WIDER_NOTE])).expect_ok()
        assert changed is not None
        assert changed.status == "paused"
        assert at.manager.list() == ()
        await at.projects.resume_project("acme", project.id)
        await at.write(project, "x")


# --- lists ----------------------------------------------------------------------------------------------


async def test_lists(tmp_path: Path) -> None:
    """By account, by state, by age, in pages whose cursors hold while others come and go."""
    async with host(tmp_path) as at:
        made = [await at.made(f"p{number}") for number in range(5)]
        await at.made("theirs", account="bolt")
        await at.projects.pause_project("acme", made[1].id)
        page = await at.projects.list("acme", limit=2)
        assert [project.slug for project in page.projects] == ["p0", "p1"]
        assert page.next is not None
        await at.projects.deprovision_project("acme", made[0].id)
        rest = await at.projects.list("acme", limit=200, after=page.next)
        assert [project.slug for project in rest.projects] == ["p2", "p3", "p4"]
        assert rest.next is None
        paused = await at.projects.list("acme", status="paused")
        assert [project.slug for project in paused.projects] == ["p1"]
        assert len((await at.projects.list(None)).projects) == 5
        with pytest.raises(CursorInvalid):
            await at.projects.list("acme", after="rubbish")
        for limit in (0, 201):
            with pytest.raises(InvalidProject):
                await at.projects.list("acme", limit=limit)


async def test_an_update_meets_an_operation(tmp_path: Path) -> None:
    """While something is done to a project an update is a conflict, and does not disturb it."""
    hook = Hook()
    async with host(tmp_path, at_step=hook) as at:
        project = await at.made()
        errors: list[object] = []

        async def update() -> None:
            errors.append((await at.projects.update_project("acme", project.id, {"name": "x"})).error)

        hook.doings["pause.closed"] = update
        assert (await at.projects.pause_project("acme", project.id)).ok
        assert [type(error) for error in errors] == [ProjectConflict]
