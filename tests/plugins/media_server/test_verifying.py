"""Every blob is read again and held against its row."""

from __future__ import annotations

from typing import Any

import pytest
from objectkernel_media_server.entities import MEDIA
from objectkernel_media_server.verifying import verify

from tests.plugins.media_server.databases import House, housed, webm

pytestmark = pytest.mark.anyio


async def found(house: House, account_id: str | None = None) -> dict[str, str]:
    return {one.row.id: one.finding async for one in verify(house.parts.repo, house.storage, account_id)}


async def made(house: House, account_id: str = "acc", size: int = 100) -> Any:
    return (await house.media.create_recording(account_id, webm(size))).row


async def test_findings(anyio_backend: str) -> None:
    """What is whole is good; what is gone, longer, shorter or another content is told apart."""
    async with housed() as house:
        rows = [await made(house, size=600_000), await made(house), await made(house), await made(house)]
        good, gone, other, shorter = rows
        objects = house.storage._objects
        del objects[gone.bucket, gone.key]
        kept, content = objects[other.bucket, other.key]
        objects[other.bucket, other.key] = (kept, content[:-1] + b"!")
        kept, content = objects[shorter.bucket, shorter.key]
        objects[shorter.bucket, shorter.key] = (kept, content[:-1])
        expected = {good.id: "good", gone.id: "missing", other.id: "checksum", shorter.id: "size"}
        assert await found(house) == expected
        sizes = {one.row.id: one.bytes async for one in verify(house.parts.repo, house.storage)}
        assert sizes[good.id] == 600_000 and sizes[gone.id] == 0


async def test_of_one_account(anyio_backend: str) -> None:
    """What is not ready has nothing to verify; other accounts' recordings are left out when one is asked for."""
    async with housed() as house:
        mine, deleted = await made(house), await made(house)
        await house.media.delete_media("acc", deleted.id)
        await house.media.begin_recording("acc")
        other = await made(house, "other")
        assert await found(house, "acc") == {mine.id: "good"}
        assert (await found(house)).keys() == {mine.id, other.id}


async def test_deleted_meanwhile(anyio_backend: str) -> None:
    """A blob that goes with its recording while it is looked for is no finding."""
    async with housed() as house:
        row = await made(house)
        opening = house.storage.open_range

        def open_range(*args: Any) -> Any:
            del house.storage._objects[row.bucket, row.key]
            house.storage.open_range = opening
            return opening(*args)

        house.storage.open_range = open_range
        find = house.parts.repo.find_by_id

        async def find_by_id(account_id: str, id: str) -> Any:
            await house.dialect.update_many(MEDIA, {"id": id}, {"status": "deleted"})
            return await find(account_id, id)

        house.parts.repo.find_by_id = find_by_id  # type: ignore[method-assign]
        assert await found(house) == {}
