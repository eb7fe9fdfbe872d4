"""Which accounts' usage may differ from the sum over their rows: found without holding anybody up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from objectkernel_system_dialect.contracts import Dialect
from sqlalchemy import bindparam, exists, select

from objectkernel_media_server.entities import MEDIA, USAGE
from objectkernel_media_server.quota import NOTHING, Elsewhere, Quota, Usage, usage_of

BATCH: Final = 200


async def drifted(dialect: Dialect, quota: Quota, elsewhere: Elsewhere) -> AsyncIterator[str]:
    """Accounts that are worth a `Quota.recount`; while they are in use, some that are right may be among them."""
    after = ""
    while True:
        rows = await dialect.find(USAGE, {"account_id": {"$gt": after}}, sort={"account_id": 1}, limit=BATCH)
        accounts = [row["account_id"] for row in rows]
        if accounts:
            true, other = await quota.sums(accounts), await elsewhere(accounts)
            for row in rows:
                account_id = row["account_id"]
                reserved = Usage(reserved_bytes=other.get(account_id, 0))
                if usage_of(row) != true.get(account_id, NOTHING) + reserved:
                    yield account_id
        if len(accounts) < BATCH:
            break
        after = accounts[-1]
    for account_id in await _uncounted(dialect):
        yield account_id


async def _uncounted(dialect: Dialect) -> list[str]:
    """Accounts that have recordings and no usage, some of them."""
    media, usage = dialect.table(MEDIA), dialect.table(USAGE)
    counted = exists().where(usage.c.account_id == media.c.account_id)
    statement = select(media.c.account_id).where(~counted).distinct().limit(bindparam("rows"))
    return [row["account_id"] for row in await dialect.execute(statement, {"rows": BATCH})]
