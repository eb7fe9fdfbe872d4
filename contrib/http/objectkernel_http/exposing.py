"""``/metrics``: the figures of a host, for those who may read them."""

from __future__ import annotations

import ipaddress
from typing import Final, Literal

import attrs
from attrs.validators import in_
from fastapi import FastAPI
from objectkernel.kernel import ObjectKernel
from objectkernel_contracts import OPERATE, Access, Public
from objectkernel_contracts import Scope as Needed
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from objectkernel_http.guard import Guard
from objectkernel_http.health import Readiness
from objectkernel_http.limits import HttpLimits, networks
from objectkernel_http.metrics import metrics_of

PATH: Final = "/metrics"
METHODS: Final = frozenset({"GET", "HEAD"})


@attrs.frozen(kw_only=True)
class MetricsAccess:
    """Who may read ``/metrics``.

    Attributes:
        readers: ``operators``: whoever has the scope ``host:operate``; ``public``: everybody; ``off``: nobody.
        networks: addresses and networks, from which it is read without a credential.
    """

    readers: Literal["operators", "public", "off"] = attrs.field(
        default="operators", validator=in_(("operators", "public", "off"))
    )
    networks: tuple[str, ...] = attrs.field(default=(), validator=networks)


def add_metrics(
    app: FastAPI, kernel: ObjectKernel, readiness: Readiness, access: MetricsAccess, limits: HttpLimits
) -> None:
    """Serve the figures of a kernel."""
    if access.readers != "off":
        endpoint = _Metrics(kernel, readiness, access, limits)
        app.router.routes.append(Route(PATH, endpoint, methods=METHODS, include_in_schema=False))


class _Metrics:
    """The figures, behind one guard for those who are near, and one for the others."""

    def __init__(self, kernel: ObjectKernel, readiness: Readiness, access: MetricsAccess, limits: HttpLimits) -> None:
        self._kernel = kernel
        self._readiness = readiness
        self._near = tuple(ipaddress.ip_network(one) for one in access.networks)

        def guarded(by: Access) -> Guard:
            return Guard(kernel, self._answer, by, limits, path=PATH, methods=METHODS, errors="metrics")

        self._open = guarded(Public())
        self._closed = self._open if access.readers == "public" else guarded(Needed(OPERATE))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._open if self._is_near(scope) else self._closed)(scope, receive, send)

    def _is_near(self, scope: Scope) -> bool:
        client = scope.get("client")
        if not self._near or client is None:
            return False
        try:
            address = ipaddress.ip_address(client[0])
        except ValueError:
            return False
        return any(address in network for network in self._near)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        accept = Request(scope).headers.get("accept", "")
        text, media_type = metrics_of(self._kernel).exposition(accept, await self._readiness.health())
        answer = Response(text, headers={"Cache-Control": "no-store", "Content-Type": media_type})
        await answer(scope, receive, send)
