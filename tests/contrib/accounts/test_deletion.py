"""Deleting accounts: at once for people, in the end for plugins, whatever happens in between."""

from __future__ import annotations

import logging

import anyio
import pytest
from objectkernel_accounts.errors import (
    AccountMissing,
    AccountStateInvalid,
    DeletionUnfinished,
    LinkInvalid,
    RoleRefused,
    SignInFailed,
)
from objectkernel_accounts.storage import ACCOUNT, LINK, MEMBERSHIP, SESSION, USER
from objectkernel_contracts import AccountDeleting

from tests.contrib.accounts.hosts import House, rooms

pytestmark = pytest.mark.anyio


async def second(house: House) -> str:
    """An account beside the administrator's, with bob in it, and ada too."""
    ada = await house.admin()
    account = await house.parts.accounts.create("Doomed")
    await house.member(account.id, "bob", "owner")
    link = await house.parts.people.invite("ada@example.org", account.id)
    await house.parts.people.join(link.token.reveal(), ada.user.id)
    return account.id


async def test_an_account_that_is_deleted(house: House) -> None:
    """Its people are out, plugins are told, whoever was in no other account is gone, and its name is forgotten."""
    account_id = await second(house)
    signed_in = await house.sign_in("bob")
    invitation = await house.parts.people.invite("carol", account_id)
    assert await house.session(signed_in)
    deleted = await house.parts.accounts.delete(account_id)
    assert deleted.state == "deleted"
    assert house.told == [AccountDeleting(account_id=account_id)]
    assert await house.session(signed_in) is None
    assert await house.parts.people.find("bob") is None
    assert await house.parts.people.find("ada@example.org")
    assert await house.parts.accounts.get(account_id) is None
    with pytest.raises(LinkInvalid):
        await house.parts.people.invitation(invitation.token.reveal())
    assert await house.dialect.count(SESSION) == await house.dialect.count(LINK) == 0
    assert await house.dialect.count(MEMBERSHIP, {"account": account_id}) == 0
    assert "Doomed" not in repr(await house.dialect.find(ACCOUNT))
    await house.sign_in()


async def test_again_is_nothing(house: House) -> None:
    """Deleting what is deleted does nothing, and is in the trail once; what was never there is missing."""
    account_id = await second(house)
    for _ in range(2):
        assert (await house.parts.accounts.delete(account_id)).state == "deleted"
    assert len(house.told) == 1
    assert [one for one in house.audit.actions if one.startswith("account.delete")] == [
        "account.delete-begin",
        "account.delete",
    ]
    with pytest.raises(AccountMissing):
        await house.parts.accounts.delete("missing")


async def test_a_plugin_that_fails(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """While a plugin cannot let go nobody gets in and nothing is lost; the next call, or a start, goes on."""
    account_id = await second(house)
    house.refusing = OSError("disk")
    with pytest.raises(DeletionUnfinished) as caught:
        await house.parts.accounts.delete(account_id)
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(SignInFailed):
        await house.sign_in("bob")
    assert (await house.parts.accounts.get(account_id)).state == "deleting"  # type: ignore[union-attr]
    with pytest.raises(AccountStateInvalid):
        await house.parts.accounts.enable(account_id)
    with caplog.at_level(logging.ERROR):
        await house.parts.deletions.resume()
    assert "A110" in caplog.text
    house.refusing = None
    await rooms(house).deletions.resume()  # another process
    assert await house.parts.accounts.get(account_id) is None
    assert len(house.told) == 3


async def test_a_successor(house: House) -> None:
    """Plugins are told who takes over, also when the deletion is gone on with; another successor comes too late."""
    account_id = await second(house)
    heir = await house.parts.accounts.create("Heir")
    house.refusing = OSError("disk")
    with pytest.raises(DeletionUnfinished):
        await house.parts.accounts.delete(account_id, successor_id=heir.id)
    house.refusing = None
    with pytest.raises(AccountStateInvalid):
        await house.parts.accounts.delete(account_id, successor_id=account_id)
    await house.parts.accounts.delete(account_id)
    assert {event.successor_id for event in house.told} == {heir.id}


async def test_who_can_be_a_successor(house: House) -> None:
    """A successor is another account that is there and active; else nothing is deleted."""
    account_id = await second(house)
    disabled = await house.parts.accounts.create("Disabled")
    await house.parts.accounts.disable(disabled.id)
    for successor, error in (
        (account_id, AccountMissing),
        ("missing", AccountMissing),
        (disabled.id, AccountStateInvalid),
    ):
        with pytest.raises(error):
            await house.parts.accounts.delete(account_id, successor_id=successor)
    assert (await house.parts.accounts.get(account_id)).state == "active"  # type: ignore[union-attr]
    assert house.told == []


async def test_an_heir_stays(house: House) -> None:
    """While plugins hand over to an account it is not deleted: what they hand over would be lost."""
    account_id = await second(house)
    heir = await house.parts.accounts.create("Heir")
    house.refusing = OSError("disk")
    with pytest.raises(DeletionUnfinished):
        await house.parts.accounts.delete(account_id, successor_id=heir.id)
    house.refusing = None
    with pytest.raises(AccountStateInvalid):
        await house.parts.accounts.delete(heir.id)
    assert (await house.parts.accounts.get(heir.id)).state == "active"  # type: ignore[union-attr]
    await house.parts.accounts.delete(account_id)
    await house.parts.accounts.delete(heir.id)


async def test_a_disabled_account_can_be_deleted(house: House) -> None:
    """What is disabled is deleted as anything else."""
    account_id = await second(house)
    await house.parts.accounts.disable(account_id)
    assert (await house.parts.accounts.delete(account_id)).state == "deleted"


async def test_somebody_runs_the_host(house: House) -> None:
    """The account in which the last administrators are is not deleted."""
    ada = await house.admin()
    with pytest.raises(RoleRefused):
        await house.parts.accounts.delete(ada.account.id)
    await house.admin("grace", another=True)
    await house.parts.accounts.delete(ada.account.id)
    assert await house.dialect.count(USER) == 1


async def test_two_at_once(house: House) -> None:
    """Two who delete one account are both told that it is deleted; plugins hear of it one after another."""
    account_id = await second(house)
    states = []

    async def delete() -> None:
        states.append((await house.parts.accounts.delete(account_id)).state)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(delete)
    assert states == ["deleted"] * 3
    assert len(house.told) == 1
    assert house.audit.actions.count("account.delete") == 1
