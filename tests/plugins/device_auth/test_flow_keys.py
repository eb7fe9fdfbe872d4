"""The keys that devices get: in families, which end together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import attrs
import pytest
import time_machine
from objectkernel_device_auth.config import DeviceAuthConfig
from objectkernel_device_auth.errors import InvalidRequest
from objectkernel_device_auth.flow_keys import FamilyKeys
from objectkernel_device_auth.flow_needs import Grant
from objectkernel_device_auth.key_format import make_token
from objectkernel_device_auth.sweeping import sweep

from tests.plugins.device_auth.key_hosts import ACCOUNT, ADA, Desk, desk_of

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PHONE = Grant(
    family="phone",
    client_id="objectkernel-cli",
    account_id=ACCOUNT,
    user_id=ADA,
    name="phone",
    scopes=frozenset({"data:read"}),
)


@pytest.fixture
async def desk(anyio_backend: str) -> AsyncIterator[Desk]:
    async with desk_of() as made:
        yield made


async def test_a_key_of_a_device(desk: Desk) -> None:
    """It is a key like any other, and tells which client has it."""
    with time_machine.travel(NOW, tick=False):
        made = await FamilyKeys(desk.parts.keys).give(PHONE, NOW + HOUR)
        assert await desk.is_good(made)
    assert (made.key.client_id, made.key.user_id, made.key.expires_at) == (PHONE.client_id, ADA, NOW + HOUR)
    assert made.key.scopes == {"data:read"}


async def test_keys_before_a_successor(desk: Desk) -> None:
    """They end when that is said, or as soon as they would have."""
    keys = FamilyKeys(desk.parts.keys)
    with time_machine.travel(NOW, tick=False):
        short = await keys.give(PHONE, NOW + timedelta(seconds=5))
        long = await keys.give(PHONE, NOW + HOUR)
        other = await keys.give(attrs.evolve(PHONE, family="tablet"), NOW + HOUR)
        new = await keys.give(PHONE, NOW + HOUR)
        await keys.succeed("phone", new.key.id, NOW + timedelta(seconds=20))
        told = {one.key.id: await desk.parts.keys.get(ACCOUNT, one.key.id) for one in (short, long, other, new)}
    ends = {id: (key.expires_at, key.rotated_to) for id, key in told.items() if key is not None}
    assert ends == {
        short.key.id: (NOW + timedelta(seconds=5), new.key.id),
        long.key.id: (NOW + timedelta(seconds=20), new.key.id),
        other.key.id: (NOW + HOUR, None),
        new.key.id: (NOW + HOUR, None),
    }


async def test_keys_that_were_renewed_are_not_remembered(desk: Desk) -> None:
    """A device that renews its key again and again leaves no row behind but its last."""
    keys = FamilyKeys(desk.parts.keys)
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(5):
            new = await keys.give(PHONE, NOW + 10 * HOUR)
            await keys.succeed("phone", new.key.id, NOW + timedelta(seconds=20))
        clock.shift(timedelta(seconds=20))
        assert await sweep(desk.dialect) == 4
        assert await desk.is_good(new)


async def test_a_family_ends_together(desk: Desk) -> None:
    """By its name, or by revoking whichever of its keys; others go on."""
    keys = FamilyKeys(desk.parts.keys)
    ends = datetime.now(UTC) + HOUR
    first, second = [await keys.give(PHONE, ends) for _ in range(2)]
    other = await keys.give(attrs.evolve(PHONE, family="tablet"), ends)
    assert await keys.end_family("phone") == 2
    assert await keys.end_family("phone") == 0
    assert [await desk.is_good(one) for one in (first, second, other)] == [False, False, True]
    another = await keys.give(attrs.evolve(PHONE, family="tablet"), ends)
    assert await desk.parts.keys.revoke(ACCOUNT, other.key.id)
    assert not await desk.is_good(another)


async def test_a_device_key_is_not_rotated(desk: Desk) -> None:
    """The device renews it: a key beside that would be in nobody's hands."""
    made = await FamilyKeys(desk.parts.keys).give(PHONE, datetime.now(UTC) + HOUR)
    with pytest.raises(InvalidRequest, match="renews it by itself"):
        await desk.parts.keys.rotate(ACCOUNT, made.key.id)


async def test_room_is_asked_for_once(desk: Desk) -> None:
    """A device that was let in can always renew its key; a further device cannot come in."""
    async with desk_of(DeviceAuthConfig(keys_per_account=1)) as full:
        keys, ends = FamilyKeys(full.parts.keys), datetime.now(UTC) + HOUR
        await keys.give(PHONE, ends)
        await keys.give(PHONE, ends)
        with pytest.raises(InvalidRequest, match="keys_per_account"):
            await keys.give(attrs.evolve(PHONE, family="tablet"), ends)


async def test_the_family_of_a_key(desk: Desk) -> None:
    """Whoever shows it is told, and nobody else; nothing of one that has ended."""
    keys = FamilyKeys(desk.parts.keys)
    made = await keys.give(PHONE, datetime.now(UTC) + HOUR)
    by_hand = await desk.issue()
    assert await keys.family_of(made.secret.reveal()) == (made.key, "phone")
    assert await keys.family_of(by_hand.secret.reveal()) == (by_hand.key, None)
    assert await keys.family_of(make_token("ok", made.key.id).text) is None
    assert await keys.family_of("nonsense") is None
    await keys.end_family("phone")
    assert await keys.family_of(made.secret.reveal()) is None
