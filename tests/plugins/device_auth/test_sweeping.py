"""What has ended is removed, some rows at a time, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from objectkernel_device_auth import sweeping
from objectkernel_device_auth.contracts import UNTIL_REVOKED
from objectkernel_device_auth.storage_codes import BUDGET, DEVICE_CODE
from objectkernel_device_auth.storage_keys import KEY
from objectkernel_device_auth.sweeping import sweep

from tests.plugins.device_auth.key_hosts import ACCOUNT, Desk, desk_of

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
async def desk(anyio_backend: str) -> AsyncIterator[Desk]:
    async with desk_of() as made:
        yield made


async def test_keys_are_remembered_for_a_while(desk: Desk) -> None:
    """A month after a key has ended, however it has, nothing is left of it."""
    with time_machine.travel(NOW, tick=False) as clock:
        expiring = await desk.issue(expires_in=DAY)
        revoked = await desk.issue(expires_in=UNTIL_REVOKED)
        rotated = await desk.issue(expires_in=UNTIL_REVOKED)
        lasting = await desk.parts.keys.rotate(ACCOUNT, rotated.key.id)
        await desk.parts.keys.revoke(ACCOUNT, revoked.key.id)
        clock.shift(30 * DAY - timedelta(seconds=1))
        assert await sweep(desk.dialect) == 0
        clock.shift(timedelta(seconds=1))
        assert await sweep(desk.dialect) == 1
        assert await desk.parts.keys.get(ACCOUNT, revoked.key.id) is None
        assert await desk.parts.keys.get(ACCOUNT, expiring.key.id) is not None
        clock.shift(DAY)
        assert await sweep(desk.dialect) == 2
        assert [row["id"] for row in await desk.dialect.find(KEY)] == [lasting.key.id]


async def test_codes_and_counts(desk: Desk) -> None:
    """What the device flow leaves behind goes too."""
    with time_machine.travel(NOW, tick=False) as clock:
        await desk.parts.flow.authorize("objectkernel-cli")
        counts = await desk.dialect.count(BUDGET)
        assert await desk.dialect.count(DEVICE_CODE) == 1
        assert await sweep(desk.dialect) == 0
        clock.shift(2 * DAY)
        assert await sweep(desk.dialect) == 1 + counts
        assert await desk.dialect.count(DEVICE_CODE) == 0


async def test_some_rows_at_a_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """No statement takes so many that others have to wait for it."""
    monkeypatch.setattr(sweeping, "BATCH", 3)
    sizes = []
    delete_many = desk.dialect.delete_many

    async def watched(schema: Any, filter: Any, **options: Any) -> int:
        sizes.append(len(filter["id"]["$in"]))
        return await delete_many(schema, filter, **options)

    monkeypatch.setattr(desk.dialect, "delete_many", watched)
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(7):
            await desk.issue(expires_in=timedelta(minutes=1))
        clock.shift(31 * DAY)
        assert await sweep(desk.dialect) == 7
    assert sizes == [3, 3, 1]
