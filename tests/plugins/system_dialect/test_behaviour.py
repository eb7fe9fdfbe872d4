"""The behaviour suite on every kind of database, and on NET before them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import anyio.to_thread
import attrs
import pytest
from objectkernel_system_dialect.contracts import Dialect
from objectkernel_system_dialect.generic_engine import GenericEngine
from objectkernel_system_dialect.mariadb_engine import MariadbEngine
from objectkernel_system_dialect.net_dialect import NetDialect
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.postgres_executor import PostgresOptions
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from objectkernel_system_dialect.testing import SCHEMAS, Dialects, DialectSuite, SharedDatabaseSuite

from .databases import mariadb_database, pgbouncer_database, postgres_database
from .served import serve
from .stand_in import behave

__all__ = ["mariadb_database", "pgbouncer_database", "postgres_database"]  # fixtures

Open: TypeAlias = Callable[[], Awaitable[Dialect]]


async def sqlite(path: str) -> Dialect:
    """A database in memory or in a file."""
    return await open_sqlite(path)


async def postgres(url: str) -> Dialect:
    """A database on a server."""
    return SqlDialect(await PostgresEngine.open(url))


async def pgbouncer(url: str) -> Dialect:
    """The same through a pool that lends a connection for each transaction."""
    return SqlDialect(await PostgresEngine.open(url, PostgresOptions(statement_cache=0)))


async def mariadb(url: str) -> Dialect:
    """A database on a server of the other kind."""
    return SqlDialect(await MariadbEngine.open(url))


async def generic(path: str) -> Dialect:
    """A database through SQLAlchemy's own engine, for which SQLite stands in."""
    engine = await GenericEngine.open(f"sqlite:///{path}")
    behave(engine.executor.engine)
    await anyio.to_thread.run_sync(engine.executor.engine.dispose)  # of connections made before
    return SqlDialect(engine)


@asynccontextmanager
async def directly(open: Open) -> AsyncIterator[Open]:
    yield open


@asynccontextmanager
async def over_net(open: Open) -> AsyncIterator[Open]:
    """Through the REST data plane of a server that has the dialect."""

    async def with_tables() -> Dialect:
        dialect = await open()
        await dialect.register(*SCHEMAS)
        return dialect

    async with serve(with_tables) as server:
        yield lambda: NetDialect.open(server.url, server.key)


@attrs.frozen
class Place:
    """Where a dialect finds its database.

    Attributes:
        where: the fixture that gives the address, or the name of a file.
        loops: the event loops that it knows.
        marks: what the machine has to have.
        slow_on: the loops on which only `make check` runs it, for it takes long and differs little from another place.
    """

    open: Callable[[str], Awaitable[Dialect]]
    where: str
    way: Callable[[Open], AbstractAsyncContextManager[Open]] = directly
    loops: tuple[str, ...] = ("asyncio", "trio")
    marks: tuple[pytest.MarkDecorator, ...] = ()
    slow_on: tuple[str, ...] = ()


POSTGRES, MARIADB = pytest.mark.postgres, pytest.mark.mariadb
MEMORY = {"sqlite-memory": Place(sqlite, ":memory:")}
GENERIC = {"generic": Place(generic, "suite.db", slow_on=("trio",))}
SHARED = {
    "sqlite": Place(sqlite, "suite.db", slow_on=("trio",)),
    "postgres": Place(postgres, "postgres_database", loops=("asyncio",), marks=(POSTGRES,)),
    "pgbouncer": Place(pgbouncer, "pgbouncer_database", loops=("asyncio",), marks=(POSTGRES,), slow_on=("asyncio",)),
    "mariadb": Place(mariadb, "mariadb_database", loops=("asyncio",), marks=(MARIADB,)),
    "net-sqlite": Place(sqlite, "suite.db", over_net, slow_on=("trio",)),
    "net-postgres": Place(postgres, "postgres_database", over_net, ("asyncio",), (POSTGRES,), ("asyncio",)),
}


def on(places: dict[str, Place]) -> pytest.MarkDecorator:
    """Each place with each event loop that it knows."""
    params = [
        pytest.param(
            (place, loop),
            id=f"{name}-{loop}",
            marks=(*place.marks, pytest.mark.slow) if loop in place.slow_on else place.marks,
        )
        for name, place in places.items()
        for loop in place.loops
    ]
    return pytest.mark.parametrize("place", params, indirect=True, scope="module")


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> tuple[Place, str]:
    """A place and an event loop."""
    found: tuple[Place, str] = request.param
    return found


@pytest.fixture(scope="module")
def anyio_backend(place: tuple[Place, str]) -> str:
    """The event loop of the tests at this place."""
    return place[1]


@pytest.fixture(scope="module")
def address(request: pytest.FixtureRequest, place: tuple[Place, str]) -> Any:
    """Where the database is: a URL or a path."""
    where = place[0].where
    if where.endswith("_database"):
        return request.getfixturevalue(where)
    return where if where == ":memory:" else str(request.getfixturevalue("tmp_path_factory").mktemp("suite") / where)


@pytest.fixture(scope="module")
async def dialects(anyio_backend: str, place: tuple[Place, str], address: str) -> AsyncIterator[Dialects]:
    """Dialects on one database."""
    async with place[0].way(partial(place[0].open, address)) as open, Dialects(open) as dialects:
        yield dialects


@on(MEMORY | SHARED)
class TestDialect(DialectSuite):
    """What every dialect has to do."""


@on(GENERIC)
class TestGenericDialect(DialectSuite):
    """The same, with duplicates that name no fields."""

    tells_fields = False


@on(SHARED | GENERIC)
class TestDatabase(SharedDatabaseSuite):
    """What dialects on one database owe each other."""
