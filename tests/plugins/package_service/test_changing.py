"""Each change is one transaction with the next number of its package's history, on every kind of database."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest
from objectkernel_contracts import Principal
from objectkernel_package_service.contracts import (
    PackageConflict,
    PackageForeign,
    PackageInvalid,
    PackageMissing,
    PackageStoreUnavailable,
)
from objectkernel_package_service.package import Limits
from objectkernel_package_service.registry import PackageRegistry
from objectkernel_package_service.table import SCHEMAS
from objectkernel_system_dialect.contracts import EntitySchema, Field
from sqlalchemy import literal_column, select

from tests.plugins.package_service.databases import opened, package

pytestmark = pytest.mark.anyio

NOTE = EntitySchema(
    name="Note",
    collection="notes",
    fields={"number": Field("sequence"), "action": Field("string"), "subject": Field("string"), "rest": Field("json")},
)


class Notes:
    """An audit trail in the same database; `failing` makes it raise."""

    def __init__(self):
        self.dialect = None
        self.failing = False

    async def record(self, action, subject, *, principal=None, account_id=None, details=None):
        user = None if principal is None else principal.user_id
        await self.dialect.create(
            NOTE, {"action": action, "subject": subject, "rest": [account_id, user, dict(details)]}
        )
        if self.failing:
            raise RuntimeError("the audit trail is full")

    async def all(self):
        rows = await self.dialect.find(NOTE, sort={"number": 1})
        return [(row["action"], row["subject"], *row["rest"]) for row in rows]


@pytest.fixture
def anyio_backend():
    """Servers speak asyncio."""
    return "asyncio"


@pytest.fixture
async def audited(kind, url):
    """A registry that is told to an audit trail."""
    notes = Notes()
    async with opened(kind, url, notes) as place:
        notes.dialect = place.dialect
        await place.dialect.register(NOTE)
        yield place, notes


async def everything(place):
    """All rows of the registry's tables."""
    return {schema.name: await place.dialect.find(schema, sort=dict.fromkeys(schema.key, 1)) for schema in SCHEMAS}


async def test_every_change_is_told_to_the_audit_trail(audited):
    """Who did what to what, with the hashes; what changes nothing is not told."""
    place, notes = audited
    ada = Principal(account_id="ada", user_id="u1")
    registry = place.registry
    first = await registry.publish(package(), owner=ada, tag="next")
    await registry.tag("crm", "stable", "1.0.0", owner=ada)
    await registry.tag("crm", "stable", "1.0.0", owner=ada)
    await registry.untag("crm", "next")
    await registry.deprecate("crm", None, "old", owner="ada")
    await registry.yank("crm", "1.0.0", owner="ada")
    await registry.configure("crm", policy="immutable", owner="ada")
    assert not await registry.delete("crm", "2.0.0")
    await registry.delete("crm", "1.0.0", owner=ada)
    assert await notes.all() == [
        ("package.publish", "crm@1.0.0", "ada", "u1", {"tag": "next", "hashes": {"1.0.0": first.hash}}),
        ("package.tag", "crm@1.0.0", "ada", "u1", {"tag": "stable"}),
        ("package.untag", "crm", "ada", None, {"tag": "next"}),
        ("package.deprecate", "crm", "ada", None, {"message": "old"}),
        ("package.yank", "crm@1.0.0", "ada", None, {}),
        ("package.configure", "crm", "ada", None, {"policy": "immutable"}),
        ("package.delete", "crm@1.0.0", "ada", "u1", {"hashes": {"1.0.0": first.hash}}),
    ]


