"""The plugin: two dialects, whose tables exist before they are up, and what administers them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import anyio
from objectkernel import Plugin, PluginContext, collects, configured_by, hookimpl, needs, provides
from objectkernel.errors import KernelError
from objectkernel.secret import Secret

from objectkernel_system_dialect.config import SystemDialectConfig
from objectkernel_system_dialect.contracts import (
    BUSINESS_SCHEMAS,
    DATA_PLUG,
    DIALECT,
    SCHEMAS,
    SYSTEM_DIALECT,
    SYSTEM_SCHEMAS,
    DataPlug,
    Dialect,
    Schemas,
)
from objectkernel_system_dialect.location import MEMORY
from objectkernel_system_dialect.openings import business_opening, system_opening
from objectkernel_system_dialect.plug import Plug
from objectkernel_system_dialect.sharing import shared_system
from objectkernel_system_dialect.switching import switchable

IN_MEMORY = SystemDialectConfig(sgbd_uri=Secret(MEMORY))


class SystemDialectPlugin(Plugin):
    """Provides `DIALECT` for the business data, `SYSTEM_DIALECT`, which may be the same, and `DATA_PLUG`."""

    name = "system-dialect"
    config = configured_by(SystemDialectConfig)
    system_schemas = collects(SYSTEM_SCHEMAS)
    business_schemas = collects(BUSINESS_SCHEMAS)
    business = needs(DIALECT)
    system = needs(SYSTEM_DIALECT)
    plug = needs(DATA_PLUG)

    _in_memory = False

    @classmethod
    def in_memory(cls) -> SystemDialectPlugin:
        """For tests: one database in memory for everything, whatever the settings say."""
        plugin = cls()
        plugin._in_memory = True
        return plugin

    @provides(DIALECT, uses=("business_schemas",))
    async def dialect(self) -> AsyncIterator[Dialect]:
        config = IN_MEMORY if self._in_memory else self.config
        async with switchable(business_opening(config), self.business_schemas) as dialect:
            yield dialect

    @provides(SYSTEM_DIALECT, uses=("business", "system_schemas"))
    async def system_dialect(self) -> AsyncIterator[Dialect]:
        opening = None if self._in_memory else system_opening(self.config)
        if opening is None:
            await self.business.register(*self.system_schemas)
            for finding in self._findings(self.business, self.business):
                self.log.warning("%s", finding)
            yield self.business
            return
        async with switchable(opening, self.system_schemas) as dialect:
            yield dialect

    @provides(DATA_PLUG, uses=("business", "system", "system_schemas"))
    async def data_plug(self) -> AsyncIterator[DataPlug]:
        async with anyio.create_task_group() as tasks:
            plug = Plug(self.business, self.system, self.system_schemas, self._settings, tasks)
            try:
                yield plug
            finally:
                await plug.aclose()

    @provides(SCHEMAS, uses=("plug",))
    def schemas(self) -> Schemas:
        return self.plug

    @hookimpl
    def kernel_findings(self, kernel: PluginContext) -> Iterable[KernelError]:
        return self._findings(kernel.get(DIALECT), kernel.get(SYSTEM_DIALECT))

    def _settings(self) -> SystemDialectConfig:
        """The settings as they are now."""
        if self._in_memory:
            return IN_MEMORY
        config: SystemDialectConfig = self.context.read_settings()
        return config

    def _findings(self, business: Dialect, system: Dialect) -> tuple[KernelError, ...]:
        return (shared_system(business.name),) if system is business and not self._in_memory else ()
