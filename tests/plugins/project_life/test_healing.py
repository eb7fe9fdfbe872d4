"""What a host leaves that is killed in the middle of an operation, and what the next start makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import pytest
from objectkernel_project_life.encryption_keys import parse_keys
from objectkernel_project_life.steps import STEPS

from tests.plugins.project_life.hosts import KEY, NEW_KEY, expect_consistent, host
from tests.plugins.project_life.killed_host import Victims, victims

pytestmark = pytest.mark.anyio


@attrs.frozen
class Fate:
    """An operation, and what is to be found after it was killed at a step and the host was started again.

    Attributes:
        status: None: there is no project.
        file: where its database is.
    """

    operation: str
    status: str | None
    file: str = "first.db"
    entities: int = 1


GONE: Final = None
FATES: Final = {
    "provision.begin": [Fate("provision", GONE)],
    "provision.registered": [Fate("provision", "active", file="", entities=0)],
    "provision.opened": [Fate("provision", "active", file="", entities=0)],
    "provision.confirmed": [Fate("provision", "active", file="", entities=0)],
    "provision.failed": [Fate("provision-broken", GONE)],
    "provision.closed": [Fate("provision-broken", GONE)],
    "pause.begin": [Fate("pause", "active")],
    "pause.intended": [Fate("pause", "paused")],
    "pause.closed": [Fate("pause", "paused")],
    "pause.confirmed": [Fate("pause", "paused")],
    "resume.begin": [Fate("resume", "paused")],
    "resume.intended": [Fate("resume", "active"), Fate("resume-broken", "error")],
    "resume.opened": [Fate("resume", "active")],
    "resume.failed": [Fate("resume-broken", "error")],
    "resume.confirmed": [Fate("resume", "active")],
    "rotate.begin": [Fate("rotate", "active"), Fate("schemas", "active")],
    "rotate.intended": [
        Fate("rotate", "active", file="other.db"),
        Fate("rotate-broken", "active"),
        Fate("rotate-paused", "paused", file="other.db"),
        Fate("schemas", "active", entities=2),
    ],
    "rotate.opened": [
        Fate("rotate", "active", file="other.db"),
        Fate("rotate-paused", "paused", file="other.db"),
        Fate("schemas", "active", entities=2),
    ],
    "rotate.failed": [Fate("rotate-broken", "active")],
    "rotate.confirmed": [
        Fate("rotate", "active", file="other.db"),
        Fate("rotate-paused", "paused", file="other.db"),
        Fate("schemas", "active", entities=2),
    ],
    "deprovision.begin": [Fate("deprovision", "active")],
    "deprovision.intended": [Fate("deprovision", GONE)],
    "deprovision.closed": [Fate("deprovision", GONE)],
    "deprovision.removed": [Fate("deprovision", GONE)],
    "rotate_key.begin": [Fate("rotate_key", "active")],
    "rotate_key.encrypted": [Fate("rotate_key", "active")],
    "rotate_key.written": [Fate("rotate_key", "active")],
}
"""For each step; `entities` counts the fields of what the project's first entity has, so that widening is seen."""
KILLS: Final = [
    pytest.param(step, fate, id=f"{fate.operation}@{step}") for step in STEPS for fate in FATES.get(step, [])
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The processes that are killed know asyncio; so does this one."""
    return "asyncio"


@pytest.fixture(scope="module")
def mortals() -> Iterator[Victims]:
    with victims() as processes:
        yield processes


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def system(request: pytest.FixtureRequest) -> str | None:
    """Where the register is: in a file, in a database on a server."""
    url: str | None = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return url


def test_every_step_has_its_kill() -> None:
    """A step that is new has no test, and this one fails."""
    assert tuple(FATES) == STEPS
    assert all(FATES.values())


@pytest.mark.slow
@pytest.mark.parametrize(("step", "fate"), KILLS)
async def test_killed_at_a_step(mortals: Victims, tmp_path: Path, system: str | None, step: str, fate: Fate) -> None:
    """Killed there, the next start comes to a state that is one: what was intended where that can be, or what was."""
    assert mortals.kill(tmp_path, system, fate.operation, step)
    async with host(tmp_path, system=system, keys=f"{NEW_KEY},{KEY}") as at:
        await expect_consistent(at)
        rows = [*(await at.rows()).values()]
        assert [row["status"] for row in rows] == ([] if fate.status is None else [fate.status])
        for row in rows:
            project = await at.projects.get("acme", row["id"])
            assert project.uri == f"sqlite:///{fate.file or project.id + '.db'}"
            if fate.entities:
                assert [len(schema["fields"]) for schema in project.schemas] == [fate.entities]
            if fate.status == "active" and fate.file == "first.db":
                assert await at.titles(project) == ["kept"]
        if fate.operation == "deprovision":
            assert at.file("first.db").exists()
        if fate.operation == "rotate_key":
            progress = [one async for one in at.projects.rotate_key()]
            assert (progress[-1].done, progress[-1].total, progress[-1].unreadable) == (1, 1, ())
            assert [row["uri_key"] for row in (await at.rows()).values()] == [parse_keys(NEW_KEY)[0].id]
        versions = {id: row["version"] for id, row in (await at.rows()).items()}
    async with host(tmp_path, system=system, keys=f"{NEW_KEY},{KEY}") as at:
        await expect_consistent(at)
        assert {id: row["version"] for id, row in (await at.rows()).items()} == versions  # nothing was left to heal
