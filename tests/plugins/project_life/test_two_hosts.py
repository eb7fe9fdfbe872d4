"""Two hosts on one register: whatever they do, both agree with it within one reconcile interval."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import attrs
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from objectkernel_project_life.contracts import (
    InvalidProject,
    ManagedProject,
    OperationResult,
    ProjectConfig,
    ProjectConflict,
    ProjectMissing,
    UriRefused,
)

from tests.plugins.project_life.hosts import NOTE, WIDER_NOTE, Hook, Host, expect_consistent, host
from tests.plugins.project_life.managers import OwnManager
from tests.plugins.system_dialect.databases import run_on_postgres

SLUGS = ("one", "two", "three")
FILES = ("a", "b", "c")
KINDS = ("provision", "pause", "resume", "rotate", "schemas", "update", "deprovision", "reconcile", "retry")

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without shrinking: what is a race today is none when it is tried again."""
UNHEALTHY = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)


@attrs.frozen
class Deed:
    """What one of the hosts does."""

    host: int
    kind: str
    slug: str
    file: str


DEEDS = st.builds(Deed, st.integers(0, 1), st.sampled_from(KINDS), st.sampled_from(SLUGS), st.sampled_from(FILES))
ROUNDS = st.lists(st.lists(DEEDS, min_size=1, max_size=4), min_size=1, max_size=8)
"""What is within one round is done at the same time."""


async def id_of(at: Host, slug: str) -> str:
    found = [row["id"] for row in (await at.rows()).values() if row["slug"] == slug]
    return found[0] if found else "nothing"


async def do(at: Host, deed: Deed) -> OperationResult | None:
    """Do it; what comes of it."""
    if deed.kind == "provision":
        config = ProjectConfig(name="x", slug=deed.slug, uri=f"sqlite:///{deed.file}.db", schemas=(NOTE,))
        return await at.projects.provision_project("acme", config)
    id = await id_of(at, deed.slug)
    match deed.kind:
        case "pause":
            return await at.projects.pause_project("acme", id)
        case "resume":
            return await at.projects.resume_project("acme", id)
        case "rotate":
            return await at.projects.rotate_uri("acme", id, f"sqlite:///{deed.file}.db")
        case "schemas":
            return await at.projects.update_schemas("acme", id, [WIDER_NOTE])
        case "update":
            return await at.projects.update_project("acme", id, {"pool_size": 1 + len(deed.file)})
        case "deprovision":
            return await at.projects.deprovision_project("acme", id)
        case "retry":
            await at.projects.retry_failed(now=True)
        case _:
            await at.projects.reconcile()
    return None


ALLOWED = (ProjectConflict, ProjectMissing, InvalidProject)


def is_being_left(error: Exception) -> bool:
    """A project that leaves a database at this very moment is still connected to it."""
    return isinstance(error, UriRefused) and "belongs to another project" in str(error)


WANTED = {"provision": "active", "pause": "paused", "resume": "active"}


async def expect_as_told(at: Host, deed: Deed, result: OperationResult | None) -> None:
    """What is done alone has no conflict but for what is taken, and the register has what the result says."""
    if result is None or not result.ok:
        assert result is None or deed.kind in ("provision", "rotate") or isinstance(result.error, ProjectMissing)
        return
    rows = {row["slug"]: row for row in (await at.rows()).values()}
    if deed.kind == "deprovision":
        assert deed.slug not in rows
        return
    assert result.project is not None
    assert rows[deed.slug]["version"] == result.project.version
    if deed.kind in WANTED:
        assert rows[deed.slug]["status"] == WANTED[deed.kind]
    if deed.kind == "rotate":
        assert result.project.uri == f"sqlite:///{deed.file}.db"


@asynccontextmanager
async def two_hosts(folder: Path, system: str | None, hook: Hook | None = None) -> AsyncIterator[tuple[Host, Host]]:
    async with host(folder, system=system, at_step=hook or Hook()) as one, host(folder, system=system) as other:
        yield one, other


