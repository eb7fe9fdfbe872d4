"""The body of a request as its route receives it: with an end, in time."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import anyio
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY
from starlette.types import Message, Receive, Scope

from objectkernel_http.exchange import Exchange
from objectkernel_http.limits import HttpLimits
from objectkernel_http.problems import Refusal

CLOSE: Final = {"Connection": "close"}
DIGITS: Final = 20
"""Of a length that no body has."""


class BoundedBody:
    """Keeps `HttpLimits` for one request. Once its answer has begun it is too late to refuse it."""

    __slots__ = ("_come", "_exchange", "_limits", "_receive", "_scope", "_size", "_waited")

    def __init__(self, limits: HttpLimits, exchange: Exchange, scope: Scope, receive: Receive) -> None:
        self._limits = limits
        self._exchange = exchange
        self._scope = scope
        self._receive = receive
        self._size = 0
        self._waited = 0.0
        self._come = False

    @property
    def _over(self) -> bool:
        """Whether the body has come, or nobody waits for it any more."""
        return self._come or self._exchange.status != 0

    def expect(self, most: int) -> None:
        """Refuse a length that is told and is more than so many bytes.

        Raises:
            Refusal: 413.
        """
        if self._declared() > most:
            raise _too_long(most)

    async def receive(self) -> Message:
        """The next message.

        Raises:
            Refusal: 413 for a body that is too long, 408 for one that comes too slowly.
        """
        if self._over:
            return await self._receive()
        self._check(self._declared())
        message = await self._awaited()
        if message["type"] == "http.request" and not self._over:
            self._size += len(message.get("body", b""))
            self._check(self._size)
            self._come = not message.get("more_body", False)
        return message

    async def _awaited(self) -> Message:
        began = anyio.current_time()
        left = self._limits.body_seconds + self._size / self._limits.body_rate - self._waited
        with anyio.move_on_after(max(left, 0)):
            message = await self._receive()
            self._waited += anyio.current_time() - began
            return message
        if self._over:  # an answer has begun while this waited
            return await self._receive()
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "the body comes too slowly", headers=CLOSE)

    def _check(self, size: int) -> None:
        if MAX_BODY_SIZE_SCOPE_KEY in self._scope:  # the route has a limit of its own, which Starlette keeps
            return
        if size > self._limits.body_bytes:
            raise _too_long(self._limits.body_bytes)

    def _declared(self) -> int:
        """What ``Content-Length`` says, 0 without it."""
        value = self._exchange.headers.get(b"content-length", b"")
        return int(value) if value.isdigit() and len(value) < DIGITS else 0


def _too_long(most: int) -> Refusal:
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body may have {most} bytes")
