"""HTTP/1.1 by httptools, which is Node's parser, in C: it is quick, and leaves more to whoever uses it."""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from objectkernel_http.protocol import TRAILERS, TimedProtocol

WAITING: Final = 100
"""Requests of one connection that have no answer yet; whoever sends more at once is answered so many."""
BODY: Final = frozenset({b"content-length", b"transfer-encoding"})


class Pieces:
    """What has come of a body and was not asked for yet: what uvicorn keeps in a bytearray, without two copies of it.

    Where one piece was waiting, it is what the application receives.
    """

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def __iadd__(self, piece: bytes) -> Pieces:
        self._pieces.append(piece)
        self._size += len(piece)
        return self

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


class TimedHttpTools(TimedProtocol, HttpToolsProtocol):
    """uvicorn's protocol of httptools, with an end to waiting, and to what is kept of what was sent.

    Bytes are counted while the parser makes nothing of them: heads, trailers and what stands between chunks. What each
    request comes to calls uvicorn's class by its name: the way over `TimedProtocol` would cost more than it does.
    """

    _unread = 0
    _deaf = False
    """What still comes is for nobody: the connection will be closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._open: deque[RequestResponseCycle] = deque()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._unread += len(data)
        HttpToolsProtocol.data_received(self, data)
        if self._deadline is not None or not self._open:
            self._watch()
        if self._unread > self.head_bytes and not self._deaf:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a head may have {self.head_bytes} bytes")

    def connection_lost(self, exc: Exception | None) -> None:
        for cycle in self._open:  # uvicorn tells the last one only
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        self._unread = 0
        if len(self._open) >= WAITING:
            raise ValueError(f"{WAITING} requests of this connection wait already")
        parser = self.parser
        assert parser is not None  # it is what calls this
        names = [name for name, _ in self.headers]
        hosts = names.count(b"host")
        if hosts > 1 or (not hosts and parser.get_http_version() != "1.0"):
            raise ValueError("a request of HTTP/1.1 has one Host (RFC 9112, section 3.2)")
        upgrade = parser.should_upgrade()
        if upgrade and not BODY.isdisjoint(names):
            raise ValueError("the parser takes what follows for another protocol, and no proxy does")
        HttpToolsProtocol.on_headers_complete(self)
        self.headers = []  # for trailers, which are no headers of the request
        self.scope["extensions"] = {TRAILERS: {"headers": self.headers}}
        self._open.append(self.cycle)
        if upgrade:  # to nothing: it is answered as if it had not asked
            self._deaf = True
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        cycle: Any = self.cycle
        if not cycle.body:  # uvicorn's own, which is empty at first and whenever the application has received it
            cycle.body = Pieces()
        super().on_body(body)

    def on_response_complete(self) -> None:
        self._open.popleft()
        HttpToolsProtocol.on_response_complete(self)

    def _last(self) -> RequestResponseCycle | None:
        return self.cycle

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
