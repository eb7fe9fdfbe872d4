"""The plugin: what project-life needs, provides and contributes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

import anyio
from objectkernel import (
    Plugin,
    PluginContext,
    background,
    configured_by,
    contributes,
    hookimpl,
    lifespan,
    needs,
    on,
    provides,
    wants,
)
from objectkernel.errors import KernelError
from objectkernel_contracts import (
    AUDIT,
    COMMANDS,
    KEY_NAMES,
    KEYRING,
    METRICS,
    ROUTERS,
    SCOPES,
    AccountDeleting,
    CommandMaker,
    FigureSource,
    GrantableScope,
    RouterMaker,
)
from objectkernel_system_dialect.contracts import (
    DATA_PLUG,
    DATA_ROUTES,
    SYSTEM_DIALECT,
    SYSTEM_SCHEMAS,
    DataError,
    EntitySchema,
)

from objectkernel_project_life import scopes, server
from objectkernel_project_life.config import ProjectLifeConfig
from objectkernel_project_life.contracts import PROJECT_MANAGER, PROJECT_SCHEMA, PROJECTS, ProjectManager, Projects
from objectkernel_project_life.encryption_keys import KEY_NAME, uri_keys
from objectkernel_project_life.figures import project_figures
from objectkernel_project_life.findings import key_findings
from objectkernel_project_life.manager import HostManager, host_manager
from objectkernel_project_life.projects import HostProjects
from objectkernel_project_life.starting import AS_THEY_ARE
from objectkernel_project_life.steps import AtStep, no_step
from objectkernel_project_life.uri_policy import UriPolicy

if TYPE_CHECKING:
    from click import Command
    from fastapi import APIRouter

BOOT_MARGIN: Final = 30.0
"""Seconds that a boot may stand still beyond what the settings give one project."""


class ProjectLifePlugin(Plugin):
    """The register of projects, and the manager that keeps their connections.

    Args:
        at_step: is called at each of `steps.STEPS`; for tests of what a crash there leaves.
    """

    name = "project-life"
    config = configured_by(ProjectLifeConfig)
    dialect = needs(SYSTEM_DIALECT)
    plug = needs(DATA_PLUG)
    data_routes = needs(DATA_ROUTES)
    manager = needs(PROJECT_MANAGER)
    projects = needs(PROJECTS)
    keyring = wants(KEYRING)
    audit = wants(AUDIT)

    _host: HostProjects

    def __init__(self, *, at_step: AtStep = no_step) -> None:
        self._at_step = at_step

    @provides(PROJECT_MANAGER, uses=("plug",))
    async def project_manager(self) -> AsyncIterator[ProjectManager]:
        async with host_manager(self.plug, UriPolicy(self.config), self.config) as manager:
            yield manager

    @provides(PROJECTS, uses=("dialect", "plug", "manager", "keyring", "audit"))
    def register(self) -> Projects:
        projects = HostProjects(
            self.dialect,
            self.manager,
            self.plug,
            keys=uri_keys(self.config.encryption_key, self.keyring),
            policy=UriPolicy(self.config),
            config=self.config,
            audit=self.audit,
            at_step=self._at_step,
        )
        if isinstance(self.manager, HostManager):
            self.manager.listen(projects.hear)
        server.publish(projects)
        self._host = projects
        return projects

    @lifespan(uses=("projects",))
    async def boot(self) -> AsyncIterator[None]:
        """Bring the projects back before anybody asks for them; none of them keeps the host from starting."""
        if AS_THEY_ARE.get():
            yield
            return
        longest = self.config.open_timeout + self.config.pause_deadline + BOOT_MARGIN
        self.context.more_time(longest)

        def progress(done: int, total: int) -> None:
            self.context.more_time(longest)
            if done == total or done % 100 == 0:
                self.log.info("%d of %d projects are opened", done, total)

        await self._host.start(progress)
        yield

    @on(AccountDeleting)
    async def account_deleting(self, event: AccountDeleting) -> None:
        await self._host.leave(event.account_id, event.successor_id)

    # --- in the background ------------------------------------------------------------------------

    @background(on_crash="restart")
    async def reconcile(self) -> None:
        """Follow what other hosts change."""
        await self._again_and_again(self._host.reconcile, self.config.reconcile_interval)

    @background(on_crash="restart")
    async def retry(self) -> None:
        """Try projects again that could not be opened."""
        await self._again_and_again(self._host.retry_failed, self.config.retry_first / 2)

    async def _again_and_again(self, job: Callable[[], Awaitable[None]], every: float) -> None:
        while True:
            await anyio.sleep(every)
            try:
                await job()
            except* DataError as errors:
                self.log.warning("following the register has to wait: %s", errors.exceptions[0])

    @hookimpl
    def kernel_findings(self, kernel: PluginContext) -> Iterable[KernelError]:
        return key_findings(self._host.cipher)

    # --- tables, keys, scopes -----------------------------------------------------------------------

    @contributes(SYSTEM_SCHEMAS, uses=())
    def project_schema(self) -> EntitySchema:
        return PROJECT_SCHEMA

    @contributes(KEY_NAMES, uses=())
    def key_name(self) -> str:
        return KEY_NAME

    @contributes(SCOPES, uses=())
    def may_read(self) -> GrantableScope:
        return scopes.MAY_READ

    @contributes(SCOPES, uses=())
    def may_write(self) -> GrantableScope:
        return scopes.MAY_WRITE

    # --- routes, commands, figures --------------------------------------------------------------------

    @contributes(ROUTERS, uses=("projects",))
    def project_routes(self) -> RouterMaker:
        def make() -> APIRouter:
            from objectkernel_project_life.http import project_router

            return project_router(self.projects)

        return make

    @contributes(ROUTERS, uses=("data_routes", "projects", "manager"))
    def data_routers(self) -> RouterMaker:
        def make() -> APIRouter:
            from objectkernel_project_life.data_http import project_data_router

            router: APIRouter = project_data_router(self.data_routes, self.projects, self.manager)
            return router

        return make

    @contributes(METRICS, uses=("manager",))
    def figures(self) -> FigureSource:
        return lambda: project_figures(self.manager)

    @contributes(COMMANDS, uses=())
    def commands(self) -> CommandMaker:
        return projects_command


def projects_command() -> Command:
    """Make ``objectkernel projects``; click is imported here and not with the plugin."""
    from objectkernel_project_life.commands import projects

    return projects
