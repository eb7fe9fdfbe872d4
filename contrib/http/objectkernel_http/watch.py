"""What stands around everything that is served: an id, figures and a line of the log for each request."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Final

from objectkernel.kernel import ObjectKernel
from objectkernel_contracts import REQUEST_ID
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from objectkernel_http.exchange import CURRENT, EXCHANGE, Exchange, exchange_of
from objectkernel_http.metrics import OTHER, HttpMetrics, metrics_of
from objectkernel_http.sending_files import ZEROCOPY

ACCESS: Final = logging.getLogger("objectkernel.http.access")


class Watch:
    """An application that is watched. One that stands within another watched one leaves it to that one."""

    def __init__(self, kernel: ObjectKernel, app: ASGIApp) -> None:
        self._kernel = kernel
        self._app = app
        self._metrics: HttpMetrics | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or EXCHANGE in scope:
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *exchange.added]
            elif message["type"] == "http.response.body":
                exchange.sent += len(message.get("body", b""))
            elif message["type"] == ZEROCOPY:
                exchange.sent += message.get("count") or 0
            await send(message)

        if self._metrics is None:
            self._metrics = metrics_of(self._kernel)
        within, known = CURRENT.set(exchange), REQUEST_ID.set(exchange.id)
        self._metrics.in_flight += 1
        try:
            await self._app(scope, receive, answer)
        finally:
            self._metrics.in_flight -= 1
            self._tell(scope["method"], exchange, self._metrics)
            REQUEST_ID.reset(known)
            CURRENT.reset(within)

    def _tell(self, method: str, exchange: Exchange, metrics: HttpMetrics) -> None:
        seconds = perf_counter() - exchange.began
        metrics.observe(method, exchange.route, exchange.status, seconds)
        if ACCESS.isEnabledFor(logging.INFO):
            facts = {
                "method": method,
                "route": exchange.route or OTHER,
                "status": exchange.status or None,  # its sender went away before
                "ms": round(seconds * 1000, 1),
                "bytes": exchange.sent,
            }
            ACCESS.info("%s", " ".join(map(str, facts.values())), extra={"facts": facts})
