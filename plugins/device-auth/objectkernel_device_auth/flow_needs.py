"""What the device flow needs of the keys and the clients: they are not its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Protocol, TypeAlias

import attrs

from objectkernel_device_auth.contracts import ApiKey, Client, IssuedKey

Notify: TypeAlias = Callable[[Any], Awaitable[object]]
"""Tells plugins what has happened; what goes wrong with them is theirs."""


@attrs.frozen(kw_only=True)
class Grant:
    """What a person has let a device have.

    Attributes:
        family: of every key and every refresh token that comes from this one approval.
        name: of the key.
    """

    family: str
    client_id: str
    account_id: str
    user_id: str | None
    name: str
    scopes: frozenset[str]


class FlowKeys(Protocol):
    """The keys that the flow gives. Every call takes part in the caller's transaction of the system dialect."""

    async def give(self, grant: Grant, expires_at: datetime) -> IssuedKey:
        """Make the next key of a family; that its scopes may be granted is known already.

        Raises:
            InvalidRequest: the account has as many keys as it may.
        """
        ...

    async def succeed(self, family: str, key_id: str, ends_at: datetime) -> None:
        """Let the keys of a family before this one, its successor, end at this time, or earlier as they would."""
        ...

    async def end_family(self, family: str) -> int:
        """Revoke the good keys of a family, and tell how many there were."""
        ...

    async def family_of(self, token: str) -> tuple[ApiKey, str | None] | None:
        """The good key that this is, and its family, read anew from the database."""
        ...


class FlowClients(Protocol):
    """The programs that may ask."""

    async def get(self, client_id: str) -> Client | None:
        """A client, or None."""
        ...

    async def authenticate(self, client_id: str, secret: str | None) -> Client | None:
        """The client, if this is its secret, or if it is public and shows none."""
        ...
