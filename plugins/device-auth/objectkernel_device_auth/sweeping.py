"""What has ended is removed, some rows at a time, so that nobody has to wait for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from objectkernel_system_dialect.contracts import Dialect, EntitySchema

from objectkernel_device_auth import storage_codes, storage_keys
from objectkernel_device_auth.refreshing import forget_answers

BATCH: Final = 500
EXPIRING: Final = (storage_keys.KEY, *storage_codes.SCHEMAS)


async def sweep(dialect: Dialect) -> int:
    """Remove every key, code and token, and every count of guesses, whose `remove_at` has come; tell how many."""
    await forget_answers(dialect)
    return sum([await _sweep(dialect, schema) for schema in EXPIRING])


async def _sweep(dialect: Dialect, schema: EntitySchema) -> int:
    over = {"remove_at": {"$lte": datetime.now(UTC)}}
    removed = 0
    while True:
        rows = await dialect.find(schema, over, sort={"remove_at": 1}, limit=BATCH, select=("id",))
        if rows:
            removed += await dialect.delete_many(schema, {"id": {"$in": [row["id"] for row in rows]}, **over})
        if len(rows) < BATCH:
            return removed
