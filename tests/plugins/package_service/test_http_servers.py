"""The routes over a real socket: what a server and a client make of them between them."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest
from objectkernel_package_service.canonical import canonical

from tests.contrib.http.sockets import Served, served
from tests.plugins.package_service.hosts import PATH, make_kernel, package, sha256

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """What the server runs on."""
    return "asyncio"


@pytest.fixture
async def server(anyio_backend: str) -> AsyncIterator[Served]:
    async with served(make_kernel(http_body_bytes=12 * 2**20)) as made:
        yield made


def request(method: str, path: str, *headers: str) -> bytes:
    lines = [f"{method} {PATH}{path} HTTP/1.1", "Host: x", "Authorization: Bearer ada", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


async def test_head_and_304_have_no_body_on_the_wire(server: Served) -> None:
    """Not a byte after the headers, though HEAD tells the length that GET would have."""
    async with server.client() as http:
        made = await http.post(PATH, json=package(), headers={"Authorization": "Bearer ada"})
    content = canonical(package())
    head, _, rest = (await server.send(request("HEAD", "/crm/1.0.0"))).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert f"content-length: {len(content)}".encode() in head.lower()
    assert rest == b""
    condition = f"If-None-Match: {made.headers['etag']}"
    head, _, rest = (await server.send(request("GET", "/crm/1.0.0", condition))).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 304")
    assert b"etag:" in head.lower()
    assert b"content-length" not in head.lower()
    assert rest == b""


async def test_a_large_package_comes_and_goes(server: Served) -> None:
    """Beyond the host's own limit of a body, and compressed on the way back, with the very bytes inside."""
    big = package(label="x" * 1000)
    big["metadata"]["translations"] = [{"locale": "en", "text": "word " * (11 * 2**20 // 5)}]
    content = canonical(big)
    assert len(content) > 10 * 2**20
    async with server.client() as http:
        http.headers["Authorization"] = "Bearer ada"
        made = await http.post(PATH, content=content, headers={"Content-Type": "application/json"}, timeout=60)
        assert (made.status_code, made.json()["hash"]) == (201, sha256(content))
    packed = await server.send(request("GET", "/crm/1.0.0", "Accept-Encoding: gzip"))
    head, _, body = packed.partition(b"\r\n\r\n")
    assert b"content-encoding: gzip" in head.lower()
    assert gzip.decompress(body) == content


async def test_a_body_that_is_too_long_is_not_waited_for(server: Served) -> None:
    """413 at once where its length is told; the server goes on serving."""
    too_long = request("POST", "", "Content-Type: application/json", "Content-Length: 900000000")
    assert (await server.send(too_long, b"{")).startswith(b"HTTP/1.1 413")
    async with server.client() as http:
        assert (await http.get(PATH, headers={"Authorization": "Bearer ada"})).status_code == 200


async def test_many_readers_at_once_get_the_same_bytes(server: Served) -> None:
    """While the package is published again and again: each gets one version wholly, never a mixture."""
    known = {canonical(package(name=str(number), objects=200)) for number in range(5)}
    answers: list[httpx.Response] = []
    async with server.client() as http:
        http.headers["Authorization"] = "Bearer ada"
        await http.post(PATH, json=package(name="0", objects=200))

        async def read() -> None:
            for _ in range(10):
                answers.append(await http.get(f"{PATH}/crm/1.0.0"))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(read)
            for number in range(5):
                assert (await http.post(PATH, json=package(name=str(number), objects=200))).status_code == 200
    assert len(answers) == 40
    for answer in answers:
        assert answer.content in known
        assert answer.headers["etag"].startswith(f'"{sha256(answer.content)}')
