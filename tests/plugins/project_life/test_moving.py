"""Another address for a project: tried before the old one is left."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from objectkernel_project_life.contracts import (
    InvalidProject,
    ProjectConflict,
    ProjectUnavailable,
    UriRefused,
)
from objectkernel_project_life.steps import STEPS

from tests.plugins.project_life.hosts import Hook, Trail, expect_consistent, host, spoil
from tests.plugins.project_life.managers import OwnManager

pytestmark = pytest.mark.anyio

ROTATE_STEPS = [step for step in STEPS if step.startswith("rotate.") and step != "rotate.failed"]
SERVERS = {"allowed_hosts": ["127.0.0.1"]}


async def test_moved(tmp_path: Path) -> None:
    """An active project goes on at the other place, which is brought to its schemas; the old file stays as it is."""
    trail = Trail()
    async with host(tmp_path, trail) as at:
        project = await at.made(uri="sqlite:///first.db")
        notes = at.manager.get(project.mproject_name).repository("Note")
        await notes.create({"title": "old"})
        moved = (await at.projects.rotate_uri("acme", project.id, "sqlite:///other.db")).expect_ok()
        assert moved is not None
        assert (moved.status, moved.uri) == ("active", "sqlite:///other.db")
        assert await notes.find_all() == []
        await notes.create({"title": "new"})
        back = await at.projects.rotate_uri("acme", project.id, "sqlite:///first.db")
        assert back.ok
        assert await at.titles(project) == ["old"]
        await expect_consistent(at)
        row = await at.row(project.id)
        assert (row["next_uri"], row["next_place"]) == (None, None)
    assert trail.actions[1:] == ["project.rotate-uri"] * 2
    assert "sqlite" not in repr(trail.entries[1:])


async def test_another_password(tmp_path: Path) -> None:
    """The same database with another password is the project's own place, and no conflict with itself."""
    manager = OwnManager()
    async with host(tmp_path, manager=manager, **SERVERS) as at:
        project = await at.made(uri="postgresql://clerk:one@127.0.0.1:5432/crm")
        result = await at.projects.rotate_uri("acme", project.id, "postgresql://clerk:two@127.0.0.1:5432/crm")
        assert result.ok
        assert manager.projects[project.mproject_name].reveal().reveal().count("two") == 1


async def test_the_new_place_cannot_be_opened(tmp_path: Path) -> None:
    """It stays where it was, and is served all the time."""
    hook = Hook()
    async with host(tmp_path, at_step=hook) as at:
        project = await at.made(uri="sqlite:///first.db")
        await at.write(project, "kept")
        spoil(at.file("broken.db"))
        served: list[list[str]] = []

        async def look() -> None:
            served.append(await at.titles(project))

        hook.doings["rotate.failed"] = look
        result = await at.projects.rotate_uri("acme", project.id, "sqlite:///broken.db")
        assert isinstance(result.error, ProjectUnavailable)
        assert served == [["kept"]]
        shown = await at.projects.get("acme", project.id)
        assert (shown.status, shown.uri) == ("active", "sqlite:///first.db")
        assert await at.titles(project) == ["kept"]
        await expect_consistent(at)
        other = await at.made("other", uri="sqlite:///broken-not.db")
        assert other.status == "active"


async def test_paused_it_stays_paused(tmp_path: Path) -> None:
    """The new place of a paused project is tried and left again; one that fails changes nothing."""
    async with host(tmp_path) as at:
        project = await at.made(uri="sqlite:///first.db")
        await at.projects.pause_project("acme", project.id)
        moved = (await at.projects.rotate_uri("acme", project.id, "sqlite:///other.db")).expect_ok()
        assert moved is not None
        assert (moved.status, moved.uri) == ("paused", "sqlite:///other.db")
        assert at.manager.list() == ()
        spoil(at.file("broken.db"))
        assert not (await at.projects.rotate_uri("acme", project.id, "sqlite:///broken.db")).ok
        assert (await at.projects.get("acme", project.id)).uri == "sqlite:///other.db"
        assert at.manager.list() == ()
        await at.projects.resume_project("acme", project.id)
        assert await at.titles(project) == []
        await expect_consistent(at)


