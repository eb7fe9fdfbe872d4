"""`create_media`: the recordings of accounts, in a store of blobs and a repository of rows."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from objectkernel_media_server.claims import Claims, Limits, checked
from objectkernel_media_server.content_rows import ContentOfRows, ContentRow, FindsContent
from objectkernel_media_server.contracts import (
    MediaFilter,
    MediaPage,
    MediaRepository,
    MediaRow,
    MediaService,
    MediaWithSignedUrl,
    Storage,
    StoredObject,
)
from objectkernel_media_server.intake import Intake
from objectkernel_media_server.links import Links
from objectkernel_media_server.media_ids import new_id
from objectkernel_media_server.paging import read
from objectkernel_media_server.quota import Boundless, QuotaBook
from objectkernel_media_server.recordings import Recordings, missing
from objectkernel_media_server.sniffing import accepted
from objectkernel_media_server.tally import Tally

DEFAULT_BUCKET: Final = "media-recordings"
DEFAULT_TTL: Final = 3600.0


class HostMedia:
    """The recordings of accounts; see `MediaService`. What else is here is for uploads that come in several goes.

    Attributes:
        recordings: the lives of recordings, one by one.
        quota: reserves room for what is no recording yet.
    """

    def __init__(self, recordings: Recordings, links: Links, quota: QuotaBook) -> None:
        self.recordings = recordings
        self.quota = quota
        self._links = links
        self._repo = repo = recordings.repo
        self._contents = repo if isinstance(repo, FindsContent) else ContentOfRows(repo)
        self._storage = recordings.storage
        self._after_deletion: list[Callable[[str, str], Awaitable[None]]] = []

    # --- whole recordings -----------------------------------------------------------------------------

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
        claims = Claims(
            mime_type=mime_type,
            size=len(body) if size is None and isinstance(body, bytes) else size,
            duration_ms=duration_ms,
            session_id=session_id,
            take_index=take_index,
            owner_email=owner_email,
            metadata=metadata,
            sha256=sha256,
        )
        lives = self.recordings
        claims = checked(account_id, claims, lives.limits)
        intake = Intake(body, lives.limits.file_bytes, claims.size)
        found = accepted(await intake.head(), mime_type, lives.allowed)
        row = await lives.begin(account_id, claims, found)
        try:
            stored = await self._storage.put_stream(
                row.bucket,
                row.key,
                intake.watched(lambda came: lives.came(row, came)),
                size=claims.size,
                content_type=found,
            )
        except BaseException as error:
            await lives.fail(row, error)
            raise
        return await self._links.linked(await lives.finish(row, stored, found))

    async def get_media(self, account_id: str, id: str) -> MediaWithSignedUrl | None:
        return await self.reissue_signed_url(account_id, id)

    async def reissue_signed_url(self, account_id: str, id: str, ttl: float | None = None) -> MediaWithSignedUrl | None:
        row = await self._repo.find_by_id(account_id, id)
        return None if row is None or row.status != "ready" else await self._links.linked(row, ttl)

    async def delete_media(self, account_id: str, id: str) -> bool:
        if await self.recordings.delete(account_id, id) is None:
            return False
        for tell in self._after_deletion:
            await tell(account_id, id)
        return True

    async def list_for_account(self, account_id: str, filter: MediaFilter | None = None) -> MediaPage:
        read(filter)
        return await self._repo.list(account_id, filter)

    @asynccontextmanager
    async def open_content(
        self, account_id: str, id: str, start: int = 0, length: int | None = None
    ) -> AsyncIterator[AsyncIterable[bytes]]:
        row = await self._repo.find_by_id(account_id, id)
        if row is None or row.status != "ready":
            raise missing()
        async with self._storage.open_range(row.bucket, row.key, start, length) as pieces:
            yield pieces

    # --- recordings that come in several goes ------------------------------------------------------------

    def on_deletion(self, tell: Callable[[str, str], Awaitable[None]]) -> None:
        """Tell somebody account and id of each recording that is deleted here, before its deletion is answered."""
        self._after_deletion.append(tell)

    async def begin_recording(
        self,
        account_id: str,
        *,
        mime_type: str = "",
        size: int | None = None,
        duration_ms: int | None = None,
        session_id: str | None = None,
        take_index: int | None = None,
        owner_email: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        sha256: str | None = None,
    ) -> MediaRow:
        """The row ``uploading`` of a recording that will come, with its bucket and key; its size is reserved.

        Raises:
            InvalidMedia, MediaTooLarge, QuotaExceeded: there is no row.
        """
        claims = Claims(
            mime_type=mime_type,
            size=size,
            duration_ms=duration_ms,
            session_id=session_id,
            take_index=take_index,
            owner_email=owner_email,
            metadata=metadata,
            sha256=sha256,
        )
        return await self.recordings.begin(account_id, claims)

    async def grow_recording(self, account_id: str, id: str, size: int) -> None:
        """Reserve `size` bytes in all.

        Raises:
            MediaTooLarge, QuotaExceeded: there is no room.
            MediaMissing: it was deleted or given up meanwhile.
        """
        await self.recordings.grow(account_id, id, size)

    async def finish_recording(self, account_id: str, id: str, stored: StoredObject) -> MediaRow:
        """All of it is in the store, under its key; of one that is ready already its row.

        Raises:
            MediaTypeRefused, ChecksumMismatch, QuotaExceeded, MediaTooLarge: it failed, and its blob is gone.
            MediaMissing: it was deleted or given up meanwhile, and its blob is gone.
        """
        row = await self._repo.find_by_id(account_id, id)
        if row is None:
            raise missing()
        if row.status == "ready":
            return row
        if row.status in ("failed", "deleted"):
            await self.recordings.purge(row)
            raise missing()
        return await self.recordings.finish(row, stored, await self.recordings.sniffed(row))

    async def fail_recording(self, account_id: str, id: str, reason: str) -> None:
        """It will not come; nothing happens to one that is ready or over."""
        row = await self._repo.find_by_id(account_id, id)
        if row is not None and await self.recordings.fail(row, reason):
            await self.recordings.purge(row)

    async def find(self, account_id: str, id: str) -> MediaRow | None:
        """The row of a recording, whatever its status."""
        return await self._repo.find_by_id(account_id, id)

    def content(self, account_id: str, id: str) -> Awaitable[ContentRow | None]:
        """What somebody needs who reads a recording of the account; None of one that is not ready."""
        return self._contents.find_content(account_id, id)

    def content_of_blob(self, bucket: str, key: str) -> Awaitable[ContentRow | None]:
        """The same of the recording that has this blob: for whoever shows a signed link to it. None also where the
        repository cannot tell.
        """
        return self._contents.find_content_by_blob(bucket, key)

    async def linked(self, row: MediaRow, ttl: float | None = None) -> MediaWithSignedUrl:
        """A recording with a link, for `ttl` seconds or as long as is usual."""
        return await self._links.linked(row, ttl)


def create_media(
    storage: Storage,
    repo: MediaRepository,
    default_bucket: str = DEFAULT_BUCKET,
    signed_url_ttl: float = DEFAULT_TTL,
    generate_id: Callable[[], str] = new_id,
    *,
    limits: Limits | None = None,
    allowed_types: Iterable[str] | None = None,
    quota: QuotaBook | None = None,
    tally: Tally | None = None,
) -> HostMedia:
    """The recordings of accounts.

    Args:
        default_bucket: where blobs are put.
        signed_url_ttl: seconds that links work for.
        generate_id: makes ids of recordings, by default UUIDs that sort by time; no two are ever the same.
        limits: of one recording.
        allowed_types: what recordings may be, by their first bytes; None: anything.
        quota: of accounts; None: without limits. A repository that counts has it too.
    """
    recordings = Recordings(
        storage=storage,
        repo=repo,
        bucket=default_bucket,
        limits=limits or Limits(),
        allowed=None if allowed_types is None else frozenset(allowed_types),
        generate_id=generate_id,
        tally=tally or Tally(),
    )
    return HostMedia(recordings, Links(storage, signed_url_ttl), quota or Boundless())


if TYPE_CHECKING:
    _is_a_service: type[MediaService] = HostMedia
