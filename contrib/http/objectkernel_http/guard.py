"""What stands before each route: limits, who may use it, and one shape for whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi.routing import APIRoute
from objectkernel.kernel import ObjectKernel
from objectkernel_contracts import Access, ErrorShape, error_shape_of
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from objectkernel_http.admission import admit
from objectkernel_http.body import BoundedBody
from objectkernel_http.error_shapes import handlers_of
from objectkernel_http.exchange import EXCHANGE, KERNEL, REMEMBER, Exchange
from objectkernel_http.heads import refuse_hostile_head
from objectkernel_http.limits import HttpLimits
from objectkernel_http.problems import Refusal
from objectkernel_http.rates import Limiter
from objectkernel_http.watch import Watch

HANDLERS_KEY: Final = "starlette.exception_handlers"
"""Where FastAPI's routes look for the handlers of what their functions raise."""


class Guard:
    """An ASGI application that serves only those who may use it, before anything of a body is read.

    Args:
        path: the template of its path, with the prefixes of its router and application.
        methods: whatever has another one is refused; None: all are let in.
        allowed: those that the path has, together with the routes beside this one.
        errors: their shape, None for problem details.
        body_bytes: the longest body, where the route has a limit of its own. Starlette keeps it too, but answers a
            length beyond it with plain text, whatever the route says.
        direct: whether a method and a path alone lead here, so that nobody need look for it twice.
    """

    def __init__(
        self,
        kernel: ObjectKernel,
        app: ASGIApp,
        access: Access,
        limits: HttpLimits,
        *,
        path: str,
        methods: Collection[str] | None = None,
        allowed: Collection[str] = (),
        errors: ErrorShape | None = None,
        body_bytes: int | None = None,
        direct: bool = False,
    ) -> None:
        self.kernel = kernel
        self.access = access
        self._inner = app
        self._limits = limits
        self._limiter = Limiter(kernel, limits)
        self._path = path
        self._methods = methods
        self._direct = direct
        self._body_bytes = body_bytes
        self._allow = ", ".join(sorted(allowed))
        self._handlers: Mapping[Any, Any] = handlers_of(errors)
        self._watched = Watch(kernel, self._guarded)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        remember = scope.pop(REMEMBER, None)
        if remember is not None and self._direct and self._methods is not None and scope["method"] in self._methods:
            remember(self)
        scope[KERNEL] = self.kernel
        await (self._guarded if EXCHANGE in scope else self._watched)(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[EXCHANGE]
        exchange.route = self._path
        scope[HANDLERS_KEY] = (self._handlers, {})
        body = BoundedBody(self._limits, exchange, scope, receive)
        try:
            refuse_hostile_head(scope, exchange, self._limits)
            if self._methods is not None and scope["method"] not in self._methods:
                what = f"there is no {scope['method']} of this, but {self._allow}"
                raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, what, headers={"Allow": self._allow})
            await admit(self.kernel, self.access, self._limiter, scope, exchange, self._limits.origins)
            if self._body_bytes is not None:
                body.expect(self._body_bytes)
            await self._inner(scope, body.receive, send)
        except Exception as error:
            if exchange.status:  # it is too late for another answer: the server closes the connection
                raise
            handler = next(self._handlers[kind] for kind in type(error).__mro__ if kind in self._handlers)
            answer = await handler(Request(scope, body.receive, send), error)
            await answer(scope, body.receive, send)


def guard(
    kernel: ObjectKernel,
    route: APIRoute,
    access: Access,
    limits: HttpLimits,
    path: str,
    allowed: Collection[str],
    around: Callable[[ASGIApp], ASGIApp],
) -> None:
    """Put a guard before a route, in the place of one that served another kernel's life.

    Args:
        path, allowed: see `Guard`.
        around: what the route itself is wrapped into, within the guard.
    """
    vars(route).pop("handle", None)
    errors = error_shape_of(route.endpoint)
    guarded = Guard(
        kernel,
        around(route.handle),
        access,
        limits,
        path=path,
        methods=route.methods or (),
        allowed=allowed,
        errors=errors,
        body_bytes=route.max_body_size,
        direct=True,
    )
    route.handle = guarded  # type: ignore[method-assign]
