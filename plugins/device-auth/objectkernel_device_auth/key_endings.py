"""How keys end: with all that came with them, whatever it was that ended them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import attrs
from objectkernel_contracts import Principal
from objectkernel_system_dialect.contracts import Dialect, Row

from objectkernel_device_auth.storage_keys import KEY
from objectkernel_device_auth.trail import Trail

BATCH: Final = 500
EndFamilies: TypeAlias = Callable[[list[str]], Awaitable[None]]
"""Ends the refresh tokens of families."""
ForgetTokens: TypeAlias = Callable[[str], Awaitable[None]]
"""Removes the codes and refresh tokens of a client, or of an account."""


@attrs.define
class KeyEndings:
    """Revokes keys. Every call takes part in the caller's transaction.

    Attributes:
        remembered: how long a key that has ended is still told of.
        end_families, forget_client, forget_account: of the device flow, set by whoever puts it together with this.
    """

    dialect: Dialect
    trail: Trail
    remembered: timedelta
    end_families: EndFamilies | None = None
    forget_client: ForgetTokens | None = None
    forget_account: ForgetTokens | None = None

    async def end(self, which: Mapping[str, Any], *, by: Principal | None, why: str | None = None) -> int:
        """Revoke the keys that match, their families, what they have replaced and what was had with them.

        Returns:
            How many of those that match were good.
        """
        now, good = datetime.now(UTC), 0
        fresh = {"$and": [which, {"revoked_at": None}]}
        while rows := await self.dialect.find(KEY, fresh, limit=BATCH, select=("id", "family")):
            ids = [row["id"] for row in rows]
            families = sorted({row["family"] for row in rows if row["family"] is not None})
            if families and self.end_families is not None:
                # before the keys, as whoever refreshes does: none of the two waits for the other for ever
                await self.end_families(families)
            ended = await self._end(ids, now, by, why)
            good += sum(row["expires_at"] is None or row["expires_at"] > now for row in ended)
            successors = [row["rotated_to"] for row in ended if row["rotated_by_itself"]]
            related: list[dict[str, Any]] = [{"made_by": {"$in": ids}}, {"rotated_to": {"$in": ids}}]
            if successors:
                related.append({"id": {"$in": successors}})
            if families:
                related.append({"family": {"$in": families}})
            await self.end({"$or": related}, by=by, why=why)
        return good

    async def _end(self, ids: list[str], now: datetime, by: Principal | None, why: str | None) -> Sequence[Row]:
        """Revoke keys, and tell which had not been until now, as whoever was rotating them has left them."""
        fresh = {"id": {"$in": ids}, "revoked_at": None}
        await self.dialect.update_many(KEY, fresh, {"remove_at": now + self.remembered})  # others wait from here on
        ended = await self.dialect.find(KEY, fresh)
        await self.dialect.update_many(KEY, fresh, {"revoked_at": now})
        for row in ended:
            whose = row["account_id"]
            await self.trail.note("key.revoke", row["id"], by=by, account_id=whose, user=row["user_id"], why=why)
        return ended
