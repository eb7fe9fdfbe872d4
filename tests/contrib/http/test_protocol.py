"""Senders who do not come to the point."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Body, Depends, Request
from objectkernel import ObjectKernel, Plugin, contributes
from objectkernel_contracts import MOUNTS, MountedApplication, Public, public
from objectkernel_http import service
from objectkernel_http.problems import MEDIA_TYPE
from starlette.responses import JSONResponse, StreamingResponse

from tests.contrib.http.shops import BASKET, Shop, routed, shop_kernel
from tests.contrib.http.sockets import served

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """uvicorn runs on asyncio."""
    return "asyncio"


@pytest.fixture(params=["h11", "httptools"], autouse=True)
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who reads what comes; neither may be more credulous than the other."""
    name: str = request.param
    classes = {"h11": "TimedH11", "httptools": "TimedHttpTools"}
    pytest.importorskip(name)
    protocol = getattr(import_module(f"objectkernel_http.protocol_{name}"), classes[name])
    monkeypatch.setattr("objectkernel_http.serving.fastest_protocol", lambda: protocol)
    return name


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

    @router.post("/json")
    @public()
    async def anything(value: Annotated[Any, Body()]) -> str:
        return type(value).__name__

    @router.get("/name/{name}")
    @public()
    async def named(name: str, word: str = "") -> list[str]:
        return [name, word]


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


@pytest.mark.usefixtures("protocol")
@pytest.mark.parametrize("size", [40_000, 100_000, 200_000])
async def test_a_long_head_that_comes_at_once(size: int) -> None:
    """It is refused where no route looks at it, too, and nothing behind it is read."""
    head = b"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + b"x" * size + b"\r\n\r\n"
    async with served(shop_kernel()) as host:
        with contextlib.suppress(ConnectionError):
            answer = await host.send(head + b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            status, headers, problem = parsed(answer)
            assert (status in (400, 431), headers["connection"], problem["status"]) == (True, "close", status)


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


def telling(router: APIRouter) -> None:
    """A route that says who asks."""

    @router.get("/me")
    @public()
    async def me(request: Request) -> str | None:
        return None if request.client is None else request.client.host


@pytest.mark.parametrize(("proxies", "seen"), [((), None), (("10.0.0.1",), None), (("unix",), "203.0.113.7")])
async def test_a_proxy_at_the_unix_socket_has_a_name(
    proxies: tuple[str, ...], seen: str | None, tmp_path: Path
) -> None:
    """What it appends is believed, and not what stands before that; it is counted as no address itself."""
    uds = tmp_path / "host.sock"
    forwarded = {"X-Forwarded-For": "198.51.100.9, 203.0.113.7"}
    transport = httpx.AsyncHTTPTransport(uds=str(uds))
    async with (
        served(routed(telling), uds=uds, proxies=proxies, address_rate=0.1),
        httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client,
    ):
        assert (await client.get("/me", headers=forwarded)).json() == seen
        assert [(await client.get("/me")).status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize(("proxies", "seen"), [((), "127.0.0.1"), (("127.0.0.1",), "203.0.113.7")])
async def test_a_socket_of_both_kinds_of_addresses(proxies: tuple[str, ...], seen: str) -> None:
    """Whoever comes by IPv4 has the address that settings name, and not the one that it is mapped to."""
    asked = b"GET /me HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"
    async with served(routed(telling), host="::", proxies=proxies) as host:
        assert parsed(await host.send(asked))[2] == seen


async def test_a_root_path_stands_in_the_document() -> None:
    """A proxy takes it away, and people see it."""
    async with served(shop_kernel(), root_path="/shop") as host, host.client() as client:
        assert (await client.get("/openapi.json")).json()["servers"] == [{"url": "/shop"}]
        assert (await client.get("/ledger")).json() == {"by": None}


def posted(body: bytes, *headers: bytes, path: bytes = b"/json") -> bytes:
    """A request as it is sent, after which its sender wants no other."""
    lines = [b"POST %b HTTP/1.1" % path, b"Host: a", b"Connection: close", b"Content-Type: application/json", *headers]
    return b"\r\n".join([*lines, b"", body])


LENGTH = b"Content-Length: %d"


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Length: 4", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 4"),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: identity",),
        (b"Content-Length: 4, 5",),
        (b"Content-Length: +4",),
        (b"Content-Length : 4",),
    ],
    ids=lambda headers: " & ".join(header.decode() for header in headers),
)
async def test_a_body_with_two_lengths(headers: tuple[bytes, ...]) -> None:
    """What a proxy and the host could read in two ways is refused, and the connection is closed (RFC 9112, 6.3)."""
    async with served(routed(counting)) as host:
        answer = await host.send(posted(b"0\r\n\r\nGET /name/smuggled HTTP/1.1\r\nHost: a\r\n\r\n", *headers))
    status, sent, problem = parsed(answer)
    assert status in (400, 501)  # h11 knows chunks alone
    assert (sent["connection"], sent["content-type"], problem["status"]) == ("close", MEDIA_TYPE, status)
    assert b"smuggled" not in answer