async def expect_agreement(one: Host, other: Host) -> None:
    """Both have what the register says; what one writes the other reads, so that both are at the same place."""
    for at in (one, other):
        await at.projects.reconcile()
    for at in (one, other):
        await expect_consistent(at)
    rows = await one.rows()
    assert len({row["slug"] for row in rows.values()}) == len(rows)
    assert len({row["place"] for row in rows.values()}) == len(rows)
    for row in rows.values():
        if row["status"] == "active":
            project = await one.projects.get("acme", row["id"])
            await one.write(project, f"{project.id} at {project.version}")
            assert f"{project.id} at {project.version}" in await other.titles(project)
            fields = set(next(iter(project.schemas))["fields"])
            for at in (one, other):
                (note,) = at.manager.get(project.mproject_name).entities()
                assert set(note.fields) == fields
            states = [state for at in (one, other) for state in at.manager.list()]
            assert {state.pool_size for state in states if state.project_id == row["id"]} == {project.pool_size}


async def run(folder: Path, system: str | None, rounds: list[list[Deed]]) -> None:
    async with two_hosts(folder, system) as hosts:
        for deeds in rounds:
            results: list[tuple[Deed, OperationResult | None]] = []

            async def one_of_them(deed: Deed, results: list[tuple[Deed, OperationResult | None]] = results) -> None:
                results.append((deed, await do(hosts[deed.host], deed)))

            async with anyio.create_task_group() as tasks:
                for deed in deeds:
                    tasks.start_soon(one_of_them, deed)
            for _, result in results:
                if result is not None and result.error is not None:
                    assert isinstance(result.error, ALLOWED) or is_being_left(result.error), result.error
            if len(deeds) == 1:
                await expect_as_told(hosts[deeds[0].host], *results[0])
        await expect_agreement(*hosts)


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as path:
        yield Path(path)


@pytest.mark.slow
@settings(max_examples=8, phases=PHASES, suppress_health_check=UNHEALTHY)
@given(rounds=ROUNDS)
def test_any_sequence_in_files(folder: Path, rounds: list[list[Deed]]) -> None:
    """The register in a file: random operations of two hosts, some of them at once."""
    shutil.rmtree(folder)
    folder.mkdir()
    anyio.run(run, folder, None, rounds)


