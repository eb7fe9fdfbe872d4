"""``http.response.zerocopysend``: a file's bytes, and only those, whoever reads them and however slowly."""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from objectkernel_http import asgi_app, kernel_lifespan
from starlette.middleware.gzip import GZipMiddleware

from tests.contrib.http.mounted import LOOPS, kernel_of, loop_of
from tests.contrib.http.sockets import Served, served

pytest.importorskip("httptools")
sending_files = pytest.importorskip("objectkernel_http.sending_files")

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not sending_files.ABLE, reason="this system sends no files so")]

CONTENT = random.Random(5).randbytes(9 * 2**20 + 3)
KIND = "http.response.zerocopysend"


@pytest.fixture(scope="module", params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Both transports: what they have not sent yet stands before the file."""
    return loop_of(request)


@pytest.fixture(params=[True, False], ids=["in memory", "on a disk"])
def at_hand(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether it looks as if the file were in memory."""
    there: bool = request.param
    if not there:
        monkeypatch.setattr(sending_files, "_in_memory", lambda file, offset, count: False)
    return there


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """The content, open."""
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


class Sender:
    """An application at ``/app`` that answers with these messages.

    Attributes:
        early: what it sends before its answer begins, and is refused.
        pause: what it waits for between the head and the body.
        over: an answer has ended; `failures` has what it raised.
        offered: whether the extension was.
    """

    def __init__(
        self,
        *messages: dict[str, Any],
        length: int | None = None,
        early: dict[str, Any] | None = None,
        pause: asyncio.Event | None = None,
    ) -> None:
        self.messages = messages
        self.length = length
        self.early = early
        self.pause = pause
        self.over = asyncio.Event()
        self.failures: list[BaseException] = []
        self.offered = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError("there is nothing to start")
        self.offered = KIND in scope["extensions"]
        if self.early is not None:
            with pytest.raises(RuntimeError, match=KIND):
                await send(self.early)
        headers = [] if self.length is None else [(b"content-length", str(self.length).encode())]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if self.pause is not None:
                await self.pause.wait()
            for message in self.messages:
                await send(message)
        except BaseException as error:
            self.failures.append(error)
            raise
        finally:
            self.over.set()


def part(file: int, **what: Any) -> dict[str, Any]:
    return {"type": KIND, "file": file, **what}


def text(content: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


@asynccontextmanager
async def connected(host: Served, method: str = "GET", version: str = "1.1") -> AsyncIterator[asyncio.StreamReader]:
    """What a request is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(f"{method} /app/ HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    try:
        yield reader
    finally:
        writer.close()


async def body(reader: asyncio.StreamReader, pause: float = 0.0) -> bytes:
    """All that comes behind the head; with a pause after each piece."""
    await reader.readuntil(b"\r\n\r\n")
    found = bytearray()
    while piece := await reader.read(2**20):
        found += piece
        await asyncio.sleep(pause)
    return bytes(found)


@pytest.mark.usefixtures("at_hand")
@pytest.mark.parametrize("pause", [0.0, 0.01])
async def test_a_whole_file(file: int, pause: float) -> None:
    """To a client that reads at once, and to one that lets the connection fill."""
    app = Sender(part(file, offset=0, count=len(CONTENT)), length=len(CONTENT))
    async with served(kernel_of(app)) as host, connected(host) as reader:
        assert await body(reader, pause) == CONTENT
    assert app.offered and not app.failures


@pytest.mark.usefixtures("at_hand")
async def test_parts_between_other_bytes(file: int) -> None:
    """As answers with several ranges have them: large and small, in any order."""
    spans = [(5, 3 * 2**20), (0, 1), (len(CONTENT) - 7, 7), (2**20, 300_000)]
    messages: list[dict[str, Any]] = []
    for offset, count in spans:
        messages += [text(b"x" * 70_000, more=True), part(file, offset=offset, count=count, more_body=True)]
    expected = b"".join(b"x" * 70_000 + CONTENT[offset : offset + count] for offset, count in spans) + b"end"
    app = Sender(*messages, text(b"end", more=False), length=len(expected))
    async with served(kernel_of(app)) as host, connected(host) as reader:
        assert await body(reader, 0.001) == expected


async def test_without_a_length(file: int) -> None:
    """Chunks, of which the file is one; without offset and count it is sent from where it stands to its end."""
    os.lseek(file, 4, os.SEEK_SET)
    app = Sender(part(file, more_body=True), text(b"end", more=False))
    async with served(kernel_of(app)) as host, connected(host) as reader:
        told = await body(reader)
    size = len(CONTENT) - 4
    assert told == b"%x\r\n" % size + CONTENT[4:] + b"\r\n3\r\nend\r\n0\r\n\r\n"


async def test_the_next_request_of_the_connection(file: int) -> None:
    """It is answered behind the file, and not before its end."""
    app = Sender(part(file, offset=0, count=len(CONTENT)), length=len(CONTENT))
    async with served(kernel_of(app)) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(b"GET /app/ HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        for _ in range(3):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(len(CONTENT)) == CONTENT
        writer.close()


async def test_head(file: int) -> None:
    """Nothing of the file."""
    app = Sender(part(file, offset=0, count=len(CONTENT)), length=len(CONTENT))
    async with served(kernel_of(app)) as host, connected(host, "HEAD") as reader:
        assert await body(reader) == b""
    assert not app.failures


@pytest.mark.usefixtures("at_hand")
async def test_a_file_that_is_shorter_than_told(file: int) -> None:
    """The client sees that something is missing, and the log says what."""
    app = Sender(part(file, offset=10, count=len(CONTENT)), length=len(CONTENT))
    async with served(kernel_of(app)) as host, connected(host) as reader:
        assert await body(reader) == CONTENT[10:]
    assert [type(error) for error in app.failures] == [EOFError]


@pytest.mark.parametrize("length", [10, 10_000_000])
async def test_more_than_the_length_is_refused(file: int, length: int) -> None:
    """As of any other body."""
    app = Sender(part(file, offset=0, count=length + 1), length=length)
    async with served(kernel_of(app)) as host, connected(host) as reader:
        assert await body(reader) == b""
    assert [type(error) for error in app.failures] == [RuntimeError]


async def test_nothing_of_a_file(file: int) -> None:
    """No chunk: an empty one would end the answer."""
    app = Sender(part(file, offset=0, count=0, more_body=True), text(b"end", more=False))
    async with served(kernel_of(app)) as host, connected(host) as reader:
        told = await body(reader)
    assert told == b"3\r\nend\r\n0\r\n\r\n"


async def test_nothing_follows_a_part_that_was_not_sent_wholly(file: int) -> None:
    """An application that gives up and ends its answer: no other answer is taken for the rest of the file."""

    class Impatient(Sender):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            length = (b"content-length", str(len(CONTENT)).encode())
            await send({"type": "http.response.start", "status": 200, "headers": [length]})
            try:
                with anyio.fail_after(0.2):
                    await send(part(file, offset=0, count=len(CONTENT), more_body=True))
            except TimeoutError:
                self.over.set()
            await send(text(b"", more=False))

    app = Impatient()
    async with served(kernel_of(app), idle_seconds=1) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port, limit=2**10)
        writer.write(b"GET /app/ HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        await app.over.wait()
        told = await body(reader)
        writer.close()
    assert len(told) < len(CONTENT)
    assert told == CONTENT[: len(told)]


async def test_a_client_that_neither_reads_nor_sends_any_more(file: int) -> None:
    """The server closes its connection, and the application waits for nothing."""
    app = Sender(*[part(file, offset=0, count=len(CONTENT), more_body=True)] * 20, length=20 * len(CONTENT))
    async with served(kernel_of(app), stop_seconds=1) as host:
        _, writer = await asyncio.open_connection("127.0.0.1", host.port, limit=2**10)
        writer.write(b"GET /app/ HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.2)
        writer.write_eof()
        with anyio.move_on_after(5):
            await app.over.wait()
        ended = app.over.is_set()
        writer.close()
    assert ended
    assert not [error for error in app.failures if isinstance(error, asyncio.CancelledError)]


async def test_middleware_is_not_offered_it() -> None:
    """Starlette's would lose such a message, or refuse it."""
    app = Sender(text(b"fine", more=False), length=4)
    kernel = kernel_of(app)
    application = asgi_app(kernel)
    application.add_middleware(GZipMiddleware)
    scope = {"type": "http", "method": "GET", "path": "/app/", "query_string": b"", "headers": [(b"host", b"a")]}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async with kernel_lifespan(kernel)(application):
        await application({**scope, "extensions": {KIND: {}}}, receive, send)
    assert [one["type"] for one in sent] == ["http.response.start", "http.response.body"]
    assert not app.offered


async def test_it_has_its_place(file: int) -> None:
    """Before the answer begins there is no body."""
    app = Sender(text(b"fine", more=False), length=4, early=part(file, offset=0, count=1))
    async with served(kernel_of(app)) as host, connected(host) as reader:
        assert await body(reader) == b"fine"


@pytest.mark.usefixtures("at_hand")
async def test_a_client_that_goes(file: int) -> None:
    """The application goes on and ends, and the server has no descriptor more than after the first one."""
    app, open_ = Sender(part(file, offset=0, count=len(CONTENT)), length=len(CONTENT)), list[int]()
    async with served(kernel_of(app)) as host:
        for _ in range(4):
            app.over.clear()
            reader, writer = await asyncio.open_connection("127.0.0.1", host.port, limit=2**10)
            writer.write(b"GET /app/ HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()
            await app.over.wait()
            await asyncio.sleep(0.05)
            open_.append(len(os.listdir("/proc/self/fd")))
    assert not app.failures
    assert open_[-1] <= open_[0]


async def test_a_host_that_stops_does_not_wait_for_a_client_that_does_not_read(file: int) -> None:
    """A request that is cancelled lets go of the connection."""
    app = Sender(*[part(file, offset=0, count=len(CONTENT), more_body=True)] * 20, length=20 * len(CONTENT))
    async with served(kernel_of(app), stop_seconds=1) as host:
        _, writer = await asyncio.open_connection("127.0.0.1", host.port, limit=2**10)
        writer.write(b"GET /app/ HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.2)
    assert app.over.is_set()
    assert [type(error) for error in app.failures] == [asyncio.CancelledError]
    writer.close()


async def test_whoever_is_cancelled_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often: what the thread still uses is not closed, and given to somebody else, under it."""
    may_end, ended = threading.Event(), threading.Event()

    def slow(*told: int) -> int:
        may_end.wait()
        ended.set()
        return 1

    monkeypatch.setattr(os, "sendfile", slow)
    sending = asyncio.ensure_future(sending_files._by_thread(1, 2, 0, 5))
    for _ in range(3):
        await asyncio.sleep(0.01)
        sending.cancel()
    await asyncio.sleep(0.01)
    assert not sending.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert ended.is_set()


async def test_an_application_that_fails_before_the_first_of_a_long_body() -> None:
    """The head waited for that, and is not sent: nobody takes the answer for one that was cut off."""
    app = Sender({"type": "http.response.unknown"}, length=10**6)
    async with served(kernel_of(app)) as host, connected(host) as reader:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 500 ") and b"connection: close" in head
        assert json.loads(await reader.read())["code"] == "H500"
    assert [type(one) for one in app.failures] == [RuntimeError]


async def test_a_head_whose_body_takes_its_time(file: int) -> None:
    """It does not wait for it."""
    app = Sender(part(file, offset=0, count=len(CONTENT)), length=len(CONTENT), pause=asyncio.Event())
    assert app.pause is not None
    async with served(kernel_of(app)) as host, connected(host) as reader:
        head = await reader.readuntil(b"\r\n\r\n")
        app.pause.set()
        assert b"content-length" in head
        assert await reader.read() == CONTENT
