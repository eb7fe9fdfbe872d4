"""The database goes away in the middle: a clear error, nothing promised is lost, and it mends by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from objectkernel_media_server.collecting import GarbageCollector
from objectkernel_media_server.quota import NOTHING
from objectkernel_system_dialect.contracts import DatabaseUnavailable

from tests.plugins.media_server.databases import House, furnish, opened, webm
from tests.plugins.system_dialect.databases import Cuttable, cuttable, postgres_database, postgres_url

__all__ = ["cuttable", "postgres_database", "postgres_url"]  # fixtures

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The driver knows asyncio alone."""
    return "asyncio"


@pytest.fixture
async def house(anyio_backend: str, cuttable: Cuttable) -> AsyncIterator[House]:
    dialect = await opened("postgres", cuttable.url)
    yield furnish(dialect)
    await dialect.aclose()


async def collected(house: House) -> Any:
    """What a collection does some hours later."""
    later = datetime.now(UTC) + timedelta(hours=2)
    collector = GarbageCollector(house.parts.repo, house.media.recordings, grace=0, clock=lambda: later)
    return await collector.collect()


@pytest.mark.parametrize("when", ["while it comes", "behind the last byte"])
async def test_cut_while_storing(house: House, cuttable: Cuttable, when: str) -> None:
    """The sender gets the database's error; what is left is a row that is collected, and its blob with it."""
    good = (await house.media.create_recording("acc", webm())).row

    async def body() -> AsyncIterator[bytes]:
        yield webm(5000)
        cuttable.cut()
        yield bytes(20_000_000 if when == "while it comes" else 10)  # which needs more room than is reserved

    with pytest.raises(DatabaseUnavailable) as caught:
        await house.media.create_recording("acc", body(), size=None if when == "while it comes" else 5010)
    assert caught.value.http_status in (503, 507)
    report = await collected(house)
    assert report.total == 0 and report.trouble  # nothing is removed on a guess
    blobs = [one.key async for one in house.storage.list("media-recordings")]
    assert len(blobs) == (1 if when == "while it comes" else 2)
    cuttable.mend()
    assert (await collected(house)).counts["stuck"] == 1
    assert [one.key async for one in house.storage.list("media-recordings")] == [good.key]
    assert await house.statuses() == ["ready", "failed"]
    assert await house.media.quota.recount("acc", mend=False) == NOTHING
    assert (await house.media.create_recording("acc", webm())).row.status == "ready"


async def test_cut_before_it_begins(house: House, cuttable: Cuttable) -> None:
    """Without a row nothing is stored."""
    cuttable.cut()
    with pytest.raises(DatabaseUnavailable):
        await house.media.create_recording("acc", webm())
    assert [one async for one in house.storage.list("media-recordings")] == []
    cuttable.mend()
    assert (await house.media.create_recording("acc", webm())).row.status == "ready"
