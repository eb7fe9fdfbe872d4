"""One request and its answer on a connection that httptools reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from objectkernel_http.answer_heads import NO_BODY, answer_head
from objectkernel_http.pieces import NOTHING
from objectkernel_http.problems import problem
from objectkernel_http.sending_files import ZEROCOPY, FileSending, extent

if TYPE_CHECKING:
    from starlette.responses import Response

    from objectkernel_http.large_bodies import LargeBody
    from objectkernel_http.pieces import Pieces
    from objectkernel_http.protocol_httptools import TimedHttpTools

START: Final = "http.response.start"
BODY: Final = "http.response.body"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST: Final = b"0\r\n\r\n"
"""The chunk that ends a body."""
CLOSE: Final = (b"connection", b"close")
JOINED: Final = 2**16
"""Bytes that are copied to be sent together."""


class Cycle:
    """Runs an application for one request. It hands on what has come of a body without copying it, and sends files that
    the process never reads.

    Args:
        protocol: of the connection, which has just read the head.
        keep_alive: the sender wants the connection to stay.
        files: what sends files on it; None: nothing does.

    Attributes:
        body: what has come and was not asked for yet.
        more_body: more of it will come.
        message_event: set when there is something to receive.
        disconnected: the connection has ended, or will at once.
        expected_content_length: bytes of the answer's body that are still to be sent, if that is not chunked.
        is_bodiless: the answer has no body, whatever its head says of one.
        on_response: called when the answer has been sent.
    """

    __slots__ = (
        "_head",
        "body",
        "chunked_encoding",
        "default_headers",
        "disconnected",
        "expected_content_length",
        "files",
        "flow",
        "is_bodiless",
        "keep_alive",
        "logger",
        "message_event",
        "more_body",
        "on_response",
        "response_complete",
        "response_started",
        "scope",
        "transport",
        "waiting_for_100_continue",
    )

    def __init__(self, protocol: TimedHttpTools, *, keep_alive: bool, files: Callable[[], FileSending] | None) -> None:
        self.scope: Any = protocol.scope
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.logger = protocol.logger
        self.default_headers = protocol.server_state.default_headers
        self.on_response: Callable[[], None] = protocol.on_response_complete
        self.files = files
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.message_event = asyncio.Event()
        self.body: Pieces | LargeBody = NOTHING
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self.is_bodiless = False
        self.chunked_encoding = False
        self.expected_content_length = 0
        self._head = b""

    async def run_asgi(self, app: Callable[..., Any]) -> None:
        """Have the request answered; where `app` fails before anything is sent, by a problem."""
        try:
            await app(self.scope, self.receive, self.send)
            if not self.response_complete and not self.disconnected:
                raise RuntimeError("the application has ended before its answer")
        except asyncio.CancelledError:
            await self._fail(problem(HTTPStatus.SERVICE_UNAVAILABLE, "the host stops"))
            raise
        except BaseException as error:
            self.logger.error("an application of ASGI has failed", exc_info=error)
            await self._fail(problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the host failed; its log tells more"))
        finally:
            self.on_response = _nobody

    async def _fail(self, answer: Response) -> None:
        """Send another answer, or close the connection where one has begun."""
        if (self.response_started and not self._head) or self.flow.write_paused:
            self.transport.close()
        elif not self.disconnected:
            self.response_started, self._head = False, b""
            headers = [*answer.raw_headers, CLOSE]
            await self.send({"type": START, "status": answer.status_code, "headers": headers})
            await self.send({"type": BODY, "body": bytes(answer.body)})

    def forget_body(self) -> None:
        """Nobody asks for it any more; it would wait for the garbage collector."""
        self.body = NOTHING

    def disconnect(self) -> None:
        """The connection has ended, or will at once."""
        self.disconnected = True
        self.forget_body()
        self.message_event.set()

    async def receive(self) -> Any:
        """The next of its body."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(CONTINUE)
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
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == BODY and self.response_started and not self.response_complete:
            self._send_body(message)
        elif kind == START and not self.response_started:
            self._begin(message)
        elif kind == ZEROCOPY and self.files is not None and self.response_started and not self.response_complete:
            await self._send_file(message)
        else:
            order = f"an answer is {START}, then {BODY} or {ZEROCOPY} until its end"
            raise RuntimeError(f"{order}: here there is no place for {kind}")

    def _begin(self, message: Any) -> None:
        """Make the head of the answer. It goes out with the first of the body, if that comes at once."""
        status: int = message["status"]
        head = answer_head(status, [*self.default_headers, *message.get("headers", ())])
        self.response_started = True
        self.waiting_for_100_continue = False
        if head.closes:
            self.keep_alive = False
        elif not self.keep_alive:
            head.lines.append(b"connection: close\r\n")
        self.is_bodiless = self.scope["method"] == "HEAD" or status in NO_BODY
        if head.length is None and not head.chunked and not self.is_bodiless:
            head.chunked = True
            head.lines.append(b"transfer-encoding: chunked\r\n")
        self.chunked_encoding = head.chunked
        self.expected_content_length = 0 if head.chunked else head.length or 0
        head.lines.append(b"\r\n")
        self._head = b"".join(head.lines)
        asyncio.get_running_loop().call_soon(self._write)

    def _send_body(self, message: Any) -> None:
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        if self.is_bodiless:
            self.expected_content_length = 0
        elif self.chunked_encoding:
            self._write(*((b"%x\r\n" % len(body), body, b"\r\n") if body else ()), b"" if more else LAST)
        else:
            self._count(len(body))
            self._write(body)
        if not more:
            self._end()

    async def _send_file(self, message: Any) -> None:
        assert self.files is not None
        offset, count = extent(message["file"], message.get("offset"), message.get("count"))
        more: bool = message.get("more_body", False)
        if self.is_bodiless or not count:  # an empty chunk would be the last one
            self._send_body({"more_body": more})
            return
        sending = self.files()
        if self.chunked_encoding:
            self._write(b"%x\r\n" % count)
        else:
            self._count(count)
        head, self._head = self._head, b""
        try:
            if not await sending.send(message["file"], offset, count, head):
                self.disconnect()
                return
        except BaseException:  # a part of it may have been sent: nothing can follow
            self.transport.close()
            self.disconnect()
            raise
        if self.chunked_encoding:
            self._write(b"\r\n", b"" if more else LAST)
        if not more and not self.disconnected:
            self._end()

    def _count(self, count: int) -> None:
        """So many bytes of the body come now."""
        if count > self.expected_content_length:
            self._write()
            raise RuntimeError("the answer is longer than its Content-Length")
        self.expected_content_length -= count

    def _write(self, *parts: bytes) -> None:
        """Send parts of the answer, behind its head where that was not sent yet."""
        head = self._head
        content = [part for part in (head, *parts) if part] if parts else [head] if head else []
        if len(content) > 1 and sum(map(len, content)) <= JOINED:
            content = [b"".join(content)]
        self._head = b""
        if self.transport.is_closing():
            return
        for one in content:
            self.transport.write(one)

    def _end(self) -> None:
        """The answer has been sent."""
        if self._head:
            self._write()
        if self.expected_content_length:
            raise RuntimeError("the answer is shorter than its Content-Length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _nobody() -> None:
    """There is nobody to call any more."""
