"""A device asks for a code: what it is told, which scopes it may ask for, how many codes may wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from objectkernel_device_auth import asking
from objectkernel_device_auth.contracts import Asker, Client, OAuthError
from objectkernel_device_auth.storage_codes import BUDGET, DEVICE_CODE

from tests.plugins.device_auth.flows import CLI, READ, WRITE, Desk, desk_of, refusal, refused

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


async def test_item_03_what_a_device_is_told(desk: Desk) -> None:
    """Every member, the interval also where it is the usual one."""
    asked = await desk.ask(base_url="https://shop.example")
    assert asked.verification_uri == "https://shop.example/device"
    assert asked.verification_uri_complete == f"https://shop.example/device?user_code={asked.user_code}"
    assert (asked.expires_in, asked.interval) == (600, 5)


async def test_item_25_the_page_is_of_the_issuer() -> None:
    """The setting says where it is, whatever a request says of the host."""
    async with desk_of(base_url="https://shop.example/eu/") as desk:
        asked = await desk.ask(base_url="https://evil.example")
        assert asked.verification_uri == "https://shop.example/eu/device"
        assert len(asked.verification_uri) < 40


async def test_item_08_a_code_does_not_live_long(desk: Desk) -> None:
    """Ten minutes, or what its client has, and never more than an hour."""
    with pytest.raises(ValueError, match="code_lifetime"):
        async with desk_of(code_lifetime=3601.0):
            pass
    short = Client(id="tv", name="TV", code_lifetime=timedelta(minutes=2), interval=timedelta(seconds=9))
    await desk.parts.clients.register(short)
    asked = await desk.ask("tv")
    assert (asked.expires_in, asked.interval) == (120, 9)


async def test_item_01_only_known_clients(desk: Desk) -> None:
    """A public client names itself, a confidential one shows its secret."""
    _, secret = await desk.parts.clients.register(Client(id="server", name="Server", confidential=True))
    assert secret is not None
    assert await refused(desk.ask("nobody")) == "invalid_client"
    assert await refused(desk.ask("server")) == "invalid_client"
    assert await refused(desk.ask("server", client_secret="wrong")) == "invalid_client"
    assert await refused(desk.ask(CLI, client_secret="surplus")) == "invalid_client"
    await desk.ask("server", client_secret=secret.reveal())


async def test_item_24_only_those_that_may(desk: Desk) -> None:
    """The device flow is for clients that have it."""
    await desk.parts.clients.register(Client(id="web", name="Web", device_flow=False))
    assert await refused(desk.ask("web")) == "unauthorized_client"


@pytest.mark.parametrize("scope", ["data:write", "keys:read", "unknown", f"{READ} unknown", 'a"b', "a\\b", "é"])
async def test_item_24_scopes_that_a_client_may_not_have(desk: Desk, scope: str) -> None:
    """Those of others, those over keys, and what is none, are refused."""
    await desk.parts.clients.register(Client(id="tv", name="TV", scopes=frozenset({READ})))
    error = await refusal(desk.ask("tv", scope))
    assert error.error == "invalid_scope"
    assert error.description.isascii()
    assert not set('"\\') & set(error.description)


@pytest.mark.parametrize("scope", [None, "", "  "])
async def test_no_scope_is_every_scope_of_the_client(desk: Desk, scope: str | None) -> None:
    """Also of one that may have a few only."""
    await desk.parts.clients.register(Client(id="tv", name="TV", scopes=frozenset({READ})))
    for client, found in (("tv", READ), (CLI, f"{READ} {WRITE}")):
        asked = await desk.ask(client, scope)
        assert (await desk.code_row(asked.device_code.reveal()))["scope"] == found


async def test_item_24_a_short_list_of_the_host(desk: Desk) -> None:
    """The setting names the scopes of the device flow."""
    async with desk_of(device_scopes=(READ,)) as other:
        assert await refused(other.ask(scope=WRITE)) == "invalid_scope"
        await other.ask(scope=READ)


@pytest.mark.parametrize(
    ("challenge", "method"),
    [(CHALLENGE, None), (CHALLENGE, "plain"), (CHALLENGE, "s256"), ("short", "S256"), (None, "S256")],
)
async def test_item_40_challenges_that_prove_nothing(desk: Desk, challenge: str | None, method: str | None) -> None:
    """Only a SHA-256 is taken: with ``plain`` the database would hold the proof itself."""
    assert await refused(desk.ask(code_challenge=challenge, code_challenge_method=method)) == "invalid_request"


async def test_item_06_no_two_live_codes_are_alike(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is taken is not given again, until it is free."""
    made = iter(["BCDFGHJK", "BCDFGHJK", "LMNPQRST", "BCDFGHJK", "BCDFGHJK"])
    monkeypatch.setattr(asking, "new_user_code", lambda: next(made))
    first, second = await desk.ask(), await desk.ask()
    assert (first.user_code, second.user_code) == ("BCDF-GHJK", "LMNP-QRST")
    await desk.approve(first)
    assert (await desk.ask()).user_code == "BCDF-GHJK"
    assert await desk.dialect.count(DEVICE_CODE) == 3


