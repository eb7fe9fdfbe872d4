"""The device flow as its client sees it (RFC 8628), and what is done with tokens afterwards."""

from __future__ import annotations

import base64
import hashlib
import math
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeGuard

import anyio
import attrs
from objectkernel.secret import Secret

from objectkernel_device_auth.client_config import LONGEST_LIFE
from objectkernel_device_auth.client_discovery import AuthorizationServer, persistently
from objectkernel_device_auth.client_errors import denied, expired, refused, unreachable
from objectkernel_device_auth.client_requests import Answer, NoAnswer, Requests
from objectkernel_device_auth.contracts import CodeIssued

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL: Final = 5.0
"""Seconds between polls where the server does not say (RFC 8628 section 3.2)."""
LEAST: Final = 1.0
"""Seconds between polls, should a server allow fewer."""
SLOWER: Final = 5.0
"""Seconds that ``slow_down`` adds (section 3.5)."""
MARGIN: Final = 0.05
"""The part of an interval that is waited for longer: clocks differ, and a poll too early costs 5 seconds."""
LONGEST_INTERVAL: Final = 60.0
OWN_KEY: Final = "/api/v1/keys/self"
STRAY: Final = 3
"""Answers in a row that no token endpoint gives, and that do not end the wait yet."""

Tick = Callable[[float], None]
"""Told the seconds left, about once a second while somebody is waited for."""


@attrs.frozen(kw_only=True)
class Received:
    """Tokens, as they came. `scope`: what was granted, None where that is what was asked for."""

    access_token: Secret[str]
    expires_at: datetime | None
    refresh_token: Secret[str] | None
    scope: str | None


@attrs.frozen(kw_only=True)
class Grant:
    """A device flow that has begun.

    Attributes:
        interval: seconds between polls.
        deadline: when the code ends, in `anyio.current_time` seconds.
        verifier: proves that who polls is who has asked (RFC 7636).
    """

    device_code: Secret[str]
    code: CodeIssued
    interval: float
    deadline: float
    verifier: Secret[str] | None = None


