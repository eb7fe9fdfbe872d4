"""Deprovisioning: the connection and the row go, the tenant's database stays."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from objectkernel_project_life.contracts import ProjectConfig, ProjectConflict, ProjectMissing, ProjectNotServed
from objectkernel_project_life.steps import STEPS

from tests.plugins.project_life.hosts import NOTE, Hook, Trail, expect_consistent, host, spoil

pytestmark = pytest.mark.anyio

END_STEPS = [step for step in STEPS if step.startswith("deprovision.")]


async def test_ended(tmp_path: Path) -> None:
    """There is no row and no connection; the file is as it was, and a new project finds its rows."""
    trail = Trail()
    async with host(tmp_path, trail) as at:
        project = await at.made(uri="sqlite:///first.db")
        await at.write(project, "kept")
        notes = at.manager.get(project.mproject_name).repository("Note")
        result = await at.projects.deprovision_project("acme", project.id)
        assert result.ok
        assert (result.project, result.mproject_name) == (None, project.mproject_name)
        assert not await at.rows()
        assert at.manager.list() == ()
        with pytest.raises(ProjectNotServed):
            await notes.count()
        with pytest.raises(ProjectMissing):
            await at.projects.get("acme", project.id)
        again = await at.projects.deprovision_project("acme", project.id)
        assert isinstance(again.error, ProjectMissing)
        other = await at.made("crm", uri="sqlite:///first.db")
        assert await at.titles(other) == ["kept"]
    assert trail.actions == ["project.provision", "project.deprovision", "project.provision"]


@pytest.mark.parametrize("state", ["paused", "error"])
async def test_from_any_state(tmp_path: Path, state: str) -> None:
    """A paused project can be ended, and one in error too."""
    async with host(tmp_path) as at:
        project = await at.made(uri="sqlite:///first.db")
        await at.projects.pause_project("acme", project.id)
        if state == "error":
            spoil(at.file("first.db"))
            await at.projects.resume_project("acme", project.id)
        assert (await at.row(project.id))["status"] == state
        assert (await at.projects.deprovision_project("acme", project.id)).ok
        assert not await at.rows()
        await expect_consistent(at)


async def test_everybody_else_has_a_conflict(tmp_path: Path) -> None:
    """While a project is ended nothing else is done to it, and its slug is taken until it is gone."""
    hook = Hook()
    async with host(tmp_path, at_step=hook) as at:
        project = await at.made()
        errors: list[object] = []

        async def come_too() -> None:
            projects = at.projects
            errors.append((await projects.deprovision_project("acme", project.id)).error)
            errors.append((await projects.resume_project("acme", project.id)).error)
            errors.append((await projects.update_project("acme", project.id, {"name": "x"})).error)
            errors.append((await projects.update_schemas("acme", project.id, [NOTE])).error)
            errors.append((await projects.provision_project("acme", ProjectConfig(name="x", slug="crm"))).error)
            assert (await projects.get("acme", project.id)).status == "deprovisioning"

        hook.doings["deprovision.closed"] = come_too
        assert (await at.projects.deprovision_project("acme", project.id)).ok
        assert [type(error) for error in errors] == [ProjectConflict] * 5


@pytest.mark.slow
@pytest.mark.parametrize("step", END_STEPS)
@pytest.mark.parametrize("how", ["cancelled", "failed"])
async def test_interrupted_on_the_way(tmp_path: Path, step: str, how: str) -> None:
    """What was begun is ended, whoever is cancelled or meets an error."""
    hook = Hook()
    async with host(tmp_path, at_step=hook) as at:
        project = await at.made()
        with anyio.CancelScope() as scope:

            async def cancel() -> None:
                scope.cancel()
                await anyio.sleep(0)

            async def fail() -> None:
                raise ZeroDivisionError

            hook.doings[step] = cancel if how == "cancelled" else fail
            if how == "cancelled":
                await at.projects.deprovision_project("acme", project.id)
            else:
                with pytest.raises(ZeroDivisionError):
                    await at.projects.deprovision_project("acme", project.id)
        await expect_consistent(at)
        assert len(await at.rows()) == (step == "deprovision.begin")
