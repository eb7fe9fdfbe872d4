"""What is known of one request beside what it says: its id, its principal, the kernel that it came to, its answer."""

from __future__ import annotations

from contextvars import ContextVar
from random import getrandbits
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from objectkernel.kernel import ObjectKernel
    from objectkernel_contracts import Principal

KERNEL: Final = "objectkernel.kernel"
"""Where an ASGI scope has the kernel whose route the request came to."""
EXCHANGE: Final = "objectkernel.exchange"
"""Where it has the `Exchange`."""
REMEMBER: Final = "objectkernel.remember"
"""Where it has what a guarded route calls when it was looked for, so that it need not be looked for again."""
ID_HEADER: Final = b"x-request-id"
READ: Final = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"cookie",
        b"host",
        b"origin",
        b"sec-fetch-site",
        b"transfer-encoding",
    }
)
"""The headers that the host itself looks at."""
JOINED: Final = {b"cookie": b"; "}


class Exchange:
    """One request, and what has been answered so far.

    Attributes:
        id: a UUID: of its answer's ``X-Request-Id``, and of what the log says about it.
        headers: those of `READ`; what came several times is joined as HTTP joins it.
        header_bytes: the names and values of all headers together.
        principal: who sends it, or None.
        route: the template of its route's path; "" while none has taken it.
        status: of its answer, 0 while there is none.
        sent: bytes of its answer's body.
        added: headers that the host adds to its answer.
    """

    __slots__ = ("added", "began", "header_bytes", "headers", "id", "principal", "route", "sent", "status")

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        self.began = perf_counter()
        self.id = new_id()
        headers: dict[bytes, bytes] = {}
        self.headers = headers
        self.principal: Principal | None = None
        self.route = ""
        self.status = 0
        self.sent = 0
        self.added = [(ID_HEADER, self.id.encode())]
        size = 0
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            if name in READ:
                headers[name] = value if name not in headers else headers[name] + JOINED.get(name, b", ") + value
        self.header_bytes = size


CURRENT: Final[ContextVar[Exchange | None]] = ContextVar("objectkernel-http-exchange", default=None)
"""The request that a task works for; tasks that it starts inherit it."""


def new_id() -> str:
    """A UUID of version 4 (RFC 9562): told apart from all others, though not hard to guess, which costs more."""
    digits = f"{getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def exchange_of(scope: MutableMapping[str, Any]) -> Exchange:
    """The exchange of a request, made where nothing has made it before."""
    found: Exchange | None = scope.get(EXCHANGE)
    if found is None:
        found = scope[EXCHANGE] = Exchange(scope)
        scope.setdefault("state", {})["request_id"] = found.id
    return found


def kernel_of(scope: MutableMapping[str, Any]) -> ObjectKernel | None:
    """The kernel that a request came to, or that was included into the application that it came to."""
    found: ObjectKernel | None = scope.get(KERNEL)
    if found is None and "app" in scope:
        found = getattr(getattr(scope["app"], "state", None), "objectkernel", None)
    return found
