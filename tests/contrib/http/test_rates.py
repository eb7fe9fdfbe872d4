"""How often somebody may ask."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
import httpx
import pytest
from fastapi import APIRouter
from objectkernel import ObjectKernel
from objectkernel_contracts import Credentials, Principal, Scope, public, requires
from objectkernel_http import RATE_STORE, HttpLimits, Taken, asgi_app, kernel_lifespan
from objectkernel_http.rates import MemoryRates

from tests.contrib.http.shops import Shop, routed, serving, shop_kernel

pytestmark = pytest.mark.anyio

FEW = HttpLimits(key_rate=0.3, account_rate=0.5, address_rate=0.2, rate_exempt=())
"""Three for a key, five for an account, two for an address: in ten seconds."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Keys:
    """An identity whose tokens are ``account`` or ``account/key``."""

    async def principal(self, credentials: Credentials) -> Principal | None:
        account, _, key = (credentials.bearer or "").partition("/")
        return Principal(account_id=account, key_id=key or None, scopes={"mine"}) if account != "unknown" else None

    def sign_in_url(self, return_to: str) -> str:
        return return_to


def shown(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def add(router: APIRouter) -> None:
    @router.get("/open")
    @public()
    async def open_() -> None: ...

    @router.get("/mine")
    @requires(Scope("mine"))
    async def mine() -> None: ...


def host() -> ObjectKernel:
    return shop_kernel(Shop(lambda: _router()), identity=Keys())


def _router() -> APIRouter:
    router = APIRouter()
    add(router)
    return router


async def statuses(client: httpx.AsyncClient, count: int, path: str = "/open", **options: Any) -> list[int]:
    return [(await client.get(path, **options)).status_code for _ in range(count)]


async def test_a_bucket_empties_and_fills_again() -> None:
    """As many as it holds at once; then as many a second as its rate is."""
    clock = Clock()
    rates = MemoryRates(clock)

    async def take() -> Taken:
        return await rates.take("a", 10, 5)

    assert [await take() for _ in range(10)] == [Taken(True, 9 - n, (n + 1) / 2) for n in range(10)]
    assert await take() == Taken(False, 0, 0.5)
    clock.now += 0.25
    assert await take() == Taken(False, 0, 0.25)
    clock.now += 0.25
    assert await take() == Taken(True, 0, 5.0)
    clock.now += 3600
    assert await take() == Taken(True, 9, 0.5)


async def test_memory_is_bounded() -> None:
    """Whoever asked longest ago is forgotten first."""
    rates = MemoryRates(Clock(), most=3)
    for bucket in ("a", "b", "c", "a", "d"):
        await rates.take(bucket, 10, 5)
    assert (await rates.take("a", 10, 5)).remaining == 7
    assert (await rates.take("b", 10, 5)).remaining == 9


async def test_one_too_many() -> None:
    """429 with when to come again, in the headers that are to be a standard and in the one that is."""
    async with serving(host(), limits=FEW) as client:
        first = await client.get("/open")
        await client.get("/open")
        last = await client.get("/open")
    assert first.headers["ratelimit-policy"] == '"address";q=2;w=10'
    assert first.headers["ratelimit"] == '"address";r=1;t=5'
    assert (last.status_code, last.json()["code"]) == (429, "H429")
    assert last.headers["retry-after"] == "5"
    assert last.headers["ratelimit"] == '"address";r=0;t=5'
    assert last.json()["detail"] == "too many requests of this address: 2 in 10 seconds"


async def test_a_key_and_its_account_are_counted() -> None:
    """Two keys of one account have the account's bucket together; an address has nothing to do with them."""
    async with serving(host(), limits=FEW) as client:
        answer = await client.get("/mine", headers=shown("ada/1"))
        assert answer.headers["ratelimit-policy"] == '"key";q=3;w=10, "account";q=5;w=10'
        assert answer.headers["ratelimit"] == '"key";r=2;t=4, "account";r=4;t=2'
        assert await statuses(client, 3, "/mine", headers=shown("ada/1")) == [200, 200, 429]
        assert await statuses(client, 3, "/mine", headers=shown("ada/2")) == [200, 200, 429]
        assert await statuses(client, 1, "/mine", headers=shown("bob/3")) == [200]
        assert await statuses(client, 2) == [200, 200]


async def test_a_person_has_no_key() -> None:
    """Only the account is counted."""
    async with serving(host(), limits=FEW) as client:
        assert await statuses(client, 6, "/mine", headers=shown("ada")) == [200] * 5 + [429]


async def test_who_guesses_credentials_is_counted_by_address() -> None:
    """What is not known is nobody's; and whoever is refused was counted."""
    async with serving(host(), limits=FEW) as client:
        assert await statuses(client, 3, "/mine", headers=shown("unknown")) == [401, 401, 429]
        assert await statuses(client, 1) == [429]
        assert await statuses(client, 1, "/mine", headers=shown("ada")) == [200]


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("203.0.113.1", "203.0.113.2", False),
        ("203.0.113.1", "::ffff:203.0.113.1", True),
        ("2001:db8:1:2::3", "2001:db8:1:2:ffff::4", True),
        ("2001:db8:1:2::3", "2001:db8:1:3::3", False),
    ],
)
async def test_what_one_address_is(first: str, second: str, together: bool) -> None:
    """Of IPv6 the part that one customer has."""
    kernel = host()
    app = asgi_app(kernel, limits=attrs.evolve(FEW, address_rate=0.1))
    async with kernel_lifespan(kernel)(app):
        found = []
        for address in (first, second):
            transport = httpx.ASGITransport(app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
                found += await statuses(client, 1)
    assert found == [200, 429 if together else 200]


async def test_this_machine_is_not_counted_unless_it_is_to_be() -> None:
    """A proxy that was not named would be everybody."""
    async with serving(host(), limits=attrs.evolve(FEW, rate_exempt=HttpLimits().rate_exempt)) as client:
        assert await statuses(client, 5) == [200] * 5
        assert "ratelimit" not in (await client.get("/open")).headers


async def test_a_rate_of_nothing_is_no_limit() -> None:
    """0 switches one off, and leaves the others."""
    async with serving(host(), limits=attrs.evolve(FEW, address_rate=0, key_rate=0)) as client:
        assert await statuses(client, 5) == [200] * 5
        assert await statuses(client, 6, "/mine", headers=shown("ada/1")) == [200] * 5 + [429]


async def test_places_of_one_kernel_count_together() -> None:
    """Another application of it does not begin anew."""
    kernel = host()
    first, second = asgi_app(kernel, limits=FEW), asgi_app(kernel, limits=FEW)
    async with kernel_lifespan(kernel)(first):
        for app, expected in ((first, 200), (second, 200), (first, 429)):
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.test") as client:
                assert await statuses(client, 1) == [expected]


class Shared:
    """A store that grants what it is told to, or fails."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []
        self.answer: Any = Taken(True, 1, 1.0)

    async def take(self, bucket: str, quota: int, seconds: int) -> Taken:
        self.asked.append((bucket, quota, seconds))
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            await anyio.sleep_forever()
        assert isinstance(self.answer, Taken)
        return self.answer


async def test_a_store_of_many_hosts() -> None:
    """In the place of the memory, where a plugin provides it."""
    shared = Shared()
    async with serving(host().provide(RATE_STORE, shared), limits=FEW) as client:
        assert await statuses(client, 3) == [200] * 3
        shared.answer = Taken(False, 0, 7.2)
        answer = await client.get("/open")
    assert shared.asked == [("address:127.0.0.1", 2, 10)] * 4
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "8")


@pytest.mark.parametrize("failure", [OSError("no route"), None], ids=["fails", "hangs"])
async def test_a_store_that_fails_refuses_nobody(
    failure: Exception | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told once in a while, and not for each request."""
    monkeypatch.setattr("objectkernel_http.rates.PATIENCE", 0.05)
    shared = Shared()
    shared.answer = failure
    async with serving(host().provide(RATE_STORE, shared), limits=FEW) as client:
        assert await statuses(client, 5) == [200] * 5
    assert caplog.text.count("nobody is limited") == 1


async def test_what_is_no_route_is_not_counted() -> None:
    """Neither is the host's health."""
    async with serving(routed(add), limits=FEW) as client:
        assert await statuses(client, 5, "/livez") == [200] * 5
        assert await statuses(client, 5, "/nowhere") == [404] * 5
