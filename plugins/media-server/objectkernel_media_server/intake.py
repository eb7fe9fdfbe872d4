"""The bytes of one recording on their way into the store: counted, and held against what is allowed, as they pass."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any, Final

import anyio

from objectkernel_media_server.contracts import MediaTooLarge
from objectkernel_media_server.sniffing import SNIFFED

STEP: Final = 16 * 2**20
"""Bytes that are reserved at a time for a recording whose size nobody has said."""
SIGN_OF_LIFE: Final = 60.0
"""Seconds after which it is written that a recording is still coming."""


class Intake:
    """What a sender sends, as an iterator for `Storage.put_stream`.

    Args:
        most: how many bytes one recording may have.
        expected: how many the sender has said.
    """

    def __init__(self, body: bytes | AsyncIterable[bytes], most: int, expected: int | None = None) -> None:
        self._pieces = _one(body) if isinstance(body, bytes | bytearray | memoryview) else aiter(body)
        self._most = most
        self._held: list[bytes] = []
        self._reserved = expected or 0
        self._told_at = anyio.current_time()
        self._came: Callable[[int | None], Awaitable[int]] | None = None
        self.count = 0
        self._within(self._reserved)

    async def head(self) -> bytes:
        """The first bytes, enough to tell what they are; they stay to be read."""
        held = 0
        while held < SNIFFED:
            try:
                piece = await anext(self._pieces)
            except StopAsyncIteration:
                break
            self._held.append(piece)
            held += len(piece)
        return b"".join(bytes(piece[:SNIFFED]) for piece in self._held)[:SNIFFED]

    def watched(self, came: Callable[[int | None], Awaitable[int]]) -> Intake:
        """Call `came` with the bytes that have come when more have than are reserved, and with None now and then;
        it answers how many are reserved.
        """
        self._came = came
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = self._held.pop(0) if self._held else await anext(self._pieces)
        self.count += len(piece)
        self._within(self.count)
        if self._came is not None:
            if self.count > self._reserved:
                self._reserved = await self._came(self.count)
                self._told_at = anyio.current_time()
            elif anyio.current_time() - self._told_at > SIGN_OF_LIFE:
                await self._came(None)
                self._told_at = anyio.current_time()
        return piece

    def _within(self, size: int) -> None:
        if size > self._most:
            raise too_large(self._most)


def too_large(limit: int) -> MediaTooLarge:
    """The error for a recording of more bytes than one may have."""
    return MediaTooLarge(
        "the recording is too large",
        why=f"one may have {limit} bytes",
        fix="send it in several recordings, or have the limit raised",
        limit=limit,
    )


class _One:
    """The iterator over one piece: unlike a generator, nobody has to close it."""

    def __init__(self, piece: bytes) -> None:
        self._left = [piece] if piece else []

    def __aiter__(self) -> _One:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


def _one(piece: Any) -> AsyncIterator[bytes]:
    return _One(bytes(piece))
