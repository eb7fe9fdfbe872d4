"""Letting a request in: who shows which credential, how often, and whether the route is for them."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from objectkernel.kernel import ObjectKernel
from objectkernel_contracts import IDENTITY, Access, Credentials, Principal, Public
from starlette.requests import cookie_parser
from starlette.types import Scope

from objectkernel_http.exchange import Exchange
from objectkernel_http.navigation import sign_in_url
from objectkernel_http.origins import refuse_foreign_pages
from objectkernel_http.problems import Refusal
from objectkernel_http.rates import Limiter

BEARER: Final = "bearer"
SECURE: Final = frozenset({"https", "wss"})


async def admit(
    kernel: ObjectKernel, access: Access, limiter: Limiter, scope: Scope, exchange: Exchange, origins: Collection[str]
) -> None:
    """Let a request in, and leave its principal, or None, at ``request.state.principal``.

    A credential that is shown on a public route is looked at too.

    Args:
        origins: see `HttpLimits`.

    Raises:
        Refusal: 401 without a credential that is known, or 303 to the sign-in for people who look at pages; 403 where
            its principal may not use the route or a browser shows it for the page of another origin; 429 for one too
            many.
    """
    credentials = credentials_of(exchange, scope)
    if credentials is not None and credentials.bearer is None:
        refuse_foreign_pages(scope["method"], exchange, origins)
    principal = None if credentials is None else await principal_of(kernel, credentials)
    exchange.principal = scope["state"]["principal"] = principal
    await limiter.take(principal, scope.get("client"), exchange)
    if not isinstance(access, Public):
        if principal is None and (url := await sign_in_url(kernel, scope)):
            raise Refusal(HTTPStatus.SEE_OTHER, "sign in first", headers={"Location": url, "Cache-Control": "no-store"})
        authorise(access, credentials, principal, scope)


def authorise(access: Access, credentials: Credentials | None, principal: Principal | None, scope: Scope) -> None:
    """Refuse whoever may not use a route.

    Raises:
        Refusal: 401 without a principal, 403 where it may not use the route.
    """
    if isinstance(access, Public):
        return
    if principal is None:
        shown = credentials is not None and credentials.bearer is not None
        raise Refusal(
            HTTPStatus.UNAUTHORIZED,
            "the credential is not known, or no longer" if shown else "this needs a credential",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"' if shown else "Bearer"},
        )
    if not access.admits(principal, scope.get("path_params")):
        raise Refusal(
            HTTPStatus.FORBIDDEN,
            f"this needs the scope {' or '.join(access.any_of)}",
            headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
        )


def credentials_of(exchange: Exchange, scope: Scope) -> Credentials | None:
    """What a request shows of its sender; None: nothing."""
    headers = exchange.headers
    if b"authorization" not in headers and b"cookie" not in headers:
        return None
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    bearer = token.strip() if scheme.lower() == BEARER else ""
    cookies = cookie_parser(headers[b"cookie"].decode("latin-1")) if b"cookie" in headers else {}
    if not bearer and not cookies:
        return None
    return Credentials(bearer=bearer or None, cookies=cookies, secure=scope.get("scheme") in SECURE)


async def principal_of(kernel: ObjectKernel, credentials: Credentials) -> Principal | None:
    """Who shows these credentials; None without an `IDENTITY` that could tell."""
    if IDENTITY not in kernel.compose().graph.services:
        return None
    identity = await kernel.aget(IDENTITY)
    return await identity.principal(credentials)
