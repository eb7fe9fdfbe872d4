"""What stands where an S3 server should be, and is none: a proxy's page, a cache that knows no ranges, a ring."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs
import pytest
from objectkernel_media_server.errors import StorageUnavailable
from objectkernel_media_server.s3 import S3Driver, S3Place

pytestmark = pytest.mark.anyio
LIST = b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents>%s</Contents></ListBucketResult>"
UNREADABLE = (
    b"<Size>1</Size>",
    b"<Key>a</Key>",
    b"<Key>a</Key><Size>much</Size><LastModified>2026-01-01T00:00:00Z</LastModified>",
    b"<Key>a</Key><Size>1</Size><LastModified>never</LastModified>",
)


@pytest.fixture(scope="module", name="anyio_backend")
def _anyio_backend() -> str:
    """One is enough: what is tested stands before the event loop."""
    return "asyncio"


@attrs.define
class Impostor:
    """A server that answers everything alike."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = attrs.field(factory=dict)
    body: bytes = b""


@pytest.fixture(name="impostor")
def _impostor() -> Iterator[Impostor]:
    impostor = Impostor()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.close_connection = True
            super().handle_one_request()

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(impostor.status)
            for name, value in {"Content-Length": str(len(impostor.body)), **impostor.headers}.items():
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(impostor.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody wants to know."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        impostor.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield impostor
        server.shutdown()
        thread.join()


@pytest.fixture(name="driver")
async def _driver(anyio_backend: str, impostor: Impostor) -> AsyncIterator[S3Driver]:
    driver = S3Driver(S3Place(endpoint_url=impostor.url, access_key="a", secret_key="b", attempts=1))
    yield driver
    await driver.aclose()


async def body(size: int) -> AsyncGenerator[bytes]:
    for begin in range(0, size, 2**20):
        yield bytes(min(2**20, size - begin))


async def listed(driver: S3Driver) -> list[str]:
    return [found.key async for found in driver.list("one")]


async def unfinished(driver: S3Driver) -> list[Any]:
    return [found async for found in driver.unfinished("one")]


async def read(driver: S3Driver, start: int = 0, length: int | None = None) -> bytes:
    async with driver.open_range("one", "a/b", start, length) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_page_of_a_proxy_stores_nothing(driver: S3Driver, impostor: Impostor) -> None:
    """200 and a page is what a proxy says for everything: what was sent there is not acknowledged."""
    impostor.headers, impostor.body = {"Content-Type": "text/html"}, b"<html>Welcome!</html>"
    for size in (10, 9 * 2**20):
        with pytest.raises(StorageUnavailable):
            async with aclosing(body(size)) as pieces:
                await driver.put_stream("one", "a/b", pieces)
    with pytest.raises(StorageUnavailable):
        await driver.begin("one", "a/b")


async def test_range_that_is_not_kept(driver: S3Driver, impostor: Impostor) -> None:
    """Other bytes than were asked for are not passed on as these."""
    impostor.body = b"0123456789"
    for start, length in ((5, None), (5, 2), (0, 2)):
        with pytest.raises(StorageUnavailable):
            await read(driver, start, length)
    assert await read(driver) == await read(driver, 0, 10) == impostor.body


@pytest.mark.parametrize("ask", [listed, unfinished])
async def test_lists(driver: S3Driver, impostor: Impostor, ask: Callable[[S3Driver], Any]) -> None:
    """A list that cannot be read is a store that is away, not a failure of the host."""
    for found in UNREADABLE:
        impostor.body = LIST % found
        with pytest.raises(StorageUnavailable):
            await ask(driver)


async def test_head(driver: S3Driver, impostor: Impostor) -> None:
    """So it is with what it tells of one object."""
    for headers in ({}, {"Last-Modified": "soon"}):
        impostor.headers = headers
        with pytest.raises(StorageUnavailable):
            await driver.head("one", "a/b")


async def test_redirects_lead_nowhere(driver: S3Driver, impostor: Impostor) -> None:
    """A store that sends elsewhere is not followed, and no request goes round for ever."""
    impostor.headers = {"Location": "http://127.0.0.1:1/inside", "x-amz-bucket-region": "inside.example#"}
    impostor.body = b"<Error><Code>TemporaryRedirect</Code><Endpoint>127.0.0.1:1</Endpoint></Error>"
    for impostor.status in (301, 302, 307):
        with pytest.raises(StorageUnavailable):
            await driver.head("one", "a/b")
        with pytest.raises(StorageUnavailable):
            await read(driver)
