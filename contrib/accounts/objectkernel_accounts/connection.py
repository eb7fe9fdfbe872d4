"""What a request tells of its sender: the client, cookies, and whether anybody else can listen."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from objectkernel_accounts.errors import ConnectionInsecure
from objectkernel_accounts.identity import SESSION_COOKIE, cookie_name
from objectkernel_accounts.sessions import Client, Started
from objectkernel_accounts.sign_in import SignedIn

VISITOR_COOKIE: Final = "objectkernel-visitor"
"""Of somebody who is not signed in: what their forms are bound to."""
DEVICE_COOKIE: Final = "objectkernel-device"
DEVICE_SECONDS: Final = 365 * 24 * 3600
LOCAL_NAME: Final = "localhost"


def client_of(request: Request) -> Client:
    """Who sends a request."""
    return Client(
        address=request.client.host if request.client else "",
        agent=request.headers.get("user-agent", ""),
        secure=is_secure(request),
    )


def is_secure(request: Request) -> bool:
    """Whether the browser speaks https, to the host itself or to a proxy that it trusts."""
    return request.url.scheme == "https"


def expect_secure(request: Request, *, plain_http: bool) -> None:
    """Refuse a connection that others can listen to.

    Args:
        plain_http: accept it nevertheless.

    Raises:
        ConnectionInsecure
    """
    if not (plain_http or is_secure(request) or _is_this_machine(request.url.hostname or "")):
        raise ConnectionInsecure(
            "nobody signs in over a connection that others can read",
            why="the address begins with http:// and is not this machine's own",
            fix="serve TLS, or name the proxy that does; or set plain_http = true under [plugins.accounts]",
        )


def cookie(request: Request, name: str) -> str:
    """A cookie of ours, "" without it."""
    return request.cookies.get(_full(request, name), "")


def visitor(request: Request) -> str:
    """What the forms of somebody who is not signed in are bound to; made anew where there is nothing yet."""
    return cookie(request, VISITOR_COOKIE) or secrets.token_urlsafe(16)


def keep_visitor(request: Request, response: Response, known_as: str) -> None:
    """Let the browser keep what its forms are bound to, until it is closed."""
    if cookie(request, VISITOR_COOKIE) != known_as:
        _set(request, response, VISITOR_COOKIE, known_as, None)


def keep_session(request: Request, response: Response, started: Started) -> None:
    """Let the browser show a session from now on, as long as it can last."""
    _set(request, response, SESSION_COOKIE, started.token.reveal(), int(_seconds_until(started)))


def keep_device(request: Request, response: Response, signed_in: SignedIn) -> None:
    """Let the browser be known next time."""
    _set(request, response, DEVICE_COOKIE, signed_in.device.reveal(), DEVICE_SECONDS)


def forget_session(request: Request, response: Response) -> None:
    """Let the browser show no session any more."""
    _set(request, response, SESSION_COOKIE, "", 0)


def _seconds_until(started: Started) -> float:
    return (started.ends_at - datetime.now(UTC)).total_seconds()


def _set(request: Request, response: Response, name: str, value: str, max_age: int | None) -> None:
    response.set_cookie(
        _full(request, name),
        value,
        max_age=max_age,
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite="lax",
    )


def _full(request: Request, name: str) -> str:
    return cookie_name(name, secure=is_secure(request))


def _is_this_machine(hostname: str) -> bool:
    if hostname == LOCAL_NAME or hostname.endswith(f".{LOCAL_NAME}"):
        return True
    try:
        return ip_address(hostname).is_loopback
    except ValueError:
        return False
