"""HTTP/1.1 by httptools, which is Node's parser, in C: it is quick, and leaves more to whoever uses it."""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from objectkernel_http import large_bodies
from objectkernel_http.cycle import Cycle
from objectkernel_http.large_bodies import WORTH, LargeBody
from objectkernel_http.protocol import TRAILERS, TimedProtocol
from objectkernel_http.sending_files import ABLE, ZEROCOPY, FileSending

WAITING: Final = 100
"""Requests of one connection that have no answer yet; whoever sends more at once is answered so many."""
BODY: Final = frozenset({b"content-length", b"transfer-encoding"})


class TimedHttpTools(TimedProtocol, HttpToolsProtocol):
    """uvicorn's protocol of httptools, with an end to waiting, and to what is kept of what was sent.

    Bytes are counted while the parser makes nothing of them: heads, trailers and what stands between chunks. What each
    request comes to calls uvicorn's class by its name: the way over `TimedProtocol` would cost more than it does.
    """

    cycle: Any
    _unread = 0
    _left = 0
    """Bytes of a body that are still to come; of one whose length is not told, 0."""
    _is_too_long = False
    _deaf = False
    """What still comes is for nobody: the connection will be closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._open: deque[Cycle] = deque()
        super().connection_made(transport)
        self._sends_files = ABLE and self.scheme == "http"
        self._sending: FileSending | None = None

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._unread += len(data)
        HttpToolsProtocol.data_received(self, data)
        if self._deadline is not None or not self._open:
            self._watch()
        if self._unread > self.head_bytes and not self._deaf:
            self._refuse_long_head()
        if self._left >= WORTH:
            self._receive_past_the_parser()

    def _receive_past_the_parser(self) -> None:
        """Let another protocol have what is left of the body, if that is the next thing to come."""
        if large_bodies.ABLE and len(self._open) == 1 and not self._deaf and not self.transport.is_closing():
            self.cycle.body = body = LargeBody(self, self._left)
            self._left = 0
            self.transport.set_protocol(body)

    def body_came(self) -> None:
        """Go on with the next request: the body that another protocol received has come."""
        self.transport.set_protocol(self)
        self.parser = _parser(self)  # the one before waits for that body
        self.on_message_complete()

    def body_ignored(self) -> None:
        """A part of a body has come whose request has its answer."""
        self._unset_keepalive_if_required()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        for cycle in self._open:  # uvicorn tells the last one only
            cycle.disconnect()
        super().connection_lost(exc)
        if self._sending is not None:
            self._sending.close()

    def on_headers_complete(self) -> None:
        if len(self._open) >= WAITING:
            raise ValueError(f"{WAITING} requests of this connection wait already")
        if self._unread > self.head_bytes and self._head_size() > self.head_bytes:
            self._is_too_long = True
            raise ValueError("the head is too long")
        self._unread = 0
        parser: Any = self.parser
        names = [name for name, _ in self.headers]
        hosts = names.count(b"host")
        version = parser.get_http_version()
        if hosts > 1 or (not hosts and version != "1.0"):
            raise ValueError("a request of HTTP/1.1 has one Host (RFC 9112, section 3.2)")
        upgrade = parser.should_upgrade()
        if upgrade and not BODY.isdisjoint(names):
            raise ValueError("the parser takes what follows for another protocol, and no proxy does")
        self._left = 0 if b"content-length" not in names else int(self.headers[names.index(b"content-length")][1])
        self._describe(parser.get_method().decode("ascii"), version)
        self.headers = []  # for trailers, which are no headers of the request
        self.scope["extensions"] = {TRAILERS: {"headers": self.headers}}
        if self._sends_files:
            self.scope["extensions"][ZEROCOPY] = {}
        keep_alive = version != "1.0" and parser.should_keep_alive()
        self.cycle = Cycle(self, keep_alive=keep_alive, files=self._files if self._sends_files else None)
        self._open.append(self.cycle)
        if upgrade:  # to nothing: it is answered as if it had not asked
            self._deaf = True
            self.cycle.keep_alive = False
        app: Any = self.app
        if len(self._open) == 1:
            self._start_asgi_task(self.cycle, app)
        else:  # those before it are answered first
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, app))

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser, or what it calls, does not take."""
        if self._is_too_long:
            self._refuse_long_head()
        else:
            super().send_400_response(msg)

    def _head_size(self) -> int:
        """Bytes of the target and of the headers."""
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        self._left = max(self._left - len(body), 0)
        super().on_body(body)

    def on_response_complete(self) -> None:
        self._open.popleft().forget_body()
        if self._sending is not None and self._sending.is_scarce:
            self._sending.close()
            self._sending = None
        HttpToolsProtocol.on_response_complete(self)

    def _files(self) -> FileSending:
        """What sends files on this connection."""
        if self._sending is None:
            self._sending = FileSending(self.transport, self.flow)
        return self._sending

    def _describe(self, method: str, version: str) -> None:
        """Let the scope say what the first line of the request does."""
        parsed = httptools.parse_url(self.url)
        raw_path = parsed.path
        path = raw_path.decode("ascii")
        scope = self.scope
        scope["method"] = method
        if version != "1.1":
            scope["http_version"] = version
        scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode("ascii") + raw_path
        scope["query_string"] = parsed.query or b""

    def _last(self) -> Cycle | None:
        last: Cycle | None = self.cycle
        return last

    def _answering(self) -> bool:
        return bool(self._open)

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Those that came before are answered first; then the connection is closed without a word."""
        self._deaf = True
        if self._open and self._open[-1].more_body and len(self._open) > 1:
            self._open.pop()  # its body is what is refused
            self.pipeline.popleft()
        if self._open and not self._open[-1].more_body:
            self._open[-1].keep_alive = False
        else:
            super()._refuse(status, detail)


def _parser(protocol: TimedHttpTools) -> Any:
    """A parser as uvicorn makes it for a connection."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
