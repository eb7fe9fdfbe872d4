"""Reading every blob again, and holding it against its row."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Final, Literal, TypeAlias

import anyio.to_thread
import attrs

from objectkernel_media_server.contracts import MediaRow, ObjectMissing, Storage
from objectkernel_media_server.entities import MEDIA
from objectkernel_media_server.repository import DialectMediaRepository
from objectkernel_media_server.rows import recording

Finding: TypeAlias = Literal["good", "missing", "size", "checksum"]
"""What is wrong with a blob: it is not there, has another size, or another content."""
BATCH: Final = 200
THREADED: Final = 256 * 1024
"""Bytes from which on hashing is done in a thread."""


@attrs.frozen(kw_only=True)
class Verified:
    """A recording whose blob was read.

    Attributes:
        bytes: how many were read.
    """

    row: MediaRow
    finding: Finding
    bytes: int


async def verify(
    repo: DialectMediaRepository, storage: Storage, account_id: str | None = None
) -> AsyncIterator[Verified]:
    """Read the blob of every recording that is ready, of one account or of all, in the order of their keys.

    One that is deleted meanwhile is left out.
    """
    wanted = {"status": "ready", **({} if account_id is None else {"account_id": account_id})}
    async for kept in repo.dialect.stream(MEDIA, wanted, batch=BATCH):
        row = recording(kept)
        verified = await _verified(storage, row)
        if verified.finding == "good" or await repo.find_by_id(row.account_id, row.id) == row:
            yield verified


async def _verified(storage: Storage, row: MediaRow) -> Verified:
    digest, size = hashlib.sha256(), 0
    try:
        async with storage.open_range(row.bucket, row.key) as pieces:
            async for piece in pieces:
                size += len(piece)
                if len(piece) < THREADED:
                    digest.update(piece)
                else:
                    await anyio.to_thread.run_sync(digest.update, piece)
    except ObjectMissing:
        return Verified(row=row, finding="missing", bytes=size)
    same = row.checksum is None or row.checksum == digest.hexdigest()
    finding: Finding = "size" if size != row.size_bytes else "good" if same else "checksum"
    return Verified(row=row, finding=finding, bytes=size)
