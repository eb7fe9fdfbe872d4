"""A host with accounts, and browsers that fill its forms."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import Any

import httpx
from fastapi import FastAPI
from objectkernel import ObjectKernel
from objectkernel_accounts.contracts import ACCOUNTS, PEOPLE, Accounts, People
from objectkernel_accounts.plugin import AccountsPlugin
from objectkernel_contracts import KEYRING
from objectkernel_http import asgi_app, kernel_lifespan
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.contrib.accounts.hosts import PASSWORD, Ring

ADA = "ada@example.org"


class Forms(HTMLParser):
    """The forms of a page: action and fields."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((values["action"], {}))
        elif tag == "input" and self.found:
            self.found[-1][1][values["name"]] = values.get("value", "")


class Browser:
    """Sends what a person would: the forms of the page that it was shown last.

    Attributes:
        http: its client, with its cookies; it follows no redirection by itself.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.page = ""

    async def go(self, path: str, **headers: str) -> httpx.Response:
        """Look at a page, wherever it leads."""
        answer = await self.http.get(path, headers=headers)
        while answer.is_redirect:
            answer = await self.http.get(answer.headers["location"], headers=headers)
        self.page = answer.text
        return answer

    async def send(self, action: str, **fields: str) -> httpx.Response:
        """Fill a form of the page and send it; of a redirection its page is looked at too."""
        hidden = next(fields for known, fields in Forms(self.page).found if known.endswith(action))
        answer = await self.http.post(action, data=hidden | fields)
        if not answer.is_redirect:
            self.page = answer.text
        return answer

    async def sign_in(self, login: str = ADA, password: str = PASSWORD, return_to: str = "") -> httpx.Response:
        await self.go(f"/sign-in?return_to={return_to}" if return_to else "/sign-in")
        return await self.send("/sign-in", login=login, password=password)

    @property
    def problems(self) -> list[str]:
        """What the page says that went wrong."""
        return re.findall(r'role="alert">(.*?)</p>', self.page, re.DOTALL)

    @property
    def notices(self) -> list[str]:
        return re.findall(r'role="status">(.*?)</p>', self.page, re.DOTALL)


class Shop:
    """A served host with an administrator, Ada."""

    def __init__(self, kernel: ObjectKernel, app: FastAPI, ring: Ring) -> None:
        self.kernel = kernel
        self.app = app
        self.ring = ring

    @property
    def people(self) -> People:
        return self.kernel.get(PEOPLE)

    @property
    def accounts(self) -> Accounts:
        return self.kernel.get(ACCOUNTS)

    def browser(self, base_url: str = "https://shop.test", address: str = "192.0.2.1") -> Browser:
        """A new browser."""
        transport = httpx.ASGITransport(self.app, client=(address, 50_000))
        headers = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "User-Agent": "Firefox"}
        return Browser(httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers))


@asynccontextmanager
async def shop(*plugins: Any, config: dict[str, Any] | None = None) -> AsyncIterator[Shop]:
    """A host that is served until the end of the block."""
    ring = Ring()
    kernel = ObjectKernel(
        plugins=[SystemDialectPlugin.in_memory(), AccountsPlugin, *plugins],
        discover=False,
        environ={},
        config={"plugins": {"accounts": config or {}}},
    ).provide(KEYRING, ring)
    app = asgi_app(kernel)
    async with kernel_lifespan(kernel)(app):
        await kernel.get(PEOPLE).create_admin(ADA, PASSWORD, name="Ada", account="Engines")
        yield Shop(kernel, app, ring)
