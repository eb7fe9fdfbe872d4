"""The life of a recording: it begins, grows, is finished, or fails; its row goes ahead of its blob.

The row is there before the first byte of the blob, under a key that no other recording ever has, and a blob that no
row needs is removed by whoever finds it. So whatever ends in the middle, a crash too, leaves a row that tells.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import anyio
import attrs

from objectkernel_media_server.claims import Claims, Limits, checked
from objectkernel_media_server.contracts import (
    ChecksumMismatch,
    MediaDeleted,
    MediaError,
    MediaEvent,
    MediaFailed,
    MediaMissing,
    MediaReady,
    MediaRepository,
    MediaRow,
    MediaStatus,
    MediaTooLarge,
    MediaTypeRefused,
    MediaUploaded,
    QuotaExceeded,
    Storage,
    StoredObject,
)
from objectkernel_media_server.entities import COMING, LIVE
from objectkernel_media_server.intake import STEP, too_large
from objectkernel_media_server.media_ids import new_id
from objectkernel_media_server.powers import Purges
from objectkernel_media_server.sniffing import EXTENSIONS, SNIFFED, accepted, kind_of, known_type
from objectkernel_media_server.tally import Tally

LAST_WORDS: Final = 10.0
"""Seconds that it may take to write that a recording failed, also when its sender has gone."""
PAUSES: Final = (0.1, 0.4)
"""Seconds between attempts to remove a blob of which nobody will remember that it has to go."""
DELETABLE: Final[tuple[MediaStatus, ...]] = (*LIVE, "failed")

log = logging.getLogger("objectkernel.media-server")


@attrs.frozen(kw_only=True)
class Recordings:
    """The lives of recordings in one store and one repository.

    Attributes:
        allowed: types that are taken; None: all.
    """

    storage: Storage
    repo: MediaRepository
    bucket: str
    limits: Limits
    allowed: frozenset[str] | None
    generate_id: Callable[[], str]
    tally: Tally
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def begin(self, account_id: str, claims: Claims, mime_type: str = "") -> MediaRow:
        """The row of a recording that will come; its account has room for what is said to come.

        Args:
            mime_type: what its first bytes are, where they are known already.

        Raises:
            InvalidMedia, MediaTooLarge, QuotaExceeded: there is no row.
        """
        claims = checked(account_id, claims, self.limits)
        if claims.size is not None and claims.size > self.limits.file_bytes:
            raise too_large(self.limits.file_bytes)
        mime_type = mime_type or known_type(claims.mime_type)
        now = self.clock()
        row = MediaRow(
            id=self.generate_id(),
            account_id=account_id,
            owner_email=claims.owner_email,
            bucket=self.bucket,
            key=key_of(account_id, now, EXTENSIONS.get(mime_type, "bin")),
            mime_type=mime_type,
            size_bytes=claims.size or 0,
            duration_ms=claims.duration_ms,
            kind=kind_of(mime_type),
            status="uploading",
            session_id=claims.session_id,
            take_index=claims.take_index,
            checksum=claims.sha256,
            metadata=claims.metadata,
            created_at=now,
        )
        return await self.repo.insert(account_id, row)

    async def grow(self, account_id: str, id: str, size: int) -> int:
        """Have room for `size` bytes in all; how many there is room for.

        Raises:
            MediaTooLarge, QuotaExceeded: there is not.
            MediaMissing: it is coming no more.
        """
        if size > self.limits.file_bytes:
            raise too_large(self.limits.file_bytes)
        row = await self.repo.find_by_id(account_id, id)
        if row is None or row.status != "uploading":
            raise missing()
        if row.size_bytes >= size:
            return row.size_bytes
        if await self.repo.update(account_id, id, {"size_bytes": size}, expect=("uploading",)) is None:
            raise missing()
        return size

    async def came(self, row: MediaRow, size: int | None) -> int:
        """`size` bytes have come, more than there is room for: make room for them, and for some that may follow.
        None: say that it is still coming.
        """
        if size is None:
            if await self.repo.update(row.account_id, row.id, {}, expect=("uploading",)) is None:
                raise missing()
            return 0
        try:
            return await self.grow(row.account_id, row.id, min(size + STEP, max(size, self.limits.file_bytes)))
        except QuotaExceeded:
            return await self.grow(row.account_id, row.id, size)

    async def finish(self, row: MediaRow, stored: StoredObject, mime_type: str) -> MediaRow:
        """All of it is in the store: it is ready.

        Raises:
            ChecksumMismatch, QuotaExceeded, MediaTooLarge: it failed, and its blob is gone.
            MediaMissing: it was deleted meanwhile, or given up; its blob is gone.
        """
        try:
            if stored.size > self.limits.file_bytes:
                raise too_large(self.limits.file_bytes)
            if row.checksum is not None and row.checksum != stored.sha256:
                raise _other_content()
            return await self._ready(row, stored, mime_type)
        except (ChecksumMismatch, QuotaExceeded, MediaTooLarge) as error:
            await self.refuse(row, error)
            raise

    async def _ready(self, row: MediaRow, stored: StoredObject, mime_type: str) -> MediaRow:
        now = self.clock()
        changes: dict[str, Any] = {
            "status": "ready",
            "size_bytes": stored.size,
            "checksum": stored.sha256,
            "mime_type": mime_type,
            "kind": kind_of(mime_type),
            "updated_at": now,
        }
        events = [kind(id=new_id(), row=row, at=now) for kind in (MediaUploaded, MediaReady)]
        with anyio.CancelScope(shield=True):
            ready = await self.repo.update(row.account_id, row.id, changes, expect=COMING, events=events)
            if ready is not None:
                self.tally.stored(stored.size)
                return ready
            now_there = await self.repo.find_by_id(row.account_id, row.id)
            if now_there is not None and now_there.status == "ready":
                return now_there
            await self.purge(row)
        raise missing()

    async def sniffed(self, row: MediaRow) -> str:
        """The type of what is in the store, by its first bytes.

        Raises:
            MediaTypeRefused: it is not taken; it failed, and its blob is gone.
        """
        async with self.storage.open_range(row.bucket, row.key, 0, SNIFFED) as pieces:
            head = b"".join([piece async for piece in pieces])
        try:
            return accepted(head, row.mime_type, self.allowed)
        except MediaTypeRefused as error:
            await self.refuse(row, error)
            raise

    async def refuse(self, row: MediaRow, error: BaseException) -> None:
        """It failed, and what there is of it in the store goes."""
        if await self.fail(row, error):
            await self.purge(row)

    async def fail(self, row: MediaRow, error: BaseException | str) -> bool:
        """It will not come; False where that could not be written, or it is elsewhere in its life by now."""
        reason = error if isinstance(error, str) else _reason(error)
        now = self.clock()
        events: Sequence[MediaEvent] = (MediaFailed(id=new_id(), row=row, at=now, reason=reason),)
        changes = {"status": "failed", "size_bytes": 0, "checksum": None, "updated_at": now}
        with anyio.CancelScope(shield=True), anyio.move_on_after(LAST_WORDS):
            try:
                failed = await self.repo.update(row.account_id, row.id, changes, expect=COMING, events=events)
            except Exception as trouble:  # what made it fail is told to the caller; garbage collection tries again
                log.warning("that a recording failed could not be written: %s", trouble)
                return False
            self.tally.failed += failed is not None
            return failed is not None
        return False

    async def delete(self, account_id: str, id: str) -> MediaRow | None:
        """Mark a recording deleted, and have its blob removed, now or later; None where there was none."""
        row = await self.repo.find_by_id(account_id, id)
        if row is None:
            return None
        now = self.clock()
        changes, event = {"status": "deleted", "updated_at": now}, MediaDeleted(id=new_id(), row=row, at=now)
        deleted = await self.repo.update(account_id, id, changes, expect=DELETABLE, events=(event,))
        if deleted is not None:
            self.tally.deleted += 1
            await self.purge(deleted)
        return deleted

    async def purge(self, row: MediaRow) -> bool:
        """Remove a blob that nobody needs; False where that has to be tried again.

        Where the repository remembers that, garbage collection does; else it is tried some more times now.
        """
        for pause in (None,) if isinstance(self.repo, Purges) else (*PAUSES, None):
            try:
                await self.storage.delete(row.bucket, row.key)
            except MediaError as error:
                self.tally.unpurged += 1
                log.warning("the blob of a recording that is gone has to be removed later: %s", error)
                if pause is None:
                    return False
                await anyio.sleep(pause)
            else:
                break
        if isinstance(self.repo, Purges):
            await self.repo.purged(row.account_id, row.id)
        return True


def key_of(account_id: str, at: datetime, extension: str) -> str:
    """A key that no other blob has. It tells nobody whose it is, and is the same on file systems that ignore case."""
    owner = hashlib.sha256(account_id.encode()).hexdigest()[:32]
    return f"{owner}/{at:%Y/%m}/{new_id()}.{extension}"


def missing() -> MediaMissing:
    """The one error for what is not there for whoever asks."""
    return MediaMissing("there is no such recording", fix="look for its id in the list of recordings")


def _other_content() -> ChecksumMismatch:
    return ChecksumMismatch(
        "the content is not what its sender has hashed",
        why="the SHA-256 of what came is another",
        fix="send it again",
        algorithm="sha256",
    )


def _reason(error: BaseException) -> str:
    """Why, in words without anything of the content."""
    if isinstance(error, MediaError):
        return f"{error.code} {error.what}"
    return "the sender broke off" if not isinstance(error, Exception) else f"it broke off: {type(error).__name__}"
