"""From a place to an open dialect: which engine runs it, what it may do to tables, and nothing shown of the URI."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import anyio
import attrs
from objectkernel.secret import Secret

from objectkernel_system_dialect.data_plug import SchemaStrategy
from objectkernel_system_dialect.databases import Database
from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import DatabaseUnavailable, DataError, DialectUnsupported
from objectkernel_system_dialect.location import MEMORY, sqlite_path
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.sealing import seal

if TYPE_CHECKING:
    from objectkernel_system_dialect.engine import Engine
    from objectkernel_system_dialect.generations import Opening


@attrs.frozen(kw_only=True)
class ConnectionOptions:
    """How connections behave: the settings of `SystemDialectConfig` with these names."""

    pool_size: int = 10
    pool_timeout: float = 30.0
    connect_timeout: float = 10.0
    command_timeout: float = 60.0
    statement_cache: int = 256
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    busy_timeout: float = 5.0
    readers: int = 3


@attrs.frozen
class SqlOpening:
    """A database, and what is done about its tables."""

    database: Database
    uri: Secret[str]
    strategy: SchemaStrategy = "update"
    options: ConnectionOptions = attrs.field(factory=ConnectionOptions)
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
        self._expect_driver()
        try:
            return await self._open(schemas)
        except DataError as error:
            seal(error, self.uri.reveal())
            raise
        except Exception as error:  # of a driver, whose words may show the URI
            reason = type(error).__name__
        raise DatabaseUnavailable(
            f"the {self.database.name} database cannot be opened",
            why=f"its driver reports {reason}",
            fix="check the URI, and whether the server is there",
            database=self.database.name,
            reason=reason,
        )

    def _expect_driver(self) -> None:
        driver = self.database.driver
        if driver and find_spec(driver) is None:
            raise DialectUnsupported(
                f"the driver for {self.database.name} is not installed",
                why=f"there is no module {driver}",
                fix=f"pip install 'objectkernel-system-dialect[{self.database.extra}]'",
                driver=driver,
            )

    async def _open(self, schemas: Sequence[EntitySchema]) -> Dialect:
        from objectkernel_system_dialect.sql_dialect import SqlDialect

        dialect = SqlDialect(await self._engine())
        try:
            await dialect.register(*schemas)
            await dialect.ping()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await dialect.aclose()
            raise
        return dialect

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
                        readers=options.readers, synchronous=options.synchronous, busy_timeout=options.busy_timeout
                    ),
                )
            case "postgres":
                from objectkernel_system_dialect.postgres_engine import PostgresEngine
                from objectkernel_system_dialect.postgres_executor import PostgresOptions

                return await PostgresEngine.open(
                    uri,
                    PostgresOptions(
                        pool_size=options.pool_size,
                        pool_timeout=options.pool_timeout,
                        connect_timeout=options.connect_timeout,
                        command_timeout=options.command_timeout,
                        statement_cache_size=options.statement_cache,
                    ),
                )
            case other:
                raise NotImplementedError(other)


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
