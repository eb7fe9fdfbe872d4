"""The plugin: what package-service needs, provides and contributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objectkernel import Plugin, configured_by, contributes, needs, provides
from objectkernel_contracts import COMMANDS, CommandMaker
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT, SYSTEM_SCHEMAS, EntitySchema

from objectkernel_package_service.config import PackageServiceConfig
from objectkernel_package_service.contracts import PACKAGES, PackageService
from objectkernel_package_service.package import Limits
from objectkernel_package_service.registry import PackageRegistry
from objectkernel_package_service.storage import PackageStore
from objectkernel_package_service.table import PACKAGE

if TYPE_CHECKING:
    from click import Command


class PackageServicePlugin(Plugin):
    """A registry of metadata packages in the system database."""

    name = "package-service"
    config = configured_by(PackageServiceConfig)
    dialect = needs(SYSTEM_DIALECT)

    @provides(PACKAGES)
    def packages(self) -> PackageService:
        limits = Limits(manifest=self.config.max_manifest_bytes, metadata=self.config.max_metadata_bytes)
        return PackageRegistry(PackageStore(self.dialect), limits)

    @contributes(SYSTEM_SCHEMAS, uses=())
    def schema(self) -> EntitySchema:
        return PACKAGE

    @contributes(COMMANDS, uses=())
    def commands(self) -> CommandMaker:
        return packages_command


def packages_command() -> Command:
    """Make ``objectkernel packages``; click is imported here and not with the plugin."""
    from objectkernel_package_service.commands import packages

    return packages
