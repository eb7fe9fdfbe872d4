"""``/device``: typing a code, seeing who asks for what, deciding."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
import time_machine
from objectkernel_device_auth.contracts import OAuthError
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.contrib.accounts.browsers import Browser, Forms
from tests.plugins.device_auth.page_hosts import ASKER, ATLAS, CLI, DeviceShop, action_of, claim, decide, device_shop

pytestmark = pytest.mark.anyio

GOOD_FOR_NOTHING = "This code cannot be used"
CODE_COOKIE = "__Host-objectkernel-user-code"


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


async def outcome(host: DeviceShop, device_code: str) -> str:
    """What the device is told."""
    try:
        answer = await host.flow.redeem(device_code, CLI)
    except OAuthError as error:
        return error.error
    return answer.token_type


def without_tokens(page: str) -> str:
    """A page without what is made anew each time."""
    return re.sub(r'name="csrf" value="[^"]+"', "", page)


async def test_item_18_only_the_session_that_claimed_a_code_decides(host: DeviceShop, grace: Browser) -> None:
    """Without a session one is sent to sign in; another session is told of no such code, and decides nothing."""
    asked = await host.ask()
    stranger = host.browser()
    sent = await stranger.http.get("/device")
    assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in?return_to=%2Fdevice")
    await claim(grace, asked.user_code)
    action = action_of(grace.page)
    other = await host.newcomer()
    assert (await claim(other, asked.user_code)).status_code == 404
    assert (await other.go(action)).status_code == 404
    answer = await other.http.post(action, data={"csrf": "x", "decision": "approved"})
    assert (answer.status_code, GOOD_FOR_NOTHING in answer.text) == (404, True)
    assert (await stranger.http.post(action, data={"decision": "approved"})).status_code == 401
    assert await outcome(host, asked.device_code.reveal()) == "authorization_pending"
    answer = await grace.send(action, decision="approved")
    assert answer.headers["location"] == "/device/approved"
    assert await outcome(host, asked.device_code.reveal()) == "Bearer"


async def test_item_19_looking_at_pages_decides_nothing(host: DeviceShop, grace: Browser) -> None:
    """No GET claims or decides, with whatever parameters; a form counts with its own token, for its own request."""
    asked = await host.ask()
    for path in ("/device?user_code={}", "/device?user_code={}&decision=approved", "/device?csrf=x&user_code={}"):
        await grace.go(path.format(asked.user_code))
    await claim(grace, asked.user_code)
    action, page = action_of(grace.page), grace.page
    await grace.go(f"{action}?decision=approved")
    assert await outcome(host, asked.device_code.reveal()) == "authorization_pending"
    other = await host.ask()
    await claim(grace, other.user_code)
    tokens = {name: Forms(shown).found[0][1]["csrf"] for name, shown in (("own", page), ("other", grace.page))}
    await grace.go("/device")
    tokens["claim"] = Forms(grace.page).found[0][1]["csrf"]
    for token in ("", "x", "a.b.c", "ü", "x" * 500, tokens["claim"], tokens["other"]):
        answer = await grace.http.post(action, data={"csrf": token, "decision": "approved"})
        assert answer.status_code == 403, token
    assert await outcome(host, asked.device_code.reveal()) == "slow_down"
    foreign = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
    good = {"csrf": tokens["own"], "decision": "approved"}
    assert (await grace.http.post(action, data=good, headers=foreign)).status_code == 403
    assert (await grace.http.post(action, data=good)).headers["location"] == "/device/approved"


async def test_item_19_denying_is_the_default(host: DeviceShop, grace: Browser) -> None:
    """Denying is the first thing that can be reached, and what a form without a button says."""
    asked = await host.ask()
    await claim(grace, asked.user_code)
    reachable = re.findall(r"<(?:button|a|select|textarea|input(?! type=\"hidden\"))\b[^>]*>", grace.page)
    assert [re.findall('value="([a-z]+)"', one) for one in reachable] == [["denied"], ["approved"]]
    answer = await grace.send(action_of(grace.page))
    assert answer.headers["location"] == "/device/denied"
    assert await outcome(host, asked.device_code.reveal()) == "access_denied"


async def test_item_20_who_asks_for_what(host: DeviceShop) -> None:
    """The page tells the client, the scopes in words, address, program and time, and the code to compare."""
    await host.clients.register(ATLAS)
    with time_machine.travel("2026-02-03T10:00:00Z", tick=False) as clock:
        grace = await host.newcomer()
        asked = await host.ask(client="atlas")
        clock.shift(150)
        await claim(grace, asked.user_code)
        page = grace.page
        await grace.go(action_of(page), **{"Accept-Language": "fr-CH, en;q=0.5"})
    assert "<bdi>Atlas &lt;command&gt; line</bdi>" in page
    assert "<li>Read your notes</li>\n<li>Write and change your notes</li>" in page
    assert "<li>Read your notes</li>\n<li>Écrire et changer vos notes</li>" in grace.page
    assert f"<bdi>{ASKER.address}</bdi>" in page
    assert f"<bdi>{ASKER.user_agent}</bdi>" in page
    assert "2 min ago" in page and "2026-02-03 10:00 UTC" in page
    assert f">{asked.user_code}</p>" in page
    assert '<html lang="fr">' in grace.page and "Refuser" in grace.page


async def test_item_20_the_code_is_compared_also_when_it_came_with_the_address(
    host: DeviceShop, grace: Browser
) -> None:
    """An address with the code fills the field and nothing more: one goes on by hand, and sees it on the next page."""
    asked = await host.ask()
    await grace.go(f"/device?user_code={asked.user_code}")
    assert Forms(grace.page).found[0][1]["user_code"] == asked.user_code
    assert "Check that your device shows this very code" in grace.page
    assert "Approve" not in grace.page
    assert f">{asked.user_code}</p>" in (await claim(grace, asked.user_code)).text


async def test_item_22_one_page_for_every_code_that_is_no_good(host: DeviceShop, grace: Browser) -> None:
    """Wrong, malformed, expired, used, denied or another's: status, headers and page are the same."""
    approved, denied, claimed = [await host.ask() for _ in range(3)]
    await decide(grace, approved.user_code, "approved")
    await decide(grace, denied.user_code, "denied")
    other = await host.newcomer()
    await claim(other, claimed.user_code)
    with time_machine.travel("2026-02-03T10:00:00Z", tick=False):
        old = await host.ask()
    codes = [approved.user_code, denied.user_code, claimed.user_code, old.user_code, "BBBB-BBBB", "", "?" * 32]
    answers = []
    for code in codes:
        answers.append(await claim(await host.newcomer(), code))
    (page,) = {without_tokens(answer.text) for answer in answers}
    assert GOOD_FOR_NOTHING in page
    own = {"x-request-id", "ratelimit", "content-length"}
    (headers,) = {
        tuple((name, value) for name, value in answer.headers.items() if name not in own) for answer in answers
    }
    assert {answer.status_code for answer in answers} == {404}
    assert ("cache-control", "no-store") in headers
    assert without_tokens((await grace.go("/device/requests/nothing")).text) == page


