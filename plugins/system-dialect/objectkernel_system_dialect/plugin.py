"""The plugin: two dialects, whose tables exist before they are up, and what administers them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import anyio
from objectkernel import (
    Plugin,
    PluginContext,
    background,
    collects,
    configured_by,
    contributes,
    hookimpl,
    needs,
    provides,
    wants,
)
from objectkernel.errors import KernelError
from objectkernel.secret import Secret
from objectkernel_contracts import (
    AUDIT,
    COMMANDS,
    METRICS,
    ROUTERS,
    SCOPES,
    CommandContext,
    CommandMaker,
    FigureSource,
    GrantableScope,
    RouterMaker,
)

from objectkernel_system_dialect.config import SystemDialectConfig
from objectkernel_system_dialect.contracts import (
    API_KEY_SOURCE,
    BUSINESS_SCHEMAS,
    DATA_PLUG,
    DATA_ROUTES,
    DIALECT,
    OFFLINE_SYSTEM,
    SCHEMAS,
    SYSTEM_DIALECT,
    SYSTEM_SCHEMAS,
    DataPlug,
    DataRoutes,
    Dialect,
    OfflineDialect,
    Schemas,
)
from objectkernel_system_dialect.figures import connection_figures
from objectkernel_system_dialect.http_idempotency import PAUSE, Idempotency
from objectkernel_system_dialect.lazy_routes import LazyRoutes
from objectkernel_system_dialect.location import MEMORY
from objectkernel_system_dialect.migrations import MIGRATIONS
from objectkernel_system_dialect.net_opening import ApiKeys
from objectkernel_system_dialect.openings import business_opening, business_schemas, system_opening
from objectkernel_system_dialect.plug import Plug
from objectkernel_system_dialect.rest_api import ADMIN, READ, TENANTS, WRITE
from objectkernel_system_dialect.sharing import shared_system
from objectkernel_system_dialect.switching import switchable

if TYPE_CHECKING:
    from fastapi import APIRouter

    from objectkernel_system_dialect.http_route import HttpLimits

IN_MEMORY = SystemDialectConfig(sgbd_uri=Secret(MEMORY))


class SystemDialectPlugin(Plugin):
    """Provides `DIALECT` for the business data, `SYSTEM_DIALECT`, which may be the same, and `DATA_PLUG`."""

    name = "system-dialect"
    config = configured_by(SystemDialectConfig)
    system_schemas = collects(SYSTEM_SCHEMAS)
    business_schemas = collects(BUSINESS_SCHEMAS)
    migrations = collects(MIGRATIONS)
    business = needs(DIALECT)
    system = needs(SYSTEM_DIALECT)
    plug = needs(DATA_PLUG)
    key_source = wants(API_KEY_SOURCE)
    audit = wants(AUDIT)

    _in_memory = False

    def __init__(self) -> None:
        self._served = False
        self._keys = ApiKeys(lambda: self.key_source)

    @classmethod
    def in_memory(cls) -> SystemDialectPlugin:
        """For tests: one database in memory for everything, whatever the settings say."""
        plugin = cls()
        plugin._in_memory = True
        return plugin

    @provides(DIALECT, uses=("business_schemas", "migrations", "key_source"))
    async def dialect(self) -> AsyncIterator[Dialect]:
        config = IN_MEMORY if self._in_memory else self.config
        opening = business_opening(config, self._keys, self.migrations)
        async with switchable(opening, business_schemas(config, self.business_schemas)) as dialect:
            yield dialect

    @provides(SYSTEM_DIALECT, uses=("business", "system_schemas", "migrations"))
    async def system_dialect(self) -> AsyncIterator[Dialect]:
        opening = None if self._in_memory else system_opening(self.config, self.migrations)
        if opening is None:
            for finding in self._findings(self.business, self.business):
                self.log.warning("%s", finding)
            await self.business.register(*self.system_schemas)
            yield self.business
            return
        async with switchable(opening, self.system_schemas) as dialect:
            yield dialect

    @provides(DATA_PLUG, uses=("business", "system", "system_schemas", "migrations"))
    async def data_plug(self) -> AsyncIterator[DataPlug]:
        async with anyio.create_task_group() as tasks:
            plug = Plug(
                self.business,
                self.system,
                self.system_schemas,
                settings=self._settings,
                keys=self._keys,
                migrations=self.migrations,
                tasks=tasks,
            )
            try:
                yield plug
            finally:
                await plug.aclose()

    @provides(SCHEMAS, uses=("plug",))
    def schemas(self) -> Schemas:
        return self.plug

    @provides(DATA_ROUTES, uses=("audit",))
    def routes_of_databases(self) -> DataRoutes:
        return LazyRoutes(self._limits, self.audit)

    @contributes(COMMANDS, uses=())
    def schema_command(self) -> CommandMaker:
        return lambda: _commands().schema

    @contributes(COMMANDS, uses=())
    def backup_command(self) -> CommandMaker:
        return lambda: _commands().backup

    @contributes(COMMANDS, uses=())
    def restore_command(self) -> CommandMaker:
        return lambda: _commands().restore

    @contributes(OFFLINE_SYSTEM, uses=())
    def offline(self) -> OfflineDialect:
        return _offline

    @contributes(ROUTERS, uses=("business", "system_schemas", "audit"))
    def data_routes(self) -> RouterMaker:
        def make() -> APIRouter:
            from objectkernel_system_dialect.http import data_router
            from objectkernel_system_dialect.http_plane import DataPlane

            self._served = True
            return data_router(DataPlane(self.business, lambda: self.system_schemas, self._limits(), self.audit))

        return make

    @contributes(ROUTERS, uses=("plug", "audit"))
    def administration_routes(self) -> RouterMaker:
        def make() -> APIRouter:
            from objectkernel_system_dialect.http import admin_router

            return admin_router(self.plug, self._limits(), self.audit)

        return make

    @contributes(SCOPES, uses=())
    def read_scope(self) -> GrantableScope:
        french = {"fr": "Lire les données du compte"}
        return GrantableScope(name=READ, description="Read the account's data", role="viewer", translations=french)

    @contributes(SCOPES, uses=())
    def write_scope(self) -> GrantableScope:
        described, french = (
            "Create, change and delete the account's data",
            "Créer, changer et supprimer les données du compte",
        )
        return GrantableScope(name=WRITE, description=described, role="member", translations={"fr": french})

    @contributes(SCOPES, uses=())
    def admin_scope(self) -> GrantableScope:
        french = {"fr": "Changer de base de données métier"}
        return GrantableScope(
            name=ADMIN, description="Switch the business database", role="operator", translations=french
        )

    @contributes(SCOPES, uses=())
    def tenants_scope(self) -> GrantableScope:
        described, french = "Read and write the data of all accounts", "Lire et écrire les données de tous les comptes"
        return GrantableScope(name=TENANTS, description=described, role="operator", translations={"fr": french})

    @contributes(METRICS, uses=("business", "system"))
    def connections(self) -> FigureSource:
        own = {} if self.system is self.business else {"system": self.system}
        return lambda: connection_figures({"business": self.business, **own})

    @background(on_crash="restart")
    async def expire_idempotency(self) -> None:
        """Where the data plane is served, its records that have come of age go, whoever has left them."""
        while True:
            await anyio.sleep(PAUSE.total_seconds())
            if self._served:
                await Idempotency(self.business).sweep()

    @hookimpl
    def kernel_findings(self, kernel: PluginContext) -> Iterable[KernelError]:
        return self._findings(kernel.get(DIALECT), kernel.get(SYSTEM_DIALECT))

    def _limits(self) -> HttpLimits:
        from objectkernel_system_dialect.http_route import HttpLimits

        config = self.config
        return HttpLimits(
            page_default=config.http_page,
            page_max=config.http_page_max,
            rows_max=config.http_rows_max,
            body_bytes=config.http_body_bytes,
        )

    def _settings(self) -> SystemDialectConfig:
        """The settings as they are now."""
        if self._in_memory:
            return IN_MEMORY
        config: SystemDialectConfig = self.context.read_settings()
        return config

    def _findings(self, business: Dialect, system: Dialect) -> tuple[KernelError, ...]:
        return (shared_system(business.name),) if system is business and not self._in_memory else ()


def _offline(context: CommandContext) -> AbstractAsyncContextManager[Dialect] | None:
    from objectkernel_system_dialect.command_places import system_offline

    return system_offline(context)


def _commands() -> Any:
    """The module of the commands; click is imported with it, and not with the plugin."""
    from objectkernel_system_dialect import commands

    return commands
