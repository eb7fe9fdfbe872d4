"""What has expired is removed, some rows at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from objectkernel_accounts import sweeping
from objectkernel_accounts.storage import LINK, SESSION
from objectkernel_accounts.sweeping import sweep

from tests.contrib.accounts.hosts import HOME, House

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_only_what_has_expired(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every expired session and link goes, however many; what can still be used stays. No statement takes too many."""
    monkeypatch.setattr(sweeping, "BATCH", 3)
    sizes = []
    delete_many = house.dialect.delete_many

    async def watched(schema, filter, **options):  # type: ignore[no-untyped-def]
        sizes.append(len(filter["id"]["$in"]))
        return await delete_many(schema, filter, **options)

    monkeypatch.setattr(house.dialect, "delete_many", watched)
    ada = await house.admin()
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(7):
            await house.parts.sessions.start(ada.user.id, ada.account.id, HOME)
        await house.parts.people.invite("bob", ada.account.id)
        clock.shift(timedelta(hours=13))
        await house.parts.sessions.start(ada.user.id, ada.account.id, HOME)
        assert await sweep(house.dialect) == 7
        assert (await house.dialect.count(SESSION), await house.dialect.count(LINK)) == (1, 1)
        clock.shift(timedelta(days=8))
        assert await sweep(house.dialect) == 2
    assert sizes == [3, 3, 1, 1, 1]
