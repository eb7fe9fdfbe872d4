"""How much one request may send, and how slowly."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import anyio
import attrs
from attrs.validators import gt
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY
from starlette.types import Message, Receive, Scope, Send

from objectkernel_http.problems import Refusal

CLOSE: Final = {"Connection": "close"}
DIGITS: Final = 20
"""Of a length that no body has."""


@attrs.frozen(kw_only=True)
class HttpLimits:
    """What one request may send.

    A route, or a router, that says ``max_body_size`` has that in place of `body_bytes`.

    Attributes:
        body_bytes: the longest body.
        header_bytes: the names and values of all headers together.
        body_seconds, body_rate: the host waits for a body as many seconds, and one more for each `body_rate` bytes
            that have come; the time that a route takes with what has come does not count.
    """

    body_bytes: int = attrs.field(default=10 * 2**20, validator=gt(0))
    header_bytes: int = attrs.field(default=32 * 2**10, validator=gt(0))
    body_seconds: float = attrs.field(default=30.0, validator=gt(0))
    body_rate: int = attrs.field(default=1024, validator=gt(0))

    def check_headers(self, scope: Scope) -> None:
        """Refuse a request with too many of them (431)."""
        if sum(len(name) + len(value) for name, value in scope["headers"]) > self.header_bytes:
            raise Refusal(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"all headers together may have {self.header_bytes} bytes"
            )


class BoundedBody:
    """The body of one request as its route receives it: with an end, in time."""

    def __init__(self, limits: HttpLimits, scope: Scope, receive: Receive, send: Send) -> None:
        self._limits = limits
        self._scope = scope
        self._receive = receive
        self._send = send
        self._size = 0
        self._waited = 0.0
        self._over = False  # the body has come, or nobody waits for it any more

    async def receive(self) -> Message:
        """The next message.

        Raises:
            Refusal: 413 for a body that is too long, 408 for one that comes too slowly.
        """
        if self._over:
            return await self._receive()
        self._check(_declared(self._scope))
        message = await self._awaited()
        if message["type"] == "http.request" and not self._over:
            self._size += len(message.get("body", b""))
            self._check(self._size)
            self._over = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a message; once an answer has begun, it is too late to refuse the request."""
        self._over = True
        await self._send(message)

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
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body may have {self._limits.body_bytes} bytes")


def _declared(scope: Scope) -> int:
    """What ``Content-Length`` says, 0 without it."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < DIGITS else 0
    return 0
