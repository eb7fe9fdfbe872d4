"""A registry on a database file of its own, without a kernel."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest


@pytest.fixture
def database(tmp_path):
    """The file, for a look behind the service's back."""
    return tmp_path / "system.db"


@pytest.fixture
def open_dialect(database):
    """Opens the dialect on the file, the table made."""
    from objectkernel_package_service.table import PACKAGE
    from objectkernel_system_dialect.sqlite_dialect import open_sqlite

    @asynccontextmanager
    async def opened():
        dialect = await open_sqlite(str(database))
        try:
            await dialect.register(PACKAGE)
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
