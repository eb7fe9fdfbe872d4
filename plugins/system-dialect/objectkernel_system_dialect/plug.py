"""`DATA_PLUG`: the two databases of a kernel, as hosts and administrators handle them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup
from objectkernel.secret import Secret

from objectkernel_system_dialect.config import SystemDialectConfig
from objectkernel_system_dialect.data_plug import DataMode, DataPlug, IsolatedOptions, KeyRenewal, SchemaStrategy
from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import OperationUnsupported
from objectkernel_system_dialect.generations import Opening
from objectkernel_system_dialect.migrations import Migration
from objectkernel_system_dialect.net_opening import ApiKeys
from objectkernel_system_dialect.opening import Lent
from objectkernel_system_dialect.openings import business_opening, database_opening, system_opening
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.schema_registry import SchemaRegistry
from objectkernel_system_dialect.sharing import shared_system
from objectkernel_system_dialect.switching import SwitchableDialect
from objectkernel_system_dialect.telling import telling

log = logging.getLogger("objectkernel.plugin.system-dialect")


class Plug(SchemaRegistry):
    """The databases of one kernel; see `DataPlug`."""

    def __init__(
        self,
        business: Dialect,
        system: Dialect,
        system_schemas: Sequence[EntitySchema],
        *,
        settings: Callable[[], SystemDialectConfig],
        keys: ApiKeys,
        migrations: Sequence[Migration],
        tasks: TaskGroup,
    ) -> None:
        super().__init__(business, lambda: self._system or business, system_schemas)
        self._system: Dialect | None = system
        self._settings = settings
        self._known: SystemDialectConfig | None = None
        self._keys = keys
        self._migrations = migrations
        self._tasks = tasks
        self._moved: Opening | None = None
        self._moving = anyio.Lock()
        self._bootstrapping = anyio.Lock()
        self._given = system
        self._opened: list[SwitchableDialect] = []

    # --- the business data ------------------------------------------------------------------------------

    async def get_dialect(self) -> Dialect:
        if isinstance(self._business, SwitchableDialect):
            await self._business.connect()
        return self._business

    async def set_dialect(self, dialect: Dialect) -> None:
        if self._switchable().gives(dialect):
            raise OperationUnsupported(
                "the business dialect cannot be put behind itself",
                why="this is what the service 'dialect' gave, or a tenant's view of it",
                fix="give one that was opened elsewhere, such as with `open_isolated_dialect`",
                dialect=dialect.name,
                capability="switch",
            )
        async with self._moving:
            await self._go(Lent(dialect), lasting=False)

    async def reset_dialect(self) -> None:
        async with self._moving:
            business, self._moved = self._switchable(), None
            await business.disconnect(then=self._wanted)

    def get_data_mode(self) -> DataMode:
        return "net" if self._business.name == "net" else "orm"

    def is_net_mode(self) -> bool:
        return self.get_data_mode() == "net"

    def is_orm_mode(self) -> bool:
        return self.get_data_mode() == "orm"

    async def disconnect(self) -> None:
        async with self._moving:
            await self._switchable().disconnect(then=self._wanted)

    async def change_dialect(self, dialect: str, uri: str, schema_strategy: SchemaStrategy | None = None) -> None:
        config = self._read()
        strategy = schema_strategy or config.db_schema_strategy
        opening = database_opening(config, dialect, Secret(uri), strategy, self._migrations)
        async with self._moving:
            await self._go(opening, lasting=True)

    async def reload_config(self) -> bool:
        async with self._moving:
            opening = business_opening(self._read(), self._keys, self._migrations)
            if opening == self._switchable().opening:
                self._moved = None
                return False
            await self._go(opening, lasting=False)
            return True

    async def reconnect(self) -> None:
        async with self._moving:
            await self._go(self._wanted(), lasting=self._moved is not None)

    def on_api_key_invalid(self, renew: KeyRenewal) -> None:
        self._keys.renewal = renew

    async def _go(self, opening: Opening, *, lasting: bool) -> None:
        """Switch; `lasting` says that `reconnect` and `disconnect` shall lead there too."""
        business = self._switchable()
        try:
            await business.switch(opening)
        finally:  # also of a caller that is cancelled while the old connection closes
            if business.opening is opening:
                self._moved = opening if lasting else None

    def _wanted(self) -> Opening:
        """Where `change_dialect` went, otherwise what the settings say now."""
        return self._moved or business_opening(self._read(), self._keys, self._migrations)

    def _switchable(self) -> SwitchableDialect:
        if isinstance(self._business, SwitchableDialect):
            return self._business
        raise OperationUnsupported(
            "the business dialect cannot be switched",
            why="the host has given an object of its own as the service 'dialect'",
            fix="switch it where it was made, or call `await kernel.restore(DIALECT)` first",
            dialect=self._business.name,
            capability="switch",
        )

    # --- the system's data --------------------------------------------------------------------------------

    async def get_system_dialect(self) -> Dialect:
        if self._system is None:
            if self._read().system_required:
                raise shared_system(self._business.name)
            log.warning("%s", shared_system(self._business.name))
        return self._system or self._business

    async def bootstrap_system_dialect(self) -> Dialect:
        async with self._bootstrapping:
            if self._system is None:
                opening = system_opening(self._read(), self._migrations)
                if opening is None:
                    log.warning("%s", shared_system(self._business.name))
                    await self.set_system_dialect(self._business)
                else:
                    self._system = await self._system_at(opening)
            return await self.get_system_dialect()

    async def _system_at(self, opening: Opening) -> SwitchableDialect:
        """The system's database: as it was opened before, if a reset has left it, else opened now."""
        for dialect in (self._given, *self._opened):
            if (
                isinstance(dialect, SwitchableDialect)
                and dialect is not self._business
                and dialect.opening == opening
                and not dialect.closed
            ):
                return dialect
        dialect = await SwitchableDialect.open(opening, self._system_schemas, self._tasks)
        self._opened.append(dialect)
        return dialect

    async def set_system_dialect(self, dialect: Dialect) -> None:
        await dialect.register(*self._system_schemas)
        self._system = dialect

    def reset_system_dialect(self) -> None:
        self._system = None

    # --- others -------------------------------------------------------------------------------------------

    async def open_isolated_dialect(
        self,
        dialect: str,
        uri: str,
        schema_strategy: SchemaStrategy = "none",
        *,
        schemas: Sequence[EntitySchema] = (),
        options: IsolatedOptions | None = None,
    ) -> Dialect:
        config = self._known or self._read()
        opening = database_opening(config, dialect, Secret(uri), schema_strategy, self._migrations, options)
        return await opening.open(schemas)

    async def plan_schemas(self, dialect: Dialect, schemas: Sequence[EntitySchema]) -> tuple[str, ...]:
        return await telling(dialect).plan(schemas)

    async def database_identity(self, dialect: Dialect) -> str:
        return await telling(dialect).identity()

    def _read(self) -> SystemDialectConfig:
        """The settings as they are now; isolated databases, of which there may be many, take them as read last.

        Raises:
            ConfigError: they are refused.
        """
        self._known = self._settings()
        return self._known

    async def aclose(self) -> None:
        """Close what `bootstrap_system_dialect` opened."""
        for dialect in self._opened:
            await dialect.aclose()


if TYPE_CHECKING:
    _is_a_plug: type[DataPlug] = Plug
