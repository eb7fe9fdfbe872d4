"""Letting a request in: who shows which credential, and whether the route is for them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from objectkernel.kernel import ObjectKernel
from objectkernel_contracts import IDENTITY, Access, Credentials, Principal, Public
from starlette.requests import HTTPConnection

from objectkernel_http.problems import Refusal

SCHEME: Final = "bearer"


async def admit(kernel: ObjectKernel, access: Access, connection: HTTPConnection) -> None:
    """Let a request in, and leave its principal, or None, at ``request.state.principal``.

    A credential that is shown on a public route is looked at too.

    Raises:
        Refusal: 401 without a credential that is known, 403 where its principal may not use the route.
    """
    credentials = credentials_of(connection)
    principal = None if credentials is None else await _principal(kernel, credentials)
    connection.state.principal = principal
    if isinstance(access, Public):
        return
    if principal is None:
        shown = credentials is not None and credentials.bearer is not None
        raise Refusal(
            HTTPStatus.UNAUTHORIZED,
            "the credential is not known, or no longer" if shown else "this needs a credential",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"' if shown else "Bearer"},
        )
    if not access.admits(principal, connection.path_params):
        raise Refusal(
            HTTPStatus.FORBIDDEN,
            f"this needs the scope {' or '.join(access.any_of)}",
            headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
        )


def credentials_of(connection: HTTPConnection) -> Credentials | None:
    """What a request shows of its sender; None: nothing."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == SCHEME else ""
    cookies: dict[str, Any] = connection.cookies
    return Credentials(bearer=bearer or None, cookies=cookies) if bearer or cookies else None


async def _principal(kernel: ObjectKernel, credentials: Credentials) -> Principal | None:
    if IDENTITY not in kernel.compose().graph.services:
        return None
    identity = await kernel.aget(IDENTITY)
    return await identity.principal(credentials)
