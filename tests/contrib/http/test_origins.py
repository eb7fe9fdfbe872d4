"""Pages of other origins, and the cookies that a browser sends for them."""

from __future__ import annotations

import pytest
from fastapi import APIRouter
from objectkernel_contracts import Scope, public, requires
from objectkernel_http import HttpLimits

from tests.contrib.http.shops import routed, serving
from tests.contrib.http.sockets import served

pytestmark = pytest.mark.anyio

COOKIE = {"Cookie": "session=mine"}
BROWSER = "http://shop.test"


def add(router: APIRouter) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"):

        @router.api_route(f"/{method.lower()}", methods=[method])
        @requires(Scope("mine"))
        async def closed() -> None: ...

    @router.post("/open")
    @public()
    async def open_() -> None: ...


@pytest.mark.parametrize("path", ["post", "open"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "anything"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": BROWSER}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.test"}, 200),
        ({}, 200),
        ({"Origin": BROWSER}, 200),
        ({"Origin": "https://shop.test"}, 200),
        ({"Origin": "http://SHOP.test:80"}, 200),
        ({"Origin": "http://shop.test:8080"}, 403),
        ({"Origin": "https://evil.test"}, 403),
        ({"Origin": "https://shop.test.evil.test"}, 403),
        ({"Origin": "https://user@shop.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 200),
        ({"Origin": "https://[broken"}, 403),
        ({"Origin": "https://app.test"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://app.test"}, 200),
    ],
    ids=str,
)
async def test_what_changes_something_comes_from_a_page_of_the_host(
    path: str, headers: dict[str, str], status: int
) -> None:
    """As the browser says it; an old one says it by the origin. A trusted origin may, and so may what is no browser."""
    limits = HttpLimits(origins=("https://app.test",))
    async with serving(routed(add), limits=limits) as client:
        answer = await client.post(f"/{path}", headers={**COOKIE, **headers})
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "H301"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS"])
async def test_what_changes_nothing_may_come_from_anywhere(method: str) -> None:
    """A link is one."""
    async with serving(routed(add)) as client:
        answer = await client.request(method, f"/{method.lower()}", headers={**COOKIE, "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == (200 if method in ("GET", "HEAD", "OPTIONS") else 403)


async def test_a_key_that_is_shown_is_shown_on_purpose() -> None:
    """No browser adds one by itself: with it, and without cookies, a page of anywhere may."""
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"}
    async with serving(routed(add)) as client:
        assert (await client.post("/post", headers={**foreign, "Authorization": "Bearer mine"})).status_code == 200
        both = {**foreign, **COOKIE, "Authorization": "Bearer mine"}
        assert (await client.post("/post", headers=both)).status_code == 200
        assert (await client.post("/open", headers=foreign)).status_code == 200


async def test_another_scheme_is_no_key() -> None:
    """A browser may add what somebody has typed into its own window."""
    async with serving(routed(add)) as client:
        headers = {**COOKIE, "Sec-Fetch-Site": "cross-site", "Authorization": "Basic bWluZQ=="}
        assert (await client.post("/post", headers=headers)).status_code == 403


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_behind_a_proxy_with_tls(anyio_backend: str) -> None:
    """The origin has the scheme and the port that people see; the host that was asked is the same."""
    async with served(routed(add), proxies=("127.0.0.1",)) as host, host.client() as client:
        proxied = {**COOKIE, "Host": "shop.test", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
        assert (await client.post("/post", headers={**proxied, "Origin": "https://shop.test"})).status_code == 200
        assert (await client.post("/post", headers={**proxied, "Origin": "https://evil.test"})).status_code == 403
