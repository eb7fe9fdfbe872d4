"""The keys that the device flow gives; every call takes part in the caller's transaction."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from objectkernel_device_auth.contracts import ApiKey, IssuedKey
from objectkernel_device_auth.flow_needs import FlowKeys, Grant
from objectkernel_device_auth.key_format import digest_of, key_id_of
from objectkernel_device_auth.keys import HostKeys, good_at
from objectkernel_device_auth.storage_keys import KEY, key_of


@attrs.frozen
class FamilyKeys:
    """Keys in families: all that comes from one approval."""

    keys: HostKeys

    async def give(self, grant: Grant, expires_at: datetime) -> IssuedKey:
        now = datetime.now(UTC)
        first = not await self.keys.dialect.exists(KEY, {"family": grant.family})
        if first:
            await self.keys.expect_room(grant.account_id, now)
        row = {name: getattr(grant, name) for name in ("account_id", "user_id", "name", "client_id", "family")}
        return await self.keys.insert(row | {"scopes": sorted(grant.scopes)}, now, expires_at)

    async def succeed(self, family: str, key_id: str, ends_at: datetime) -> None:
        dialect = self.keys.dialect
        before = {"family": family, "id": {"$ne": key_id}, "revoked_at": None, "rotated_to": None}
        await dialect.update_many(KEY, before | {"expires_at": {"$gt": ends_at}}, {"expires_at": ends_at})
        # the one that comes after it tells all that there is to tell: such rows must not pile up
        await dialect.update_many(KEY, before, {"rotated_to": key_id, "remove_at": ends_at})
        self.keys.checks.forget()

    async def end_family(self, family: str) -> int:
        ended = await self.keys.endings.end({"family": family}, by=None)
        self.keys.checks.forget()
        return ended

    async def family_of(self, token: str) -> tuple[ApiKey, str | None] | None:
        key_id = key_id_of(token)
        if key_id is None:
            return None
        row = await self.keys.dialect.find_one(KEY, {"id": key_id} | good_at(datetime.now(UTC)))
        if row is None or not hmac.compare_digest(row["digest"], digest_of(token)):
            return None
        return key_of(row), row["family"]


if TYPE_CHECKING:
    _are_flow_keys: type[FlowKeys] = FamilyKeys