async def test_item_06_when_no_code_is_free(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told to come again, and nothing is left of it."""
    monkeypatch.setattr(asking, "new_user_code", lambda: "BCDFGHJK")
    await desk.ask()
    assert await refused(desk.ask()) == "temporarily_unavailable"
    assert await desk.dialect.count(DEVICE_CODE) == 1


@pytest.mark.parametrize("setting", ["live_codes", "live_codes_per_client", "live_codes_per_address"])
async def test_item_21_how_many_codes_may_wait(setting: str) -> None:
    """Of one address, one client, or all: one more is told when to come again; a decided or expired one is gone."""
    with time_machine.travel(NOW, tick=False) as clock:
        limits: dict[str, Any] = {setting: 2}
        async with desk_of(**limits) as desk:
            first = await desk.ask()
            await desk.ask()
            error = await refusal(desk.ask())
            assert (error.error, error.status) == ("temporarily_unavailable", 503)
            assert error.retry_after is not None
            await desk.approve(first)
            await desk.ask()
            clock.shift(601)
            await desk.ask()


async def test_item_21_one_address_does_not_shut_others_out() -> None:
    """Another address, and another network of IPv6, has codes of its own; a network of IPv6 counts as one."""
    async with desk_of(live_codes_per_address=1) as desk:
        for address in ("203.0.113.7", "203.0.113.8", "2001:db8::1", "2001:db8:0:100::1"):
            await desk.ask(asker=Asker(address=address))
        for address in ("203.0.113.7", "::ffff:203.0.113.8", "2001:db8:0:1::2"):
            assert await refused(desk.ask(asker=Asker(address=address))) == "temporarily_unavailable"


async def test_item_24_how_many_codes_are_given() -> None:
    """One address is given so many within the lifetime of a code, also of decided ones; then it is told when."""
    with time_machine.travel(NOW, tick=False) as clock:
        async with desk_of(codes_per_address=3) as desk:
            for _ in range(3):
                await desk.approve(await desk.ask())
            clock.shift(100)
            error = await refusal(desk.ask())
            assert (error.error, error.retry_after) == ("temporarily_unavailable", 500)
            clock.shift(500)
            await desk.ask()
            assert await desk.dialect.count(BUDGET) == 1


async def test_item_21_strangers_who_are_refused_leave_nothing() -> None:
    """However many addresses they have: there are no more rows than codes that were given."""
    async with desk_of(live_codes=5) as desk:
        for number in range(100):
            try:
                await desk.ask(asker=Asker(address=f"2001:db8:{number:x}::1"))
            except OAuthError as error:
                assert error.error == "temporarily_unavailable"
        assert await desk.dialect.count(DEVICE_CODE) == await desk.dialect.count(BUDGET) == 5
        assert len(desk.audit.entries) == 5


async def test_a_proxy_on_this_machine_is_not_one_address() -> None:
    """It may ask for everybody; the other bounds hold."""
    async with desk_of(live_codes_per_address=1, codes_per_address=1, live_codes_per_client=3) as desk:
        for _ in range(3):
            await desk.ask(asker=Asker(address="127.0.0.1"))
        assert await refused(desk.ask(asker=Asker(address="127.0.0.1"))) == "temporarily_unavailable"
        assert await desk.dialect.count(BUDGET) == 0


async def test_what_is_kept_of_a_stranger(desk: Desk) -> None:
    """Address and user agent are kept as long as they may be, and printable."""
    await desk.ask(asker=Asker(address="x" * 500, user_agent="curl\x00\n\x1b[31m" + "y" * 500))
    (row,) = await desk.dialect.find(DEVICE_CODE)
    assert (len(row["address"]), len(row["agent"])) == (64, 200)
    assert row["agent"].startswith("curl[31my")


async def test_item_33_asking_is_in_the_trail(desk: Desk) -> None:
    """With the client, the scope and the address, and no code."""
    asked = await desk.ask()
    (entry,) = desk.audit.entries
    assert entry.action == "device.ask"
    assert entry.details == {"client": CLI, "scope": READ, "address": "203.0.113.7"}
    assert asked.user_code not in str(entry)
