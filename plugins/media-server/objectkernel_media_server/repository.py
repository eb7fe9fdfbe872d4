"""Recordings in the system database: each change with the account's usage and its events in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import attrs
from objectkernel_system_dialect.contracts import Dialect, DuplicateKey, OperationUnsupported, StatementFailed
from sqlalchemy import bindparam, func, select

from objectkernel_media_server.content_rows import ContentRow, FindsContent, content_of
from objectkernel_media_server.contracts import (
    InvalidMedia,
    MediaEvent,
    MediaFilter,
    MediaPage,
    MediaRepository,
    MediaRow,
    MediaStatus,
)
from objectkernel_media_server.entities import COMING, MEDIA
from objectkernel_media_server.outbox import Outbox
from objectkernel_media_server.paging import Asked, read
from objectkernel_media_server.quota import NOTHING, Quota, share
from objectkernel_media_server.rows import columns, recording, refuse_unknown, stored
from objectkernel_media_server.trail import Trail

_OF_CONTENT: Final = ("bucket", "key", "size_bytes", "mime_type", "status", "checksum")
NOT_SO: Final = (OperationUnsupported, StatementFailed)
"""The dialect has no statements, or a table is not there: its other operations look after that."""
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR


@attrs.frozen(kw_only=True)
class Keeping:
    """How long rows are left alone; seconds.

    Attributes:
        coming: a recording of which nothing was heard for so long is looked at: perhaps it comes no more.
        ended: the row of a recording that failed or was deleted is kept for so long.
    """

    coming: float = HOUR
    ended: float = 30 * DAY


class DialectMediaRepository:
    """Recordings on a dialect that has the tables of `entities`.

    Args:
        quota: of the accounts, on the same dialect.
        outbox: where events go, on the same dialect.
        trail: where it is noted who recorded and deleted.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        quota: Quota | None = None,
        outbox: Outbox | None = None,
        trail: Trail | None = None,
        keeping: Keeping | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.dialect = dialect
        self.quota = quota or Quota(dialect)
        self.outbox = outbox or Outbox(dialect)
        self._trail = trail or Trail(None)
        self._keeping = keeping or Keeping()
        self._clock = clock

    async def insert(self, account_id: str, row: MediaRow, *, event: MediaEvent | None = None) -> MediaRow:
        if row.account_id != account_id:
            raise _taken()
        await self.quota.open(account_id)
        try:
            async with self.dialect.transaction():
                kept = await self.dialect.create(MEDIA, {**stored(row), **self._times(None, row.status)})
                await self.quota.move(account_id, share(row.status, row.size_bytes))
                await self._tell(() if event is None else (event,), row)
        except DuplicateKey:
            raise _taken() from None
        self.outbox.wake()
        return recording(kept)

    async def find_by_id(self, account_id: str, id: str) -> MediaRow | None:
        row = await self.dialect.find_by_id(MEDIA, id)  # which some databases answer without a thread
        return None if row is None or row["account_id"] != account_id else recording(row)

    async def update(
        self,
        account_id: str,
        id: str,
        changes: Mapping[str, Any],
        *,
        expect: Sequence[MediaStatus] = (),
        events: Sequence[MediaEvent] = (),
    ) -> MediaRow | None:
        refuse_unknown(changes)
        changes = {"updated_at": self._clock(), **changes}
        async with self.dialect.transaction():
            while True:
                old = await self.dialect.find_one(MEDIA, {"id": id, "account_id": account_id})
                if old is None or (expect and old["status"] not in expect):
                    return None
                written = {**columns(changes), **self._times(old["status"], changes.get("status"))}
                if await self.dialect.update_many(MEDIA, _unchanged(old), written):
                    break
            row = recording({**old, **written})
            moved = share(row.status, row.size_bytes) - share(old["status"], old["size_bytes"])
            await self.quota.move(account_id, moved)
            await self._tell(events, row)
        if events:
            self.outbox.wake()
        return row

    async def delete(self, account_id: str, id: str) -> bool:
        async with self.dialect.transaction():
            while True:
                old = await self.dialect.find_one(MEDIA, {"id": id, "account_id": account_id})
                if old is None:
                    return False
                if await self.dialect.delete_many(MEDIA, _unchanged(old)):
                    break
            await self.quota.move(account_id, NOTHING - share(old["status"], old["size_bytes"]))
        return True

    async def list(self, account_id: str, filter: MediaFilter | None = None) -> MediaPage:
        """A list is asked for each status by itself, in the order of a recording's life: one that goes on from status
        to status meanwhile is found once or twice, never not at all.
        """
        asked = read(filter)
        found: list[MediaRow] = []
        for status in asked.statuses:
            rows = await self.dialect.find(
                MEDIA, _listed(account_id, status, asked), sort=_order(asked), limit=asked.limit + 1
            )
            found += map(recording, rows)
        return asked.page(found)

    async def find_by_blob(self, bucket: str, key: str) -> MediaRow | None:
        row = await self.dialect.find_one(MEDIA, {"bucket": bucket, "key": key})
        return None if row is None else recording(row)

    async def find_content(self, account_id: str, id: str) -> ContentRow | None:
        try:
            by_id, _ = self._contents
            rows = await self.dialect.execute(by_id, {"id": id})
        except NOT_SO:
            return content_of(await self.find_by_id(account_id, id))
        return _content(rows[0]) if rows and rows[0]["account_id"] == account_id else None

    async def find_content_by_blob(self, bucket: str, key: str) -> ContentRow | None:
        try:
            _, by_blob = self._contents
            rows = await self.dialect.execute(by_blob, {"bucket": bucket, "key": key})
        except NOT_SO:
            return content_of(await self.find_by_blob(bucket, key))
        return _content(rows[0]) if rows else None

    @cached_property
    def _contents(self) -> tuple[Any, Any]:
        """The statements that find a content by its id and by its blob: each by a unique index, which is short enough
        for a database that answers short ones at once.
        """
        columns = self.dialect.table(MEDIA).c
        modified_at = func.coalesce(columns.updated_at, columns.created_at).label("modified_at")
        read = select(*(columns[name] for name in _OF_CONTENT), modified_at)
        by_blob = (columns.bucket == bindparam("bucket"), columns.key == bindparam("key"))
        return read.add_columns(columns.account_id).where(columns.id == bindparam("id")), read.where(*by_blob)

    async def purged(self, account_id: str, id: str) -> None:
        over = {"id": id, "account_id": account_id, "status": {"$in": ["failed", "deleted"]}}
        await self.dialect.update_many(MEDIA, over, {"purge_at": None})

    async def _tell(self, events: Sequence[MediaEvent], row: MediaRow) -> None:
        """Keep events and note them, with the row as it is now."""
        told = [attrs.evolve(event, row=row) for event in events]
        await self.outbox.add(told)
        for event in told:
            await self._trail.note(event)

    def _times(self, before: MediaStatus | None, after: MediaStatus | None) -> dict[str, Any]:
        """When somebody has to see to a row that has gone from one status to another; None: nowhere."""
        now, after = self._clock(), after or before
        if after in COMING:
            return {"stuck_at": now + timedelta(seconds=self._keeping.coming)}
        if after == "ready" or after == before:
            return {"stuck_at": None}
        return {"stuck_at": None, "purge_at": now, "forget_at": now + timedelta(seconds=self._keeping.ended)}


