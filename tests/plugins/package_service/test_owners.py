"""What an account sees and may change: what is public, and what is its own."""

from __future__ import annotations

import pytest
from objectkernel_contracts import Principal
from objectkernel_package_service.contracts import PackageForeign, PackageMissing

from tests.plugins.package_service.databases import package

pytestmark = pytest.mark.anyio

READS = {
    "get": lambda registry, id, **by: registry.get(id, **by),
    "get exact": lambda registry, id, **by: registry.get(id, "1.0.0", **by),
    "get range": lambda registry, id, **by: registry.get(id, "1.x", **by),
    "get tag": lambda registry, id, **by: registry.get(id, "next", **by),
    "versions": lambda registry, id, **by: registry.versions(id, **by),
    "history": lambda registry, id, **by: registry.history(id, **by),
    "tags": lambda registry, id, **by: registry.tags(id, **by),
}
CHANGES = {
    "tag": lambda registry, id, **by: registry.tag(id, "mine", "1.0.0", **by),
    "untag": lambda registry, id, **by: registry.untag(id, "next", **by),
    "yank": lambda registry, id, **by: registry.yank(id, "1.0.0", **by),
    "deprecate": lambda registry, id, **by: registry.deprecate(id, "1.0.0", "mine", **by),
    "deprecate all": lambda registry, id, **by: registry.deprecate(id, None, "mine", **by),
    "configure": lambda registry, id, **by: registry.configure(id, visibility="public", **by),
    "delete": lambda registry, id, **by: registry.delete(id, "1.0.0", **by),
    "delete all": lambda registry, id, **by: registry.delete(id, all_versions=True, **by),
}


@pytest.fixture
async def shared(registry):
    """One public and one private package of ada, and one of the host."""
    await registry.publish(package("open"), owner="ada", tag="next")
    await registry.publish(package("secret"), owner="ada", tag="next", visibility="private")
    await registry.publish(package("hosts"), tag="next")
    return registry


async def answer(call, registry, id, by):
    """What a call gives, its error as the name of its class."""
    try:
        return await call(registry, id, owner=by)
    except (PackageForeign, PackageMissing) as error:
        return type(error).__name__


@pytest.mark.parametrize("call", [*READS.values(), *CHANGES.values()], ids=[*READS, *CHANGES])
async def test_a_private_package_of_others_is_as_one_that_does_not_exist(shared, call):
    """The same answer or error, whatever is asked, and nothing is changed."""
    before = await shared.get("secret")
    assert await answer(call, shared, "secret", "bob") == await answer(call, shared, "nowhere", "bob")
    assert await shared.get("secret") == before


@pytest.mark.parametrize("call", READS.values(), ids=READS)
@pytest.mark.parametrize("by", ["ada", Principal(account_id="ada"), None])
async def test_the_owner_and_the_host_see_what_is_private(shared, call, by):
    """With the account's id, with its principal, and in process."""
    found = await call(shared, "secret", owner=by)
    assert found == await call(shared, "secret")
    assert found is not None
    assert found != await answer(call, shared, "nowhere", "ada")


