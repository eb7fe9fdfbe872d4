"""What an authorization server offers, and where: its metadata (RFC 8414), else the paths of old."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import attrs

from objectkernel_device_auth.client_addresses import Address
from objectkernel_device_auth.client_errors import no_device_flow, other_issuer, unreachable, unsafe_endpoint
from objectkernel_device_auth.client_requests import Answer, NoAnswer, Requests

WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"
OLD_PATHS: Final = "/api/v1/auth/device"
ATTEMPTS: Final = 3
FIRST_PAUSE: Final = 0.3
PATIENCE: Final = 10.0
"""Seconds of ``Retry-After`` that are waited for before a flow has begun."""


@attrs.frozen(kw_only=True)
class AuthorizationServer:
    """Where to ask what.

    Attributes:
        place: how messages call it.
        pkce: whether it binds a code to who has asked for it (RFC 7636, S256).
    """

    issuer: str
    place: str
    device_authorization: str
    token: str
    revocation: str | None = None
    introspection: str | None = None
    pkce: bool = False


async def discover(requests: Requests, address: Address) -> AuthorizationServer:
    """What the server says of itself, at either place where its document may be; else the description's paths.

    Raises:
        AuthorizationFailed: it does not answer, has no device flow, or says that it is another.
    """
    parts = urlsplit(address.issuer)
    inserted = f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path}"
    for url in dict.fromkeys((inserted, f"{address.issuer}{WELL_KNOWN}")):
        answer = await persistently(requests, address.place, url)
        document = answer.document
        if answer.status == 200 and document is not None and ("issuer" in document or "token_endpoint" in document):
            return _described(document, address)
    base = f"{address.issuer}{OLD_PATHS}"
    return AuthorizationServer(
        issuer=address.issuer, place=address.place, device_authorization=f"{base}/authorize", token=f"{base}/token"
    )


async def persistently(
    requests: Requests, place: str, url: str, form: dict[str, str] | None = None, bearer: str | None = None
) -> Answer:
    """An answer, after a few attempts where that can help.

    Raises:
        AuthorizationFailed: there was none, or the server was in trouble each time.
    """
    why, transient = "", None
    for attempt in range(ATTEMPTS):
        pause = FIRST_PAUSE * 2**attempt
        try:
            asked = requests.get(url, bearer=bearer) if form is None else requests.post(url, form, bearer=bearer)
            answer = await asked
        except NoAnswer as error:
            why, transient = str(error), None
            if error.hopeless:
                break
        else:
            if not answer.is_transient:
                return answer
            why, transient, pause = f"it answered {answer.status}", answer, max(pause, answer.retry_after)
        if pause > PATIENCE or attempt == ATTEMPTS - 1:
            break
        await anyio.sleep(pause)
    if transient is not None and transient.error is not None:
        return transient  # it says itself what the matter is
    raise unreachable(place, why)


def _described(document: Any, address: Address) -> AuthorizationServer:
    named = document.get("issuer")
    if named not in (address.issuer, f"{address.issuer}/"):
        raise other_issuer(address.place, named)
    endpoints = {
        name: document.get(f"{name}_endpoint")
        for name in ("device_authorization", "token", "revocation", "introspection")
    }
    if endpoints["device_authorization"] is None or endpoints["token"] is None:
        raise no_device_flow(address.place)
    for name, url in endpoints.items():
        if url is not None and not address.admits(url):
            raise unsafe_endpoint(address.place, f"{name}_endpoint")
    methods = document.get("code_challenge_methods_supported")
    return AuthorizationServer(
        issuer=address.issuer,
        place=address.place,
        pkce=isinstance(methods, list) and "S256" in methods,
        **endpoints,
    )
