"""One client for every server: sends a file by `os.sendfile`; prints the seconds.

    python media_client.py '{"do": "put", "port": 8000, "method": "PUT", "path": "/", "file": "a.webm", "headers": {}}'

A process of its own, so that neither server shares its time, and nothing above the socket that could be the slow side.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
from collections.abc import Mapping
from time import perf_counter
from typing import Any, Final

HEAD: Final = b"\r\n\r\n"
MIB: Final = 2**20
FIRST: Final = 16 * 2**10
"""Bytes that are asked for at once until the head of an answer is there."""


class Connection:
    """HTTP/1.1 on one connection that stays open."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(MIB))

    def ask(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Send the head of a request."""
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: 127.0.0.1",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self._socket.sendall(("\r\n".join(lines)).encode() + HEAD)

    def send(self, file: int, offset: int, count: int) -> None:
        """Send a part of a file, which the process never sees."""
        end = offset + count
        while offset < end:
            offset += os.sendfile(self._socket.fileno(), file, offset, end - offset)

    def answer(self, *expected: int) -> tuple[dict[str, str], bytes]:
        """The answer's head, and its body."""
        received = 0
        while HEAD not in bytes(self._buffer[:received]):
            count = self._socket.recv_into(self._buffer[received:], FIRST)
            if not count:
                raise RuntimeError(f"the connection ended within an answer's head: {bytes(self._buffer[:received])!r}")
            received += count
        head, _, rest = bytes(self._buffer[:received]).partition(HEAD)
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        left = int(headers.get("content-length", "0")) - len(rest)
        kept = bytearray(rest)
        while left > 0:
            count = self._socket.recv_into(self._buffer, min(left, MIB))
            if not count:
                raise RuntimeError("the answer ended early")
            left -= count
            kept += self._buffer[:count]
        if status not in expected:
            raise RuntimeError(f"{status} and not {expected}: {lines} {bytes(kept[:500])!r}")
        return headers, bytes(kept)

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def put(asked: dict[str, Any]) -> dict[str, Any]:
    """A whole file in one request. `stored` is where its server has put it, and it is hashed there behind that; None:
    the server did.
    """
    size = os.path.getsize(asked["file"])
    file = os.open(asked["file"], os.O_RDONLY)
    start = perf_counter()
    connection = Connection(asked["port"])
    connection.ask(asked["method"], asked["path"], {**asked["headers"], "Content-Length": str(size)})
    connection.send(file, 0, size)
    _, body = connection.answer(201, 204)
    if asked.get("stored"):
        with open(asked["stored"], "rb") as stored:
            hashlib.file_digest(stored, "sha256")
    seconds = perf_counter() - start
    connection.close()
    return {"seconds": seconds, "body": body.decode("utf-8", "replace")}


def tus(asked: dict[str, Any]) -> dict[str, Any]:
    """A whole file by tus, in requests of `chunk` bytes."""
    size, chunk = os.path.getsize(asked["file"]), asked["chunk"] or os.path.getsize(asked["file"])
    headers = {**asked["headers"], "Tus-Resumable": "1.0.0"}
    file = os.open(asked["file"], os.O_RDONLY)
    start = perf_counter()
    connection = Connection(asked["port"])
    connection.ask("POST", asked["path"], {**headers, "Upload-Length": str(size), "Content-Length": "0"})
    made, _ = connection.answer(201)
    path = asked["path"] + made["location"]
    told = made
    for offset in range(0, size, chunk):
        count = min(chunk, size - offset)
        patch = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        connection.ask("PATCH", path, {**headers, **patch, "Content-Length": str(count)})
        connection.send(file, offset, count)
        told, _ = connection.answer(204)
    seconds = perf_counter() - start
    connection.close()
    return {"seconds": seconds, "id": told["recording-id"]}


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    print(json.dumps({"put": put, "tus": tus}[told["do"]](told)))
