"""What is stored is verified when it is read, and a database that fails is no empty registry."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from objectkernel_package_service.contracts import PackageDamaged, PackageStoreUnavailable
from objectkernel_package_service.package import Limits
from objectkernel_package_service.registry import PackageRegistry
from objectkernel_package_service.storage import PackageStore
from objectkernel_package_service.table import PACKAGE
from sqlalchemy.dialects import mysql, postgresql, sqlite

pytestmark = pytest.mark.anyio

LIMITS = Limits(manifest=10_000, metadata=10_000)


def package(id="crm", version="1.0.0"):
    return {"manifest": {"id": id, "version": version}, "metadata": {"objects": [{"name": "account"}]}}


@pytest.fixture
def tamper(database):
    """Change the file behind the service's back."""

    def change(statement, *values):
        with closing(sqlite3.connect(database)) as connection, connection:
            assert connection.execute(statement, values).rowcount == 1

    return change


DAMAGES = {
    "a character of the metadata": "UPDATE sys_packages SET metadata = replace(metadata, 'acc', 'Acc')",
    "the order of the metadata's bytes": "UPDATE sys_packages SET metadata = metadata || ' '",
    "the manifest cut short": "UPDATE sys_packages SET manifest = substr(manifest, 1, 5)",
    "no JSON at all": "UPDATE sys_packages SET manifest = ''",
    "the type of the metadata": "UPDATE sys_packages SET metadata = x'7b7d'",
    "a time": "UPDATE sys_packages SET created_at = 'yesterday'",
    "the type of a time": "UPDATE sys_packages SET updated_at = x'00'",
    "the hash": "UPDATE sys_packages SET hash = 'x'",
    "a package under another id": "UPDATE sys_packages SET id = 'bad.twin'",
    "a package under another version": "UPDATE sys_packages SET version = '9.9.9'",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_row_is_not_delivered_and_hides_no_other(registry, tamper, damage, caplog):
    """Reading it is PackageDamaged and logged; the others are listed, page by page, and delivered."""
    for id in ("good", "bad", "also.good"):
        await registry.publish(package(id))
    tamper(damage + " WHERE id = 'bad'")
    id, version = (
        ("bad.twin" if "SET id" in damage else "bad"),
        ("9.9.9" if "SET version" in damage else "1.0.0"),
    )
    for asked in ("latest", version):
        with pytest.raises(PackageDamaged) as caught:
            await registry.get(id, asked)
        assert (caught.value.id, caught.value.version) in {(id, asked), (id, version)}
    assert f"package {id}@{version} is damaged" in caplog.text
    for good in ("good", "also.good"):
        assert (await registry.get(good)).id == good
        assert (await registry.versions(good)).items
    first = await registry.list(limit=2)
    listed = [item.id for item in (*first.items, *(await registry.list(limit=2, after=first.after)).items)]
    assert [one for one in listed if one != id] == ["also.good", "good"]


async def test_publishing_again_repairs_a_damaged_version(registry, tamper):
    """What the error advises works: the same version from its source replaces the damaged bytes."""
    first = await registry.publish(package())
    tamper("UPDATE sys_packages SET metadata = '{}'")
    await registry.publish(package())
    assert (await registry.get("crm")).content == first.content


OPERATIONS = {
    "publish": lambda registry: registry.publish(package()),
    "get": lambda registry: registry.get("crm", "1.0.0"),
    "get latest": lambda registry: registry.get("crm"),
    "list": lambda registry: registry.list(),
    "versions": lambda registry: registry.versions("crm"),
    "delete": lambda registry: registry.delete("crm", "1.0.0"),
    "delete all": lambda registry: registry.delete("crm", all_versions=True),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
async def test_a_database_that_fails_is_unknown_and_never_nothing(registry, tamper_freely, operation):
    """With its table gone every operation is PackageStoreUnavailable: no None, no False, no empty list."""
    await registry.publish(package())
    tamper_freely("DROP TABLE sys_packages")
    with pytest.raises(PackageStoreUnavailable, match="unknown") as caught:
        await operation(registry)
    assert caught.value.operation
    assert caught.value.__cause__ is not None


@pytest.fixture
def tamper_freely(database):
    def change(statement):
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(statement)

    return change


async def test_a_restart_finds_the_table_and_its_rows(open_dialect):
    """The table is made once; making it again over existing rows changes nothing."""
    async with open_dialect() as dialect:
        first = await PackageRegistry(PackageStore(dialect), LIMITS).publish(package())
    async with open_dialect() as dialect:
        await dialect.register(PACKAGE)
        again = PackageRegistry(PackageStore(dialect), LIMITS)
        assert await again.get("crm") == first
        assert (await again.publish(package(version="1.1.0"))).version == "1.1.0"
        assert (await again.get("crm")).version == "1.1.0"


async def test_the_table_has_the_described_columns_key_and_index(registry, database):
    """`sys_packages`: the described columns and the sequence, one row a version, the index by time."""
    await registry.publish(package())
    with closing(sqlite3.connect(database)) as connection:
        columns = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info('sys_packages')")}
        (table, *indexes) = [
            sql
            for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql LIKE 'CREATE % sys_packages%'")
        ]
    described = {"id", "version", "manifest", "metadata", "hash", "created_at", "updated_at"}
    assert columns == described | {"sequence"}
    assert "(id, version)" in table
    assert any("(id, created_at DESC)" in sql for sql in indexes)


@pytest.mark.parametrize("which", ["_newest", "_versions"])
async def test_a_page_of_a_list_is_read_through_indexes_alone(store, database, which):
    """No table is scanned or sorted: the cost of a page does not grow with the registry."""
    compiled = getattr(store, which).compile(dialect=sqlite.dialect(paramstyle="qmark"))
    with closing(sqlite3.connect(database)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {compiled}", [1] * len(compiled.positiontup)).fetchall()
    steps = [step for *_, step in plan if step.startswith(("SCAN", "SEARCH", "USE"))]
    assert steps
    assert all(step.startswith("SEARCH") for step in steps), steps


@pytest.mark.parametrize("dialect_of", [sqlite.dialect, postgresql.dialect, mysql.dialect])
async def test_the_list_is_a_statement_every_database_understands(store, dialect_of):
    """The statement of our own compiles for SQLite, PostgreSQL and MariaDB."""
    compiled = str(store._newest.compile(dialect=dialect_of()))
    assert "NOT (EXISTS" in compiled
