"""Tags, deprecations, yanks and policies, as callers see them."""

from __future__ import annotations

import attrs
import pytest
from objectkernel_package_service.contracts import PackageConflict, PackageInvalid, PackageMissing
from objectkernel_package_service.tagging import MOST_TAGS

from tests.plugins.package_service.databases import package

pytestmark = pytest.mark.anyio


@pytest.fixture
async def published(registry):
    """Versions 1.0.0 to 3.0.0 of crm; 2.0.0 was the last to be published."""
    for version in ("1.0.0", "3.0.0", "2.0.0"):
        await registry.publish(package(version=version))
    return registry


async def actions(registry, id="crm"):
    return [(one.action, one.version) for one in reversed((await registry.history(id)).items)]


async def test_a_tag_names_one_version_and_is_moved(published):
    """`get` finds the version that the tag names now, and the version tells its tags."""
    await published.tag("crm", "stable", "1.0.0")
    await published.tag("crm", "next", "3.0.0")
    assert (await published.get("crm", "stable")).version == "1.0.0"
    await published.tag("crm", "stable", "3.0.0")
    assert (await published.get("crm", "stable")).tags == ("next", "stable")
    assert (await published.get("crm", "1.0.0")).tags == ()
    assert await published.tags("crm") == {"stable": "3.0.0", "next": "3.0.0"}
    assert (await published.get("crm")).version == "2.0.0"
    assert await published.get("crm", "beta") is None


async def test_publishing_can_tag_at_once(registry):
    """The tag moves in the transaction that publishes."""
    await registry.publish(package(), tag="next")
    record = await registry.publish(package(version="1.1.0"), tag="next")
    assert record.tags == ("next",)
    assert await registry.tags("crm") == {"next": "1.1.0"}


async def test_removing_a_tag_says_whether_there_was_one(published):
    """A tag goes alone, and with its version."""
    await published.tag("crm", "stable", "1.0.0")
    await published.tag("crm", "next", "3.0.0")
    assert await published.untag("crm", "stable") is True
    assert await published.untag("crm", "stable") is False
    assert await published.untag("hr", "stable") is False
    await published.delete("crm", "3.0.0")
    assert await published.tags("crm") == {}


async def test_a_package_has_a_bounded_number_of_tags(published):
    """They are all read with each version."""
    for number in range(MOST_TAGS):
        await published.tag("crm", f"tag-{number}", "1.0.0")
    with pytest.raises(PackageInvalid, match="too many"):
        await published.tag("crm", "more", "1.0.0")
    await published.tag("crm", "tag-0", "2.0.0")


async def test_a_yanked_version_is_found_by_its_exact_version_alone(published):
    """It is no latest, in no range, behind no tag and in no list of packages; who pinned it gets it, and is told."""
    await published.tag("crm", "stable", "2.0.0")
    await published.yank("crm", "2.0.0")
    assert (await published.get("crm")).version == "3.0.0"
    assert await published.get("crm", "2.x") is None
    assert await published.get("crm", "stable") is None
    assert (await published.get("crm", "2.0.0")).yanked
    assert [item.version for item in (await published.list()).items] == ["3.0.0"]
    assert [item.yanked for item in (await published.versions("crm")).items] == [True, False, False]
    await published.yank("crm", "2.0.0", False)
    assert (await published.get("crm")).version == (await published.get("crm", "stable")).version == "2.0.0"


async def test_a_package_of_yanked_versions_alone_has_no_latest(registry):
    """It is in no list but that of all versions."""
    await registry.publish(package())
    await registry.yank("crm", "1.0.0")
    assert await registry.get("crm") is None
    assert (await registry.list()).items == ()
    assert [item.id for item in (await registry.list(all_versions=True)).items] == ["crm"]


