"""Connections for which there are descriptors, and those for which there are none."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import resource
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from objectkernel_http import accepting
from objectkernel_http.accepting import Accepting, Ending

from tests.contrib.http.mounted import LOOPS, loop_of

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Both, which have transports of their own."""
    return loop_of(request)


class Echo(Ending):
    """Says again what it is told."""

    is_over = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def shutdown(self) -> None:
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True


class Listener(socket.socket):
    """A socket that has no descriptor for some connections.

    Attributes:
        failing: how many times it fails.
        error: why.
    """

    failing = 0
    error = errno.EMFILE

    def accept(self) -> Any:
        if self.failing:
            self.failing -= 1
            raise OSError(self.error, os.strerror(self.error))
        return super().accept()


@pytest.fixture(name="sock")
def _sock() -> Iterator[Listener]:
    with Listener() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock


async def told(sock: Listener) -> bytes:
    """What a client of an `Echo` reads first."""
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    writer.write(b"hello")
    try:
        return await asyncio.wait_for(reader.read(100), 30)
    finally:
        writer.close()


async def test_it_accepts_until_it_is_closed(sock: Listener) -> None:
    """Connections that are there stay."""
    server = Accepting(sock, Echo)
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    writer.write(b"hello")
    assert await reader.read(100) == b"hello"
    place = sock.getsockname()
    server.close()
    server.close()
    await server.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*place)
    writer.write(b"again")
    assert await reader.read(100) == b"again"
    writer.close()


@pytest.mark.parametrize(("shared", "least"), [(True, 3), (False, 0)])
async def test_those_that_come_together_are_shared(sock: Listener, shared: bool, least: int) -> None:
    """Two that accept from one socket, as two processes do, get about as many each; others take all that there are."""
    clients = [socket.create_connection(sock.getsockname()) for _ in range(8)]
    taken: list[list[Echo]] = [[], []]
    servers = [
        Accepting(one, _kept(echos), shared=shared) for one, echos in zip((sock, sock.dup()), taken, strict=True)
    ]
    while sum(map(len, taken)) < len(clients):
        await asyncio.sleep(0.01)
    assert min(map(len, taken)) >= least and (shared or max(map(len, taken)) == len(clients))
    for server in servers:
        server.close()
    for client in clients:
        client.close()


def _kept(echos: list[Echo]) -> Callable[[], Echo]:
    def make() -> Echo:
        echos.append(Echo())
        return echos[-1]

    return make


async def test_one_beyond_is_refused(
    sock: Listener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told to come again, and the log is told once of many."""
    monkeypatch.setattr(accepting, "descriptors", lambda: 4)
    server = Accepting(sock, Echo)
    for _ in range(3):
        answer = await told(sock)
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n")
    server.close()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().endswith(
        "1 were refused so far: of 4 descriptors (ulimit -n) the last are kept for files"
    )


async def test_a_full_one_leaves_connections_to_the_others(
    sock: Listener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It refuses nobody, and takes them again when it has room."""
    monkeypatch.setattr(accepting, "descriptors", lambda: 4)
    full = Accepting(sock, Echo, shared=True)
    monkeypatch.setattr(accepting, "descriptors", lambda: math.inf)
    free = Accepting(sock.dup(), Echo, shared=True)
    for _ in range(20):
        assert await told(sock) == b"hello"
    free.close()
    asked = asyncio.ensure_future(told(sock))
    await asyncio.sleep(2 * accepting.PAUSE)
    assert not asked.done()
    monkeypatch.setattr(full, "_most", math.inf)
    assert await asked == b"hello"
    full.close()
    assert caplog.records[0].getMessage().endswith("0 were refused so far: they are left to the other processes")


async def test_a_connection_that_has_gone_costs_nobody_else(sock: Listener) -> None:
    """What the system tells of one that came is no want of descriptors."""
    server = Accepting(sock, Echo)
    sock.failing, sock.error = 3, errno.EPROTO
    assert await told(sock) == b"hello"
    assert not sock.failing
    server.close()


async def test_a_connection_that_begins_when_it_is_closed(sock: Listener) -> None:
    """It is ended, and its protocol told so: otherwise whoever stops would wait for it."""
    echos: list[Echo] = []
    server = Accepting(sock, _kept(echos))
    client = socket.create_connection(sock.getsockname())
    server._accept()
    server.close()
    while not echos or not echos[0].is_over:
        await asyncio.sleep(0.01)
    with client:
        assert client.recv(1) == b""


async def test_no_limit(sock: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may have any number."""
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    server = Accepting(sock, Echo)
    assert await told(sock) == b"hello"
    server.close()


async def test_not_even_one_is_left(sock: Listener, caplog: pytest.LogCaptureFixture) -> None:
    """The spare one is given up for a refusal, and had again."""
    server = Accepting(sock, Echo)
    open_ = len(os.listdir("/proc/self/fd"))
    sock.failing = 1
    assert (await told(sock)).startswith(b"HTTP/1.1 503 ")
    assert await told(sock) == b"hello"
    await asyncio.sleep(0.05)
    assert len(os.listdir("/proc/self/fd")) <= open_ + 1  # libuv keeps one too
    server.close()
    assert len(caplog.records) == 1


async def test_not_even_the_spare_one(sock: Listener, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever comes waits until there is one."""
    server = Accepting(sock, Echo)
    sock.failing = 6
    assert await told(sock) == b"hello"
    assert not sock.failing
    server.close()
    (record,) = caplog.records
    assert record.getMessage().endswith("0 were refused so far: Too many open files")


async def test_it_is_closed_while_it_waits(sock: Listener) -> None:
    """It does not begin again."""
    server = Accepting(sock, Echo)
    sock.failing = 10**6
    asking = asyncio.ensure_future(asyncio.open_connection(*sock.getsockname()))
    while sock.failing == 10**6:
        await asyncio.sleep(0.01)
    server.close()
    _, writer = await asking
    writer.close()
    await asyncio.sleep(2 * accepting.PAUSE)
