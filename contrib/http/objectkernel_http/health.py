"""``/livez`` and ``/readyz``: whether to restart a host, and whether to send it work."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import anyio
from fastapi import FastAPI
from objectkernel.health import Health
from objectkernel.kernel import ObjectKernel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

KEPT: Final = 1.0
"""Seconds for which an answer about readiness is given again: asking often must not ask every service often."""
LIVE_STATES: Final = frozenset({"idle", "initializing", "running", "degraded", "stopping"})


def add_health(app: FastAPI, kernel: ObjectKernel) -> None:
    """Serve both; neither tells more than one word, since anybody may ask."""
    readiness = Readiness(kernel)

    async def livez(request: Request) -> Response:
        return _answer(kernel.state in LIVE_STATES, "live")

    async def readyz(request: Request) -> Response:
        return _answer(await readiness.ready(), "ready")

    app.add_route("/livez", livez, include_in_schema=False)
    app.add_route("/readyz", readyz, include_in_schema=False)


class Readiness:
    """Whether a kernel is ready, asked anew at most once in `KEPT` seconds."""

    def __init__(self, kernel: ObjectKernel) -> None:
        self._kernel = kernel
        self._asking = anyio.Lock()
        self._health: Health | None = None
        self._until = 0.0

    async def ready(self) -> bool:
        """Whether to send it work."""
        if self._kernel.state not in ("running", "degraded"):
            return False
        async with self._asking:
            if self._health is None or anyio.current_time() >= self._until:
                self._health = await self._kernel.health()
                self._until = anyio.current_time() + KEPT
            return self._health.ready


def _answer(good: bool, word: str) -> Response:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return JSONResponse({"status": word if good else f"not {word}"}, status, {"Cache-Control": "no-store"})
