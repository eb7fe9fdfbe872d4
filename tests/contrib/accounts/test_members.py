"""Accounts, and who is what in them."""

from __future__ import annotations

import pytest
from objectkernel_accounts.errors import AccountMissing, AccountStateInvalid, NameInvalid, RoleRefused, UserMissing
from objectkernel_contracts import OPERATE, Principal

from tests.contrib.accounts.hosts import House, by

pytestmark = pytest.mark.anyio


async def test_accounts(house: House) -> None:
    """Accounts are made, found and listed; one that is not there is None."""
    ada = await house.admin()
    made = await house.parts.accounts.create("Acme", by=by(ada, OPERATE))
    assert await house.parts.accounts.get(made.id) == made
    assert await house.parts.accounts.get("missing") is None
    first, after = await house.parts.accounts.list(1)
    second, end = await house.parts.accounts.list(1, after)
    assert [one.name for one in (*first, *second)] == ["ada@example.org", "Acme"] and end is None
    assert house.audit.entries[-1].action == "account.create"
    with pytest.raises(NameInvalid):
        await house.parts.accounts.create(" ")


async def test_members(house: House) -> None:
    """The people of an account by login; the active accounts of somebody by name."""
    ada = await house.admin()
    await house.member(ada.account.id, "bob")
    other = await house.parts.accounts.create("A first one")
    link = await house.parts.people.invite("bob", other.id)
    bob = await house.parts.people.find("bob")
    assert bob is not None
    await house.parts.people.join(link.token.reveal(), bob.id)
    assert [one.user.login for one in await house.parts.accounts.members(ada.account.id)] == ["ada@example.org", "bob"]
    assert [one.account.name for one in await house.parts.accounts.memberships(bob.id)] == [
        "A first one",
        "ada@example.org",
    ]
    await house.parts.accounts.disable(other.id)
    assert len(await house.parts.accounts.memberships(bob.id)) == 1


@pytest.mark.parametrize(
    "role, before, after, may",
    [
        ("owner", "member", "owner", True),
        ("owner", "owner", "member", True),
        ("admin", "member", "admin", True),
        ("admin", "admin", "viewer", True),
        ("admin", "member", "owner", False),
        ("admin", "owner", "member", False),
        ("member", "viewer", "member", False),
        ("viewer", "viewer", "member", False),
    ],
)
async def test_who_changes_whose_role(house: House, role: str, before: str, after: str, may: bool) -> None:
    """Admins change roles up to their own, owners all; everybody else none."""
    ada = await house.admin()
    acting = await house.member(ada.account.id, "acting", role)
    other = await house.member(ada.account.id, "other", before)
    change = house.parts.accounts.set_role(ada.account.id, other.user.id, after, by=by(acting))  # type: ignore[arg-type]
    if may:
        assert (await change).role == after
        assert house.audit.entries[-1].details == {"role": after, "before": before}
    else:
        with pytest.raises(RoleRefused):
            await change
        assert {one.user.login: one.role for one in await house.parts.accounts.members(ada.account.id)}[
            "other"
        ] == before


async def test_a_changed_role_counts_at_once(house: House) -> None:
    """Whose role was changed signs in anew: no session goes on with what somebody was before."""
    ada = await house.admin()
    bob = await house.member(ada.account.id, "bob")
    signed_in = await house.sign_in("bob")
    assert await house.session(signed_in)
    await house.parts.accounts.set_role(ada.account.id, bob.user.id, "member")  # as it was: nothing happens
    assert await house.session(signed_in)
    await house.parts.accounts.set_role(ada.account.id, bob.user.id, "admin")
    assert await house.session(signed_in) is None
    assert (await house.signed_in("bob")).role == "admin"


