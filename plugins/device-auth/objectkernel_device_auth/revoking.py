"""Tokens are ended (RFC 7009), and asked about (RFC 7662), by those whose they are."""

from __future__ import annotations

import attrs
from objectkernel_contracts import Principal

from objectkernel_device_auth.contracts import ApiKey, Client
from objectkernel_device_auth.families import Families
from objectkernel_device_auth.ground import Ground


class Revoking:
    """What can be done to a token by somebody who shows it."""

    def __init__(self, ground: Ground, families: Families) -> None:
        self._ground = ground
        self._families = families

    async def revoke(self, token: str, client_id: str, *, client_secret: str | None) -> None:
        """See `DeviceAuth.revoke`. With one of them the whole family ends."""
        client = await self._ground.client(client_id, client_secret)
        found = await self._families.find(token)
        if found is not None:
            await self._end(found[1]["id"], found[1]["client_id"], found[1]["account_id"], client)
            return
        key, family = await self._ground.keys.family_of(token) or (None, None)
        if key is not None and family is not None:
            await self._end(family, key.client_id, key.account_id, client)

    async def introspect(self, token: str, caller: Principal | Client) -> ApiKey | None:
        """See `DeviceAuth.introspect`: a client is told of its own tokens, a principal of its account's."""
        known = await self._ground.keys.family_of(token)
        if known is None:
            return None
        key = known[0]
        own = key.client_id == caller.id if isinstance(caller, Client) else key.account_id == caller.account_id
        if not own:
            return None
        scopes = await self._ground.may(key.account_id, key.user_id, key.scopes)
        return None if scopes is None else attrs.evolve(key, scopes=scopes)

    async def _end(self, family: str, owner: str | None, account_id: str, client: Client) -> None:
        if owner == client.id:
            self._ground.steps["revoked"] += 1
            await self._families.end_wholly(family, "token.revoke", client.id, account_id)
