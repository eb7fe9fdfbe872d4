"""What clients send to the authorization server: a form, and who they are (RFC 6749 sections 2.3 and 3.2)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

import attrs
from starlette.requests import Request

from objectkernel_device_auth.errors import OAuthError

FORM: Final = "application/x-www-form-urlencoded"
MOST_FIELDS: Final = 50
LONGEST_FORM: Final = 16 * 2**10
PARAMETERS: Final = frozenset(
    {
        "client_id",
        "client_secret",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "device_code",
        "grant_type",
        "refresh_token",
        "scope",
        "token",
        "token_type_hint",
    }
)
"""What is read of a form; clients send others too, which are passed over."""


@attrs.frozen
class OAuthForm:
    """What a form says; a parameter without a value is as if it had not been sent (RFC 6749 section 3.1)."""

    values: Mapping[str, str] = attrs.field(repr=False)

    def get(self, name: str) -> str | None:
        """A parameter, None without it."""
        return self.values.get(name)

    def need(self, name: str) -> str:
        """A parameter that has to be there.

        Raises:
            OAuthError: ``invalid_request``.
        """
        found = self.values.get(name)
        if found is None:
            raise OAuthError("invalid_request", f"the parameter {name} is missing")
        return found


@attrs.frozen
class ShownClient:
    """The client that a request says it is from, and the secret that it shows, if any."""

    id: str
    secret: str | None = attrs.field(repr=False)


async def read_form(request: Request) -> OAuthForm:
    """The form of a request.

    Raises:
        OAuthError: ``invalid_request``: it is none, or what it says is ambiguous.
    """
    if misplaced := sorted(PARAMETERS.intersection(request.query_params)):
        raise OAuthError("invalid_request", f"send {misplaced[0]} in the form, and not in the query of the address")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise OAuthError("invalid_request", f"the body has to be a form, of the type {FORM}")
    body = await request.body()
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS, separator="&"
        )
    except ValueError:
        raise OAuthError("invalid_request", f"the form cannot be read, or has more than {MOST_FIELDS} fields") from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values and name in PARAMETERS:
            raise OAuthError("invalid_request", f"the parameter {name} is sent twice")
        values[name] = value
    return OAuthForm({name: value for name, value in values.items() if value})


def shown_client(request: Request, form: OAuthForm) -> ShownClient:
    """The client of a request: of the header, or else of the form.

    Raises:
        OAuthError: ``invalid_client``: the header cannot be read; ``invalid_request``: there is none, or there are two.
    """
    scheme, _, content = request.headers.get("authorization", "").partition(" ")
    id, secret = form.get("client_id"), form.get("client_secret")
    if scheme.lower() == "basic":
        named, shown = _basic(content.strip())
        if secret is not None:
            raise OAuthError("invalid_request", "the client shows its secret twice, in the header and in the form")
        if id is not None and id != named:
            raise OAuthError("invalid_request", "the header and the form name different clients")
        return ShownClient(named, shown or None)
    if id is None:
        raise OAuthError("invalid_request", "the parameter client_id is missing")
    return ShownClient(id, secret)


def _basic(content: str) -> tuple[str, str]:
    """What RFC 6749 section 2.3.1 says: both are encoded as in a form before they are put together."""
    try:
        id, colon, secret = base64.b64decode(content, validate=True).decode().partition(":")
        id, secret = unquote_plus(id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):
        raise OAuthError("invalid_client", "the Authorization header cannot be read") from None
    if not colon or not id:
        raise OAuthError("invalid_client", "the Authorization header names no client")
    return id, secret
