"""A registry on a database file of its own, without a kernel; and on each kind of database."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing

import pytest

from tests.plugins.package_service.command_line import folder, run  # noqa: F401 - fixtures
from tests.plugins.package_service.databases import kind, place, url  # noqa: F401 - fixtures
from tests.plugins.system_dialect.databases import (  # noqa: F401 - fixtures
    mariadb_database,
    mariadb_url,
    postgres_database,
    postgres_url,
)


@pytest.fixture
def database(tmp_path):
    """The file, for a look behind the service's back."""
    return tmp_path / "system.db"


@pytest.fixture
def open_dialect(database):
    """Opens the dialect on the file, the tables made."""
    from objectkernel_package_service.table import SCHEMAS
    from objectkernel_system_dialect.sqlite_dialect import open_sqlite

    @asynccontextmanager
    async def opened():
        dialect = await open_sqlite(str(database))
        try:
            await dialect.register(*SCHEMAS)
            yield dialect
        finally:
            await dialect.aclose()

    return opened


@pytest.fixture
async def store(open_dialect):
    from objectkernel_package_service.storage import PackageStore

    async with open_dialect() as dialect:
        yield PackageStore(dialect)


@pytest.fixture
def registry(store):
    from objectkernel_package_service.package import Limits
    from objectkernel_package_service.registry import PackageRegistry

    return PackageRegistry(store, Limits(manifest=10_000, metadata=100_000))


@pytest.fixture
def tamper(database):
    """Change the file behind the service's back."""

    def change(statement, *values):
        with closing(sqlite3.connect(database)) as connection, connection:
            assert connection.execute(statement, values).rowcount == 1

    return change
