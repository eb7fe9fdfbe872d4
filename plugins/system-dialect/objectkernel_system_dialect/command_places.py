"""The databases that a command is about: found from the settings, with no kernel started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import attrs
from objectkernel_contracts import CommandContext

from objectkernel_system_dialect.config import SystemDialectConfig
from objectkernel_system_dialect.contracts import BUSINESS_SCHEMAS, MIGRATIONS, SYSTEM_SCHEMAS
from objectkernel_system_dialect.migrations import Migration
from objectkernel_system_dialect.net_opening import ApiKeys
from objectkernel_system_dialect.opening import SqlOpening
from objectkernel_system_dialect.openings import business_opening, business_schemas, system_opening
from objectkernel_system_dialect.registry import table_names
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.sql_dialect import SqlDialect

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

T = TypeVar("T")
PLUGIN = "system-dialect"


@attrs.frozen
class Place:
    """One database of a host.

    Attributes:
        name: ``business`` or ``system``; one that serves both is ``business``.
        schemas: of all plugins whose tables are in it.
        migrations: of all plugins.
        others: names of the tables of the host's other entities, which may be in the same database after all.
    """

    name: str
    opening: SqlOpening
    schemas: tuple[EntitySchema, ...]
    migrations: tuple[Migration, ...]
    others: frozenset[str]

    @property
    def collections(self) -> frozenset[str]:
        """Names of tables that it has, or had in an older version; others may be there as well."""
        own = frozenset(schema.collection for schema in self.schemas)
        touching = [one.collections for one in self.migrations if own.intersection(one.collections)]
        return own.union(*touching)

    async def schema_work(self, work: Callable[[Connection, Sequence[Table]], T]) -> T:
        """Run `work` with the tables of all schemas, of which none was made or changed before."""
        async with self._dialect() as dialect:
            return await dialect.schema_work(work)

    @asynccontextmanager
    async def _dialect(self) -> AsyncIterator[SqlDialect]:
        dialect = await attrs.evolve(self.opening, strategy="none").open(self.schemas)
        assert isinstance(dialect, SqlDialect)
        try:
            yield dialect
        finally:
            await dialect.aclose()


def places(context: CommandContext) -> tuple[Place, ...]:
    """The databases of the host, as its settings say.

    Raises:
        KernelError: of the settings, where one is refused.
    """
    kernel = context.kernel()
    composition = kernel.compose()
    configuration = composition.configuration
    assert configuration is not None  # this plugin has settings
    for problem in (*composition.options.problems, *configuration.problems):
        if getattr(problem, "plugin", PLUGIN) == PLUGIN:
            raise problem
    config: SystemDialectConfig = configuration.instances[PLUGIN]
    business = business_schemas(config, kernel.contributions(BUSINESS_SCHEMAS))
    system = kernel.contributions(SYSTEM_SCHEMAS)
    migrations = kernel.contributions(MIGRATIONS)
    first, own = business_opening(config, ApiKeys(lambda: None), migrations), system_opening(config, migrations)
    found = [("business", first, business if own is not None else tuple(dict.fromkeys((*business, *system))))]
    if own is not None:
        found.append(("system", own, system))
    every = frozenset(table_names([*business, *system]))
    return tuple(
        Place(name, opening, schemas, migrations, every.difference(table_names(schemas)))
        for name, opening, schemas in found
        if isinstance(opening, SqlOpening)  # the tables of a server of NET mode are the server's
    )