class DeviceClient:
    """One client at one authorization server. Every method raises AuthorizationFailed for what cannot go on."""

    def __init__(self, requests: Requests, server: AuthorizationServer, client_id: str) -> None:
        self._requests = requests
        self._server = server
        self._client_id = client_id

    # --- asking for a key -----------------------------------------------------------------------------

    async def begin(self, scope: str) -> Grant:
        """Have a code issued (section 3.1)."""
        form = {"client_id": self._client_id} | ({"scope": scope} if scope else {})
        verifier = secrets.token_urlsafe(48) if self._server.pkce else None
        if verifier is not None:
            digest = hashlib.sha256(verifier.encode()).digest()
            form["code_challenge"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            form["code_challenge_method"] = "S256"
        asked_at = anyio.current_time()
        answer = await persistently(self._requests, self._server.place, self._server.device_authorization, form)
        if answer.error is not None:
            raise self._refused(answer)
        document = answer.document if answer.status == 200 else None
        made = None if document is None else _grant(document, asked_at)
        if made is None:
            raise unreachable(self._server.place, f"it answered {answer.status} without a code that can be used")
        return attrs.evolve(made, verifier=None if verifier is None else Secret(verifier))

    async def wait(self, grant: Grant, tick: Tick) -> Received:
        """Poll until somebody has decided (sections 3.4 and 3.5): first after one interval, and never sooner.

        A server that is in trouble or answers nonsense is asked again, more slowly where it does not answer in time.
        """
        form = {"grant_type": GRANT, "device_code": grant.device_code.reveal(), "client_id": self._client_id}
        if grant.verifier is not None:
            form["code_verifier"] = grant.verifier.reveal()
        interval = pause = grant.interval
        stray, trouble = 0, ""
        while await _slept(pause, grant.deadline, tick):
            try:
                answer, asked_at = await self._post_token(form)
            except NoAnswer as none:
                pause, trouble = _longer(pause, interval), str(none)
                continue
            pause, error, trouble = interval, answer.error, ""
            if error == "authorization_pending":
                stray = 0
            elif error == "slow_down":
                stray = 0
                interval = pause = _slower(interval, answer)
            elif answer.is_transient:
                pause = max(_longer(pause, interval), min(answer.retry_after, LONGEST_INTERVAL))
            elif error == "access_denied":
                raise denied(self._server.place)
            elif error == "expired_token":
                raise expired(self._server.place)
            elif error is not None:
                raise self._refused(answer)
            elif (received := _received(answer, asked_at)) is not None:
                return received
            else:
                stray += 1
                if stray > STRAY:
                    raise unreachable(self._server.place, f"it answered {answer.status} without a token")
        if trouble:  # perhaps somebody did approve
            raise unreachable(self._server.place, f"until the code had ended: {trouble}")
        raise expired(self._server.place)

    # --- later ----------------------------------------------------------------------------------------

    async def refresh(self, token: Secret[str]) -> Received | None:
        """Exchange a refresh token (RFC 6749 section 6); None: it is no longer good.

        An answer that was lost is asked for again at once: a server gives the same one for some seconds.
        """
        form = {"grant_type": "refresh_token", "refresh_token": token.reveal(), "client_id": self._client_id}
        asked_at = datetime.now(UTC)
        answer = await persistently(self._requests, self._server.place, self._server.token, form)
        if answer.error in ("invalid_grant", "unsupported_grant_type", "unauthorized_client"):
            return None
        if answer.error is not None:
            raise self._refused(answer)
        received = _received(answer, asked_at)
        if received is None:
            raise unreachable(self._server.place, f"it answered {answer.status} without a token")
        return received

    async def revoke(self, token: Secret[str]) -> bool:
        """End a token at the server (RFC 7009); whether the server says so. Without such an endpoint: False."""
        if self._server.revocation is None:
            return False
        form = {"token": token.reveal(), "client_id": self._client_id}
        return (await persistently(self._requests, self._server.place, self._server.revocation, form)).status == 200

    async def known(self, token: Secret[str]) -> Mapping[str, Any] | None:
        """What the server says of a token that shows itself: ``active``, and names of RFC 7662; None: nothing.

        A server of objectkernel tells more than introspection does.
        """
        key, place = token.reveal(), self._server.place
        own = await persistently(self._requests, place, f"{self._server.issuer}{OWN_KEY}", bearer=key)
        if own.status == 401 and "invalid_token" in own.challenge:
            return {"active": False}
        if own.status == 200 and own.document is not None and isinstance(shown := own.document.get("key"), Mapping):
            scope = " ".join(map(str, own.document.get("scopes") or ()))
            account = own.document.get("account_id")
            return {"active": True, "sub": shown.get("user_id"), "account_id": account, "scope": scope}
        if self._server.introspection is None:
            return None
        answer = await persistently(self._requests, place, self._server.introspection, {"token": key}, bearer=key)
        return answer.document if answer.status == 200 else None

    # --- one request ----------------------------------------------------------------------------------

    async def _post_token(self, form: dict[str, str]) -> tuple[Answer, datetime]:
        asked_at = datetime.now(UTC)
        return await self._requests.post(self._server.token, form), asked_at

    def _refused(self, answer: Answer) -> Exception:
        document = answer.document or {}
        return refused(self._server.place, answer.error, document.get("error_description"))


async def _slept(seconds: float, deadline: float, tick: Tick) -> bool:
    """Wait; whether the deadline has not come by then."""
    until = anyio.current_time() + seconds * (1 + MARGIN)
    while (now := anyio.current_time()) < min(until, deadline):
        tick(deadline - now)
        await anyio.sleep(min(1.0, until - now, deadline - now))
    return anyio.current_time() < deadline


def _longer(pause: float, interval: float) -> float:
    """Twice the pause, as section 3.5 recommends for connections that time out."""
    return max(interval, min(pause * 2, LONGEST_INTERVAL))


def _slower(interval: float, answer: Answer) -> float:
    """The interval from now on: 5 seconds more, or what the server says, whichever is longer."""
    named = _seconds((answer.document or {}).get("interval"))
    return max(interval + SLOWER, min(named or 0.0, LONGEST_LIFE))


def _grant(document: Mapping[str, Any], asked_at: float) -> Grant | None:
    code, user_code = document.get("device_code"), document.get("user_code")
    uri = document.get("verification_uri", document.get("verification_url"))  # the latter: before the standard
    life, interval = _seconds(document.get("expires_in")), _seconds(document.get("interval"))
    if not _is_token(code) or not _is_shown(user_code) or not _is_link(uri) or not life:
        return None
    life = min(life, LONGEST_LIFE)
    complete = document.get("verification_uri_complete")
    return Grant(
        device_code=Secret(code),
        code=CodeIssued(
            user_code=user_code,
            verification_uri=uri,
            verification_uri_complete=complete if _is_link(complete) else None,
            expires_in=int(life),
        ),
        interval=INTERVAL if interval is None else max(LEAST, interval),
        deadline=asked_at + life,
    )


def _received(answer: Answer, asked_at: datetime) -> Received | None:
    document = answer.document if answer.status == 200 else None
    if document is None:
        return None
    access, refresh, scope = (document.get(name) for name in ("access_token", "refresh_token", "scope"))
    if not _is_token(access) or str(document.get("token_type", "bearer")).lower() != "bearer":
        return None
    life = _seconds(document.get("expires_in"))
    return Received(
        access_token=Secret(access),
        expires_at=None if life is None else asked_at + timedelta(seconds=min(life, 10 * 365 * 86400)),
        refresh_token=Secret(refresh) if _is_token(refresh) else None,
        scope=scope if isinstance(scope, str) else None,
    )


def _seconds(value: Any) -> float | None:
    """A number of seconds, also one that is written as text, which some servers do; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _is_token(value: Any) -> TypeGuard[str]:
    """Whether it can stand in a form and behind ``Bearer`` (RFC 6749 appendix A: visible ASCII)."""
    return isinstance(value, str) and bool(value) and value.isascii() and value.isprintable() and " " not in value


def _is_shown(value: Any) -> TypeGuard[str]:
    """Whether it can be printed: a terminal obeys control characters, whoever sends them."""
    return isinstance(value, str) and 0 < len(value) <= 64 and value.isprintable()


def _is_link(value: Any) -> TypeGuard[str]:
    return _is_token(value) and len(value) <= 2000 and value.lower().startswith(("https://", "http://"))