async def test_out_of_error(tmp_path: Path) -> None:
    """A project in error is active again once it has an address that works."""
    async with host(tmp_path) as at:
        project = await at.made(uri="sqlite:///first.db")
        await at.projects.pause_project("acme", project.id)
        spoil(at.file("first.db"))
        await at.projects.resume_project("acme", project.id)
        moved = (await at.projects.rotate_uri("acme", project.id, "sqlite:///other.db")).expect_ok()
        assert moved is not None
        assert (moved.status, moved.error) == ("active", None)
        await expect_consistent(at)


async def test_places_that_are_taken(tmp_path: Path) -> None:
    """Neither the place of another project nor one that another is on its way to is to be had."""
    hook = Hook()
    async with host(tmp_path, at_step=hook) as at:
        one = await at.made("one", uri="sqlite:///one.db")
        two = await at.made("two", uri="sqlite:///two.db")
        taken = await at.projects.rotate_uri("acme", two.id, "sqlite:///one.db")
        assert isinstance(taken.error, ProjectConflict)
        others: list[object] = []

        async def come_too() -> None:
            others.append((await at.projects.rotate_uri("acme", two.id, "sqlite:///new.db")).error)
            others.append((await at.projects.rotate_uri("acme", one.id, "sqlite:///again.db")).error)
            others.append((await at.projects.pause_project("acme", one.id)).error)
            try:
                await at.made("three", uri="sqlite:///new.db")
            except ProjectConflict as error:
                others.append(error)

        hook.doings["rotate.opened"] = come_too
        assert (await at.projects.rotate_uri("acme", one.id, "sqlite:///new.db")).ok
        assert [type(error) for error in others] == [ProjectConflict] * 4
        assert len(await at.rows()) == 2
        await expect_consistent(at)
        assert (await at.projects.rotate_uri("acme", two.id, "sqlite:///one.db")).ok  # it is free now


REFUSED: list[tuple[str, type[Exception]]] = [
    ("", InvalidProject),
    ("sqlite:////etc/passwd.db", UriRefused),
    ("sqlite:///:memory:", UriRefused),
    ("postgresql://a:b@10.0.0.1/x", UriRefused),
    ("postgresql://a:b@127.0.0.1:5432/x", InvalidProject),
    ("nonsense://x", UriRefused),
]


async def test_what_is_refused(tmp_path: Path) -> None:
    """What the policy refuses, and another kind of database, leaves everything as it was."""
    async with host(tmp_path, **SERVERS) as at:
        project = await at.made()
        before = await at.row(project.id)
        for uri, kind in REFUSED:
            result = await at.projects.rotate_uri("acme", project.id, uri)
            assert isinstance(result.error, kind), uri
            assert await at.row(project.id) == before


@pytest.mark.slow
@pytest.mark.parametrize("step", ROTATE_STEPS)
@pytest.mark.parametrize("how", ["cancelled", "failed"])
async def test_interrupted_on_the_way(tmp_path: Path, step: str, how: str) -> None:
    """Whoever is cancelled, or meets an error, leaves it where it was, or where it was to go at the very end."""
    hook = Hook()
    async with host(tmp_path, at_step=hook) as at:
        project = await at.made(uri="sqlite:///first.db")
        await at.write(project, "kept")
        with anyio.CancelScope() as scope:

            async def cancel() -> None:
                scope.cancel()
                await anyio.sleep(0)

            async def fail() -> None:
                raise ZeroDivisionError

            hook.doings[step] = cancel if how == "cancelled" else fail
            if how == "cancelled":
                await at.projects.rotate_uri("acme", project.id, "sqlite:///other.db")
            else:
                with pytest.raises(ZeroDivisionError):
                    await at.projects.rotate_uri("acme", project.id, "sqlite:///other.db")
        await expect_consistent(at)
        assert await at.titles(project) == ([] if step == "rotate.confirmed" else ["kept"])
