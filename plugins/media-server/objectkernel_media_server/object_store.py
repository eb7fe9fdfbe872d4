"""Objects that come in several goes, for stores that know whole objects only: each go is some objects, the segments.

Segments are never changed under the tokens that name them, so that an older token goes on to be good, and a fence is a
list of its own. At the end they are read and put together as one object, through this host: it is not for free.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from datetime import datetime

import anyio
import attrs

from objectkernel_media_server.errors import ObjectExists, StorageUnavailable
from objectkernel_media_server.keys import check_bucket, check_place
from objectkernel_media_server.obstore_objects import PART, ObstoreObjects
from objectkernel_media_server.pieces import Gathering
from objectkernel_media_server.segment_names import (
    INTERNAL,
    Place,
    Segment,
    as_text,
    first,
    from_text,
    read_name,
    read_token,
    total,
)
from objectkernel_media_server.storage_contracts import AppendStopped, StoredObject
from objectkernel_media_server.store_failures import exists, incomplete, missing


class ObstoreDriver(ObstoreObjects):
    """obstore as a store: `contracts.Storage`, `contracts.Signs` and `contracts.Resumable`."""

    async def begin(self, bucket: str, key: str, *, content_type: str = "") -> str:
        """See `contracts.Resumable.begin`."""
        check_place(bucket, key)
        place = Place(uuid.uuid4().hex, 0, 0)
        await self.put_new(_path(bucket, key, place.text()), as_text(()))
        return place.text()

    async def append(
        self, bucket: str, key: str, token: str, offset: int, body: AsyncIterable[bytes]
    ) -> tuple[str, int]:
        """See `contracts.Resumable.append`."""
        place, segments, before = await self._segments(bucket, key, token, offset)
        new = attrs.evolve(place, step=secrets.randbelow(2**48))
        gathering = Gathering(body, PART)
        failure: BaseException | None = None
        added = 0
        try:
            last = False
            while not last:
                batch, last = await gathering.batch()
                if batch:
                    content = b"".join(batch)
                    name = f"{new.text()}-{added}"
                    with anyio.CancelScope(shield=True):
                        await self.put(_path(bucket, key, name), content)
                    segments, added = (*segments, Segment(name, len(content))), added + 1
            failure = gathering.error
        except StorageUnavailable as error:
            if not added:
                raise
            failure = error
        with anyio.CancelScope(shield=True):
            await self.put(_path(bucket, key, new.text()), as_text(segments, token))
            if before:  # the token at hand is kept until the next one was used
                await self.remove(_path(bucket, key, before))
        if failure is not None:
            raise AppendStopped(new.text(), total(segments)) from failure
        return new.text(), total(segments)

    async def fence(self, bucket: str, key: str, token: str, offset: int) -> str:
        """See `contracts.Resumable.fence`."""
        place, segments, _ = await self._segments(bucket, key, token, offset)
        used = [own.generation async for _, own in self._own(bucket, key, place)]
        place = Place(place.id, max(used, default=0) + 1, 0)
        while True:
            try:
                await self.put_new(_path(bucket, key, place.text()), as_text(segments))
            except ObjectExists:  # somebody else is taking over too
                place = attrs.evolve(place, generation=place.generation + 1)
            else:
                return place.text()

    async def finish(self, bucket: str, key: str, token: str, size: int) -> StoredObject:
        """See `contracts.Resumable.finish`."""
        check_place(bucket, key)
        place = read_token(token)
        if place is None:
            raise missing(bucket, key)
        text = await self._read(_path(bucket, key, token))
        if text is None:
            return await self._there(bucket, key, size)
        segments, _ = from_text(text)
        if total(segments) < size:
            raise incomplete(total(segments), size)
        async with aclosing(self._content(bucket, key, first(segments, size))) as content:
            try:
                done = await self.put_stream(bucket, key, content, size=size)
            except ObjectExists:
                done = await self._there(bucket, key, size)
                if done.sha256 != await self._hash(bucket, key, first(segments, size)):
                    raise
        await self._drop(bucket, key, place)
        return done

    async def abort(self, bucket: str, key: str, token: str) -> None:
        """See `contracts.Resumable.abort`. Where a later generation has taken over, it has need of the segments."""
        check_place(bucket, key)
        place = read_token(token)
        if place is None:
            return
        generations = [own.generation async for _, own in self._own(bucket, key, place)]
        if max(generations, default=0) <= place.generation:
            await self._drop(bucket, key, place)

    async def unfinished(self, bucket: str) -> AsyncGenerator[tuple[str, str, datetime]]:
        """See `contracts.Resumable.unfinished`."""
        check_bucket(bucket)
        found: dict[tuple[str, str], tuple[Place, datetime]] = {}
        async for name, _, changed_at in self.names(bucket, INTERNAL):
            own = read_name(name)
            if own is not None:
                key, place = own
                latest, at = found.get((key, place.id), (place, changed_at))
                if (place.generation, place.step) > (latest.generation, latest.step):
                    latest = place
                found[key, place.id] = latest, max(at, changed_at)
        for (key, _), (place, at) in found.items():
            yield key, place.text(), at

    async def _segments(self, bucket: str, key: str, token: str, offset: int) -> tuple[Place, tuple[Segment, ...], str]:
        """The segments of the first `offset` bytes, and the token before this one."""
        check_place(bucket, key)
        place = read_token(token)
        text = None if place is None else await self._read(_path(bucket, key, token))
        if place is None or text is None:
            raise missing(bucket, key)
        segments, before = from_text(text)
        if total(segments) < offset:
            raise incomplete(total(segments), offset)
        return place, first(segments, offset), before

    async def _read(self, path: str) -> bytes | None:
        try:
            size = await self.size_of(path)
            return b"".join([piece async for piece in self.pieces(path, 0, size)])
        except FileNotFoundError:
            return None

    async def _content(self, bucket: str, key: str, segments: tuple[Segment, ...]) -> AsyncGenerator[bytes]:
        for segment in segments:
            async with aclosing(self.pieces(_path(bucket, key, segment.name), 0, segment.size)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _hash(self, bucket: str, key: str, segments: tuple[Segment, ...]) -> str:
        return await self._hash_of(self._content(bucket, key, segments))

    async def _there(self, bucket: str, key: str, size: int) -> StoredObject:
        """The object under the key, if it has this size."""
        there = await self.head(bucket, key)
        if there is None:
            raise missing(bucket, key)
        if there.size != size:
            raise exists(bucket, key)
        sha256 = await self._hash_of(self.pieces(f"{bucket}/{key}", 0, size))
        return attrs.evolve(there, sha256=sha256)

    async def _hash_of(self, content: AsyncGenerator[bytes]) -> str:
        sha256 = hashlib.sha256()
        async with aclosing(content) as pieces:
            async for piece in pieces:
                sha256.update(piece)
        return sha256.hexdigest()

    async def _own(self, bucket: str, key: str, place: Place) -> AsyncGenerator[tuple[str, Place]]:
        """The upload's own objects."""
        async for name, _, _ in self.names(bucket, f"{INTERNAL}{key}/{place.id}."):
            own = read_name(name)
            if own is not None:
                yield name, own[1]

    async def _drop(self, bucket: str, key: str, place: Place) -> None:
        for name in [name async for name, _ in self._own(bucket, key, place)]:
            await self.remove(f"{bucket}/{name}")


def _path(bucket: str, key: str, name: str) -> str:
    return f"{bucket}/{INTERNAL}{key}/{name}"
