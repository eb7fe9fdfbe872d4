"""The programs that may ask for keys: who is registered, who is who, and what goes with them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import attrs
import pytest
import time_machine
from objectkernel_device_auth.config import DeviceAuthConfig
from objectkernel_device_auth.contracts import Client
from objectkernel_device_auth.errors import ClientMissing, InvalidRequest
from objectkernel_device_auth.flow_keys import FamilyKeys
from objectkernel_device_auth.flow_needs import Grant
from objectkernel_device_auth.storage_keys import CLIENT

from tests.plugins.device_auth.key_hosts import ACCOUNT, ADA, Desk, desk_of, neighbour

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWN = "objectkernel-cli"
ROBOT = Client(id="robot", name="Robot", confidential=True)


@pytest.fixture
async def desk(anyio_backend: str) -> AsyncIterator[Desk]:
    async with desk_of() as made:
        yield made


async def test_the_hosts_own_client_is_always_there(desk: Desk) -> None:
    """It has no row, is public, and cannot be taken away; settings name it."""
    clients = desk.parts.clients
    own = Client(id=OWN, name="objectkernel command line", first_party=True)
    assert await clients.get(OWN) == own
    assert await clients.list() == (own,)
    assert await clients.authenticate(OWN, None) == own
    assert await clients.authenticate(OWN, "a secret") is None
    with pytest.raises(InvalidRequest, match="first_party_client"):
        await clients.remove(OWN)
    renamed = neighbour(desk, first_party_client="shop-cli", first_party_name="Shop").clients
    assert await renamed.get("shop-cli") == Client(id="shop-cli", name="Shop", first_party=True)
    assert await renamed.get(OWN) is None


async def test_the_hosts_own_client_can_be_changed(desk: Desk) -> None:
    """What is registered under its id counts; but it can keep no secret."""
    changed = Client(id=OWN, name="Ours", first_party=True, scopes=frozenset({"data:read"}))
    await desk.parts.clients.register(changed)
    found = await desk.parts.clients.get(OWN)
    assert found is not None and found.scopes == {"data:read"}
    assert [one.name for one in await desk.parts.clients.list()] == ["Ours"]
    with pytest.raises(InvalidRequest, match="cannot keep a secret"):
        await desk.parts.clients.register(attrs.evolve(changed, confidential=True))


async def test_a_public_client(desk: Desk) -> None:
    """It comes back as it was given, and has no secret."""
    given = Client(
        id="atlas",
        name=" Atlas  CLI ",
        scopes=frozenset({"data:read"}),
        device_flow=False,
        code_lifetime=timedelta(minutes=5),
        access_lifetime=timedelta(hours=1),
        refresh_lifetime=timedelta(days=7),
        interval=timedelta(seconds=10),
    )
    made, secret = await desk.parts.clients.register(given)
    assert secret is None
    assert made == attrs.evolve(given, name="Atlas CLI", created_at=made.created_at)
    assert await desk.parts.clients.get("atlas") == made
    assert await desk.parts.clients.authenticate("atlas", None) == made
    assert await desk.parts.clients.authenticate("atlas", "x") is None
    assert [one.id for one in await desk.parts.clients.list()] == ["atlas", OWN]


async def test_a_confidential_client(desk: Desk) -> None:
    """Its secret is shown once and kept as a digest; without it nobody is this client."""
    made, secret = await desk.parts.clients.register(ROBOT)
    assert secret is not None
    assert secret.reveal().startswith("ok_client_")
    assert await desk.parts.clients.authenticate("robot", secret.reveal()) == made
    for wrong in (None, "", secret.reveal()[:-1], "é"):
        assert await desk.parts.clients.authenticate("robot", wrong) is None
    row = await desk.dialect.find_by_id(CLIENT, "robot")
    assert row is not None and secret.reveal().rpartition("_")[2] not in str(row)


async def test_a_change_keeps_the_secret(desk: Desk) -> None:
    """Who registers a client again changes it; whether it has a secret stays as it is."""
    _, secret = await desk.parts.clients.register(ROBOT)
    assert secret is not None
    changed, none = await desk.parts.clients.register(attrs.evolve(ROBOT, name="Robot 2"))
    assert (changed.name, none) == ("Robot 2", None)
    assert await desk.parts.clients.authenticate("robot", secret.reveal()) is not None
    with pytest.raises(InvalidRequest, match="stays as it is"):
        await desk.parts.clients.register(Client(id="robot", name="Robot"))


async def test_a_secret_is_changed(desk: Desk) -> None:
    """The one before goes on for a while, the one before that does not."""
    with time_machine.travel(NOW, tick=False) as clock:
        _, first = await desk.parts.clients.register(ROBOT)
        second = await desk.parts.clients.rotate_secret("robot", overlap=timedelta(hours=1))
        assert first is not None
        for good in (first, second):
            assert await desk.parts.clients.authenticate("robot", good.reveal()) is not None
        clock.shift(timedelta(hours=1))
        assert await desk.parts.clients.authenticate("robot", first.reveal()) is None
        third = await desk.parts.clients.rotate_secret("robot")
        assert await desk.parts.clients.authenticate("robot", first.reveal()) is None
        assert await desk.parts.clients.authenticate("robot", second.reveal()) is not None
        clock.shift(timedelta(days=1))
        assert await desk.parts.clients.authenticate("robot", second.reveal()) is None
        assert await desk.parts.clients.authenticate("robot", third.reveal()) is not None


async def test_secrets_that_cannot_be_changed(desk: Desk) -> None:
    """A public client has none, and nobody has one who is not there."""
    await desk.parts.clients.register(Client(id="atlas", name="Atlas"))
    with pytest.raises(InvalidRequest, match="it is a public one"):
        await desk.parts.clients.rotate_secret("atlas")
    with pytest.raises(ClientMissing) as caught:
        await desk.parts.clients.rotate_secret("nobody")
    assert caught.value.client_id == "nobody"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"id": ""}, "its id has to have"),
        ({"id": "a b"}, "its id has to have"),
        ({"id": "-a"}, "its id has to have"),
        ({"id": "x" * 101}, "its id has to have"),
        ({"name": "\n"}, "its name has to have 1 to 100 characters"),
        ({"name": "a\u202eb"}, "its name has to have 1 to 100 characters"),
        ({"scopes": frozenset()}, "it may ask for no scopes at all"),
        ({"scopes": frozenset({"dta:read"})}, "do you mean 'data:read'"),
        ({"code_lifetime": timedelta(hours=2)}, "its code_lifetime has to be 60 to 3600 seconds"),
        ({"interval": timedelta(0)}, "its interval has to be 1 to 60 seconds"),
        ({"access_lifetime": timedelta(seconds=90.5)}, "its access_lifetime has to be whole seconds"),
    ],
)
async def test_clients_that_are_refused(desk: Desk, change: dict[str, Any], problem: str) -> None:
    """What would mislead those who approve, or break those who ask."""
    with pytest.raises(InvalidRequest) as caught:
        await desk.parts.clients.register(attrs.evolve(Client(id="atlas", name="Atlas"), **change))
    assert problem in str(caught.value)
    assert await desk.dialect.count(CLIENT) == 0


@pytest.mark.parametrize("id", ["", "x" * 5000, "a\0b", "ROBOT", "robot ", "\ud800"])
async def test_ids_that_nobody_has(desk: Desk, id: str) -> None:
    """Whatever is asked for is there exactly, or not at all."""
    await desk.parts.clients.register(ROBOT)
    assert await desk.parts.clients.get(id) is None
    assert await desk.parts.clients.authenticate(id, None) is None


async def test_what_was_issued_to_a_client_goes_with_it(desk: Desk) -> None:
    """Its keys end when it is removed; those of others go on."""
    await desk.parts.clients.register(Client(id="atlas", name="Atlas"))
    keys, given = FamilyKeys(desk.parts.keys), []
    for client_id, family in (("atlas", "f1"), (OWN, "f2")):
        scopes = frozenset({"data:read"})
        grant = Grant(family=family, client_id=client_id, account_id=ACCOUNT, user_id=ADA, name="phone", scopes=scopes)
        given.append(await keys.give(grant, datetime.now(UTC) + timedelta(hours=1)))
    by_hand = await desk.issue()
    assert await desk.parts.clients.remove("atlas")
    assert [await desk.is_good(one) for one in (*given, by_hand)] == [False, True, True]
    assert await desk.parts.clients.get("atlas") is None
    assert not await desk.parts.clients.remove("atlas")


async def test_a_key_that_is_given_while_its_client_is_removed(desk: Desk) -> None:
    """Whoever removes codes waits for one that is being exchanged: the key that it gave ends too."""
    await desk.parts.clients.register(Client(id="atlas", name="Atlas"))
    scopes, given = frozenset({"data:read"}), []
    grant = Grant(family="f1", client_id="atlas", account_id=ACCOUNT, user_id=ADA, name="phone", scopes=scopes)
    forget = desk.parts.endings.forget_client
    assert forget is not None

    async def wait_and_forget(client_id: str) -> None:
        given.append(await FamilyKeys(desk.parts.keys).give(grant, datetime.now(UTC) + timedelta(hours=1)))
        await forget(client_id)

    desk.parts.endings.forget_client = wait_and_forget
    assert await desk.parts.clients.remove("atlas")
    assert [await desk.is_good(one) for one in given] == [False]


async def test_registered_by_two_at_once(desk: Desk) -> None:
    """One client comes of it, with one secret that counts."""
    secrets: list[str] = []

    async def register() -> None:
        try:
            _, secret = await neighbour(desk).clients.register(ROBOT)
        except InvalidRequest:
            return
        if secret is not None:
            secrets.append(secret.reveal())

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(register)
    assert await desk.dialect.count(CLIENT) == 1
    good = [one for one in secrets if await desk.parts.clients.authenticate("robot", one) is not None]
    assert good == secrets and len(good) == 1


async def test_item_33_changes_are_in_the_trail(desk: Desk) -> None:
    """Who registered and removed which client, and no secret."""
    _, first = await desk.parts.clients.register(ROBOT)
    second = await desk.parts.clients.rotate_secret("robot")
    await desk.parts.clients.remove("robot")
    assert desk.audit.actions == ["client.register", "client.rotate-secret", "client.remove"]
    assert first is not None
    for secret in (first, second):
        assert secret.reveal().rpartition("_")[2] not in str(desk.audit.entries)


async def test_a_prefix_of_ones_own(desk: Desk) -> None:
    """Secrets of clients begin as keys do."""
    async with desk_of(DeviceAuthConfig(key_prefix="shop")) as shop:
        _, secret = await shop.parts.clients.register(ROBOT)
        assert secret is not None and secret.reveal().startswith("shop_client_")
