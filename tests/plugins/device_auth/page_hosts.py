"""A host with accounts and device-auth, whose pages browsers look at."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from objectkernel import Plugin, contributes
from objectkernel_contracts import SCOPES, GrantableScope, Principal, Role
from objectkernel_device_auth.contracts import (
    API_KEYS,
    CLIENTS,
    DEVICE_AUTH,
    ApiKeys,
    Asker,
    Client,
    Clients,
    DeviceAuth,
    DeviceAuthorization,
    TokenAnswer,
)
from objectkernel_device_auth.plugin import DeviceAuthPlugin
from objectkernel_http.config import HttpConfig
from objectkernel_http.listening import address_of, listener
from objectkernel_http.serving import Server, uvicorn_config

from tests.contrib.accounts.browsers import ADA, Browser, Shop, shop
from tests.contrib.accounts.hosts import PASSWORD

CLI = "objectkernel-cli"
ASKER = Asker(address="203.0.113.7", user_agent="atlas/2.1 (Linux; x86_64)")
ATLAS = Client(id="atlas", name="Atlas <command> line")


class Notes(Plugin):
    """Scopes with descriptions: one in French too, one that only operators have."""

    name = "notes"

    @contributes(SCOPES, uses=())
    def write(self) -> GrantableScope:
        described = {"fr": "Écrire et changer vos notes"}
        return GrantableScope(name="notes:write", description="Write and change your notes", translations=described)

    @contributes(SCOPES, uses=())
    def read(self) -> GrantableScope:
        return GrantableScope(name="notes:read", description="Read your notes", role="viewer")


class DeviceShop(Shop):
    """A served host with an administrator, Ada, and devices that ask to be let in."""

    _numbers = itertools.count(1)

    @property
    def flow(self) -> DeviceAuth:
        return self.kernel.get(DEVICE_AUTH)

    @property
    def keys(self) -> ApiKeys:
        return self.kernel.get(API_KEYS)

    @property
    def clients(self) -> Clients:
        return self.kernel.get(CLIENTS)

    async def ask(self, scope: str = "notes:read notes:write", client: str = CLI) -> DeviceAuthorization:
        """Let a device ask."""
        return await self.flow.authorize(client, scope, asker=ASKER)

    async def let_in(self, browser: Browser, **options: Any) -> TokenAnswer:
        """Let a device ask, approve it with a browser that is signed in, and give it its key."""
        asked = await self.ask(**options)
        await decide(browser, asked.user_code, "approved")
        return await self.flow.redeem(asked.device_code.reveal(), options.get("client", CLI))

    async def newcomer(self, role: Role = "admin") -> Browser:
        """A browser at an address of its own, in which somebody new of Ada's account is signed in.

        Codes that are tried are counted by person and by address.
        """
        number = next(self._numbers)
        ((account, *_), _) = await self.accounts.list()
        link = await self.people.invite(f"n{number}@example.org", account.id, role)
        joined = await self.people.accept(link.token.reveal(), PASSWORD)
        browser = self.browser(address=f"198.51.{number // 250}.{number % 250}")
        await browser.sign_in(joined.user.login)
        return browser

    async def ada(self) -> Principal:
        """Ada, without a session."""
        ((account, *_), _) = await self.accounts.list()
        user = await self.people.find(ADA)
        assert user is not None
        return Principal(account_id=account.id, user_id=user.id)


async def claim(browser: Browser, user_code: str) -> httpx.Response:
    """Type a code, and look at what it leads to."""
    await browser.go("/device")
    answer = await browser.send("/device", user_code=user_code)
    return await browser.go(answer.headers["location"]) if answer.is_redirect else answer


async def decide(browser: Browser, user_code: str, decision: str) -> httpx.Response:
    """Type a code, press a button of the page that it leads to, and look at the page after that."""
    await claim(browser, user_code)
    answer = await browser.send(action_of(browser.page), decision=decision)
    return await browser.go(answer.headers["location"]) if answer.is_redirect else answer


def action_of(page: str) -> str:
    """Where the form of a page is sent."""
    (action,) = re.findall(r'<form method="post" action="([^"]+)"', page)
    return str(action)


@asynccontextmanager
async def device_shop(*plugins: Any) -> AsyncIterator[DeviceShop]:
    """A host that is served until the end of the block."""
    async with shop(DeviceAuthPlugin, Notes, *plugins) as made:
        yield DeviceShop(made.kernel, made.app, made.ring)


@asynccontextmanager
async def on_loopback(host: DeviceShop) -> AsyncIterator[str]:
    """The address where a host is served by the server of `objectkernel serve`, in this event loop."""
    config, up = HttpConfig(port=0), asyncio.Event()
    with listener(config) as sock:
        server = Server(uvicorn_config(host.app, config), up.set)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve([sock]))
            await up.wait()
            try:
                yield address_of(sock, config)
            finally:
                server.should_exit = True
