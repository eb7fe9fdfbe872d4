"""The registry as its callers see it, on a database file."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import anyio
import pytest
import time_machine
from objectkernel_package_service.canonical import canonical, digest
from objectkernel_package_service.contracts import PackageInvalid

pytestmark = pytest.mark.anyio


def package(id="crm", version="1.0.0", **manifest):
    return {
        "manifest": {"id": id, "version": version, **manifest},
        "metadata": {"objects": [{"name": "account", "label": "客户 🔥", "share": 0.1}], "views": []},
    }


async def ids(registry, **options):
    page = await registry.list(**options)
    return [f"{item.id}@{item.version}" for item in page.items]


async def test_what_was_published_is_what_arrives(registry):
    """A record holds the canonical bytes of the package, their SHA-256, and the values in them."""
    published = await registry.publish(package(name="CRM"))
    delivered = await registry.get("crm", "1.0.0")
    assert delivered == published
    assert delivered.content == canonical(package(name="CRM"))
    assert delivered.hash == digest(delivered.content)
    assert {"manifest": delivered.manifest, "metadata": delivered.metadata} == package(name="CRM")


async def test_a_json_text_and_a_mapping_publish_the_same(registry):
    """The form a package is handed in has no bearing on what is stored."""
    first = await registry.publish(package())
    second = await registry.publish(json.dumps(package(), indent=2).encode())
    assert (second.hash, second.content) == (first.hash, first.content)


async def test_what_is_not_published_is_none(registry):
    """No package and no such version are None, no error."""
    await registry.publish(package())
    assert await registry.get("hr") is None
    assert await registry.get("crm", "2.0.0") is None


async def test_latest_is_the_version_inserted_last_even_when_the_clock_stands_still(registry):
    """Ten versions within one instant: the last one is latest, whatever semver says, and listed once."""
    with time_machine.travel(datetime(2024, 5, 1, tzinfo=UTC), tick=False):
        for number in (3, 9, 1, 7, 0, 8, 2, 6, 5, 4):
            await registry.publish(package(version=f"1.{number}.0"))
            await registry.publish(package("hr", f"1.{number}.0"))
    assert (await registry.get("crm")).version == "1.4.0"
    assert await ids(registry) == ["hr@1.4.0", "crm@1.4.0"]


async def test_a_clock_that_is_set_back_changes_no_order(registry):
    """The order is that of the insertions, not of the times."""
    with time_machine.travel(datetime(2024, 5, 1, tzinfo=UTC)):
        await registry.publish(package(version="1.0.0"))
    with time_machine.travel(datetime(2023, 5, 1, tzinfo=UTC)):
        await registry.publish(package(version="1.1.0"))
    assert (await registry.get("crm")).version == "1.1.0"


async def test_publishing_a_version_again_replaces_it_in_its_place(registry):
    """The content, hash and `updated_at` are new; `created_at`, `latest` and the place in the list stay."""
    start = datetime(2024, 5, 1, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        first = await registry.publish(package())
        await registry.publish(package(version="1.1.0"))
        await registry.publish(package("hr"))
        clock.shift(timedelta(hours=1))
        again = await registry.publish(package(name="New"))
    assert again.hash != first.hash
    assert (again.created_at, again.updated_at) == (start, start + timedelta(hours=1))
    assert await registry.get("crm", "1.0.0") == again
    assert (await registry.get("crm")).version == "1.1.0"
    assert await ids(registry) == ["hr@1.0.0", "crm@1.1.0"]


async def test_times_are_aware_and_in_utc(registry):
    """No time depends on a session's zone."""
    record = await registry.publish(package())
    assert record.created_at.tzinfo is UTC
    assert abs(datetime.now(UTC) - record.created_at) < timedelta(hours=1)


async def test_the_list_has_each_package_once_newest_first_in_pages(registry):
    """Pages end with the cursor of the next one, and the last with None."""
    for version in ("1.0.0", "2.0.0"):
        for id in "abcde":
            await registry.publish(package(id, version))
    first = await registry.list(limit=3)
    assert [item.id for item in first.items] == ["e", "d", "c"]
    await registry.publish(package("f"))
    second = await registry.list(limit=3, after=first.after)
    assert [(item.id, item.version) for item in second.items] == [("b", "2.0.0"), ("a", "2.0.0")]
    assert second.after is None
    assert (await registry.list(limit=6)).after is None


async def test_a_list_carries_no_content(registry):
    """A summary is the identity of a version: what it holds is delivered, and verified, one by one."""
    record = await registry.publish(package())
    (item,) = (await registry.list()).items
    assert (item.id, item.version, item.hash) == (record.id, record.version, record.hash)
    assert not hasattr(item, "content")


