"""Senders that stall, break off, come back while they are still there, and hosts that are killed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.plugins.media_server.tus_requests import BYTES, Tus
from tests.plugins.media_server.upload_hosts import MiB, Served, served, webm

CONTENT = webm(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATIENCE = 20.0


@pytest.fixture(name="host", scope="module")
def _host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("blobs"), acknowledge_seconds=60.0) as host:
        yield host


@pytest.fixture(name="tus")
def _tus(host: Served, request: pytest.FixtureRequest) -> Iterator[Tus]:
    with host.client(request.node.name) as client:
        yield Tus(client)


def begun(host: Served, tus: Tus, url: str, offset: int, length: int | None, content: bytes) -> socket.socket:
    """A PATCH of which not all bytes have been sent; its connection.

    Args:
        length: what it says that will come; None: it comes in chunks.
    """
    address = urlsplit(host.url)
    told = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    head = [
        f"PATCH {url} HTTP/1.1",
        f"Host: {address.netloc}",
        f"Authorization: {tus.http.headers['authorization']}",
        "Tus-Resumable: 1.0.0",
        f"Upload-Offset: {offset}",
        f"Content-Type: {BYTES}",
        told,
    ]
    sock = socket.create_connection((address.hostname or "", address.port or 0), timeout=PATIENCE)
    body = content if length is not None else f"{len(content):x}\r\n".encode() + content + b"\r\n"
    sock.sendall("\r\n".join([*head, "", ""]).encode() + body)
    return sock


def eventually(tus: Tus, url: str, offset: int) -> None:
    """Wait until an upload is so far."""
    until = time.monotonic() + PATIENCE
    while tus.offset(url) != offset:
        assert time.monotonic() < until, tus.offset(url)
        time.sleep(0.01)


def test_head_tells_what_has_come(host: Served, tus: Tus) -> None:
    """While a request stalls, HEAD has what came of it recorded, and tells it; the request goes on afterwards."""
    url = tus.create(len(CONTENT))
    with begun(host, tus, url, 0, len(CONTENT), CONTENT[:100_000]) as sock:
        eventually(tus, url, 100_000)
        sock.sendall(CONTENT[100_000:])
        assert sock.recv(100).split()[1] == b"204"
    assert tus.offset(url) == len(CONTENT)


def test_new_request_takes_over(host: Served, tus: Tus) -> None:
    """A PATCH at the offset that HEAD told takes over from one that stalls, which ends with 409; the file is whole."""
    url = tus.create(len(CONTENT))
    with begun(host, tus, url, 0, len(CONTENT), CONTENT[:100_000]) as stalled:
        eventually(tus, url, 100_000)
        stalled.sendall(b"bytes that nobody was told of")
        answer = tus.patch(url, 100_000, CONTENT[100_000:])
        assert answer.status_code == 204, answer.text
        assert stalled.recv(100).split()[1] == b"409"
    (row,) = host.rows(tus.http.headers["authorization"].split()[1].rstrip(":"))
    assert row.checksum == SHA256


def test_take_over_from_the_start(host: Served, tus: Tus) -> None:
    """Whoever has not asked goes on where the upload was when it was asked last: here, at 0."""
    url = tus.create(len(CONTENT))
    with begun(host, tus, url, 0, None, CONTENT[:1000]) as stalled:
        until = time.monotonic() + PATIENCE
        while not any(upload.writer for upload in host.uploads() if url.endswith(upload.id)):
            assert time.monotonic() < until
        assert tus.patch(url, 0, CONTENT).status_code == 204
        assert stalled.recv(100).split()[1] == b"409"
    assert tus.offset(url) == len(CONTENT)


@pytest.mark.parametrize("end", ["FIN", "RST", "truncated"])
def test_broken_off(host: Served, tus: Tus, end: str) -> None:
    """However a connection ends, what came is kept and nothing is left open: the next request goes on behind it."""
    url = tus.create(len(CONTENT))
    sock = begun(host, tus, url, 0, None if end == "truncated" else len(CONTENT), CONTENT[:100_000])
    eventually(tus, url, 100_000)
    sock.sendall(b"10000\r\nxyz" if end == "truncated" else CONTENT[100_000:100_003])
    if end == "RST":
        time.sleep(0.1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    until = time.monotonic() + PATIENCE
    while any(upload.writer for upload in host.uploads() if url.endswith(upload.id)):
        assert time.monotonic() < until
        time.sleep(0.01)
    offset = tus.offset(url)
    assert offset == 100_003
    if end == "truncated":
        return
    assert tus.patch(url, offset, CONTENT[offset:]).status_code == 204


def test_broken_off_with_a_checksum(host: Served, tus: Tus) -> None:
    """Bytes whose checksum cannot be compared are not kept."""
    url = tus.create(len(CONTENT))
    with pytest.raises(httpx.HTTPError):
        tus.patch(url, 0, failing(), upload_checksum="sha1 " + "A" * 27 + "=", content_length=str(len(CONTENT)))
    assert tus.offset(url) == 0


def failing() -> Iterator[bytes]:
    yield CONTENT[:100_000]
    time.sleep(0.1)
    raise httpx.ReadError("the sender breaks off")


def test_too_slow(tmp_path: Path) -> None:
    """The host does not wait for ever: 408, and what came is kept."""
    with served(tmp_path, http={"body_seconds": 0.3, "body_rate": 2**40}) as host, host.client() as client:
        tus = Tus(client)
        url = tus.create(len(CONTENT))
        with begun(host, tus, url, 0, len(CONTENT), CONTENT[:100_000]) as sock:
            assert sock.recv(100).split()[1] == b"408"
        assert tus.offset(url) == 100_000


def test_refused_before_it_is_read(host: Served, tus: Tus) -> None:
    """A sender that sends everything before it reads sees why it was refused, and no reset; nothing was written."""
    url = tus.create(10)
    head_and_body = begun(host, tus, url, 0, MiB, bytes(MiB))
    with head_and_body as sock:
        answer = sock.recv(65536)
    assert answer.split()[1] == b"413"
    assert b"connection: close" in answer.lower()
    assert tus.offset(url) == 0


def test_refused_body_is_not_read_for_ever(tmp_path: Path) -> None:
    """Of a refused body so much is read, and no more, for so long, and no longer: then the connection is closed."""
    settings = {"drain_bytes": 100_000, "drain_seconds": 0.2}
    with served(tmp_path, http={"header_seconds": 0.5}, **settings) as host, host.client() as client:
        tus = Tus(client)
        url = tus.create(10)
        with begun(host, tus, url, 0, 100 * MiB, bytes(1000)) as sock:
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
        assert answer.split()[1] == b"413"


def test_sender_goes_while_all_is_there(host: Served, tus: Tus) -> None:
    """A sender that does not wait for the answer has its recording all the same."""
    url = tus.create(len(CONTENT))
    begun(host, tus, url, 0, len(CONTENT), CONTENT).close()
    eventually(tus, url, len(CONTENT))
    account = tus.http.headers["authorization"].split()[1].rstrip(":")
    until = time.monotonic() + PATIENCE
    while not host.rows(account):
        assert time.monotonic() < until


KILLED = """
import sys
from pathlib import Path
from tests.plugins.media_server.upload_hosts import served

