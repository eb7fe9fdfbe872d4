"""What stands before each route: limits, who may use it, and one shape for whatever goes wrong."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi.routing import APIRoute
from objectkernel.kernel import ObjectKernel
from objectkernel_contracts import Access
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from objectkernel_http.admission import admit
from objectkernel_http.body import BoundedBody
from objectkernel_http.exchange import KERNEL, request_id
from objectkernel_http.limits import HttpLimits
from objectkernel_http.problems import HANDLERS, Refusal

ID_HEADER: Final = b"x-request-id"


class Guard:
    """A route as an ASGI application that serves only those who may use it, before anything of a body is read."""

    def __init__(self, kernel: ObjectKernel, route: APIRoute, access: Access, limits: HttpLimits) -> None:
        self.kernel = kernel
        self.access = access
        self._limits = limits
        self._methods = route.methods or set()
        self._handle: ASGIApp = route.handle
        self._app = ExceptionMiddleware(self._admitted, HANDLERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[KERNEL] = self.kernel
        header = (ID_HEADER, request_id(scope).encode())

        async def identified(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), header]
            await body.send(message)

        body = BoundedBody(self._limits, scope, receive, send)
        await self._app(scope, body.receive, identified)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._check_headers(scope)
        if scope["method"] in self._methods:  # else nobody is let in: there is nothing
            await admit(self.kernel, self.access, HTTPConnection(scope))
        await self._handle(scope, receive, send)

    def _check_headers(self, scope: Scope) -> None:
        most = self._limits.header_bytes
        if sum(len(name) + len(value) for name, value in scope["headers"]) > most:
            raise Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"all headers together may have {most} bytes")


def guard(kernel: ObjectKernel, route: APIRoute, access: Access, limits: HttpLimits) -> None:
    """Put a guard before a route, in the place of one that served another kernel's life."""
    vars(route).pop("handle", None)
    route.handle = Guard(kernel, route, access, limits)  # type: ignore[method-assign]
