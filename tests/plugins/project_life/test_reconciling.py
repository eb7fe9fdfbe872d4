"""Following other hosts, ending what they have left, and trying again what could not be opened."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from objectkernel_project_life import reconciling, retrying
from objectkernel_project_life.contracts import ProjectConfig, ProjectUnavailable
from objectkernel_project_life.schema import PROJECT_SCHEMA
from objectkernel_project_life.storage import Register

from tests.plugins.project_life.hosts import KEY, NEW_KEY, Hook, Host, Trail, expect_consistent, host, spoil
from tests.plugins.project_life.managers import OwnManager
from tests.plugins.project_life.test_two_hosts import two_hosts

pytestmark = pytest.mark.anyio


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        for module in (reconciling, retrying):
            monkeypatch.setattr(module, "monotonic", lambda: self.now)


async def left(at: Host, id: str, **changes: object) -> None:
    """Let a row be as a host that is gone would have left it."""
    await at.dialect.update(PROJECT_SCHEMA, id, changes)


async def test_each_change_arrives(tmp_path: Path) -> None:
    """What one host makes, pauses, resumes, moves, ends is so on the other after one round."""
    async with two_hosts(tmp_path, None) as (one, other):
        project = await one.made(uri="sqlite:///a.db")
        await other.projects.reconcile()
        await one.write(project, "from one")
        assert await other.titles(project) == ["from one"]
        notes = other.manager.get(project.mproject_name).repository("Note")
        await one.projects.pause_project("acme", project.id)
        await other.projects.reconcile()
        assert not other.manager.has_project(project.mproject_name)
        await one.projects.resume_project("acme", project.id)
        await other.projects.reconcile()
        assert [row["title"] for row in await notes.find_all()] == ["from one"]
        await one.projects.rotate_uri("acme", project.id, "sqlite:///b.db")
        await other.projects.reconcile()
        assert await notes.find_all() == []
        await one.projects.deprovision_project("acme", project.id)
        await other.projects.reconcile()
        await expect_consistent(other)
        assert other.manager.list() == ()


async def test_nothing_new_costs_one_small_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a change the rows are not read; every twelfth round they are."""
    async with host(tmp_path) as at:
        await at.made()
        await at.projects.reconcile()
        read: list[int] = []
        sights = Register.sights

        async def counted(self: Register) -> object:
            read.append(1)
            return await sights(self)

        monkeypatch.setattr(Register, "sights", counted)
        for _ in range(reconciling.ALL_THE_SAME - 1):
            await at.projects.reconcile()
        assert not read
        await at.projects.reconcile()
        assert len(read) == 1


async def test_a_key_that_is_changed_interrupts_nobody(tmp_path: Path) -> None:
    """A URI that is encrypted anew is no other place: the connection of each host stays."""
    async with host(tmp_path) as at:
        project = await at.made()
    keys = f"{NEW_KEY},{KEY}"
    async with host(tmp_path, keys=keys) as one, host(tmp_path, keys=keys) as other:
        for at in (one, other):
            await at.manager.try_project(project.mproject_name)
        assert [progress.done async for progress in one.projects.rotate_key()] == [1]
        for at in (one, other):
            await at.projects.reconcile()
            assert [state.open for state in at.manager.list()] == [True]
    async with host(tmp_path, keys=NEW_KEY) as at:
        assert await at.titles(project) == []


async def test_what_a_host_has_left_is_ended_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transition that stands still for longer than anybody can be at it is ended without a restart; not before."""
    clock, trail = Clock(monkeypatch), Trail()
    async with host(tmp_path, trail, open_timeout=3.0, pause_deadline=2.0) as at:
        project = await at.made()
        await left(at, project.id, transition="pausing")
        await at.projects.reconcile()
        clock.now += 9.9
        await at.projects.reconcile()
        assert (await at.row(project.id))["transition"] == "pausing"
        assert await at.titles(project) == []  # it is served until somebody has ended that
        clock.now += 0.2
        await at.projects.reconcile()
        row = await at.row(project.id)
        assert (row["status"], row["transition"]) == ("paused", None)
        await expect_consistent(at)
    assert trail.entries[-1] == ("project.pause", "acme", {"slug": "crm", "healed": True})


async def test_another_transition_has_its_own_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that has changed since is somebody's who is at work."""
    clock = Clock(monkeypatch)
    async with host(tmp_path, open_timeout=3.0, pause_deadline=2.0) as at:
        project = await at.made()
        await left(at, project.id, transition="pausing")
        await at.projects.reconcile()
        clock.now += 9.0
        await left(at, project.id, transition="rotating", next_schemas=[])
        await at.projects.reconcile()
        clock.now += 9.0
        await at.projects.reconcile()
        assert (await at.row(project.id))["transition"] == "rotating"
        clock.now += 2.0
        await at.projects.reconcile()
        assert (await at.projects.get("acme", project.id)).schemas == ()
        await expect_consistent(at)


