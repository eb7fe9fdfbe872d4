"""What is stored is verified when it is read, and a database that fails is no empty registry."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from functools import partial

import anyio
import pytest
from objectkernel_package_service import registry as registry_module
from objectkernel_package_service import storage as storage_module
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
    """What is the newest of its package without that row is listed, on the page where it belongs."""
    for id in ("bad", "good"):
        await registry.publish(package(id))
        await registry.publish(package(id, "2.0.0"))
    tamper(f"UPDATE sys_packages SET {DAMAGED_KEYS[which]} WHERE id = 'bad' AND version = '2.0.0'")
    sound, damaged = await every_page(registry.list)
    assert sound == [("good", "2.0.0"), ("bad", "1.0.0")]
    assert [version for _, version in damaged] == ["2.0.0"]


async def test_an_error_shows_nothing_that_steers_a_terminal(registry, tamper):
    """What somebody wrote into a key is quoted."""
    await registry.publish(package())
    tamper("UPDATE sys_packages SET id = char(27) || '[2J'")
    (error,) = (await registry.list()).damaged
    assert "\x1b" not in str(error)


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
    assert columns == described | {"sequence", "latest", "previous_hash"}
    assert "(id, version)" in table
    assert table.index("manifest") > table.index("updated_at")  # no list reads past the large columns
    assert any("(id, created_at DESC)" in sql for sql in indexes)


@pytest.mark.parametrize("which", ["newest", "versions", "everything"])
async def test_a_page_of_a_list_is_read_through_indexes_alone(store, database, which):
    """No table is scanned or sorted: the cost of a page does not grow with the registry."""
    compiled = getattr(store._statements, which).compile(dialect=sqlite.dialect(paramstyle="qmark"))
    with closing(sqlite3.connect(database)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {compiled}", [1] * len(compiled.positiontup)).fetchall()
    steps = [step for *_, step in plan if step.startswith(("SCAN", "SEARCH", "USE"))]
    assert steps
    assert all(step.startswith("SEARCH") for step in steps), steps
    if which == "newest":
        assert "(latest=? AND sequence<?)" in steps[0]


async def test_old_versions_make_no_page_dearer(registry, store, database):
    """The last page takes the database as many steps with 40 versions lying between the packages as with one."""
    compiled = store._statements.newest.compile(dialect=sqlite.dialect(paramstyle="qmark"))

    def steps_of_the_last_page():
        values = [{"before": 10**9, "rows": 3}.get(name, compiled.params[name]) for name in compiled.positiontup]
        steps = []
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            connection.set_progress_handler(lambda: steps.append(1) and None, 1)
            assert len(connection.execute(str(compiled), [1 if v is True else v for v in values]).fetchall()) == 3
        return len(steps)

    for id in ("a", "b", "c", "d"):
        await registry.publish(package(id))
    few = steps_of_the_last_page()
    for id in ("d", "c", "b"):
        for number in range(1, 41):
            await registry.publish(package(id, f"1.{number}.0"))
    assert steps_of_the_last_page() <= few * 1.1


async def marks(registry, database):
    """(id, version) of each row that is marked, and of each that is the newest of its package."""
    with closing(sqlite3.connect(database)) as connection:
        marked = set(connection.execute("SELECT id, version FROM sys_packages WHERE latest"))
        newest = connection.execute("SELECT id, version, max(sequence) FROM sys_packages GROUP BY id")
        return marked, {(id, version) for id, version, _ in newest}


async def test_the_newest_version_alone_is_marked_whatever_happens(registry, database):
    """Publishing, publishing again, deleting the newest, an older one and all of them keep the mark right."""
    for version in ("1.0.0", "2.0.0", "3.0.0", "4.0.0"):
        await registry.publish(package(version=version))
        await registry.publish(package("hr", version))
    await registry.publish(package(version="2.0.0"))
    await registry.delete("crm", "4.0.0")
    await registry.delete("crm", "1.0.0")
    await registry.delete("hr", all_versions=True)
    marked, newest = await marks(registry, database)
    assert marked == newest == {("crm", "3.0.0")}
    await registry.delete("crm", "3.0.0")
    await registry.delete("crm", "2.0.0")
    assert await marks(registry, database) == (set(), set())


async def test_a_mark_that_a_dying_publisher_left_behind_shows_nothing_twice(registry, tamper):
    """A list goes by the sequence; marks only say where to look."""
    await registry.publish(package())
    await registry.publish(package(version="2.0.0"))
    tamper("UPDATE sys_packages SET latest = 1 WHERE version = '1.0.0'")
    assert await every_page(registry.list) == ([("crm", "2.0.0")], [])


async def test_publishing_again_sets_a_mark_right(registry, tamper):
    """A package whose newest row was taken away past the service is listed again once it is published again."""
    await registry.publish(package())
    await registry.publish(package(version="2.0.0"))
    tamper("DELETE FROM sys_packages WHERE version = '2.0.0'")
    await registry.publish(package())
    assert await every_page(registry.list) == ([("crm", "1.0.0")], [])


async def test_a_version_is_deleted_only_once_its_successor_is_marked(registry, store, database, monkeypatch):
    """Another host that takes the mark away between the two statements of a delete hides no package."""
    await registry.publish(package())
    await registry.publish(package(version="2.0.0"))
    execute, taken = store._execute, []

    async def interrupted(statement, params):
        rows = await execute(statement, params)
        if statement is store._statements.promote and not taken:
            taken.append(await execute(store._statements.supersede, {"package": "crm", "this": "2.0.0"}))
        return rows

    monkeypatch.setattr(store, "_execute", interrupted)
    assert await registry.delete("crm", "2.0.0") is True
    assert taken
    marked, newest = await marks(registry, database)
    assert marked == newest == {("crm", "1.0.0")}


async def test_publishers_and_deleters_at_once_lose_no_package(registry, database):
    """16 tasks publish and delete versions of three packages: every newest version is marked and listed."""

    async def work(number):
        for step in range(6):
            id = f"p{(number + step) % 3}"
            await registry.publish(package(id, f"{number}.{step}.0"))
            if step % 2:
                latest = await registry.get(id)
                await registry.delete(id, latest.version)

    for id in ("p0", "p1", "p2"):
        await registry.publish(package(id, "0.0.0"))
    async with anyio.create_task_group() as tasks:
        for number in range(1, 17):
            tasks.start_soon(work, number)
    marked, newest = await marks(registry, database)
    assert newest <= marked
    assert set((await every_page(registry.list))[0]) == newest


@pytest.mark.parametrize("dialect_of", [sqlite.dialect, postgresql.dialect, mysql.dialect])
async def test_the_statements_are_of_every_database(store, dialect_of):
    """The queries of our own compile for SQLite, PostgreSQL and MariaDB."""
    for query in (store._statements.newest, store._statements.versions, store._statements.everything):
        assert "sys_packages" in str(query.compile(dialect=dialect_of()))


async def test_a_large_package_is_read_and_hashed_off_the_event_loop(registry, monkeypatch):
    """While a large package is worked on, other tasks go on; it arrives as a small one does."""
    threads = []

    def watched(name, module):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *args: (threads.append(threading.current_thread()), original(*args))[1]
        )

    watched("check", registry_module)
    watched("record", storage_module)
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
