"""When keys were used: noted in memory, and written for all of them together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from objectkernel_system_dialect.contracts import Dialect

from objectkernel_device_auth.storage_keys import KEY

EXACT_TO: Final = timedelta(minutes=1)
"""How exactly it is known when a key was used: a key is written at most so often."""
WRITTEN_EVERY: Final = 30.0
"""Seconds."""
BATCH: Final = 500
MOST: Final = 50_000
"""Keys that are noted until the next writing; further ones are not."""


class KeyUse:
    """Notes the use of keys."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._used: set[str] = set()

    def note(self, key_id: str) -> None:
        """This key is being used."""
        if len(self._used) < MOST:
            self._used.add(key_id)

    async def write(self) -> int:
        """Write what was noted, and tell how many keys it concerned."""
        written = 0
        while self._used:
            batch = list(islice(self._used, BATCH))
            now = datetime.now(UTC)
            old = {"$or": [{"last_used_at": None}, {"last_used_at": {"$lte": now - EXACT_TO}}]}
            written += await self._dialect.update_many(KEY, {"id": {"$in": batch}, **old}, {"last_used_at": now})
            self._used.difference_update(batch)
        return written
