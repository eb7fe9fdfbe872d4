"""One request and its answer, where an application says something odd."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from objectkernel_http.sending_files import ABLE, FileSending

from tests.contrib.http.mounted import LOOPS, kernel_of, loop_of
from tests.contrib.http.sockets import served

pytest.importorskip("httptools")

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Both transports."""
    return loop_of(request)


class Says:
    """An application that answers every request with these messages."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = messages

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError("there is nothing to start")
        for message in self.messages:
            await send(message)


def start(status: int, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [*headers]}


def request(method: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} /app/ HTTP/1.1", "Host: a", *headers, "", ""]).encode()


@pytest.mark.parametrize(("method", "status"), [("GET", 304), ("HEAD", 200)])
async def test_a_length_of_a_body_that_is_not_sent(method: str, status: int) -> None:
    """It tells of the one that a GET has, or had: the connection stays (RFC 9110, section 8.6)."""
    app = Says(start(status, (b"content-length", b"5")), {"type": "http.response.body"})
    async with served(kernel_of(app)) as host:
        answer = await host.send(request(method), request(method, "Connection: close"), pause=0.05)
    heads = answer.split(b"\r\n\r\n")
    assert [head.split(b"\r\n")[0].split()[1] for head in heads[:2]] == [str(status).encode()] * 2
    assert heads[2:] == [b""]


async def test_a_body_that_is_no_bytes() -> None:
    """Nothing was sent yet, so that its client can be told."""
    app = Says(start(200), {"type": "http.response.body", "body": "text"})
    async with served(kernel_of(app)) as host:
        head, _, body = (await host.send(request("GET"))).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ") and json.loads(body)["code"] == "H500"


async def test_an_answer_goes_out_together() -> None:
    """Head and body are one piece for the network."""
    app = Says(start(200, (b"content-length", b"4")), {"type": "http.response.body", "body": b"done"})
    async with served(kernel_of(app)) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(request("GET"))
        assert (await reader.read(2**16)).endswith(b"\r\n\r\ndone")
        writer.close()


@pytest.mark.skipif(not ABLE, reason="this system sends no files so")
async def test_a_descriptor_that_is_kept_for_files_is_given_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A connection that waits for its next request does not keep it."""
    made: list[FileSending] = []

    class Watched(FileSending):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr("objectkernel_http.protocol_httptools.FileSending", Watched)
    monkeypatch.setattr("objectkernel_http.sending_files.first_kept", lambda: 0)
    path = tmp_path / "file"
    path.write_bytes(b"x" * 200_000)
    with path.open("rb") as file:
        part = {"type": "http.response.zerocopysend", "file": file.fileno(), "offset": 0, "count": 200_000}
        async with served(kernel_of(Says(start(200, (b"content-length", b"200000")), part))) as host:
            reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
            for number in (1, 2):
                writer.write(request("GET"))
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(200_000)
                await asyncio.sleep(0.05)
                assert [one._own.fileno() for one in made] == [-1] * number
            writer.close()
