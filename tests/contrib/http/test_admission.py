"""Who is let in."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from fastapi import APIRouter, Request
from objectkernel import Plugin, provides
from objectkernel_contracts import IDENTITY, Credentials, Identity, Principal, Scope, requires
from objectkernel_http.admission import credentials_of
from objectkernel_http.exchange import Exchange
from objectkernel_http.navigation import sign_in_url

from tests.contrib.http.shops import Shop, Tokens, granted, routed, serving, shop_kernel

pytestmark = pytest.mark.anyio

LINE = {"amount": 3}


async def test_without_a_credential_a_request_is_asked_for_one() -> None:
    """401, and how to show one (RFC 9110, section 11.6.1)."""
    async with serving(shop_kernel()) as client:
        answer = await client.post("/ledger/red", json=LINE)
    assert (answer.status_code, answer.json()["code"]) == (401, "H401")
    assert answer.headers["www-authenticate"] == "Bearer"


PAGE = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}


class SignIn(Tokens):
    def sign_in_url(self, return_to: str) -> str:
        return f"/who?return_to={quote(return_to, safe='')}"


def paged(router: APIRouter) -> None:
    @router.api_route("/pages/{name:path}", methods=["GET", "POST"])
    @requires(Scope("x"))
    async def page(request: Request, name: str) -> str:
        return name


@pytest.mark.parametrize(
    ("path", "back"),
    [
        ("/pages/a", "/pages/a"),
        ("/pages/a?b=1&c=%2F", "/pages/a?b=1&c=%2F"),
        ("/pages/%C3%A9%20%5C%0D%0A", "/pages/%C3%A9%20%5C%0D%0A"),
    ],
)
async def test_people_who_look_at_a_page_sign_in_first(path: str, back: str) -> None:
    """A browser that goes to a page is led to the sign-in, which leads back; nobody keeps that."""
    async with serving(routed(paged, identity=SignIn())) as client:
        for headers in (PAGE, {"Accept": "text/html"}, {**PAGE, "Cookie": "theme=dark"}):
            answer = await client.get(path, headers=headers)
            assert (answer.status_code, answer.headers["cache-control"], answer.content) == (303, "no-store", b"")
            assert answer.headers["location"] == f"/who?return_to={quote(back, safe='')}"


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Accept": "*/*"}, 401),
        ("GET", {**PAGE, "Sec-Fetch-Mode": "cors"}, 401),
        ("GET", {**PAGE, **granted("expired")}, 401),
        ("GET", {**PAGE, "Authorization": "Basic YTpi"}, 401),
        ("POST", PAGE, 401),
        ("GET", {**PAGE, **granted("y")}, 403),
        ("GET", {**PAGE, **granted("x")}, 200),
    ],
    ids=["program", "script", "token", "password", "change", "other scope", "right one"],
)
async def test_everybody_else_is_told(method: str, headers: dict[str, str], status: int) -> None:
    """A program, a script, a form, and whoever is known, are led nowhere."""
    async with serving(routed(paged, identity=SignIn())) as client:
        assert (await client.request(method, "/pages/a", headers=headers)).status_code == status


async def test_nobody_is_led_back_to_another_host() -> None:
    """A path that begins with two slashes would name one."""
    identity = SignIn()
    kernel = routed(paged, identity=identity)
    scope = {"type": "http", "method": "GET", "path": "//evil.test/x", "query_string": b"", "headers": []}
    scope["headers"] = [(b"accept", b"text/html")]
    async with serving(kernel):
        assert await sign_in_url(kernel, scope) == "/who?return_to=%2Fevil.test%2Fx"


async def test_cookies_over_plain_http_are_known_as_such() -> None:
    """Identity is told whether others could have set a cookie, or read it."""
    told: list[bool] = []

    class Listening(Tokens):
        async def principal(self, credentials: Credentials) -> Principal | None:
            told.append(credentials.secure)
            return None

    async with serving(routed(paged, identity=Listening())) as client:
        for base in ("http://shop.test", "https://shop.test"):
            await client.get(f"{base}/pages/a", headers={"Cookie": "a=b"})
    assert told == [False, True]


async def test_a_token_that_is_not_known_is_called_invalid() -> None:
    """401 with the error of RFC 6750, section 3.1."""
    async with serving(shop_kernel()) as client:
        answer = await client.post("/ledger/red", json=LINE, headers=granted("expired"))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_credential_without_the_scope_is_told_which_it_needs() -> None:
    """403 with the error of RFC 6750, section 3.1; the scope is no secret."""
    async with serving(shop_kernel()) as client:
        answer = await client.post("/ledger/red", json=LINE, headers=granted("ledger:read"))
    assert (answer.status_code, answer.json()["code"]) == (403, "H403")
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    assert answer.json()["detail"] == "this needs the scope ledger:write or ledger:write:{book}"


@pytest.mark.parametrize(
    ("scope", "status"), [("ledger:write", 201), ("ledger:write:red", 201), ("ledger:write:b", 403)]
)
async def test_a_scope_may_name_a_part_of_the_path(scope: str, status: int) -> None:
    """One of the scopes is enough, and one of another book is none."""
    async with serving(shop_kernel()) as client:
        answer = await client.post("/ledger/red", json=LINE, headers=granted(scope))
    assert answer.status_code == status


async def test_a_scope_without_names_only_asks_who_it_is() -> None:
    """`Scope()` is for whoever is known."""

    def add(router: APIRouter) -> None:
        @router.get("/me")
        @requires(Scope())
        async def me(request: Request) -> str:
            account: str = request.state.principal.account_id
            return account

    async with serving(routed(add)) as client:
        assert (await client.get("/me")).status_code == 401
        assert (await client.get("/me", headers=granted("anything"))).json() == "ada"


async def test_a_public_route_knows_who_comes_if_they_say() -> None:
    """Without a credential its principal is None; one that is no longer known does no harm there."""
    async with serving(shop_kernel()) as client:
        assert (await client.get("/ledger")).json() == {"by": None}
        assert (await client.get("/ledger", headers=granted("x"))).json() == {"by": "ada"}
        assert (await client.get("/ledger", headers=granted("expired"))).json() == {"by": None}


async def test_a_cookie_is_a_credential_too() -> None:
    """Identity is shown all cookies of the request."""
    async with serving(shop_kernel()) as client:
        answer = await client.post("/ledger/red", json=LINE, headers={"Cookie": "session=ledger:write"})
    assert answer.status_code == 201


async def test_nothing_of_a_body_is_read_before_its_sender_is_let_in() -> None:
    """A stranger is refused as one, whatever the body is, and costs no memory."""
    kernel = shop_kernel()
    async with serving(kernel) as client:
        read: list[bytes] = []

        async def body() -> Any:
            for part in (b"[" * 1000, b"{"):
                read.append(part)
                yield part

        answer = await client.post("/ledger/red", content=body(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 401
    assert read == []


async def test_another_method_is_not_allowed_rather_than_forbidden() -> None:
    """405 without a credential: there is nothing to be let into."""
    async with serving(shop_kernel()) as client:
        answer = await client.delete("/ledger/red")
    assert (answer.status_code, answer.headers["allow"], answer.json()["code"]) == (405, "POST", "H405")


async def test_an_identity_that_is_made_when_it_is_needed() -> None:
    """A host may provide a lazy one."""

    class Lazy(Plugin):
        name = "lazy-identity"

        @provides(IDENTITY, lifetime="lazy")
        async def identity(self) -> Identity:
            return Tokens()

    from objectkernel import ObjectKernel

    async with serving(ObjectKernel(plugins=[Shop(), Lazy()], discover=False)) as client:
        assert (await client.post("/ledger/red", json=LINE, headers=granted("ledger:write"))).status_code == 201


async def test_an_identity_that_fails_lets_nobody_in() -> None:
    """An error of the sign-in is the host's fault, and no admission."""

    class Failing(Tokens):
        async def principal(self, credentials: Credentials) -> Principal | None:
            raise RuntimeError("no database")

    async with serving(shop_kernel(identity=Failing())) as client:
        answer = await client.post("/ledger/red", json=LINE, headers=granted("ledger:write"))
    assert answer.status_code == 500


@pytest.mark.parametrize(
    ("header", "bearer"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic YTpi", None),
        ("Bearerabc", None),
        ("", None),
    ],
)
def test_which_header_shows_a_token(header: str, bearer: str | None) -> None:
    """The scheme has no case (RFC 9110, section 11.1); another scheme is no credential."""
    scope = {"type": "http", "headers": [(b"authorization", header.encode())]}
    found = credentials_of(Exchange(scope), scope)
    assert (None if found is None else found.bearer) == bearer
