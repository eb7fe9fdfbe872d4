"""Uploads that come in several requests, and go on where they were: the state machine, without a protocol.

An upload is ``open`` until all of its bytes are there and the recording is ready; then it is ``done``, and says so
until it expires. A request claims the upload in its row, appends to the store, and then moves the row's offset behind
what is durable. So whatever becomes of a host, `Upload.offset` bytes are there; what lies behind them is nobody's.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final
from uuid import uuid4

import anyio
import attrs
from objectkernel_system_dialect.contracts import Dialect

from objectkernel_media_server.checksums import Checksum
from objectkernel_media_server.claims import Claims, checked
from objectkernel_media_server.contracts import MediaRow
from objectkernel_media_server.errors import (
    ChecksumMismatch,
    InvalidMedia,
    MediaError,
    MediaMissing,
    MediaTooLarge,
    MediaTypeRefused,
    ObjectMissing,
    QuotaExceeded,
    StorageUnavailable,
    UploadConflict,
    UploadIncomplete,
)
from objectkernel_media_server.incoming import IncomingBody, read_while
from objectkernel_media_server.pieces import keep_freed
from objectkernel_media_server.service import HostMedia
from objectkernel_media_server.storage_contracts import AppendStopped, StoredObject
from objectkernel_media_server.upload_entities import Upload
from objectkernel_media_server.upload_limits import UploadLimits
from objectkernel_media_server.upload_needs import NewUpload, ResumableStorage
from objectkernel_media_server.upload_rows import UploadRows, missing_upload, taken_over
from objectkernel_media_server.upload_turns import Turn, Turns

log = logging.getLogger("objectkernel.media-server")

PARTIAL: Final = "partial"
"""What the keys of partial uploads begin with."""
CLAIMS: Final = 5
"""How often a request tries to get an upload that others want too."""
UNFENCED: Final = "?"
"""The end of a writer that has not shut out the one before it yet."""
SECOND_LOOKS: Final = (0.05, 0.5)
"""Seconds between tries to finish an upload."""
GIVEN_UP: Final = (ChecksumMismatch, MediaMissing, MediaTooLarge, MediaTypeRefused, QuotaExceeded)
"""What ends an upload whose bytes have all come."""
REFUSALS: Final = (ChecksumMismatch, MediaMissing, MediaTooLarge, QuotaExceeded, UploadIncomplete)
"""What keeps bytes that are written from being recorded."""


class UploadService:
    """The uploads of accounts.

    Args:
        bucket: where partial uploads are.
    """

    def __init__(
        self,
        dialect: Dialect,
        media: HostMedia,
        storage: ResumableStorage,
        limits: UploadLimits,
        *,
        bucket: str,
        file_bytes: int,
    ) -> None:
        self.rows = UploadRows(dialect, limits.upload_expires)
        self.limits = limits
        self.file_bytes = file_bytes
        self._media = media
        self._storage = storage
        self._bucket = bucket
        self._turns = Turns(limits.takeover_seconds)
        self._host = uuid4().hex[:16]
        self._requests = 0
        keep_freed()
        media.on_deletion(self.end_of)

    # --- what protocols ask for -------------------------------------------------------------------

    async def create(self, account_id: str, new: NewUpload) -> Upload:
        """Begin an upload. Its recording, of which a partial one has none, is ``uploading`` from now on.

        Raises:
            InvalidMedia, MediaTooLarge, MediaMissing: of parts that are not there, QuotaExceeded
        """
        checked(account_id, Claims(**attrs.asdict(new.details, recurse=False)), self._media.recordings.limits)
        self._check_length(new.length)
        parts = await self._parts(account_id, new.parts) if new.kind == "final" else ()
        length = _sum(parts) if new.kind == "final" else new.length
        self._check_length(length)
        fields: dict[str, Any] = {
            "length": length,
            "kind": new.kind,
            "parts": list(new.parts),
            "concat": new.concat,
            "metadata": new.metadata or None,
            "content_type": new.details.mime_type or None,
        }
        most = self.limits.uploads_per_account
        async with self.rows.dialect.transaction():
            if new.kind == "partial":
                await self._media.quota.reserve(account_id, bytes=length or 0)
                place = {"bucket": self._bucket, "key": f"{PARTIAL}/{uuid4().hex}", "reserved": length or 0}
                return await self.rows.add(account_id, most, **fields, **place)
            if length is not None:
                await self._hand_over(parts)
            row = await self._media.begin_recording(account_id, size=length, **attrs.asdict(new.details))
            place = {"bucket": row.bucket, "key": row.key, "media_id": row.id}
            upload = await self.rows.add(account_id, most, **fields, **place)
        if new.kind == "final":
            try:
                return await self.complete(upload)
            except StorageUnavailable as error:  # it is there, and whoever looks at it completes it
                log.warning("putting an upload together has to wait: %s", error)
        return upload

    async def look(self, account_id: str, id: str) -> Upload:
        """An upload as it is, with everything that has come by now.

        One whose bytes are all there is finished, if that was not possible before.

        Raises:
            MediaMissing
        """
        upload = await self.rows.find(account_id, id)
        if self._turns.at(id) is not None:
            await self._turns.settle(id)
            upload = await self.rows.find(account_id, id)
        if upload.state == "done" or self._turns.at(id) is not None:
            return upload
        return await self.complete(upload)

    async def append(
        self,
        account_id: str,
        id: str,
        offset: int,
        body: IncomingBody,
        *,
        length: int | None = None,
        checksum: Checksum | None = None,
        declared: int | None = None,
    ) -> Upload:
        """Add what comes; whoever is at this upload has to give way.

        Args:
            length: of the whole upload, where it was not known before.
            checksum: of this request: none of its bytes is kept before all have come, and are what it says.
            declared: how many will come, where their sender says so.

        Raises:
            MediaMissing, InvalidMedia, MediaTooLarge, QuotaExceeded
            UploadConflict: the upload is not at `offset`, or another request has taken it over since.
            UploadIncomplete: the sender went away; what had come is kept.
            ChecksumMismatch: nothing of this request is kept; or the whole is not what its sender said, and is gone.
            MediaTypeRefused: it is gone.
        """
        if self._turns.at(id) is not None:  # nobody is stopped for what is not theirs, or goes on elsewhere
            _check_offset(await self.rows.find(account_id, id), offset)
        async with self._turns.take(id, offset) as turn:
            upload = await self._claimed(account_id, id, offset)
            try:
                upload = await self._with_length(upload, length)
                self._check_room(upload, declared)
                turn.stops = body.stop
                async with read_while(body, shielded=True):  # a cancelled request writes what came
                    upload = await self._write(upload, body, turn, checksum)
            finally:
                upload = await self._let_go(upload)
            self._tell(body, turn)
            upload = await self._completed(upload)
        return await self._followed(upload)

    async def finish(self, account_id: str, id: str) -> MediaRow:
        """Say that there is no more: the recording is what has come.

        Raises:
            MediaMissing, ChecksumMismatch, MediaTypeRefused
            UploadIncomplete: its sender has said that there would be more; or it is a part of another one.
        """
        upload = await self.look(account_id, id)
        if upload.media_id is None:
            raise UploadIncomplete("this is a part of a recording", fix="create the final upload", **_extent(upload))
        if upload.state == "open":
            async with self._turns.take(id) as turn:
                turn.recorded = upload.offset
                upload = await self._claimed(account_id, id)
                if upload.kind == "final" or (upload.length is not None and not upload.is_whole):
                    upload = await self._let_go(upload)
                    fix = "send what is missing"
                    raise UploadIncomplete("this upload has not all of its bytes", fix=fix, **_extent(upload))
                if upload.length is None:
                    upload = await self._recorded(upload, length=upload.offset)
                upload = await self._let_go(upload)
                upload = await self._completed(upload)
        row = await self._media.find(account_id, upload.media_id or "")
        if row is None:
            raise missing_upload()
        return row

    async def terminate(self, account_id: str, id: str) -> None:
        """End an upload, and remove what came of it; of one that is done, the recording.

        Raises:
            MediaMissing
        """
        upload = await self._end(await self.rows.find(account_id, id), {}, "its sender has ended it")
        if upload.state == "done" and upload.media_id is not None:
            await self._media.delete_media(account_id, upload.media_id)

    async def expire(self, upload: Upload) -> None:
        """Give up an upload that got no bytes since it was read; of one that is done, the recording stays.

        Raises:
            MediaMissing: it is not as it was.
        """
        await self._end(upload, {"expires_at": upload.expires_at}, "its sender has given it up")

    async def end_of(self, account_id: str, media_id: str) -> None:
        """End the upload of a recording that was deleted before all of it was there."""
        for upload in await self.rows.of_account(account_id, state="open", media_id=media_id):
            try:
                await self._end(upload, {}, "its recording was deleted")
            except MediaError as error:
                log.warning("the upload of a recording that is gone has to be ended later: %s", error)

    async def forget(self, upload: Upload) -> None:
        """Give up an upload, whatever comes of it; of one that is done, the recording stays.

        Raises:
            MediaMissing: it has gone.
        """
        await self._end(upload, {}, "its account goes")

    # --- the steps of one request -----------------------------------------------------------------

    async def _claimed(self, account_id: str, id: str, offset: int | None = None) -> Upload:
        """The upload, of which nobody else can change token and offset any more."""
        for _ in range(CLAIMS):
            upload = await self.rows.find(account_id, id)
            if offset is not None:
                _check_offset(upload, offset)
            if upload.state == "done":
                return upload
            before = upload.writer
            is_foreign = before is not None and (not before.startswith(self._host) or before.endswith(UNFENCED))
            self._requests += 1
            writer = f"{self._host}:{self._requests}{UNFENCED if is_foreign else ''}"
            if await self.rows.claim(upload, writer):
                upload = attrs.evolve(upload, writer=writer)
                return await self._fenced(upload) if is_foreign else upload
        raise taken_over()

    async def _fenced(self, upload: Upload) -> Upload:
        """The upload under a token that the host which had it, and perhaps still writes, does not know."""
        assert upload.writer is not None
        writer = upload.writer.removesuffix(UNFENCED)
        if upload.token is None:
            return await self._recorded(upload, writer=writer)
        token = await self._storage.fence(upload.bucket, upload.key, upload.token, upload.offset)
        fenced = await self._recorded(upload, token=token, writer=writer)
        await self._storage.abort(upload.bucket, upload.key, upload.token)
        return fenced

    async def _with_length(self, upload: Upload, length: int | None) -> Upload:
        if length is None or length == upload.length:
            return upload
        if upload.length is not None:
            raise InvalidMedia("the length of this upload is known, and another one", length=upload.length)
        self._check_length(length)
        if length < upload.offset:
            raise InvalidMedia(f"{upload.offset} bytes have come already", length=length)
        return await self._grown(upload, length, length=length)

    def _check_length(self, length: int | None) -> None:
        if length is not None and length > self.file_bytes:
            raise MediaTooLarge(f"a file may have {self.file_bytes} bytes", limit=self.file_bytes)

    def _check_room(self, upload: Upload, declared: int | None) -> None:
        if declared is not None and declared > self._room(upload):
            raise _too_much(upload)

    def _room(self, upload: Upload) -> int:
        """How many bytes more it may have."""
        return (self.file_bytes if upload.length is None else upload.length) - upload.offset

    async def _write(self, upload: Upload, body: IncomingBody, turn: Turn, checksum: Checksum | None) -> Upload:
        """Append slice after slice, and record each; with a checksum one of all, after it has been compared."""
        turn.recorded = upload.offset
        while await body.wait() and not turn.is_taken_over:
            room = self._room(upload)
            if not room:
                raise _too_much(upload)
            upload = await self._begun(upload)
            if checksum is None:
                turn.pauses = body.pause
                pieces = body.slice(min(self.limits.acknowledge_bytes, room), self.limits.acknowledge_seconds)
            else:
                pieces = self._with_room(upload, body.slice(room, math.inf, checksum.update))
            try:
                written = await self._append(upload, pieces)
            except AppendStopped as stopped:  # the store gave in midway
                if checksum is None:
                    await self._kept(upload, attrs.evolve(upload, token=stopped.token, offset=stopped.offset))
                else:
                    await self._dropped(upload)
                raise stopped.__cause__ or stopped from None
            except ObjectMissing:
                if (await self.rows.again(upload)).writer != upload.writer:
                    raise taken_over() from None
                raise
            if turn.gives_way:
                break
            try:
                if checksum is not None:
                    if await body.wait():
                        raise _too_much(upload)
                    _compare(body, checksum)
                    upload = attrs.evolve(await self.rows.again(upload), writer=upload.writer)
                upload = await self._kept(upload, written, is_last=body.is_over)
            except REFUSALS:
                await self._dropped(upload)
                raise
            turn.recorded, turn.pauses = upload.offset, None
            turn.settled()
        if checksum is not None and not body.size:
            _compare(body, checksum)
        return upload

    async def _append(self, upload: Upload, pieces: AsyncGenerator[bytes]) -> Upload:
        """The upload as it is in the store, with more than its row knows."""
        assert upload.token is not None
        async with aclosing(pieces):
            token, offset = await self._storage.append(upload.bucket, upload.key, upload.token, upload.offset, pieces)
        return attrs.evolve(upload, token=token, offset=offset)

    async def _begun(self, upload: Upload) -> Upload:
        """The upload with a token, which its row has before anything is written under it: what is written and not
        recorded is found again then.
        """
        if upload.token is not None:
            return upload
        token = await self._storage.begin(upload.bucket, upload.key, content_type=upload.content_type or "")
        return await self._recorded(upload, token=token)

    async def _with_room(self, upload: Upload, pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """The pieces, each once there is room for it, of an upload that has reserved none for a length."""
        size = room = upload.offset
        async with aclosing(pieces):
            async for piece in pieces:
                size += len(piece)
                if upload.length is None and size > room:
                    room = size + self.limits.acknowledge_bytes
                    try:
                        upload = await self._grown(upload, min(room, self.file_bytes), writer=upload.writer)
                    except QuotaExceeded:
                        upload, room = await self._grown(upload, size, writer=upload.writer), size
                yield piece

    async def _dropped(self, upload: Upload) -> None:
        """Take away what was written behind the offset, and is not to stay: nothing but the disk counts it."""
        try:
            await self._append(upload, _nothing())
        except (AppendStopped, MediaError) as error:  # whoever goes on with the upload, or ends it, does that too
            log.warning("bytes that were refused have to be removed later: %s", error)

    async def _kept(self, upload: Upload, written: Upload, *, is_last: bool = False) -> Upload:
        """Record what is durable now, and after the last of a request let go of the upload with that."""
        changes: dict[str, Any] = {"offset": written.offset, "token": written.token, "expires_at": self.rows.expiry()}
        if is_last:
            changes["writer"] = None
        return await self._grown(upload, written.offset, **changes)

    async def _grown(self, upload: Upload, size: int, **changes: Any) -> Upload:
        """Record changes of an upload that needs room for `size` bytes by now."""
        if upload.length is not None:
            return await self._recorded(upload, **changes)
        async with self.rows.dialect.transaction():
            if upload.media_id is not None:
                await self._media.grow_recording(upload.account_id, upload.media_id, size)
            elif size > upload.reserved:
                await self._media.quota.reserve(upload.account_id, bytes=size - upload.reserved)
                changes["reserved"] = size
            return await self._recorded(upload, **changes)

    async def _recorded(self, upload: Upload, **changes: Any) -> Upload:
        await self.rows.record(upload, changes)
        return attrs.evolve(upload, **changes)

    async def _let_go(self, upload: Upload) -> Upload:
        """Let others claim the upload without a fence: nothing is written any more."""
        if upload.state == "done" or upload.writer is None:
            return upload
        with anyio.CancelScope(shield=True):
            await self.rows.change(upload, {"writer": upload.writer}, {"writer": None})
        return attrs.evolve(upload, writer=None)

    def _tell(self, body: IncomingBody, turn: Turn) -> None:
        """Raise why a request has ended before its body, once what came is kept."""
        if body.ending == "failed" and body.error is not None:
            raise body.error
        if turn.is_taken_over:
            raise taken_over()
        if body.ending == "gone":
            raise UploadIncomplete("the body ended early; what came of it is kept")

    # --- the end of an upload ---------------------------------------------------------------------

    async def complete(self, upload: Upload) -> Upload:
        """Finish an upload that nobody is at, if all of its bytes are there; a final one, if its parts are."""
        if upload.kind == "final":
            parts = await self.rows.some(upload.account_id, upload.parts)
            if len(parts) < len(set(upload.parts)) or any(part.state == "open" for part in parts):
                return upload
        elif not upload.is_whole:
            return upload
        async with self._turns.take(upload.id):
            upload = await self._completed(await self.rows.find(upload.account_id, upload.id))
        return await self._followed(upload)

    async def _completed(self, upload: Upload) -> Upload:
        if upload.state == "done":
            return upload
        if upload.kind == "final" and not upload.is_whole:
            upload = await self._joined(upload)
        if not upload.is_whole:
            return upload
        try:
            stored = await self._stored(upload)
            if upload.media_id is not None:
                await self._media.finish_recording(upload.account_id, upload.media_id, stored)
        except GIVEN_UP:
            if upload.kind == "final":
                await self._leave_parts(upload)
            await self._forget(upload)
            raise
        changes: dict[str, Any] = {"state": "done", "writer": None, "expires_at": self.rows.expiry()}
        await self.rows.change(upload, {}, changes)
        return attrs.evolve(upload, **changes)

    async def _followed(self, upload: Upload) -> Upload:
        """See to what follows from an upload that is done: the parts of a final one go, and final ones wait for parts.

        What goes wrong is no concern of whoever sent the upload: housekeeping, or a look at the other, tries again.
        """
        if upload.state == "done" and upload.kind != "whole":
            try:
                await (self._leave_parts(upload) if upload.kind == "final" else self._complete_finals(upload))
            except MediaError as error:
                log.warning("what follows from an upload that is done has to wait: %s", error)
        return upload

    async def _stored(self, upload: Upload) -> StoredObject:
        assert upload.length is not None
        token = (await self._begun(upload)).token  # an empty one has none
        assert token is not None
        for pause in SECOND_LOOKS:
            try:
                return await self._storage.finish(upload.bucket, upload.key, token, upload.length)
            except (ObjectMissing, StorageUnavailable) as error:
                log.info("finishing an upload is tried again, which another host may have done meanwhile: %s", error)
                await anyio.sleep(pause)
        return await self._storage.finish(upload.bucket, upload.key, token, upload.length)

    async def _end(self, upload: Upload, expected: Mapping[str, Any], reason: str) -> Upload:
        """Stop whoever is at an upload, and remove all that came of it but a recording that is ready."""
        async with self._turns.take(upload.id):
            if not await self.rows.change(upload, expected, {"writer": f"{self._host}:end"}):
                raise missing_upload()
            upload = await self.rows.again(upload)
            if upload.token is not None and upload.state == "open":
                await self._storage.abort(upload.bucket, upload.key, upload.token)
            if upload.media_id is None:
                await self._storage.delete(upload.bucket, upload.key)
            elif upload.state == "open":
                await self._media.fail_recording(upload.account_id, upload.media_id, reason)
                if upload.kind == "final":
                    await self._leave_parts(upload)
            await self._forget(upload)
            return upload

    async def _forget(self, upload: Upload) -> None:
        """Remove a row, and give back what it has reserved itself."""
        async with self.rows.dialect.transaction():
            if await self.rows.remove(upload) and upload.reserved:
                await self._media.quota.release(upload.account_id, bytes=upload.reserved)

    # --- parts ------------------------------------------------------------------------------------

    async def _parts(self, account_id: str, ids: Sequence[str]) -> tuple[Upload, ...]:
        """The parts of a final upload in their order."""
        found = {part.id: part for part in await self.rows.some(account_id, ids) if part.kind == "partial"}
        if not ids or any(id not in found for id in ids):
            raise missing_upload()
        return tuple(found[id] for id in ids)

    async def _hand_over(self, parts: Sequence[Upload]) -> None:
        """Let the final upload reserve what the parts have reserved: the same bytes are not to count twice."""
        for part in set(parts):
            if part.reserved and await self.rows.change(part, {"reserved": part.reserved}, {"reserved": 0}):
                await self._media.quota.release(part.account_id, bytes=part.reserved)

    async def _joined(self, upload: Upload) -> Upload:
        """The final upload with the bytes of its parts, as far as they are there; it goes on where it stopped."""
        parts = await self._parts(upload.account_id, upload.parts)
        length = _sum(parts)
        if length is None or any(part.state == "open" for part in parts):
            return upload
        self._check_length(length)
        upload = await self._claimed(upload.account_id, upload.id)
        if upload.length is None:
            async with self.rows.dialect.transaction():
                await self._hand_over(parts)
                upload = await self._grown(upload, length, length=length)
        upload = await self._begun(upload)
        while upload.offset < length:
            most = min(self.limits.acknowledge_bytes, length - upload.offset)
            upload = await self._kept(upload, await self._append(upload, self._bytes_of(parts, upload.offset, most)))
        return upload

    async def _bytes_of(self, parts: Sequence[Upload], start: int, most: int) -> AsyncGenerator[bytes]:
        for part in parts:
            size = part.offset
            if start < size and most > 0:
                length = min(most, size - start)
                async with self._storage.open_range(part.bucket, part.key, start, length) as pieces:
                    async for piece in pieces:
                        yield piece
                most -= length
                start = size
            start -= size

    async def _complete_finals(self, part: Upload) -> None:
        for final in await self.rows.waiting_for(part):
            await self.complete(final)

    async def _leave_parts(self, final: Upload) -> None:
        """See to the parts of a final upload that is over. Of one that is done those go that no other one waits for.

        What stays counts again, unless another one has reserved its bytes too; where there is no room for it, it goes.
        """
        waiting = await self.rows.of_account(final.account_id, kind="final", state="open")
        others = [other for other in waiting if other.id != final.id]
        counted = {id for other in others if other.length is not None for id in other.parts}
        wanted = {id for other in others for id in other.parts} if final.state == "done" else set(final.parts)
        for part in await self.rows.some(final.account_id, final.parts):
            if part.id not in counted and not (part.id in wanted and await self._counts_again(part)):
                await self._end(part, {}, "the one that it is for is over")

    async def _counts_again(self, part: Upload) -> bool:
        """Let a part reserve its bytes itself; False where there is no room for them."""
        size = part.offset if part.length is None else part.length
        try:
            async with self.rows.dialect.transaction():
                if size > part.reserved and await self.rows.change(part, {"reserved": 0}, {"reserved": size}):
                    await self._media.quota.reserve(part.account_id, bytes=size)
        except QuotaExceeded:
            return False
        return True


async def _nothing() -> AsyncGenerator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for piece in nothing:
        yield piece


def _check_offset(upload: Upload, offset: int) -> None:
    """Raises UploadConflict where an upload does not go on at `offset`."""
    if upload.kind == "final":
        raise UploadConflict("a final upload has no bytes of its own", is_final=True, offset=upload.offset)
    if offset != upload.offset:
        fix = "ask for its offset, and go on from there"
        raise UploadConflict(f"the upload is at {upload.offset}", fix=fix, offset=upload.offset)


def _compare(body: IncomingBody, checksum: Checksum) -> None:
    """Raises ChecksumMismatch, or UploadIncomplete where not all has come that could be compared."""
    if body.ending != "whole":
        raise body.error or UploadIncomplete("the body ended early, so that its checksum says nothing; nothing is kept")
    algorithm = checksum.mismatch()
    if algorithm is not None:
        fix = "send it again from the same offset"
        raise ChecksumMismatch("what came is not what its sender has hashed", fix=fix, algorithm=algorithm)


def _too_much(upload: Upload) -> MediaTooLarge:
    limit = upload.length
    what = "a file may not have so many bytes" if limit is None else f"the upload has {limit} bytes, and no more"
    return MediaTooLarge(what, limit=limit)


def _extent(upload: Upload) -> dict[str, Any]:
    return {"offset": upload.offset, "length": upload.length}


def _sum(parts: Sequence[Upload]) -> int | None:
    """How many bytes the parts have together; None: not all say."""
    lengths = [part.length for part in parts]
    return None if None in lengths else sum(length for length in lengths if length is not None)
