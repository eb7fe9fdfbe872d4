"""Bodies and headers within the limits, and beyond them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import anyio
import httpx
import pytest
from fastapi import APIRouter, Request
from objectkernel_contracts import public
from objectkernel_http import HttpLimits
from objectkernel_http.body import BoundedBody
from objectkernel_http.exchange import Exchange
from objectkernel_http.problems import Refusal
from starlette.responses import StreamingResponse

from tests.contrib.http.shops import routed, serving

pytestmark = pytest.mark.anyio

SMALL = HttpLimits(body_bytes=10, header_bytes=300)


def counting(router: APIRouter) -> None:
    """Routes that count the bytes that come: with the host's limit, with one of their own, and without asking."""

    async def count(request: Request) -> int:
        return len(await request.body())

    async def ignore() -> int:
        return -1

    router.post("/count")(public()(count))
    router.post("/count/more", max_body_size=20)(public()(count))
    router.post("/ignore")(public()(ignore))


class Parts(httpx.AsyncByteStream):
    """A body without a declared length, whose parts end at these bytes."""

    def __init__(self, *ends: int) -> None:
        self._sizes = iter([end - begin for begin, end in pairwise([0, *ends])])

    def __aiter__(self) -> Parts:
        return self

    async def __anext__(self) -> bytes:
        for size in self._sizes:
            return b"x" * size
        raise StopAsyncIteration


@pytest.mark.parametrize(("size", "status"), [(0, 200), (10, 200), (11, 413)])
@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_has_an_end(size: int, status: int, declared: bool) -> None:
    """Whether its length is declared or not: one byte too many is 413."""
    async with serving(routed(counting), limits=SMALL) as client:
        if declared:
            answer = await client.post("/count", content=b"x" * size)
        else:
            answer = await client.send(httpx.Request("POST", "http://shop.test/count", stream=Parts(size // 2, size)))
    assert answer.status_code == status
    assert answer.json() == size if status == 200 else answer.json()["code"] == "H413"


@pytest.mark.parametrize("told", [True, False], ids=["told", "found out"])
@pytest.mark.parametrize(("size", "status"), [(20, 200), (21, 413)])
async def test_a_route_may_have_a_limit_of_its_own(size: int, status: int, told: bool) -> None:
    """In FastAPI's own words: `max_body_size`; what is longer is refused in the host's."""
    async with serving(routed(counting), limits=SMALL) as client:
        content = {"content": b"x" * size} if told else {"stream": Parts(size - 1, size)}
        answer = await client.send(httpx.Request("POST", "http://shop.test/count/more", **content))  # type: ignore[arg-type]
    assert answer.status_code == status
    assert answer.json() == size if status == 200 else answer.json()["code"] == "H413"


async def test_a_body_that_nobody_reads_is_not_measured() -> None:
    """A route that does not ask for a body answers whatever is sent."""
    async with serving(routed(counting), limits=SMALL) as client:
        assert (await client.post("/ignore", content=b"x" * 100)).json() == -1


async def test_headers_have_an_end() -> None:
    """431, of all together."""
    async with serving(routed(counting), limits=SMALL) as client:
        answer = await client.post("/ignore", headers={"X-Long": "x" * 300})
    assert (answer.status_code, answer.json()["code"]) == (431, "H431")


def body_of(limits: HttpLimits, receive: Callable[[], Awaitable[Any]]) -> tuple[BoundedBody, Exchange]:
    """A body of a request that was not declared, and the request."""
    scope = {"type": "http", "headers": []}
    exchange = Exchange(scope)
    return BoundedBody(limits, exchange, scope, receive), exchange


def message(body: bytes = b"", more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_that_never_comes_is_not_waited_for() -> None:
    """408, and the connection is closed: what comes of the body later would be taken for another request."""

    async def receive() -> Any:
        await anyio.sleep_forever()

    body, _ = body_of(HttpLimits(body_seconds=0.01), receive)
    with anyio.fail_after(10), pytest.raises(Refusal) as caught:
        await body.receive()
    assert caught.value.status_code == 408
    assert caught.value.headers == {"Connection": "close"}


async def test_a_body_that_trickles_is_not_waited_for() -> None:
    """Each byte buys its share of a second, so that one now and then does not keep a request for ever."""

    async def receive() -> Any:
        await anyio.sleep(0.02)
        return message(b"x")

    body, _ = body_of(HttpLimits(body_seconds=0.1, body_rate=1000), receive)
    with anyio.fail_after(10), pytest.raises(Refusal):
        while True:
            await body.receive()


async def test_a_body_that_comes_fast_enough_has_its_time() -> None:
    """What has come buys more time than was taken: two megabytes at a rate of one for a second."""
    slept = 0

    async def receive() -> Any:
        nonlocal slept
        slept += 1
        await anyio.sleep(0.05)
        return message(b"x" * 2**20, more=slept < 4)

    body, _ = body_of(HttpLimits(body_seconds=30, body_rate=2**20), receive)
    while (await body.receive())["more_body"]:
        pass
    assert slept == 4


async def test_the_time_of_the_route_is_not_the_senders() -> None:
    """Only waiting counts: a route may take its time with what has come."""

    async def receive() -> Any:
        return message(b"x")

    body, _ = body_of(HttpLimits(body_seconds=0.05, body_rate=10**9), receive)
    for _ in range(3):
        await body.receive()
        await anyio.sleep(0.05)


async def test_after_the_body_a_route_may_wait_for_its_senders_end() -> None:
    """Whoever listens for `http.disconnect` waits as long as it takes."""
    answers = iter([message(b"x", more=False), {"type": "http.disconnect"}])
    patience = [0.0, 0.2]  # the body has come already: it is not this that takes long

    async def receive() -> Any:
        if seconds := patience.pop(0):
            await anyio.sleep(seconds)
        return next(answers)

    body, _ = body_of(HttpLimits(body_seconds=0.05, body_rate=10**9), receive)
    assert [(await body.receive())["type"] for _ in range(2)] == ["http.request", "http.disconnect"]


async def test_once_an_answer_has_begun_nothing_is_refused() -> None:
    """It would cut the answer off."""
    begun = anyio.Event()

    async def receive() -> Any:
        await begun.wait()
        await anyio.sleep(0.1)
        return message(b"x" * 100)

    body, exchange = body_of(HttpLimits(body_bytes=10, body_seconds=0.05), receive)
    async with anyio.create_task_group() as tasks:

        @tasks.start_soon
        async def answer() -> None:
            exchange.status = 200
            begun.set()

        with anyio.fail_after(10):
            assert len((await body.receive())["body"]) == 100


async def test_a_long_answer_to_a_short_body() -> None:
    """A streamed answer is not disturbed by the limits of its request."""

    def add(router: APIRouter) -> None:
        @router.post("/stream")
        @public()
        async def stream() -> StreamingResponse:
            return StreamingResponse(Parts(*range(1000, 51_000, 1000)))

    async with serving(routed(add), limits=SMALL) as client:
        assert len((await client.post("/stream", content=b"x" * 10)).content) == 50_000
