"""One request and its answer on a connection that httptools reads: what uvicorn's own lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from objectkernel_http.pieces import Pieces
from objectkernel_http.sending_files import ZEROCOPY, FileSending, extent

if TYPE_CHECKING:
    from objectkernel_http.large_bodies import LargeBody


class Cycle(RequestResponseCycle):
    """Hands on what has come of a body without copying it, and sends files that the process never reads.

    Attributes:
        body: what has come and was not asked for yet.
    """

    body: Pieces | LargeBody  # type: ignore[assignment]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.body = Pieces()

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
        if message["type"] != ZEROCOPY:
            await super().send(message)
        elif not self.response_started or self.response_complete:
            raise RuntimeError(f"{ZEROCOPY} stands between http.response.start and the end of an answer")
        elif not self.disconnected:
            await self._send_file(message)

    async def _send_file(self, message: Any) -> None:
        offset, count = extent(message["file"], message.get("offset"), message.get("count"))
        body: Any = {"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)}
        if self.scope["method"] == "HEAD":
            await super().send(body)
            return
        if self.chunked_encoding:
            self.transport.write(b"%x\r\n" % count)
        elif count > self.expected_content_length:
            raise RuntimeError("the answer is longer than its Content-Length")
        else:
            self.expected_content_length -= count
        sending = FileSending(self.transport, self.flow)
        if not await sending.send(message["file"], offset, count):
            return
        if self.chunked_encoding:
            self.transport.write(b"\r\n")
        if not self.disconnected:
            await super().send(body)
