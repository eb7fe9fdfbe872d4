"""Somebody who has signed in claims a request by its code, and decides it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from objectkernel_contracts import Principal
from objectkernel_device_auth.contracts import Client, InvalidRequest
from objectkernel_device_auth.storage_codes import DEVICE_CODE

from tests.plugins.device_auth.flows import CLI, PHONE, READ, WRITE, Desk, person, refused

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_item_18_only_the_session_that_claimed_it(desk: Desk) -> None:
    """Nobody else sees it, decides it, or claims it once more; the page can show it again to whoever has it."""
    asked = await desk.ask()
    ada, bob = person("ada"), person("bob")
    found = await desk.flow.claim(asked.user_code, ada, asker=PHONE)
    assert await desk.flow.pending(found.id, ada) == found
    assert await desk.flow.claim(asked.user_code, bob, asker=PHONE) is None
    assert await desk.flow.pending(found.id, bob) is None
    assert not await desk.flow.decide(found.id, "approved", bob)
    assert not await desk.flow.decide(found.id, "denied", bob)
    assert await desk.flow.decide(found.id, "approved", ada)
    assert await desk.flow.pending(found.id, ada) is None
    assert not await desk.flow.decide(found.id, "denied", ada)


async def test_item_18_the_same_person_signs_in_anew(desk: Desk) -> None:
    """Whoever types the code again in another session has it there, and in the one before no longer."""
    asked = await desk.ask()
    before, after = person(session="one"), person(session="two")
    found = await desk.flow.claim(asked.user_code, before, asker=PHONE)
    assert (await desk.flow.claim(asked.user_code, after, asker=PHONE)).id == found.id
    assert not await desk.flow.decide(found.id, "approved", before)
    assert await desk.flow.decide(found.id, "approved", after)


async def test_item_18_a_session_in_another_account(desk: Desk) -> None:
    """Whoever has switched to another account since has to claim it there."""
    asked = await desk.ask()
    found = await desk.flow.claim(asked.user_code, person(), asker=PHONE)
    elsewhere = person(account="other")
    assert not await desk.flow.decide(found.id, "approved", elsewhere)
    assert await desk.flow.claim(asked.user_code, elsewhere, asker=PHONE) is not None
    assert await desk.flow.decide(found.id, "approved", elsewhere)
    assert (await desk.code_row(asked.device_code.reveal()))["account_id"] == "other"


async def test_item_18_a_key_decides_on_nothing(desk: Desk) -> None:
    """A key cannot make another one by the device flow."""
    asked = await desk.ask()
    key = Principal(account_id="acme", user_id="ada", scopes=[READ], key_id="k1")
    with pytest.raises(InvalidRequest):
        await desk.flow.claim(asked.user_code, key, asker=PHONE)
    found = await desk.flow.claim(asked.user_code, person(), asker=PHONE)
    assert await desk.flow.pending(found.id, key) is None
    assert not await desk.flow.decide(found.id, "approved", key)


async def test_item_22_every_code_that_is_no_good_is_alike(desk: Desk) -> None:
    """Wrong, expired, approved, denied, used and claimed by somebody else: None."""
    with time_machine.travel(NOW, tick=False) as clock:
        expired = await desk.ask()
        clock.shift(601)
        approved, denied, used, foreign = [await desk.ask() for _ in range(4)]
        await desk.approve(approved)
        await desk.approve(used)
        await desk.redeem(used.device_code.reveal())
        found = await desk.flow.claim(denied.user_code, person(), asker=PHONE)
        assert await desk.flow.decide(found.id, "denied", person())
        assert await desk.flow.claim(foreign.user_code, person(), asker=PHONE)
        bad = [one.user_code for one in (expired, approved, denied, used, foreign)]
        for number, code in enumerate((*bad, "BBBB-BBBB", "no code at all")):
            assert await desk.flow.claim(code, person(f"guest-{number}"), asker=PHONE) is None


async def test_item_07_it_is_found_as_it_is_typed(desk: Desk) -> None:
    """In small letters, with blanks."""
    asked = await desk.ask()
    typed = asked.user_code.lower().replace("-", " ")
    assert (await desk.flow.claim(typed, person(), asker=PHONE)).user_code == asked.user_code


async def test_item_26_codes_outlive_a_change_of_the_pepper(desk: Desk) -> None:
    """A code that was given before is found while its secret is accepted."""
    before, other = await desk.ask(), await desk.ask()
    desk.ring.ids = ["second", "first"]
    found = await desk.flow.claim(before.user_code, person(), asker=PHONE)
    assert await desk.flow.pending(found.id, person()) == found
    desk.ring.ids = ["second"]
    assert await desk.flow.claim(other.user_code, person(), asker=PHONE) is None


async def test_it_has_to_be_decided_in_time(desk: Desk) -> None:
    """A claim does not make a code live longer."""
    with time_machine.travel(NOW, tick=False) as clock:
        asked = await desk.ask()
        found = await desk.flow.claim(asked.user_code, person(), asker=PHONE)
        clock.shift(600)
        assert await desk.flow.pending(found.id, person()) is None
        assert not await desk.flow.decide(found.id, "approved", person())


async def test_nobody_grants_what_they_have_not(desk: Desk) -> None:
    """Offered is what the device asks for and the person has; more is refused, and so is nothing."""
    asked = await desk.ask(scope=f"{READ} {WRITE}")
    viewer = person("vera", READ)
    found = await desk.flow.claim(asked.user_code, viewer, asker=PHONE)
    assert found.scopes == (READ,)
    for wanted in ([READ, WRITE], ["keys:read"], []):
        with pytest.raises(InvalidRequest):
            await desk.flow.decide(found.id, "approved", viewer, scopes=wanted)
    assert await desk.flow.decide(found.id, "approved", viewer)
    assert (await desk.redeem(asked.device_code.reveal())).scope == READ


async def test_whoever_has_nothing_of_it_can_only_deny(desk: Desk) -> None:
    """It is shown with no scopes."""
    asked = await desk.ask(scope=WRITE)
    viewer = person("vera", READ)
    found = await desk.flow.claim(asked.user_code, viewer, asker=PHONE)
    assert found.scopes == ()
    with pytest.raises(InvalidRequest):
        await desk.flow.decide(found.id, "approved", viewer)
    assert await desk.flow.decide(found.id, "denied", viewer)
    assert await refused(desk.redeem(asked.device_code.reveal())) == "access_denied"


async def test_a_client_that_is_gone(desk: Desk) -> None:
    """What it has asked for is gone with it; of one that may no longer ask, nobody decides."""
    for client in ("tv", "radio"):
        await desk.parts.clients.register(Client(id=client, name=client))
    gone, stopped = await desk.ask("tv"), await desk.ask("radio")
    await desk.parts.clients.remove("tv")
    await desk.parts.clients.register(Client(id="radio", name="radio", device_flow=False))
    for asked in (gone, stopped):
        assert await desk.flow.claim(asked.user_code, person(), asker=PHONE) is None
    assert await desk.dialect.count(DEVICE_CODE) == 1


async def test_the_name_of_the_key(desk: Desk) -> None:
    """The client's, or what the person says, short and printable."""
    for name, kept in ((None, desk.config.first_party_name), ("  ", desk.config.first_party_name), ("a\nb", "ab")):
        asked = await desk.ask()
        await desk.approve(asked, name=name)
        assert (await desk.code_row(asked.device_code.reveal()))["key_name"] == kept


