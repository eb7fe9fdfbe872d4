"""The end of entries: what is older than its lifetime is removed, a bounded batch at a time, and that is recorded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import anyio
from objectkernel_system_dialect.contracts import Dialect

from objectkernel_accounts.audit import AUDIT_ENTRY, AuditTrail

BATCH: Final = 500
PAUSE: Final = 0.02
"""Seconds between two batches, in which others write."""


class AuditExpiry:
    """Removes what is older than `lifetime`."""

    def __init__(
        self, dialect: Dialect, lifetime: timedelta, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._dialect = dialect
        self._lifetime = lifetime
        self._clock = clock
        self._trail = AuditTrail(dialect, clock)

    async def sweep(self) -> int:
        """Remove everything that is too old; how many entries that were."""
        total = 0
        while removed := await self.remove_batch():
            total += removed
            await anyio.sleep(PAUSE)
        return total

    async def remove_batch(self) -> int:
        """Remove the oldest entries, and record how many, in one transaction; 0: none is too old."""
        until = self._clock() - self._lifetime
        oldest = await self._dialect.find(
            AUDIT_ENTRY, sort={"sequence": 1}, limit=BATCH, select=("sequence", "at")
        )  # by the key, so that it costs the same however long the trail is
        old = [row["sequence"] for row in oldest if row["at"] < until]
        if not old:
            return 0
        async with self._dialect.transaction():
            removed = await self._dialect.delete_many(AUDIT_ENTRY, {"sequence": {"$in": old}})
            if removed:  # else another host has done it
                details = {"removed": removed, "until": until.isoformat()}
                await self._trail.record("audit.expire", "sys_audit", details=details)
        return len(old)
