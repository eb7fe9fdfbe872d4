"""Senders who do not come to the point."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, Request
from objectkernel_contracts import public
from objectkernel_http import service
from objectkernel_http.problems import MEDIA_TYPE
from starlette.responses import StreamingResponse

from tests.contrib.http.shops import BASKET, Shop, routed, shop_kernel
from tests.contrib.http.sockets import served

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """uvicorn runs on asyncio."""
    return "asyncio"


def parsed(answer: bytes) -> tuple[int, dict[str, str], Any]:
    """The status, the headers and the JSON of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, json.loads(body)


def counting(router: APIRouter) -> None:
    """A route that counts the bytes of a body, and one that does not ask for it."""

    @router.post("/count")
    @public()
    async def count(request: Request) -> int:
        return len(await request.body())

    @router.post("/ignore")
    @public()
    async def ignore() -> int:
        return -1


@pytest.mark.parametrize("parts", [[], [b"GET / HTTP/1.1\r\nHost: a\r\n"], [b"G", b"E", b"T"]])
async def test_a_head_that_does_not_come(parts: list[bytes]) -> None:
    """Nothing, half of it, or a byte now and then: 408, and the connection is closed."""
    async with served(shop_kernel(), header_seconds=0.2) as host:
        status, headers, problem = parsed(await host.send(*parts, pause=0.02))
    assert (status, headers["connection"], headers["content-type"]) == (408, "close", MEDIA_TYPE)
    assert problem["code"] == "H408"


async def test_a_second_head_that_does_not_come() -> None:
    """After an answer a connection waits for the next request as long as it may be idle, and for half of one less."""
    first = b"GET /ledger HTTP/1.1\r\nHost: a\r\n\r\n"
    async with served(shop_kernel(), header_seconds=0.2, idle_seconds=60) as host:
        answer = await host.send(first, b"GET /led", pause=0.1)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.endswith(b'{"by":null}')


@pytest.mark.parametrize(
    "head",
    [
        b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1" + b"0" * 5000 + b"\r\n\r\n",
        b"\xff\xfe\x00 / HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_request(head: bytes) -> None:
    """A length that is none, two lengths, one without an end, noise: 400, and the connection is closed."""
    async with served(routed(counting)) as host:
        status, headers, problem = parsed(await host.send(head))
    assert (status, headers["connection"], problem["code"]) == (400, "close", "H400")


@pytest.mark.parametrize("begin", [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"GET /"])
async def test_a_head_without_an_end(begin: bytes) -> None:
    """It is not kept: the connection ends while most of it has not been sent."""
    sent = 0

    async def pour(port: int) -> None:
        nonlocal sent
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begin)
        with contextlib.suppress(ConnectionError):
            while sent < 1000:
                writer.write(b"x" * 100_000)
                await writer.drain()
                sent += 1
        writer.close()

    async with served(routed(counting)) as host:
        await pour(host.port)
    assert sent < 1000


async def test_a_body_that_does_not_come() -> None:
    """Its route waits for it no longer than the limits say."""
    head = b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"
    async with served(routed(counting), body_seconds=0.2) as host:
        status, headers, problem = parsed(await host.send(head))
    assert (status, headers["connection"], problem["code"]) == (408, "close", "H408")


async def test_a_body_that_goes_on_after_its_answer() -> None:
    """Whoever has had an answer, and sends on and on, is left."""

    async def drip(port: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answered = asyncio.ensure_future(reader.read())
        writer.write(b"POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while not answered.done() and sent < 900:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
                sent += 1
        writer.close()
        await asyncio.gather(answered, return_exceptions=True)
        return sent

    async with served(routed(counting), header_seconds=0.2) as host:
        assert await drip(host.port) < 900


async def test_a_body_that_is_too_long_gets_an_answer() -> None:
    """Its sender reads 413 after having sent everything."""
    async with served(routed(counting), body_bytes=1000) as host, host.client() as client:
        answer = await client.post("/count", content=b"x" * 5_000_000)
        assert (answer.status_code, answer.json()["code"]) == (413, "H413")
        assert (await client.post("/count", content=b"x" * 1000)).json() == 1000


async def test_the_scope_ends_when_its_sender_goes_away() -> None:
    """A stream to somebody who has left stops, and what it used is torn down."""
    began = asyncio.Event()

    def make() -> APIRouter:
        router = APIRouter()

        @router.get("/stream")
        @public()
        async def stream(basket: Annotated[list[Any], Depends(service(BASKET))]) -> StreamingResponse:
            async def parts() -> Any:
                while True:
                    began.set()
                    yield b"x" * 1000
                    await asyncio.sleep(0.01)

            return StreamingResponse(parts())

        return router

    shop = Shop(make)
    async with served(shop_kernel(shop)) as host:
        _, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        await began.wait()
        assert shop.baskets == ["made"]
        writer.transport.abort()
        async with asyncio.timeout(10):
            while shop.baskets != ["made", "gone"]:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("proxies", "seen"), [((), "127.0.0.1"), (("127.0.0.1",), "203.0.113.7"), (("10.0.0.1",), "127.0.0.1")]
)
async def test_only_a_named_proxy_is_believed(proxies: tuple[str, ...], seen: str) -> None:
    """Whoever else says where a request comes from is not listened to."""

    def add(router: APIRouter) -> None:
        @router.get("/me")
        @public()
        async def me(request: Request) -> list[str]:
            assert request.client is not None
            return [request.client.host, request.url.scheme]

    async with served(routed(add), proxies=proxies) as host, host.client() as client:
        answer = await client.get("/me", headers={"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"})
    assert answer.json() == [seen, "https" if seen == "203.0.113.7" else "http"]


async def test_a_root_path_stands_in_the_document() -> None:
    """A proxy takes it away, and people see it."""
    async with served(shop_kernel(), root_path="/shop") as host, host.client() as client:
        assert (await client.get("/openapi.json")).json()["servers"] == [{"url": "/shop"}]
        assert (await client.get("/ledger")).json() == {"by": None}
