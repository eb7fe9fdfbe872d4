"""The keys of accounts: who may make which, how they are listed, rotated and revoked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
import time_machine
from objectkernel_device_auth.config import DeviceAuthConfig
from objectkernel_device_auth.contracts import UNTIL_REVOKED
from objectkernel_device_auth.errors import InvalidRequest, KeyMissing
from objectkernel_device_auth.key_scopes import KnownScopes
from objectkernel_device_auth.storage_keys import KEY

from tests.plugins.device_auth.key_hosts import ACCOUNT, ADA, SCOPES, Desk, by, desk_of, neighbour, shown_by

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
async def desk(anyio_backend: str) -> AsyncIterator[Desk]:
    async with desk_of() as made:
        yield made


# --- making -------------------------------------------------------------------------------------------------


async def test_a_new_key(desk: Desk) -> None:
    """It is what was asked for, ends when the setting says, and its secret is in no text about it."""
    with time_machine.travel(NOW, tick=False):
        made = await desk.issue("data:read", "data:write", name="  my   laptop ")
    key = made.key
    assert (key.account_id, key.user_id, key.name) == (ACCOUNT, ADA, "my laptop")
    assert key.scopes == {"data:read", "data:write"}
    assert (key.created_at, key.expires_at) == (NOW, NOW + 90 * DAY)
    assert made.secret.reveal() not in repr(made)
    assert await desk.parts.keys.get(ACCOUNT, key.id) == key


async def test_item_26_only_a_digest_is_kept(desk: Desk) -> None:
    """The row has SHA-256 of the key, and neither the key nor its secret part."""
    made = await desk.issue()
    row = await desk.row(made)
    secret = made.secret.reveal().rpartition("_")[2]
    assert len(row["digest"]) == 64
    assert secret not in str(row)


@pytest.mark.parametrize(
    ("settings", "asked", "ends"),
    [
        ({}, timedelta(hours=1), timedelta(hours=1)),
        ({}, UNTIL_REVOKED, None),
        ({"key_lifetime": 0}, None, None),
        ({"key_lifetime": 0, "max_key_lifetime": 7 * 86_400}, None, 7 * DAY),
        ({"max_key_lifetime": 7 * 86_400}, None, 7 * DAY),
        ({"max_key_lifetime": 7 * 86_400}, 2 * DAY, 2 * DAY),
    ],
)
async def test_when_a_key_ends(settings: Any, asked: timedelta | None, ends: timedelta | None) -> None:
    """As its maker says, else as the setting; never later than the host lets it."""
    async with desk_of(DeviceAuthConfig(**settings)) as desk:
        with time_machine.travel(NOW, tick=False):
            made = await desk.issue(expires_in=asked)
        assert made.key.expires_at == (None if ends is None else NOW + ends)


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        ({"name": ""}, "its name has to have 1 to 100 characters"),
        ({"name": "x" * 101}, "its name has to have 1 to 100 characters"),
        ({"name": "a\x1b[31m"}, "all of them visible"),
        ({"name": "x" * 5000}, "its name has to have 1 to 100 characters"),
        ({"expires_in": timedelta(0)}, "it would have ended already"),
        ({"expires_in": 366 * 101 * DAY}, "more than a hundred years"),
        ({"account_id": ""}, "an id of the account has 1 to 255 characters"),
        ({"user_id": "u" * 256}, "an id of the person has 1 to 255 characters"),
    ],
)
async def test_wishes_that_are_refused(desk: Desk, wish: dict[str, Any], problem: str) -> None:
    """A key that makes no sense is not made, and the error says why."""
    with pytest.raises(InvalidRequest) as caught:
        await desk.issue(**wish)
    assert problem in str(caught.value)
    assert await desk.dialect.count(KEY) == 0


async def test_longer_than_the_host_lets_keys_go_on() -> None:
    """Neither for long nor for ever."""
    async with desk_of(DeviceAuthConfig(max_key_lifetime=86_400)) as desk:
        for wish in (2 * DAY, UNTIL_REVOKED):
            with pytest.raises(InvalidRequest, match="max_key_lifetime"):
                await desk.issue(expires_in=wish)


async def test_all_problems_at_once(desk: Desk) -> None:
    """Whoever asks need not find them one after another."""
    with pytest.raises(InvalidRequest) as caught:
        await desk.issue("dta:read", name="", expires_in=-DAY)
    assert len(caught.value.why) == 4
    assert "do you mean 'data:read'?" in str(caught.value)
    assert "the scopes are data:read, data:write, host:install, host:operate, keys:manage" in str(caught.value)


async def test_a_key_without_scopes(desk: Desk) -> None:
    """It would be good for nothing."""
    with pytest.raises(InvalidRequest, match="good for nothing"):
        await desk.parts.keys.issue(ACCOUNT, "x", ())


async def test_nobody_gives_what_they_have_not(desk: Desk) -> None:
    """Whoever makes a key gives it scopes of their own."""
    await desk.issue("data:read", by=by("data:read", "keys:write"))
    with pytest.raises(InvalidRequest) as caught:
        await desk.issue("data:read", "data:write", by=by("data:read", "keys:write"))
    assert caught.value.why == ("whoever makes it has not data:write, but data:read, keys:write",)


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        ({"account_id": "another"}, "it would be one of another account"),
        ({"user_id": "bob"}, "it would act for somebody else"),
        ({"user_id": None}, "needs the scope keys:manage"),
    ],
)
async def test_whose_key_somebody_may_make(desk: Desk, wish: dict[str, Any], problem: str) -> None:
    """One of their own; one of the account alone with keys:manage; none for others."""
    with pytest.raises(InvalidRequest, match=problem):
        await desk.issue("data:read", by=by("data:read", "keys:write"), **wish)


async def test_who_manages_keys_makes_some_of_the_account(desk: Desk) -> None:
    """A key that is nobody's goes on when its maker leaves."""
    made = await desk.issue("data:read", user_id=None, by=by("data:read", "keys:manage"))
    desk.people.may[ACCOUNT, ADA] = None
    assert made.key.user_id is None
    assert await desk.is_good(made)


