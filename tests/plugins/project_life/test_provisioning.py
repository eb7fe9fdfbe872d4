"""Provisioning: a row, a connection and tables, or nothing of them."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from objectkernel_project_life.contracts import (
    EncryptionKeyMissing,
    InvalidProject,
    ManagedProject,
    ProjectConfig,
    ProjectConflict,
    ProjectUnavailable,
    UriRefused,
)
from objectkernel_project_life.encryption_keys import parse_keys
from objectkernel_project_life.steps import STEPS
from objectkernel_project_life.storage import Record, Register
from objectkernel_system_dialect.contracts import EntitySchema, Field, Relation

from tests.plugins.project_life.hosts import KEY, NOTE, Hook, Trail, expect_consistent, host, spoil, there
from tests.plugins.project_life.managers import OwnManager

pytestmark = pytest.mark.anyio

PASSWORD = "tr0ub4dor%26three"
SECRET_URI = f"postgresql://clerk:{PASSWORD}@127.0.0.1:5432/crm"
SPELLINGS = (PASSWORD, "tr0ub4dor&three", SECRET_URI)
SERVERS = {"allowed_hosts": ["127.0.0.1"]}
ON_THE_WAY = [step for step in STEPS if step.startswith("provision.") and step not in ("provision.begin",)]


async def test_a_project_is_made(tmp_path: Path) -> None:
    """It has an active row, a file of its own in its account's private folder, tables, and a masked URI."""
    async with host(tmp_path) as at:
        result = await at.projects.provision_project(
            "acme", ProjectConfig(name="Customers", slug="crm", schemas=[NOTE])
        )
        project = there(result)
        assert result.mproject_name == project.mproject_name == f"project_{project.id.replace('-', '')}"
        assert (project.status, project.transition, project.error) == ("active", None, None)
        assert (project.transports, project.pool_size, project.pool_min) == (("rest",), 5, 0)
        assert (project.account, project.name, project.slug, project.dialect) == ("acme", "Customers", "crm", "sqlite")
        assert project.uri == f"sqlite:///{project.id}.db"
        file = at.file(f"{project.id}.db")
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        await at.write(project, "first")
        assert await at.titles(project) == ["first"]
        row = await at.row(project.id)
        assert row["uri_key"] == parse_keys(KEY)[0].id
        assert row["uri"].startswith("k1.") and "sqlite" not in row["uri"]
        assert await at.projects.get("acme", project.id) == project
        await expect_consistent(at)


async def test_every_problem_is_told(tmp_path: Path) -> None:
    """All that is wrong with a configuration comes at once, schemas included; nothing was made."""
    other = EntitySchema(name="Line", collection="lines", fields={}, relations={"order": Relation("Nowhere")})
    async with host(tmp_path) as at:
        result = await at.projects.provision_project(
            "",
            ProjectConfig(
                name=" ",
                slug="No Slug",
                dialect="postgres",
                schemas=[other, {"name": 1}],
                transports=["rest", "rset"],
                pool_size=0,
            ),
        )
        assert isinstance(result.error, InvalidProject)
        told = "\n".join(result.error.why)
        for place in ("account", "name", "slug", "schemas[1]", "transports: 'rset'", "pool_size", "uri"):
            assert place in told
        result = await at.projects.provision_project("acme", ProjectConfig(name="a", slug="a", schemas=[other]))
        assert "Nowhere" in str(result.error)
        config = ProjectConfig(name=" ", slug="a", dialect="mongodb", uri=SECRET_URI)
        result = await at.projects.provision_project("acme", config)
        assert isinstance(result.error, InvalidProject)
        assert [problem.partition(":")[0] for problem in result.error.why[:2]] == ["name", "uri"]
        assert "'mongodb'" in result.error.why[1]
        config = ProjectConfig(name=" ", slug="a", uri=SECRET_URI)
        result = await at.projects.provision_project("acme", config)
        assert isinstance(result.error, InvalidProject)
        assert "allowed_hosts" in result.error.why[1]
        assert not [text for text in SPELLINGS if text in str(result.error)]
        taken_twice = [NOTE, NOTE]
        result = await at.projects.provision_project("acme", ProjectConfig(name="a", slug="a", schemas=taken_twice))
        assert isinstance(result.error, InvalidProject)
        assert not await at.rows()


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"slug": "a--b"}, "slug"),
    ({"slug": "-a"}, "slug"),
    ({"slug": "a" * 64}, "slug"),
    ({"slug": "é"}, "slug"),
    ({"name": "x" * 201}, "name"),
    ({"name": "a\x1b[31m"}, "name"),
    ({"pool_size": 101}, "pool_size"),
    ({"pool_size": True}, "pool_size"),
    ({"pool_min": 6}, "pool_min"),
    ({"pool_min": -1}, "pool_min"),
    ({"transports": ["rest", "rest"]}, "transports"),
    ({"transports": "rest"}, "transports"),
    ({"schemas": "x"}, "schemas"),
    ({"schemas": [EntitySchema(name="A", collection="a", fields={"x": Field("string", default=str)})]}, "default"),
]


