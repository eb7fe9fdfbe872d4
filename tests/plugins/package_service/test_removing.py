"""Deleting: what others need stays, and what goes stays in the history."""

from __future__ import annotations

import pytest
from objectkernel_package_service import dependents
from objectkernel_package_service.contracts import PackageConflict, PackageDamaged, PackageNeeded

from tests.plugins.package_service.databases import package

pytestmark = pytest.mark.anyio


@pytest.fixture
async def needed(registry):
    """billing needs crm ^1.0.0, of which there are 1.0.0 and 1.1.0; there is also 2.0.0."""
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        await registry.publish(package(version=version))
    await registry.publish(package("billing", dependencies={"crm": "^1.0.0"}))
    return registry


async def test_the_last_version_that_meets_a_dependency_is_not_deleted(needed):
    """The error names who needs it; nothing is changed."""
    assert await needed.delete("crm", "1.1.0") is True
    with pytest.raises(PackageNeeded) as caught:
        await needed.delete("crm", "1.0.0")
    assert caught.value.needed_by == ("billing@1.0.0",)
    assert "billing@1.0.0" in str(caught.value)
    assert (await needed.get("crm", "1.0.0")).version == "1.0.0"
    with pytest.raises(PackageNeeded):
        await needed.delete("crm", all_versions=True)


async def test_force_deletes_what_is_needed(needed):
    """Asked for by name, and the history says so."""
    assert await needed.delete("crm", all_versions=True, force=True) is True
    assert (await needed.list()).items[0].id == "billing"
    assert {entry.details["force"] for entry in (await needed.history("crm")).items if entry.action == "delete"} == {
        True
    }


async def test_what_nobody_needs_any_more_can_be_deleted(needed):
    """A dependent that is gone, yanked, published again without the dependency, or never met, keeps nothing."""
    await needed.delete("crm", "1.1.0")
    await needed.yank("billing", "1.0.0")
    assert await needed.delete("crm", "1.0.0") is True
    await needed.publish(package())
    await needed.yank("billing", "1.0.0", False)
    await needed.publish(package("billing", dependencies={"crm": "^7.0.0"}))
    assert await needed.delete("crm", "1.0.0") is True
    await needed.publish(package())
    await needed.publish(package("billing", dependencies={"crm": "^1.0.0"}))
    await needed.delete("billing", "1.0.0")
    assert await needed.delete("crm", all_versions=True) is True


async def test_a_package_does_not_keep_itself(registry):
    """Versions of the package itself that need it do not count."""
    await registry.publish(package(dependencies={"crm": "*"}))
    assert await registry.delete("crm", "1.0.0") is True


async def test_a_yanked_version_meets_its_exact_version_alone(needed):
    """Yanked versions keep nobody's range; who pins one exactly needs it."""
    await needed.yank("crm", "1.1.0")
    with pytest.raises(PackageNeeded):
        await needed.delete("crm", "1.0.0")
    await needed.publish(package("pinned", dependencies={"crm": "1.1.0"}))
    with pytest.raises(PackageNeeded) as caught:
        await needed.delete("crm", "1.1.0")
    assert caught.value.needed_by == ("pinned@1.0.0",)


async def test_a_private_package_of_others_is_not_named(registry):
    """That somebody needs it is told, who is not."""
    await registry.publish(package(), owner="ada")
    await registry.publish(package("secret", dependencies={"crm": "*"}), owner="bob", visibility="private")
    with pytest.raises(PackageNeeded) as caught:
        await registry.delete("crm", "1.0.0", owner="ada")
    assert caught.value.needed_by == ()
    assert "secret" not in str(caught.value)
    with pytest.raises(PackageNeeded, match="secret"):
        await registry.delete("crm", "1.0.0")


async def test_many_dependents_are_looked_at_in_a_thread(registry, monkeypatch):
    """The answer is the same, and the event loop goes on meanwhile; a few of them are named."""
    monkeypatch.setattr(dependents, "QUICK", 1)
    await registry.publish(package())
    for number in range(15):
        await registry.publish(package(f"p{number:02}", dependencies={"crm": f"^1.{number % 2}.0"}))
    with pytest.raises(PackageNeeded) as caught:
        await registry.delete("crm", "1.0.0")
    assert caught.value.needed_by == tuple(f"p{number:02}@1.0.0" for number in range(0, 15, 2))


async def test_who_needs_it_is_unreadable_only_force_deletes(registry, tamper):
    """A damaged row among the needs is no reason to break others in silence."""
    await registry.publish(package())
    await registry.publish(package("billing", dependencies={"crm": "^1.0.0"}))
    tamper("UPDATE sys_package_needs SET range = x'00'")
    with pytest.raises(PackageDamaged):
        await registry.delete("crm", "1.0.0")
    assert await registry.delete("crm", "1.0.0", force=True) is True


async def test_an_account_that_goes_hands_its_packages_over(store, registry):
    """The successor owns them with all that is said of them; those of others stay as they are."""
    await registry.publish(package(), owner="ada", visibility="private", tag="stable")
    await registry.publish(package("hr"), owner="bob")
    await store.remover.leave("ada", "eve")
    assert (await registry.get("crm", "stable", owner="eve")).owner == "eve"
    assert await registry.get("crm", owner="ada") is None
    assert (await registry.get("hr")).owner == "bob"
    (transfer, _) = (await registry.history("crm")).items
    assert (transfer.action, transfer.details) == ("transfer", {"from": "ada", "to": "eve"})


async def test_the_packages_of_an_account_that_goes_without_successor_go(store, registry, monkeypatch):
    """All of them, also what others need, and their ids are free; the history stays. Called again it does nothing."""
    monkeypatch.setattr("objectkernel_package_service.removing.BATCH", 2)
    for number in range(5):
        await registry.publish(package(f"p{number}"), owner="ada")
    await registry.publish(package("billing", dependencies={"p1": "*"}), owner="bob")
    await registry.delete("p4", all_versions=True)
    await store.remover.leave("ada", None)
    await store.remover.leave("ada", None)
    assert [item.id for item in (await registry.list()).items] == ["billing"]
    assert [entry.action for entry in (await registry.history("p0")).items] == ["delete", "publish"]
    assert (await registry.publish(package("p0"), owner="bob")).owner == "bob"
    assert [entry.by for entry in (await registry.history("p0")).items] == ["bob", None, "ada"]


async def test_a_public_immutable_version_stays_what_it_was_when_its_account_goes(store, registry):
    """Whoever takes the id cannot publish other content under a version that others may have pinned."""
    await registry.publish(package(), owner="ada", policy="immutable")
    await store.remover.leave("ada", None)
    await registry.publish(package(version="2.0.0"), owner="bob", policy="immutable")
    with pytest.raises(PackageConflict):
        await registry.publish(package(name="other"), owner="bob")
    assert [entry.by for entry in (await registry.history("crm", owner="bob")).items] == ["bob", None, "ada"]
