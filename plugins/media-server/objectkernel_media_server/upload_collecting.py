"""What uploads mean to garbage collection, and to accounts that go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from objectkernel_media_server.collected import Collected
from objectkernel_media_server.errors import MediaError, MediaMissing
from objectkernel_media_server.upload_entities import UPLOAD, Upload
from objectkernel_media_server.uploads import UploadService


class UploadCollector:
    """The hook of uploads; see `collecting.CollectingHook`."""

    def __init__(self, uploads: UploadService) -> None:
        self._uploads = uploads
        self._dialect = uploads.rows.dialect

    async def collect(self, *, now: datetime, dry_run: bool) -> Sequence[Collected]:
        """Uploads that got no bytes for too long. What of them is not to be removed now is there the next time."""
        found: list[Collected] = []
        after = ""
        while batch := await self._uploads.rows.expired(now, after):
            for upload in batch:
                if dry_run or await self._removed(upload):
                    found.append(_collected(upload))
            after = batch[-1].id
        return found

    async def _removed(self, upload: Upload) -> bool:
        try:
            await self._uploads.expire(upload)
        except MediaError:
            return False
        return True

    async def needed(self, bucket: str, keys: Sequence[str]) -> set[str]:
        """Which of these keys uploads have."""
        wanted = {"bucket": bucket, "key": {"$in": list(keys)}}
        return {row["key"] for row in await self._dialect.find(UPLOAD, wanted, select=["id", "key"])}

    async def reserved(self, account_ids: Sequence[str]) -> Mapping[str, int]:
        """The bytes that partial uploads have reserved, by account."""
        rows = await self._dialect.aggregate(
            UPLOAD,
            [
                {"$match": {"account_id": {"$in": list(account_ids)}}},
                {"$group": {"_id": "$account_id", "bytes": {"$sum": "$reserved"}}},
            ],
        )
        return {row["_id"]: int(row["bytes"] or 0) for row in rows}

    async def forget_account(self, account_id: str) -> None:
        """End all uploads of an account."""
        for upload in await self._uploads.rows.of_account(account_id):
            try:
                await self._uploads.forget(upload)
            except MediaMissing:  # it has gone meanwhile
                continue


def _collected(upload: Upload) -> Collected:
    return Collected(
        kind="upload",
        account_id=upload.account_id,
        bucket=upload.bucket,
        key=upload.key,
        size=upload.offset,
        why="it got no bytes for too long" if upload.state == "open" else "it was finished long ago",
    )
