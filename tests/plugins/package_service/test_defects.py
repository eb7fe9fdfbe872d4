"""What registries of packages are known to get wrong, one by one; none of it happens here."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from objectkernel_package_service.contracts import PackageDamaged, PackageInvalid, PackageStoreUnavailable
from objectkernel_package_service.package import Limits
from objectkernel_package_service.registry import PackageRegistry
from objectkernel_package_service.storage import PackageStore
from objectkernel_package_service.table import SCHEMAS
from objectkernel_system_dialect.contracts import DIALECT, DataError, EntityUnknown
from objectkernel_system_dialect.contracts import SCHEMAS as SCHEMAS_OF_HOST
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.plugins.package_service import installing
from tests.plugins.package_service.databases import package

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """Servers speak asyncio."""
    return "asyncio"


async def test_1_versions_of_one_instant_have_one_latest_and_are_listed_once(registry):
    """Ten versions within one second: the last one is latest, always, and a list has the package once."""
    with time_machine.travel(datetime(2026, 5, 1, tzinfo=UTC), tick=False):
        for number in (9, 3, 7, 1, 5, 0, 2, 8, 4, 6):
            await registry.publish(package(version=f"1.{number}.0"))
            assert (await registry.get("crm")).version == f"1.{number}.0"
    assert [item.version for item in (await registry.list()).items] == ["1.6.0"]


async def test_2_latest_is_no_version_and_deleting_says_what_it_did(registry):
    """`latest` cannot be published; no empty or wrong version deletes anything; what was not there is False."""
    await registry.publish(package())
    for publish in (package(version="latest"), package(version=""), package("")):
        with pytest.raises(PackageInvalid):
            await registry.publish(publish)
    for version in ("latest", "", " ", "*", None):
        with pytest.raises(PackageInvalid):
            await registry.delete("crm", version)
    assert await registry.delete("crm", "9.9.9") is False
    assert await registry.delete("nowhere", all_versions=True) is False
    assert (await registry.get("crm")).version == "1.0.0"


async def test_3_the_hash_is_of_the_content_and_read_on_every_delivery(registry, tamper):
    """The order of keys is no part of it, and a row that was tampered with is not delivered."""
    first = await registry.publish('{"manifest":{"id":"crm","version":"1.0.0"},"metadata":{"a":[],"b":[]}}')
    again = await registry.publish('{"metadata":{"b":[],"a":[]},"manifest":{"version":"1.0.0","id":"crm"}}')
    assert first.hash == again.hash
    tamper('UPDATE sys_packages SET metadata = \'{"a":[],"b":[{}]}\'')
    for version in ("latest", "1.0.0", "^1.0.0"):
        with pytest.raises(PackageDamaged):
            await registry.get("crm", version)


async def test_4_an_overwrite_is_logged_kept_in_the_history_and_can_be_forbidden(registry, caplog):
    """Who published what, when, with which hash: all of it stays, also the hash that was overwritten."""
    first = await registry.publish(package(), owner="ada")
    with caplog.at_level(logging.WARNING):
        second = await registry.publish(package(content=1), owner="ada", policy="immutable")
    assert first.hash in caplog.text
    entries = (await registry.history("crm")).items
    assert [(one.by, one.hash) for one in entries] == [("ada", second.hash), ("ada", first.hash)]
    assert all(datetime.now(UTC) - one.at < timedelta(hours=1) for one in entries)


async def test_5_a_fault_is_no_answer_and_a_damaged_row_hides_no_other(registry, database, tamper, tmp_path):
    """An unreadable database is `unknown`, one that refuses the table stops the start, one bad row is one error."""
    for id in ("a", "b", "c"):
        await registry.publish(package(id))
    tamper("UPDATE sys_packages SET manifest = '{' WHERE id = 'b'")
    tamper("UPDATE sys_packages SET created_at = 'once' WHERE id = 'b'")
    page = await registry.list()
    assert [item.id for item in page.items] == ["c", "a"]
    assert [error.id for error in page.damaged] == ["b"]
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database" * 1000)
    with pytest.raises(DataError):
        await open_sqlite(str(broken))
    dialect = await open_sqlite(str(tmp_path / "closed.db"))
    await dialect.register(*SCHEMAS)
    await dialect.aclose()
    with pytest.raises(PackageStoreUnavailable):
        await PackageRegistry(PackageStore(dialect), Limits(manifest=1000, metadata=1000)).get("crm")


async def test_6_what_is_no_package_is_refused_lists_are_bounded_and_bare(registry):
    """Every problem with its place; a size limit; an owner; pages; no metadata in a list."""
    with pytest.raises(PackageInvalid) as caught:
        await registry.publish({"manifest": {"id": "", "version": "one"}, "metadata": {"objects": {}}})
    paths = {problem.path for problem in caught.value.problems}
    assert paths == {"$.manifest.id", "$.manifest.version", "$.metadata.objects"}
    large = package()
    large["manifest"]["filler"] = "x" * 10_000
    with pytest.raises(PackageInvalid):
        await registry.publish(large)
    for number in range(3):
        await registry.publish(package(f"p{number}"), owner="ada")
    page = await registry.list(limit=2)
    assert [(item.id, item.owner) for item in page.items] == [("p2", "ada"), ("p1", "ada")]
    assert page.after is not None
    assert not hasattr(page.items[0], "content")


async def test_7_every_database_is_spoken_to_in_its_own_language_and_times_are_utc(place):
    """The whole round on SQLite, PostgreSQL and MariaDB; times come back aware, to the microsecond."""
    start = datetime.now(UTC)
    record = await place.registry.publish(package(), tag="stable")
    assert start <= record.created_at <= datetime.now(UTC)
    assert record.created_at.tzinfo is UTC
    assert await place.registry.get("crm", "stable") == record
    again = await place.registry.publish(package(content=1))
    assert again.created_at == record.created_at < again.updated_at
    assert (await place.registry.list()).items[0].updated_at == again.updated_at
    assert json.loads(again.content) == package(content=1)
    assert await place.registry.delete("crm", "1.0.0") is True
    assert await place.registry.get("crm") is None


async def test_8_a_start_takes_up_what_was_installed_with_its_metadata_in_order_and_it_goes_without_one(tmp_path):
    """Not the newest of each: the version in use, all kinds of its metadata, what is needed first; gone at once."""
    base, app = installing.package("base", objects=["account"], views=["all"]), installing.package("app")
    app["manifest"]["dependencies"] = {"base": "^1.0.0"}
    app["metadata"]["translations"] = [{"name": "de"}]
    file = tmp_path / "all.db"
    async with installing.booted(file, installing.Recorder()) as (_, packages, installations):
        for one in (base, app, installing.package("base", "2.0.0")):
            await packages.publish(one)
        await installations.install("app")
    recorder = installing.Recorder()
    async with installing.booted(file, recorder) as (kernel, _, installations):
        assert [f"{one.id}@{one.version}" for one in installations.installed()] == ["base@1.0.0", "app@1.0.0"]
        assert recorder.told == [("apply", "base@1.0.0", "views"), ("apply", "app@1.0.0", "translations")]
        schemas = kernel.get(SCHEMAS_OF_HOST)
        assert await kernel.get(DIALECT).as_tenant("acme").count(schemas.get_schema("account")) == 0
        await installations.uninstall("app")
        await installations.uninstall("base", "remove")
        assert recorder.there == {}
        with pytest.raises(EntityUnknown):
            schemas.get_schema("account")
