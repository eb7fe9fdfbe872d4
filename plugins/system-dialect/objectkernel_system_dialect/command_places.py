"""The databases that a command is about: found from the settings, with no kernel started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import attrs
from objectkernel_contracts import CommandContext

from objectkernel_system_dialect.config import SystemDialectConfig
from objectkernel_system_dialect.contracts import BUSINESS_SCHEMAS, MIGRATIONS, RUNTIME_SCHEMAS, SYSTEM_SCHEMAS
from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.location import sqlite_path
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

    @property
    def missing(self) -> bool:
        """Whether it is a file that nobody has made yet, or memory, which ends with its process."""
        database, uri = self.opening.database, self.opening.uri
        return database.name == "sqlite" and not Path(sqlite_path(uri.reveal())).is_file()

    async def schema_work(self, work: Callable[[Connection, Sequence[Table]], T]) -> T:
        """Run `work` with the tables of all schemas, of which none was made or changed before."""
        async with self.opened() as dialect:
            return await dialect.schema_work(work)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[SqlDialect]:
        """The database, whose tables are left as they are."""
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


def system_offline(context: CommandContext) -> AbstractAsyncContextManager[Dialect] | None:
    """The system's database; see `OFFLINE_SYSTEM`."""
    place = _system_place(context)
    return None if place is None else place.opened()


def _system_place(context: CommandContext) -> Place | None:
    *_, place = places(context) or (None,)  # the last one is the system's, also where it is the business data's too
    return None if place is None or place.missing else place


async def runtime_tables(context: CommandContext) -> frozenset[str]:
    """Names of the tables of entities that plugins register while a host runs; see `RUNTIME_SCHEMAS`.

    Raises:
        KernelError: a plugin cannot tell all of them.
    """
    place, several = _system_place(context), context.kernel().contributions(RUNTIME_SCHEMAS)
    if place is None or not several:
        return frozenset()
    from sqlalchemy import inspect

    from objectkernel_system_dialect.schema_files import read_schema

    async with place.opened() as dialect:
        there = await dialect.schema_work(lambda core, _: inspect(core).get_table_names())
        found = [await one.read(dialect, read_schema) for one in several if one.collection in there]
    return frozenset(name for schemas in found for name in table_names(schemas))
