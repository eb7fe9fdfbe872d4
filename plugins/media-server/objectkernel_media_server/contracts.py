"""What others import of media-server: keys, Protocols, values, events, errors."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

import attrs
from objectkernel.keys import Service

from objectkernel_media_server.errors import (
    ChecksumMismatch,
    InvalidMedia,
    KeyRefused,
    MediaError,
    MediaMissing,
    MediaTooLarge,
    MediaTypeRefused,
    ObjectExists,
    ObjectMissing,
    QuotaExceeded,
    SigningKeyMissing,
    StorageFull,
    StorageUnavailable,
    UploadConflict,
    UploadIncomplete,
)
from objectkernel_media_server.storage_contracts import (
    STORAGE,
    AppendStopped,
    OpensFiles,
    Resumable,
    SignedUrl,
    Signs,
    Storage,
    StoredObject,
)

MediaStatus: TypeAlias = Literal["uploading", "processing", "ready", "failed", "deleted"]
"""Where a recording is in its life. ``processing`` is the place of probes that come later: nothing sets it today."""
MediaKind: TypeAlias = Literal["video", "audio", "image", "other"]


@attrs.frozen(kw_only=True)
class MediaRow:
    """What is known of a recording.

    Attributes:
        id: by default a UUIDv7.
        owner_email: whose it is within the account, for people; nobody is let in by it.
        bucket, key: where its blob is.
        mime_type: what its first bytes are; while they have not come, what its sender says.
        size_bytes: while it comes, how many are reserved for it: an account's quota is the sum over its rows.
        duration_ms: as its sender says: a hint.
        session_id, take_index: which take of which session it is.
        checksum: SHA-256 in hexadecimal; until it is ready, what its sender says.
        metadata: JSON values of whoever recorded.
    """

    id: str
    account_id: str
    owner_email: str | None = None
    bucket: str
    key: str
    mime_type: str
    size_bytes: int = 0
    duration_ms: int | None = None
    kind: MediaKind
    status: MediaStatus
    session_id: str | None = None
    take_index: int | None = None
    checksum: str | None = None
    metadata: Mapping[str, Any] | None = attrs.field(default=None, hash=False)
    created_at: datetime
    updated_at: datetime | None = None


# --- events -------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class MediaEvent:
    """Something happened to a recording. Delivered at least once, in order for each recording: `id` tells repeats.

    Attributes:
        id: of the event; the same each time that it is delivered.
        row: the recording as it was then.
    """

    id: str
    row: MediaRow
    at: datetime


@attrs.frozen(kw_only=True)
class MediaUploaded(MediaEvent):
    """All bytes of a recording have come."""


@attrs.frozen(kw_only=True)
class MediaReady(MediaEvent):
    """A recording can be had."""


@attrs.frozen(kw_only=True)
class MediaFailed(MediaEvent):
    """A recording will not come; `reason` says why, without anything of its content."""

    reason: str


@attrs.frozen(kw_only=True)
class MediaDeleted(MediaEvent):
    """A recording is gone."""


# --- the service --------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class MediaWithSignedUrl:
    """A recording, and a link to its content."""

    row: MediaRow
    signed_url: str = attrs.field(repr=False)
    signed_url_expires_at: datetime


@attrs.frozen(kw_only=True)
class MediaFilter:
    """Which recordings of an account; newest first, those of one session in the order of their takes.

    Attributes:
        status: one or several.
        limit: 1 to 200.
        after: the cursor of the page before.
    """

    status: MediaStatus | Sequence[MediaStatus] = "ready"
    session_id: str | None = None
    limit: int = 50
    after: str | None = None


@attrs.frozen(kw_only=True)
class MediaPage:
    """Some recordings of a longer list; `next_cursor`, given as `after`, gets the rest, and is None at the end."""

    items: tuple[MediaRow, ...]
    next_cursor: str | None = None


class MediaService(Protocol):
    """The recordings of accounts. The account comes first, always from the caller's credential: a recording of another
    account is as one that does not exist.
    """

    async def create_recording(
        self,
        account_id: str,
        body: bytes | AsyncIterable[bytes],
        *,
        mime_type: str = "",
        size: int | None = None,
        duration_ms: int | None = None,
        session_id: str | None = None,
        take_index: int | None = None,
        owner_email: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        sha256: str | None = None,
    ) -> MediaWithSignedUrl:
        """Store a recording: row ``uploading``, blob, row ``ready``, link. Where the blob fails the row is ``failed``.

        Args:
            size: how many bytes will come, where the sender has said.
            sha256: what the sender has computed, in hexadecimal.

        Raises:
            InvalidMedia, MediaTooLarge, QuotaExceeded, MediaTypeRefused, ChecksumMismatch, UploadIncomplete,
            StorageUnavailable: nothing is kept but the row that says so, where there is one.
        """
        ...

    async def get_media(self, account_id: str, id: str) -> MediaWithSignedUrl | None:
        """A recording that is ready, with a fresh link; None otherwise."""
        ...

    async def reissue_signed_url(self, account_id: str, id: str, ttl: float | None = None) -> MediaWithSignedUrl | None:
        """Another link, for `ttl` seconds; the row stays untouched."""
        ...

    async def delete_media(self, account_id: str, id: str) -> bool:
        """Mark a recording ``deleted`` and purge its blob, again and again until it is gone; whether there was one."""
        ...

    async def list_for_account(self, account_id: str, filter: MediaFilter | None = None) -> MediaPage:
        """The recordings of an account; with `MediaFilter.session_id` the takes of one session in their order.

        Raises:
            InvalidMedia: the filter is not allowed, or its cursor damaged.
        """
        ...

    def open_content(
        self, account_id: str, id: str, start: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterable[bytes]]:
        """Read the content of a recording that is ready.

        Raises:
            MediaMissing: there is none.
        """
        ...


class MediaRepository(Protocol):
    """Where the rows are. Any ORM can implement it; `testing` has the suite that proves it.

    Every method takes the account, and looks at its rows alone. Events are to be kept in the same transaction as the
    row and delivered later; a repository without an outbox may leave them.
    """

    async def insert(self, account_id: str, row: MediaRow, *, event: MediaEvent | None = None) -> MediaRow:
        """Keep a new row.

        Raises:
            InvalidMedia: there is one with this id.
        """
        ...

    async def find_by_id(self, account_id: str, id: str) -> MediaRow | None:
        """The row, or None."""
        ...

    async def update(
        self,
        account_id: str,
        id: str,
        changes: Mapping[str, Any],
        *,
        expect: Sequence[MediaStatus] = (),
        events: Sequence[MediaEvent] = (),
    ) -> MediaRow | None:
        """Change fields of the row, all or none, if its status is one of `expect`; None where there is none such.

        `updated_at` is set where `changes` has it not. Each of `events` is kept with the row as it is afterwards.

        Raises:
            InvalidMedia: a field is none, or stays for the recording's life (id, account, bucket, key, `created_at`).
        """
        ...

    async def delete(self, account_id: str, id: str) -> bool:
        """Remove the row for good; whether there was one."""
        ...

    async def list(self, account_id: str, filter: MediaFilter | None = None) -> MediaPage:
        """See `MediaService.list_for_account`."""
        ...


MEDIA = Service[MediaService]("media")
"""The recordings."""

__all__ = [
    "MEDIA",
    "STORAGE",
    "AppendStopped",
    "ChecksumMismatch",
    "InvalidMedia",
    "KeyRefused",
    "MediaDeleted",
    "MediaError",
    "MediaEvent",
    "MediaFailed",
    "MediaFilter",
    "MediaKind",
    "MediaMissing",
    "MediaPage",
    "MediaReady",
    "MediaRepository",
    "MediaRow",
    "MediaService",
    "MediaStatus",
    "MediaTooLarge",
    "MediaTypeRefused",
    "MediaUploaded",
    "MediaWithSignedUrl",
    "ObjectExists",
    "ObjectMissing",
    "OpensFiles",
    "QuotaExceeded",
    "Resumable",
    "SignedUrl",
    "SigningKeyMissing",
    "Signs",
    "Storage",
    "StorageFull",
    "StorageUnavailable",
    "StoredObject",
    "UploadConflict",
    "UploadIncomplete",
]