async def test_for_nobody_who_is_there(desk: Desk) -> None:
    """A typo in an id is found when the key is made, not when it is used."""
    desk.people.may[ACCOUNT, "typo"] = None
    with pytest.raises(InvalidRequest, match="no such account, or nobody of this id"):
        await desk.issue(user_id="typo")


async def test_keys_of_one_account_are_bounded() -> None:
    """Those that are good count; what was rotated or revoked makes room."""
    async with desk_of(DeviceAuthConfig(keys_per_account=2)) as desk:
        first = await desk.issue()
        second = await desk.issue()
        with pytest.raises(InvalidRequest, match="keys_per_account"):
            await desk.issue()
        await desk.issue(account_id="another")
        await desk.parts.keys.rotate(ACCOUNT, first.key.id)
        with pytest.raises(InvalidRequest, match="the account has 2 keys"):
            await desk.issue()
        await desk.parts.keys.revoke(ACCOUNT, second.key.id)
        await desk.issue()


async def test_nobody_fills_the_table(desk: Desk) -> None:
    """Neither by making and ending keys nor by rotating one: ten times as many as may be good are remembered."""
    async with desk_of(DeviceAuthConfig(keys_per_account=1)) as small:
        made = await small.issue()
        for _ in range(9):
            made = await small.parts.keys.rotate(ACCOUNT, made.key.id, overlap=timedelta(0))
        with pytest.raises(InvalidRequest, match="has made 10 keys that are remembered still"):
            await small.parts.keys.rotate(ACCOUNT, made.key.id)
        assert await small.is_good(made)
        await small.parts.keys.revoke(ACCOUNT, made.key.id)
        with pytest.raises(InvalidRequest, match="has made 10 keys"):
            await small.issue()
        assert await small.dialect.count(KEY) == 10


# --- keys that make keys ------------------------------------------------------------------------------------


async def test_a_key_makes_no_stronger_key(desk: Desk) -> None:
    """What it makes has no other scopes, is the same person's, and ends with it at the latest."""
    maker = await desk.issue("data:read", "keys:write", expires_in=DAY)
    made = await desk.issue("data:read", expires_in=UNTIL_REVOKED, by=shown_by(maker))
    assert made.key.expires_at == maker.key.expires_at
    for scopes in (("data:write",), ("keys:manage",)):
        with pytest.raises(InvalidRequest, match="whoever makes it has not"):
            await desk.issue(*scopes, by=shown_by(maker))
    with pytest.raises(InvalidRequest, match="act for somebody else"):
        await desk.issue("data:read", user_id="bob", by=shown_by(maker))


async def test_what_a_key_has_made_ends_with_it(desk: Desk) -> None:
    """Whoever has stolen a key has not got another one for when it is revoked; however often it was rotated."""
    maker = await desk.issue("data:read", "keys:write")
    child = await desk.issue("data:read", "keys:write", by=shown_by(maker))
    grandchild = await desk.issue("data:read", by=shown_by(child))
    successor = await desk.parts.keys.rotate(ACCOUNT, maker.key.id, overlap=timedelta(0))
    assert await desk.is_good(child)
    assert await desk.parts.keys.revoke(ACCOUNT, successor.key.id)
    assert not any([await desk.is_good(one) for one in (maker, child, grandchild, successor)])


