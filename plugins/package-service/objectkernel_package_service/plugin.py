"""The plugin: what package-service needs, provides and contributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

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
    on,
    provides,
    wants,
)
from objectkernel.errors import KernelError
from objectkernel_contracts import (
    AUDIT,
    COMMANDS,
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
    DIALECT,
    MIGRATIONS,
    RUNTIME_SCHEMAS,
    SCHEMAS,
    SYSTEM_DIALECT,
    SYSTEM_SCHEMAS,
    EntitySchema,
    Migration,
    RuntimeSchemas,
)

from objectkernel_package_service.belated_seals import SEALS
from objectkernel_package_service.config import PackageServiceConfig
from objectkernel_package_service.contracts import PACKAGES, PackageService, PackageStoreUnavailable
from objectkernel_package_service.install_contracts import INSTALLATIONS, PACKAGE_CONSUMERS, Installations
from objectkernel_package_service.install_storage import INSTALLATION, STATE, InstallationStore
from objectkernel_package_service.installation import Installer
from objectkernel_package_service.installed_entities import Entities
from objectkernel_package_service.installed_tables import INSTALLED_TABLE
from objectkernel_package_service.manifest import host_version
from objectkernel_package_service.offline import installed_schemas
from objectkernel_package_service.package import Limits
from objectkernel_package_service.registry import PackageRegistry
from objectkernel_package_service.scopes import MAY_INSTALL, MAY_READ, MAY_WRITE
from objectkernel_package_service.storage import PackageStore
from objectkernel_package_service.table import CHANGE, HEAD, NEED, PACKAGE
from objectkernel_package_service.upgrading import HEADS, SIZES

if TYPE_CHECKING:
    from click import Command
    from fastapi import APIRouter


class PackageServicePlugin(Plugin):
    """A registry of metadata packages in the system database."""

    name = "package-service"
    config = configured_by(PackageServiceConfig)
    dialect = needs(SYSTEM_DIALECT)
    business = needs(DIALECT)
    audit = wants(AUDIT)
    registry = needs(PACKAGES)
    schemas = needs(SCHEMAS)
    consumers = collects(PACKAGE_CONSUMERS)
    installer = needs(INSTALLATIONS)

    @provides(PACKAGES, uses=("dialect", "audit", "schemas"))
    def packages(self) -> PackageService:
        limits = Limits(manifest=self.config.max_manifest_bytes, metadata=self.config.max_metadata_bytes)
        self._store = PackageStore(self.dialect, self.audit)
        return PackageRegistry(self._store, limits, self.schemas.read_schema)

    @provides(INSTALLATIONS, uses=("dialect", "business", "audit", "schemas", "registry", "consumers"))
    async def installations(self) -> Installations:
        store = InstallationStore(self.dialect, self.audit)
        made = Installer(
            self.registry,
            Entities(self.schemas, self.business, self.config.account_of_older_rows),
            store,
            self.consumers,
            host_version(),
        )
        await made.start()
        return made

    @background(on_crash="restart")
    async def follow(self) -> None:
        """Take over what other hosts of the same system database install."""
        while self.config.refresh_seconds:
            await anyio.sleep(self.config.refresh_seconds)
            try:
                await self.installer.refresh()
            except PackageStoreUnavailable as error:
                self.log.debug("%s", error)

    @hookimpl
    def kernel_findings(self, kernel: PluginContext) -> Iterable[KernelError]:
        return kernel.get(INSTALLATIONS).failed()

    @on(AccountDeleting)
    async def account_deleting(self, event: AccountDeleting) -> None:
        await self._store.remover.leave(event.account_id, event.successor_id)

    @contributes(METRICS, uses=("registry",))
    def figures(self) -> FigureSource:
        return self._store.integrity.figures

    @contributes(SYSTEM_SCHEMAS, uses=())
    def package_schema(self) -> EntitySchema:
        return PACKAGE

    @contributes(SYSTEM_SCHEMAS, uses=())
    def head_schema(self) -> EntitySchema:
        return HEAD

    @contributes(SYSTEM_SCHEMAS, uses=())
    def change_schema(self) -> EntitySchema:
        return CHANGE

    @contributes(SYSTEM_SCHEMAS, uses=())
    def need_schema(self) -> EntitySchema:
        return NEED

    @contributes(SYSTEM_SCHEMAS, uses=())
    def installation_schema(self) -> EntitySchema:
        return INSTALLATION

    @contributes(SYSTEM_SCHEMAS, uses=())
    def installation_state_schema(self) -> EntitySchema:
        return STATE

    @contributes(SYSTEM_SCHEMAS, uses=())
    def installed_table_schema(self) -> EntitySchema:
        return INSTALLED_TABLE

    @contributes(MIGRATIONS, uses=())
    def versions_tell_sizes(self) -> Migration:
        return SIZES

    @contributes(MIGRATIONS, uses=())
    def packages_have_heads(self) -> Migration:
        return HEADS

    @contributes(MIGRATIONS, uses=())
    def private_packages_are_sealed(self) -> Migration:
        return SEALS

    @contributes(RUNTIME_SCHEMAS, uses=())
    def schemas_of_packages(self) -> RuntimeSchemas:
        return RuntimeSchemas(INSTALLATION.collection, installed_schemas)

    @contributes(COMMANDS, uses=())
    def commands(self) -> CommandMaker:
        return packages_command

    @contributes(ROUTERS, uses=("registry",))
    def routes(self) -> RouterMaker:
        def make() -> APIRouter:
            from objectkernel_package_service.http import packages_router

            config = self.config
            return packages_router(self.registry, body_bytes=config.http_body_bytes, anonymous=config.anonymous_reads)

        return make

    @contributes(ROUTERS, uses=("installer",))
    def install_routes(self) -> RouterMaker:
        def make() -> APIRouter:
            from objectkernel_package_service.http_installing import installations_router

            return installations_router(self.installer)

        return make

    @contributes(SCOPES, uses=())
    def may_read(self) -> GrantableScope:
        return MAY_READ

    @contributes(SCOPES, uses=())
    def may_write(self) -> GrantableScope:
        return MAY_WRITE

    @contributes(SCOPES, uses=())
    def may_install(self) -> GrantableScope:
        return MAY_INSTALL


def packages_command() -> Command:
    """Make ``objectkernel packages``; click is imported here and not with the plugin."""
    from objectkernel_package_service.commands import packages

    return packages