with served(Path(sys.argv[1]), sys.argv[2], acknowledge_bytes=65536, fsync=True) as host:
    print(host.url, flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def killable(root: Path, database: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A host in a process of its own, that is killed at the end, if it was not before."""
    command = [sys.executable, "-c", KILLED, str(root), str(database)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.slow
def test_killed(tmp_path: Path) -> None:
    """kill -9 in the middle of uploads, three times: what was acknowledged is there, and the files become whole."""
    contents = [webm(3 * MiB, seed) for seed in range(3)]
    urls: list[str] = []
    acknowledged = [0, 0, 0]
    for _ in range(3):
        with killable(tmp_path / "blobs", tmp_path / "system.db") as (base, process):
            urls = urls or created(base, contents)
            senders = [
                threading.Thread(target=sending, args=(base, urls, contents, acknowledged, number))
                for number in range(3)
            ]
            for sender in senders:
                sender.start()
            time.sleep(0.4)
            os.kill(process.pid, signal.SIGKILL)
            for sender in senders:
                sender.join(PATIENCE)
    with served(tmp_path / "blobs", str(tmp_path / "system.db")) as host, host.client() as client:
        tus = Tus(client)
        for number, (url, content) in enumerate(zip(urls, contents, strict=True)):
            offset = tus.offset(url)
            assert offset >= acknowledged[number]
            if offset < len(content):
                assert tus.patch(url, offset, content[offset:]).status_code == 204
        wanted = {hashlib.sha256(content).hexdigest() for content in contents}
        assert {row.checksum for row in host.rows()} == wanted
        assert host.reserved() == (9 * MiB, 0)


def created(base: str, contents: list[bytes]) -> list[str]:
    with httpx.Client(base_url=base, headers={"Authorization": "Bearer ada:"}) as client:
        return [Tus(client).create(len(content)) for content in contents]


def sending(base: str, urls: list[str], contents: list[bytes], acknowledged: list[int], number: int) -> None:
    """Ask where it goes on, and send, until the host is gone."""
    with contextlib.suppress(httpx.HTTPError), httpx.Client(base_url=base, timeout=PATIENCE) as client:
        client.headers["Authorization"] = "Bearer ada:"
        tus, content = Tus(client), contents[number]
        offset = acknowledged[number] = max(acknowledged[number], tus.offset(urls[number]))
        while offset < len(content):
            answer = tus.patch(urls[number], offset, slowly(content[offset : offset + 400_000]))
            offset = acknowledged[number] = int(answer.headers.get("upload-offset", offset))


def slowly(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 50_000):
        yield content[start : start + 50_000]
        time.sleep(0.01)
