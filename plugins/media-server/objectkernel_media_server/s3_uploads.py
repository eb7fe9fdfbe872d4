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

from objectkernel_media_server.errors import ObjectExists, StorageUnavailable, UploadConflict
from objectkernel_media_server.keys import check_bucket, check_place
from objectkernel_media_server.pieces import MIB, Gathering
from objectkernel_media_server.running_hashes import RunningHashes
from objectkernel_media_server.s3_client import MISSING, S3Place, S3Refused
from objectkernel_media_server.s3_objects import INTERNAL, PART, S3Objects
from objectkernel_media_server.s3_tokens import EVERY, GAP, S3Upload, begun, read_internal, read_token
from objectkernel_media_server.storage_contracts import AppendStopped, StoredObject
from objectkernel_media_server.store_failures import incomplete, missing

LEAST: Final = 5 * MIB
"""The smallest part but the last."""


class S3Uploads(S3Objects):
    """An S3 server that takes an object in several goes."""

    def __init__(self, place: S3Place) -> None:
        super().__init__(place)
        self._hashes = RunningHashes()

    async def begin(self, bucket: str, key: str, *, content_type: str = "") -> str:
        """See `contracts.Resumable.begin`."""
        check_place(bucket, key)
        token = begun(await self.create(bucket, key, content_type)).text()
        self._hashes.keep(f"{token}@0", hashlib.sha256())
        return token

    async def append(
        self, bucket: str, key: str, token: str, offset: int, body: AsyncIterable[bytes]
    ) -> tuple[str, int]:
        """See `contracts.Resumable.append`. One of them takes at most `GAP` parts; then it stops, and can go on."""
        now = _read(bucket, key, token)
        tail = await self._tail(bucket, key, now, offset)
        sha256 = self._hashes.of(f"{token}@{offset}")
        gathering = Gathering(body, PART)
        done = attrs.evolve(now, tail=len(tail), step=now.step + 1)
        held: list[bytes] = [tail]
        failure: BaseException | None = None
        last = False
        try:
            while not last:
                batch, last = await gathering.batch()
                with anyio.CancelScope(shield=True):
                    new = await self.joined(batch, sha256)
                    content = b"".join((*held, new))
                    held = [content]
                    if len(content) >= (LEAST if last else PART):
                        if done.next - now.next >= GAP:
                            raise _too_long()
                        await self.send_part(bucket, key, done.upload, done.next, content)
                        done, held = done.with_part(len(content)), []
            failure = gathering.error
        except BaseException as error:
            failure = error
        return await self._kept(bucket, key, now, done, b"".join(held), failure)
