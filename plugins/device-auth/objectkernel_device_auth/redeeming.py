"""A device asks whether its code was approved, and exchanges it (RFC 8628 sections 3.4 and 3.5).

The order of the checks is what devices depend on. A code that was exchanged is looked at first, so that its second use
is noticed whenever it comes; then whether its client may still have the flow; then its time, so that an approval does
not outlive it; then the decision, before anybody asks how fast the device polls, so that an impatient one gets what it
was granted; and the pace last.

The exchange is one conditional update within the transaction that makes the key: of many that try, one changes the row,
and a host that dies in between has changed nothing. When it dies after the commit and before the answer, the code is
spent, the key was shown to nobody, and the device begins anew.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Any, Final

import anyio
from objectkernel_system_dialect.contracts import Row

from objectkernel_device_auth.budgets import network_of
from objectkernel_device_auth.codes import LONGEST_DEVICE_CODE, digest
from objectkernel_device_auth.contracts import Asker, Client, DeviceApproved, TokenAnswer
from objectkernel_device_auth.errors import InvalidRequest, OAuthError
from objectkernel_device_auth.families import Families
from objectkernel_device_auth.ground import Ground, present, tidy
from objectkernel_device_auth.storage_codes import DEVICE_CODE

SLOWER: Final = 5
"""Seconds by which each poll that comes too early lengthens the interval (RFC 8628 section 3.5)."""
LENIENCE: Final = timedelta(seconds=1)
LENIENT_PART: Final = 0.2
"""A poll may be early by so much: clocks of devices are not exact, and networks are faster at times."""
TOLD_WITHIN: Final = 5.0
"""Seconds that plugins may take with the event."""
TWICE: Final = timedelta(seconds=10)
"""A code that is used again so soon, from where it was used, was sent twice by one device: nobody has stolen it."""


class Redeeming:
    """Exchanges device codes."""

    def __init__(self, ground: Ground, families: Families) -> None:
        self._ground = ground
        self._families = families

    async def redeem(
        self, device_code: str, client_id: str, *, client_secret: str | None, code_verifier: str | None, asker: Asker
    ) -> TokenAnswer:
        """See `DeviceAuth.redeem`."""
        client = await self._ground.client(client_id, client_secret)
        row = await self._find(device_code)
        if row is None or row["client_id"] != client.id:
            raise OAuthError("invalid_grant", "the device code is unknown, or was given to another client")
        now = present()
        if row["state"] == "consumed":
            await self._replayed(row, asker, now)
        if not client.device_flow:
            raise OAuthError("unauthorized_client", "this client may not use the device flow any more")
        if row["expires_at"] <= now:
            raise OAuthError("expired_token", "the device code has expired; ask for a new one")
        if row["state"] == "denied":
            raise OAuthError("access_denied", "the request was denied")
        if row["state"] == "approved":
            return await self._exchange(row, client, code_verifier, asker)
        raise await self._early(row, now)

    async def _find(self, device_code: str) -> Row | None:
        if len(device_code) > LONGEST_DEVICE_CODE:
            return None
        return await self._ground.dialect.find_one(DEVICE_CODE, {"digest": digest(device_code)})

    async def _exchange(self, row: Row, client: Client, code_verifier: str | None, asker: Asker) -> TokenAnswer:
        ground = self._ground
        _expect_verified(row["challenge"], code_verifier)
        granted = frozenset(row["granted"].split()) & ground.allowed(client)
        scopes = await ground.may(row["account_id"], row["user_id"], granted)
        if not scopes:
            raise OAuthError("access_denied", "whoever has approved it may no longer do what was asked for")
        try:
            answer, key_id = await self._consume(row, client, scopes, asker)
        except InvalidRequest as error:
            raise OAuthError("access_denied", "the account can have no further key") from error
        ground.steps["redeemed"] += 1
        told = DeviceApproved(
            account_id=row["account_id"],
            user_id=row["user_id"],
            key_id=key_id,
            client_id=client.id,
            scopes=scopes,
            asker=Asker(address=row["address"] or None, user_agent=row["agent"] or None),
        )
        with anyio.move_on_after(TOLD_WITHIN):  # the code is spent: whatever they do, the device is answered
            await ground.notify(told)
        return answer

    async def _consume(self, row: Row, client: Client, scopes: frozenset[str], asker: Asker) -> tuple[TokenAnswer, str]:
        """Spend the code for a key, both or neither."""
        dialect, now = self._ground.dialect, present()
        free = {"id": row["id"], "state": "approved", "consumed_at": None, "expires_at": {"$gt": now}}
        spent = {"state": "consumed", "consumed_at": now, "consumed_from": network_of(tidy(asker)[0])}
        async with dialect.transaction():
            if not await dialect.update_many(DEVICE_CODE, free, spent):
                raise OAuthError("invalid_grant", "the device code was used already, or has expired")
            answer, key_id, family = await self._families.begin(row, client, scopes)
            await dialect.update_many(DEVICE_CODE, {"id": row["id"]}, {"family": family})
            told = {"client": client.id, "device": row["id"], "scope": answer.scope}
            await self._ground.note("device.redeem", key_id, account_id=row["account_id"], **told)
        return answer, key_id

    async def _replayed(self, row: Row, asker: Asker, now: datetime) -> None:
        """Refuse a code that was used; end what it gave where it looks as if two had it."""
        same = row["consumed_from"] == network_of(tidy(asker)[0]) and now - row["consumed_at"] < TWICE
        if not same and row["family"] is not None:
            self._ground.steps["reused"] += 1
            await self._families.end_wholly(row["family"], "device.reuse", row["client_id"], row["account_id"])
        raise OAuthError("invalid_grant", "the device code was used already")

    async def _early(self, row: Row, now: datetime) -> OAuthError:
        """What is told before anybody has decided.

        A poll that is refused moves nothing but the interval: the time is that of the last one which was in order, so
        that a device which goes on at its own pace is in order again once as much time has passed.
        """
        ground, polled_at = self._ground, row["polled_at"]
        interval = timedelta(seconds=row["interval"])
        in_order = polled_at is None or now - polled_at >= interval - max(LENIENCE, interval * LENIENT_PART)
        this: dict[str, Any] = {"id": row["id"], "polled_at": polled_at}
        if in_order and await ground.dialect.update_many(DEVICE_CODE, this, {"polled_at": now}):
            ground.steps["pending"] += 1
            return OAuthError("authorization_pending", "nobody has decided yet")
        slower = await ground.dialect.increment(DEVICE_CODE, row["id"], "interval", SLOWER)
        ground.steps["slow_down"] += 1
        told = row["interval"] + SLOWER if slower is None else slower["interval"]
        return OAuthError("slow_down", f"poll every {told} seconds from now on", interval=told)


def _expect_verified(challenge: str | None, verifier: str | None) -> None:
    """Check the proof of PKCE (RFC 7636 section 4.6).

    Raises:
        OAuthError: ``invalid_grant``.
    """
    if challenge is None:
        if verifier is not None:
            raise OAuthError("invalid_grant", "there was no code_challenge that code_verifier could belong to")
        return
    hashed = hashlib.sha256((verifier or "").encode("utf-8", "surrogatepass")).digest()
    if not hmac.compare_digest(base64.urlsafe_b64encode(hashed).decode().rstrip("="), challenge):
        raise OAuthError("invalid_grant", "code_verifier is missing, or does not belong to code_challenge")
