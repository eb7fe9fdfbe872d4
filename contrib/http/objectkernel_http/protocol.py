"""What both of uvicorn's implementations of HTTP/1.1 lack: an end to waiting for the head of a request."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Final

from objectkernel_http.limits import UNIX
from objectkernel_http.problems import problem

if TYPE_CHECKING:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle as H11Cycle

    from objectkernel_http.cycle import Cycle

MAPPED: Final = "::ffff:"
TRAILERS: Final = "http.request.trailers"
"""Where the extensions of a scope have the trailers of its request, once its body has come: a list in ``headers``."""
SLACK: Final = 4096
"""Bytes of a head beside its headers: the method, the target and what separates them."""


class TimedProtocol(asyncio.Protocol):
    """Closes a connection whose next request does not begin in time, or that goes on sending after its answer.

    It stands before one of uvicorn's protocols among the bases of a class.

    Attributes:
        header_seconds: how long it waits for each head.
        head_bytes: what a head may have.
    """

    header_seconds: ClassVar[float]
    head_bytes: ClassVar[int]
    config: uvicorn.Config
    client: tuple[str, int] | None
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.client = self._named(self.client)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the shape that problems have."""
        self._refuse(HTTPStatus.BAD_REQUEST, "this is no HTTP request, or its head is too long")

    def _refuse_long_head(self) -> None:
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a head may have {self.head_bytes} bytes")

    @abstractmethod
    def _last(self) -> H11Cycle | Cycle | None:
        """The last request of the connection; uvicorn does not say that there may be none."""

    def _answering(self) -> bool:
        """Whether a request has come that has not been answered wholly."""
        last = self._last()
        return last is not None and not last.response_complete

    def _named(self, client: tuple[str, int] | None) -> tuple[str, int] | None:
        """Whoever has connected: a socket of both kinds writes IPv4 as IPv6, and a Unix socket has no addresses."""
        if client is None:
            return (UNIX, 0) if UNIX in self.config.forwarded_allow_ips else None
        return client[0].removeprefix(MAPPED), client[1]

    def _watch(self) -> None:
        """Wait for a head, unless one has come or is waited for already."""
        if self._answering():
            self._rest()
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.header_seconds, self._late)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self._last() is None:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request does not come")
        else:  # it has had an answer, and what comes since is no request
            self.transport.close()

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer in the place of the application, unless that has begun to answer, and close the connection."""
        cycle = self._last() if self._answering() else None
        if cycle is None or not cycle.response_started:
            answer = problem(status, detail)
            head = [f"HTTP/1.1 {status} {status.phrase}", "Connection: close"]
            head += [f"{name.decode()}: {value.decode()}" for name, value in answer.raw_headers]
            self.transport.write("\r\n".join([*head, "", ""]).encode() + bytes(answer.body))
        if cycle is not None:  # what its body was to be is no HTTP: nobody reads another answer
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()
