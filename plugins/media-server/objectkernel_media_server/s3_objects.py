"""Objects of an S3 server, stored whole or not at all, read in ranges."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import anyio

from objectkernel_media_server.keys import check_place, check_prefix
from objectkernel_media_server.pieces import MIB, PIECE, Gathering
from objectkernel_media_server.s3_client import BEYOND, MISSING, TAKEN, S3Client, S3Place, S3Refused, Told, garbled
from objectkernel_media_server.storage_contracts import StoredObject
from objectkernel_media_server.store_failures import exists, incomplete, missing, surplus

PART: Final = 8 * MIB
"""What is sent at once. The server takes 10,000 of them: 80 GB."""
EMPTY: Final = 2**62
"""Behind every object."""
INTERNAL: Final = ".unfinished/"
"""What keys of our own begin with; no key of a caller does. (``.uploads`` is what SeaweedFS keeps for itself.)"""


class S3Objects:
    """`contracts.Storage` on an S3 server; a bucket is a bucket there."""

    name = "s3"

    def __init__(self, place: S3Place) -> None:
        self.client = S3Client(place)

    async def put_stream(
        self, bucket: str, key: str, body: AsyncIterable[bytes], *, size: int | None = None, content_type: str = ""
    ) -> StoredObject:
        """See `contracts.Storage.put_stream`: one request for what is small, else a multipart upload."""
        check_place(bucket, key)
        gathering = Gathering(body, PART)
        sha256 = hashlib.sha256()
        upload = ""
        parts: list[dict[str, Any]] = []
        try:
            while True:
                batch, last = await gathering.batch()
                if gathering.error is not None:
                    raise gathering.error
                if size is not None and (gathering.total > size or (last and gathering.total < size)):
                    raise surplus(size) if gathering.total > size else incomplete(gathering.total, size)
                content = await self.joined(batch, sha256)
                if last and not parts:
                    await self.put_once(bucket, key, content, content_type)
                    break
                upload = upload or await self.create(bucket, key, content_type)
                if content:
                    parts.append(await self.send_part(bucket, key, upload, len(parts) + 1, content))
                if last:
                    await self.complete(bucket, key, upload, parts)
                    break
        except BaseException:
            if upload:
                with anyio.CancelScope(shield=True):
                    await self.drop(bucket, key, upload)
            raise
        return StoredObject(
            bucket=bucket,
            key=key,
            size=gathering.total,
            modified_at=datetime.now(UTC),
            sha256=sha256.hexdigest(),
        )

    @asynccontextmanager
    async def open_range(
        self, bucket: str, key: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """See `contracts.Storage.open_range`."""
        check_place(bucket, key)
        async with self.opened(bucket, key, start, length) as pieces:
            yield pieces

    @asynccontextmanager
    async def opened(
        self, bucket: str, key: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """`open_range`, for keys of our own too."""
        if length == 0:  # no range says this
            start, length = EMPTY, 1
        asked = {} if start == 0 and length is None else {"Range": _range(start, length)}
        try:
            answer = await self.client.call("get_object", Bucket=bucket, Key=key, **asked)
        except S3Refused as error:
            if error.reason in MISSING:
                raise missing(bucket, key) from None
            if error.reason not in BEYOND:
                raise
            async with aclosing(_no_pieces()) as nothing:
                yield nothing
            return
        content = answer["Body"]
        try:
            is_whole = answer["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.PARTIAL_CONTENT
            if is_whole and (start or (length is not None and answer["ContentLength"] > length)):
                raise garbled("it sends more than the range that it was asked for")
            async with aclosing(self._pieces(content)) as pieces:
                yield pieces
        finally:
            with anyio.CancelScope(shield=True):
                await self.client.run(content.close)

    async def head(self, bucket: str, key: str) -> StoredObject | None:
        """See `contracts.Storage.head`."""
        check_place(bucket, key)
        try:
            answer = await self.client.call("head_object", Bucket=bucket, Key=key)
        except S3Refused as error:
            if error.reason not in MISSING:
                raise
            await self.client.call("head_bucket", Bucket=bucket)  # where that is missing, the store is not there
            return None
        return StoredObject(
            bucket=bucket, key=key, size=answer["ContentLength"], modified_at=answer["LastModified"].astimezone(UTC)
        )

    async def delete(self, bucket: str, key: str) -> bool:
        """See `contracts.Storage.delete`; the server itself does not say whether there was one."""
        if await self.head(bucket, key) is None:
            return False
        await self.client.call("delete_object", Bucket=bucket, Key=key)
        return True

    async def list(self, bucket: str, prefix: str = "") -> AsyncGenerator[StoredObject]:
        """See `contracts.Storage.list`."""
        check_prefix(bucket, prefix)
        async for key, size, modified_at in self.names(bucket, prefix):
            if not key.startswith(INTERNAL):
                yield StoredObject(bucket=bucket, key=key, size=size, modified_at=modified_at)

    async def names(self, bucket: str, prefix: str) -> AsyncGenerator[tuple[str, int, datetime]]:
        """Key, size and time of every object, of our own too."""
        async for page in await self.client.pages("list_objects_v2", Bucket=bucket, Prefix=prefix):
            for found in map(Told, page.get("Contents", ())):
                yield found["Key"], found["Size"], found["LastModified"].astimezone(UTC)

    async def ping(self) -> None:
        """See `contracts.Storage.ping`. Credentials that may not list buckets are a sign of life too."""
        try:
            await self.client.ping()
        except S3Refused as error:
            if error.reason != "AccessDenied":
                raise

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()

    async def joined(self, batch: Sequence[bytes], sha256: hashlib._Hash | None, before: bytes = b"") -> bytes:
        """`before` and the pieces as one; the pieces are put through the hash."""

        def step() -> bytes:
            content = b"".join((before, *batch))
            if sha256 is not None:
                sha256.update(memoryview(content)[len(before) :])
            return content

        return await self.client.run(step)

    async def put_once(self, bucket: str, key: str, content: bytes, content_type: str) -> None:
        """Store an object with one request, unless there is one."""
        kind = {"ContentType": content_type} if content_type else {}
        try:
            answer = await self.client.call("put_object", Bucket=bucket, Key=key, Body=content, IfNoneMatch="*", **kind)
        except S3Refused as error:
            raise exists(bucket, key) if error.reason in TAKEN else error from None
        self.stored_as(answer)

    async def create(self, bucket: str, key: str, content_type: str) -> str:
        """Begin a multipart upload; its id."""
        kind = {"ContentType": content_type} if content_type else {}
        answer = await self.client.call("create_multipart_upload", Bucket=bucket, Key=key, **kind)
        return str(answer["UploadId"])

    async def send_part(self, bucket: str, key: str, upload: str, number: int, content: bytes) -> dict[str, Any]:
        """Send a part; what `complete` is to be told of it."""
        answer = await self.client.call(
            "upload_part", Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=content
        )
        return {"PartNumber": number, "ETag": self.stored_as(answer)}

    async def complete(self, bucket: str, key: str, upload: str, parts: Sequence[dict[str, Any]]) -> None:
        """Make an object of parts, unless there is one under the key."""
        try:
            answer = await self.client.call(
                "complete_multipart_upload",
                Bucket=bucket,
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": [*parts]},
                IfNoneMatch="*",
            )
        except S3Refused as error:
            raise exists(bucket, key) if error.reason in TAKEN else error from None
        self.stored_as(answer)

    @staticmethod
    def stored_as(answer: Mapping[str, Any]) -> str:
        """The tag of what a server has stored: what answers 200 without one has stored nothing.

        Raises:
            StorageUnavailable
        """
        return str(answer["ETag"])

    async def drop(self, bucket: str, key: str, upload: str) -> None:
        """Give up a multipart upload; nothing happens where there is none."""
        try:
            await self.client.call("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)
        except S3Refused as error:
            if error.reason not in MISSING:
                raise

    async def _pieces(self, content: Any) -> AsyncGenerator[bytes]:
        while piece := await self.client.run(content.read, PIECE):
            yield piece


async def _no_pieces() -> AsyncGenerator[bytes]:
    for piece in list[bytes]():
        yield piece


def _range(start: int, length: int | None) -> str:
    return f"bytes={start}-" if length is None else f"bytes={start}-{start + length - 1}"