async def test_what_is_refused(tmp_path: Path) -> None:
    """A value out of its bounds is a problem that names its field."""
    async with host(tmp_path) as at:
        for given, said in REFUSED:
            result = await at.projects.provision_project("acme", ProjectConfig(**{"name": "a", "slug": "a", **given}))
            assert isinstance(result.error, InvalidProject), given
            assert [problem for problem in result.error.why if said in problem], given


async def test_slugs_are_of_one_account(tmp_path: Path) -> None:
    """A slug is taken once in an account; another account may have it too."""
    async with host(tmp_path) as at:
        await at.made("crm")
        result = await at.projects.provision_project("acme", ProjectConfig(name="Crm", slug="crm"))
        assert isinstance(result.error, ProjectConflict)
        assert "'crm'" in result.error.what
        await at.made("crm", account="bolt")
        assert len(await at.rows()) == 2


async def test_run_time_names_never_collide(tmp_path: Path) -> None:
    """defects.md, project-life 1: accounts `x_y`+`z` and `x`+`y_z` have two names, since these are made of ids."""
    async with host(tmp_path) as at:
        one, other = await at.made("z", account="x_y"), await at.made("y-z", account="x")
        third = await at.made("y", account="x")
        assert len({one.mproject_name, other.mproject_name, third.mproject_name}) == 3
        await at.write(one, "mine")
        assert await at.titles(other) == []


async def test_a_database_belongs_to_one_project(tmp_path: Path) -> None:
    """Two projects never share a database, however its place is spelt."""
    async with host(tmp_path) as at:
        await at.made("one", uri="sqlite:///shared.db")
        for uri in ("sqlite:///shared.db", f"sqlite:///{at.file('shared.db')}", f"{at.file('.')}/../acme/shared.db"):
            result = await at.projects.provision_project("acme", ProjectConfig(name="b", slug="two", uri=uri))
            assert isinstance(result.error, ProjectConflict | UriRefused), uri
            assert not result.ok
        assert len(await at.rows()) == 1
        await expect_consistent(at)


async def test_never_active_before_it_is_open(tmp_path: Path) -> None:
    """defects.md, project-life 2: the row says `active` only after the connection has been open."""
    hook = Hook()
    found: list[tuple[str, str | None, bool]] = []
    async with host(tmp_path, at_step=hook) as at:

        async def look() -> None:
            (row,) = (await at.rows()).values()
            found.append((row["status"], row["transition"], at.manager.has_project(row["mproject_name"])))

        for step in ("provision.registered", "provision.opened", "provision.confirmed"):
            hook.doings[step] = look
        await at.made()
    assert found == [
        ("provisioning", "provisioning", False),
        ("provisioning", "provisioning", True),
        ("active", None, True),
    ]


async def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    """A database that cannot be opened: the error says why, and there is neither a row nor a connection."""
    trail = Trail()
    async with host(tmp_path, trail) as at:
        spoil(at.file("broken.db"))
        config = ProjectConfig(name="Crm", slug="crm", uri="sqlite:///broken.db")
        result = await at.projects.provision_project("acme", config)
        assert isinstance(result.error, ProjectUnavailable)
        assert (result.ok, result.project, result.mproject_name) == (False, None, None)
        assert not await at.rows()
        assert at.manager.list() == ()
        assert trail.actions == []
        await at.made("crm")
    assert trail.actions == ["project.provision"]


