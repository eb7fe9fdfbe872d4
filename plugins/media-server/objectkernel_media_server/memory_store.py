"""Objects in memory: for tests, and for hosts that keep nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime

import attrs
from anyio.lowlevel import checkpoint
from objectkernel_contracts import NamedKey

from objectkernel_media_server.errors import StorageFull
from objectkernel_media_server.host_links import HostLinks
from objectkernel_media_server.keys import check_bucket, check_place, check_prefix
from objectkernel_media_server.part_names import earlier_tokens, new_token, next_token
from objectkernel_media_server.pieces import PIECE, Gathering
from objectkernel_media_server.storage_contracts import AppendStopped, StoredObject
from objectkernel_media_server.store_failures import exists, incomplete, missing, surplus


@attrs.define
class _Part:
    bucket: str
    key: str
    content: bytearray = attrs.field(factory=bytearray)
    changed_at: datetime = attrs.field(factory=lambda: datetime.now(UTC))


class MemoryDriver(HostLinks):
    """A store in memory: `contracts.Storage`, `contracts.Signs` and `contracts.Resumable`.

    Args:
        signed_url_base_url: where the host is reached.
        room: how many bytes it takes; more is a `StorageFull`.
        keys: what signs links; by default a secret of this object's own.
    """

    name = "memory"

    def __init__(
        self, signed_url_base_url: str = "", *, room: int | None = None, keys: tuple[NamedKey, ...] = ()
    ) -> None:
        signing = keys or (NamedKey(id="memory", secret=os.urandom(32)),)
        super().__init__(lambda: signing, signed_url_base_url)
        self._room = room
        self._objects: dict[tuple[str, str], tuple[StoredObject, bytes]] = {}
        self._parts: dict[str, _Part] = {}

    async def put_stream(
        self, bucket: str, key: str, body: AsyncIterable[bytes], *, size: int | None = None, content_type: str = ""
    ) -> StoredObject:
        """See `contracts.Storage.put_stream`."""
        check_place(bucket, key)
        gathering = Gathering(body)
        content = bytearray()
        last = False
        while not last:
            batch, last = await gathering.batch()
            if gathering.error is not None:
                raise gathering.error
            if size is not None and gathering.total > size:
                raise surplus(size)
            self._add(content, batch)
        if size is not None and gathering.total < size:
            raise incomplete(gathering.total, size)
        return self._keep(bucket, key, bytes(content))

    @asynccontextmanager
    async def open_range(
        self, bucket: str, key: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """See `contracts.Storage.open_range`."""
        check_place(bucket, key)
        await checkpoint()
        found = self._objects.get((bucket, key))
        if found is None:
            raise missing(bucket, key)
        end = len(found[1]) if length is None else start + length
        async with aclosing(_pieces(found[1], start, end)) as pieces:
            yield pieces

    async def head(self, bucket: str, key: str) -> StoredObject | None:
        """See `contracts.Storage.head`."""
        check_place(bucket, key)
        await checkpoint()
        found = self._objects.get((bucket, key))
        return None if found is None else found[0]

    async def delete(self, bucket: str, key: str) -> bool:
        """See `contracts.Storage.delete`."""
        check_place(bucket, key)
        await checkpoint()
        return self._objects.pop((bucket, key), None) is not None

    async def list(self, bucket: str, prefix: str = "") -> AsyncGenerator[StoredObject]:
        """See `contracts.Storage.list`."""
        check_prefix(bucket, prefix)
        await checkpoint()
        for (place, key), (found, _) in [*self._objects.items()]:
            if place == bucket and key.startswith(prefix):
                yield found

    async def ping(self) -> None:
        """See `contracts.Storage.ping`."""
        await checkpoint()

    async def aclose(self) -> None:
        """See `contracts.Storage.aclose`; the objects stay."""
        await checkpoint()

    async def begin(self, bucket: str, key: str, *, content_type: str = "") -> str:
        """See `contracts.Resumable.begin`."""
        check_place(bucket, key)
        await checkpoint()
        token = new_token()
        self._parts[token] = _Part(bucket, key)
        return token

    async def append(
        self, bucket: str, key: str, token: str, offset: int, body: AsyncIterable[bytes]
    ) -> tuple[str, int]:
        """See `contracts.Resumable.append`."""
        part = self._part(bucket, key, token)
        if len(part.content) < offset:
            raise incomplete(len(part.content), offset)
        for earlier in earlier_tokens(token):
            self._parts.pop(earlier, None)
        del part.content[offset:]
        gathering = Gathering(body)
        last = False
        while not last:
            batch, last = await gathering.batch()
            try:
                self._add(part.content, batch)
            except StorageFull as error:
                if len(part.content) == offset:
                    raise
                raise AppendStopped(token, len(part.content)) from error
        part.changed_at = datetime.now(UTC)
        if gathering.error is not None:
            raise AppendStopped(token, len(part.content)) from gathering.error
        return token, len(part.content)

    async def fence(self, bucket: str, key: str, token: str, offset: int) -> str:
        """See `contracts.Resumable.fence`."""
        part = self._part(bucket, key, token)
        await checkpoint()
        if len(part.content) < offset:
            raise incomplete(len(part.content), offset)
        while token in self._parts:
            token = next_token(token)
        self._parts[token] = _Part(bucket, key, part.content[:offset])
        return token

    async def finish(self, bucket: str, key: str, token: str, size: int) -> StoredObject:
        """See `contracts.Resumable.finish`."""
        check_place(bucket, key)
        await checkpoint()
        there = self._objects.get((bucket, key))
        if token not in self._parts and there is not None and there[0].size == size:
            return there[0]
        part = self._part(bucket, key, token)
        if len(part.content) < size:
            raise incomplete(len(part.content), size)
        content = bytes(part.content[:size])
        done = there[0] if there is not None and there[1] == content else self._keep(bucket, key, content)
        self._drop(token)
        return done

    async def abort(self, bucket: str, key: str, token: str) -> None:
        """See `contracts.Resumable.abort`."""
        check_place(bucket, key)
        await checkpoint()
        self._drop(token)

    async def unfinished(self, bucket: str) -> AsyncGenerator[tuple[str, str, datetime]]:
        """See `contracts.Resumable.unfinished`."""
        check_bucket(bucket)
        await checkpoint()
        for token, part in [*self._parts.items()]:
            if part.bucket == bucket:
                yield part.key, token, part.changed_at

    def _part(self, bucket: str, key: str, token: str) -> _Part:
        check_place(bucket, key)
        part = self._parts.get(token)
        if part is None or (part.bucket, part.key) != (bucket, key):
            raise missing(bucket, key)
        return part

    def _drop(self, token: str) -> None:
        if self._parts.pop(token, None) is not None:
            for earlier in earlier_tokens(token):
                self._parts.pop(earlier, None)

    def _keep(self, bucket: str, key: str, content: bytes) -> StoredObject:
        if (bucket, key) in self._objects:
            raise exists(bucket, key)
        found = StoredObject(
            bucket=bucket,
            key=key,
            size=len(content),
            modified_at=datetime.now(UTC),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        self._objects[bucket, key] = found, content
        return found

    def _add(self, content: bytearray, batch: Sequence[bytes]) -> None:
        for piece in batch:
            if self._room is not None:
                used = sum(found.size for found, _ in self._objects.values())
                used += sum(len(part.content) for part in self._parts.values())
                if used + len(piece) > self._room:
                    raise StorageFull("the memory store has no room left", store=self.name, reason="full")
            content += piece


async def _pieces(content: bytes, start: int, end: int) -> AsyncGenerator[bytes]:
    for begin in range(start, min(end, len(content)), PIECE):
        await checkpoint()
        yield content[begin : min(begin + PIECE, end)]
