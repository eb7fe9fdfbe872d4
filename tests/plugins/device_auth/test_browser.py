"""The pages in a real browser: sign in, see who asks, deny once, approve once; and how they look."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
import pytest
from objectkernel_device_auth.storage_codes import BUDGET
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.contrib.accounts.browsers import ADA
from tests.contrib.accounts.hosts import PASSWORD
from tests.plugins.device_auth.browser_checks import faults_of, focus_is_seen
from tests.plugins.device_auth.page_hosts import CLI, DeviceShop, device_shop, on_loopback

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCHEMES = ("light", "dark")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.path.exists(CHROMIUM) and not os.environ.get("CI"),
        reason="no chromium (Debian: apt-get install chromium)",
    ),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@attrs.frozen
class Site:
    """A host at an address, and a browser.

    Attributes:
        device: what asks, from a machine without a browser.
    """

    host: DeviceShop
    url: str
    chromium: Browser
    device: httpx.AsyncClient

    async def ask(self) -> dict[str, Any]:
        """Let the device ask."""
        form = {"client_id": CLI, "scope": "notes:read notes:write"}
        answer = await self.device.post("/device_authorization", data=form)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    async def poll(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What the device is told."""
        form = {"client_id": CLI, "grant_type": GRANT, "device_code": asked["device_code"]}
        found: dict[str, Any] = (await self.device.post("/token", data=form)).json()
        return found

    @asynccontextmanager
    async def window(self, *, width: int = 1280, is_alone: bool = True, **options: Any) -> AsyncIterator[Page]:
        """A new window of somebody, in which nothing may go wrong unseen.

        Args:
            is_alone: no other host may be asked for anything either.
        """
        context: BrowserContext = await self.chromium.new_context(
            viewport={"width": width, "height": 800}, base_url=self.url, **options
        )
        page, wrong = await context.new_page(), []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(f"{request.url} failed"))
        page.on("request", lambda request: request.url.startswith(self.url) or wrong.append(f"{request.url} asked"))
        try:
            yield page
        finally:
            await context.close()
        refused = "Failed to load resource: the server responded with a status of"  # of a page that tells a problem
        assert not is_alone or [one for one in wrong if not one.startswith(refused)] == []


@pytest.fixture(scope="module")
async def site(anyio_backend: str) -> AsyncIterator[Site]:
    async with device_shop() as host, on_loopback(host) as url, async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        headers = {"User-Agent": "atlas/2.1"}
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as device:
            try:
                yield Site(host, url, chromium, device)
            finally:
                await chromium.close()


@pytest.fixture(autouse=True)
async def no_codes_tried(site: Site) -> None:
    """Wrong codes are counted by person, and here all tests have the same one."""
    await site.host.kernel.get(SYSTEM_DIALECT).delete_many(BUDGET, {}, all=True)


async def sign_in(page: Page) -> None:
    """Fill the page to sign in that the window has been led to."""
    await page.fill("input[name=login]", ADA)
    await page.fill("input[name=password]", PASSWORD)
    async with page.expect_navigation():
        await page.press("input[name=password]", "Enter")


async def test_deny_once_and_approve_once(site: Site) -> None:
    """By the keyboard alone, from the address that the device shows; then by typing the code in one's own way."""
    asked = await site.ask()
    assert asked["verification_uri"] == f"{site.url}/device"
    async with site.window() as page:
        await page.goto(asked["verification_uri_complete"])
        await sign_in(page)
        assert page.url == f"{site.url}/device"
        assert await page.input_value("#code") == asked["user_code"]
        await page.focus("#code")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/device/requests/*")
        assert await page.evaluate("document.referrer") == ""
        text = await page.inner_text("main")
        for told in ("objectkernel command line", "Read your notes", "Write and change your notes", "127.0.0.1"):
            assert told in text
        assert "atlas/2.1" in text and asked["user_code"] in text
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Deny"
        assert await focus_is_seen(page)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/device/denied")
        assert (await site.poll(asked))["error"] == "access_denied"

        again = await site.ask()
        assert (await site.poll(again))["error"] == "authorization_pending"
        await page.goto("/device")
        await page.fill("#code", again["user_code"].lower().replace("-", " "))
        await page.click("button:has-text('Continue')")
        await page.wait_for_url("**/device/requests/*")
        await page.click("button:has-text('Approve')")
        await page.wait_for_url("**/device/approved")
        await page.go_back()  # to the decision that has been taken
        assert "This code cannot be used" in await page.inner_text("main")
        token = {"Authorization": f"Bearer {(await site.poll(again))['access_token']}"}
        me = (await site.device.get("/api/v1/account", headers=token)).raise_for_status().json()
        assert me["scopes"] == ["notes:read", "notes:write"]

        await page.goto("/account/devices")
        await page.click("a:has-text('Revoke')")
        await page.click("button:has-text('Revoke')")
        await page.wait_for_url("**/account/devices?done=revoked")
        assert "The access has been revoked." in await page.inner_text("main")
        assert (await site.device.get("/api/v1/account", headers=token)).status_code == 401