@pytest.mark.postgres
@settings(max_examples=15, phases=PHASES, suppress_health_check=UNHEALTHY)
@given(rounds=ROUNDS)
def test_any_sequence_on_a_server(folder: Path, postgres_database: str, rounds: list[list[Deed]]) -> None:
    """The register on a server, reached by two pools: random operations of two hosts, some of them at once."""
    shutil.rmtree(folder)
    folder.mkdir()
    run_on_postgres(postgres_database, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    anyio.run(run, folder, postgres_database, rounds)


# --- one after another, what a random sequence seldom meets ----------------------------------------------------


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize(
    ("step", "operation"),
    [
        ("provision.registered", "provision"),
        ("provision.opened", "provision"),
        ("pause.intended", "pause"),
        ("pause.closed", "pause"),
        ("resume.intended", "resume"),
        ("resume.opened", "resume"),
        ("rotate.intended", "rotate"),
        ("rotate.opened", "rotate"),
        ("deprovision.intended", "deprovision"),
        ("deprovision.closed", "deprovision"),
    ],
)
async def test_a_host_boots_while_another_is_at_work(tmp_path: Path, step: str, operation: str) -> None:
    """The one that boots ends what the other has begun: the other finds it as it wanted it, and says ok."""
    hook = Hook()
    async with two_hosts(tmp_path, None, hook) as (one, other):
        if operation != "provision":
            await one.made("one", uri="sqlite:///a.db")
        if operation == "resume":
            await one.projects.pause_project("acme", await id_of(one, "one"))

        async def boot() -> None:
            report = await other.projects.boot_all_projects()
            assert len(report.healed) == 1

        hook.doings[step] = boot
        result = await do(one, Deed(0, operation, "one", "b"))
        assert result is not None
        assert result.ok, result.error
        await expect_agreement(one, other)
        assert len(await one.rows()) == (operation != "deprovision")


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("step", ["pause.closed", "resume.opened", "rotate.opened", "provision.opened"])
async def test_a_host_is_overtaken(tmp_path: Path, step: str) -> None:
    """What another host has healed and changed again meanwhile is a conflict, and its state is what counts."""
    hook = Hook()
    async with two_hosts(tmp_path, None, hook) as (one, other):
        operation = step.partition(".")[0]
        if operation != "provision":
            await one.made("one", uri="sqlite:///a.db")
        if operation == "resume":
            await one.projects.pause_project("acme", await id_of(one, "one"))

        async def overtake() -> None:
            await other.projects.boot_all_projects()
            id = await id_of(other, "one")
            again = other.projects.resume_project if operation == "pause" else other.projects.deprovision_project
            assert (await again("acme", id)).ok

        hook.doings[step] = overtake
        result = await do(one, Deed(0, operation, "one", "b"))
        assert result is not None
        assert isinstance(result.error, ProjectConflict | ProjectMissing)
        await expect_agreement(one, other)


@pytest.mark.anyio
async def test_a_host_that_cannot_open_what_another_has_just_opened(tmp_path: Path) -> None:
    """It finds a project half made, does not reach its database, and takes nothing away: the other has confirmed it."""
    hook, trying, confirmed = Hook(), anyio.Event(), anyio.Event()

    class Late(OwnManager):
        async def add_project(self, project: ManagedProject, *, open: bool = True) -> None:
            if open:
                trying.set()
                await confirmed.wait()
                raise OSError
            await super().add_project(project, open=open)

    late = host(tmp_path, manager=Late())
    async with host(tmp_path, at_step=hook) as one, late as other, anyio.create_task_group() as tasks:

        async def heal() -> None:
            tasks.start_soon(other.projects.boot_all_projects)
            await trying.wait()

        hook.doings["provision.opened"] = heal
        made = await one.made("one", uri="sqlite:///a.db")
        confirmed.set()
    async with host(tmp_path) as one:
        assert (await one.projects.get("acme", made.id)).status == "active"
        assert await one.titles(made) == []


@pytest.mark.anyio
@pytest.mark.parametrize("operation", ["rotate", "schemas"])
async def test_a_host_moves_what_another_has_paused(tmp_path: Path, operation: str) -> None:
    """It had the project open, and has not looked since: it is paused there too."""
    async with two_hosts(tmp_path, None) as (one, other):
        await one.made("one", uri="sqlite:///a.db")
        await other.projects.reconcile()
        assert (await other.projects.pause_project("acme", await id_of(other, "one"))).ok
        result = await do(one, Deed(0, operation, "one", "b"))
        assert result is not None
        assert result.ok, result.error
        await expect_agreement(one, other)


@pytest.mark.anyio
async def test_the_last_project_is_ended_by_another_host(tmp_path: Path) -> None:
    """A register that is empty again is not taken for one in which nothing has happened."""
    async with two_hosts(tmp_path, None) as (one, other):
        await one.projects.reconcile()
        await one.made("one", uri="sqlite:///a.db")
        assert (await other.projects.deprovision_project("acme", await id_of(other, "one"))).ok
        await expect_agreement(one, other)


AT_WORK = ("provision.opened", "resume.opened", "deprovision.closed")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "step",
    [
        "pause.closed",
        "rotate.opened",
        *(pytest.param(rest, marks=pytest.mark.slow) for rest in AT_WORK),
    ],
)
async def test_nothing_is_begun_while_another_host_is_at_work(tmp_path: Path, step: str) -> None:
    """Whatever the second host is asked to do is a clear conflict there, and the first one comes to its end."""
    hook = Hook()
    async with two_hosts(tmp_path, None, hook) as (one, other):
        operation = step.partition(".")[0]
        if operation != "provision":
            await one.made("one", uri="sqlite:///a.db")
        if operation == "resume":
            await one.projects.pause_project("acme", await id_of(one, "one"))
        errors: list[object] = []

        async def come_too() -> None:
            for kind in ("provision", "pause", "resume", "rotate", "schemas", "update", "deprovision"):
                result = await do(other, Deed(1, kind, "one", "c"))
                assert result is not None
                errors.append(result.error)

        hook.doings[step] = come_too
        result = await do(one, Deed(0, operation, "one", "b"))
        assert result is not None
        assert result.ok, result.error
        assert [type(error) for error in errors] == [ProjectConflict] * 7
        await expect_agreement(one, other)
