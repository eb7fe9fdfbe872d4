"""``/account/devices``: one's own devices and keys, and their end."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from objectkernel_contracts import Principal
from objectkernel_device_auth.contracts import OAuthError
from objectkernel_device_auth.devices_pages import SHOWN

from tests.contrib.accounts.browsers import Browser
from tests.plugins.device_auth.page_hosts import CLI, DeviceShop, action_of, device_shop

pytestmark = pytest.mark.anyio

PATH = "/account/devices"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def host(anyio_backend: str) -> AsyncIterator[DeviceShop]:
    async with device_shop() as made:
        yield made


@pytest.fixture
async def grace(host: DeviceShop) -> Browser:
    """A browser in which somebody new is signed in."""
    return await host.newcomer()


async def who(host: DeviceShop, browser: Browser) -> Principal:
    """Who is signed in with a browser."""
    me = (await browser.http.get("/api/v1/account")).json()
    return Principal(account_id=me["account"]["id"], user_id=me["user"]["id"])


def named(page: str) -> list[str]:
    """The names of what a page lists."""
    return re.findall(r"<h2><bdi>(.*?)</bdi></h2>", page)


async def revoke(browser: Browser, name: str) -> str:
    """Follow the link of one of the listed, press its button, and return the page after that."""
    await browser.go(PATH)
    (link,) = re.findall(rf'href="([^"]+)"\s+aria-label="Revoke: {name}', browser.page)
    await browser.go(link)
    answer = await browser.send(action_of(browser.page))
    return (await browser.go(answer.headers["location"])).text


async def test_item_24_devices_are_listed_and_revoked(host: DeviceShop, grace: Browser) -> None:
    """A device that was let in is there with where it asked from; revoked, neither key nor refresh token is good."""
    answer = await host.let_in(grace)
    token = {"Authorization": f"Bearer {answer.access_token.reveal()}"}
    assert (await host.browser().http.get("/api/v1/account", headers=token)).status_code == 200
    page = (await grace.go(PATH)).text
    assert named(page) == ["objectkernel command line, 203.0.113.7"]
    assert "Read your notes" in page and "less than a minute ago" in page
    assert "The access has been revoked." in await revoke(grace, "objectkernel command line")
    assert named(grace.page) == [] and "There is none." in grace.page
    assert (await host.browser().http.get("/api/v1/account", headers=token)).status_code == 401
    assert answer.refresh_token is not None
    with pytest.raises(OAuthError, match="invalid_grant"):
        await host.flow.refresh(answer.refresh_token.reveal(), CLI)


async def test_a_device_whose_key_has_ended_is_still_one(host: DeviceShop, grace: Browser) -> None:
    """While it can still be given another key, it is listed and can be revoked; after that it is gone."""
    person = await who(host, grace)
    login = (await grace.http.get("/api/v1/account")).json()["user"]["login"]
    with time_machine.travel(datetime.now(UTC) - timedelta(days=50), tick=False) as clock:
        answer = await host.let_in(await again(host, login))
        clock.shift(timedelta(days=50))
        assert await host.keys.list(person.account_id, user_id=person.user_id) == ((), None)
        browser = await again(host, login)
        assert len(named((await browser.go(PATH)).text)) == 1
        clock.shift(timedelta(days=41))
        assert named((await (await again(host, login)).go(PATH)).text) == []
        clock.shift(timedelta(days=-41))
        assert "revoked" in await revoke(browser, "objectkernel")
        assert answer.refresh_token is not None
        with pytest.raises(OAuthError, match="invalid_grant"):
            await host.flow.refresh(answer.refresh_token.reveal(), CLI)


async def again(host: DeviceShop, login: str) -> Browser:
    """Somebody signed in anew."""
    fresh = host.browser()
    await fresh.sign_in(login)
    return fresh


async def test_item_24_keys_made_by_hand(host: DeviceShop, grace: Browser) -> None:
    """They are listed beside devices, the newest first; nobody asks for a key of the account alone, or another's."""
    person, ada = await who(host, grace), await host.ada()
    for name, user in (("nightly", person.user_id), ("of ada", ada.user_id), ("of the account", None)):
        issued = await host.keys.issue(person.account_id, name, ["notes:read"], user_id=user)
        answer = await grace.http.get(f"{PATH}/{issued.key.id}")
        assert answer.status_code == (200 if user == person.user_id else 404)
        if user != person.user_id:
            sent = await grace.http.post(f"{PATH}/{issued.key.id}/revoke", data={"csrf": "x"})
            assert sent.status_code == 403
    await host.let_in(grace)
    page = (await grace.go(PATH)).text
    assert named(page) == ["objectkernel command line, 203.0.113.7", "nightly"]
    assert "made by hand" in page
    await revoke(grace, "nightly")
    assert named(grace.page) == ["objectkernel command line, 203.0.113.7"]


async def test_revoking_needs_the_form_of_its_own_page(host: DeviceShop, grace: Browser) -> None:
    """A token for another device's end is none for this one; a GET ends nothing; what is gone is told in words."""
    person = await who(host, grace)
    one, other = [
        (await host.keys.issue(person.account_id, name, ["notes:read"], user_id=person.user_id)).key
        for name in ("one", "other")
    ]
    await grace.go(f"{PATH}/{one.id}")
    csrf = re.findall('name="csrf" value="([^"]+)"', grace.page)[0]
    answer = await grace.http.post(f"{PATH}/{other.id}/revoke", data={"csrf": csrf})
    assert (answer.status_code, "too old" in answer.text) == (403, True)
    assert (await grace.http.get(f"{PATH}/{one.id}/revoke")).status_code == 405
    assert len(named((await grace.go(PATH)).text)) == 2
    for status in (303, 404):
        assert (await grace.http.post(f"{PATH}/{one.id}/revoke", data={"csrf": csrf})).status_code == status
    await grace.go(f"{PATH}/{one.id}")
    assert grace.problems == ["This access is not there, or no longer good."]
    assert f'href="{PATH}"' in grace.page


async def test_an_id_that_no_database_takes(grace: Browser) -> None:
    """It is refused like any other address that there is not, in a page."""
    for method, path in (("GET", "a%00b"), ("POST", "a%00b/revoke")):
        answer = await grace.http.request(method, f"{PATH}/{path}", headers={"Accept": "text/html"})
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text


async def test_pages(host: DeviceShop, grace: Browser) -> None:
    """Many of them come in pages."""
    person = await who(host, grace)
    for number in range(SHOWN + 1):
        await host.keys.issue(person.account_id, f"key {number:02}", ["notes:read"], user_id=person.user_id)
    first = (await grace.go(PATH)).text
    assert len(named(first)) == SHOWN and f'href="{PATH}?page=1"' in first
    second = (await grace.go(f"{PATH}?page=1")).text
    assert named(second) == ["key 00"] and "page=2" not in second
    for page in ("-1", "50", "x"):
        assert (await grace.go(f"{PATH}?page={page}")).status_code == 422


async def test_nobody_is_sent_to_sign_in(host: DeviceShop) -> None:
    """Without a session one comes back to the list afterwards."""
    answer = await host.browser().http.get(f"{PATH}/x")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?return_to=%2Faccount%2Fdevices")
