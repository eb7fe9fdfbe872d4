"""Who is calling: the service that tells, and what it tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

import attrs
from objectkernel.keys import Extension, Service


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
        session_id: the session of a person who has signed in; it is not secret, and lets nobody in.
    """

    account_id: str
    user_id: str | None = None
    scopes: frozenset[str] = attrs.field(default=frozenset(), converter=_scopes)
    key_id: str | None = None
    session_id: str | None = None


@attrs.frozen(kw_only=True)
class Credentials:
    """What a request shows of its sender; secret, and in no message.

    Attributes:
        bearer: the token of ``Authorization: Bearer`` (RFC 6750), or None.
        cookies: the request's cookies by name.
        secure: they came over https; where not, others may have set cookies, or read them.
    """

    bearer: str | None = attrs.field(default=None, repr=False)
    cookies: Mapping[str, str] = attrs.field(factory=dict, converter=_cookies, repr=False, hash=False)
    secure: bool = True


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

PRINCIPAL = Service[Principal]("principal", scope="request")
"""Whoever sends the request that a scope is for: scoped services want it, to be those of an account. A host gives it to
the scope of each request whose sender is known.
"""


class CredentialVerifier(Protocol):
    """Knows one kind of credential, such as API keys."""

    async def principal(self, credentials: Credentials) -> Principal | None:
        """Who shows these credentials; None when they are of another kind, expired or unknown."""
        ...


CREDENTIAL_VERIFIERS = Extension[CredentialVerifier]("credential-verifiers")
"""Kinds of credentials that plugins add: `IDENTITY` asks each, and the first that answers wins."""


class Standing(Protocol):
    """Tells what somebody may now, for credentials that act for them without their being there."""

    async def scopes(self, account_id: str, user_id: str | None) -> frozenset[str] | None:
        """What this person may in this account; without a person, what the account itself may be granted.

        None: nothing at all: one of them is unknown, disabled or deleted, or the person is no longer in the account.
        """
        ...


STANDING = Service[Standing]("standing")
"""What people may now. A plugin wants it, and goes by what was granted where there is none."""
