"""Bodies that are received past the parser: all of them, no more, and the connection goes on behind them."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import random
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from objectkernel_http import large_bodies

from tests.contrib.http.mounted import LOOPS, kernel_of, loop_of
from tests.contrib.http.sockets import served

pytest.importorskip("httptools")

pytestmark = pytest.mark.anyio

BODY = random.Random(3).randbytes(5 * 2**20 + 17)
LIMITS = {"body_bytes": 2**28}
Send = Callable[[dict[str, Any]], Awaitable[None]]


@pytest.fixture(scope="module", params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Both transports, which receive in different ways."""
    return loop_of(request)


class Receiver:
    """An application at ``/app`` that hashes bodies.

    Attributes:
        sizes: of the pieces that came, request by request.
        proceed: unset, it does not ask for what comes.
        ending: of the last request: the type of its last message.
    """

    def __init__(self) -> None:
        self.sizes: list[list[int]] = []
        self.proceed = asyncio.Event()
        self.proceed.set()
        self.ending = ""

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError("there is nothing to start")
        sizes: list[int] = []
        hashed, more = hashlib.sha256(), True
        self.sizes.append(sizes)
        if scope["path"].endswith("/wait"):
            await self.proceed.wait()
        if scope["path"].endswith(("/ignore", "/wait")):
            await self.answer(send, b"unread")
            return
        while more:
            await self.proceed.wait()
            message = await receive()
            self.ending = message["type"]
            if self.ending == "http.disconnect":
                return
            assert type(message["body"]) is bytes
            hashed.update(message["body"])
            sizes.append(len(message["body"]))
            more = message["more_body"] and not (scope["path"].endswith("/stop") and sum(sizes) >= 2**20)
        await self.answer(send, hashed.hexdigest().encode())

    async def answer(self, send: Send, content: bytes) -> None:
        length = (b"content-length", str(len(content)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": content})


def head(path: str, length: int, *more: str) -> bytes:
    """The head of a request with a body."""
    lines = [f"POST /app{path} HTTP/1.1", "Host: a", f"Content-Length: {length}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def fillings() -> list[large_bodies.Filling]:
    """What is being received by any connection."""
    return [one for one in gc.get_objects() if type(one) is large_bodies.Filling]


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The body of the next answer."""
    told = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in told.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return await reader.readexactly(int(length.partition(b":")[2]))


async def test_requests_of_one_connection_behind_each_other() -> None:
    """Large, small and large ones, all sent before any is answered: none has a byte of another."""
    app = Receiver()
    bodies = [BODY, b"small", BODY[:-1], b"", BODY[5:]]
    async with served(kernel_of(app), **LIMITS) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        sent = b"".join(head("/hash", len(body)) + body for body in bodies)
        writing = asyncio.ensure_future(_write(writer, sent))
        told = [await answer(reader) for _ in bodies]
        await writing
        writer.close()
    assert told == [digest(body) for body in bodies]
    assert [sum(sizes) for sizes in app.sizes] == [len(body) for body in bodies]


async def test_pieces_are_large() -> None:
    """A body that comes quickly is not handed on in pieces of a parser's size."""
    app = Receiver()
    async with served(kernel_of(app), **LIMITS) as host:
        app.proceed.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writing = asyncio.ensure_future(_write(writer, head("/hash", len(BODY)) + BODY))
        for _ in range(40):  # so much can come before each step of the application
            await asyncio.sleep(0.01)
            app.proceed.set()
            await asyncio.sleep(0)
            app.proceed.clear()
        app.proceed.set()
        assert await answer(reader) == digest(BODY)
        await writing
        writer.close()
    assert max(app.sizes[0]) > 128 * 2**10


async def test_what_nobody_asks_for_is_not_received() -> None:
    """An application that is busy stops its sender: the process keeps no more than a piece or two of it."""
    app, size = Receiver(), 64 * 2**20
    app.proceed.clear()
    async with served(kernel_of(app), **LIMITS) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.transport.set_write_buffer_limits(high=0)
        writing = asyncio.ensure_future(_write(writer, head("/hash", size) + bytes(size)))
        await asyncio.sleep(0.5)
        left = writer.transport.get_write_buffer_size()
        app.proceed.set()
        assert await answer(reader) == digest(bytes(size))
        await writing
        writer.close()
    assert left > size / 3  # the rest lies with the operating system


async def test_a_sender_that_goes_in_the_middle() -> None:
    """The application is told."""
    app = Receiver()
    async with served(kernel_of(app), **LIMITS) as host:
        _, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(head("/hash", len(BODY)) + BODY[: 2**20])
        await writer.drain()
        while not app.sizes or sum(app.sizes[0]) < 2**20:
            await asyncio.sleep(0.01)
        writer.transport.abort()
        while app.ending != "http.disconnect":
            await asyncio.sleep(0.01)
    assert sum(app.sizes[0]) == 2**20


async def test_an_answer_before_the_body() -> None:
    """What comes of the body then is nobody's, and the next request of the connection is answered."""
    app = Receiver()
    async with served(kernel_of(app), **LIMITS) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(head("/ignore", len(BODY)) + BODY[:1000])
        assert await answer(reader) == b"unread"
        writer.write(BODY[1000:] + head("/hash", len(BODY)) + BODY)
        assert await answer(reader) == digest(BODY)
        writer.close()


async def test_an_answer_in_the_middle_of_the_body() -> None:
    """As before, where the parser reads no more already."""
    app = Receiver()

    async with served(kernel_of(app), **LIMITS) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(head("/stop", len(BODY)) + BODY[: 3 * 2**19])
        await answer(reader)
        writer.write(BODY[3 * 2**19 :] + head("/hash", 5) + b"small")
        assert await answer(reader) == digest(b"small")
        writer.close()


async def test_an_answer_while_a_piece_is_full() -> None:
    """An application that has never asked for the body answers: what is full is for nobody, and the rest comes."""
    app = Receiver()
    async with served(kernel_of(app), **LIMITS) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        app.proceed.clear()
        writer.write(head("/wait", len(BODY)))  # alone: its body is received past the parser from its first byte
        while not app.sizes:
            await asyncio.sleep(0.01)
        writer.write(BODY + head("/hash", 5) + b"small")
        await asyncio.sleep(0.1)
        app.proceed.set()
        assert await answer(reader) == b"unread"
        assert await answer(reader) == digest(b"small")
        writer.close()


async def test_what_nobody_asked_for_is_let_go_with_its_connection() -> None:
    """And not only by the garbage collector, which counts objects and not their bytes."""
    app = Receiver()
    async with served(kernel_of(app), **LIMITS) as host:
        gc.collect()
        gc.disable()
        try:
            app.proceed.clear()
            _, writer = await asyncio.open_connection("127.0.0.1", host.port)
            writer.write(head("/hash", len(BODY)))
            while not app.sizes:
                await asyncio.sleep(0.01)
            writer.write(BODY[: 2**15])
            while not any(map(len, fillings())):
                await asyncio.sleep(0.01)
            writer.transport.abort()
            await asyncio.sleep(0.1)
            app.proceed.set()
            while app.ending != "http.disconnect":
                await asyncio.sleep(0.01)
            left = len(fillings())
        finally:
            gc.enable()
    assert not left


async def test_loops_that_receive_before_they_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the parser has all of it."""
    monkeypatch.setattr(large_bodies, "ABLE", False)
    monkeypatch.setattr(large_bodies.LargeBody, "__init__", None)
    app = Receiver()
    async with served(kernel_of(app), **LIMITS) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writing = asyncio.ensure_future(_write(writer, head("/hash", len(BODY)) + BODY))
        assert await answer(reader) == digest(BODY)
        await writing
        writer.close()


async def test_a_sender_who_waits_for_a_word() -> None:
    """``Expect: 100-continue``."""
    app = Receiver()
    async with served(kernel_of(app), **LIMITS) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(head("/hash", len(BODY), "Expect: 100-continue"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(BODY)
        assert await answer(reader) == digest(BODY)
        writer.close()


async def test_a_body_that_trickles_has_an_end() -> None:
    """The host's limit of time holds here too."""
    app = Receiver()
    async with served(kernel_of(app), body_seconds=0.3, **LIMITS) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(head("/hash", len(BODY)) + BODY[:1000])
        told = await reader.readline()
        writer.close()
    assert told.startswith(b"HTTP/1.1 408 ")


async def test_over_tls(tmp_path: Path) -> None:
    """Where what comes has to be decrypted first."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*made, *subject], check=True, capture_output=True)
    app = Receiver()
    async with served(kernel_of(app), certfile=cert, keyfile=key, **LIMITS) as host:
        trust = ssl.create_default_context(cafile=str(cert))
        async with httpx.AsyncClient(verify=trust, trust_env=False) as client:
            for body in (BODY, b"small", BODY[1:]):
                answered = await client.post(f"https://127.0.0.1:{host.port}/app/hash", content=body)
                assert answered.content == digest(body)


async def _write(writer: asyncio.StreamWriter, sent: bytes) -> None:
    writer.write(sent)
    await writer.drain()