async def test_another_site_presses_no_button(site: Site) -> None:
    """A page elsewhere that knows everything but the cookies sends the form in vain, and may not show it in a frame."""
    asked = await site.ask()
    async with site.window(is_alone=False) as page:
        await page.goto(asked["verification_uri_complete"])
        await sign_in(page)
        await page.click("button:has-text('Continue')")
        await page.wait_for_url("**/device/requests/*")
        own = page.url
        csrf = await page.input_value("input[name=csrf]")
        trap = (
            f'<form method="post" action="{own}"><input name="csrf" value="{csrf}">'
            f'<input name="decision" value="approved"><button>Win</button></form><iframe src="{own}"></iframe>'
        )
        await page.route("http://evil.test/", lambda route: route.fulfill(content_type="text/html", body=trap))
        await page.goto("http://evil.test/")
        shown = [await frame.evaluate("document.body?.innerText ?? ''") for frame in page.frames[1:]]
        assert shown and not any("Approve" in text for text in shown)
        async with page.expect_response(own) as answered:
            await page.click("button")
        assert (await answered.value).status in (401, 403)
        assert (await site.poll(asked))["error"] == "authorization_pending"
        await page.goto(own)
        assert "Approve" in await page.inner_text("main")


async def test_the_checks_find_what_is_wrong(site: Site) -> None:
    """A page that has every fault is told each of them."""
    faulty = (
        '<html lang="de"><body style="background: #fff; width: 2000px"><p style="color: #999">pale</p><main></main>'
        '<p style="font-size: 9px">tiny</p><label></label><input type="text"><button style="width: 9px"></button>'
        '<i id="a"></i><i id="a"></i><p aria-describedby="b" role="banner">x</p><script></script></body></html>'
    )
    async with site.window() as page:
        await page.set_content(faulty)
        found = await faults_of(page, "en")
    for fault in (
        'contrast 2.85 of "pale"',
        'text of 9px: "tiny"',
        "no label: ",
        "no name: ",
        "small target: ",
        "twice: #a",
        "aria-describedby names nothing: b",
        "role: ",
        "not one heading",
        "no title",
        "wider than the window",
        "more than text",
        "the language is said to be 'de'",
    ):
        assert any(one.startswith(fault) for one in found), (fault, found)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("width", [375, 1280])
async def test_looks(site: Site, language: str, width: int) -> None:
    """Every page, in both colour schemes: contrast as it is drawn, labels, sizes, nothing beyond the window's edge."""
    async with site.window(width=width, locale=language) as page:
        await page.goto("/device")
        await sign_in(page)

        async def check() -> None:
            for scheme in SCHEMES:
                await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                assert await faults_of(page, language) == [], (page.url, scheme)

        await check()
        await page.fill("#code", "BBBB-BBBB")
        await page.press("#code", "Enter")
        await page.wait_for_selector("[role=alert]")
        await check()
        asked = await site.ask()
        await page.goto(asked["verification_uri_complete"])
        await check()
        await page.click("button")
        await page.wait_for_url("**/device/requests/*")
        await check()
        buttons = [await page.locator("button").nth(number).bounding_box() for number in range(2)]
        deny, approve = [box for box in buttons if box is not None]
        assert abs(deny["width"] - approve["width"]) < 2 and deny["height"] == approve["height"]
        await page.click("button.strong")
        await page.wait_for_url("**/device/approved")
        await check()
        await site.poll(asked)
        await page.click("a")
        await page.wait_for_url("**/account/devices")
        await check()
        await page.click(".devices a")
        await check()
        await page.goto("/account/devices/nothing")
        await check()
