"""Pausing and resuming."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from objectkernel_project_life.contracts import (
    OperationResult,
    ProjectConflict,
    ProjectMissing,
    ProjectNotServed,
    ProjectUnavailable,
    UriUnreadable,
)
from objectkernel_project_life.steps import STEPS
from objectkernel_project_life.storage import Record, Register

from tests.plugins.project_life.hosts import NEW_KEY, Hook, Trail, expect_consistent, host, spoil
from tests.plugins.project_life.managers import OwnManager

pytestmark = pytest.mark.anyio

PAUSE_STEPS = [step for step in STEPS if step.startswith("pause.")]
RESUME_STEPS = [step for step in STEPS if step.startswith("resume.") and step != "resume.failed"]


async def test_paused_and_resumed(tmp_path: Path) -> None:
    """A paused project has no connection and refuses operations; resumed it has its data, and its repositories work."""
    trail = Trail()
    async with host(tmp_path, trail) as at:
        project = await at.made()
        await at.write(project, "kept")
        notes = at.manager.get(project.mproject_name).repository("Note")
        paused = (await at.projects.pause_project("acme", project.id)).expect_ok()
        assert paused is not None
        assert (paused.status, paused.transition) == ("paused", None)
        assert not at.manager.has_project(project.mproject_name)
        with pytest.raises(ProjectNotServed):
            await notes.find_all()
        result = await at.projects.resume_project("acme", project.id)
        assert result.ok
        assert result.project is not None
        assert result.project.status == "active"
        assert result.mproject_name == project.mproject_name
        assert [row["title"] for row in await notes.find_all()] == ["kept"]
        await expect_consistent(at)
    assert trail.actions == ["project.provision", "project.pause", "project.resume"]
    assert [account for _, account, _ in trail.entries] == ["acme"] * 3


async def test_asked_for_twice(tmp_path: Path) -> None:
    """defects.md, project-life 4: resuming an active project, pausing a paused one: ok, and nothing changes."""
    async with host(tmp_path) as at:
        project = await at.made()
        before = await at.row(project.id)
        result = await at.projects.resume_project("acme", project.id)
        assert result.ok
        assert await at.row(project.id) == before
        await at.projects.pause_project("acme", project.id)
        before = await at.row(project.id)
        result = await at.projects.pause_project("acme", project.id)
        assert result.ok
        assert await at.row(project.id) == before
        await expect_consistent(at)


@pytest.mark.parametrize("first", ["pause", "resume"])
async def test_two_at_once(tmp_path: Path, first: str) -> None:
    """Of callers that come at once one wins; the others have a clear conflict."""
    async with host(tmp_path) as at:
        project = await at.made()
        if first == "resume":
            await at.projects.pause_project("acme", project.id)
        results: list[OperationResult] = []

        async def ask(number: int) -> None:
            operation = at.projects.pause_project if first == "pause" else at.projects.resume_project
            results.append(await operation("acme", project.id))

        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(ask, number)
        told = Counter(type(result.error) for result in results)
        assert told == {type(None): 1, ProjectConflict: 4}
        await expect_consistent(at)
        assert (await at.row(project.id))["status"] == ("paused" if first == "pause" else "active")


async def test_of_another_account(tmp_path: Path) -> None:
    """defects.md, project-life 6: another account's project is as one that is not there, also while it is busy."""
    hook = Hook()
    async with host(tmp_path, at_step=hook) as at:
        project = await at.made()
        answers: list[OperationResult] = []

        async def try_too() -> None:
            answers.append(await at.projects.pause_project("bolt", project.id))

        hook.doings["pause.intended"] = try_too
        await at.projects.pause_project("acme", project.id)
        answers += [
            await at.projects.resume_project("bolt", project.id),
            await at.projects.deprovision_project("bolt", project.id),
            await at.projects.update_project("bolt", project.id, {"name": "mine"}),
            await at.projects.rotate_uri("bolt", project.id, "sqlite:///mine.db"),
            await at.projects.update_schemas("bolt", project.id, []),
            await at.projects.pause_project("acme", "nothing"),
            await at.projects.pause_project("acme", "x" * 5000),
        ]
        assert [type(answer.error) for answer in answers] == [ProjectMissing] * 8
        with pytest.raises(ProjectMissing):
            await at.projects.get("bolt", project.id)
        with pytest.raises(ProjectMissing):
            await at.projects.plan_schemas("bolt", project.id, [])
        assert (await at.projects.list("bolt")).projects == ()
        assert (await at.projects.resume_project(None, project.id)).ok


