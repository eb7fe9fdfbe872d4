"""The plugin in a kernel: what it provides, contributes and needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from objectkernel import ObjectKernel, Plugin, provides
from objectkernel.errors import BootError
from objectkernel_contracts import COMMANDS, KEY_NAMES, KEYRING, METRICS, ROUTERS, SCOPES, Keyring, NamedKey
from objectkernel_project_life.contracts import PROJECT_MANAGER, PROJECTS, ProjectManager
from objectkernel_project_life.manager import HostManager
from objectkernel_project_life.plugin import ProjectLifePlugin
from objectkernel_project_life.schema import PROJECT_SCHEMA
from objectkernel_system_dialect.contracts import SYSTEM_SCHEMAS

from tests.plugins.project_life.hosts import expect_consistent, host
from tests.plugins.project_life.managers import OwnManager

pytestmark = pytest.mark.anyio


class Ring(Plugin):
    """A keyring with one secret for everybody."""

    name = "ring"

    def current(self, name: str) -> NamedKey:
        return self.keys(name)[0]

    def keys(self, name: str) -> tuple[NamedKey, ...]:
        return (NamedKey(id="2026.1", secret=name.encode().ljust(32, b".")),)

    def find(self, name: str, id: str) -> NamedKey | None:
        return next((key for key in self.keys(name) if key.id == id), None)

    @provides(KEYRING)
    def ring(self) -> Keyring:
        return self


class Elsewhere(Plugin):
    """Gives the kernel a project manager of its own."""

    name = "elsewhere"

    def __init__(self) -> None:
        self.made = OwnManager()

    @provides(PROJECT_MANAGER)
    def manager(self) -> ProjectManager:
        return self.made


async def test_a_host_of_projects_is_ready(tmp_path: Path) -> None:
    """What the kernel asks services for a sign of life finds nothing wrong with these."""
    async with host(tmp_path) as at:
        health = await at.kernel.health()
        assert health.ready, [one for one in health.services if one.state != "up"]


async def test_what_a_kernel_gets(tmp_path: Path) -> None:
    """Both services, the table, scopes, key names, routes, commands and figures."""
    async with host(tmp_path) as at:
        kernel = at.kernel
        assert isinstance(kernel.get(PROJECT_MANAGER), HostManager)
        assert kernel.get(PROJECTS) is at.projects
        assert PROJECT_SCHEMA in kernel.contributions(SYSTEM_SCHEMAS)
        assert {"projects:read", "projects:write"} <= {scope.name for scope in kernel.contributions(SCOPES)}
        assert "project-uris" in kernel.contributions(KEY_NAMES)
        assert "projects" in {make().name for make in kernel.contributions(COMMANDS)}
        paths = {route.path for make in kernel.contributions(ROUTERS) for route in make().routes}
        assert "/api/projects/{id}" in paths or "/api/projects/{project_id}" in paths
        assert "/api/v1/projects/{project_id}/data/{entity}" in paths
        await at.made()
        figures = {figure.name for source in kernel.contributions(METRICS) for figure in source()}
        assert "projects_served" in figures


async def test_scopes_are_told_in_french_too(tmp_path: Path) -> None:
    """Viewers see projects, admins change them."""
    async with host(tmp_path) as at:
        scopes = {scope.name: scope for scope in at.kernel.contributions(SCOPES)}
        assert (scopes["projects:read"].role, scopes["projects:write"].role) == ("viewer", "admin")
        for name in ("projects:read", "projects:write"):
            assert scopes[name].described("fr") != scopes[name].description


async def test_a_keyring_instead_of_a_setting(tmp_path: Path) -> None:
    """Without a setting the host's keyring has the key, under a name of this plugin's."""
    async with host(tmp_path, Ring(), keys=None) as at:
        project = await at.made()
        assert (await at.row(project.id))["uri_key"].startswith("ring")
        await at.projects.pause_project("acme", project.id)
    async with host(tmp_path, Ring(), keys=None) as at:
        assert (await at.projects.resume_project("acme", project.id)).ok
        await expect_consistent(at)


async def test_a_manager_from_elsewhere(tmp_path: Path) -> None:
    """Another plugin may provide the manager: projects are opened by that one."""
    elsewhere = Elsewhere()
    async with host(tmp_path, manager=elsewhere.made) as at:
        project = await at.made()
        assert elsewhere.made.has_project(project.mproject_name)
        figures = {figure.name for source in at.kernel.contributions(METRICS) for figure in source()}
        assert "projects_served" not in figures
        await expect_consistent(at)


async def test_nothing_starts_without_the_system_database() -> None:
    """What is missing is told when the host starts."""
    with pytest.raises(BootError) as caught:
        await ObjectKernel(plugins=[ProjectLifePlugin()], discover=False).bootstrap()
    assert "'system-dialect'" in caught.value.text()


async def test_projects_end_with_the_host(tmp_path: Path) -> None:
    """Every connection is closed when the kernel stops, and the register stays as it is."""
    async with host(tmp_path) as at:
        project = await at.made()
        manager = at.manager
    assert manager.list() == ()
    async with host(tmp_path) as at:
        assert (await at.projects.get("acme", project.id)).status == "active"
