"""What others may import of device-auth: keys, Protocols, values and errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

import attrs
from objectkernel.keys import Service
from objectkernel.secret import Secret
from objectkernel_contracts import Principal
from objectkernel_system_dialect.contracts import API_KEY_SOURCE, ApiKeySource

from objectkernel_device_auth.errors import (
    AuthorizationFailed,
    ClientMissing,
    DeviceAuthError,
    InvalidRequest,
    KeyMissing,
    OAuthError,
    TooManyTries,
)

# --- keys -------------------------------------------------------------------------------------------


UNTIL_REVOKED: Final = timedelta.max
"""The time of a key that does not end by itself."""


@attrs.frozen(kw_only=True)
class ApiKey:
    """A key of an account, without its secret.

    Attributes:
        id: public; it stands in the key itself.
        user_id: the person whose key it is: it may no more than they may now; None for a key of the account alone.
        scopes: what was granted.
        client_id: the client that it was issued to by the device flow; None: made by hand.
        expires_at, last_used_at, revoked_at: aware, UTC; `last_used_at` is exact to a minute.
        rotated_to: the key that has taken its place; it ends at `expires_at`.
    """

    id: str
    account_id: str
    user_id: str | None
    name: str
    scopes: frozenset[str]
    created_at: datetime
    client_id: str | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    rotated_to: str | None = None


@attrs.frozen(kw_only=True)
class IssuedKey:
    """A new key with its secret, which is shown this once and stored nowhere."""

    key: ApiKey
    secret: Secret[str]


class ApiKeys(Protocol):
    """The keys of accounts. What belongs to another account is as if it were not there.

    `by` is who asks: they can grant no scope that they have not, and the audit trail names them; None is the host.
    """

    async def issue(
        self,
        account_id: str,
        name: str,
        scopes: Iterable[str],
        *,
        user_id: str | None = None,
        expires_in: timedelta | None = None,
        by: Principal | None = None,
    ) -> IssuedKey:
        """Make a key.

        Args:
            user_id: whose it is; None: the account's alone, which somebody needs the scope ``keys:manage`` for.
            expires_in: how long it goes on; None: as long as a setting says; `UNTIL_REVOKED`: no end by itself. What a
                key makes ends with that key at the latest.

        Raises:
            InvalidRequest: name, scopes or time are not allowed; all problems are listed.
        """
        ...

    async def list(
        self, account_id: str, *, user_id: str | None = None, limit: int = 50, after: str | None = None
    ) -> tuple[tuple[ApiKey, ...], str | None]:
        """Keys that are not revoked or expired, newest first, and what to give as `after` for more; None at the end."""
        ...

    async def get(self, account_id: str, key_id: str) -> ApiKey | None:
        """One of an account's keys, also an expired or revoked one while it is remembered."""
        ...

    async def rotate(
        self, account_id: str, key_id: str, *, overlap: timedelta | None = None, by: Principal | None = None
    ) -> IssuedKey:
        """Make a key that takes the place of another, which goes on for `overlap` (a setting's default).

        Args:
            by: a person, for their own keys and with the scope ``keys:manage`` for those of the account alone; a key,
                for itself and for what it has made.

        Raises:
            InvalidRequest: `by` would get a key that is more than they are; all problems are listed.
            KeyMissing: there is none, or it is no longer good.
        """
        ...

    async def revoke(self, account_id: str, key_id: str, *, by: Principal | None = None) -> bool:
        """End a key, with the refresh tokens that came with it, what it has replaced and what was had with it.

        The last is what it has made, and the key by which it has replaced itself, but where that one is `by`.
        Whether there was a good one that `by` may end: one of their own, or any with the scope ``keys:manage``.
        """
        ...

    async def verify(self, token: str) -> ApiKey | None:
        """The key that this is, if it is good; at most `verified_for` behind the database (a setting, in seconds)."""
        ...


API_KEYS = Service[ApiKeys]("api-keys")
"""The API keys of accounts."""

# --- clients ----------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Client:
    """A program that may ask for keys.

    Attributes:
        name: shown to the person who approves.
        confidential: it has a secret and must show it (RFC 6749 section 2.3); a public one has none.
        scopes: those that it may ask for by the device flow; None: all that `device_scopes` (a setting) allows.
        device_flow: whether it may use the device flow.
        code_lifetime, access_lifetime, refresh_lifetime, interval: None: the settings'.
    """

    id: str
    name: str
    confidential: bool = False
    first_party: bool = False
    scopes: frozenset[str] | None = None
    device_flow: bool = True
    code_lifetime: timedelta | None = None
    access_lifetime: timedelta | None = None
    refresh_lifetime: timedelta | None = None
    interval: timedelta | None = None
    created_at: datetime | None = None


