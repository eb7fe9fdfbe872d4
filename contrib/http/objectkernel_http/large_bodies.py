"""The rest of a long body, received past the parser: as few large pieces that nobody copies.

A parser has nothing to find in a body whose length is known. So while one comes, the transport has another protocol,
which receives straight into what the application gets, and gives the connection back behind the last byte.
"""

from __future__ import annotations

import asyncio
import sys
from io import BytesIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from objectkernel_http.pieces import Pieces
    from objectkernel_http.protocol_httptools import TimedHttpTools

WORTH: Final = 256 * 2**10
"""Bytes still to come of a body that is received this way."""
ABLE: Final = sys.platform != "win32"
"""Whether loops receive straight into what a protocol gives them, and ask for it each time: not on Windows, where they
receive first and then copy, without asking whether the protocol is still the same.
"""
LEAST, MOST = 64 * 2**10, 2**20
"""Of one piece. What comes slowly has small ones, so that a thousand slow senders do not fill the memory."""
LITTLE: Final = LEAST // 2
"""Bytes of a piece that is copied: cut short, it would leave a gap in memory that the next one does not fit into."""


class Filling:
    """A piece that is being received: a buffer that becomes `bytes` where it is."""

    __slots__ = ("_bytes", "_room", "_size", "_view")

    def __init__(self, room: int) -> None:
        self._bytes = BytesIO()
        self._bytes.seek(room - 1)
        self._bytes.write(b"\0")
        self._view = self._bytes.getbuffer()
        self._room = room
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def is_full(self) -> bool:
        """Whether there is no room for more."""
        return self._size == self._room

    def rest(self) -> memoryview:
        """Where the next bytes go."""
        return self._view[self._size :]

    def add(self, count: int) -> None:
        """So many have been put there."""
        self._size += count

    def taken(self) -> bytes:
        """What has come; nothing can be added any more."""
        if self._size < LITTLE:
            return bytes(self._view[: self._size])
        self._view.release()
        self._bytes.truncate(self._size)
        return self._bytes.getvalue()


class LargeBody(asyncio.BufferedProtocol):
    """Stands in the place of the protocol of a connection until the last byte of a body has come.

    Args:
        protocol: has read the head, and perhaps some of the body, which its request still has.
        left: bytes still to come.
    """

    def __init__(self, protocol: TimedHttpTools, left: int) -> None:
        self._protocol = protocol
        self._cycle = protocol.cycle
        self._left = left
        self._before: Pieces | LargeBody = protocol.cycle.body
        self._usual = LEAST
        self._filling: Filling | None = None

    def __len__(self) -> int:
        return len(self._before) + (0 if self._filling is None else len(self._filling))

    def take(self) -> bytes:
        """The next of what has come."""
        if self._before:
            return self._before.take()
        filling, self._filling = self._filling, None
        if filling is None:
            return b""
        self._usual = min(max(2 * len(filling), LEAST), MOST)
        return filling.taken()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport puts what comes next: never more than the body still has."""
        if self._filling is None or self._cycle.response_complete:  # what is in it is for nobody
            self._filling = Filling(min(self._usual, self._left))
        return self._filling.rest()

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have come."""
        assert self._filling is not None
        self._filling.add(nbytes)
        self._left -= nbytes
        if self._cycle.response_complete:  # nobody wants it any more
            self._filling = None
            self._protocol.body_ignored()
        elif self._left and self._filling.is_full:
            self._protocol.flow.pause_reading()
        if not self._left:
            self._protocol.body_came()
        if not self._cycle.response_complete:
            self._cycle.message_event.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._filling = None
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """The transport has enough to send."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """It has sent most of it."""
        self._protocol.resume_writing()
