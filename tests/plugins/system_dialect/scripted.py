"""An HTTP server on the loopback that answers as a script says, one line after another, and keeps what it was sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream


@attrs.frozen
class Reply:
    """One answer; `status` 0 cuts the connection instead."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = attrs.field(factory=dict)

    def encoded(self) -> bytes:
        body = (
            self.body if isinstance(self.body, bytes) else b"" if self.body is None else json.dumps(self.body).encode()
        )
        lines = [f"HTTP/1.1 {self.status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body


@attrs.frozen
class Sent:
    """One request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@attrs.define
class Script:
    """A running server: `replies` are given in order, the last one for ever."""

    url: str
    replies: list[Reply]
    sent: list[Sent] = attrs.field(factory=list)
    connections: int = 0
    choose: Callable[[Sent], Reply] | None = None
    """Decides by the request instead."""

    def next(self) -> Reply:
        if self.choose is not None:
            return self.choose(self.sent[-1])
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    async def handle(self, stream: SocketStream) -> None:
        self.connections += 1
        try:
            async with stream:
                buffered = BufferedByteReceiveStream(stream)
                while True:
                    head = (await buffered.receive_until(b"\r\n\r\n", 65536)).decode()
                    request, *lines = head.split("\r\n")
                    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                    body = await buffered.receive_exactly(int(headers.get("content-length", "0")))
                    method, target, _ = request.split(" ")
                    self.sent.append(Sent(method, target, headers, body))
                    reply = self.next()
                    if not reply.status:
                        return
                    await stream.send(reply.encoded())
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass


@asynccontextmanager
async def scripted(*replies: Reply, path: str = "") -> AsyncIterator[Script]:
    """A server that gives these answers."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    script = Script(f"http://127.0.0.1:{port}{path}", list(replies))
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, script.handle)
        try:
            yield script
        finally:
            tasks.cancel_scope.cancel()
