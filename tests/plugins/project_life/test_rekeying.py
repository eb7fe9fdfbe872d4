"""Another key for all URIs, while projects are served, changed and moved."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from objectkernel_project_life.contracts import ProjectConfig, ProjectConflict
from objectkernel_project_life.encryption_keys import parse_keys

from tests.plugins.project_life.hosts import KEY, NEW_KEY, Hook, expect_consistent, host, there

pytestmark = pytest.mark.anyio

BOTH = f"{NEW_KEY},{KEY}"
NEW_ID = parse_keys(NEW_KEY)[0].id


async def test_a_project_that_something_is_done_to(tmp_path: Path) -> None:
    """Its turn comes when that is done: the operation is not disturbed, and no row is left out."""
    async with host(tmp_path) as at:
        busy, idle = await at.made("busy"), await at.made("idle")
    hook = Hook()
    async with host(tmp_path, keys=BOTH, at_step=hook) as at, anyio.create_task_group() as tasks:
        progress: list[tuple[int, int]] = []

        async def rotate() -> None:
            progress.extend([(one.done, one.total) async for one in at.projects.rotate_key()])

        async def meanwhile() -> None:
            tasks.start_soon(rotate)
            with anyio.fail_after(60):
                while (await at.row(idle.id))["uri_key"] != NEW_ID:
                    await anyio.sleep(0.01)
            assert (await at.row(busy.id))["uri_key"] != NEW_ID

        hook.doings["pause.closed"] = meanwhile
        paused = there(await at.projects.pause_project("acme", busy.id))
        assert paused.status == "paused"
    assert progress[-1] == (2, 2)
    async with host(tmp_path, keys=NEW_KEY) as at:
        assert {row["uri_key"] for row in (await at.rows()).values()} == {NEW_ID}
        there(await at.projects.resume_project("acme", busy.id))
        await expect_consistent(at)


@pytest.mark.parametrize("change", ["name", "place"])
async def test_a_change_at_the_same_moment(tmp_path: Path, change: str) -> None:
    """A row that somebody changes, or moves, while its URI is encrypted anew keeps the change and gets the key."""
    async with host(tmp_path) as at:
        project = await at.made(uri="sqlite:///first.db")
    hook = Hook()
    async with host(tmp_path, keys=BOTH, at_step=hook) as at:

        async def meanwhile() -> None:
            if change == "name":
                there(await at.projects.update_project("acme", project.id, {"name": "Other"}))
            else:
                there(await at.projects.rotate_uri("acme", project.id, "sqlite:///second.db"))

        hook.doings["rotate_key.encrypted"] = meanwhile
        assert [one.done async for one in at.projects.rotate_key()][-1] == 1
        assert not hook.doings
    async with host(tmp_path, keys=NEW_KEY) as at:
        shown = await at.projects.get("acme", project.id)
        assert (shown.name, shown.uri) == (
            ("Other", "sqlite:///first.db") if change == "name" else (project.name, "sqlite:///second.db")
        )
        await expect_consistent(at)


async def test_a_database_is_still_one_projects_own(tmp_path: Path) -> None:
    """What tells that a place is taken has the new key too, so that it is found when the old key is gone."""
    async with host(tmp_path) as at:
        project = await at.made(uri="sqlite:///own.db")
        await at.projects.pause_project("acme", project.id)
    async with host(tmp_path, keys=BOTH) as at:
        assert [one.done async for one in at.projects.rotate_key()] == [1]
    async with host(tmp_path, keys=NEW_KEY) as at:
        result = await at.projects.provision_project("acme", ProjectConfig(name="b", slug="b", uri="sqlite:///own.db"))
        assert isinstance(result.error, ProjectConflict)
        assert list(await at.rows()) == [project.id]