async def test_item_23_headers(host: DeviceShop, grace: Browser) -> None:
    """No page sends a referrer, may be framed, kept or scripted, or loads anything of another host."""
    asked = await host.ask()
    paths = ["/device", "/device/approved", "/device/denied", "/account/devices", "/account/devices/x"]
    paths += ["/device/requests/x", f"/device?user_code={asked.user_code}"]
    await claim(grace, asked.user_code)
    for path in (*paths, action_of(grace.page)):
        answer = await grace.http.get(path)
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy == {
            "default-src": "'none'",
            "style-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert not re.search(r"<script|<style|style=|javascript:| on[a-z]+=|//", answer.text.replace("<!doctype", ""))
    style = await grace.http.get(re.findall('href="(/device/pages.css[^"]*)"', grace.page)[0])
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert "url(" not in style.text and "@import" not in style.text


async def test_item_23_the_code_leaves_the_address(host: DeviceShop, grace: Browser) -> None:
    """It goes into a cookie that only this host can make, past the sign-in, and is forgotten once it was sent."""
    asked = await host.ask()
    fresh = host.browser()
    answer = await fresh.http.get(f"/device?user_code={asked.user_code}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/device")
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith(f"{CODE_COOKIE}=") and "Max-Age=900" in cookie
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    sent = await fresh.http.get("/device")
    assert asked.user_code not in sent.headers["location"]
    await fresh.sign_in(return_to="/device")
    await fresh.go("/device")
    assert Forms(fresh.page).found[0][1]["user_code"] == asked.user_code
    await claim(fresh, asked.user_code)
    assert CODE_COOKIE not in fresh.http.cookies
    for forged in (f"{asked.user_code}:9999999999:x.y.z", asked.user_code, "", ":::", "é"):
        grace.http.cookies.set(CODE_COOKIE, forged.encode("ascii", "ignore").decode(), domain="shop.test", path="/")
        await grace.go("/device")
        assert Forms(grace.page).found[0][1]["user_code"] == "", forged


async def test_a_code_in_the_address_that_cannot_be_one_is_dropped(host: DeviceShop, grace: Browser) -> None:
    """Nothing of what a stranger's link says is shown."""
    for text in ("x" * 33, "<script>", "BCDF GHJK", "a:b", "é"):
        answer = await grace.http.get("/device", params={"user_code": text})
        assert answer.headers["location"] == "/device"
        assert "set-cookie" not in answer.headers


async def test_whoever_guesses_is_told_when_to_go_on(host: DeviceShop, grace: Browser) -> None:
    """429 with Retry-After and the seconds in words, as a page and as problem details; the right code waits as well."""
    asked = await host.ask()
    for _ in range(20):
        answer = await claim(grace, "BBBB-BBBB")
        if answer.status_code != 404:
            break
    assert answer.status_code == 429
    seconds = int(answer.headers["retry-after"])
    assert seconds > 0
    assert f"Try again in {seconds} seconds." in answer.text
    csrf = Forms(grace.page).found[0][1]["csrf"]
    told = await grace.http.post("/device", data={"csrf": csrf, "user_code": "BBBB-BBBB"}, headers={"Accept": "*/*"})
    assert (told.status_code, told.json()["code"]) == (429, "O104")
    assert int(told.headers["retry-after"]) > 0
    assert (await claim(grace, asked.user_code)).status_code == 429


async def test_nothing_to_grant(host: DeviceShop) -> None:
    """Whoever has none of the scopes can only deny; the button that is not there is refused as well."""
    asked = await host.ask("notes:write")
    viewer = await host.newcomer("viewer")
    await claim(viewer, asked.user_code)
    assert "You cannot approve this" in viewer.page and "approved" not in viewer.page
    answer = await viewer.send(action_of(viewer.page), decision="approved")
    assert answer.status_code == 422
    assert viewer.problems == ["You cannot give it what it asks for."]
    answer = await viewer.send(action_of(viewer.page))
    assert answer.headers["location"] == "/device/denied"


async def test_a_form_that_is_none_is_told_in_words(host: DeviceShop, grace: Browser) -> None:
    """A decision that is no decision, or a field that there is not, is a page to people, and details to programs."""
    asked = await host.ask()
    await claim(grace, asked.user_code)
    action = action_of(grace.page)
    for form in ({"decision": "maybe"}, {"surplus": "x"}):
        answer = await grace.http.post(action, data=form)
        assert (answer.status_code, "not filled as it should be" in answer.text) == (422, True)
        told = await grace.http.post(action, data=form, headers={"Accept": "application/json"})
        assert told.json()["code"] == "H422"
    assert await outcome(host, asked.device_code.reveal()) == "authorization_pending"


async def test_an_id_that_no_database_takes(grace: Browser) -> None:
    """It is refused like any other address that there is not, in a page."""
    for method in ("GET", "POST"):
        answer = await grace.http.request(method, "/device/requests/a%00b", headers={"Accept": "text/html"})
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text


async def test_the_session_ends_between_the_pages(host: DeviceShop, grace: Browser) -> None:
    """Whoever sends a form too late is told so, with a link: the form's page lets it lead to no other host."""
    asked = await host.ask()
    await claim(grace, asked.user_code)
    action = action_of(grace.page)
    grace.http.cookies.clear()
    answer = await grace.send(action, decision="approved")
    assert answer.status_code == 401, grace.page
    assert grace.problems == ["You are signed out. Sign in and begin again."]
    assert 'href="/sign-in?return_to=%2Fdevice"' in grace.page
    told = await grace.http.post("/device", data={}, headers={"Accept": "application/json"})
    assert (told.status_code, told.json()["code"]) == (401, "O130")


async def test_a_key_decides_nothing(host: DeviceShop, grace: Browser) -> None:
    """With a key one is nobody here, even with one of a person."""
    token = (await host.let_in(grace)).access_token.reveal()
    for method, path in (("GET", "/device"), ("POST", "/device"), ("GET", "/account/devices")):
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        answer = await host.browser().http.request(method, path, headers=headers)
        assert answer.json()["code"] == "O130", path


async def test_without_https_the_origin_is_told_to_this_host_alone(host: DeviceShop) -> None:
    """Where a browser sends nothing else that tells our own form from another's, it is let send the origin."""
    for base, policy in (
        ("http://shop.test", "same-origin"),
        ("http://localhost:8000", "no-referrer"),
        ("http://127.0.0.1", "no-referrer"),
        ("http://127.0.0.1.evil.test", "same-origin"),
    ):
        answer = await host.browser(base_url=base).http.get("/device/approved")
        assert answer.headers["referrer-policy"] == policy, base


async def test_below_a_prefix(host: DeviceShop, grace: Browser) -> None:
    """Where the host is mounted below a path, every link, form and redirection goes there."""
    asked = await host.ask()
    outside = Starlette(routes=[Mount("/device/shop", app=host.app)])
    transport = httpx.ASGITransport(outside)
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.test", cookies=grace.http.cookies) as http:
        browser = Browser(http)
        http.headers["Accept"] = "text/html"
        answer = await http.get(f"/device/shop/device?user_code={asked.user_code}")
        assert answer.headers["location"] == "/device/shop/device"
        await browser.go("/device/shop/device")
        assert 'href="/device/shop/device/pages.css' in browser.page
        answer = await browser.send("/device/shop/device", user_code=asked.user_code)
        await browser.go(answer.headers["location"])
        answer = await browser.send(action_of(browser.page), decision="approved")
        assert answer.headers["location"] == "/device/shop/device/approved"
        await browser.go("/device/shop/account/devices/devices")
        assert 'href="/device/shop/account/devices"' in browser.page
        await browser.go("/device/shop/device/requests/device")
        assert action_of(browser.page) == "/device/shop/device"
