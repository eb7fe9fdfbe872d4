"""Families: the keys and refresh tokens that came from one approval, which end together."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final

from objectkernel.secret import Secret
from objectkernel_system_dialect.contracts import Row

from objectkernel_device_auth.codes import digest, new_device_code
from objectkernel_device_auth.contracts import Client, TokenAnswer
from objectkernel_device_auth.flow_needs import Grant
from objectkernel_device_auth.ground import Ground, joined, lifetime, present
from objectkernel_device_auth.storage_codes import DEVICE_CODE, FAMILY, REFRESH_TOKEN

LONGEST_TOKEN: Final = 200
BATCH: Final = 500


class Families:
    """The families of a host. What changes one takes part in the caller's transaction."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def begin(self, row: Row, client: Client, scopes: frozenset[str]) -> tuple[TokenAnswer, str, str]:
        """The first key and refresh token of what was approved, the id of the key, and that of the family.

        Args:
            row: the device code's.
        """
        now = present()
        grant = Grant(
            family=str(uuid.uuid4()),
            client_id=client.id,
            account_id=row["account_id"],
            user_id=row["user_id"],
            name=row["key_name"],
            scopes=scopes,
        )
        kept = {
            "id": grant.family,
            "client_id": client.id,
            "account_id": grant.account_id,
            "user_id": grant.user_id,
            "name": grant.name,
            "scope": joined(scopes),
            "remove_at": now + lifetime(client.refresh_lifetime, self._ground.config.refresh_lifetime),
        }
        await self._ground.dialect.create(FAMILY, kept)
        answer, key_id, _ = await self.issue(grant, client, now)
        return answer, key_id, grant.family

    async def issue(self, grant: Grant, client: Client, now: datetime) -> tuple[TokenAnswer, str, datetime]:
        """The next key and refresh token of a family, the key's id, and when it ends."""
        config = self._ground.config
        ends_at = now + lifetime(client.access_lifetime, config.access_lifetime)
        issued = await self._ground.keys.give(grant, ends_at)
        token = f"{config.key_prefix}r_{new_device_code()}"
        until = now + lifetime(client.refresh_lifetime, config.refresh_lifetime)
        kept = {"digest": digest(token), "family": grant.family, "expires_at": until, "remove_at": until}
        await self._ground.dialect.create(REFRESH_TOKEN, kept)
        answer = TokenAnswer(
            access_token=issued.secret,
            expires_in=int((ends_at - now).total_seconds()),
            scope=joined(grant.scopes),
            refresh_token=Secret(token),
        )
        return answer, issued.key.id, ends_at

    async def find(self, token: str) -> tuple[Row, Row] | None:
        """A refresh token and its family, good or not; None when it is none, or no longer known."""
        if len(token) > LONGEST_TOKEN:
            return None
        row = await self._ground.dialect.find_one(REFRESH_TOKEN, {"digest": digest(token)})
        family = None if row is None else await self._ground.dialect.find_by_id(FAMILY, row["family"])
        return None if row is None or family is None else (row, family)

    async def end(self, family: str) -> bool:
        """End the refresh tokens of a family, not its keys; whether they were good."""
        now = present()
        ended = await self._ground.dialect.update_many(FAMILY, {"id": family, "ended_at": None}, {"ended_at": now})
        if ended:
            sealed, gone = {"family": family, "answer": {"$ne": None}}, {"answer": None, "answer_until": None}
            await self._ground.dialect.update_many(REFRESH_TOKEN, sealed, gone)
        return ended > 0

    async def end_wholly(self, family: str, action: str, client_id: str, account_id: str) -> None:
        """End everything of a family, and note it."""
        async with self._ground.dialect.transaction():
            ended = await self.end(family)
            keys = await self._ground.keys.end_family(family)
            if ended or keys:
                await self._ground.note(action, family, account_id=account_id, client=client_id)

    async def forget_account(self, account_id: str) -> None:
        """Remove what an account has, which is being deleted."""
        await self._forget({"account_id": account_id})

    async def forget_client(self, client_id: str) -> None:
        """Remove what came from a client that is being removed, and what waits for it."""
        await self._forget({"client_id": client_id})

    async def _forget(self, whose: dict[str, str]) -> None:
        dialect = self._ground.dialect
        await dialect.delete_many(DEVICE_CODE, whose)
        while rows := await dialect.find(FAMILY, whose, select=("id",), limit=BATCH):
            ids = [row["id"] for row in rows]
            # before its tokens, as whoever refreshes does: none of the two waits for the other for ever
            await dialect.update_many(FAMILY, {"id": {"$in": ids}}, {"ended_at": present()})
            await dialect.delete_many(REFRESH_TOKEN, {"family": {"$in": ids}})
            await dialect.delete_many(FAMILY, {"id": {"$in": ids}})


def grant_of(family: Row, scopes: frozenset[str]) -> Grant:
    """What a family may have next."""
    whose = {name: family[name] for name in ("client_id", "account_id", "user_id", "name")}
    return Grant(family=family["id"], scopes=scopes, **whose)
