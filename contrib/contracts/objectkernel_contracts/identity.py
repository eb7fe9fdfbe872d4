"""Who is calling: the service that tells, and what it tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

import attrs
from objectkernel.keys import Service


def _scopes(scopes: Iterable[str]) -> frozenset[str]:
    return frozenset(scopes)


def _cookies(cookies: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(cookies))


@attrs.frozen(kw_only=True)
class Principal:
    """Whoever has shown a credential.

    Attributes:
        account_id: whose data it is; the tenant of every row that is read and written.
        user_id: the person, or None for a program.
        scopes: what the credential may be used for, such as ``data:read``.
        key_id: the API key, or None for a signed-in person.
    """

    account_id: str
    user_id: str | None = None
    scopes: frozenset[str] = attrs.field(default=frozenset(), converter=_scopes)
    key_id: str | None = None


@attrs.frozen(kw_only=True)
class Credentials:
    """What a request shows of its sender; secret, and in no message.

    Attributes:
        bearer: the token of ``Authorization: Bearer`` (RFC 6750), or None.
        cookies: the request's cookies by name.
    """

    bearer: str | None = attrs.field(default=None, repr=False)
    cookies: Mapping[str, str] = attrs.field(factory=dict, converter=_cookies, repr=False, hash=False)


class Identity(Protocol):
    """Tells who is calling. A host with a sign-in of its own provides this."""

    async def principal(self, credentials: Credentials) -> Principal | None:
        """Who shows these credentials; None when they are missing, expired or unknown."""
        ...

    def sign_in_url(self, return_to: str) -> str:
        """Where a browser goes to sign in, to come back to the path `return_to`."""
        ...


IDENTITY = Service[Identity]("identity")
"""Who is calling."""