@pytest.mark.parametrize("failing", [RuntimeError, OSError, ProjectUnavailable])
async def test_no_password_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, failing: type[Exception]) -> None:
    """defects.md, project-life 3: a driver's message with the password reaches no result, no row, no log, no trail."""
    manager, trail = OwnManager(), Trail()
    async with host(tmp_path, trail, manager=manager, **SERVERS) as at:
        manager.failing = failing
        config = ProjectConfig(name="Crm", slug="crm", uri=SECRET_URI)
        result = await at.projects.provision_project("acme", config)
        manager.failing = None
        project = await at.made("other", uri=SECRET_URI)
        manager.failing = failing
        await at.projects.pause_project("acme", project.id)
        resumed = await at.projects.resume_project("acme", project.id)
        report = await at.projects.boot_all_projects()
        row = await at.row(project.id)
        shown = await at.projects.get("acme", project.id)
        assert row["status"] == shown.status == "error"
        assert shown.uri == "postgresql://127.0.0.1:5432/crm"
        said = [repr(one) + str(one) for one in (result, resumed, config, shown, row, report, trail.entries)]
        for error in (result.error, resumed.error, *report.failed.values()):
            assert error is not None
            said += [error.text(), repr(error.__dict__), repr(error.__cause__), repr(error.__context__)]
        said += [caplog.text, *(repr(record.__dict__) for record in caplog.records)]
    for spelling in SPELLINGS:
        assert not [text for text in said if spelling in text]
    assert failing.__name__ in str(resumed.error)


async def test_no_password_is_behind_an_error(tmp_path: Path) -> None:
    """An error that may be told is told as it is; what has raised it, and shows the URI, is not behind it any more."""

    class Chatty(OwnManager):
        async def add_project(self, project: ManagedProject, *, open: bool = True) -> None:
            cause = OSError(f"could not connect to {project.reveal().reveal()}")
            raise ProjectUnavailable("it is away", fix="wait for it") from cause

    async with host(tmp_path, manager=Chatty(), **SERVERS) as at:
        config = ProjectConfig(name="Crm", slug="crm", uri=SECRET_URI)
        error: BaseException | None = (await at.projects.provision_project("acme", config)).error
        assert isinstance(error, ProjectUnavailable) and error.what == "it is away"
        while error is not None:
            assert not [text for text in SPELLINGS if text in f"{error} {error!r} {error.__context__!r}"]
            error = error.__cause__ or error.__context__


@pytest.mark.asyncio_only
async def test_an_unreachable_server(tmp_path: Path, closed_port: int) -> None:
    """Nobody listens at the port: the error tells so and no password; there is no row."""
    settings = {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [closed_port]}
    async with host(tmp_path, **settings) as at:
        uri = SECRET_URI.replace("5432", str(closed_port))
        config = ProjectConfig(name="Crm", slug="crm", uri=uri)
        result = await at.projects.provision_project("acme", config)
        assert isinstance(result.error, ProjectUnavailable)
        assert not [spelling for spelling in SPELLINGS if spelling in result.error.text() + repr(result)]
        assert not await at.rows()


async def test_without_a_key(tmp_path: Path) -> None:
    """No key: nothing is stored, unless the settings say that plain URIs may be."""
    async with host(tmp_path, keys=None) as at:
        with pytest.raises(EncryptionKeyMissing):
            await at.projects.provision_project("acme", ProjectConfig(name="Crm", slug="crm"))
        assert not await at.rows()
    async with host(tmp_path, keys=None, allow_plaintext_uris=True) as at:
        project = await at.made()
        row = await at.row(project.id)
        assert (row["uri"], row["uri_key"]) == (f"sqlite:///{at.file(project.id + '.db')}", None)
        assert "acme" not in project.uri
    async with host(tmp_path) as at:
        assert [one.done async for one in at.projects.rotate_key()] == [1]
        assert (await at.row(project.id))["uri"].startswith("k1.")
        assert await at.titles(project) == []


@pytest.mark.parametrize("write", ["update", "pause", "rotate-back"])
async def test_a_plain_uri_is_encrypted_when_its_row_is_written(tmp_path: Path, write: str) -> None:
    """A host that has a key by now leaves no password in a row that it writes; nobody is interrupted by that."""
    async with host(tmp_path, keys=None, allow_plaintext_uris=True) as at:
        project = await at.made(uri="sqlite:///own.db")
        await at.write(project, "kept")
    async with host(tmp_path) as at:
        assert await at.titles(project) == ["kept"]
        assert (await at.row(project.id))["uri"].startswith("sqlite:")
        match write:
            case "update":
                there(await at.projects.update_project("acme", project.id, {"name": "Other"}))
                assert [state.open for state in at.manager.list()] == [True]
            case "pause":
                there(await at.projects.pause_project("acme", project.id))
                there(await at.projects.resume_project("acme", project.id))
            case _:
                spoil(at.file("broken.db"))
                assert not (await at.projects.rotate_uri("acme", project.id, "sqlite:///broken.db")).ok
        row = await at.row(project.id)
        assert row["uri"].startswith("k1.")
        assert row["uri_key"] == parse_keys(KEY)[0].id
        assert await at.titles(project) == ["kept"]
        result = await at.projects.provision_project("acme", ProjectConfig(name="b", slug="b", uri="sqlite:///own.db"))
        assert isinstance(result.error, ProjectConflict)
        await expect_consistent(at)
    async with host(tmp_path, opening="eager") as at:
        assert await at.titles(project) == ["kept"]


