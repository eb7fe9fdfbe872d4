"""What garbage collection finds, removes, and leaves alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from objectkernel_media_server.collected import KINDS, SHOWN, Collected
from objectkernel_media_server.collecting import GarbageCollector
from objectkernel_media_server.contracts import MediaMissing, StorageUnavailable
from objectkernel_media_server.entities import MEDIA, USAGE
from objectkernel_media_server.media_ids import new_id
from objectkernel_media_server.quota import NOTHING
from objectkernel_system_dialect.contracts import DatabaseUnavailable

from tests.plugins.media_server.databases import House, furnish, housed, webm

pytestmark = pytest.mark.anyio

BUCKET = "media-recordings"
HOUR = timedelta(hours=1)


class Hook:
    """Somebody else who keeps something of the store and of accounts."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.expired: list[Collected] = []
        self.bytes: dict[str, int] = {}

    async def collect(self, *, now: datetime, dry_run: bool) -> Sequence[Collected]:
        found = list(self.expired)
        if not dry_run:
            self.expired.clear()
        return found

    async def needed(self, bucket: str, keys: Sequence[str]) -> set[str]:
        return self.keys & set(keys)

    async def reserved(self, account_ids: Sequence[str]) -> Mapping[str, int]:
        return {id: size for id, size in self.bytes.items() if id in account_ids}

    async def forget_account(self, account_id: str) -> None:
        raise AssertionError("no account goes")


@pytest.fixture
async def house(anyio_backend: str) -> AsyncIterator[House]:
    async with housed() as house:
        yield house


def collector(house: House, *hooks: Any, ahead: timedelta = 48 * HOUR, grace: float = 3600.0) -> GarbageCollector:
    """One whose clock is ahead, so that what was done just now is old."""
    return GarbageCollector(
        house.parts.repo, house.media.recordings, hooks, grace=grace, clock=lambda: datetime.now(UTC) + ahead
    )


def key_like_ours() -> str:
    return f"{'a' * 32}/2026/11/{new_id()}.webm"


async def put(house: House, key: str, content: bytes = b"x") -> str:
    async def body() -> AsyncIterator[bytes]:
        yield content

    await house.storage.put_stream(BUCKET, key, body())
    return key


async def there(house: House) -> set[str]:
    return {one.key async for one in house.storage.list(BUCKET)}


async def kinds(collector: GarbageCollector) -> dict[str, int]:
    """What a collection finds, by kind: as it would and as it does, which is the same; then there is nothing."""
    would, did, again = await collector.collect(dry_run=True), await collector.collect(), await collector.collect()
    assert (would.counts, would.bytes, would.items) == (did.counts, did.bytes, did.items)
    assert (would.trouble, did.trouble, again.trouble, again.total) == ([], [], [], 0)
    return {kind: count for kind, count in did.counts.items() if count}


async def test_nothing(house: House) -> None:
    """What is stored, and what is in order, stays."""
    row = (await house.media.create_recording("acc", webm())).row
    assert await kinds(collector(house)) == {}
    assert await there(house) == {row.key}


async def test_orphans(house: House) -> None:
    """A blob under a key of ours that no row has goes, when it is old enough; keys of others' making stay."""
    orphan, foreign = await put(house, key_like_ours(), b"four"), await put(house, "backups/of-somebody.tar")
    assert await kinds(collector(house, ahead=timedelta())) == {}
    report = await collector(house).collect()
    assert report.items == [
        Collected(kind="orphan", bucket=BUCKET, key=orphan, size=4, why="no recording and no upload has it")
    ]
    assert report.bytes["orphan"] == 4
    assert await there(house) == {foreign}


async def test_needed_by_a_hook(house: House) -> None:
    """What somebody else needs stays: blobs, parts and rows that are coming."""
    hook = Hook()
    row = await house.media.begin_recording("acc", size=10)
    hook.keys = {await put(house, f"partial/{'a' * 32}"), key_like_ours(), row.key}
    for key in hook.keys:
        await house.storage.begin(BUCKET, key)
    assert await kinds(collector(house, hook)) == {}
    assert await house.statuses() == ["uploading"]
    hook.keys.clear()
    assert await kinds(collector(house, hook)) == {"stuck": 1, "orphan": 1, "unfinished": 3}
    assert await there(house) == set()


