"""A database of an older version: what was published in it is there, and can be published again."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from objectkernel_package_service.contracts import PackageNeeded
from objectkernel_package_service.package import check
from objectkernel_package_service.registry import PackageRegistry
from objectkernel_package_service.storage import PackageStore
from objectkernel_package_service.table import SCHEMAS
from objectkernel_package_service.upgrading import HEADS, SIZES
from objectkernel_system_dialect.contracts import EntitySchema, Field, Index
from objectkernel_system_dialect.mariadb_engine import MariadbEngine
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_engine import SqliteEngine

from tests.plugins.package_service.databases import LIMITS, package

pytestmark = pytest.mark.anyio

OLD = EntitySchema(
    name="Package",
    collection="sys_packages",
    key=("id", "version"),
    fields={
        "id": Field("string", required=True, length=200),
        "version": Field("string", required=True, length=100),
        "hash": Field("string", required=True, length=64),
        "previous_hash": Field("string", length=64),
        "created_at": Field("datetime", required=True),
        "updated_at": Field("datetime", required=True),
        "latest": Field("boolean", required=True, default=True),
        "sequence": Field("sequence"),
        "manifest": Field("text", required=True),
        "metadata": Field("text", required=True),
    },
    indexes=(
        Index({"id": 1, "created_at": -1}),
        Index({"id": 1, "sequence": -1}),
        Index({"latest": 1, "sequence": -1}),
    ),
)
"""The only table that there was."""
ENGINES = {"sqlite": SqliteEngine.open, "postgres": PostgresEngine.open, "mariadb": MariadbEngine.open}
AT = datetime(2025, 1, 2, 3, 4, 5, 678901, UTC)


@pytest.fixture
def anyio_backend():
    """Servers speak asyncio."""
    return "asyncio"


@pytest.fixture
async def published(kind, url):
    """Three versions in a database as the older version left it, by how they were published."""
    packages = [package(name="Customers"), package(version="1.1.0", name="Clients")]
    packages.append(package("billing", dependencies={"crm": "^1.0.0"}))
    async with aclosing(SqlDialect(await ENGINES[kind](url))) as dialect:
        await dialect.register(OLD)
        for number, one in enumerate(packages):
            known = check(one, LIMITS)
            key = {"id": known.id, "version": known.version, "hash": known.hash, "latest": number > 0}
            content = {"manifest": known.manifest.decode(), "metadata": known.metadata.decode()}
            await dialect.create(OLD, {**key, **content, "created_at": AT, "updated_at": AT})
    return [check(one, LIMITS) for one in packages]


async def test_what_an_older_version_published_is_there(kind, url, published):
    """With its time and place, found by its name, kept by who needs it; its history says that it was published."""
    for _ in range(2):  # the second start finds nothing to do
        async with aclosing(SqlDialect(await ENGINES[kind](url), migrations=(SIZES, HEADS))) as dialect:
            await dialect.register(*SCHEMAS)
            registry = PackageRegistry(PackageStore(dialect), LIMITS)
            page = await registry.list(owner="ada")
            assert [(item.id, item.version) for item in page.items] == [("billing", "1.0.0"), ("crm", "1.1.0")]
            for sequence, one in enumerate(published, start=1):
                found = await registry.get(one.id, one.version)
                assert (found.content, found.size, found.created_at) == (one.content, len(one.content), AT)
                assert (found.sequence, found.yanked) == (sequence, False)
            assert [item.id for item in (await registry.list(search="clients")).items] == ["crm"]
            (entry, _) = (await registry.history("crm")).items
            assert (entry.action, entry.hash, entry.at, entry.details) == ("publish", published[1].hash, AT, {})
    async with aclosing(SqlDialect(await ENGINES[kind](url), migrations=(SIZES, HEADS))) as dialect:
        await dialect.register(*SCHEMAS)
        registry = PackageRegistry(PackageStore(dialect), LIMITS)
        with pytest.raises(PackageNeeded):
            await registry.delete("crm", all_versions=True)
        assert (await registry.publish(package(version="2.0.0"))).sequence == 4
        assert (await registry.publish(package())).created_at == AT
