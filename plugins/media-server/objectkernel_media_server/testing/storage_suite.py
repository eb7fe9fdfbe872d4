"""The behaviour suite of stores: whoever writes a driver runs them with pytest, and knows what is still wrong.

A test module of yours is a dozen lines::

    import pytest
    from objectkernel_media_server.testing import ResumableSuite, StorageSuite, Stores

    @pytest.fixture(scope="module", params=["asyncio", "trio"])  # the event loops that your driver knows
    def anyio_backend(request):
        return request.param

    @pytest.fixture
    async def stores(anyio_backend):
        async with Stores(lambda: MyDriver("/somewhere")) as stores:
            yield stores

    class TestMyStorage(StorageSuite): ...

    class TestMyUploads(ResumableSuite): ...  # where the driver is `contracts.Resumable`

    class TestMyLinks(SignsSuite): ...  # where it is `contracts.Signs`

    class TestMyFiles(FilesSuite): ...  # where it is `storage_contracts.OpensFiles`

The buckets ``suite-one`` and ``suite-two`` have to be there; keys are new for each test, so the store may be a shared
one. Needs pytest and anyio's plugin.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final

import anyio
import pytest

from objectkernel_media_server.errors import KeyRefused, ObjectExists, ObjectMissing, UploadIncomplete
from objectkernel_media_server.storage_contracts import Storage
from objectkernel_media_server.testing.stores import (
    MIB,
    ONE,
    TWO,
    Stores,
    StoreTests,
    body_of,
    content_of,
    keys_of,
    nothing_left,
    read_all,
)

REFUSED: Final = (
    "",
    "/a",
    "a/",
    "a//b",
    "..",
    "a/../b",
    "./a",
    "a/.b",
    "a.",
    "a./b",
    "A",
    "a b",
    "a\\b",
    "a\0",
    "a\nb",
    "é",
    "a%2fb",
    "con",
    "a/nul.webm",
    "a:b",
    "a*",
    "x" * 201,
)
"""Keys that no store takes."""


@pytest.mark.anyio
class StorageSuite(StoreTests):
    """What every `contracts.Storage` does."""

    async def test_members(self, store: Storage) -> None:
        """A driver has every member of the Protocol, says what it is, and gives a sign of life."""
        assert isinstance(store, Storage)
        assert store.name
        await store.ping()

    @pytest.mark.parametrize("size", [0, 1, 65_537, 3 * MIB + 7, 11 * MIB])
    async def test_put_and_read(self, store: Storage, key: str, size: int) -> None:
        """What was put is read, with its size and its SHA-256 told."""
        content = content_of(size)
        before = datetime.now(UTC) - timedelta(seconds=5)
        put = await store.put_stream(ONE, key, body_of(content), size=size, content_type="video/webm")
        assert (put.bucket, put.key, put.size) == (ONE, key, size)
        assert put.sha256 == hashlib.sha256(content).hexdigest()
        assert await read_all(store, ONE, key) == content
        head = await store.head(ONE, key)
        assert head is not None
        assert (head.bucket, head.key, head.size) == (ONE, key, size)
        assert before <= head.modified_at <= datetime.now(UTC) + timedelta(seconds=5)

    @pytest.mark.parametrize("piece", [1, 7, 100_000])
    async def test_pieces_of_any_size(self, store: Storage, key: str, piece: int) -> None:
        """How a body is cut does not matter, nor do empty pieces."""
        content = content_of(min(piece * 3000, 2 * MIB))

        async def body() -> AsyncIterator[bytes]:
            async for one in body_of(content, piece):
                yield b""
                yield one

        put = await store.put_stream(ONE, key, body())
        assert put.size == len(content)
        assert await read_all(store, ONE, key) == content

    @pytest.mark.parametrize(
        ("start", "length"),
        [
            (0, 1),
            (0, None),
            (1, None),
            (999, 2),
            (2 * MIB - 1, 1),
            (2 * MIB - 1, 5),
            (2 * MIB, None),
            (5, MIB + 9),
            (5, 0),
        ],
    )
    async def test_ranges(self, store: Storage, folder: str, start: int, length: int | None) -> None:
        """A range gives what a slice gives, in pieces that fit into memory."""
        content = content_of(2 * MIB)
        await store.put_stream(ONE, f"{folder}/x", body_of(content))
        async with store.open_range(ONE, f"{folder}/x", start, length) as pieces:
            got = [piece async for piece in pieces]
        assert b"".join(got) == content[start : None if length is None else start + length]
        assert all(len(piece) <= 2 * MIB for piece in got)

    async def test_reading_stopped(self, store: Storage, key: str) -> None:
        """Whoever stops reading in the middle leaves nothing open, and may begin anew."""
        content = content_of(5 * MIB)
        await store.put_stream(ONE, key, body_of(content))
        async with store.open_range(ONE, key) as pieces:
            async for piece in pieces:
                assert piece
                break
        assert await read_all(store, ONE, key, 3, 4) == content[3:7]

    async def test_never_replaced(self, store: Storage, key: str) -> None:
        """A key that is in use keeps its object."""
        await store.put_stream(ONE, key, body_of(b"first"))
        with pytest.raises(ObjectExists):
            await store.put_stream(ONE, key, body_of(b"second"))
        with pytest.raises(ObjectExists):
            await store.put_stream(ONE, key, body_of(content_of(11 * MIB)))
        assert await read_all(store, ONE, key) == b"first"

    async def test_one_of_many_wins(self, stores: Stores, key: str) -> None:
        """Of many who put under one key at once, one succeeds, and its object is whole."""
        won: list[bytes] = []

        async def put(n: int) -> None:
            content = content_of(200_000, n)
            try:
                await stores.another().put_stream(ONE, key, body_of(content, 50_000))
            except ObjectExists:
                return
            won.append(content)

        async with anyio.create_task_group() as tasks:
            for n in range(8):
                tasks.start_soon(put, n)
        assert len(won) == 1
        assert await read_all(stores.another(), ONE, key) == won[0]

    async def test_unseen_before_complete(self, store: Storage, key: str, folder: str) -> None:
        """Nothing of an object is to be seen before all of it is there."""
        seen: list[object] = []

        async def body() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield content_of(4 * MIB)
                seen.append(await store.head(ONE, key))
                seen.extend(await keys_of(store, ONE, folder))

        await store.put_stream(ONE, key, body())
        assert seen == [None, None, None]

    @pytest.mark.parametrize("size", [0, 1000, 11 * MIB])
    async def test_body_raises(self, store: Storage, key: str, folder: str, size: int) -> None:
        """Nothing is left of a body that raised, and its error is what the caller gets."""
        with pytest.raises(ZeroDivisionError):
            await store.put_stream(ONE, key, body_of(content_of(size), then=ZeroDivisionError()))
        await nothing_left(store, key, folder)

    @pytest.mark.parametrize("size", [1000, 11 * MIB])
    async def test_cancelled(self, store: Storage, key: str, folder: str, size: int) -> None:
        """Nothing is left where the caller was cancelled."""

        async def body() -> AsyncGenerator[bytes]:
            async for piece in body_of(content_of(size)):
                yield piece
            scope.cancel()
            await anyio.sleep_forever()

        with anyio.CancelScope() as scope:
            async with aclosing(body()) as pieces:
                await store.put_stream(ONE, key, pieces)
        assert scope.cancelled_caught
        await nothing_left(store, key, folder)

    @pytest.mark.parametrize("announced", [0, 999, 1001, 12 * MIB])
    async def test_other_size(self, store: Storage, key: str, folder: str, announced: int) -> None:
        """A body of another size than was announced is refused."""
        with pytest.raises(UploadIncomplete):
            await store.put_stream(ONE, key, body_of(content_of(1000)), size=announced)
        await nothing_left(store, key, folder)

    async def test_missing(self, store: Storage, key: str) -> None:
        """What is not there: None, False and `ObjectMissing`."""
        assert await store.head(ONE, key) is None
        assert not await store.delete(ONE, key)
        with pytest.raises(ObjectMissing):
            await read_all(store, ONE, key)

    async def test_delete(self, store: Storage, folder: str) -> None:
        """A deleted object is gone, its neighbour is not, and its key can be used again."""
        for name in ("a/x", "a/y"):
            await store.put_stream(ONE, f"{folder}/{name}", body_of(b"1"))
        assert await store.delete(ONE, f"{folder}/a/x")
        assert await store.head(ONE, f"{folder}/a/x") is None
        assert await keys_of(store, ONE, folder) == [f"{folder}/a/y"]
        await store.put_stream(ONE, f"{folder}/a/x", body_of(b"2"))
        assert await read_all(store, ONE, f"{folder}/a/x") == b"2"

    async def test_list(self, store: Storage, folder: str) -> None:
        """A list has every object whose key begins with the prefix, wherever that ends, with its size."""
        names = ["a/b/1.webm", "a/b/2.webm", "a/bc", "b/1"]
        for name in names:
            await store.put_stream(ONE, f"{folder}/{name}", body_of(name.encode()))
        assert await keys_of(store, ONE, f"{folder}/") == [f"{folder}/{name}" for name in names]
        assert await keys_of(store, ONE, f"{folder}/a/b") == [f"{folder}/{name}" for name in names[:3]]
        assert await keys_of(store, ONE, f"{folder}/a/b/") == [f"{folder}/{name}" for name in names[:2]]
        assert await keys_of(store, ONE, f"{folder}/c") == []
        sizes = {found.key: found.size async for found in store.list(ONE, folder)}
        assert sizes == {f"{folder}/{name}": len(name) for name in names}

    async def test_buckets_apart(self, store: Storage, key: str, folder: str) -> None:
        """A key in one bucket is nothing in another."""
        await store.put_stream(ONE, key, body_of(b"one"))
        assert await store.head(TWO, key) is None
        assert await keys_of(store, TWO, folder) == []
        await store.put_stream(TWO, key, body_of(b"two"))
        assert await read_all(store, ONE, key) == b"one"

    @pytest.mark.parametrize("key", REFUSED)
    async def test_refused_keys(self, store: Storage, key: str) -> None:
        """Keys that could lead elsewhere, or that another store could not hold, are refused by every operation."""
        with pytest.raises(KeyRefused):
            await store.put_stream(ONE, key, body_of(b""))
        with pytest.raises(KeyRefused):
            await read_all(store, ONE, key)
        with pytest.raises(KeyRefused):
            await store.head(ONE, key)
        with pytest.raises(KeyRefused):
            await store.delete(ONE, key)

    @pytest.mark.parametrize("bucket", ["", "a", "..", "a/b", "Upper", "-ab", "ab-", "a.b", "x" * 64, "ab\n"])
    async def test_refused_buckets(self, store: Storage, bucket: str) -> None:
        """So are buckets."""
        with pytest.raises(KeyRefused):
            await store.head(bucket, "a")
        with pytest.raises(KeyRefused):
            await keys_of(store, bucket, "")

    @pytest.mark.parametrize("prefix", ["../", "/", "a/../b", ".uploads", "a//b", "\0"])
    async def test_refused_prefixes(self, store: Storage, prefix: str) -> None:
        """A prefix that no key can have is refused."""
        with pytest.raises(KeyRefused):
            await keys_of(store, ONE, prefix)
