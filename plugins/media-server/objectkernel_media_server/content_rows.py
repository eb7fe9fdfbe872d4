"""What of a recording somebody needs who reads it: less than its row, and asked for with each range."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable

import attrs

from objectkernel_media_server.contracts import MediaRow


@attrs.frozen
class ContentRow:
    """The content of a recording that is ready.

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


def content_of(row: MediaRow | None) -> ContentRow | None:
    """The content of a recording; None of one that is not ready."""
    if row is None or row.status != "ready" or row.checksum is None:
        return None
    return ContentRow(
        row.bucket, row.key, row.size_bytes, row.mime_type, row.checksum, row.updated_at or row.created_at
    )