CHANGES = {
    "publish": lambda registry: registry.publish(package(version="3.0.0", dependencies={"hr": "*"})),
    "publish again": lambda registry: registry.publish(package(content=7), tag="other"),
    "publish the first": lambda registry: registry.publish(package("new")),
    "tag": lambda registry: registry.tag("crm", "next", "1.0.0"),
    "untag": lambda registry: registry.untag("crm", "stable"),
    "yank": lambda registry: registry.yank("crm", "2.0.0"),
    "deprecate": lambda registry: registry.deprecate("crm", None, "old"),
    "configure": lambda registry: registry.configure("crm", visibility="private"),
    "delete": lambda registry: registry.delete("crm", "2.0.0"),
    "delete all": lambda registry: registry.delete("crm", all_versions=True),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_a_change_is_made_wholly_or_not_at_all(audited, change):
    """Where its last step fails, no table has anything of it, and the next attempt works."""
    place, notes = audited
    await place.registry.publish(package(), tag="stable")
    await place.registry.publish(package(version="2.0.0", dependencies={"hr": "^1.0.0"}))
    before = await everything(place)
    notes.failing = True
    with pytest.raises(RuntimeError):
        await change(place.registry)
    assert await everything(place) == before
    notes.failing = False
    await change(place.registry)
    assert await everything(place) != before


async def test_sixteen_writers_at_once_lose_nothing(place):
    """Each publishes versions of one package and of its own, tags and deletes: all is there, and numbered once."""
    registry = place.registry

    async def write(number):
        for step in range(3):
            await registry.publish(package("shared", f"{number}.{step}.0"), tag=f"w{number}")
            await registry.publish(package(f"own-{number}", f"1.{step}.0"))
        await registry.delete("shared", f"{number}.0.0")

    async with anyio.create_task_group() as tasks:
        for number in range(16):
            tasks.start_soon(write, number)
    versions = (await registry.versions("shared", limit=500)).items
    assert {item.version for item in versions} == {f"{n}.{step}.0" for n in range(16) for step in (1, 2)}
    assert [item.sequence for item in versions] == sorted((item.sequence for item in versions), reverse=True)
    assert (await registry.get("shared")).version == versions[0].version
    assert await registry.tags("shared") == {f"w{number}": f"{number}.2.0" for number in range(16)}
    history = (await registry.history("shared", limit=500)).items
    assert [entry.number for entry in history] == list(range(64, 0, -1))
    listed = [(item.id, item.version) for item in (await registry.list(limit=500)).items]
    assert sorted(listed) == sorted(
        [("shared", versions[0].version), *((f"own-{number}", "1.2.0") for number in range(16))]
    )


async def test_of_an_immutable_version_that_many_publish_at_once_one_wins(place):
    """All others have its conflict, or its very content."""
    registry, hashes = place.registry, set()
    await registry.publish(package(), policy="immutable")

    async def write(content):
        with suppress(PackageConflict):
            hashes.add((await registry.publish(package(version="2.0.0", content=content))).hash)

    async with anyio.create_task_group() as tasks:
        for number in range(12):
            tasks.start_soon(write, number % 4)
    assert hashes == {(await registry.get("crm", "2.0.0")).hash}


async def test_of_two_accounts_that_publish_an_id_at_once_one_owns_it(place):
    """The other one is told that it is taken, and nothing of it is stored."""
    registry, owners = place.registry, []

    async def write(account):
        with suppress(PackageForeign):
            owners.append((await registry.publish(package(version=f"{len(account)}.0.0"), owner=account)).owner)

    async with anyio.create_task_group() as tasks:
        for account in ("a", "bb", "ccc", "dddd"):
            tasks.start_soon(write, account)
    (owner,) = owners
    (item,) = (await registry.versions("crm")).items
    assert (item.owner, item.version) == (owner, f"{len(owner)}.0.0")


async def test_a_deletion_and_a_tag_at_once_leave_no_tag_behind(place):
    """Whichever comes first, no tag names a version that is not there."""
    registry = place.registry

    async def tag(version):
        with suppress(PackageMissing):
            await registry.tag("crm", "next", version)

    for step in range(4):
        await registry.publish(package(version=f"1.{step}.0"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(registry.delete, "crm", f"1.{step}.0")
            tasks.start_soon(tag, f"1.{step}.0")
        await registry.publish(package(version="9.0.0"))
        assert await registry.tags("crm") == {}


async def test_a_package_larger_than_a_servers_usual_column_arrives(place):
    """Metadata of 150 kB, with every kind of character, comes back byte for byte."""
    large = package()
    large["metadata"]["objects"][0]["help"] = "x\u0000é客🔥'\\%_" * 8_000
    published = await place.registry.publish(large)
    assert await place.registry.get("crm") == published
    assert published.size == len(published.content) > 150_000


@pytest.mark.parametrize("kind", [pytest.param("mariadb", marks=pytest.mark.mariadb)])
async def test_a_package_beyond_the_servers_packet_is_refused_and_nothing_is_lost(place):
    """Not as unknown: it is told what is too large for whom, the version stays what it was, and the server answers."""
    ((packet,),) = [row.values() for row in await place.dialect.execute(select(literal_column("@@max_allowed_packet")))]
    registry = PackageRegistry(place.store, Limits(manifest=20_000, metadata=2 * packet))
    before = await registry.publish(package())
    for version in ("1.0.0", "2.0.0"):
        large = package(version=version)
        large["metadata"]["objects"][0]["label"] = "x" * packet
        with pytest.raises(PackageInvalid, match="max_allowed_packet") as caught:
            await registry.publish(large, tag="stable")
        assert [one.path for one in caught.value.problems] == ["$"]
    found = await registry.get("crm")
    assert (found.hash, found.tags) == (before.hash, ())
    assert [entry.number for entry in (await registry.history("crm")).items] == [1]
    assert (await registry.publish(package(version="2.0.0"))).version == "2.0.0"


async def test_a_store_that_is_gone_is_unknown(place):
    """On every database: an error that says so, no None and no empty list."""
    await place.registry.publish(package())
    await place.dialect.aclose()
    for call in (place.registry.get("crm"), place.registry.list(), place.registry.publish(package(version="2.0.0"))):
        with pytest.raises(PackageStoreUnavailable, match="unknown"):
            await call


async def test_who_takes_the_id_of_a_private_package_learns_nothing_of_it(place):
    """Its history begins anew for accounts, numbers and all, and no old hash is in the way; the host sees all of it."""
    registry = place.registry
    await registry.publish(package(), owner="ada", visibility="private", policy="immutable")
    await registry.deprecate("crm", None, "internal", owner="ada")
    await place.store.remover.leave("ada", None)
    await registry.publish(package(version="3.0.0"), owner="bob", policy="immutable")
    await registry.publish(package(name="other"), owner="bob")
    await registry.tag("crm", "stable", "3.0.0", owner="bob")
    for by in ("bob", "eve"):
        first = await registry.history("crm", 2, owner=by)
        rest = await registry.history("crm", 2, first.after, owner=by)
        seen = [(entry.number, entry.action) for entry in (*first.items, *rest.items)]
        assert seen == [(3, "tag"), (2, "publish"), (1, "publish")]
        assert rest.after is None
    actions = [entry.action for entry in (await registry.history("crm")).items]
    assert actions == ["tag", "publish", "publish", "seal", "delete", "deprecate", "publish"]
    with pytest.raises(PackageConflict):
        await registry.publish(package(name="third"), owner="bob")