async def test_a_body_that_is_longer_than_it_says(protocol: str) -> None:
    """What comes behind its end is another request, and is none; httptools, which reads on, closes without a word."""
    request = posted(b"1 and more that is no request\r\n\r\n", LENGTH % 1).replace(b"Connection: close\r\n", b"")
    async with served(routed(counting)) as host:
        answer = await host.send(request)
    first, _, second = answer.partition(b'"int"')
    assert first.startswith(b"HTTP/1.1 200 ")
    if protocol == "h11":
        assert parsed(second)[0] == 400
    else:
        assert second == b""


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (b"/name/%C3%A9?word=%C3%A9", 200),
        (b"/name/%FF", 400),
        (b"/name/x?word=%FF", 400),
        (b"/name/x?word=%C3", 400),
        (b"/name/x?word=%ED%A0%80", 400),
        (b"/name/%", 200),
        (b"/name/%zz", 200),
        (b"/name/\xc3\xa9", 400),
        (b"/name/x?word=\xff", 400),
    ],
)
async def test_a_target_that_is_no_utf_8(path: bytes, status: int) -> None:
    """A route never sees a name in which something was replaced."""
    async with served(routed(counting)) as host:
        answer = await host.send(b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path)
    told, headers, body = parsed(answer)
    assert told == status
    assert headers["content-type"] == ("application/json" if status == 200 else MEDIA_TYPE)
    if path.startswith(b"/name/%C3%A9"):
        assert body == ["é", "é"]


@pytest.mark.parametrize("media_type", [b"application/json", b"application/problem+json"])
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 1_000_000,
        b'"\xff"',
        b"1" * 100_000,
        b"{",
        b"",
    ],
    ids=["10,000 arrays", "10,000 objects", "a million arrays", "no UTF-8", "a number", "half", "nothing"],
)
async def test_json_that_is_meant_to_hurt(body: bytes, media_type: bytes) -> None:
    """It is the sender's fault: a 4xx in the one shape, and the host goes on."""
    request = posted(body, LENGTH % len(body)).replace(b"application/json", media_type)
    async with served(routed(counting)) as host:
        status, headers, _ = parsed(await host.send(request))
        assert (await host.send(posted(b"1", LENGTH % 1))).endswith(b'"int"')
    assert status in (400, 422)
    assert headers["content-type"] == MEDIA_TYPE


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip", b"x"])
async def test_a_compressed_body_is_not_opened(encoding: bytes) -> None:
    """415, whatever it would become, and what is taken instead (RFC 9110, section 15.5.16)."""
    bomb = gzip.compress(b"0" * 10_000_000)
    request = posted(bomb, LENGTH % len(bomb), b"Content-Encoding: " + encoding)
    async with served(routed(counting)) as host:
        status, headers, problem = parsed(await host.send(request))
        assert (await host.send(posted(b"1", LENGTH % 1, b"Content-Encoding: identity"))).endswith(b'"int"')
    assert (status, headers["accept-encoding"], problem["code"]) == (415, "identity", "H415")