def _content(row: Mapping[str, Any]) -> ContentRow | None:
    """What was read of a row, where it is ready."""
    checksum: str | None = row["checksum"]
    if row["status"] != "ready" or checksum is None:
        return None
    return ContentRow(row["bucket"], row["key"], row["size_bytes"], row["mime_type"], checksum, row["modified_at"])


def _unchanged(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as long as nobody has changed it."""
    return {name: row[name] for name in ("id", "account_id", "status", "size_bytes", "updated_at")}


def _listed(account_id: str, status: MediaStatus, asked: Asked) -> dict[str, Any]:
    """The rows of one status, behind the cursor: in a form that each database takes for a range of its index."""
    by, behind = ("created_at", "$lt") if asked.newest_first else ("take_order", "$gt")
    wanted: dict[str, Any] = {"account_id": account_id, "status": status}
    if asked.session_id is not None:
        wanted["session_id"] = asked.session_id
    if asked.after is not None:
        value, id = asked.after.value, asked.after.id
        wanted[by] = {f"{behind}e": value}
        wanted["$or"] = [{by: {behind: value}}, {"id": {behind: id}}]
    return wanted


def _order(asked: Asked) -> Mapping[str, Any]:
    return {"created_at": -1, "id": -1} if asked.newest_first else {"take_order": 1, "id": 1}


def _taken() -> InvalidMedia:
    return InvalidMedia(
        "the recording cannot be kept",
        why="there is one with this id or key, or it is of another account",
        fix="give it an id of its own",
    )


if TYPE_CHECKING:
    _is_a_repository: type[MediaRepository] = DialectMediaRepository
    _finds_content: type[FindsContent] = DialectMediaRepository