async def test_item_33_decisions_are_in_the_trail(desk: Desk) -> None:
    """The claim, and the decision with what was granted, each with the person."""
    await desk.approved()
    asked = await desk.ask()
    found = await desk.flow.claim(asked.user_code, person("bob"), asker=PHONE)
    await desk.flow.decide(found.id, "denied", person("bob"))
    told = [(one.action, one.by, one.account_id) for one in desk.audit.entries if one.action != "device.ask"]
    assert told == [
        ("device.claim", "ada", "acme"),
        ("device.approve", "ada", "acme"),
        ("device.claim", "bob", "acme"),
        ("device.deny", "bob", "acme"),
    ]
    assert {"client": CLI, "address": "203.0.113.7", "scope": READ} in [one.details for one in desk.audit.entries]


async def test_it_stays_within_the_lifetime_of_the_client(desk: Desk) -> None:
    """A person sees when it was asked for, and until when it can be decided."""
    await desk.parts.clients.register(Client(id="tv", name="TV", code_lifetime=timedelta(minutes=2)))
    with time_machine.travel(NOW, tick=False):
        asked = await desk.ask("tv")
        found = await desk.flow.claim(asked.user_code, person(), asker=PHONE)
    assert (found.requested_at, found.expires_at) == (NOW, NOW + timedelta(minutes=2))
