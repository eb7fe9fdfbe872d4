"""What is stored is verified when it is read, and a database that fails is no empty registry."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from functools import partial

import pytest
from objectkernel_package_service import reading as reading_module
from objectkernel_package_service import registry as registry_module
from objectkernel_package_service.contracts import PackageDamaged, PackageStoreUnavailable
from objectkernel_package_service.package import Limits
from objectkernel_package_service.registry import PackageRegistry
from objectkernel_package_service.storage import PackageStore
from objectkernel_package_service.table import SCHEMAS

pytestmark = pytest.mark.anyio

LIMITS = Limits(manifest=10_000, metadata=10_000)


def package(id="crm", version="1.0.0"):
    return {"manifest": {"id": id, "version": version}, "metadata": {"objects": [{"name": "account"}]}}


DAMAGES = {
    "a character of the metadata": "metadata = replace(metadata, 'acc', 'Acc')",
    "the order of the metadata's bytes": "metadata = metadata || ' '",
    "the manifest cut short": "manifest = substr(manifest, 1, 5)",
    "no JSON at all": "manifest = ''",
    "the type of the metadata": "metadata = x'7b7d'",
    "a manifest that is no UTF-8": "manifest = CAST(x'ff' AS TEXT)",
    "a hash that is no UTF-8": "hash = CAST(x'ff' AS TEXT)",
    "the case of the hash": "hash = upper(hash)",
    "the hash": "hash = 'x'",
    "the type of the hash": "hash = x'00'",
    "a time": "created_at = 'yesterday'",
    "the type of a time": "updated_at = x'00'",
    "a time without a zone": "created_at = '2024-01-01 00:00:00'",
    "the type of the last hash": "previous_hash = x'00'",
}
DAMAGED_KEYS = {
    "a package under another id": "id = 'bad.twin'",
    "a package under another version": "version = '9.9.9'",
    "what is no id": "id = '../x' || char(27)",
    "an id that is no UTF-8": "id = CAST(x'ff' AS TEXT)",
    "the type of the id": "id = x'00'",
    "what is no version": "version = 'latest'",
}


async def every_page(page_of, **options):
    """All summaries and all errors of a list, in pages of two."""
    page = await page_of(limit=2, **options)
    items, damaged = list(page.items), list(page.damaged)
    while page.after is not None:
        page = await page_of(limit=2, after=page.after, **options)
        assert len(page.items) + len(page.damaged) <= 2
        items += page.items
        damaged += page.damaged
    return [(item.id, item.version) for item in items], [(error.id, error.version) for error in damaged]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_row_is_not_delivered_and_hides_no_other(registry, tamper, damage, caplog):
    """Reading it is PackageDamaged and logged; its package stays in the lists, and all else is delivered."""
    for version in ("1.0.0", "2.0.0"):
        for id in ("good", "bad", "also.good"):
            await registry.publish(package(id, version))
    tamper(f"UPDATE sys_packages SET {damage} WHERE id = 'bad' AND version = '2.0.0'")
    for asked in ("latest", "2.0.0"):
        with pytest.raises(PackageDamaged, match=r"bad@2\.0\.0") as caught:
            await registry.get("bad", asked)
        assert (caught.value.id, caught.value.version) == ("bad", "2.0.0")
    assert "package bad@2.0.0 is damaged" in caplog.text
    sound, damaged = await every_page(registry.list)
    assert [*sound, *damaged] in (
        [("also.good", "2.0.0"), ("bad", "2.0.0"), ("good", "2.0.0")],
        [("also.good", "2.0.0"), ("good", "2.0.0"), ("bad", "2.0.0")],
    )
    everything = [pair for pairs in await every_page(registry.list, all_versions=True) for pair in pairs]
    assert len(everything) == len(set(everything)) == 6
    for id, version in {*everything} - {("bad", "2.0.0")}:
        assert (await registry.get(id, version)).id == id
    of_it = [pair for pairs in await every_page(partial(registry.versions, "bad")) for pair in pairs]
    assert set(of_it) == {("bad", "1.0.0"), ("bad", "2.0.0")}


@pytest.mark.parametrize("damage", DAMAGED_KEYS.values(), ids=DAMAGED_KEYS.keys())
async def test_a_row_with_another_key_is_never_delivered(registry, tamper, damage):
    """A row whose key somebody changed is no package of that name, and what was there before is served."""
    for id in ("good", "bad"):
        await registry.publish(package(id))
        await registry.publish(package(id, "2.0.0"))
    tamper(f"UPDATE sys_packages SET {damage} WHERE id = 'bad' AND version = '2.0.0'")
    sound, damaged = await every_page(registry.list, all_versions=True)
    rest = {("good", "1.0.0"), ("good", "2.0.0"), ("bad", "1.0.0")}
    assert rest <= set(sound)
    for id, version in {*sound} - rest:
        with pytest.raises(PackageDamaged):
            await registry.get(id, version)
    assert len(sound) + len(damaged) == 4
    assert await registry.get("bad", "2.0.0") is None
    assert (await registry.publish(package("bad", "2.0.0"))).previous_hash is None


@pytest.mark.parametrize("which", ["what is no id", "an id that is no UTF-8", "the type of the id"])
async def test_a_newest_row_with_an_impossible_id_hides_no_older_one(registry, tamper, which):
    """What is the newest of its package without that row is listed; the row itself among all versions."""
    for id in ("bad", "good"):
        await registry.publish(package(id))
        await registry.publish(package(id, "2.0.0"))
    tamper(f"UPDATE sys_packages SET {DAMAGED_KEYS[which]} WHERE id = 'bad' AND version = '2.0.0'")
    assert await every_page(registry.list) == ([("good", "2.0.0"), ("bad", "1.0.0")], [])
    _, damaged = await every_page(registry.list, all_versions=True)
    assert [version for _, version in damaged] == ["2.0.0"]
    assert "repair" in [entry.action for entry in (await registry.history("bad")).items]


async def test_two_damaged_rows_hide_no_third(store, registry, tamper):
    """A newest row without an id leads to the older version also where another row cannot be read; both are told."""
    for id in ("bad", "worse"):
        await registry.publish(package(id))
        await registry.publish(package(id, "2.0.0"))
    tamper("UPDATE sys_packages SET id = x'00' WHERE id = 'bad' AND version = '2.0.0'")
    tamper("UPDATE sys_packages SET created_at = 'never' WHERE id = 'worse' AND version = '2.0.0'")
    assert await every_page(registry.list) == ([("bad", "1.0.0")], [("worse", "2.0.0")])


async def test_damage_that_a_range_or_a_publication_passes_over_is_counted(store, registry, tamper):
    """What was found is logged and counted, whether or not somebody was to get it."""
    await registry.publish(package(), policy="immutable")
    await registry.publish(package(version="1.1.0"))
    tamper("UPDATE sys_packages SET version = x'00' WHERE version = '1.1.0'")
    assert (await registry.get("crm", "^1.0.0")).version == "1.0.0"
    assert figures(store) == {"package_integrity_failures": 1, "package_values_mended": 0}
    tamper("UPDATE sys_packages SET manifest = '{}' WHERE version = '1.0.0'")
    await registry.publish(package())
    assert figures(store) == {"package_integrity_failures": 2, "package_values_mended": 0}


async def test_what_a_change_mends_is_counted(store, registry, tamper, caplog):
    """A value that cannot be read is replaced by the change that meets it: logged with its name, once, and counted."""
    await registry.publish(package())
    tamper("UPDATE sys_package_heads SET tags = '[1]'")
    tamper("UPDATE sys_packages SET deprecated = CAST(x'ff' AS TEXT)")
    await registry.tag("crm", "stable", "1.0.0")
    assert figures(store)["package_values_mended"] == 2
    assert "its tags could not be read and is mended" in caplog.text
    assert await registry.tags("crm") == {"stable": "1.0.0"}
    await registry.deprecate("crm", "1.0.0", "old")
    await registry.yank("crm", "1.0.0")
    assert (await registry.get("crm", "1.0.0")).deprecated == "old"


async def test_an_error_shows_nothing_that_steers_a_terminal(registry, tamper):
    """What somebody wrote into a key is quoted."""
    await registry.publish(package())
    tamper("UPDATE sys_packages SET id = char(27) || '[2J'")
    (error,) = (await registry.list(all_versions=True)).damaged
    assert "\x1b" not in str(error)


def figures(store):
    """What is counted, by name."""
    return {figure.name: figure.value for figure in store.integrity.figures()}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_publishing_again_repairs_a_damaged_version(registry, tamper, damage):
    """What the error advises works: the same version from its source is delivered again, from its old place."""
    first = await registry.publish(package())
    await registry.publish(package(version="2.0.0"))
    tamper(f"UPDATE sys_packages SET {damage} WHERE version = '1.0.0'")
    again = await registry.publish(package())
    assert again.content == first.content
    assert await registry.get("crm", "1.0.0") == again
    assert (await registry.get("crm")).version == "2.0.0"
    if "created_at" not in damage:
        assert again.created_at == first.created_at
    assert (await registry.list(all_versions=True)).damaged == ()


async def test_overwriting_a_version_leaves_a_trace(registry, caplog):
    """Other content under a version that was there is logged with both hashes, and the record keeps the first."""
    first = await registry.publish(package())
    same = await registry.publish(package())
    assert (first.previous_hash, same.previous_hash) == (None, first.hash)
    assert caplog.text == ""
    other = await registry.publish({**package(), "metadata": {}})
    assert other.previous_hash == first.hash != other.hash
    assert (await registry.get("crm")).previous_hash == first.hash
    assert first.hash in caplog.text
    assert other.hash in caplog.text


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
        await dialect.register(*SCHEMAS)
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
    assert columns == described | {"sequence", "previous_hash", "size", "deprecated", "yanked"}
    assert "(id, version)" in table
    assert table.index("manifest") > table.index("updated_at")  # no list reads past the large columns
    assert any("(id, created_at DESC)" in sql for sql in indexes)


async def test_a_large_package_is_read_and_hashed_off_the_event_loop(registry, monkeypatch):
    """While a large package is worked on, other tasks go on; it arrives as a small one does."""
    threads = []

    def watched(name, module):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *args: (threads.append(threading.current_thread()), original(*args))[1]
        )

    watched("check", registry_module)
    watched("record", reading_module)
    large = {"manifest": {"id": "large", "version": "1.0.0"}, "metadata": {"objects": [{"name": "x" * 90_000}]}}
    for form in (large, json.dumps(large)):
        published = await registry.publish(form)
        assert await registry.get("large") == published
    assert len(threads) == 4
    assert threading.current_thread() not in threads
    threads.clear()
    await registry.publish(package())
    await registry.get("crm")
    assert set(threads) == {threading.current_thread()}