async def test_taking_somebody_out(house: House) -> None:
    """Whoever is taken out is out at once; the person stays."""
    ada = await house.admin()
    bob = await house.member(ada.account.id, "bob")
    signed_in = await house.sign_in("bob")
    await house.parts.accounts.remove_member(ada.account.id, bob.user.id, by=by(ada))
    assert await house.session(signed_in) is None
    assert await house.parts.people.get(bob.user.id)
    with pytest.raises(UserMissing):
        await house.parts.accounts.remove_member(ada.account.id, bob.user.id)


async def test_the_last_one_who_runs_the_host(house: House) -> None:
    """Whoever runs the host is not taken out of the only account that they can come into, if nobody else does."""
    ada = await house.admin()
    owner = await house.member(ada.account.id, "owner", "owner")
    with pytest.raises(RoleRefused):
        await house.parts.accounts.remove_member(ada.account.id, ada.user.id, by=by(owner))
    assert len(await house.parts.accounts.members(ada.account.id)) == 2
    await house.admin("grace", another=True)
    await house.parts.accounts.remove_member(ada.account.id, ada.user.id, by=by(owner))


async def test_an_account_has_an_owner(house: House) -> None:
    """The last owner stays one, whoever asks."""
    ada = await house.admin()
    accounts = house.parts.accounts
    for call in (
        accounts.set_role(ada.account.id, ada.user.id, "admin", by=by(ada)),
        accounts.remove_member(ada.account.id, ada.user.id, by=by(ada)),
        accounts.remove_member(ada.account.id, ada.user.id),
    ):
        with pytest.raises(RoleRefused):
            await call
    await house.member(ada.account.id, "second", "owner")
    await accounts.set_role(ada.account.id, ada.user.id, "admin", by=by(ada))


async def test_other_accounts(house: House) -> None:
    """What is in another account is as what is not there, for an owner and for a key."""
    ada = await house.admin()
    other = await house.parts.accounts.create("Other")
    eve = await house.member(other.id, "eve", "owner")
    accounts = house.parts.accounts
    for caller in (by(eve), Principal(account_id=other.id, key_id="k")):
        told = set()
        for account_id, user_id in ((ada.account.id, ada.user.id), ("missing", ada.user.id)):
            with pytest.raises(AccountMissing) as caught:
                await accounts.remove_member(account_id, user_id, by=caller)
            told.add(caught.value.what)
        assert len(told) == 1
        for user_id in (ada.user.id, "missing"):
            with pytest.raises(UserMissing):
                await accounts.set_role(other.id, user_id, "viewer", by=caller)


async def test_disabled_accounts(house: House) -> None:
    """A disabled account lets nobody in and changes nothing, until it is enabled."""
    ada = await house.admin()
    with pytest.raises(RoleRefused):  # nobody would run the host
        await house.parts.accounts.disable(ada.account.id)
    await house.admin("grace", another=True)
    signed_in = await house.sign_in()
    assert await house.session(signed_in)
    assert (await house.parts.accounts.disable(ada.account.id)).state == "disabled"
    assert await house.session(signed_in) is None
    with pytest.raises(AccountStateInvalid):
        await house.parts.accounts.set_role(ada.account.id, ada.user.id, "viewer")
    await house.parts.accounts.disable(ada.account.id)
    assert (await house.parts.accounts.enable(ada.account.id)).state == "active"
    await house.sign_in()
    assert [one for one in house.audit.actions if one.startswith("account.")] == [
        "account.create",
        "account.create",
        "account.disable",
        "account.enable",
    ]


async def test_only_the_host_makes_and_disables(house: House) -> None:
    """An owner neither makes accounts nor disables or deletes one."""
    ada = await house.admin()
    accounts = house.parts.accounts
    for call in (
        accounts.create("x", by=by(ada)),
        accounts.disable(ada.account.id, by=by(ada)),
        accounts.enable(ada.account.id, by=by(ada)),
        accounts.delete(ada.account.id, by=by(ada)),
    ):
        with pytest.raises(RoleRefused):
            await call
    with pytest.raises(AccountMissing):
        await accounts.disable("missing")
