"""The client against a real host: its authorization server, its pages and its data, over a socket of the loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import attrs
import pytest
import time_machine
from objectkernel import Plugin, contributes
from objectkernel.secret import Secret
from objectkernel_device_auth.client_addresses import address
from objectkernel_device_auth.client_plugin import ApiKeySourcePlugin
from objectkernel_device_auth.client_session import ClientSession
from objectkernel_device_auth.contracts import AuthorizationFailed, Client, CodeIssued
from objectkernel_device_auth.key_source import KeySource
from objectkernel_device_auth.token_file import folder_of
from objectkernel_system_dialect.contracts import BUSINESS_SCHEMAS, DIALECT, EntitySchema

from tests.contrib.accounts.browsers import Browser
from tests.plugins.device_auth.client_side import Screen, key_source
from tests.plugins.device_auth.page_hosts import DeviceShop, decide, device_shop, on_loopback
from tests.plugins.system_dialect.kernels import ORDER, shop

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("home", "quick")]
SCOPE = "data:read data:write"
LAPTOP = Client(id="laptop", name="A laptop", interval=timedelta(seconds=1))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """uvicorn is asyncio's."""
    return "asyncio"


class Orders(Plugin):
    """What the host has."""

    name = "orders"

    @contributes(BUSINESS_SCHEMAS, uses=())
    def order(self) -> EntitySchema:
        return ORDER


@attrs.frozen
class Site:
    """A host at an address, somebody who is signed in there, and a client of it.

    Attributes:
        decision: what they decide on the codes that they are shown.
    """

    host: DeviceShop
    url: str
    ada: Browser
    decision: list[str] = attrs.field(factory=lambda: ["approved"])

    async def show(self, code: CodeIssued) -> None:
        """Type the code and press a button, as somebody would while the client waits."""
        await decide(self.ada, code.user_code, self.decision[0])

    def source(self) -> KeySource:
        return key_source(auth_flow_url=self.url, scope=SCOPE, client_id=LAPTOP.id)

    def net(self, folder: Path) -> dict[str, str]:
        """Settings of another host, whose business data is on this one."""
        return {
            "MOSTA_DATA": "net",
            "MOSTA_NET_URL": f"{self.url}/",
            "MOSTA_SYSTEM_DIALECT": "sqlite",
            "MOSTA_SYSTEM_URI": str(folder / "system.db"),
            "MOSTA_CLIENT_ID": LAPTOP.id,
            "OBJECTKERNEL_PLUGINS__API_KEY_SOURCE__SCOPE": SCOPE,
        }


@pytest.fixture
async def site(anyio_backend: str) -> AsyncIterator[Site]:
    """The host, with its administrator signed in."""
    async with device_shop(Orders) as host, on_loopback(host) as url:
        await host.clients.register(LAPTOP)
        ada = host.browser()
        await ada.sign_in()
        yield Site(host, url, ada)


async def test_a_key_is_asked_for_approved_and_used(site: Site, tmp_path: Path) -> None:
    """From no key at all to the rows of another host, by its metadata document; and it is renewed there."""
    source = site.source()
    key = await source.ensure_api_key(on_code_issued=site.show)
    async with shop(site.net(tmp_path), ApiKeySourcePlugin) as running:
        row = await running.get(DIALECT).create(ORDER, {"total": 7})
        assert await running.get(DIALECT).find_by_id(ORDER, row["id"]) == row
    assert await site.host.kernel.get(DIALECT).count(ORDER) == 1
    renewed = await source.ensure_api_key(force_refresh=True)
    assert renewed != key
    assert await source.ensure_api_key() == renewed


async def test_a_key_that_has_ended_is_renewed_by_a_401(site: Site, tmp_path: Path) -> None:
    """The data plane refuses it while a host runs: it goes on with the next, and nobody is asked."""
    await site.source().ensure_api_key(on_code_issued=site.show)
    (kept,) = await site.source().store().tokens()
    assert kept.expires_at is not None
    async with shop(site.net(tmp_path), ApiKeySourcePlugin) as running:
        with time_machine.travel(kept.expires_at + timedelta(seconds=10)):
            assert await running.get(DIALECT).count(ORDER) == 0
    (renewed,) = await site.source().store().tokens()
    assert renewed.access_token != kept.access_token
    assert renewed.expires_at is not None and renewed.expires_at > kept.expires_at > datetime.now(UTC)


@pytest.mark.slow
async def test_a_key_that_was_revoked_is_asked_for_again(site: Site) -> None:
    """With it its refresh token has ended."""
    source = site.source()
    key = await source.ensure_api_key(on_code_issued=site.show)
    verified = await site.host.keys.verify(key)
    assert verified is not None
    await site.host.keys.revoke(verified.account_id, verified.id)
    with pytest.raises(AuthorizationFailed) as caught:
        await source.ensure_api_key(force_refresh=True)
    assert caught.value.reason == "no-terminal"
    assert await source.ensure_api_key(force_refresh=True, on_code_issued=site.show) != key


async def test_a_key_is_told_whose_it_is_and_whether_it_is_good(site: Site) -> None:
    """What `whoami` shows: account, person and scopes; and that a revoked key is none."""
    key = Secret(await site.source().ensure_api_key(on_code_issued=site.show))
    ada = await site.host.ada()
    async with ClientSession(address(site.url, "the test"), LAPTOP.id, 10) as session:
        client = await session.client()
        assert await client.known(key) == {
            "active": True,
            "sub": ada.user_id,
            "account_id": ada.account_id,
            "scope": SCOPE,
        }
        assert await client.revoke(key)
        assert await client.known(key) == {"active": False}


@pytest.mark.slow
async def test_a_denial_is_told(site: Site) -> None:
    """Nothing is kept."""
    site.decision[0] = "denied"
    with pytest.raises(AuthorizationFailed) as caught:
        await site.source().ensure_api_key(on_code_issued=site.show)
    assert caught.value.reason == "denied"
    assert not (folder_of("objectkernel") / "auth.json").exists()


@pytest.mark.slow
async def test_the_paths_of_the_description_serve_as_well(site: Site) -> None:
    """A client that finds no metadata document completes the same flow."""
    from objectkernel_device_auth.client_discovery import AuthorizationServer
    from objectkernel_device_auth.client_requests import Requests
    from objectkernel_device_auth.device_client import DeviceClient

    base = f"{site.url}/api/v1/auth/device"
    old = AuthorizationServer(
        issuer=site.url, place="the host", device_authorization=f"{base}/authorize", token=f"{base}/token"
    )
    async with Requests(10) as requests:
        client = DeviceClient(requests, old, LAPTOP.id)
        grant = await client.begin(SCOPE)
        await site.show(grant.code)
        received = await client.wait(grant, lambda left: None)
    assert await site.host.keys.verify(received.access_token.reveal()) is not None


@pytest.mark.slow
async def test_what_the_terminal_shows_leads_to_the_approval(site: Site) -> None:
    """The address and the code of the screen are those that the page takes; the key is not on it."""
    screen = Screen()
    source = key_source(screen, auth_flow_url=site.url, scope=SCOPE, client_id=LAPTOP.id)
    keys: list[str] = []

    async def host() -> None:
        keys.append(await source.ensure_api_key())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host)
        with anyio.fail_after(20):
            while "and enter the code" not in screen.getvalue():
                await anyio.sleep(0.02)
        lines = [line.strip() for line in screen.getvalue().splitlines()]
        assert f"{site.url}/device" in lines
        await decide(site.ada, lines[lines.index("and enter the code") + 1], "approved")
    assert await site.host.keys.verify(keys[0]) is not None
    assert keys[0] not in screen.getvalue()
