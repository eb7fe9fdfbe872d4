"""A registry on each kind of database: SQLite, PostgreSQL, MariaDB."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import attrs
import pytest
from objectkernel_package_service.package import Limits
from objectkernel_package_service.registry import PackageRegistry
from objectkernel_package_service.storage import PackageStore
from objectkernel_package_service.table import SCHEMAS
from objectkernel_system_dialect.mariadb_engine import MariadbEngine
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_engine import SqliteEngine

LIMITS = Limits(manifest=20_000, metadata=200_000)
KINDS = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


@attrs.frozen
class Place:
    """A registry, and the database behind it."""

    kind: str
    dialect: SqlDialect
    store: PackageStore
    registry: PackageRegistry


@asynccontextmanager
async def opened(kind: str, url: str, audit=None) -> AsyncIterator[Place]:
    """A registry on the database at `url`, which it finds as it is."""
    engines = {"sqlite": SqliteEngine.open, "postgres": PostgresEngine.open, "mariadb": MariadbEngine.open}
    async with aclosing(SqlDialect(await engines[kind](url))) as dialect:
        await dialect.register(*SCHEMAS)
        store = PackageStore(dialect, audit)
        yield Place(kind, dialect, store, PackageRegistry(store, LIMITS))


@pytest.fixture(params=KINDS)
def kind(request):
    """Which database: each in turn."""
    return request.param


@pytest.fixture
def url(kind, request, tmp_path):
    """Where an empty database of that kind is."""
    return str(tmp_path / "system.db") if kind == "sqlite" else request.getfixturevalue(f"{kind}_url")


@pytest.fixture
async def place(kind, url):
    """A registry on it."""
    async with opened(kind, url) as place:
        yield place


def package(id="crm", version="1.0.0", content=0, **manifest):
    """A small package; `content` tells two of them apart."""
    return {
        "manifest": {"id": id, "version": version, **manifest},
        "metadata": {"objects": [{"name": "account", "label": f"Account {content}"}]},
    }
