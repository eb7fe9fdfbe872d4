"""``/livez`` and ``/readyz``: whether to restart a host, and whether to send it work."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import anyio
import attrs
from fastapi import FastAPI
from objectkernel.health import Health
from objectkernel.kernel import ObjectKernel
from objectkernel_contracts import OPERATE
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from objectkernel_http.admission import credentials_of, principal_of
from objectkernel_http.exchange import exchange_of
from objectkernel_http.problems import LOG

KEPT: Final = 1.0
"""Seconds for which an answer about readiness is given again: asking often must not ask every service often."""
LIVE_STATES: Final = frozenset({"idle", "initializing", "running", "degraded", "stopping"})
READY_STATES: Final = frozenset({"running", "degraded"})


class Readiness:
    """How a kernel is, asked anew at most once in `KEPT` seconds."""

    def __init__(self, kernel: ObjectKernel) -> None:
        self._kernel = kernel
        self._asking = anyio.Lock()
        self._health: Health | None = None
        self._until = 0.0

    async def health(self) -> Health:
        """Its health, a moment ago at most."""
        if self._kernel.state not in READY_STATES:
            return await self._kernel.health()
        async with self._asking:
            if self._health is None or anyio.current_time() >= self._until:
                self._health = await self._kernel.health()
                self._until = anyio.current_time() + KEPT
            return self._health


def add_health(app: FastAPI, kernel: ObjectKernel, readiness: Readiness) -> None:
    """Serve both. Anybody may ask, and is told one word; operators are told of every service at ``/readyz``."""

    async def livez(request: Request) -> Response:
        exchange_of(request.scope).route = "/livez"
        return _answer(kernel.state in LIVE_STATES, "live")

    async def readyz(request: Request) -> Response:
        exchange_of(request.scope).route = "/readyz"
        health = await readiness.health()
        ready = health.ready and kernel.state in READY_STATES
        details = _details(health) if await _is_operator(kernel, request) else {}
        return _answer(ready, "ready", details)

    app.add_route("/livez", livez, include_in_schema=False)
    app.add_route("/readyz", readyz, include_in_schema=False)


async def _is_operator(kernel: ObjectKernel, request: Request) -> bool:
    """Whether whoever asks may know more; where nobody can tell who it is, not."""
    exchange = exchange_of(request.scope)
    credentials = credentials_of(exchange, request.scope)
    if credentials is None or kernel.state not in READY_STATES:
        return False
    try:
        exchange.principal = await principal_of(kernel, credentials)
    except Exception as error:  # the one word is told all the same: it is for now that something is unwell
        LOG.warning("nobody can tell who asks for /readyz: %s", type(error).__name__, exc_info=error)
    return exchange.principal is not None and OPERATE in exchange.principal.scopes


def _details(health: Health) -> dict[str, Any]:
    return {"state": health.state, "services": [attrs.asdict(service) for service in health.services]}


def _answer(good: bool, word: str, details: dict[str, Any] | None = None) -> Response:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    told = {"status": word if good else f"not {word}", **(details or {})}
    return JSONResponse(told, status, {"Cache-Control": "no-store"})