async def test_all_versions_of_all_packages_are_listed_when_asked_for(registry):
    """`all_versions=True` walks everything that is stored, newest first."""
    for version in ("1.0.0", "2.0.0"):
        for id in ("a", "b"):
            await registry.publish(package(id, version))
    everything = await ids(registry, all_versions=True)
    assert everything == ["b@2.0.0", "a@2.0.0", "b@1.0.0", "a@1.0.0"]


async def test_a_record_cannot_be_changed_by_who_reads_it(registry):
    """What one reader does to a manifest or to metadata, the next one does not see."""
    record = await registry.publish(package())
    record.manifest["id"] = "evil"
    record.metadata["objects"].clear()
    assert {"manifest": record.manifest, "metadata": record.metadata} == package()


async def test_the_versions_of_a_package_come_newest_first_in_pages(registry):
    """Only the versions of that package, in the order of their insertion."""
    for version in ("2.0.0", "1.0.0", "3.0.0"):
        await registry.publish(package(version=version))
        await registry.publish(package("other", version))
    first = await registry.versions("crm", limit=2)
    rest = await registry.versions("crm", limit=2, after=first.after)
    assert [item.version for item in (*first.items, *rest.items)] == ["3.0.0", "1.0.0", "2.0.0"]
    assert rest.after is None
    assert (await registry.versions("hr")).items == ()


async def test_deleting_says_whether_something_was_removed(registry):
    """One version goes, the others stay, and what is not there is False."""
    await registry.publish(package())
    await registry.publish(package(version="1.1.0"))
    assert await registry.delete("crm", "1.1.0") is True
    assert await registry.delete("crm", "1.1.0") is False
    assert await registry.delete("hr", "1.0.0") is False
    assert (await registry.get("crm")).version == "1.0.0"


async def test_all_versions_go_only_when_asked_by_name(registry):
    """`all_versions=True` removes every version of that package and of no other."""
    for version in ("1.0.0", "1.1.0"):
        await registry.publish(package(version=version))
        await registry.publish(package("hr", version))
    assert await registry.delete("crm", all_versions=True) is True
    assert await registry.delete("crm", all_versions=True) is False
    assert await ids(registry) == ["hr@1.1.0"]


@pytest.mark.parametrize(
    "request_of",
    [
        lambda registry: registry.delete("crm", "latest"),
        lambda registry: registry.delete("crm", ""),
        lambda registry: registry.delete("crm", " "),
        lambda registry: registry.delete("crm"),
        lambda registry: registry.delete("crm", all_versions="yes"),
        lambda registry: registry.delete("crm", all_versions=1),
        lambda registry: registry.delete("crm", "1.0.0", all_versions=True),
        lambda registry: registry.delete("", all_versions=True),
        lambda registry: registry.get(""),
        lambda registry: registry.get("../crm"),
        lambda registry: registry.get("crm", ""),
        lambda registry: registry.get("crm", "Next"),
        lambda registry: registry.get("crm", "^1.0.0 ||| 2"),
        lambda registry: registry.get("crm", None),
        lambda registry: registry.get(None),
        lambda registry: registry.list("5"),
        lambda registry: registry.publish(None),
        lambda registry: registry.versions(""),
        lambda registry: registry.list(limit=0),
        lambda registry: registry.list(limit=501),
        lambda registry: registry.list(limit=True),
        lambda registry: registry.list(after="x"),
        lambda registry: registry.list(after=""),
        lambda registry: registry.list(after="9" * 40),
        lambda registry: registry.publish(package(version="latest")),
        lambda registry: registry.publish(package("")),
    ],
)
async def test_what_cannot_be_meant_is_refused_and_changes_nothing(registry, request_of):
    """An empty id, `latest` as a version, a strange cursor: an error with its place; nothing is deleted."""
    await registry.publish(package())
    with pytest.raises(PackageInvalid) as caught:
        await request_of(registry)
    assert caught.value.problems
    assert await ids(registry) == ["crm@1.0.0"]


async def test_nothing_of_a_refused_package_is_stored(registry):
    """A package with problems leaves the registry as it was."""
    with pytest.raises(PackageInvalid):
        await registry.publish({**package(), "metadata": {"objects": "none"}})
    assert await ids(registry) == []


async def test_writers_at_once_lose_nothing(registry):
    """16 tasks publish versions of one and of many packages: all are there, each package is listed once."""

    async def write(number):
        for step in range(4):
            await registry.publish(package("shared", f"{number}.{step}.0"))
            await registry.publish(package(f"own-{number}", f"1.{step}.0"))

    async with anyio.create_task_group() as tasks:
        for number in range(16):
            tasks.start_soon(write, number)
    listed = await ids(registry)
    assert len(listed) == 17
    assert {f"own-{number}@1.3.0" for number in range(16)} < set(listed)
    assert len((await registry.versions("shared", limit=100)).items) == 64
    assert f"shared@{(await registry.get('shared')).version}" in listed
