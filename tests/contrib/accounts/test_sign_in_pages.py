"""``/sign-in`` and ``/sign-out``, as browsers and programs see them."""

from __future__ import annotations

import logging
import re

import httpx
import pytest

from tests.contrib.accounts.browsers import ADA, Shop, shop
from tests.contrib.accounts.hosts import PASSWORD

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop is enough for pages: what is behind them is tested on both."""
    return "asyncio"


def cookies(answer: httpx.Response) -> dict[str, str]:
    """The attributes of the cookies that an answer sets, by name."""
    return {name: rest for name, _, rest in (header.partition("=") for header in answer.headers.get_list("set-cookie"))}


async def test_coming_and_going(served: Shop) -> None:
    """Whoever asks for their page signs in, sees it, and signs out again."""
    browser = served.browser()
    answer = await browser.go("/account")
    assert answer.url.path == "/sign-in"
    answer = await browser.send("/sign-in", login="ADA@example.org", password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    answer = await browser.go("/account")
    assert answer.status_code == 200 and ADA in browser.page and "Engines" in browser.page
    answer = await browser.send("/sign-out")
    assert answer.headers["location"] == "/sign-in?done=signed_out"
    await browser.go(answer.headers["location"])
    assert browser.notices == ["You are signed out."]
    assert (await browser.go("/account")).url.path == "/sign-in"


async def test_the_cookie_over_https(served: Shop) -> None:
    """The session's cookie is for this host alone, over https alone, not for scripts, nor for others' forms."""
    answer = await served.browser().sign_in()
    found = cookies(answer)["__Host-objectkernel-session"]
    parts = {part.strip().lower() for part in found.split(";")[1:]}
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= parts
    assert not any(part.startswith("domain") for part in parts)


async def test_the_cookie_on_this_machine(served: Shop) -> None:
    """Without TLS on this machine the cookie has another name, and is worth nothing over https."""
    browser = served.browser("http://127.0.0.1:8000")
    answer = await browser.sign_in()
    found = cookies(answer)
    assert set(found) == {"objectkernel-session", "objectkernel-device"}
    assert "secure" not in found["objectkernel-session"].lower()
    assert (await browser.go("/account")).url.path == "/account"
    token = browser.http.cookies["objectkernel-session"]
    for name in ("__Host-objectkernel-session", "objectkernel-session"):
        elsewhere = served.browser()
        elsewhere.http.cookies.set(name, token)
        assert (await elsewhere.go("/account")).url.path == "/sign-in"
        answer = await elsewhere.http.get("/api/v1/account", headers={"Accept": "application/json"})
        assert answer.status_code == 401


async def test_where_others_listen(served: Shop) -> None:
    """Nobody signs in over plain http from elsewhere; the page says why."""
    for base_url, may in {
        "http://shop.test": False,
        "http://192.0.2.9": False,
        "http://localhost:8000": True,
        "http://shop.localhost": True,
        "http://[::1]:8000": True,
        "https://shop.test": True,
    }.items():
        browser = served.browser(base_url)
        answer = await browser.sign_in()
        assert answer.status_code == (303 if may else 403)
        assert bool(browser.problems) != may
        assert may or not cookies(answer).keys() & {"objectkernel-session"}


async def test_where_others_listen_and_may(anyio_backend: str) -> None:
    """Whoever wants plain http all the same says so."""
    async with shop(config={"plain_http": True}) as served:
        assert (await served.browser("http://shop.test").sign_in()).status_code == 303


async def test_a_wrong_password(served: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """The page says so with status 403, keeps the login, and shows no password; the log has neither."""
    caplog.set_level(logging.DEBUG)
    browser = served.browser()
    answer = await browser.sign_in(password="hunter2 hunter2")
    assert answer.status_code == 403
    assert browser.problems == ["The login or the password is wrong."]
    assert f'value="{ADA}"' in browser.page
    assert "hunter2" not in browser.page + caplog.text
    assert ADA not in caplog.text
    answer = await browser.send("/sign-in", password=PASSWORD)
    assert answer.status_code == 303


async def test_too_many(served: Shop) -> None:
    """Too many wrong passwords are answered with 429 and when to come again, for programs too."""
    browser = served.browser()
    for _ in range(6):
        await browser.sign_in(password="wrong password")
    answer = await browser.sign_in()
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
    assert browser.problems == [f"Too many wrong passwords. Try again in {answer.headers['retry-after']} seconds."]
    browser.http.headers["Accept"] = "application/json"
    await browser.go("/sign-in")
    answer = await browser.send("/sign-in", login=ADA, password=PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (429, "A202")
    assert int(answer.headers["retry-after"]) >= 1


async def test_back_to_where_one_was(served: Shop) -> None:
    """After signing in a browser goes on with a path of this host, and never to another one."""
    browser = served.browser()
    await browser.sign_in()
    elsewhere = [
        "",
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "\\/evil.test",
        "/\t/evil.test",
        "/ /evil.test",
        "javascript:alert(1)",
        "evil.test",
        "/x\r\nSet-Cookie: a=b",
        "http:///evil.test",
        "//[",
        "//\u2100.test",
        "///evil.test",
        "/\u2028/evil.test",
        "\uff0f\uff0fevil.test",
        "/\\\\evil.test",
        "/" + "x" * 5000,
    ]
    for return_to, location in {
        "/device?code=1": "/device?code=1",
        "/a%20b": "/a%20b",
        "/%2f%2fevil.test": "/%2f%2fevil.test",
        "/\uff0fevil.test": "/%EF%BC%8Fevil.test",
        **dict.fromkeys(elsewhere, "/account"),
    }.items():
        answer = await browser.http.get("/sign-in", params={"return_to": return_to})
        assert (answer.status_code, answer.headers["location"]) == (303, location)
    for return_to, location in (("/device", "/device"), ("//evil.test", "/account")):
        other = served.browser()
        await other.go("/sign-in")
        answer = await other.send("/sign-in", login=ADA, password=PASSWORD, return_to=return_to)
        assert answer.headers["location"] == location


async def test_forms_of_others(served: Shop) -> None:
    """A form that the browser was not shown is refused: without its token, with another browser's, without a cookie."""
    mine, other = served.browser(), served.browser()
    await mine.go("/sign-in")
    await other.go("/sign-in")
    foreign = re.search('name="csrf" value="([^"]+)"', other.page)
    assert foreign
    for token in ("", "x", foreign[1]):
        answer = await mine.send("/sign-in", csrf=token, login=ADA, password=PASSWORD)
        assert answer.status_code == 403 and not cookies(answer)
    mine.http.cookies.clear()
    assert (await mine.send("/sign-in", login=ADA, password=PASSWORD)).status_code == 403
    assert (await mine.send("/sign-in", login=ADA, password=PASSWORD)).status_code == 303  # of the page it was shown


