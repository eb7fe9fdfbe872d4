"""Accounts that go: with their recordings, or handing them over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from objectkernel_media_server import leaving
from objectkernel_media_server.contracts import MediaFilter, StorageUnavailable
from objectkernel_media_server.entities import MEDIA, STATUSES, USAGE
from objectkernel_media_server.quota import NOTHING, Usage

from tests.plugins.media_server.databases import House, housed, webm

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(anyio_backend: str) -> AsyncIterator[House]:
    async with housed(account_recordings=3) as house:
        yield house


async def filled(house: House) -> list[Any]:
    """An account with a recording of each status that there is; those that are ready."""
    media = house.media
    await media.begin_recording("acc", size=10)
    failed = await media.begin_recording("acc")
    await media.fail_recording("acc", failed.id, "x")
    deleted = (await media.create_recording("acc", webm())).row
    await media.delete_media("acc", deleted.id)
    return [(await media.create_recording("acc", webm(100 + number))).row for number in range(2)]


async def blobs(house: House) -> set[str]:
    return {one.key async for one in house.storage.list("media-recordings")}


async def test_removed(house: House) -> None:
    """Everything of the account goes, and nothing of others; again it does nothing."""
    await filled(house)
    other = (await house.media.create_recording("other", webm())).row
    for _ in range(2):
        await house.parts.leaving.leave("acc", None)
        assert await house.dialect.find(MEDIA, {"account_id": "acc"}) == []
        assert await house.dialect.find(USAGE, {"account_id": "acc"}) == []
        assert await blobs(house) == {other.key}
    assert await house.media.quota.recount("other", mend=False) == NOTHING


async def test_handed_over(house: House) -> None:
    """What is ready is the successor's, as it was, whatever his limits are; the rest goes."""
    ready = await filled(house)
    own = [(await house.media.create_recording("heir", webm())).row for _ in range(3)]
    await house.parts.leaving.leave("acc", "heir")
    for row in ready:
        found = await house.media.get_media("heir", row.id)
        assert (found.row.key, found.row.checksum, found.row.created_at) == (row.key, row.checksum, row.created_at)
        assert await house.media.get_media("acc", row.id) is None
    assert await house.dialect.find(MEDIA, {"account_id": "acc"}) == []
    assert await blobs(house) == {row.key for row in (*ready, *own)}
    assert await house.media.quota.usage("heir") == Usage(bytes=501, count=5)
    assert await house.media.quota.recount("heir", mend=False) == NOTHING
    listed = await house.media.list_for_account("heir", MediaFilter(status=STATUSES))
    assert len(listed.items) == 5


async def test_store_down(house: House) -> None:
    """A blob that cannot be removed stops it; it goes on from there when the store answers."""
    await filled(house)
    remove, is_down = house.storage.delete, True

    async def delete(bucket: str, key: str) -> bool:
        if is_down:
            raise StorageUnavailable("it does not answer", store="memory", reason="test")
        return bool(await remove(bucket, key))

    house.storage.delete = delete
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            await house.parts.leaving.leave("acc", None)
    assert await house.media.list_for_account("acc") and await blobs(house)
    is_down = False
    await house.parts.leaving.leave("acc", None)
    assert await house.dialect.find(MEDIA) == [] and await blobs(house) == set()


async def test_more_than_a_batch(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are."""
    monkeypatch.setattr(leaving, "BATCH", 3)
    async with housed() as house:
        for _ in range(8):
            await house.media.create_recording("acc", webm())
        await house.parts.leaving.leave("acc", "heir")
        assert await house.media.quota.usage("heir") == Usage(bytes=800, count=8)
        assert await house.dialect.find(MEDIA, {"account_id": "acc"}) == []
