"""From a place to an open dialect: which engine runs it, what it may do to tables, and nothing shown of the URI."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import anyio
import attrs
from objectkernel.secret import Secret

from objectkernel_system_dialect.connection_limit import ConnectionLimit
from objectkernel_system_dialect.data_plug import SchemaStrategy
from objectkernel_system_dialect.databases import Database
from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import DatabaseUnavailable, DialectUnsupported
from objectkernel_system_dialect.location import MEMORY, sqlite_path
from objectkernel_system_dialect.migrations import Migration
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.sealing import seal

if TYPE_CHECKING:
    from objectkernel_system_dialect.engine import Engine
    from objectkernel_system_dialect.generations import Opening


@attrs.frozen(kw_only=True)
class ConnectionOptions:
    """How connections behave: the settings of `SystemDialectConfig` with these names, and what an opening adds."""

    pool_size: int = 10
    pool_min: int = 0
    pool_timeout: float = 30.0
    connect_timeout: float = 10.0
    command_timeout: float = 60.0
    statement_cache: int = 100
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    busy_timeout: float = 5.0
    immediate_reads: bool = True
    readers: int = 3
    limit: ConnectionLimit | None = None


@attrs.frozen
class SqlOpening:
    """A database, and what is done about its tables."""

    database: Database
    uri: Secret[str]
    strategy: SchemaStrategy = "update"
    options: ConnectionOptions = attrs.field(factory=ConnectionOptions)
    migrations: tuple[Migration, ...] = ()
    owned = True

    @property
    def renewable(self) -> bool:
        """A database in memory is gone with its connection; every other is there again."""
        return self.database.name != "sqlite" or sqlite_path(self.uri.reveal()) != MEMORY

    async def open(self, schemas: Sequence[EntitySchema]) -> Dialect:
        """An open dialect that has the tables of these schemas and answers.

        Raises:
            DialectUnsupported: the driver is not installed, or the URI is not for it.
            DataError: the database cannot be opened, or the schemas do not fit it.
        """
        if self.database.driver:
            expect_module(self.database.driver, self.database.extra)
        place = f"the {self.database.name} database"
        return await attempted(place, self.uri.reveal(), lambda: self._open(schemas))

    async def _open(self, schemas: Sequence[EntitySchema]) -> Dialect:
        from objectkernel_system_dialect.sql_dialect import SqlDialect

        dialect = SqlDialect(await self._engine(), strategy=self.strategy, migrations=self.migrations)
        return await prepared(dialect, schemas, answered=True)

    async def _engine(self) -> Engine:
        """The engine of this database, connected; its module, and with it a driver, is imported here."""
        uri, options = self.uri.reveal(), self.options
        match self.database.name:
            case "sqlite":
                from objectkernel_system_dialect.sqlite_engine import SqliteEngine
                from objectkernel_system_dialect.sqlite_executor import SqliteOptions

                return await SqliteEngine.open(
                    sqlite_path(uri),
                    SqliteOptions(
                        readers=options.readers,
                        synchronous=options.synchronous,
                        busy_timeout=options.busy_timeout,
                        immediate_reads=options.immediate_reads,
                    ),
                )
            case "postgres":
                from objectkernel_system_dialect.postgres_engine import PostgresEngine
                from objectkernel_system_dialect.postgres_executor import PostgresOptions

                pool = PostgresOptions(
                    pool_size=options.pool_size,
                    pool_min=options.pool_min,
                    limit=options.limit,
                    pool_timeout=options.pool_timeout,
                    connect_timeout=options.connect_timeout,
                    command_timeout=options.command_timeout,
                    statement_cache=options.statement_cache,
                )
                return await PostgresEngine.open(uri, pool)
            case "mariadb" | "mysql":
                from objectkernel_system_dialect.mariadb_connection import MariadbOptions
                from objectkernel_system_dialect.mariadb_engine import MariadbEngine

                server = MariadbOptions(
                    pool_size=options.pool_size,
                    pool_min=options.pool_min,
                    limit=options.limit,
                    pool_timeout=options.pool_timeout,
                    connect_timeout=options.connect_timeout,
                    command_timeout=options.command_timeout,
                    statement_cache_size=options.statement_cache,
                )
                return await MariadbEngine.open(uri, server)
            case _:
                from objectkernel_system_dialect.generic_engine import GenericEngine
                from objectkernel_system_dialect.generic_executor import GenericOptions

                generic = GenericOptions(pool_size=options.pool_size, pool_timeout=options.pool_timeout)
                return await GenericEngine.open(uri, generic)


async def prepared(dialect: Dialect, schemas: Sequence[EntitySchema], *, answered: bool = False) -> Dialect:
    """The dialect once it has registered the schemas and answered; where it does not, it is closed.

    Args:
        answered: it did so a moment ago, as every engine asks its server something when it is opened.
    """
    try:
        if schemas:
            await dialect.register(*schemas)
        if not answered:
            await dialect.ping()
    except BaseException:
        with anyio.CancelScope(shield=True):
            await dialect.aclose()
        raise
    return dialect


async def attempted(place: str, uri: str, opening: Callable[[], Awaitable[Dialect]]) -> Dialect:
    """What `opening` gives. Nothing that it raises shows the URI: what would is told by its kind alone."""
    try:
        return await opening()
    except Exception as error:
        if seal(error, uri):
            raise
        reason, where = type(error).__name__, _place_of(error)
    raise DatabaseUnavailable(
        f"{place} cannot be opened",
        where=where,
        why=f"its driver reports {reason}",
        fix="check the URI, and whether the server is there",
        database=place,
        reason=reason,
    )


def _place_of(error: Exception) -> str:
    """``file:line`` of where an error was raised, which shows none of the values there."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def expect_module(module: str, extra: str) -> None:
    """Refuse to go on without a module.

    Raises:
        DialectUnsupported: it is not installed; the error names the extra of this distribution that has it.
    """
    if find_spec(module) is None:
        raise DialectUnsupported(
            f"the driver {module} is not installed",
            why="the database that the settings name is reached through it",
            fix=f"pip install 'objectkernel-system-dialect[{extra}]'",
            driver=module,
        )


@attrs.frozen
class Lent:
    """A dialect that somebody else has opened, and will close."""

    dialect: Dialect
    owned = False
    renewable = False

    async def open(self, schemas: Sequence[EntitySchema]) -> Dialect:
        """The dialect itself, once it knows these schemas and answers."""
        await self.dialect.register(*schemas)
        await self.dialect.ping()
        return self.dialect


if TYPE_CHECKING:
    _are_openings: tuple[type[Opening], ...] = (SqlOpening, Lent)
