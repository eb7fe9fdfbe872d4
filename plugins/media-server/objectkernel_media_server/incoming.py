"""The body of a request as an upload reads it: ahead of the disk, in slices, until somebody says stop."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, Literal, TypeAlias

import anyio

from objectkernel_media_server.errors import UploadIncomplete
from objectkernel_media_server.pieces import add_piece

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""ASGI's."""
Ending: TypeAlias = Literal["whole", "gone", "failed", "stopped"]
"""All has come; its sender went away; the server refused it; somebody said stop, or the request was cancelled."""

READ_AHEAD: Final = 2**20
"""Bytes that wait for the disk."""


class IncomingBody:
    """Reads in a task of its own (`run`) while slices of it are written.

    Attributes:
        ending: why no more comes; None: it may.
        error: what the server has raised, where `ending` is ``failed``.
        size: bytes that have been handed on.
    """

    def __init__(self, receive: Receive) -> None:
        self.ending: Ending | None = None
        self.error: Exception | None = None
        self.size = 0
        self._receive = receive
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._changed = anyio.Event()
        self._room = anyio.Event()
        self._pausing = False

    @property
    def is_over(self) -> bool:
        """Whether no slice of it is left."""
        return self.ending is not None and not self._chunks

    async def run(self) -> None:
        """Read until the end. Cancelled, it leaves what has come to whoever reads slices."""
        try:
            while self.ending is None:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    self._end("gone")
                    return
                self._take(message.get("body", b""))
                if not message.get("more_body", False):
                    self._end("whole")
                elif self._waiting >= READ_AHEAD:
                    self._room = anyio.Event()
                    await self._room.wait()
        except Exception as error:  # the server's, of a body too long or too slow: told when what came is kept
            self.error = error
            self._end("failed")
        finally:
            self._end("stopped")

    def stop(self) -> None:
        """Take no more: slices end."""
        self._chunks.clear()
        self._waiting = 0
        self._end("stopped")
        self._room.set()

    def pause(self) -> None:
        """End the slice that is being read as if its time were over."""
        self._pausing = True
        self._wake()

    async def wait(self) -> bool:
        """Wait until there are bytes or the end; whether there are bytes."""
        self._pausing = False
        while not self._chunks and self.ending is None:
            await self._changed.wait()
        return not self.is_over

    async def slice(
        self, most: int, seconds: float, seen: Callable[[bytes], None] | None = None
    ) -> AsyncGenerator[bytes]:
        """What comes, until `most` bytes or so many seconds; `seen` sees it too."""
        until = anyio.current_time() + seconds
        while most > 0 and not self._pausing:
            if self._chunks:
                piece = self._next(most)
                most -= len(piece)
                if seen is not None:
                    seen(piece)
                yield piece
                continue
            if self.ending is not None:
                return
            with anyio.move_on_at(until) as waiting:
                await self._changed.wait()
            if waiting.cancelled_caught:
                return

    def _next(self, most: int) -> bytes:
        piece = self._chunks.popleft()
        if len(piece) > most:
            self._chunks.appendleft(piece[most:])
            piece = piece[:most]
        self._waiting -= len(piece)
        self.size += len(piece)
        if self._waiting < READ_AHEAD:
            self._room.set()
        return piece

    def _take(self, chunk: bytes) -> None:
        if chunk:
            add_piece(self._chunks, chunk)
            self._waiting += len(chunk)
            self._wake()

    def _end(self, ending: Ending) -> None:
        self.ending = self.ending or ending
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@asynccontextmanager
async def read_while(body: IncomingBody, *, shielded: bool = False) -> AsyncIterator[None]:
    """Read a body while its slices are written in the block.

    Args:
        shielded: a cancellation ends the body, and not the block.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(body.run)
        try:
            with anyio.CancelScope(shield=shielded):
                yield
        except Exception as error:
            failure = error  # raised outside the group, which would wrap it
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


@asynccontextmanager
async def reading(receive: Receive) -> AsyncIterator[AsyncGenerator[bytes]]:
    """A body that is read ahead of who writes it.

    Raises:
        UploadIncomplete: from the iterator: its sender went away.
        What the server raises of a body that is too long or too slow.
    """
    body = IncomingBody(receive)
    async with read_while(body), aclosing(_whole(body)) as pieces:
        yield pieces


async def _whole(body: IncomingBody) -> AsyncGenerator[bytes]:
    async with aclosing(body.slice(sys.maxsize, math.inf)) as pieces:
        async for piece in pieces:
            yield piece
    if body.ending != "whole":
        raise body.error or UploadIncomplete("the body ended early")
