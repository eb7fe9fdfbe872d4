"""What has expired is removed, some rows at a time, so that nobody has to wait for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from objectkernel_system_dialect.contracts import Dialect, EntitySchema

from objectkernel_accounts.storage import EXPIRING

BATCH: Final = 500


async def sweep(dialect: Dialect) -> int:
    """Remove every session, link and count of attempts that has expired, and tell how many."""
    return sum([await _sweep(dialect, schema) for schema in EXPIRING])


async def _sweep(dialect: Dialect, schema: EntitySchema) -> int:
    expired = {"expires_at": {"$lte": datetime.now(UTC)}}
    removed = 0
    while True:
        rows = await dialect.find(schema, expired, sort={"expires_at": 1}, limit=BATCH, select=("id",))
        if rows:
            removed += await dialect.delete_many(schema, {"id": {"$in": [row["id"] for row in rows]}, **expired})
        if len(rows) < BATCH:
            return removed
