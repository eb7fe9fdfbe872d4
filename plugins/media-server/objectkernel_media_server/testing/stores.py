"""What the suites of stores work with."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Final

import pytest

from objectkernel_media_server.storage_contracts import Resumable, Storage

ONE: Final = "suite-one"
TWO: Final = "suite-two"
MIB: Final = 1024 * 1024


class Stores:
    """Opens drivers on one store, and closes them together.

    Args:
        open: opens a driver; each sees the same objects.
    """

    def __init__(self, open: Callable[[], Storage]) -> None:
        self._open = open
        self._opened: list[Storage] = []

    def another(self) -> Storage:
        """A further driver on the same store, as of a process that has just started."""
        store = self._open()
        self._opened.append(store)
        return store

    async def __aenter__(self) -> Stores:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for store in self._opened:
            await store.aclose()


def content_of(size: int, seed: int = 0) -> bytes:
    """Bytes that repeat nowhere soon."""
    return random.Random(seed).randbytes(size)


async def body_of(
    content: bytes, piece: int = 64 * 1024, *, then: BaseException | None = None
) -> AsyncGenerator[bytes]:
    """A body in pieces, which raises at its end where that is asked for."""
    for start in range(0, len(content), piece):
        yield content[start : start + piece]
    if then is not None:
        raise then


async def read_all(store: Storage, bucket: str, key: str, start: int = 0, length: int | None = None) -> bytes:
    """What a store has under a key."""
    async with store.open_range(bucket, key, start, length) as pieces:
        return b"".join([piece async for piece in pieces])


async def keys_of(store: Storage, bucket: str, prefix: str) -> list[str]:
    """The keys that begin with a prefix."""
    return sorted([found.key async for found in store.list(bucket, prefix)])


class StoreTests:
    """The fixtures of each suite."""

    @pytest.fixture
    def store(self, stores: Stores) -> Storage:
        """The driver that a test works with."""
        return stores.another()

    @pytest.fixture
    def folder(self) -> str:
        """The beginning of keys that no other test has."""
        return f"suite/{uuid.uuid4().hex}"

    @pytest.fixture
    def key(self, folder: str) -> str:
        """A key that no other test has."""
        return f"{folder}/take-1.webm"


async def nothing_left(store: Storage, key: str, folder: str) -> None:
    """Assert that a key is as if nobody had ever used it."""
    assert await store.head(ONE, key) is None
    assert await keys_of(store, ONE, folder) == []
    if isinstance(store, Resumable):
        assert [found async for found in store.unfinished(ONE) if found[0] == key] == []
    await store.put_stream(ONE, key, body_of(b"again"))
    assert await read_all(store, ONE, key) == b"again"
