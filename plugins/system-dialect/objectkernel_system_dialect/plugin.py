"""The plugin: two dialects, whose tables exist before they are up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from objectkernel import Plugin, collects, configured_by, needs, provides
from objectkernel.secret import Secret

from objectkernel_system_dialect.config import SystemDialectConfig
from objectkernel_system_dialect.contracts import (
    BUSINESS_SCHEMAS,
    DIALECT,
    SYSTEM_DIALECT,
    SYSTEM_SCHEMAS,
    Dialect,
)
from objectkernel_system_dialect.location import MEMORY, default_path, sqlite_path
from objectkernel_system_dialect.sqlite_dialect import SqliteDialect
from objectkernel_system_dialect.sqlite_executor import SqliteOptions


class SystemDialectPlugin(Plugin):
    """Provides `DIALECT` for the business data, and `SYSTEM_DIALECT`, which may be the same."""

    name = "system-dialect"
    config = configured_by(SystemDialectConfig)
    system_schemas = collects(SYSTEM_SCHEMAS)
    business_schemas = collects(BUSINESS_SCHEMAS)
    business = needs(DIALECT)

    _in_memory = False

    @classmethod
    def in_memory(cls) -> SystemDialectPlugin:
        """For tests: one database in memory for everything, whatever the settings say."""
        plugin = cls()
        plugin._in_memory = True
        return plugin

    @provides(DIALECT, uses=("business_schemas",))
    async def dialect(self) -> AsyncIterator[Dialect]:
        async with aclosing(await self._open(self.config.sgbd_uri)) as dialect:
            await dialect.register(*self.business_schemas)
            yield dialect

    @provides(SYSTEM_DIALECT, uses=("business", "system_schemas"))
    async def system_dialect(self) -> AsyncIterator[Dialect]:
        if self.config.system_uri is None or self._in_memory:
            await self.business.register(*self.system_schemas)
            yield self.business
            return
        async with aclosing(await self._open(self.config.system_uri)) as dialect:
            await dialect.register(*self.system_schemas)
            yield dialect

    async def _open(self, uri: Secret[str] | None) -> SqliteDialect:
        options = SqliteOptions(
            readers=self.config.readers,
            synchronous=self.config.synchronous,
            busy_timeout=self.config.busy_timeout,
        )
        if self._in_memory:
            return await SqliteDialect.open(MEMORY, options)
        path = default_path(self.config.data_dir) if uri is None else sqlite_path(uri.reveal())
        return await SqliteDialect.open(path, options)