async def test_no_more_than_an_account_may_have(tmp_path: Path) -> None:
    """`projects_per_account` holds for each account by itself, also for those who come at once."""
    async with host(tmp_path, projects_per_account=2) as at:
        await at.made("one")
        await at.made("one", account="bolt")
        async with anyio.create_task_group() as tasks:
            for number in range(6):
                config = ProjectConfig(name="x", slug=f"s{number}")
                tasks.start_soon(at.projects.provision_project, "acme", config)
        assert len([row for row in (await at.rows()).values() if row["account"] == "acme"]) <= 2
        await expect_consistent(at)
        if len(await at.rows()) == 2:  # those who came at once have kept each other out
            await at.made("two")
        result = await at.projects.provision_project("acme", ProjectConfig(name="x", slug="three"))
        assert isinstance(result.error, ProjectConflict)
        assert "projects_per_account" in str(result.error)


@pytest.mark.slow
@pytest.mark.parametrize("step", [step for step in ON_THE_WAY if step not in ("provision.failed", "provision.closed")])
async def test_cancelled_on_the_way(tmp_path: Path, step: str) -> None:
    """Whoever is cancelled leaves neither row nor connection; at the very end there is the whole project."""
    hook = Hook()
    async with host(tmp_path, at_step=hook) as at:
        with anyio.CancelScope() as scope:

            async def cancel() -> None:
                scope.cancel()
                await anyio.sleep(0)

            hook.doings[step] = cancel
            await at.projects.provision_project("acme", ProjectConfig(name="Crm", slug="crm", schemas=[NOTE]))
        assert scope.cancelled_caught
        await expect_consistent(at)
        assert len(await at.rows()) == (step == "provision.confirmed")
        assert len(list(at.file(".").glob("*"))) <= 3 * (step == "provision.confirmed")


@pytest.mark.slow
@pytest.mark.parametrize("step", [step for step in ON_THE_WAY if step not in ("provision.failed", "provision.closed")])
async def test_an_error_on_the_way(tmp_path: Path, step: str) -> None:
    """An error of the host's own comes to the caller, and leaves neither row nor connection."""
    hook = Hook()

    async def fail() -> None:
        raise ZeroDivisionError

    async with host(tmp_path, at_step=hook) as at:
        hook.doings[step] = fail
        with pytest.raises(ZeroDivisionError):
            await at.projects.provision_project("acme", ProjectConfig(name="Crm", slug="crm", schemas=[NOTE]))
        await expect_consistent(at)
        assert len(await at.rows()) == (step == "provision.confirmed")


async def test_the_hosts_own_databases_are_refused(tmp_path: Path) -> None:
    """Neither the system's file nor the business data's is to be had, by no spelling."""
    async with host(tmp_path) as at:
        at.file(".").mkdir(parents=True)
        at.file("link.db").symlink_to(tmp_path / "system.db")
        for uri in (f"sqlite:///{tmp_path}/system.db", f"sqlite:///{tmp_path}/business.db", "sqlite:///link.db"):
            result = await at.projects.provision_project("acme", ProjectConfig(name="a", slug="a", uri=uri))
            assert isinstance(result.error, UriRefused)
        assert not await at.rows()


async def test_cancelled_while_the_row_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is cancelled then has neither row nor connection either, though the database has written it."""
    async with host(tmp_path) as at:
        insert = Register.insert
        with anyio.CancelScope() as scope:

            async def cut(self: Register, values: Mapping[str, Any]) -> Record:
                scope.cancel()
                return await insert(self, values)

            monkeypatch.setattr(Register, "insert", cut)
            await at.projects.provision_project("acme", ProjectConfig(name="Crm", slug="crm"))
        assert scope.cancelled_caught
        assert not await at.rows()
        await expect_consistent(at)
