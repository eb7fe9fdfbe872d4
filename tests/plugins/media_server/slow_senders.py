"""Senders of large uploads that send some of it, and then nothing, or very little, or go away."""

from __future__ import annotations

import select
import socket
import struct
from contextlib import suppress

import attrs

from tests.plugins.media_server.tus_requests import BYTES
from tests.plugins.media_server.upload_hosts import webm

ABORT = struct.pack("ii", 1, 0)
"""``SO_LINGER``: the connection is reset when it is closed."""
BOUNDARY = "a-boundary"
FORM_HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="blob"; filename="a.webm"\r\n'
    "Content-Type: video/webm\r\n\r\n"
).encode()
FORM_END = f"\r\n--{BOUNDARY}--\r\n".encode()


@attrs.define(eq=False)
class Sender:
    """One upload that is never wholly sent, unless `finish` does.

    Attributes:
        content: all of it.
        sent: bytes of its body that were sent.
    """

    connection: socket.socket
    content: bytes
    sent: int = 0

    def send(self, count: int) -> None:
        """So many more bytes."""
        self.connection.sendall(self.content[self.sent : self.sent + count])
        self.sent += count

    def try_to_send(self, count: int) -> None:
        """So many more, unless the host has closed the connection."""
        with suppress(ConnectionError):
            self.send(count)

    def is_answered(self) -> bool:
        """Whether the host has said something, or has closed the connection."""
        return self.connection.fileno() < 0 or bool(select.select([self.connection], [], [], 0)[0])

    def answer(self) -> bytes:
        """What the host says until it closes the connection; nothing where that was cut off, or was asked before."""
        told = b""
        if self.connection.fileno() < 0:
            return told
        with self.connection, suppress(ConnectionError):
            while some := self.connection.recv(65536):
                told += some
        return told

    def leave(self, *, aborting: bool) -> None:
        """Hang up."""
        if aborting and self.connection.fileno() >= 0:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        self.connection.close()


def raw(port: int, content: bytes, patience: float) -> Sender:
    """A recording that is the body itself."""
    return _sender(port, "POST /api/media/recordings", content, patience, "Content-Type: video/webm")


def form(port: int, content: bytes, patience: float) -> Sender:
    """A recording in a form."""
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    return _sender(port, "POST /api/media/recordings", FORM_HEAD + content + FORM_END, patience, kind)


def patch(port: int, path: str, offset: int, content: bytes, patience: float) -> Sender:
    """The rest of an upload of tus."""
    headers = ("Tus-Resumable: 1.0.0", f"Upload-Offset: {offset}", f"Content-Type: {BYTES}")
    return _sender(port, f"PATCH {path}", content[offset:], patience, *headers)


def _sender(port: int, request: str, body: bytes, patience: float, *headers: str) -> Sender:
    connection = socket.create_connection(("127.0.0.1", port), patience)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    always = ("Host: a", "Connection: close", "Authorization: Bearer ada:", f"Content-Length: {len(body)}")
    lines = [f"{request} HTTP/1.1", *always, *headers]
    with suppress(ConnectionError):  # it was refused already; `answer` tells
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return Sender(connection, body)


def content(size: int, seed: int) -> bytes:
    """A recording, quickly made: but for its first half, all of the same."""
    half = webm(size // 2, seed)
    return half + half[: size - len(half)]
