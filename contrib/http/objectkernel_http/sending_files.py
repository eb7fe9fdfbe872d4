"""Bytes of a file, sent without having been read: ASGI's extension ``http.response.zerocopysend``."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from objectkernel_http.accepting import first_kept

if TYPE_CHECKING:
    from uvicorn.protocols.http.flow_control import FlowControl

ZEROCOPY: Final = "http.response.zerocopysend"
ABLE: Final = hasattr(os, "sendfile") and hasattr(os, "RWF_NOWAIT")
"""Whether this system can send files so, and tell whether a part of one is in its memory."""
STEP: Final = 2**20
"""Bytes that one system call is asked to send."""
APART: Final = 512 * 2**10
"""Between two bytes of which it is looked whether they are in memory; what lies between them came with them."""


def extent(file: int, offset: int | None, count: int | None) -> tuple[int, int]:
    """Where a part of an open file begins, without `offset` where the file stands; and how long it is, without `count`
    to the end.
    """
    offset = os.lseek(file, 0, os.SEEK_CUR) if offset is None else offset
    return offset, max(os.fstat(file).st_size - offset, 0) if count is None else count


class FileSending:
    """Sends parts of files on one connection; the loop waits neither for that nor for a disk.

    Args:
        transport: of a connection without TLS.
        flow: of that.

    Attributes:
        is_scarce: it uses a descriptor that is kept for others, and is to be closed when its answer has been sent.
    """

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        self._transport = transport
        self._flow = flow
        self._own = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        self._own.setblocking(False)
        self.is_scarce = self._own.fileno() >= first_kept()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """The connection has ended, also for what waits until somebody reads from it."""
        self._own.close()
        self._changed.set()

    async def send(self, file: int, offset: int, count: int, head: bytes = b"") -> bool:
        """Send `count` bytes of an open file from `offset` on, behind what the transport has still to send.

        Args:
            head: sent before them, with the first of them.

        Returns:
            False: the client has gone.

        Raises:
            EOFError: the file has fewer.
        """
        await self._emptied()
        try:
            if head and not self._transport.is_closing():
                await self._begin(head)
            while count and not self._transport.is_closing():
                sent = await self._some(file, offset, min(count, STEP))
                offset, count = offset + sent, count - sent
        except (ConnectionError, TimeoutError):
            self._transport.abort()
        return not self._transport.is_closing()

    async def _begin(self, head: bytes) -> None:
        """Send a head, and say that more follows at once."""
        try:
            sent = self._own.send(head, socket.MSG_MORE)
        except BlockingIOError:
            sent = 0
        if sent < len(head):
            self._transport.write(head[sent:])
            await self._emptied()

    async def _emptied(self) -> None:
        """Wait until the transport has sent what it has."""
        if not self._transport.get_write_buffer_size():
            return
        await asyncio.sleep(0)  # uvloop sends at the end of its turn
        if self._transport.get_write_buffer_size():
            low, high = self._transport.get_write_buffer_limits()
            self._transport.set_write_buffer_limits(high=0)
            try:
                await self._flow.drain()
            finally:
                self._transport.set_write_buffer_limits(high=high, low=low)

    async def _some(self, file: int, offset: int, count: int) -> int:
        """Send some bytes, at least one, unless the connection ends; how many."""
        while not self._transport.is_closing():
            try:
                if _in_memory(file, offset, count):
                    return _expect_some(os.sendfile(self._own.fileno(), file, offset, count))
                with _duplicate(self._own) as connection:
                    return _expect_some(await _by_thread(connection, file, offset, count))
            except BlockingIOError:
                with _duplicate(self._own) as connection:
                    await self._writable(connection)
        return 0

    async def _writable(self, connection: int) -> None:
        """Wait until the connection takes more, or has ended."""
        loop = asyncio.get_running_loop()
        loop.add_writer(connection, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            loop.remove_writer(connection)
        self._changed.clear()


def _expect_some(sent: int) -> int:
    if not sent:
        raise EOFError("the file is shorter than what was to be sent of it")
    return sent


@contextmanager
def _duplicate(connection: socket.socket) -> Iterator[int]:
    """A descriptor that stays open while something is waited for, though the connection may end."""
    descriptor = os.dup(connection.fileno())
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _in_memory(file: int, offset: int, count: int) -> bool:
    """Whether nothing of this has to be read from a disk, as far as some of its bytes tell."""
    byte = [bytearray(1)]
    try:
        for place in (*range(offset, offset + count - 1, APART), offset + count - 1):
            os.preadv(file, byte, place, os.RWF_NOWAIT)
    except OSError:  # it has to be read, or its file system cannot tell
        return False
    return True


async def _by_thread(connection: int, file: int, offset: int, count: int) -> int:
    """`os.sendfile`, which may wait for a disk. However often this is cancelled, its descriptors are not in use when it
    ends: another file or connection could have the same numbers by then.
    """
    sending = asyncio.get_running_loop().run_in_executor(None, os.sendfile, connection, file, offset, count)
    try:
        return await asyncio.shield(sending)
    except asyncio.CancelledError:
        while not sending.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([sending])
        if not sending.cancelled():
            sending.exception()  # nobody asks for it any more
        raise
