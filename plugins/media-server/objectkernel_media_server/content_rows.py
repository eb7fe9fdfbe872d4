"""What of a recording somebody needs who reads it: less than its row, and asked for with each range."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable

import attrs

from objectkernel_media_server.contracts import MediaRepository, MediaRow
from objectkernel_media_server.powers import FindsBlobs


@attrs.define
class ContentRow:
    """The content of a recording that is ready; made anew for each range, and changed by nobody.

    Attributes:
        modified_at: when its row was changed last.
    """

    bucket: str
    key: str
    size_bytes: int
    mime_type: str
    checksum: str
    modified_at: datetime


@runtime_checkable
class FindsContent(Protocol):
    """A repository that finds a content without the rest of its row."""

    async def find_content(self, account_id: str, id: str) -> ContentRow | None:
        """Of a recording of the account that is ready; None for every other one."""
        ...

    async def find_content_by_blob(self, bucket: str, key: str) -> ContentRow | None:
        """Of a recording that is ready, of whichever account: for whoever shows a signed link to its blob."""
        ...


class ContentOfRows:
    """The same of a repository that finds whole rows only, by their blobs too or not."""

    def __init__(self, repo: MediaRepository) -> None:
        self._repo = repo
        self._blobs = repo if isinstance(repo, FindsBlobs) else None

    async def find_content(self, account_id: str, id: str) -> ContentRow | None:
        return content_of(await self._repo.find_by_id(account_id, id))

    async def find_content_by_blob(self, bucket: str, key: str) -> ContentRow | None:
        return None if self._blobs is None else content_of(await self._blobs.find_by_blob(bucket, key))


def content_of(row: MediaRow | None) -> ContentRow | None:
    """The content of a recording; None of one that is not ready."""
    if row is None or row.status != "ready" or row.checksum is None:
        return None
    return ContentRow(
        row.bucket, row.key, row.size_bytes, row.mime_type, row.checksum, row.updated_at or row.created_at
    )
