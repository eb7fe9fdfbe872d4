"""One request and its answer on a connection that httptools reads: what uvicorn's own lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from objectkernel_http.pieces import Pieces
from objectkernel_http.sending_files import ZEROCOPY, FileSending, HeldHead, extent

if TYPE_CHECKING:
    from objectkernel_http.large_bodies import LargeBody

START: Final = "http.response.start"
DIGITS: Final = 6
"""Of the lengths of long answers."""


class Cycle(RequestResponseCycle):
    """Hands on what has come of a body without copying it, and sends files that the process never reads.

    Attributes:
        body: what has come and was not asked for yet.
        files: what sends files on its connection; None: nothing does.
    """

    body: Pieces | LargeBody  # type: ignore[assignment]

    def __init__(self, *, files: Callable[[], FileSending] | None, **options: Any) -> None:
        super().__init__(**options)
        self.body = Pieces()
        self.files = files
        self._head = b""

    def forget_body(self) -> None:
        """Nobody asks for it any more; it would wait for the garbage collector."""
        self.body = Pieces()

    def disconnect(self) -> None:
        """The connection has ended, or will at once."""
        self.disconnected = True
        self.forget_body()
        self.message_event.set()

    async def receive(self) -> Any:
        """The next of its body."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete:
            self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        piece = self.body.take()
        if self.body:  # the next one is there
            self.message_event.set()
        return {"type": "http.request", "body": piece, "more_body": self.more_body or bool(self.body)}

    async def send(self, message: Any) -> None:
        """Send a part of the answer."""
        kind = message["type"]
        if kind == ZEROCOPY:
            await self._send_file(message)
        elif kind == START and self.files is not None and _is_long(message):
            await self._hold_head(message)
        else:
            self._send_head()
            await super().send(message)

    async def _hold_head(self, message: Any) -> None:
        """Let the head of a long answer go out with the first of its body, if that comes at once."""
        if self.flow.write_paused:
            await self.flow.drain()
        transport = self.transport
        held: Any = HeldHead()
        self.transport = held
        try:
            await super().send(message)
        finally:
            self.transport = transport
        self._head = held.head
        asyncio.get_running_loop().call_soon(self._send_head)

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head and not self.transport.is_closing():
            self.transport.write(head)

    async def _send_file(self, message: Any) -> None:
        if self.files is None or not self.response_started or self.response_complete:
            raise RuntimeError(f"{ZEROCOPY} stands between http.response.start and the end of an answer")
        if self.disconnected:
            return
        offset, count = extent(message["file"], message.get("offset"), message.get("count"))
        body: Any = {"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)}
        if self.scope["method"] == "HEAD" or not count:  # an empty chunk would be the last one
            await self.send(body)
            return
        if self.chunked_encoding:
            self._send_head()
            self.transport.write(b"%x\r\n" % count)
        elif count > self.expected_content_length:
            self._send_head()
            raise RuntimeError("the answer is longer than its Content-Length")
        else:
            self.expected_content_length -= count
        head, self._head = self._head, b""
        try:
            if not await self.files().send(message["file"], offset, count, head):
                return
        except BaseException:  # a part of it may have been sent: nothing can follow
            self.transport.close()
            self.disconnect()
            raise
        if self.chunked_encoding:
            self.transport.write(b"\r\n")
        if not self.disconnected:
            await super().send(body)


def _is_long(message: Any) -> bool:
    """Whether the head of an answer tells of so many bytes that they may well be a file's."""
    return any(name == b"content-length" and len(value) >= DIGITS for name, value in message.get("headers", ()))
