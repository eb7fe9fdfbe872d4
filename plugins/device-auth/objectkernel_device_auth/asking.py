"""A device asks for a code (RFC 8628 sections 3.1 and 3.2)."""

from __future__ import annotations

import re
from datetime import timedelta
from math import ceil
from typing import Any, Final
from urllib.parse import urlencode

from objectkernel.secret import Secret
from objectkernel_system_dialect.contracts import DuplicateKey

from objectkernel_device_auth.budgets import Budgets, budget_id, network_of
from objectkernel_device_auth.codes import digest, new_device_code, new_user_code, shown
from objectkernel_device_auth.contracts import Asker, Client, DeviceAuthorization
from objectkernel_device_auth.errors import OAuthError
from objectkernel_device_auth.ground import Ground, asked_scopes, joined, lifetime, present, tidy
from objectkernel_device_auth.storage_codes import DEVICE_CODE

PAGE: Final = "/device"
"""Where people type their codes."""
RETRY_SECONDS: Final = 30
"""After that, some of the codes that wait are likely to have been decided."""
CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""A SHA-256 in base64url (RFC 7636 section 4.2)."""
COLLISIONS: Final = 20
"""New user codes that are already taken, in a row: among 10,000 live ones that does not happen."""


class Asking:
    """Gives codes."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._budgets = Budgets(ground.dialect)

    async def authorize(
        self,
        client_id: str,
        scope: str | None,
        *,
        client_secret: str | None,
        asker: Asker,
        code_challenge: str | None,
        code_challenge_method: str | None,
        base_url: str | None,
    ) -> DeviceAuthorization:
        """See `DeviceAuth.authorize`."""
        ground = self._ground
        client = await ground.client(client_id, client_secret)
        if not client.device_flow:
            raise OAuthError("unauthorized_client", "this client may not use the device flow")
        scopes = asked_scopes(scope, ground.allowed(client))
        challenge = _challenge(code_challenge, code_challenge_method)
        await self._expect_room(client, asker)
        now = present()
        lasts = lifetime(client.code_lifetime, ground.config.code_lifetime)
        interval = max(1, ceil(lifetime(client.interval, ground.config.interval).total_seconds()))
        address, agent = tidy(asker)
        device_code = new_device_code()
        row = {
            "digest": digest(device_code),
            "client_id": client.id,
            "scope": joined(scopes),
            "challenge": challenge,
            "address": address,
            "agent": agent,
            "network": network_of(address),
            "requested_at": now,
            "expires_at": now + lasts,
            "interval": interval,
            "remove_at": now + 2 * lasts,
        }
        user_code = await self._add(row, client)
        ground.steps["issued"] += 1
        page = f"{ground.config.base_url.rstrip('/') or base_url or ''}{PAGE}"
        return DeviceAuthorization(
            device_code=Secret(device_code),
            user_code=shown(user_code),
            verification_uri=page,
            verification_uri_complete=f"{page}?{urlencode({'user_code': shown(user_code)})}",
            expires_in=int(lasts.total_seconds()),
            interval=interval,
        )

    async def _add(self, row: dict[str, Any], client: Client) -> str:
        """Keep a request with a user code that no other live one has, which is returned."""
        ground = self._ground
        for _ in range(COLLISIONS):
            user_code = new_user_code()
            row["user_digest"] = ground.codes.digest(user_code)
            try:
                async with ground.dialect.transaction():
                    made = await ground.dialect.create(DEVICE_CODE, row)
                    told = {"client": client.id, "scope": row["scope"], "address": row["address"]}
                    await ground.note("device.ask", made["id"], **told)
            except DuplicateKey:
                continue
            return user_code
        raise OAuthError("temporarily_unavailable", "no free code was found", retry_after=RETRY_SECONDS)

    async def _expect_room(self, client: Client, asker: Asker) -> None:
        """Refuse a code where too many wait, of all, of this client or of this address; or were asked for lately.

        Whoever is refused for those that wait leaves nothing behind: there are no more rows than codes were given.
        """
        config, dialect = self._ground.config, self._ground.dialect
        live: dict[str, Any] = {"state": "pending", "expires_at": {"$gt": present()}}
        if await dialect.count(DEVICE_CODE, live) >= config.live_codes:
            raise _full("on this host")
        if await dialect.count(DEVICE_CODE, {"client_id": client.id, **live}) >= config.live_codes_per_client:
            raise _full("of this client")
        network = network_of(tidy(asker)[0])
        if not network:
            return
        if await dialect.count(DEVICE_CODE, {"network": network, **live}) >= config.live_codes_per_address:
            raise _full("from this address")
        lately = await self._budgets.count(budget_id("codes", network), timedelta(seconds=config.code_lifetime))
        if lately.count > config.codes_per_address:
            wait = max(1, ceil((lately.ends_at - present()).total_seconds()))
            raise OAuthError(
                "temporarily_unavailable", "too many codes were asked for from this address", retry_after=wait
            )


def _challenge(challenge: str | None, method: str | None) -> str | None:
    """The challenge of PKCE (RFC 7636), if there is one.

    Raises:
        OAuthError: ``invalid_request``.
    """
    if challenge is None:
        if method is not None:
            raise OAuthError("invalid_request", "code_challenge_method is given without code_challenge")
        return None
    if method != "S256":
        raise OAuthError("invalid_request", "code_challenge_method has to be S256")
    if not CHALLENGE.fullmatch(challenge):
        raise OAuthError("invalid_request", "code_challenge is no SHA-256 in base64url")
    return challenge


def _full(where: str) -> OAuthError:
    return OAuthError("temporarily_unavailable", f"too many codes wait {where}", retry_after=RETRY_SECONDS)
