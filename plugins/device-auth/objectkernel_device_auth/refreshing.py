"""A refresh token is exchanged for the next (RFC 6749 section 6, RFC 9700 section 4.14).

Each works once. Who shows one that was exchanged is either a process that raced with others of the same program, or
somebody who has stolen it. The first is told from the second by time: within `refresh_grace` seconds the same answer is
given again, byte for byte the same tokens; later the whole family ends, for nobody knows which of the two has the
tokens that are good.

To give the same tokens again, though only digests of them are kept, the answer is kept too: encrypted, with a key that
is derived from the refresh token that it was given for. That token has 256 random bits which the database does not
have, so a copy of the database opens nothing; only who holds the old token can open the answer, and it is theirs.
The tokens could instead be derived from the old one with a secret of the host. But whoever learnt that secret could
then calculate every later token of a family from one old one, for ever; the sealed answer is gone after the grace, and
needs no secret of the host, so that changing one in the midst of a race does no harm.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from objectkernel.secret import Secret
from objectkernel_system_dialect.contracts import Dialect, Row

from objectkernel_device_auth.contracts import Client, TokenAnswer
from objectkernel_device_auth.errors import OAuthError
from objectkernel_device_auth.families import Families, grant_of
from objectkernel_device_auth.ground import Ground, asked_scopes, present
from objectkernel_device_auth.sealed import seal, unseal
from objectkernel_device_auth.storage_codes import FAMILY, REFRESH_TOKEN

_SEALING = "refresh answer"
BURST: Final = 200
PACE: Final = timedelta(minutes=1)
"""A family is refreshed so often at once, and then once in such a time: each leaves rows that are kept for long."""


class Refreshing:
    """Exchanges refresh tokens."""

    def __init__(self, ground: Ground, families: Families) -> None:
        self._ground = ground
        self._families = families
        self._grace = timedelta(seconds=ground.config.refresh_grace)

    async def refresh(
        self, refresh_token: str, client_id: str, *, client_secret: str | None, scope: str | None
    ) -> TokenAnswer:
        """See `DeviceAuth.refresh`."""
        client = await self._ground.client(client_id, client_secret)
        answer = await self._attempt(refresh_token, client, scope)
        if answer is None:  # another one has exchanged it at this moment
            answer = await self._attempt(refresh_token, client, scope)
        if answer is None:
            raise _refused()
        return answer

    async def _attempt(self, token: str, client: Client, scope: str | None) -> TokenAnswer | None:
        found = await self._families.find(token)
        if found is None or found[1]["client_id"] != client.id:
            raise _refused()
        row, family = found
        now = present()
        if family["ended_at"] is not None or row["expires_at"] <= now:
            raise _refused()
        if row["spent_at"] is not None:
            return await self._again(row, family, token, now)
        _expect_pace(family, now)
        held = frozenset(family["scope"].split()) & self._ground.allowed(client)
        wanted = asked_scopes(scope, held) if held else held
        scopes = await self._ground.may(family["account_id"], family["user_id"], wanted)
        if not scopes:
            raise OAuthError("invalid_grant", "whoever has approved it may no longer do what was granted")
        return await self._exchange(row, family, client, scopes, token, now)

    async def _exchange(
        self, row: Row, family: Row, client: Client, scopes: frozenset[str], token: str, now: datetime
    ) -> TokenAnswer | None:
        """Spend the token for the next; None: somebody else was faster, or has ended the family."""
        dialect, client_id = self._ground.dialect, client.id
        async with dialect.transaction():
            turned = await dialect.increment(FAMILY, family["id"], "turns")
            if turned is None or turned["ended_at"] is not None:
                return None
            if not await dialect.update_many(REFRESH_TOKEN, {"id": row["id"], "spent_at": None}, {"spent_at": now}):
                return None
            answer, key_id, ends_at = await self._families.issue(grant_of(family, scopes), client, now)
            await self._ground.keys.succeed(family["id"], key_id, now + self._grace)
            sealed = seal(_written(answer, ends_at), token.encode(), _SEALING, row["id"])
            kept = {"answer": sealed, "answer_until": now + self._grace}
            await dialect.update_many(REFRESH_TOKEN, {"id": row["id"]}, kept)
            remove_at = await self._kept_until(family["id"])
            await dialect.update_many(FAMILY, {"id": family["id"]}, {"remove_at": remove_at})
            told = {"client": client_id, "family": family["id"], "scope": answer.scope}
            await self._ground.note("token.refresh", key_id, account_id=family["account_id"], **told)
        self._ground.steps["refreshed"] += 1
        return answer

    async def _kept_until(self, family: str) -> datetime:
        """As long as any of its tokens is known, a family is."""
        last = await self._ground.dialect.find_one(
            REFRESH_TOKEN, {"family": family}, sort={"remove_at": -1}, select=("remove_at",)
        )
        assert last is not None, "one was made in this transaction"
        found: datetime = last["remove_at"]
        return found

    async def _again(self, row: Row, family: Row, token: str, now: datetime) -> TokenAnswer:
        """The same answer within the grace; later the end of the family."""
        if row["answer"] is not None and now < row["answer_until"]:
            written = unseal(row["answer"], token.encode(), _SEALING, row["id"])
            if written is not None:
                self._ground.steps["replayed"] += 1
                return _read(written, now)
        self._ground.steps["reused"] += 1
        await self._families.end_wholly(family["id"], "token.reuse", family["client_id"], family["account_id"])
        raise _refused()


async def forget_answers(dialect: Dialect) -> int:
    """Remove the answers that are given no more, and tell how many."""
    over = {"answer_until": {"$lte": present()}}
    return await dialect.update_many(REFRESH_TOKEN, over, {"answer": None, "answer_until": None})


def _written(answer: TokenAnswer, ends_at: datetime) -> str:
    assert answer.refresh_token is not None, "families have refresh tokens"
    tokens = [answer.access_token.reveal(), answer.refresh_token.reveal()]
    return json.dumps([*tokens, answer.scope, ends_at.isoformat()])


def _read(written: str, now: datetime) -> TokenAnswer:
    access_token, refresh_token, scope, ends_at = json.loads(written)
    left = datetime.fromisoformat(ends_at) - now
    return TokenAnswer(
        access_token=Secret(access_token),
        expires_in=max(0, ceil(left.total_seconds())),
        scope=scope,
        refresh_token=Secret(refresh_token),
    )


def _expect_pace(family: Row, now: datetime) -> None:
    """Refuse a device that refreshes in a loop.

    Raises:
        OAuthError: ``temporarily_unavailable``; the token stays good.
    """
    wait = (family["turns"] - BURST + 1) * PACE - (now - family["created_at"])
    if wait > timedelta(0):
        raise OAuthError(
            "temporarily_unavailable", "this device refreshes far too often", retry_after=ceil(wait.total_seconds())
        )


def _refused() -> OAuthError:
    """One answer for every token that is no good: it tells nobody which of them were."""
    return OAuthError("invalid_grant", "the refresh token is unknown, used, expired or revoked")