async def test_a_session_ends_a_form(served: Shop) -> None:
    """The token of a form from before signing in is none for the forms after it, nor that of a session before."""
    browser = served.browser()
    await browser.go("/sign-in")
    before = re.search('name="csrf" value="([^"]+)"', browser.page)
    await browser.sign_in()
    await browser.go("/account")
    assert before
    assert (await browser.send("/sign-out", csrf=before[1])).status_code == 403
    await browser.go("/account")
    old = browser.page
    await browser.send("/sign-out")
    await browser.sign_in()
    browser.page = old
    assert (await browser.send("/account/name", name="x")).status_code == 403


async def test_a_change_of_keys_keeps_forms(served: Shop) -> None:
    """A form that was shown before the host's secret was changed can be sent after it."""
    browser = served.browser()
    await browser.go("/sign-in")
    served.ring.ids.insert(0, "second")
    assert (await browser.send("/sign-in", login=ADA, password=PASSWORD)).status_code == 303


async def test_a_new_token_at_each_sign_in(served: Shop) -> None:
    """A token that somebody planted before does not become the session's; an old session ends."""
    browser = served.browser()
    browser.http.cookies.set("__Host-objectkernel-session", "planted")
    await browser.sign_in()
    page, tokens = browser.page, [browser.http.cookies.get("__Host-objectkernel-session", domain="shop.test")]
    browser.page = page  # the form in another tab
    assert (await browser.send("/sign-in", login=ADA, password=PASSWORD)).status_code == 303
    tokens.append(browser.http.cookies.get("__Host-objectkernel-session", domain="shop.test"))
    assert len({"planted", None, *tokens}) == 4
    for token, path in zip(tokens, ("/sign-in", "/account"), strict=True):
        other = served.browser()
        other.http.cookies.set("__Host-objectkernel-session", str(token))
        assert (await other.go("/account")).url.path == path