async def test_resuming_fails(tmp_path: Path) -> None:
    """It is in error then, with the reason; resumed again once its file is sound it is active."""
    async with host(tmp_path) as at:
        project = await at.made(uri="sqlite:///first.db")
        await at.projects.pause_project("acme", project.id)
        sound = at.file("first.db").read_bytes()
        spoil(at.file("first.db"))
        result = await at.projects.resume_project("acme", project.id)
        assert isinstance(result.error, ProjectUnavailable)
        row = await at.row(project.id)
        assert (row["status"], row["transition"]) == ("error", None)
        assert "[L104]" in row["error"]
        assert await at.projects.pause_project("acme", project.id)
        assert (await at.row(project.id))["error"] is None
        await at.projects.resume_project("acme", project.id)
        at.file("first.db").write_bytes(sound)
        assert (await at.projects.resume_project("acme", project.id)).ok
        row = await at.row(project.id)
        assert (row["status"], row["error"]) == ("active", None)
        await expect_consistent(at)


async def test_a_wrong_key(tmp_path: Path) -> None:
    """defects.md, project-life 4: a wrong key is an error of the project, which names it, and no exception."""
    async with host(tmp_path) as at:
        project = await at.made()
        await at.projects.pause_project("acme", project.id)
    async with host(tmp_path, keys=NEW_KEY) as at:
        result = await at.projects.resume_project("acme", project.id)
        assert isinstance(result.error, UriUnreadable | ProjectUnavailable)
        row = await at.row(project.id)
        assert row["status"] == "error"
        assert row["uri_key"] in row["error"]
        shown = await at.projects.get("acme", project.id)
        assert shown.uri == "***"
    async with host(tmp_path) as at:
        assert (await at.projects.resume_project("acme", project.id)).ok


@pytest.mark.slow
@pytest.mark.parametrize("step", [*PAUSE_STEPS, *RESUME_STEPS])
@pytest.mark.parametrize("how", ["cancelled", "failed"])
async def test_interrupted_on_the_way(tmp_path: Path, step: str, how: str) -> None:
    """Whoever is cancelled, or meets an error, leaves a state that is one, and connections that agree with it."""
    hook = Hook()
    async with host(tmp_path, at_step=hook) as at:
        project = await at.made()
        if step in RESUME_STEPS:
            await at.projects.pause_project("acme", project.id)
        operation = at.projects.pause_project if step in PAUSE_STEPS else at.projects.resume_project
        with anyio.CancelScope() as scope:

            async def cancel() -> None:
                scope.cancel()
                await anyio.sleep(0)

            async def fail() -> None:
                raise ZeroDivisionError

            hook.doings[step] = cancel if how == "cancelled" else fail
            if how == "cancelled":
                await operation("acme", project.id)
            else:
                with pytest.raises(ZeroDivisionError):
                    await operation("acme", project.id)
        assert scope.cancelled_caught == (how == "cancelled")
        await expect_consistent(at)
        done = {"pause.begin": "active", "resume.confirmed": "active"}
        assert (await at.row(project.id))["status"] == done.get(step, "paused")
        assert (await operation("acme", project.id)).ok
        await expect_consistent(at)


async def test_a_manager_of_the_hosts_own(tmp_path: Path) -> None:
    """Any manager will do: it is asked to open, and to remove. What it refuses is in error, and tried again."""
    manager = OwnManager()
    async with host(tmp_path, manager=manager) as at:
        project = await at.made()
        await at.projects.pause_project("acme", project.id)
        await at.projects.resume_project("acme", project.id)
        assert manager.log == ["add open", "remove", "add open"]
    manager = OwnManager()
    manager.failing, manager.refusing = ValueError, True
    async with host(tmp_path, manager=manager) as at:
        assert (await at.row(project.id))["status"] == "error"
        assert "ValueError" in (await at.row(project.id))["error"]
        await at.projects.retry_failed(now=True)
        assert (await at.row(project.id))["status"] == "error"
        manager.failing = None
        await at.projects.retry_failed(now=True)
        assert (await at.row(project.id))["status"] == "active"
        await expect_consistent(at)


async def test_cancelled_while_the_intent_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is cancelled then leaves nothing half done."""
    async with host(tmp_path) as at:
        project = await at.made()
        change = Register.change
        with anyio.CancelScope() as scope:

            async def cut(self: Register, record: Record, **changes: Any) -> Record | None:
                changed = await change(self, record, **changes)
                scope.cancel()
                await anyio.lowlevel.checkpoint()
                return changed

            with monkeypatch.context() as patching:
                patching.setattr(Register, "change", cut)
                await at.projects.pause_project("acme", project.id)
        assert scope.cancelled_caught
        await expect_consistent(at)