@pytest.mark.parametrize("id", ["open", "hosts"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_public_package_of_others_is_seen_and_not_changed(shared, change, id):
    """The error says that it is another's; also for what belongs to the host."""
    before = await shared.get(id)
    assert await shared.get(id, owner="bob") == before
    with pytest.raises(PackageForeign) as caught:
        await change(shared, id, owner="bob")
    assert caught.value.id == id
    assert await shared.get(id) == before


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("by", ["ada", None])
async def test_the_owner_and_the_host_change_it(shared, change, by):
    """Every change; the host may do everything."""
    before = len((await shared.history("secret")).items)
    await change(shared, "secret", owner=by)
    entries = (await shared.history("secret")).items
    assert len(entries) == before + 1
    assert entries[0].by == by


@pytest.mark.parametrize("id", ["open", "secret", "hosts"])
async def test_nobody_publishes_under_the_id_of_another(shared, id):
    """Whether it is public or not: an id can have one owner only."""
    with pytest.raises(PackageForeign):
        await shared.publish(package(id, "2.0.0"), owner="bob")
    assert len((await shared.versions(id)).items) == 1


async def test_the_first_to_publish_owns_the_id_also_when_nothing_is_left(registry):
    """Nobody can take an id over by waiting for its last version to go."""
    assert (await registry.publish(package(), owner="ada")).owner == "ada"
    await registry.publish(package(version="2.0.0"))
    assert (await registry.get("crm")).owner == "ada"
    await registry.delete("crm", all_versions=True, owner="ada")
    with pytest.raises(PackageForeign):
        await registry.publish(package(), owner="bob")


async def listed(registry, limit=2, **options):
    """Ids of a list, from pages of two."""
    page = await registry.list(limit, **options)
    ids = [item.id for item in page.items]
    while page.after is not None:
        page = await registry.list(limit, page.after, **options)
        assert len(page.items) <= limit
        ids += [item.id for item in page.items]
    return ids


async def test_a_list_has_what_is_public_and_what_is_ones_own(registry):
    """Newest first, each once, in pages, of the latest and of all versions; what changes sides moves at once."""
    for number in range(12):
        owner, visibility = ("ada", "bob", None)[number % 3], ("public", "private")[number % 2]
        await registry.publish(package(f"p{number}"), owner=owner, visibility=visibility)
    seen = {by: await listed(registry, owner=by) for by in ("ada", "bob", "eve")}
    assert seen["ada"] == ["p10", "p9", "p8", "p6", "p4", "p3", "p2", "p0"]
    assert seen["bob"] == ["p10", "p8", "p7", "p6", "p4", "p2", "p1", "p0"]
    assert seen["eve"] == ["p10", "p8", "p6", "p4", "p2", "p0"]
    for by, ids in seen.items():
        assert await listed(registry, owner=by, all_versions=True) == ids
        assert await listed(registry, owner=by, search="P") == ids
    await registry.configure("p10", visibility="private", owner="bob")
    assert await listed(registry, owner="eve") == ["p8", "p6", "p4", "p2", "p0"]


async def test_a_search_looks_for_words_in_id_and_name(registry):
    """Every word is part of one of them, whatever the case; wildcards mean themselves."""
    await registry.publish(package("acme.crm", name="Customers & Straße"))
    await registry.publish(package("acme.billing", name="100% Invoices_"))
    await registry.publish(package("plain"))
    found = {
        "CRM": ["acme.crm"],
        "acme": ["acme.billing", "acme.crm"],
        "acme customer": ["acme.crm"],
        "STRASSE": ["acme.crm"],
        "100%": ["acme.billing"],
        "%": ["acme.billing"],
        "_": ["acme.billing"],
        "!": [],
        "acme nothing": [],
    }
    assert {text: await listed(registry, search=text) for text in found} == found
    await registry.publish(package("acme.crm", "2.0.0", name="Clients"))
    assert await listed(registry, search="customers") == []
    assert await listed(registry, search="clients", all_versions=True) == ["acme.crm", "acme.crm"]


async def test_a_search_looks_at_a_bounded_number_of_packages_at_once(registry, monkeypatch):
    """A page may be empty and still go on: its cursor leads behind what was looked at, and nothing is left out."""
    monkeypatch.setattr("objectkernel_package_service.queries.WINDOW", 3)
    for number in range(10):
        await registry.publish(package(f"{'rare' if number == 1 else 'other'}{number}"))
    first = await registry.list(search="rare")
    assert first.items == ()
    assert first.after is not None
    assert await listed(registry, search="rare") == ["rare1"]
    assert await listed(registry, search="other") == [f"other{n}" for n in range(9, -1, -1) if n != 1]
    assert await listed(registry, owner="ada", all_versions=True) == await listed(registry)
