"""``/account``: what somebody sees and changes about themselves."""

from __future__ import annotations

import pytest
from objectkernel_accounts.identity import HOST_PREFIX, SESSION_COOKIE

from tests.contrib.accounts.browsers import ADA, Browser, Shop
from tests.contrib.accounts.hosts import OTHER, PASSWORD

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop is enough for pages: what is behind them is tested on both."""
    return "asyncio"


async def at_home(served: Shop, **options: str) -> Browser:
    """A browser that shows its own page."""
    browser = served.browser(**options)
    await browser.sign_in()
    await browser.go("/account")
    return browser


def token(browser: Browser) -> str:
    found = browser.http.cookies.get(f"{HOST_PREFIX}{SESSION_COOKIE}")
    assert found
    return found


async def test_changing_the_password(served: Shop) -> None:
    """The new password counts, other browsers are signed out, this one goes on with another token."""
    browser, other = await at_home(served), await at_home(served)
    before = token(browser)
    answer = await browser.send("/account/password", current=PASSWORD, password=OTHER, again=OTHER)
    assert answer.headers["location"] == "/account?done=password_changed"
    assert token(browser) != before
    await browser.go(answer.headers["location"])
    assert browser.notices == ["Your password has been changed."]
    assert (await other.go("/account")).url.path == "/sign-in"
    assert (await served.browser().sign_in(password=OTHER)).status_code == 303


async def test_a_change_that_is_refused(served: Shop) -> None:
    """The page says everything that is wrong, with its status, and changes nothing."""
    browser = await at_home(served)
    for fields, status, problem in (
        ({"current": "wrong password", "password": OTHER, "again": OTHER}, 403, "The login or the password is wrong."),
        ({"current": PASSWORD, "password": OTHER, "again": OTHER + "x"}, 422, "The two passwords are not the same."),
        ({"current": PASSWORD, "password": "short", "again": "short"}, 422, "fewer than 12"),
        ({"current": PASSWORD, "password": "Password1234!", "again": "Password1234!"}, 422, "first that somebody"),
    ):
        answer = await browser.send("/account/password", **fields)
        assert answer.status_code == status
        assert problem in browser.problems[0]
    await browser.go("/account")
    assert ADA in browser.page


async def test_sessions(served: Shop) -> None:
    """Somebody sees where they are signed in, ends one session, and all of them."""
    browser, other = await at_home(served), await at_home(served)
    await browser.go("/account")
    assert browser.page.count("Firefox") == 2
    await browser.send("/account/sessions/end")
    assert (await other.go("/account")).url.path == "/sign-in"
    third = await at_home(served)
    await browser.go("/account")
    answer = await browser.send("/account/sign-out-everywhere")
    assert answer.headers["location"] == "/sign-in?done=signed_out"
    for one in (browser, third):
        assert (await one.go("/account")).url.path == "/sign-in"


async def test_another_account(served: Shop) -> None:
    """Somebody who is in several accounts goes on in another one, with another token."""
    other = await served.accounts.create("Elsewhere")
    ada = await served.people.find(ADA)
    assert ada
    link = await served.people.invite(ADA, other.id, "viewer")
    await served.people.join(link.token.reveal(), ada.id)
    browser = await at_home(served)
    before = token(browser)
    assert (await browser.http.get("/api/v1/account")).json()["account"]["name"] == "Engines"
    assert (await browser.send("/account/switch")).status_code == 303
    me = (await browser.http.get("/api/v1/account")).json()
    assert (me["account"]["name"], me["role"]) == ("Elsewhere", "viewer")
    assert token(browser) != before
    foreign = await served.accounts.create("Foreign")
    await browser.go("/account")
    answer = await browser.send("/account/switch", account=foreign.id)
    assert answer.status_code == 404 and browser.problems == ["There is no such person."]


async def test_a_name(served: Shop) -> None:
    """Somebody says what they are called."""
    browser = await at_home(served)
    await browser.send("/account/name", name="Ada L.")
    assert (await browser.http.get("/api/v1/account")).json()["user"]["name"] == "Ada L."
    answer = await browser.send("/account/name", name="x" * 201)
    assert answer.status_code == 422 and browser.problems


async def test_without_a_session(served: Shop) -> None:
    """A browser without a session is sent to sign in, a program refused; nothing happens."""
    forms = ("name", "password", "switch", "sessions/end", "sign-out-everywhere")
    fields = {"switch": {"account": "0" * 8 + "-0000-0000-0000-" + "0" * 12}}
    fields["sessions/end"] = {"session": fields["switch"]["account"]}
    browser = served.browser()
    for form in forms:
        answer = await browser.http.post(f"/account/{form}", data=fields.get(form, {"csrf": "x"}))
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        answer = await browser.http.post(
            f"/account/{form}", data=fields.get(form, {"csrf": "x"}), headers={"Accept": "application/json"}
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "A206")
    answer = await browser.http.get("/account", headers={"Accept": "*/*"})
    assert answer.status_code == 401


async def test_every_form_is_ones_own(served: Shop) -> None:
    """No form of the page is taken without the token of the page."""
    browser = await at_home(served)
    id = "00000000-0000-0000-0000-000000000000"
    for form, fields in {
        "name": {},
        "password": {"current": PASSWORD, "password": OTHER, "again": OTHER},
        "switch": {"account": id},
        "sessions/end": {"session": id},
        "sign-out-everywhere": {},
    }.items():
        for csrf in ("", "x.first.y"):
            answer = await browser.http.post(f"/account/{form}", data={"csrf": csrf, **fields})
            assert answer.status_code == 403
            assert "too old" in answer.text
    assert (await browser.go("/account")).url.path == "/account"