async def test_pages_keep_to_themselves(served: Shop) -> None:
    """Pages load nothing, run nothing, cannot be framed, are not kept, and tell no other host where one was."""
    browser = served.browser()
    await browser.sign_in()
    for path in ("/account", "/sign-out", "/invitation/x", "/reset/x"):
        answer = await browser.go(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert "script" not in answer.text and "http" not in answer.text.replace("http-equiv", "")
        assert "style=" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_languages(served: Shop) -> None:
    """Pages are in English or French, as the browser likes."""
    for accepted, language in {
        "fr-CH, fr;q=0.9, en;q=0.8": "fr",
        "de, en;q=0.5, fr;q=0.4": "en",
        "": "en",
        "xx;q=oops,fr;q=0.1": "fr",
    }.items():
        browser = served.browser()
        await browser.go("/sign-in", **{"Accept-Language": accepted})
        assert f'<html lang="{language}">' in browser.page
        assert ("Se connecter" in browser.page) == (language == "fr")


async def test_what_is_typed_is_no_markup(served: Shop) -> None:
    """What somebody types, or calls themselves, is shown as text."""
    browser = served.browser()
    await browser.sign_in(login='"><b>x')
    assert "<b>" not in browser.page
    await browser.sign_in()
    await browser.go("/account")
    await browser.send("/account/name", name="<i>Ada</i>")
    await browser.go("/account")
    assert "<i>" not in browser.page and "&lt;i&gt;Ada" in browser.page


async def test_below_a_prefix(served: Shop) -> None:
    """Behind a proxy that serves the host below a path, pages, forms and redirections have the path."""
    transport = httpx.ASGITransport(served.app, root_path="/shop")
    async with httpx.AsyncClient(transport=transport, base_url="https://test", headers={"Accept": "text/html"}) as http:
        answer = await http.get("/shop/account")
        assert answer.headers["location"] == "/shop/sign-in?return_to=%2Fshop%2Faccount"
        answer = await http.get(answer.headers["location"])
        assert 'action="/shop/sign-in"' in answer.text


async def test_forms_that_are_none(served: Shop) -> None:
    """What no page of ours would send is answered with a page, in the browser's language; a program is told more."""
    browser = served.browser()
    await browser.sign_in()
    for path, fields in (
        ("/sign-in", {"surprise": "x"}),
        ("/account/switch", {"account": "no id"}),
        ("/account/sessions/end", {}),
        ("/reset/x", {"surprise": "x"}),
    ):
        answer = await browser.http.post(path, data=fields, headers={"Accept-Language": "fr"})
        assert (answer.status_code, answer.headers["cache-control"]) == (422, "no-store")
        assert answer.headers["content-type"].startswith("text/html") and "Revenez à sa page" in answer.text
        answer = await browser.http.post(path, data=fields, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (422, "H422")


async def test_forms_that_are_too_long(served: Shop) -> None:
    """Nobody types as much: it is not read, and not shown again."""
    browser = served.browser()
    assert (await browser.sign_in(login="x" * 100_000)).status_code == 413
    assert (await browser.sign_in(login="x" * 10_000)).status_code == 403
