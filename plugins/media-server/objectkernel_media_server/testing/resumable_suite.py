"""The behaviour suite of stores that take an object in several goes; see `storage_suite`."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import cast

import anyio
import pytest

from objectkernel_media_server.errors import KeyRefused, ObjectExists, ObjectMissing, UploadIncomplete
from objectkernel_media_server.storage_contracts import AppendStopped, Resumable, Storage, StoredObject
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


async def _tokens(uploads: Resumable, key: str) -> set[str]:
    return {token async for begun, token, _ in uploads.unfinished(ONE) if begun == key}


def _is_whole(done: StoredObject, key: str, content: bytes) -> None:
    assert (done.bucket, done.key, done.size) == (ONE, key, len(content))
    assert done.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.anyio
class ResumableSuite(StoreTests):
    """What every `contracts.Resumable` does."""

    @pytest.fixture
    def uploads(self, store: Storage) -> Resumable:
        """The driver, as one that takes objects in several goes."""
        assert isinstance(store, Resumable)
        return store

    def resumed(self, stores: Stores) -> Resumable:
        """The driver of another process."""
        return cast(Resumable, stores.another())

    @pytest.mark.parametrize(
        "sizes",
        [(), (0,), (1, 1, 1), (100_000, 1, 0, 70_000), (5 * MIB, 5 * MIB), (5 * MIB - 1, 2), (9 * MIB, 3, 12 * MIB)],
    )
    async def test_several_goes(
        self, uploads: Resumable, store: Storage, key: str, folder: str, sizes: tuple[int, ...]
    ) -> None:
        """What was appended, in goes of any size, is the object once it is finished, and not before."""
        content = content_of(sum(sizes))
        token, offset = await uploads.begin(ONE, key, content_type="video/webm"), 0
        for size in sizes:
            token, offset = await uploads.append(ONE, key, token, offset, body_of(content[offset : offset + size]))
        assert offset == len(content)
        assert await store.head(ONE, key) is None
        assert await keys_of(store, ONE, folder) == []
        _is_whole(await uploads.finish(ONE, key, token, offset), key, content)
        assert await read_all(store, ONE, key) == content
        assert await _tokens(uploads, key) == set()
        assert await keys_of(store, ONE, folder) == [key]

    @pytest.mark.parametrize("size", [0, 1000, 11 * MIB])
    async def test_body_raises(self, uploads: Resumable, store: Storage, key: str, size: int) -> None:
        """What came before a body raised is kept, and the next one goes on there."""
        content = content_of(size + 10)
        token = await uploads.begin(ONE, key)
        with pytest.raises(AppendStopped) as caught:
            await uploads.append(ONE, key, token, 0, body_of(content[:size], then=ZeroDivisionError()))
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert caught.value.offset == size
        token, offset = await uploads.append(ONE, key, caught.value.token, size, body_of(content[size:]))
        _is_whole(await uploads.finish(ONE, key, token, offset), key, content)
        assert await read_all(store, ONE, key) == content

    @pytest.mark.parametrize("size", [0, 1000, 11 * MIB])
    async def test_cancelled(self, uploads: Resumable, store: Storage, key: str, size: int) -> None:
        """So is what came before the caller was cancelled."""
        content = content_of(size + 10)
        stopped: list[AppendStopped] = []

        async def body() -> AsyncGenerator[bytes]:
            async for piece in body_of(content[:size]):
                yield piece
            scope.cancel()
            await anyio.sleep_forever()

        token = await uploads.begin(ONE, key)
        with anyio.CancelScope() as scope:
            async with aclosing(body()) as pieces:
                try:
                    await uploads.append(ONE, key, token, 0, pieces)
                except AppendStopped as error:
                    stopped.append(error)
                    assert error.__cause__ is not None
                    raise error.__cause__ from None
        assert scope.cancelled_caught
        assert [error.offset for error in stopped] == [size]
        token, offset = await uploads.append(ONE, key, stopped[0].token, size, body_of(content[size:]))
        _is_whole(await uploads.finish(ONE, key, token, offset), key, content)

    @pytest.mark.parametrize("first", [0, 1000, 6 * MIB])
    async def test_older_token(self, stores: Stores, uploads: Resumable, key: str, first: int) -> None:
        """An older token with its offset works as if the newer one had never been: that may not have been kept."""
        content = content_of(first + 7 * MIB)
        begun = await uploads.begin(ONE, key)
        old, offset = await uploads.append(ONE, key, begun, 0, body_of(content[:first]))
        await uploads.append(ONE, key, old, offset, body_of(content_of(9 * MIB, 1)))
        uploads = self.resumed(stores)
        token, offset = await uploads.append(ONE, key, old, offset, body_of(content[first:]))
        assert offset == len(content)
        _is_whole(await uploads.finish(ONE, key, token, offset), key, content)
        assert await _tokens(uploads, key) == set()

    @pytest.mark.parametrize("size", [1000, 6 * MIB])
    @pytest.mark.parametrize("turns", ["aab", "aaba", "aba"])
    async def test_processes_in_turn(
        self, stores: Stores, uploads: Resumable, store: Storage, key: str, size: int, turns: str
    ) -> None:
        """What a process remembers is nothing when another one has gone on since: only the first and the last append
        were kept, and nobody was shut out.
        """
        content = content_of(2 * size)
        processes = {"a": uploads, "b": self.resumed(stores)}
        first, *forgotten, last = (processes[name] for name in turns)
        token, offset = await first.append(ONE, key, await first.begin(ONE, key), 0, body_of(content[:size]))
        for n, process in enumerate(forgotten):
            await process.append(ONE, key, token, offset, body_of(content_of(size, n + 1)))
        token, offset = await last.append(ONE, key, token, offset, body_of(content[size:]))
        _is_whole(await first.finish(ONE, key, token, offset), key, content)
        assert await read_all(store, ONE, key) == content
        assert await _tokens(first, key) == set()

    @pytest.mark.parametrize("first", [0, 1000, 6 * MIB + 5])
    async def test_fence(self, stores: Stores, uploads: Resumable, store: Storage, key: str, first: int) -> None:
        """Whoever holds the old token cannot reach what is appended under the new one, however much it writes."""
        content = content_of(first + 7 * MIB)
        token = await uploads.begin(ONE, key)
        old, offset = await uploads.append(ONE, key, token, 0, body_of(content[:first]))
        other = self.resumed(stores)
        new = await other.fence(ONE, key, old, offset)
        middle, offset = await other.append(ONE, key, new, offset, body_of(content[first : first + 6 * MIB]))
        async with aclosing(body_of(content_of(20 * MIB, 1))) as late:
            with suppress(ObjectMissing, AppendStopped):
                await uploads.append(ONE, key, old, first, late)
        await uploads.abort(ONE, key, old)
        last, offset = await other.append(ONE, key, middle, offset, body_of(content[first + 6 * MIB :]))
        _is_whole(await other.finish(ONE, key, last, offset), key, content)
        assert await read_all(store, ONE, key) == content
        assert await _tokens(other, key) == set()

    @pytest.mark.parametrize("first", [0, 1000, 6 * MIB + 5])
    async def test_fence_while_writing(self, stores: Stores, uploads: Resumable, key: str, first: int) -> None:
        """An old writer that is in the middle of an append when it is fenced off does no harm."""
        content = content_of(first + 6 * MIB)
        token = await uploads.begin(ONE, key)
        old, offset = await uploads.append(ONE, key, token, 0, body_of(content[:first]))
        other = self.resumed(stores)
        fenced: list[str] = []

        async def body() -> AsyncGenerator[bytes]:
            for n in range(4):
                yield content_of(6 * MIB, n + 1)
                if n == 1:
                    new = await other.fence(ONE, key, old, offset)
                    fenced.append((await other.append(ONE, key, new, offset, body_of(content[first:])))[0])

        with suppress(ObjectMissing, AppendStopped):
            await uploads.append(ONE, key, old, offset, body())
        _is_whole(await other.finish(ONE, key, fenced[0], len(content)), key, content)

    async def test_fence_again(self, stores: Stores, uploads: Resumable, key: str) -> None:
        """The old token can be fenced again as long as nothing was done with the new one: it may not have been kept."""
        content = content_of(6 * MIB)
        token, offset = await uploads.append(ONE, key, await uploads.begin(ONE, key), 0, body_of(content))
        lost = await uploads.fence(ONE, key, token, offset)
        new = await self.resumed(stores).fence(ONE, key, token, offset)
        assert len({token, lost, new}) == 3
        _is_whole(await uploads.finish(ONE, key, new, offset), key, content)
        for left in await _tokens(uploads, key):
            await uploads.abort(ONE, key, left)
        assert await _tokens(uploads, key) == set()

    async def test_finish_again(self, stores: Stores, uploads: Resumable, store: Storage, key: str) -> None:
        """Finishing once more, also in another process, gives the same: who was killed then does not know."""
        content = content_of(6 * MIB)
        token, offset = await uploads.append(ONE, key, await uploads.begin(ONE, key), 0, body_of(content))
        first = await uploads.finish(ONE, key, token, offset)
        again = await self.resumed(stores).finish(ONE, key, token, offset)
        _is_whole(first, key, content)
        _is_whole(again, key, content)
        assert await store.delete(ONE, key)
        with pytest.raises(ObjectMissing):
            await uploads.finish(ONE, key, token, offset)

    async def test_finish_too_early(self, uploads: Resumable, store: Storage, key: str) -> None:
        """Where bytes are missing nothing becomes an object, and the upload goes on."""
        content = content_of(1000)
        token, offset = await uploads.append(ONE, key, await uploads.begin(ONE, key), 0, body_of(content[:600]))
        with pytest.raises(UploadIncomplete):
            await uploads.finish(ONE, key, token, 1000)
        assert await store.head(ONE, key) is None
        token, offset = await uploads.append(ONE, key, token, offset, body_of(content[600:]))
        _is_whole(await uploads.finish(ONE, key, token, 1000), key, content)

    async def test_finish_a_taken_key(self, uploads: Resumable, store: Storage, key: str) -> None:
        """An object that is under the key already is kept."""
        token, offset = await uploads.append(ONE, key, await uploads.begin(ONE, key), 0, body_of(b"second"))
        await store.put_stream(ONE, key, body_of(b"first"))
        with pytest.raises(ObjectExists):
            await uploads.finish(ONE, key, token, offset)
        assert await read_all(store, ONE, key) == b"first"
        await uploads.abort(ONE, key, token)
        assert await _tokens(uploads, key) == set()

    async def test_abort(self, uploads: Resumable, store: Storage, key: str, folder: str) -> None:
        """Nothing is left of what was aborted; once more does nothing."""
        token, _ = await uploads.append(ONE, key, await uploads.begin(ONE, key), 0, body_of(content_of(6 * MIB)))
        await uploads.abort(ONE, key, token)
        await uploads.abort(ONE, key, token)
        with pytest.raises(ObjectMissing):
            await uploads.append(ONE, key, token, 6 * MIB, body_of(b"x"))
        await nothing_left(store, key, folder)

    async def test_unfinished(self, stores: Stores, uploads: Resumable, folder: str) -> None:
        """Everything that was begun is listed, of its bucket alone, and can be aborted by what the list says."""
        begun = {f"{folder}/{n}" for n in range(3)}
        for key in begun:
            token = await uploads.begin(ONE, key)
            await uploads.append(ONE, key, token, 0, body_of(content_of(5 * MIB + 1)))
        other = self.resumed(stores)
        listed = [(key, token) async for key, token, _ in other.unfinished(ONE) if key.startswith(folder)]
        assert {key for key, _ in listed} == begun
        assert [key async for key, _, _ in other.unfinished(TWO) if key.startswith(folder)] == []
        for key, token in listed:
            await other.abort(ONE, key, token)
        assert [key async for key, _, _ in other.unfinished(ONE) if key.startswith(folder)] == []

    @pytest.mark.parametrize("token", ["", "..", "../../x", "0" * 32, f"{'0' * 32}.0", "{}", "null"])
    async def test_odd_tokens(self, uploads: Resumable, key: str, token: str) -> None:
        """What is no token of this store leads nowhere."""
        with pytest.raises(ObjectMissing):
            await uploads.append(ONE, key, token, 0, body_of(b"x"))
        with pytest.raises(ObjectMissing):
            await uploads.fence(ONE, key, token, 0)
        with pytest.raises(ObjectMissing):
            await uploads.finish(ONE, key, token, 0)

    async def test_token_of_another_key(self, uploads: Resumable, key: str, folder: str) -> None:
        """A token is good for the key that it was given for."""
        token, _ = await uploads.append(ONE, key, await uploads.begin(ONE, key), 0, body_of(b"x"))
        with pytest.raises(ObjectMissing):
            await uploads.append(ONE, f"{folder}/other", token, 1, body_of(b"x"))
        with pytest.raises(ObjectMissing):
            await uploads.append(TWO, key, token, 1, body_of(b"x"))

    async def test_refused_keys(self, uploads: Resumable) -> None:
        """Keys are refused as in `StorageSuite`."""
        with pytest.raises(KeyRefused):
            await uploads.begin(ONE, "../a")

    @pytest.mark.parametrize("seed", range(4))
    async def test_any_history(self, stores: Stores, store: Storage, key: str, seed: int) -> None:
        """Whatever happens between, what was acknowledged is what the object has."""
        chance = random.Random(seed)
        uploads = self.resumed(stores)
        content = bytearray()
        token, offset = await uploads.begin(ONE, key), 0
        for n in range(12):
            size = chance.choice((0, 1, 50_000, 3 * MIB, 6 * MIB))
            piece = content_of(size, n)
            what = chance.choice(("append", "append", "append", "stop", "forget", "fence", "restart"))
            if what == "append":
                token, offset = await uploads.append(ONE, key, token, offset, body_of(piece))
                content += piece
            elif what == "stop":
                try:
                    await uploads.append(ONE, key, token, offset, body_of(piece, then=ZeroDivisionError()))
                except AppendStopped as stopped:
                    token, offset = stopped.token, stopped.offset
                content += piece
            elif what == "forget":
                await uploads.append(ONE, key, token, offset, body_of(piece))
            elif what == "fence":
                old, token = token, await uploads.fence(ONE, key, token, offset)
                await uploads.abort(ONE, key, old)
            else:
                uploads = self.resumed(stores)
            assert offset == len(content)
        _is_whole(await uploads.finish(ONE, key, token, offset), key, bytes(content))
        assert await read_all(store, ONE, key) == bytes(content)
        assert await _tokens(uploads, key) == set()