async def test_an_operation_is_not_disturbed(tmp_path: Path) -> None:
    """A host that reconciles in the middle of its own operation leaves that project to it."""
    hook = Hook()
    async with host(tmp_path, at_step=hook) as at:

        async def reconcile() -> None:
            await at.projects.reconcile()

        for step in ("provision.opened", "resume.opened", "pause.closed", "rotate.opened"):
            hook.doings[step] = reconcile
        project = await at.made(uri="sqlite:///a.db")
        await at.write(project, "kept")
        await at.projects.pause_project("acme", project.id)
        await at.projects.resume_project("acme", project.id)
        await at.projects.rotate_uri("acme", project.id, "sqlite:///b.db")
        assert not hook.doings
        await at.projects.reconcile()
        await expect_consistent(at)


# --- what could not be opened ---------------------------------------------------------------------------------


async def test_found_broken_when_it_is_needed(tmp_path: Path) -> None:
    """A lazy project whose database is gone is in error once somebody has needed it; a retry mends that."""
    async with host(tmp_path) as at:
        project = await at.made(uri="sqlite:///a.db")
    sound = at.file("a.db").read_bytes()
    spoil(at.file("a.db"))
    async with host(tmp_path) as at:
        with pytest.raises(ProjectUnavailable):
            await at.titles(project)
        await eventually(at, project.id, "error")
        assert "[L104]" in (await at.row(project.id))["error"]
        at.file("a.db").write_bytes(sound)
        await at.projects.retry_failed(now=True)
        assert (await at.row(project.id))["status"] == "active"
        assert await at.titles(project) == []
        await expect_consistent(at)


async def eventually(at: Host, id: str, status: str) -> None:
    """Until the row says so: what the manager tells is written by a task of its own."""
    with anyio.fail_after(30):
        while (await at.row(id))["status"] != status:
            await anyio.sleep(0.01)


async def test_pauses_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """defects.md, project-life 4: what failed is tried again, after pauses that double up to the longest."""
    clock = Clock(monkeypatch)
    monkeypatch.setattr(retrying.random, "uniform", lambda least, most: most)
    manager = OwnManager()
    async with host(tmp_path, manager=manager, retry_first=1.0, retry_longest=5.0) as at:
        project = await at.made()
        await at.projects.pause_project("acme", project.id)
        manager.failing = OSError
        await at.projects.resume_project("acme", project.id)
        version = (await at.row(project.id))["version"]
        tries: list[float] = []
        for _ in range(220):
            before = manager.log.count("ping")
            await at.projects.retry_failed()
            if manager.log.count("ping") > before:
                tries.append(round(clock.now - 1000, 1))
            clock.now += 0.1
        assert tries == [1.0, 3.0, 7.0, 12.0, 17.0]
        assert (await at.row(project.id))["version"] == version  # the same reason is written once
        manager.failing = None
        await at.projects.retry_failed(now=True)
        assert (await at.row(project.id))["status"] == "active"
        assert (await at.row(project.id))["error"] is None


async def test_another_host_has_mended_it(tmp_path: Path) -> None:
    """The one that comes second finds it active, and is content."""
    async with two_hosts(tmp_path, None) as (one, other):
        project = await one.made(uri="sqlite:///a.db")
        await one.projects.pause_project("acme", project.id)
        sound = one.file("a.db").read_bytes()
        spoil(one.file("a.db"))
        await one.projects.resume_project("acme", project.id)
        await other.projects.reconcile()
        one.file("a.db").write_bytes(sound)
        await one.projects.retry_failed(now=True)
        await other.projects.retry_failed(now=True)
        await other.projects.reconcile()
        for at in (one, other):
            await expect_consistent(at)
        assert (await one.row(project.id))["status"] == "active"


async def test_in_the_background(tmp_path: Path) -> None:
    """Without anybody asking, a host follows the other, and opens again what can be opened."""
    settings = {"reconcile_interval": 0.05, "retry_first": 0.05, "retry_longest": 0.1}
    async with host(tmp_path) as one, host(tmp_path, **settings) as other:
        project = await one.made(uri="sqlite:///a.db")
        await one.projects.pause_project("acme", project.id)
        sound = one.file("a.db").read_bytes()
        spoil(one.file("a.db"))
        result = await one.projects.resume_project("acme", project.id)
        assert not result.ok
        one.file("a.db").write_bytes(sound)
        await eventually(other, project.id, "active")
        assert await other.titles(project) == []
        ended = await one.projects.provision_project("acme", ProjectConfig(name="x", slug="x"))
        assert ended.ok
