"""What every part of the device flow stands on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs
from objectkernel_contracts import Audit, Figure, Principal, Standing
from objectkernel_system_dialect.contracts import Dialect

from objectkernel_device_auth.codes import UserCodes
from objectkernel_device_auth.config import DeviceAuthConfig
from objectkernel_device_auth.contracts import Asker, Client
from objectkernel_device_auth.errors import OAuthError
from objectkernel_device_auth.flow_needs import FlowClients, FlowKeys, Notify
from objectkernel_device_auth.key_scopes import KnownScopes
from objectkernel_device_auth.storage_codes import LONGEST_ADDRESS, LONGEST_AGENT, LONGEST_SCOPE

SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
"""RFC 6749 section 3.3."""
STEPS: Final = (
    "issued",
    "claimed",
    "approved",
    "denied",
    "redeemed",
    "pending",
    "slow_down",
    "refreshed",
    "replayed",
    "reused",
    "revoked",
    "guessed",
)


@attrs.frozen(kw_only=True)
class Ground:
    """What is given to each part, and what several of them do.

    Attributes:
        audit: None: there is no trail.
        standing: None: people may what they were granted.
        steps: how often each of `STEPS` was taken in this process.
    """

    dialect: Dialect
    config: DeviceAuthConfig
    codes: UserCodes
    clients: FlowClients
    keys: FlowKeys
    scopes: KnownScopes
    audit: Audit | None
    standing: Standing | None
    notify: Notify
    steps: Counter[str] = attrs.field(factory=Counter)

    async def client(self, client_id: str, secret: str | None) -> Client:
        """The client that asks.

        Raises:
            OAuthError: ``invalid_client``.
        """
        client = await self.clients.authenticate(client_id, secret or None)
        if client is None:
            raise OAuthError("invalid_client", "the client is unknown, or its secret is missing or wrong")
        return client

    def allowed(self, client: Client) -> frozenset[str]:
        """The scopes that a client may ask for."""
        device = self.scopes.device
        return device if client.scopes is None else device & client.scopes

    async def may(self, account_id: str, user_id: str | None, scopes: frozenset[str]) -> frozenset[str] | None:
        """What somebody may still of what they have granted; None: nothing at all, they are not let in any more."""
        if self.standing is None:
            return scopes
        may = await self.standing.scopes(account_id, user_id)
        return None if may is None else scopes & may

    async def note(
        self, action: str, subject: str, *, by: Principal | None = None, account_id: str | None = None, **details: Any
    ) -> None:
        """Add an entry to the audit trail, within the transaction of what it tells."""
        if self.audit is not None:
            told = {name: value for name, value in details.items() if value}
            await self.audit.record(action, subject, principal=by, account_id=account_id, details=told or None)

    def figures(self) -> Iterable[Figure]:
        """How often each step was taken."""
        told = "steps of the device flow and of refreshing"
        return [
            Figure(name="device_flow_steps", help=told, value=self.steps[step], labels={"step": step}, kind="counter")
            for step in STEPS
        ]


def asked_scopes(scope: str | None, allowed: Collection[str]) -> frozenset[str]:
    """The scopes of a request: all that are allowed where it names none.

    Raises:
        OAuthError: ``invalid_scope``.
    """
    if not (scope or "").strip(" "):
        if not allowed:
            raise OAuthError("invalid_scope", "there is no scope that this client may have")
        return frozenset(allowed)
    named = [name for name in (scope or "").split(" ") if name]
    if len(scope or "") > LONGEST_SCOPE or not all(map(SCOPE.fullmatch, named)):
        raise OAuthError("invalid_scope", "scopes are printable ASCII without quotes, with one blank between them")
    refused = sorted(set(named) - set(allowed))
    if refused:
        raise OAuthError("invalid_scope", f"this client may not have {refused[0][:100]}; it may have {_told(allowed)}")
    return frozenset(named)


def joined(scopes: Iterable[str]) -> str:
    """Scopes as OAuth writes them."""
    return " ".join(sorted(scopes))


def tidy(asker: Asker) -> tuple[str, str]:
    """Address and user agent as they are kept: short, and visible."""
    agent = "".join(filter(str.isprintable, asker.user_agent or ""))
    return (asker.address or "")[:LONGEST_ADDRESS], agent[:LONGEST_AGENT]


def present() -> datetime:
    """Now, aware."""
    return datetime.now(UTC)


def lifetime(of_client: timedelta | None, seconds: float) -> timedelta:
    """A time of a client, or else of the settings."""
    return timedelta(seconds=seconds) if of_client is None else of_client


def _told(names: Collection[str]) -> str:
    return " ".join(sorted(names)) or "none"