async def test_a_deprecation_says_why(published):
    """Of one version or of all; an empty one takes it back. What is deprecated is delivered as before."""
    await published.deprecate("crm", "1.0.0", "use 2")
    assert [item.deprecated for item in (await published.versions("crm")).items] == [None, None, "use 2"]
    await published.deprecate("crm", None, "use hr")
    assert {item.deprecated for item in (await published.versions("crm")).items} == {"use hr"}
    assert (await published.get("crm")).deprecated == "use hr"
    await published.deprecate("crm", None, None)
    assert (await published.get("crm", "1.0.0")).deprecated is None


async def test_publishing_again_keeps_what_was_said_of_a_version(published):
    """A deprecation, a yank and tags are of the version, not of its content."""
    await published.deprecate("crm", "1.0.0", "old")
    await published.yank("crm", "1.0.0")
    await published.tag("crm", "lts", "1.0.0")
    again = await published.publish(package(content=1))
    assert (again.deprecated, again.yanked, again.tags) == ("old", True, ("lts",))
    assert again == await published.get("crm", "1.0.0")
    assert (await published.get("crm")).version == "2.0.0"


async def test_an_immutable_version_is_published_once(registry):
    """The same content again is answered alike and changes nothing; other content is a conflict with both hashes."""
    first = await registry.publish(package(), policy="immutable")
    again = await registry.publish(package())
    assert again == attrs.evolve(first, previous_hash=first.hash)
    with pytest.raises(PackageConflict) as caught:
        await registry.publish(package(content=1))
    assert (caught.value.id, caught.value.version, caught.value.hash) == ("crm", "1.0.0", first.hash)
    assert (await registry.publish(package(version="1.1.0", content=1))).policy == "immutable"
    assert await actions(registry) == [("publish", "1.0.0"), ("publish", "1.1.0")]


async def test_an_immutable_version_never_comes_back_as_something_else(registry):
    """Not even once it was deleted: somebody may have it."""
    first = await registry.publish(package(), policy="immutable")
    await registry.delete("crm", "1.0.0")
    with pytest.raises(PackageConflict):
        await registry.publish(package(content=1))
    assert (await registry.publish(package())).hash == first.hash


async def test_the_policy_of_a_package_can_be_changed(registry):
    """`configure` changes visibility and policy of all its versions; what is not named stays."""
    await registry.publish(package(), visibility="private")
    await registry.configure("crm", policy="immutable")
    with pytest.raises(PackageConflict):
        await registry.publish(package(content=1))
    await registry.configure("crm", policy="mutable")
    record = await registry.publish(package(content=1))
    assert (record.policy, record.visibility) == ("mutable", "private")


@pytest.mark.parametrize("publishing", [True, False])
async def test_an_account_does_not_take_back_that_a_package_is_immutable(registry, publishing):
    """Its versions are kept for ever by others: they would differ from what is overwritten afterwards."""
    await registry.publish(package(), policy="immutable", owner="acme")
    with pytest.raises(PackageConflict, match="stays so"):
        if publishing:
            await registry.publish(package(version="2.0.0"), policy="mutable", owner="acme")
        else:
            await registry.configure("crm", policy="mutable", owner="acme")
    record = await registry.get("crm")
    assert (record.version, record.policy) == ("1.0.0", "immutable")


async def test_the_history_tells_every_change_in_order(published):
    """Who, when, what and the hash; it stays when the package goes."""
    await published.tag("crm", "stable", "1.0.0", owner=None)
    await published.deprecate("crm", None, "use hr")
    await published.yank("crm", "1.0.0")
    await published.yank("crm", "1.0.0", False)
    await published.configure("crm", visibility="private")
    await published.untag("crm", "stable")
    hash = (await published.get("crm", "1.0.0")).hash
    await published.delete("crm", "1.0.0")
    await published.delete("crm", all_versions=True, force=True)
    assert await actions(published) == [
        ("publish", "1.0.0"),
        ("publish", "3.0.0"),
        ("publish", "2.0.0"),
        ("tag", "1.0.0"),
        ("deprecate", None),
        ("yank", "1.0.0"),
        ("unyank", "1.0.0"),
        ("configure", None),
        ("untag", "1.0.0"),
        ("delete", "1.0.0"),
        ("delete", "3.0.0"),
        ("delete", "2.0.0"),
    ]
    entries = (await published.history("crm")).items
    assert [one.number for one in entries] == list(range(12, 0, -1))
    assert {one.hash for one in entries if one.version == "1.0.0" and one.action in ("publish", "delete")} == {hash}
    assert [one.details for one in entries[:3]] == [{"force": True}, {"force": True}, {}]
    assert entries[-4].details == {"tag": "stable"}