async def test_a_key_that_has_ended_makes_none(desk: Desk) -> None:
    """Also on a host that has not heard of it yet."""
    maker = await desk.issue("data:read", "keys:write")
    await desk.parts.keys.revoke(ACCOUNT, maker.key.id)
    with pytest.raises(InvalidRequest, match="no longer good"):
        await desk.issue("data:read", by=shown_by(maker))
    with pytest.raises(KeyMissing):
        await desk.parts.keys.rotate(ACCOUNT, maker.key.id, by=shown_by(maker))


async def test_keys_of_other_kinds_make_keys(desk: Desk) -> None:
    """A principal of another verifier names a key that is none of ours: that is its business."""
    made = await desk.issue("data:read", by=by("data:read", key_id="not-ours"))
    assert made.key.expires_at is not None


# --- looking ------------------------------------------------------------------------------------------------


async def test_lists_of_keys(desk: Desk) -> None:
    """Good ones, the newest first, page by page; of one person where that is asked."""
    with time_machine.travel(NOW, tick=False) as clock:
        made = []
        for number in range(5):
            made.append(await desk.issue(name=f"key {number}", user_id=ADA if number % 2 else "bob"))
            clock.shift(timedelta(seconds=1))
        await desk.issue(account_id="another")
        await desk.parts.keys.revoke(ACCOUNT, made[0].key.id)
        short = await desk.issue(expires_in=timedelta(minutes=1))
        clock.shift(timedelta(minutes=2))
        first, after = await desk.parts.keys.list(ACCOUNT, limit=3)
        rest, end = await desk.parts.keys.list(ACCOUNT, limit=3, after=after)
        own, _ = await desk.parts.keys.list(ACCOUNT, user_id=ADA)
    assert [key.name for key in (*first, *rest)] == ["key 4", "key 3", "key 2", "key 1"]
    assert end is None
    assert [key.name for key in own] == ["key 3", "key 1"]
    remembered = await desk.parts.keys.get(ACCOUNT, made[0].key.id)
    assert remembered is not None and remembered.revoked_at is not None
    assert await desk.parts.keys.get(ACCOUNT, short.key.id) is not None


async def test_keys_of_another_account_are_not_there(desk: Desk) -> None:
    """Nothing can be done to them, nothing seen."""
    made = await desk.issue(account_id="another")
    keys, ours = desk.parts.keys, by("data:read", "keys:manage")
    assert await keys.get(ACCOUNT, made.key.id) is None
    assert not await keys.revoke(ACCOUNT, made.key.id, by=ours)
    with pytest.raises(KeyMissing):
        await keys.rotate(ACCOUNT, made.key.id, by=ours)
    assert not await keys.revoke("another", made.key.id, by=ours)
    with pytest.raises(KeyMissing):
        await keys.rotate("another", made.key.id, by=ours)
    assert await desk.is_good(made)


# --- rotating -----------------------------------------------------------------------------------------------


async def test_a_rotated_key_goes_on_for_a_while(desk: Desk) -> None:
    """The new one is as the old one was, with as long a life; the old one ends after the overlap, or sooner."""
    with time_machine.travel(NOW, tick=False) as clock:
        old = await desk.issue("data:read", "data:write", expires_in=10 * DAY)
        clock.shift(2 * DAY)
        new = await desk.parts.keys.rotate(ACCOUNT, old.key.id, overlap=timedelta(hours=1))
        assert new.secret.reveal() != old.secret.reveal()
        assert (new.key.scopes, new.key.user_id, new.key.name) == (old.key.scopes, ADA, "laptop")
        assert new.key.expires_at == NOW + 12 * DAY
        told = await desk.parts.keys.get(ACCOUNT, old.key.id)
        assert told is not None
        assert (told.rotated_to, told.expires_at) == (new.key.id, NOW + 2 * DAY + timedelta(hours=1))
        assert await desk.is_good(old)
        clock.shift(timedelta(hours=1))
        assert not await desk.is_good(old)
        assert await desk.is_good(new)
        newest = await desk.parts.keys.rotate(ACCOUNT, new.key.id, overlap=100 * DAY)
        told = await desk.parts.keys.get(ACCOUNT, new.key.id)
        assert told is not None and told.expires_at == NOW + 12 * DAY
        assert await desk.is_good(newest)


