"""Objects that come in several goes, as multipart uploads: `contracts.Resumable` of an S3 server.

The server takes parts of 5 MiB or more. What is left below that is put as an object beside, the tail, and read again by
the next append. Parts and tail of an older token stay as they are until a newer one was used, so that an append whose
token nobody came to keep can be done again.

A fence does not stop the old writer, for nothing of S3 could; it makes its parts worthless: the object is made of part
numbers that the old writer does not come to.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterable
from datetime import UTC, datetime
from typing import Any, Final

import anyio
import attrs

from objectkernel_media_server.errors import ObjectExists, ObjectMissing, StorageUnavailable, UploadConflict
from objectkernel_media_server.keys import check_bucket, check_place
from objectkernel_media_server.pieces import MIB, Gathering
from objectkernel_media_server.running_hashes import RunningHashes
from objectkernel_media_server.s3_client import MISSING, S3Place, S3Refused, Told
from objectkernel_media_server.s3_objects import INTERNAL, PART, S3Objects
from objectkernel_media_server.s3_tokens import EVERY, GAP, S3Upload, begun, read_internal, read_token
from objectkernel_media_server.storage_contracts import AppendStopped, StoredObject
from objectkernel_media_server.store_failures import exists, incomplete, missing

LEAST: Final = 5 * MIB
"""The smallest part but the last."""


class S3Uploads(S3Objects):
    """An S3 server that takes an object in several goes."""

    def __init__(self, place: S3Place) -> None:
        super().__init__(place)
        self._hashes: RunningHashes[hashlib._Hash] = RunningHashes()

    async def begin(self, bucket: str, key: str, *, content_type: str = "") -> str:
        """See `contracts.Resumable.begin`."""
        check_place(bucket, key)
        new = begun(await self.create(bucket, key, content_type))
        token = new.text()
        self._hashes.keep(f"{token}@0", hashlib.sha256())
        return token

    async def append(
        self, bucket: str, key: str, token: str, offset: int, body: AsyncIterable[bytes]
    ) -> tuple[str, int]:
        """See `contracts.Resumable.append`. One of them takes at most `GAP` parts; then it stops, and can go on."""
        now = _read(bucket, key, token)
        held = await self._tail(bucket, key, now, offset)
        known = self._hashes.of(f"{token}@{offset}")
        sha256 = None if known is None else known.copy()
        gathering = Gathering(body, PART)
        done = attrs.evolve(now.after(len(held)), next=await self._free(bucket, key, now))
        failure: BaseException | None = None
        try:
            last = False
            while not last:
                batch, last = await gathering.batch()
                with anyio.CancelScope(shield=True):
                    held = await self.joined(batch, sha256, held)
                    if len(held) >= (LEAST if last else PART):
                        if done.next - now.next >= GAP:
                            raise _too_long()
                        await self.send_part(bucket, key, done.upload, done.next, held)
                        done, held = done.with_part(len(held)), b""
            failure = gathering.error
            with anyio.CancelScope(shield=True):
                done = await self._with_tail(bucket, key, now, done, held)
        except BaseException as error:
            if done.sent == now.sent and isinstance(error, S3Refused) and error.reason in MISSING:
                raise missing(bucket, key) from None
            if done.sent == now.sent:
                raise
            done, sha256, failure = attrs.evolve(done, tail=0), None, error
        text = done.text()
        if sha256 is not None:
            self._hashes.keep(f"{text}@{done.size}", sha256)
        if failure is not None:
            raise AppendStopped(text, done.size) from failure
        return text, done.size

    async def fence(self, bucket: str, key: str, token: str, offset: int) -> str:
        """See `contracts.Resumable.fence`."""
        now = _read(bucket, key, token)
        await self._free(bucket, key, now)
        tail = await self._tail(bucket, key, now, offset)
        used = [generation async for _, generation in self._own(bucket, key, now)]
        generation = max([now.generation, *used]) + 1
        while True:
            try:
                await self.put_once(bucket, f"{now.folder(key)}{generation}.fence", b"", "")
                break
            except ObjectExists:  # somebody else is taking over too
                generation += 1
        next = now.next + GAP * (generation - now.generation)
        done = attrs.evolve(now, generation=generation, step=0, before=-1, next=next, tail=len(tail))
        if tail:
            self.stored_as(await self.client.call("put_object", Bucket=bucket, Key=done.tail_key(key, 0), Body=tail))
        running = self._hashes.of(f"{token}@{offset}")
        if running is not None:
            self._hashes.keep(f"{done.text()}@{offset}", running)
        return done.text()

    async def finish(self, bucket: str, key: str, token: str, size: int) -> StoredObject:
        """See `contracts.Resumable.finish`. The hash is read from the object where this process has not got it."""
        now = _read(bucket, key, token)
        try:
            found = await self._sent(bucket, key, now)
        except ObjectMissing:
            return await self._done_before(bucket, key, now, size)
        if now.size < size:
            raise incomplete(now.size, size)
        tail = await self._tail(bucket, key, now, size)
        mine = [found[number] for number in now.numbers() if number in found]
        sent = sum(part["Size"] for part in mine)
        if sent != now.sent:
            raise incomplete(sent, now.sent)
        parts = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in mine]
        if tail:
            parts.append(await self.send_part(bucket, key, now.upload, max([0, *found]) + 1, tail))
        if parts:
            await self.complete(bucket, key, now.upload, parts)
        else:  # the server makes no object of nothing
            try:
                await self.put_once(bucket, key, b"", "")
            except ObjectExists:
                there = await self.head(bucket, key)
                if there is None or there.size:
                    raise
            await self.drop(bucket, key, now.upload)
        running = self._hashes.of(f"{token}@{size}")
        return await self._done(bucket, key, now, "" if running is None else running.hexdigest())

    async def abort(self, bucket: str, key: str, token: str) -> None:
        """See `contracts.Resumable.abort`. Where a later generation has taken over, only this one's tail goes."""
        check_place(bucket, key)
        now = read_token(token)
        if now is None:
            return
        own = [found async for found in self._own(bucket, key, now)]
        newer = any(generation > now.generation for _, generation in own)
        if now.upload and not newer:
            await self.drop(bucket, key, now.upload)
        for name, generation in own:
            if generation <= now.generation:
                await self.client.call("delete_object", Bucket=bucket, Key=name)

    async def unfinished(self, bucket: str) -> AsyncGenerator[tuple[str, str, datetime]]:
        """See `contracts.Resumable.unfinished`; the time is that of its beginning."""
        check_bucket(bucket)
        left: dict[tuple[str, str], datetime] = {}
        async for name, _, changed_at in self.names(bucket, INTERNAL):
            own = read_internal(name)
            if own is not None:
                left[own[0], own[1]] = changed_at
        async for page in await self.client.pages("list_multipart_uploads", Bucket=bucket):
            for found in map(Told, page.get("Uploads", ())):
                one = attrs.evolve(begun(found["UploadId"]), generation=EVERY)
                left.pop((found["Key"], one.mark), None)
                yield found["Key"], one.text(), found["Initiated"].astimezone(UTC)
        for (key, mark), changed_at in left.items():
            yield key, S3Upload(upload="", mark=mark, generation=EVERY).text(), changed_at

    async def aclose(self) -> None:
        """Forget what is remembered, and close the connections."""
        self._hashes.clear()
        await super().aclose()

    async def _with_tail(self, bucket: str, key: str, now: S3Upload, done: S3Upload, tail: bytes) -> S3Upload:
        """Put what is too small for a part; and remove the tail that no token needs any more."""
        if done.sent == now.sent:
            await self._free(bucket, key, now)
        if tail:
            put = {"Bucket": bucket, "Key": done.tail_key(key, done.step), "Body": tail}
            self.stored_as(await self.client.call("put_object", **put))
        if now.before >= 0:
            await self.client.call("delete_object", Bucket=bucket, Key=now.tail_key(key, now.before))
        return attrs.evolve(done, tail=len(tail))

    async def _tail(self, bucket: str, key: str, now: S3Upload, offset: int) -> bytes:
        """What lies between the parts and `offset`."""
        if not now.sent <= offset <= now.size:
            raise UploadConflict("this token is of another offset", offset=now.size)
        if offset == now.sent:
            return b""
        async with self.opened(bucket, now.tail_key(key, now.step), 0, offset - now.sent) as pieces:
            return b"".join([piece async for piece in pieces])

    async def _free(self, bucket: str, key: str, now: S3Upload) -> int:
        """A part number behind those that were sent under a newer token which nobody kept.

        No number is used twice: not every server makes the later part win.

        Raises:
            ObjectMissing: the server does not know the upload.
        """
        numbers = await self._sent(bucket, key, now, now.next - 1)
        return max([number for number in numbers if number < now.next + GAP], default=now.next - 1) + 1

    async def _sent(self, bucket: str, key: str, now: S3Upload, after: int = 0) -> dict[int, dict[str, Any]]:
        """The upload's parts behind a number, whoever has sent them."""
        found: dict[int, dict[str, Any]] = {}
        try:
            async for page in await self.client.pages(
                "list_parts", Bucket=bucket, Key=key, UploadId=now.upload, PartNumberMarker=after
            ):
                parts = map(Told, page.get("Parts", ()))
                found.update({part["PartNumber"]: part for part in parts if part["PartNumber"] > after})
        except S3Refused as error:
            raise missing(bucket, key) if error.reason in MISSING else error from None
        return found

    async def _done_before(self, bucket: str, key: str, now: S3Upload, size: int) -> StoredObject:
        there = await self.head(bucket, key)
        if there is None:
            raise missing(bucket, key)
        if there.size != size:
            raise exists(bucket, key)
        return await self._done(bucket, key, now, "")

    async def _done(self, bucket: str, key: str, now: S3Upload, sha256: str) -> StoredObject:
        """Remove what the upload needs no more, and tell of the object."""
        async for name, _ in self._own(bucket, key, now):
            await self.client.call("delete_object", Bucket=bucket, Key=name)
        done = await self.head(bucket, key)
        if done is None:
            raise missing(bucket, key)
        return attrs.evolve(done, sha256=sha256 or await self._hash(bucket, key))

    async def _hash(self, bucket: str, key: str) -> str:
        sha256 = hashlib.sha256()
        async with self.open_range(bucket, key) as pieces:
            async for piece in pieces:
                await self.client.run(sha256.update, piece)
        return sha256.hexdigest()

    async def _own(self, bucket: str, key: str, now: S3Upload) -> AsyncGenerator[tuple[str, int]]:
        """The upload's own objects, and their generations."""
        async for name, _, _ in self.names(bucket, now.folder(key)):
            own = read_internal(name)
            if own is not None:
                yield name, own[2]


def _read(bucket: str, key: str, token: str) -> S3Upload:
    check_place(bucket, key)
    now = read_token(token)
    if now is None or not now.upload:
        raise missing(bucket, key)
    return now


def _too_long() -> StorageUnavailable:
    return StorageUnavailable(
        "one append to an object store ends here",
        why=f"it has sent {GAP} parts",
        fix="go on with another from the offset that was reached",
        store="s3",
        reason="parts",
    )
