"""The functions of the description, with its names, arguments and results."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from objectkernel_contracts import Principal
from objectkernel_project_life import server
from objectkernel_project_life.contracts import (
    MODULE_INFO,
    PROJECT_SCHEMA,
    EncryptionKeyMissing,
    ProjectConfig,
    ProjectMissing,
    ProjectNotServed,
    ProvisionResult,
)

from tests.plugins.project_life.hosts import KEY, NEW_KEY, NOTE, expect_consistent, host, there
from tests.plugins.project_life.managers import OwnManager

pytestmark = pytest.mark.anyio


async def test_as_the_description_does(tmp_path: Path) -> None:
    """Provision, pause, resume, boot, deprovision, by the system's dialect and the manager."""
    async with host(tmp_path) as at:
        dialect, pm = at.dialect, at.manager
        result = await server.provision_project(
            dialect, pm, "acme", ProjectConfig(name="orphan-care", slug="orphan-care", schemas=[NOTE], pool_size=5)
        )
        assert isinstance(result, ProvisionResult)
        assert pm.has_project(str(result.mproject_name))
        id = there(result).id
        assert (await server.pause_project(dialect, pm, id)).ok
        assert not pm.has_project(str(result.mproject_name))
        assert (await server.resume_project(dialect, pm, id, KEY)).ok
        await server.boot_all_projects(dialect, pm)
        await expect_consistent(at)
        rows = await server.get_project_repo(dialect).find_all({"account": "acme"})
        assert [row["slug"] for row in rows] == ["orphan-care"]
        assert (await server.deprovision_project(dialect, pm, id)).ok
        missing = await server.deprovision_project(dialect, pm, id)
        assert isinstance(missing.error, ProjectMissing)
        handlers = server.create_project_handlers(dialect, pm, principal_of=lambda scope: Principal(account_id="acme"))
        assert {"list", "create", "pause", "resume", "delete"} <= set(dir(handlers))


async def test_a_key_that_is_given(tmp_path: Path) -> None:
    """A key of the caller's is accepted from then on; what is none is told, and no exception of another kind."""
    async with host(tmp_path) as at:
        project = await at.made()
    async with host(tmp_path, keys=NEW_KEY) as at:
        await at.projects.pause_project("acme", project.id)
        assert not (await server.resume_project(at.dialect, at.manager, project.id)).ok
        with pytest.raises(EncryptionKeyMissing) as caught:
            await server.resume_project(at.dialect, at.manager, project.id, "short")
        assert "short" not in str(caught.value)
        assert (await server.resume_project(at.dialect, at.manager, project.id, KEY)).ok
        assert await at.titles(project) == []
        new = await at.made("new")
        assert (await at.row(new.id))["uri_key"] != (await at.row(project.id))["uri_key"]
    async with host(tmp_path, keys=None) as at:
        await server.boot_all_projects(at.dialect, at.manager, f"{NEW_KEY},{KEY}")
        assert await at.titles(project) == []
        assert await at.titles(new) == []


async def test_a_repository_for_each_dialect(tmp_path: Path) -> None:
    """The repository is that of the dialect it is asked for, whichever came first."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with host(tmp_path / "one") as one, host(tmp_path / "two") as two:
        await one.made()
        assert await server.get_project_repo(one.dialect).count() == 1
        assert await server.get_project_repo(two.dialect).count() == 0
        assert server.get_project_repo(two.dialect).entity is PROJECT_SCHEMA


async def test_of_no_kernel(tmp_path: Path) -> None:
    """A manager that no running kernel has with this dialect is refused; also after that kernel has ended."""
    async with host(tmp_path) as at:
        with pytest.raises(ProjectNotServed, match="no running kernel"):
            await server.pause_project(at.dialect, OwnManager(), "x")


def test_signatures() -> None:
    """Names and order of the arguments are the description's."""
    told = {name: list(inspect.signature(getattr(server, name)).parameters) for name in server.__all__}
    assert told["provision_project"] == ["dialect", "pm", "account_id", "config"]
    assert told["deprovision_project"] == told["pause_project"] == ["dialect", "pm", "project_id"]
    assert told["resume_project"] == ["dialect", "pm", "project_id", "enc_key"]
    assert told["boot_all_projects"] == ["dialect", "pm", "enc_key"]
    assert told["get_project_repo"] == ["dialect"]
    assert told["create_project_handlers"][:3] == ["dialect", "pm", "enc_key"]
    assert MODULE_INFO.collections == ("projects",)


async def test_keys_and_uris() -> None:
    """A generated key encrypts, and decrypts for the same project alone."""
    key = server.generate_encryption_key()
    text = server.encrypt_uri("postgresql://a:b@host/db", key, project_id="p")
    assert server.decrypt_uri(text, key, project_id="p") == "postgresql://a:b@host/db"
