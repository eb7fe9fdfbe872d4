"""``/invitation/{token}`` and ``/reset/{token}``."""

from __future__ import annotations

import logging

import pytest

from tests.contrib.accounts.browsers import ADA, Shop
from tests.contrib.accounts.hosts import OTHER, PASSWORD

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop is enough for pages: what is behind them is tested on both."""
    return "asyncio"


async def invited(served: Shop, login: str) -> str:
    """The path of an invitation into the administrator's account."""
    ((account, *_), _) = await served.accounts.list()
    return (await served.people.invite(login, account.id)).path


async def test_joining_as_somebody_new(served: Shop) -> None:
    """Whoever opens an invitation chooses a password, and is signed in; the link is spent."""
    path = await invited(served, "bob@example.org")
    browser = served.browser()
    await browser.go(path)
    assert "Engines" in browser.page and "bob@example.org" in browser.page
    answer = await browser.send(path, name="Bob", password=OTHER, again=OTHER)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    me = (await browser.http.get("/api/v1/account")).json()
    assert (me["user"]["name"], me["role"]) == ("Bob", "member")
    answer = await browser.go(path)
    assert answer.status_code == 404 and "cannot be used" in browser.problems[0]


async def test_a_password_that_is_refused(served: Shop) -> None:
    """What is wrong is said on the page, and the link can be used again."""
    path = await invited(served, "bob@example.org")
    browser = served.browser()
    await browser.go(path)
    for password, again in (("short", "short"), (OTHER, OTHER + "x"), ("bob@example.org", "bob@example.org")):
        answer = await browser.send(path, password=password, again=again)
        assert answer.status_code == 422 and browser.problems
        assert password not in browser.page or password == "bob@example.org"
    assert (await browser.send(path, password=OTHER, again=OTHER)).status_code == 303


async def test_joining_as_somebody_known(served: Shop) -> None:
    """Whoever is known signs in, comes back to the invitation, joins, and goes on in the new account."""
    other = await served.accounts.create("Elsewhere")
    path = (await served.people.invite(ADA, other.id, "admin")).path
    browser = served.browser()
    await browser.go(path)
    assert f"/sign-in?return_to={path.replace('/', '%2F')}" in browser.page
    answer = await browser.sign_in(return_to=path)
    assert answer.headers["location"] == path
    await browser.go(path)
    assert (await browser.send(path)).status_code == 303
    me = (await browser.http.get("/api/v1/account")).json()
    assert (me["account"]["name"], me["role"]) == ("Elsewhere", "admin")


async def test_a_new_password(served: Shop) -> None:
    """Whoever opens the link chooses a new password, signs in with it, and the link is spent."""
    ada = await served.people.find(ADA)
    assert ada
    path = (await served.people.reset_link(ada.id)).path
    old = served.browser()
    await old.sign_in()
    browser = served.browser()
    await browser.go(path)
    assert (await browser.send(path, password="short", again="short")).status_code == 422
    answer = await browser.send(path, password=OTHER, again=OTHER)
    assert answer.headers["location"] == "/sign-in?done=password_changed"
    assert (await old.go("/account")).url.path == "/sign-in"
    assert (await browser.sign_in(password=OTHER)).status_code == 303
    assert (await browser.go(path)).status_code == 404


async def test_links_that_are_none(served: Shop) -> None:
    """Whatever is no link is a page with 404, and a problem for programs."""
    browser = served.browser()
    for path in ("/invitation/x", "/reset/x", "/invitation/%00", "/reset/" + "x" * 5000):
        assert (await browser.go(path)).status_code == 404
        answer = await browser.http.post(path, data={"csrf": "x"})
        assert answer.status_code == 404
        answer = await browser.http.get(path, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (404, "A107")


async def test_forms_of_others(served: Shop) -> None:
    """A link is not used by a form that the browser was not shown."""
    ada = await served.people.find(ADA)
    assert ada
    for path in (await invited(served, "bob"), (await served.people.reset_link(ada.id)).path):
        browser = served.browser()
        await browser.go(path)
        answer = await browser.send(path, csrf="x", password=OTHER, again=OTHER)
        assert answer.status_code == 403
    assert (await served.browser().sign_in()).status_code == 303


async def test_no_log_has_a_link(served: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the token of a link nor a password is logged."""
    caplog.set_level(logging.DEBUG)
    path = await invited(served, "bob")
    browser = served.browser()
    await browser.go(path)
    await browser.send(path, password=OTHER, again=OTHER)
    ours = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("http"))
    assert OTHER not in ours and PASSWORD not in ours
    assert path.rpartition("/")[2] not in ours
