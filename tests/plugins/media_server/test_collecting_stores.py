"""Garbage collection on the stores that hosts have: a folder, and a real S3 server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from objectkernel_media_server.collecting import GarbageCollector
from objectkernel_media_server.contracts import MediaMissing
from objectkernel_media_server.filesystem import FilesystemDriver
from objectkernel_media_server.media_ids import new_id
from objectkernel_media_server.s3 import S3Driver
from objectkernel_media_server.upload_collecting import UploadCollector

from tests.plugins.media_server.databases import BASE, House, furnish, opened, webm
from tests.plugins.media_server.object_servers import server  # noqa: F401 - fixture

pytestmark = pytest.mark.anyio

BUCKET = "suite-one"


@pytest.fixture(params=["filesystem", pytest.param("s3", marks=pytest.mark.slow)])
async def house(anyio_backend: str, request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[House]:
    store: Any = FilesystemDriver(tmp_path, "0" * 32, BASE)
    if request.param == "s3":
        store = S3Driver(request.getfixturevalue("server").place)
    dialect = await opened("sqlite", ":memory:")
    yield furnish(dialect, store, default_bucket=BUCKET)
    await dialect.aclose()
    await store.aclose()


async def one(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_everything(house: House) -> None:
    """What is needed stays, of whatever kind; what is not goes: the same on every store."""
    media, store, uploads = house.media, house.storage, house.parts.uploads
    assert uploads is not None
    kept = (await media.create_recording("acc", webm())).row
    stuck = await media.begin_recording("acc", size=100)
    token = await store.begin(BUCKET, stuck.key)
    await store.append(BUCKET, stuck.key, token, 0, one(webm()))
    gone = (await media.create_recording("acc", webm())).row
    await media.delete_media("acc", gone.id)
    orphan, forgotten = (f"{'b' * 32}/2026/11/{new_id()}.webm" for _ in range(2))
    await store.put_stream(BUCKET, orphan, one(b"x"))
    await store.append(BUCKET, forgotten, await store.begin(BUCKET, forgotten), 0, one(webm()))
    coming = (await media.create_recording("acc", slowly(house), size=200)).row

    later = datetime.now(UTC) + timedelta(hours=3)
    hooks = (UploadCollector(uploads),)
    collector = GarbageCollector(house.parts.repo, media.recordings, hooks, grace=3600.0, clock=lambda: later)
    would, did, again = await collector.collect(dry_run=True), await collector.collect(), await collector.collect()
    assert (would.counts, would.trouble) == (did.counts, []) and did.trouble == []
    found = {kind: count for kind, count in did.counts.items() if count}
    assert found == {"stuck": 1, "orphan": 1, "unfinished": 2}
    assert again.total == 0
    keys = {one.key async for one in store.list(BUCKET) if one.key.split("/")[0] in (kept.key.split("/")[0], "b" * 32)}
    assert keys == {kept.key, coming.key}
    left = [key async for key, _, _ in store.unfinished(BUCKET) if key in (stuck.key, forgotten)]
    assert left == []
    with pytest.raises(MediaMissing):
        await media.grow_recording("acc", stuck.id, 150)
    await house.parts.leaving.leave("acc", None)
    assert await store.head(BUCKET, kept.key) is None and await store.head(BUCKET, coming.key) is None


async def slowly(house: House) -> AsyncIterator[bytes]:
    """A recording during whose coming garbage is collected, by a clock that is not ahead."""
    yield webm(100)
    collector = GarbageCollector(house.parts.repo, house.media.recordings, (), grace=3600.0)
    with anyio.fail_after(60):
        assert (await collector.collect()).total == 0
    yield bytes(100)
