"""A served host with accounts and device-auth, asked as clients of any kind ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
from fastapi import FastAPI
from objectkernel import ObjectKernel, Plugin, contributes
from objectkernel_accounts.audit_plugin import AuditPlugin
from objectkernel_accounts.contracts import PEOPLE
from objectkernel_accounts.plugin import AccountsPlugin
from objectkernel_contracts import KEYRING, SCOPES, GrantableScope
from objectkernel_device_auth.oauth_models import DEVICE_GRANT
from objectkernel_device_auth.plugin import DeviceAuthPlugin
from objectkernel_http import include_kernel, kernel_lifespan
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.contrib.accounts.browsers import ADA, Browser
from tests.contrib.accounts.hosts import PASSWORD, Ring
from tests.plugins.device_auth.flows import CLI, READ, WRITE

BASE = "https://shop.test"
ADDRESS = "203.0.113.7"


class Atlas(Plugin):
    """Knows the scopes of some data."""

    name = "atlas"

    @contributes(SCOPES, uses=())
    def read(self) -> GrantableScope:
        return GrantableScope(name=READ, description="See the data", role="viewer")

    @contributes(SCOPES, uses=())
    def write(self) -> GrantableScope:
        return GrantableScope(name=WRITE, description="Change the data")


@attrs.frozen
class Site:
    """A host, and how it is reached."""

    kernel: ObjectKernel
    app: FastAPI
    prefix: str = ""

    def client(self, base_url: str = BASE, address: str = ADDRESS) -> httpx.AsyncClient:
        """A program that asks."""
        transport = httpx.ASGITransport(self.app, client=(address, 50_000))
        return httpx.AsyncClient(transport=transport, base_url=base_url + self.prefix, headers={"User-Agent": "atlas"})

    @asynccontextmanager
    async def signed_in(self) -> AsyncIterator[httpx.AsyncClient]:
        """Ada's browser."""
        transport = httpx.ASGITransport(self.app, client=("198.51.100.1", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url=BASE + self.prefix) as http:
            await Browser(http).sign_in(ADA)
            http.headers["Origin"] = BASE
            yield http

    async def device(self, client: httpx.AsyncClient, scope: str = READ, **form: str) -> dict[str, Any]:
        """A device code."""
        answer = await client.post("device_authorization", data={"client_id": CLI, "scope": scope, **form})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def approve(self, user_code: str, decision: str = "approved") -> httpx.Response:
        """Ada decides."""
        async with self.signed_in() as browser:
            body = {"user_code": user_code, "decision": decision}
            return await browser.post("/api/v1/auth/device/approve", json=body)

    async def tokens(self, client: httpx.AsyncClient, **form: str) -> dict[str, Any]:
        """What a whole flow gives."""
        asked = await self.device(client, **form)
        assert (await self.approve(asked["user_code"])).status_code == 200
        answer = await client.post("token", data=redeeming(asked))
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told


def redeeming(asked: Mapping[str, Any], **form: str) -> dict[str, str]:
    """The form of a poll."""
    return {"grant_type": DEVICE_GRANT, "device_code": asked["device_code"], "client_id": CLI, **form}


@asynccontextmanager
async def site(prefix: str = "", database: str = "", **settings: Any) -> AsyncIterator[Site]:
    """A host that is served until the end of the block.

    Args:
        prefix: what stands before each path.
        database: the file of the system database; none: in memory.
    """
    dialect = SystemDialectPlugin if database else SystemDialectPlugin.in_memory()
    environ = {"MOSTA_SYSTEM_DIALECT": "sqlite", "MOSTA_SYSTEM_URI": database} if database else {}
    kernel = ObjectKernel(
        plugins=[dialect, AccountsPlugin, AuditPlugin, Atlas, DeviceAuthPlugin],
        discover=False,
        environ=environ,
        config={"plugins": {"device-auth": settings}},
    ).provide(KEYRING, Ring())
    app = FastAPI(lifespan=kernel_lifespan(kernel))
    include_kernel(app, kernel, prefix=prefix)
    async with app.router.lifespan_context(app):
        await kernel.get(PEOPLE).create_admin(ADA, PASSWORD, name="Ada", account="Engines")
        yield Site(kernel, app, prefix)