async def test_a_key_without_an_end_has_a_successor_without(desk: Desk) -> None:
    """The old one ends after the setting's overlap."""
    with time_machine.travel(NOW, tick=False):
        old = await desk.issue(expires_in=UNTIL_REVOKED)
        new = await desk.parts.keys.rotate(ACCOUNT, old.key.id)
    assert new.key.expires_at is None
    assert (await desk.row(old))["expires_at"] == NOW + DAY


async def test_a_key_is_rotated_once(desk: Desk) -> None:
    """Of many who try at once one gets the new key; the others are told that it is no longer good."""
    old = await desk.issue()
    outcomes: list[str] = []

    async def rotate() -> None:
        try:
            await neighbour(desk).keys.rotate(ACCOUNT, old.key.id)
            outcomes.append("rotated")
        except KeyMissing as error:
            assert error.key_id == old.key.id
            outcomes.append("missing")

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(rotate)
    assert sorted(outcomes) == ["missing"] * 7 + ["rotated"]
    assert await desk.dialect.count(KEY) == 2


async def test_rotating_makes_nobody_stronger(desk: Desk) -> None:
    """Neither longer: a key that rotates itself ends when it would have; nor does it get the scopes of another one."""
    weak = await desk.issue("keys:write", expires_in=DAY)
    strong = await desk.issue("data:write", "keys:write")
    with pytest.raises(InvalidRequest, match="whoever makes it has not data:write"):
        await desk.parts.keys.rotate(ACCOUNT, strong.key.id, by=shown_by(weak))
    new = await desk.parts.keys.rotate(ACCOUNT, weak.key.id, by=shown_by(weak))
    assert new.key.expires_at == weak.key.expires_at


async def test_nobody_rotates_the_key_of_somebody_else(desk: Desk) -> None:
    """They would get a key that acts as that person: to manage keys is to see and to end them."""
    bobs, of_all = await desk.issue(user_id="bob"), await desk.issue(user_id=None)
    admin = by("data:read", "keys:manage")
    with pytest.raises(InvalidRequest, match="act for somebody else"):
        await desk.parts.keys.rotate(ACCOUNT, bobs.key.id, by=admin)
    assert await desk.parts.keys.rotate(ACCOUNT, of_all.key.id, by=admin)
    with pytest.raises(KeyMissing):
        await desk.parts.keys.rotate(ACCOUNT, bobs.key.id, by=by("data:read", "keys:write"))


async def test_a_stolen_key_gets_nothing_by_rotating_that_outlives_it(desk: Desk) -> None:
    """It rotates no other key of the person; what it has got for itself, and has made with that, ends with it."""
    keys = desk.parts.keys
    stolen, other = await desk.issue("data:read", "keys:write"), await desk.issue()
    with pytest.raises(InvalidRequest, match="a key rotates itself and what it has made"):
        await keys.rotate(ACCOUNT, other.key.id, by=shown_by(stolen))
    second = await keys.rotate(ACCOUNT, stolen.key.id, by=shown_by(stolen))
    made = await desk.issue(by=shown_by(second))
    third = await keys.rotate(ACCOUNT, second.key.id, by=shown_by(second))
    tool = await keys.rotate(ACCOUNT, made.key.id, by=shown_by(third))
    assert await keys.revoke(ACCOUNT, stolen.key.id, by=by("keys:write"))
    assert not any([await desk.is_good(one) for one in (stolen, second, third, made, tool)])
    assert await desk.is_good(other)


async def test_a_program_ends_the_key_that_it_has_replaced(desk: Desk) -> None:
    """And goes on with the new one; which ends with the others that came before."""
    keys = desk.parts.keys
    first = await desk.issue("data:read", "keys:write")
    second = await keys.rotate(ACCOUNT, first.key.id, by=shown_by(first))
    assert await keys.revoke(ACCOUNT, first.key.id, by=shown_by(second))
    assert [await desk.is_good(one) for one in (first, second)] == [False, True]


async def test_rotating_keeps_to_the_longest_lifetime(desk: Desk) -> None:
    """Also of keys that were made before there was one."""
    old = await desk.issue(expires_in=UNTIL_REVOKED)
    strict = neighbour(desk, max_key_lifetime=DAY.total_seconds()).keys
    with time_machine.travel(NOW, tick=False):
        new = await strict.rotate(ACCOUNT, old.key.id)
    assert new.key.expires_at == NOW + DAY


async def test_a_negative_overlap(desk: Desk) -> None:
    """It would end the old key in the past."""
    made = await desk.issue()
    with pytest.raises(InvalidRequest, match="the overlap would be over already"):
        await desk.parts.keys.rotate(ACCOUNT, made.key.id, overlap=-DAY)


# --- revoking -----------------------------------------------------------------------------------------------