@pytest.mark.parametrize(
    ("size", "statuses"),
    [(20_000, (200,)), (35_000, (431,)), (40_000, (400, 431)), (3_000_000, (400, 431))],
)
async def test_headers_that_are_too_long(size: int, statuses: tuple[int, ...]) -> None:
    """One, or many: the host's own answer, as long as its end is near; the connection's end otherwise."""
    many = b"".join(b"X-%d: %b\r\n" % (number, b"x" * 90) for number in range(size // 100))
    for headers in (b"X: " + b"x" * size + b"\r\n", many):
        async with served(routed(counting)) as host:
            with contextlib.suppress(ConnectionError):
                answer = await host.send(
                    b"GET /name/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + headers + b"\r\n"
                )
                assert parsed(answer)[0] in statuses


async def test_a_body_that_trickles() -> None:
    """Byte by byte is too slow, though each of them comes in time."""
    head = b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
    async with served(routed(counting), body_seconds=0.3) as host:
        answer = await host.send(head, *[b"x"] * 10, pause=0.02)
    assert parsed(answer)[0] == 408


async def test_many_who_never_come_to_the_point() -> None:
    """Two hundred slow heads and as many slow bodies hold up nobody, and are all let go."""
    head, body = b"GET / HTTP/1.1\r\nX: ", b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"
    async with served(routed(counting), header_seconds=1, body_seconds=1) as host, host.client() as client:
        slow = [asyncio.create_task(host.send(part)) for part in (head, body) for _ in range(200)]
        await asyncio.sleep(0.2)
        assert (await client.post("/json", json=1)).json() == "int"
        assert {parsed(answer)[0] for answer in await asyncio.gather(*slow)} == {408}


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
async def test_a_head_that_others_could_read_otherwise(head: bytes) -> None:
    """No host or two, no version, blanks where none may be: 400, and the connection is closed (RFC 9112)."""
    async with served(routed(counting)) as host:
        status, headers, problem = parsed(await host.send(head))
    assert (status, headers["connection"], problem["code"]) == (400, "close", "H400")


CHUNKED = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


def echoing(router: APIRouter) -> None:
    """A route that answers with what was sent, and one that answers before it has come."""

    @router.post("/echo")
    @public()
    async def echo(request: Request) -> str:
        return (await request.body()).decode()

    @router.post("/early")
    @public()
    async def early(request: Request) -> StreamingResponse:
        async def parts() -> Any:
            yield "begun"
            await request.body()
            yield "never"

        return StreamingResponse(parts())


class Telling(Plugin):
    """An application that tells the names of the headers after its body has come."""

    name = "telling"

    @contributes(MOUNTS, uses=())
    def application(self) -> MountedApplication:
        async def tell(scope: Any, receive: Any, send: Any) -> None:
            while (await receive()).get("more_body"):
                pass
            told = [name.decode() for name, _ in scope["headers"]]
            await JSONResponse(told)(scope, receive, send)

        return MountedApplication(path="/told", make=lambda: tell, access=Public())


async def test_trailers_are_no_headers() -> None:
    """What comes behind a body was seen by nobody who let the request in."""
    async with served(ObjectKernel(plugins=[Telling], discover=False)) as host:
        head = CHUNKED.replace(b"/echo", b"/told/")
        answer = await host.send(head, b"1\r\nx\r\n0\r\nCookie: a=b\r\nX: y\r\n\r\n", pause=0.05)
    assert parsed(answer)[2] == ["host", "transfer-encoding", "connection"]


@pytest.mark.parametrize("begin", [b"0\r\nX: ", b"1;", b"1\r\nx\r\n0\r\n" + b"X: y\r\n" * 10_000])
async def test_what_stands_between_chunks_has_an_end(begin: bytes) -> None:
    """A trailer, an extension of a chunk, many of them: the connection ends while most of it has not been sent."""
    sent = 0
    async with served(routed(echoing)) as host:
        _, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(CHUNKED + begin)
        with contextlib.suppress(ConnectionError):
            while sent < 300:
                writer.write(b"x" * 100_000)
                await writer.drain()
                sent += 1
        writer.close()
    assert sent < 300


async def test_chunks_that_are_none() -> None:
    """400 while nothing has been answered; in the midst of an answer its end, and not the head of another one."""
    async with served(routed(echoing)) as host:
        refused = await host.send(CHUNKED, b"1\r\nx\r\nnonsense\r\n", pause=0.05)
        cut = await host.send(CHUNKED.replace(b"/echo", b"/early"), b"1\r\nx\r\nnonsense\r\n", pause=0.2)
    assert parsed(refused)[0] == 400
    assert cut.count(b"HTTP/1.1 ") == 1
    assert b"begun" in cut and b"never" not in cut


async def test_requests_that_do_not_wait_for_answers() -> None:
    """They are answered in their order; nonsense behind them does not come before their answers."""
    names = [b"GET /name/%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(20)]
    async with served(routed(counting)) as host:
        answer = await host.send(b"".join(names) + b"nonsense\r\n\r\n")
    first, *rest = answer.split(b"HTTP/1.1 ")[1:21]
    assert [part.partition(b"\r\n\r\n")[2] for part in (first, *rest)] == [b'["%d",""]' % n for n in range(20)]


async def test_very_many_requests_at_once(protocol: str) -> None:
    """They are not all kept at once: either they wait on the wire, or the connection ends after some."""
    count = 500
    one = b"GET /name/x HTTP/1.1\r\nHost: a\r\n\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answered = b""
    async with served(routed(counting)) as host:
        with contextlib.suppress(ConnectionError):
            answered = await host.send(one * count + last)
    answers = answered.count(b"HTTP/1.1 200 ")
    assert answers == count + 1 if protocol == "h11" else answers <= 100


async def test_nobody_is_left_behind_by_a_sender_who_goes_away() -> None:
    """Whoever asks twice at once and leaves ends the first answer too."""
    ended = asyncio.Event()

    def add(router: APIRouter) -> None:
        counting(router)

        @router.get("/endless")
        @public()
        async def endless() -> StreamingResponse:
            async def parts() -> Any:
                try:
                    while True:
                        yield b"x"
                        await asyncio.sleep(0.01)
                finally:
                    ended.set()

            return StreamingResponse(parts())

    async with served(routed(add)) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n" + b"GET /name/x HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"x\r\n")
        writer.transport.abort()
        async with asyncio.timeout(10):
            await ended.wait()


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c"])
async def test_another_protocol_is_not_spoken(upgrade: bytes) -> None:
    """A request that asks for one is answered as if it had not, and nothing behind it is taken for a request."""
    asks = b"Connection: Upgrade\r\nUpgrade: %b\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n" % upgrade
    get = b"GET /name/x HTTP/1.1\r\nHost: a\r\n" + asks + b"\r\n"
    post = b"POST /count HTTP/1.1\r\nHost: a\r\n" + asks + b"Content-Length: 40\r\n\r\n"
    smuggled = b"GET /name/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    half = get.replace(asks, b"").removesuffix(b"\r\n") + b"X: "
    async with served(routed(counting), idle_seconds=1) as host:
        sent = [(get,), (get + half, smuggled), (post, smuggled), (post + smuggled,)]
        plain, *others = await asyncio.gather(*(host.send(*parts, pause=0.1) for parts in sent))
    assert plain.startswith(b"HTTP/1.1 200 ") and plain.endswith(b'["x",""]')
    assert b"smuggled" not in b"".join(others)
    for answer in others[1:]:
        status, _, body = parsed(answer)
        assert status == 400 or body == len(smuggled)
