"""uvicorn's HTTP/1.1 with an end to waiting for the head of a request, which uvicorn itself has not."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import ClassVar, Final

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from objectkernel_http.problems import problem

SLACK: Final = 4096
"""Bytes of a head beside its headers: the method, the target and what separates them."""


def protocol_within(header_seconds: float) -> type[H11Protocol]:
    """The protocol that waits as many seconds for each head."""
    return type("TimedProtocol", (TimedProtocol,), {"header_seconds": header_seconds})


class TimedProtocol(H11Protocol):
    """Closes a connection whose next request does not begin in time, or that goes on sending after its answer."""

    header_seconds: ClassVar[float]
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._rest()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the shape that problems have."""
        self._refuse(HTTPStatus.BAD_REQUEST, "this is no HTTP request, or its head is too long")

    def _watch(self) -> None:
        """Wait for a head, unless one has come or is waited for already."""
        if self._cycle() is not None and not self.cycle.response_complete:
            self._rest()
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.header_seconds, self._late)

    def _cycle(self) -> RequestResponseCycle | None:
        """The last request of this connection; uvicorn does not say that there may be none."""
        return self.cycle

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self._cycle() is None:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request does not come")
        else:  # it has had an answer, and what comes since is no request
            self.transport.close()

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        answer = problem(status, detail)
        head = [f"HTTP/1.1 {status} {status.phrase}", "Connection: close"]
        head += [f"{name.decode()}: {value.decode()}" for name, value in answer.raw_headers]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + bytes(answer.body))
        self.transport.close()
