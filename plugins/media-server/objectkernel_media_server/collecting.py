"""Garbage collection: what nobody needs is removed, and what was left in the middle is brought to an end.

Why it never takes what is needed: a row is there before the first byte of its blob, under a key that no other recording
ever has; and a row never goes back to a status that needs a blob. So a blob that is in the store, and whose key no row
needs when it is looked for afterwards, will not be needed again, whoever writes, crashes or collects meanwhile. The
grace time is for clocks and for stores that several databases share by mistake.

Keys that are none of this plugin's are nobody's to remove.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from objectkernel_system_dialect.contracts import DataError

from objectkernel_media_server.collected import Collected, CollectedKind, CollectingHook, Report
from objectkernel_media_server.contracts import MediaError, Resumable, Storage, StorageUnavailable
from objectkernel_media_server.entities import COMING, LIVE, MEDIA
from objectkernel_media_server.recordings import Recordings
from objectkernel_media_server.repository import DialectMediaRepository
from objectkernel_media_server.rows import recording
from objectkernel_media_server.usage_drift import drifted

T = TypeVar("T")

OURS: Final = re.compile(r"(?:[0-9a-f]{32}/\d{4}/\d\d/[0-9a-f-]{36}\.[a-z0-9]{1,5}|partial/[0-9a-f]{32})(?:/.*|\..*)?")
"""The keys that this plugin makes, of blobs and of their parts."""
BATCH: Final = 200
MOST_FAILURES: Final = 10
"""Blobs that cannot be removed one after another before it is left for the next time."""
SILENT: Final = "nothing was heard of it for too long"
UNKNOWN: Final = "no recording and no upload has it"
FIRST_PAUSE: Final = 30.0
LONGEST_PAUSE: Final = 6 * 3600.0
"""Seconds before a blob that could not be removed is tried again; each time twice as many."""

log = logging.getLogger("objectkernel.media-server")


class GarbageCollector:
    """Collects for one database and its store; several hosts may at once.

    Args:
        grace: seconds that a blob, or parts of one, must be old.
    """

    def __init__(
        self,
        repo: DialectMediaRepository,
        recordings: Recordings,
        hooks: Sequence[CollectingHook] = (),
        *,
        grace: float = 24 * 3600.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._repo = repo
        self._dialect = repo.dialect
        self._recordings = recordings
        self._storage: Storage = recordings.storage
        self._hooks = hooks
        self._grace = timedelta(seconds=grace)
        self._clock = clock

    async def collect(self, *, dry_run: bool = False, progress: Callable[[int], None] = lambda steps: None) -> Report:
        """Collect everything there is; what cannot be had now is in the report's `trouble`, and tried the next time.

        Args:
            progress: told how many kinds of things have been seen to, of `collected.KINDS`.
        """
        report = Report(dry_run)
        steps = (
            *(self._forgotten, self._purges, self._uploads, self._stuck),
            *(self._orphans, self._unfinished, self._usage),
        )
        for done, step in enumerate(steps, start=1):
            await self._attempt(report, step(dry_run))
            progress(done)
        if not dry_run:
            self._recordings.tally.collected += report.total
        return report

    async def _attempt(self, report: Report, step: AsyncGenerator[Collected]) -> None:
        try:
            async with aclosing(step) as items:
                async for item in items:
                    report.add(item)
        except (MediaError, DataError) as error:
            report.trouble.append(f"{error.code} {error.what}")

    # --- rows -----------------------------------------------------------------------------------------

    async def _forgotten(self, dry_run: bool) -> AsyncGenerator[Collected]:
        over = {"forget_at": {"$lte": self._clock()}, "purge_at": None}
        async with _closing(self._dialect.stream(MEDIA, over, sort={"forget_at": 1}, batch=BATCH)) as rows:
            async for row in rows:
                if dry_run or await self._dialect.delete_many(MEDIA, {"id": row["id"], **over}):
                    yield _of_row("forgotten", row, f"it was {row['status']} long ago")

    async def _purges(self, dry_run: bool) -> AsyncGenerator[Collected]:
        left = in_a_row = 0
        due = {"purge_at": {"$lte": self._clock()}}
        async with _closing(self._dialect.stream(MEDIA, due, sort={"purge_at": 1}, batch=BATCH)) as rows:
            async for row in rows:
                if dry_run or await self._recordings.purge(recording(row)):
                    in_a_row = 0
                    yield _of_row("purge", row, f"it is {row['status']}")
                    continue
                await self._put_off(row)
                left, in_a_row = left + 1, in_a_row + 1
                if in_a_row == MOST_FAILURES:
                    break
        if left:
            raise _not_removed(self._storage)

    async def _put_off(self, row: Mapping[str, Any]) -> None:
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(row["purge_tries"], 20))
        later = {"purge_at": self._clock() + timedelta(seconds=pause), "purge_tries": row["purge_tries"] + 1}
        await self._dialect.update_many(MEDIA, {"id": row["id"], "purge_at": row["purge_at"]}, later)

    async def _stuck(self, dry_run: bool) -> AsyncGenerator[Collected]:
        silent = {"stuck_at": {"$lte": self._clock()}, "status": {"$in": list(COMING)}}
        rows = self._dialect.stream(MEDIA, silent, sort={"stuck_at": 1}, batch=BATCH)
        async with aclosing(_batches(rows)) as batches:
            async for some in batches:
                for row in await self._unneeded(some):
                    if dry_run or await self._recordings.fail(recording(row), SILENT):
                        if not dry_run:
                            await self._recordings.purge(recording(row))
                        yield _of_row("stuck", row, SILENT)

    async def _unneeded(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The rows whose keys nobody else needs."""
        needed = set[tuple[str, str]]()
        for bucket in {row["bucket"] for row in rows}:
            keys = [row["key"] for row in rows if row["bucket"] == bucket]
            needed |= {(bucket, key) for key in await self._elsewhere(bucket, keys)}
        return [row for row in rows if (row["bucket"], row["key"]) not in needed]

    # --- what others keep --------------------------------------------------------------------------------

    async def _uploads(self, dry_run: bool) -> AsyncGenerator[Collected]:
        for hook in self._hooks:
            for item in await hook.collect(now=self._clock(), dry_run=dry_run):
                yield item

    async def _elsewhere(self, bucket: str, keys: Sequence[str]) -> set[str]:
        found = set[str]()
        for hook in self._hooks:
            found |= await hook.needed(bucket, keys)
        return found

    # --- blobs ----------------------------------------------------------------------------------------

    async def _buckets(self) -> list[str]:
        known = await self._dialect.distinct(MEDIA, "bucket")
        return sorted({self._recordings.bucket, *known})

    async def _orphans(self, dry_run: bool) -> AsyncGenerator[Collected]:
        old = self._clock() - self._grace
        for bucket in await self._buckets():
            found = self._storage.list(bucket)
            ours = _batches(found, lambda one: one.modified_at <= old and _is_ours(one.key))
            async with aclosing(ours) as batches:
                async for some in batches:
                    needed = await self._needed_blobs(bucket, [one.key for one in some])
                    for one in some:
                        if one.key not in needed and (dry_run or await self._storage.delete(bucket, one.key)):
                            yield Collected(kind="orphan", bucket=bucket, key=one.key, size=one.size, why=UNKNOWN)

    async def _needed_blobs(self, bucket: str, keys: Sequence[str]) -> set[str]:
        """The keys that a row needs, or whose blob is to be purged, which is told there."""
        rows = await self._rows_of(bucket, keys)
        needed = {row["key"] for row in rows if row["status"] in LIVE or row["purge_at"] is not None}
        return needed | await self._elsewhere(bucket, keys)

    async def _unfinished(self, dry_run: bool) -> AsyncGenerator[Collected]:
        if not isinstance(self._storage, Resumable):
            return
        old = self._clock() - self._grace
        for bucket in await self._buckets():
            found = self._storage.unfinished(bucket)
            ours = _batches(found, lambda one: one[2] <= old and _is_ours(one[0]))
            async with aclosing(ours) as batches:
                async for some in batches:
                    keys = [key for key, _, _ in some]
                    needed = await self._needed_parts(bucket, keys, dry_run) | await self._elsewhere(bucket, keys)
                    for key, token, _ in some:
                        if key not in needed:
                            if not dry_run:
                                await self._storage.abort(bucket, key, token)
                            yield Collected(kind="unfinished", bucket=bucket, key=key, why=UNKNOWN)

    async def _needed_parts(self, bucket: str, keys: Sequence[str], dry_run: bool) -> set[str]:
        """The keys of recordings that are coming; `dry_run`: without those that would have been given up before."""
        coming = [row for row in await self._rows_of(bucket, keys) if row["status"] in COMING]
        now = self._clock()
        return {row["key"] for row in coming if not (dry_run and row["stuck_at"] and row["stuck_at"] <= now)}

    async def _rows_of(self, bucket: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        wanted = {"bucket": bucket, "key": {"$in": list(keys)}}
        return await self._dialect.find(MEDIA, wanted, select=("id", "key", "status", "purge_at", "stuck_at"))

    # --- usage ----------------------------------------------------------------------------------------

    async def _usage(self, dry_run: bool) -> AsyncGenerator[Collected]:
        async for account_id in drifted(self._dialect, self._repo.quota, self._reserved):
            drift = await self._repo.quota.recount(account_id, elsewhere=self._reserved, mend=not dry_run)
            if drift:
                size = drift.bytes + drift.reserved_bytes
                yield Collected(kind="usage", account_id=account_id, size=abs(size), why=f"it was told {size:+d} bytes")

    async def _reserved(self, account_ids: Sequence[str]) -> Mapping[str, int]:
        total: dict[str, int] = {}
        for hook in self._hooks:
            for account_id, size in (await hook.reserved(account_ids)).items():
                total[account_id] = total.get(account_id, 0) + size
        return total


def _of_row(kind: CollectedKind, row: Mapping[str, Any], why: str) -> Collected:
    return Collected(
        kind=kind, account_id=row["account_id"], bucket=row["bucket"], key=row["key"], size=row["size_bytes"], why=why
    )


def _is_ours(key: str) -> bool:
    return OURS.fullmatch(key) is not None


def _not_removed(storage: Storage) -> StorageUnavailable:
    return StorageUnavailable(
        "blobs that nobody needs could not be removed",
        why=f"the store {storage.name!r} does not remove them",
        fix="see to the store; they are tried again by themselves",
        store=storage.name,
        reason="",
    )


@asynccontextmanager
async def _closing(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """An iterator that is closed at the end of the block, if it can be."""
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def _batches(items: AsyncIterator[T], keep: Callable[[T], bool] = lambda _: True) -> AsyncGenerator[list[T]]:
    """Those of the items that are to be kept, some at a time."""
    some: list[T] = []
    async with _closing(items):
        async for item in items:
            if not keep(item):
                continue
            some.append(item)
            if len(some) == BATCH:
                yield some
                some = []
    if some:
        yield some