class Clients(Protocol):
    """The programs that may ask for keys; the first-party one is always there."""

    async def register(self, client: Client, *, by: Principal | None = None) -> tuple[Client, Secret[str] | None]:
        """Add or change a client; a new confidential one gets its secret, this once.

        Raises:
            InvalidRequest: what it says of itself is not allowed; all problems are listed.
        """
        ...

    async def get(self, client_id: str) -> Client | None:
        """A client, or None."""
        ...

    async def list(self) -> tuple[Client, ...]:
        """All clients by id."""
        ...

    async def remove(self, client_id: str, *, by: Principal | None = None) -> bool:
        """Take a client away, with everything that was issued to it; whether it was there."""
        ...


CLIENTS = Service[Clients]("oauth-clients")
"""The programs that may ask for keys."""

# --- the device flow --------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Asker:
    """Where a request comes from, as the host knows it."""

    address: str | None = None
    user_agent: str | None = None


NOBODY: Final = Asker()
"""The host itself, or somebody of whom nothing is known."""


@attrs.frozen(kw_only=True)
class DeviceAuthorization:
    """What a device is told (RFC 8628 section 3.2); times in seconds."""

    device_code: Secret[str]
    user_code: str = attrs.field(repr=False)
    verification_uri: str
    verification_uri_complete: str = attrs.field(repr=False)
    expires_in: int
    interval: int


@attrs.frozen(kw_only=True)
class TokenAnswer:
    """What a client is given (RFC 6749 section 5.1). `scope` is what was granted, blank-separated."""

    access_token: Secret[str]
    expires_in: int
    scope: str
    refresh_token: Secret[str] | None = None
    token_type: Literal["Bearer"] = "Bearer"


@attrs.frozen(kw_only=True)
class PendingRequest:
    """What a person is asked to decide on.

    Attributes:
        id: of the request; not secret, of no use to others than the session that claimed it.
        user_code: to be compared with what the device shows, as ``BCDF-GHJK``.
        scopes: asked for and allowed, as far as the person has them.
        asker: where the device asked from.
    """

    id: str
    user_code: str = attrs.field(repr=False)
    client: Client
    scopes: tuple[str, ...]
    asker: Asker
    requested_at: datetime
    expires_at: datetime


Decision: TypeAlias = Literal["approved", "denied"]


class DeviceAuth(Protocol):
    """The authorization server: device flow, tokens, and what is known of them.

    `client_secret` is that of a confidential client; `asker` is where the request comes from.
    """

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
        """Begin a device flow (RFC 8628 section 3.1).

        Args:
            code_challenge, code_challenge_method: of PKCE (RFC 7636), ``S256`` alone.
            base_url: where the host was reached, for the address of the page where the setting says nothing.

        Raises:
            OAuthError: with the standard's code.
        """
        ...

    async def redeem(
        self,
        device_code: str,
        client_id: str,
        *,
        client_secret: str | None = None,
        code_verifier: str | None = None,
        asker: Asker = NOBODY,
    ) -> TokenAnswer:
        """Exchange an approved device code, once (RFC 8628 section 3.4).

        Raises:
            OAuthError: ``authorization_pending``, ``slow_down``, ``access_denied``, ``expired_token`` and others.
        """
        ...

    async def refresh(
        self,
        refresh_token: str,
        client_id: str,
        *,
        client_secret: str | None = None,
        scope: str | None = None,
        asker: Asker = NOBODY,
    ) -> TokenAnswer:
        """Exchange a refresh token for the next (RFC 6749 section 6, RFC 9700 section 4.14).

        Raises:
            OAuthError: with the standard's code; the reuse of one that was exchanged revokes its family.
        """
        ...

    async def revoke(self, token: str, client_id: str, *, client_secret: str | None = None) -> None:
        """End a token of this client (RFC 7009); an unknown one is no error."""
        ...

    async def introspect(self, token: str, caller: Principal | Client) -> ApiKey | None:
        """What is known of an access token (RFC 7662), and what it may now; None: nothing that this caller may know."""
        ...

    async def claim(self, user_code: str, by: Principal, *, asker: Asker = NOBODY) -> PendingRequest | None:
        """What waits for this code: from now on only this session decides it; None for every code that is no good.

        Raises:
            TooManyTries: codes were guessed; `retry_after` says when to go on.
            InvalidRequest: it is nobody who has signed in, but a key.
        """
        ...

    async def pending(self, request_id: str, by: Principal) -> PendingRequest | None:
        """A request that this session has claimed and not decided yet."""
        ...

    async def decide(
        self,
        request_id: str,
        decision: Decision,
        by: Principal,
        *,
        scopes: Iterable[str] | None = None,
        name: str | None = None,
    ) -> bool:
        """Approve or deny what this session has claimed; False when it is no longer there to be decided.

        Args:
            scopes: what is granted; all of `PendingRequest.scopes` without it.
            name: of the key; the client's without it.

        Raises:
            InvalidRequest: nothing would be granted, or more than there is to grant.
        """
        ...


