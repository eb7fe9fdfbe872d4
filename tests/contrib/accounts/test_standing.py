"""What people may now, for keys that act for them."""

from __future__ import annotations

import pytest
from objectkernel_accounts.identity import Grants
from objectkernel_accounts.standing import HostStanding
from objectkernel_contracts import OPERATE, GrantableScope

from tests.contrib.accounts.hosts import House

pytestmark = pytest.mark.anyio

SCOPES = (
    GrantableScope(name="notes:read", description="Read", role="viewer"),
    GrantableScope(name="notes:write", description="Write", role="member"),
    GrantableScope(name="notes:install", description="Install", role="operator"),
)
READ, WRITE, INSTALL = (scope.name for scope in SCOPES)


def standing_in(house: House) -> HostStanding:
    return HostStanding(house.dialect, Grants(SCOPES))


async def test_as_their_role_says_now(house: House) -> None:
    """As a session of theirs would: whoever runs the host may that too, and a new role counts at once."""
    ada = await house.admin()
    bob = await house.member(ada.account.id, "bob")
    standing = standing_in(house)
    assert await standing.scopes(ada.account.id, ada.user.id) == {READ, WRITE, INSTALL, OPERATE}
    assert await standing.scopes(ada.account.id, bob.user.id) == {READ, WRITE}
    await house.parts.accounts.set_role(ada.account.id, bob.user.id, "viewer")
    assert await standing.scopes(ada.account.id, bob.user.id) == {READ}


async def test_nothing_in_another_account(house: House) -> None:
    """Nor for who is unknown."""
    ada = await house.admin()
    second = await house.parts.accounts.create("Second")
    standing = standing_in(house)
    assert await standing.scopes(second.id, ada.user.id) is None
    assert await standing.scopes(ada.account.id, "nobody") is None
    assert await standing.scopes("nowhere", ada.user.id) is None


async def test_nothing_while_somebody_is_disabled_or_after_they_left(house: House) -> None:
    """As they cannot sign in either."""
    ada = await house.admin()
    bob = await house.member(ada.account.id, "bob")
    standing = standing_in(house)
    await house.parts.people.disable(bob.user.id)
    assert await standing.scopes(ada.account.id, bob.user.id) is None
    await house.parts.people.enable(bob.user.id)
    assert await standing.scopes(ada.account.id, bob.user.id) == {READ, WRITE}
    await house.parts.accounts.remove_member(ada.account.id, bob.user.id)
    assert await standing.scopes(ada.account.id, bob.user.id) is None


async def test_an_account_without_a_person(house: House) -> None:
    """What was granted counts while the account does: nothing once it is disabled or deleted."""
    await house.admin()
    second = await house.parts.accounts.create("Second")
    bob = await house.member(second.id, "bob")
    standing = standing_in(house)
    assert await standing.scopes(second.id, None) == {READ, WRITE, INSTALL, OPERATE}
    await house.parts.accounts.disable(second.id)
    assert await standing.scopes(second.id, None) is None
    assert await standing.scopes(second.id, bob.user.id) is None
    await house.parts.accounts.enable(second.id)
    assert await standing.scopes(second.id, None) is not None
    await house.parts.accounts.delete(second.id)
    assert await standing.scopes(second.id, None) is None
    assert await standing.scopes("nowhere", None) is None