async def test_the_history_comes_in_pages(published):
    """Newest first, with the cursor of the next page."""
    first = await published.history("crm", limit=2)
    rest = await published.history("crm", limit=2, after=first.after)
    assert [one.version for one in (*first.items, *rest.items)] == ["2.0.0", "3.0.0", "1.0.0"]
    assert rest.after is None


async def test_what_is_as_it_was_asked_for_is_no_change(published):
    """The same tag, yank and setting again add nothing to the history."""
    await published.tag("crm", "stable", "1.0.0")
    before = await actions(published)
    await published.tag("crm", "stable", "1.0.0")
    await published.yank("crm", "1.0.0", False)
    await published.configure("crm", visibility="public")
    await published.configure("crm")
    assert await actions(published) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda registry, id: registry.tags(id),
        lambda registry, id: registry.tag(id, "next", "9.0.0"),
        lambda registry, id: registry.yank(id, "9.0.0"),
        lambda registry, id: registry.deprecate(id, "9.0.0", "old"),
    ],
)
@pytest.mark.parametrize("id", ["crm", "hr"])
async def test_what_is_not_there_cannot_be_changed(published, id, change):
    """A package that never was and one without versions are PackageMissing alike."""
    await published.delete("crm", all_versions=True)
    with pytest.raises(PackageMissing) as caught:
        await change(published, id)
    assert caught.value.id == id


@pytest.mark.parametrize("id", ["crm", "hr"])
async def test_a_package_without_versions_cannot_be_configured(published, id):
    """There is nothing to see, whoever asks."""
    await published.delete("crm", all_versions=True)
    with pytest.raises(PackageMissing):
        await published.configure(id, visibility="private")
    with pytest.raises(PackageMissing):
        await published.deprecate(id, None, "old")


@pytest.mark.parametrize(
    "change",
    [
        lambda registry: registry.tag("crm", "latest", "1.0.0"),
        lambda registry: registry.tag("crm", "1.x", "1.0.0"),
        lambda registry: registry.tag("crm", "next", "latest"),
        lambda registry: registry.untag("crm", ""),
        lambda registry: registry.yank("crm", "^1.0.0"),
        lambda registry: registry.yank("crm", "1.0.0", "no"),
        lambda registry: registry.deprecate("crm", "1.0.0", ""),
        lambda registry: registry.deprecate("crm", "1.0.0", "x" * 1001),
        lambda registry: registry.deprecate("crm", "", "old"),
        lambda registry: registry.configure("crm", visibility="secret"),
        lambda registry: registry.configure("crm", policy=""),
        lambda registry: registry.publish(package(), tag="latest"),
        lambda registry: registry.publish(package(), visibility="all"),
        lambda registry: registry.publish(package(), policy=True),
        lambda registry: registry.publish(package(), owner=""),
        lambda registry: registry.get("crm", owner=5),
        lambda registry: registry.delete("crm", "1.0.0", force="yes"),
        lambda registry: registry.list(search=""),
        lambda registry: registry.list(search="a b c d e f g h i"),
        lambda registry: registry.history("crm", limit=0),
    ],
)
async def test_what_cannot_be_meant_is_refused(published, change):
    """An error with its place; nothing is changed."""
    before = await actions(published)
    with pytest.raises(PackageInvalid) as caught:
        await change(published)
    assert caught.value.problems
    assert await actions(published) == before