DEVICE_AUTH = Service[DeviceAuth]("device-auth")
"""The authorization server of the device flow."""


@attrs.frozen(kw_only=True)
class DeviceApproved:
    """Event: somebody has let a device in; hosts may tell them so."""

    account_id: str
    user_id: str | None
    key_id: str
    client_id: str
    scopes: frozenset[str]
    asker: Asker


# --- asking for a key -------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class StoredToken:
    """What a client keeps.

    Attributes:
        expires_at: aware, UTC; None: it does not end by itself.
        issuer, client_id, scope: of whom, as whom and for what it was asked.
        granted_scope: what the server gave where that differs; None: what was asked.
    """

    access_token: Secret[str]
    issuer: str
    client_id: str
    scope: str = ""
    granted_scope: str | None = None
    expires_at: datetime | None = None
    refresh_token: Secret[str] | None = None


class TokenStore(Protocol):
    """Where a client keeps its tokens; one for each issuer, client and scope."""

    async def load(self, issuer: str, client_id: str, scope: str) -> StoredToken | None:
        """What was kept, also when it has expired; None where nothing is."""
        ...

    async def save(self, token: StoredToken) -> None:
        """Keep this one in place of the one before."""
        ...

    async def clear(self) -> None:
        """Forget all; nothing to forget is no error."""
        ...


@runtime_checkable
class ExclusiveStore(TokenStore, Protocol):
    """A store that several processes share: while one gets a key, the others wait for that."""

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Keep everybody else out until the block ends, and be sure that `save` will work in it."""
        ...


@attrs.frozen(kw_only=True)
class CodeIssued:
    """What a person must be shown. `expires_in` in seconds."""

    user_code: str = attrs.field(repr=False)
    verification_uri: str
    verification_uri_complete: str | None = attrs.field(default=None, repr=False)
    expires_in: int


OnCodeIssued: TypeAlias = Callable[[CodeIssued], Awaitable[None] | None]


class DeviceKeySource(ApiKeySource, Protocol):
    """What device-auth provides as `API_KEY_SOURCE`: `ApiKeySource` with everything that a host can say."""

    async def ensure_api_key(
        self,
        *,
        store: TokenStore | None = None,
        client_id: str | None = None,
        scope: str | None = None,
        host: str | None = None,
        on_code_issued: OnCodeIssued | None = None,
        force_refresh: bool = False,
    ) -> str:
        """The key of this host: from ``MOSTA_NET_API_KEY``, kept, renewed, or asked for by a device flow.

        Args:
            store: where keys are kept; the file ``auth.json`` in the folder of `host` by default.
            client_id: ``MOSTA_CLIENT_ID`` by default.
            scope: blank-separated.
            host: name of the folder below the platform's configuration folder; ``MOSTA_HOST``, else ``objectkernel``.
            on_code_issued: shows the code; the terminal by default.
            force_refresh: the key at hand was refused: neither variable nor kept key nor opt-out count.

        Raises:
            AuthorizationFailed: no key, with what to do.
        """
        ...

    async def clear_cached_api_key(self, host: str | None = None) -> None:
        """Forget what is kept for `host`; nothing kept is no error."""
        ...


__all__ = [
    "API_KEYS",
    "API_KEY_SOURCE",
    "CLIENTS",
    "DEVICE_AUTH",
    "NOBODY",
    "UNTIL_REVOKED",
    "ApiKey",
    "ApiKeySource",
    "ApiKeys",
    "Asker",
    "AuthorizationFailed",
    "Client",
    "ClientMissing",
    "Clients",
    "CodeIssued",
    "Decision",
    "DeviceApproved",
    "DeviceAuth",
    "DeviceAuthError",
    "DeviceAuthorization",
    "DeviceKeySource",
    "ExclusiveStore",
    "InvalidRequest",
    "IssuedKey",
    "KeyMissing",
    "OAuthError",
    "OnCodeIssued",
    "PendingRequest",
    "StoredToken",
    "TokenAnswer",
    "TokenStore",
    "TooManyTries",
]
