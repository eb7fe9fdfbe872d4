"""The service `device-auth`, put together of its parts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs
from objectkernel_contracts import Audit, Keyring, Principal, Standing
from objectkernel_system_dialect.contracts import Dialect

from objectkernel_device_auth.asking import Asking
from objectkernel_device_auth.codes import UserCodes
from objectkernel_device_auth.config import DeviceAuthConfig
from objectkernel_device_auth.contracts import (
    NOBODY,
    ApiKey,
    Asker,
    Client,
    Decision,
    DeviceAuth,
    DeviceAuthorization,
    PendingRequest,
    TokenAnswer,
)
from objectkernel_device_auth.deciding import Deciding
from objectkernel_device_auth.families import Families
from objectkernel_device_auth.flow_needs import FlowClients, FlowKeys, Notify
from objectkernel_device_auth.ground import Ground
from objectkernel_device_auth.guessing import Guesses
from objectkernel_device_auth.key_scopes import KnownScopes
from objectkernel_device_auth.redeeming import Redeeming
from objectkernel_device_auth.refreshing import Refreshing
from objectkernel_device_auth.revoking import Revoking


@attrs.frozen
class HostDeviceAuth:
    """The authorization server of a host; each call is one of its parts' own."""

    ground: Ground
    families: Families
    asking: Asking
    deciding: Deciding
    redeeming: Redeeming
    refreshing: Refreshing
    revoking: Revoking

    async def authorize(
        self,
        client_id: str,
        scope: str | None = None,
        *,
        client_secret: str | None = None,
        asker: Asker = NOBODY,
        code_challenge: str | None = None,
        code_challenge_method: str | None = None,
        base_url: str | None = None,
    ) -> DeviceAuthorization:
        return await self.asking.authorize(
            client_id,
            scope,
            client_secret=client_secret,
            asker=asker,
            code_challenge=code_challenge,
            code_challenge_method=code_challenge_method,
            base_url=base_url,
        )

    async def redeem(
        self,
        device_code: str,
        client_id: str,
        *,
        client_secret: str | None = None,
        code_verifier: str | None = None,
        asker: Asker = NOBODY,
    ) -> TokenAnswer:
        return await self.redeeming.redeem(
            device_code, client_id, client_secret=client_secret, code_verifier=code_verifier, asker=asker
        )

    async def refresh(
        self,
        refresh_token: str,
        client_id: str,
        *,
        client_secret: str | None = None,
        scope: str | None = None,
        asker: Asker = NOBODY,
    ) -> TokenAnswer:
        return await self.refreshing.refresh(refresh_token, client_id, client_secret=client_secret, scope=scope)

    async def revoke(self, token: str, client_id: str, *, client_secret: str | None = None) -> None:
        await self.revoking.revoke(token, client_id, client_secret=client_secret)

    async def introspect(self, token: str, caller: Principal | Client) -> ApiKey | None:
        return await self.revoking.introspect(token, caller)

    async def claim(self, user_code: str, by: Principal, *, asker: Asker = NOBODY) -> PendingRequest | None:
        return await self.deciding.claim(user_code, by, asker)

    async def pending(self, request_id: str, by: Principal) -> PendingRequest | None:
        return await self.deciding.pending(request_id, by)

    async def decide(
        self,
        request_id: str,
        decision: Decision,
        by: Principal,
        *,
        scopes: Iterable[str] | None = None,
        name: str | None = None,
    ) -> bool:
        return await self.deciding.decide(request_id, decision, by, scopes, name)


def assemble_flow(
    dialect: Dialect,
    keyring: Keyring,
    config: DeviceAuthConfig,
    clients: FlowClients,
    keys: FlowKeys,
    scopes: KnownScopes,
    *,
    audit: Audit | None,
    standing: Standing | None,
    notify: Notify,
) -> HostDeviceAuth:
    """Put the flow together on a dialect that has the tables of `storage_codes`.

    Args:
        audit: None: there is no trail.
        standing: None: people may what they were granted.
        notify: tells plugins of devices that were let in.
    """
    ground = Ground(
        dialect=dialect,
        config=config,
        codes=UserCodes(keyring),
        clients=clients,
        keys=keys,
        scopes=scopes,
        audit=audit,
        standing=standing,
        notify=notify,
    )
    families = Families(ground)
    guesses = Guesses(dialect, timedelta(seconds=config.code_lifetime))
    return HostDeviceAuth(
        ground,
        families,
        Asking(ground),
        Deciding(ground, guesses),
        Redeeming(ground, families),
        Refreshing(ground, families),
        Revoking(ground, families),
    )


if TYPE_CHECKING:
    _is_device_auth: type[DeviceAuth] = HostDeviceAuth