async def test_a_revoked_key_is_of_no_use(desk: Desk) -> None:
    """At once where it was revoked; it is told of for a while, and what has ended cannot be ended again."""
    made = await desk.issue()
    assert await desk.parts.keys.verify(made.secret.reveal()) is not None
    assert await desk.parts.keys.revoke(ACCOUNT, made.key.id)
    assert await desk.parts.keys.verify(made.secret.reveal()) is None
    assert not await desk.parts.keys.revoke(ACCOUNT, made.key.id)
    assert not await desk.parts.keys.revoke(ACCOUNT, "AAAAAAAAAAAA")


async def test_what_a_key_has_replaced_ends_with_it(desk: Desk) -> None:
    """Whoever revokes the new key does not mean the old one to go on."""
    old = await desk.issue()
    new = await desk.parts.keys.rotate(ACCOUNT, old.key.id)
    assert await desk.parts.keys.revoke(ACCOUNT, new.key.id)
    assert not await desk.is_good(old)


async def test_the_old_key_alone(desk: Desk) -> None:
    """Its successor goes on."""
    old = await desk.issue()
    new = await desk.parts.keys.rotate(ACCOUNT, old.key.id)
    assert await desk.parts.keys.revoke(ACCOUNT, old.key.id)
    assert not await desk.is_good(old)
    assert await desk.is_good(new)


async def test_who_may_revoke_which(desk: Desk) -> None:
    """People their own keys, and all with keys:manage; a key that is nobody's itself and what it has made."""
    adas, bobs = await desk.issue(), await desk.issue(user_id="bob")
    robot = await desk.issue("data:read", "keys:write", user_id=None)
    tool = await desk.issue("data:read", user_id=None, by=shown_by(robot))
    keys = desk.parts.keys
    assert not await keys.revoke(ACCOUNT, bobs.key.id, by=by("keys:write"))
    assert await keys.revoke(ACCOUNT, adas.key.id, by=by("keys:write"))
    assert await keys.revoke(ACCOUNT, bobs.key.id, by=by("keys:manage"))
    other = await desk.issue(user_id=None)
    assert not await keys.revoke(ACCOUNT, other.key.id, by=shown_by(robot))
    assert await keys.revoke(ACCOUNT, tool.key.id, by=shown_by(robot))
    assert not await keys.revoke(
        ACCOUNT, robot.key.id, by=by("keys:write", user_id=None)
    )  # a credential of another kind
    assert await keys.revoke(ACCOUNT, robot.key.id, by=shown_by(robot))


async def test_the_keys_of_a_deleted_account(desk: Desk) -> None:
    """They are gone, not only ended; told again, there is nothing to do."""
    made, other = await desk.issue(), await desk.issue(account_id="another")
    await desk.parts.keys.forget_account(ACCOUNT)
    await desk.parts.keys.forget_account(ACCOUNT)
    assert await desk.parts.keys.get(ACCOUNT, made.key.id) is None
    assert await desk.parts.keys.verify(made.secret.reveal()) is None
    assert await desk.is_good(other)


async def test_item_33_every_step_is_in_the_trail(desk: Desk) -> None:
    """Who made, rotated and revoked which key, and no secret."""
    who = by("data:read", "keys:write")
    first = await desk.issue(by=who)
    second = await desk.parts.keys.rotate(ACCOUNT, first.key.id, by=who)
    await desk.parts.keys.revoke(ACCOUNT, second.key.id, by=who)
    noted = [(entry.action, entry.subject, entry.by, entry.account_id) for entry in desk.audit.entries]
    assert noted == [
        ("key.issue", first.key.id, ADA, ACCOUNT),
        ("key.rotate", second.key.id, ADA, ACCOUNT),
        ("key.revoke", second.key.id, ADA, ACCOUNT),
        ("key.revoke", first.key.id, ADA, ACCOUNT),
    ]
    assert desk.audit.entries[1].details["rotated"] == first.key.id
    for made in (first, second):
        assert made.secret.reveal().rpartition("_")[2] not in str(desk.audit.entries)


# --- scopes of the device flow --------------------------------------------------------------------------------


def test_item_24_what_the_device_flow_may_grant() -> None:
    """All that roles give, but neither an operator's scopes nor those over keys; or what the setting names."""
    assert KnownScopes(SCOPES).device == {"data:read", "data:write"}
    assert KnownScopes(SCOPES, ("data:read", "keys:read")).device == {"data:read", "keys:read"}


def test_item_24_a_typo_in_the_setting_is_found() -> None:
    """It must not mean that everything may be granted."""
    with pytest.raises(InvalidRequest, match="device_scopes names dta:read"):
        KnownScopes(SCOPES, ("dta:read",))