async def test_stuck(house: House) -> None:
    """A recording of which nothing was heard fails; what there is of it, and what was reserved for it, goes."""
    row = await house.media.begin_recording("acc", size=50)
    await put(house, row.key, webm(50))
    await house.storage.begin(BUCKET, row.key)
    assert await kinds(collector(house, ahead=timedelta(minutes=59))) == {}
    assert await kinds(collector(house)) == {"stuck": 1, "unfinished": 1}
    assert await house.statuses() == ["failed"] and await there(house) == set()
    assert await house.media.quota.usage("acc") == NOTHING
    with pytest.raises(MediaMissing):
        await house.media.grow_recording("acc", row.id, 60)


async def test_signs_of_life(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording that comes slowly says so now and then, and is not given up."""
    from objectkernel_media_server import intake

    monkeypatch.setattr(intake, "SIGN_OF_LIFE", 0.0)

    async def slow() -> AsyncIterator[bytes]:
        yield webm(5000)
        old = {"stuck_at": datetime.now(UTC) - HOUR}
        await house.dialect.update_many(MEDIA, {"status": "uploading"}, old)
        yield bytes(10)
        assert (await collector(house, ahead=timedelta()).collect()).total == 0
        yield bytes(10)

    assert (await house.media.create_recording("acc", slow())).row.status == "ready"


async def test_unfinished(house: House) -> None:
    """Parts of a blob of which no upload knows go; the key may have a row that is ready."""
    row = (await house.media.create_recording("acc", webm())).row
    await house.storage.begin(BUCKET, row.key)
    await house.storage.begin(BUCKET, key_like_ours())
    await house.storage.begin(BUCKET, "of-somebody-else")
    assert await kinds(collector(house)) == {"unfinished": 2}
    assert len([one async for one in house.storage.unfinished(BUCKET)]) == 1
    assert await there(house) == {row.key}


async def test_parts_of_what_is_coming(house: House) -> None:
    """They stay, however old they are, as long as the recording is not given up."""
    row = await house.media.begin_recording("acc", size=10)
    await house.storage.begin(BUCKET, row.key)
    assert await kinds(collector(house, ahead=timedelta(minutes=59), grace=0)) == {}
    assert [key async for key, _, _ in house.storage.unfinished(BUCKET)] == [row.key]


async def test_forgotten(house: House) -> None:
    """The row of a recording that failed or was deleted goes when it is old, and never before its blob."""
    gone = (await house.media.create_recording("acc", webm())).row
    await house.media.delete_media("acc", gone.id)
    failed = await house.media.begin_recording("acc")
    await house.media.fail_recording("acc", failed.id, "x")
    await house.media.create_recording("acc", webm())
    assert await kinds(collector(house, ahead=29 * 24 * HOUR)) == {}
    unpurged = {"purge_at": datetime.now(UTC) + 100 * 24 * HOUR}
    await house.dialect.update_many(MEDIA, {"id": gone.id}, unpurged)
    assert await kinds(collector(house, ahead=31 * 24 * HOUR)) == {"forgotten": 1}
    assert await house.statuses() == ["deleted", "ready"]


async def test_late_blob(house: House) -> None:
    """A blob that arrives when its recording has been given up and purged goes as well."""
    row = await house.media.begin_recording("acc")
    await house.media.fail_recording("acc", row.id, "x")
    await put(house, row.key)
    assert await kinds(collector(house)) == {"orphan": 1}


async def test_other_buckets(house: House) -> None:
    """Where recordings were put before the setting changed is looked at too."""
    await house.media.create_recording("acc", webm())
    await put(house, key_like_ours())
    assert await kinds(collector(furnish(house.dialect, house.storage, default_bucket="elsewhere"))) == {"orphan": 1}


async def test_drift(house: House) -> None:
    """An account's usage that is not the sum over its rows is set right, with what others have reserved."""
    hook = Hook()
    hook.bytes = {"reserving": 7}
    for account in ("acc", "uncounted", "right"):
        await house.media.create_recording(account, webm())
    await house.media.quota.reserve("reserving", bytes=7)
    await house.dialect.update(USAGE, "acc", {"bytes": 5, "reserved_count": 2})
    await house.dialect.delete(USAGE, "uncounted")
    await house.media.quota.reserve("leaking", bytes=9)
    assert await kinds(collector(house, hook)) == {"usage": 3}
    assert (await house.media.quota.usage("acc")).bytes == 100
    assert (await house.media.quota.usage("uncounted")).count == 1
    assert (await house.media.quota.usage("reserving")).reserved_bytes == 7


async def test_uploads(house: House) -> None:
    """What a hook has removed is told among the rest."""
    hook = Hook()
    hook.expired = [Collected(kind="upload", account_id="acc", key="k", size=3)]
    assert await kinds(collector(house, hook)) == {"upload": 1}


async def test_a_blob_that_cannot_be_removed(house: House) -> None:
    """It is told, keeps nothing else from being collected, and is tried again later."""
    stubborn = (await house.media.create_recording("acc", webm())).row
    remove = house.storage.delete

    async def delete(bucket: str, key: str) -> bool:
        if key == stubborn.key:
            raise StorageUnavailable("it cannot be removed", store="memory", reason="test")
        return bool(await remove(bucket, key))

    house.storage.delete = delete
    await house.media.delete_media("acc", stubborn.id)
    gone = (await house.media.create_recording("acc", webm())).row
    await house.dialect.update_many(MEDIA, {"id": gone.id}, {"status": "failed", "purge_at": datetime.now(UTC)})
    await put(house, key_like_ours())
    report = await collector(house).collect()
    assert {kind: n for kind, n in report.counts.items() if n} == {"purge": 1, "orphan": 1, "usage": 1}
    assert len(report.trouble) == 1 and await there(house) == {stubborn.key}
    (row,) = await house.dialect.find(MEDIA, {"id": stubborn.id})
    assert row["purge_tries"] == 1 and row["purge_at"] > datetime.now(UTC) + 48 * HOUR
    house.storage.delete = remove
    assert await kinds(collector(house, ahead=49 * HOUR)) == {"purge": 1}


async def test_database_away(house: House) -> None:
    """What cannot be had is told for each step, and nothing is removed on a guess."""
    await put(house, key_like_ours())
    collecting = collector(house)

    class Away:
        def __getattr__(self, name: str) -> Any:
            def call(*args: Any, **options: Any) -> Any:
                raise DatabaseUnavailable("the database does not answer", database="x", reason="test")

            return call

    collecting._dialect = Away()  # type: ignore[assignment]
    report = await collecting.collect()
    assert report.total == 0 and len(report.trouble) >= 4
    assert len(await there(house)) == 1


async def test_many(house: House) -> None:
    """However many there are, a report names the first, counts all, and tells each kind."""
    for _ in range(SHOWN + 5):
        await put(house, key_like_ours())
    report = await collector(house).collect()
    assert (report.counts["orphan"], report.total, len(report.items)) == (SHOWN + 5, SHOWN + 5, SHOWN)
    assert tuple(report.counts) == KINDS
    figures = {figure.name: figure.value for figure in house.parts.tally.figures()}
    assert figures["media_collected"] == SHOWN + 5


async def test_several_hosts(house: House) -> None:
    """Hosts that collect at once remove what there is, and do each other no harm."""
    for _ in range(20):
        await put(house, key_like_ours())
        await house.media.begin_recording("acc", size=5)
    kept = (await house.media.create_recording("acc", webm())).row
    hosts = [furnish(house.dialect, house.storage) for _ in range(3)]
    reports = []

    async def collect(host: House) -> None:
        reports.append(await collector(host).collect())

    async with anyio.create_task_group() as tasks:
        for host in hosts:
            tasks.start_soon(collect, host)
    assert [report.trouble for report in reports] == [[], [], []]
    assert sum(report.counts["stuck"] for report in reports) == 20
    assert await there(house) == {kept.key}
    assert await house.media.quota.recount("acc", mend=False) == NOTHING
