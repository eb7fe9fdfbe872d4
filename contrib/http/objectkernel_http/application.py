"""A kernel as an ASGI application, of its own or within one of the host's."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from objectkernel.errors import KernelError
from objectkernel.kernel import ObjectKernel
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import Message, Receive, Scope, Send

from objectkernel_http.directness import Directness
from objectkernel_http.documentation import add_documentation
from objectkernel_http.exposing import MetricsAccess, add_metrics
from objectkernel_http.health import Readiness, add_health
from objectkernel_http.limits import HttpLimits
from objectkernel_http.openapi import with_components
from objectkernel_http.problems import HANDLERS
from objectkernel_http.sending_files import ZEROCOPY
from objectkernel_http.shortcuts import add_shortcuts
from objectkernel_http.site import site_of
from objectkernel_http.watch import Watch

FORMS: Final = "fastapi_middleware_astack"
"""Where a scope has what FastAPI's routes close uploaded forms with."""


class KernelApplication(FastAPI):
    """A FastAPI application whose lifespan fails with the kernel's own report, and not with a traceback."""

    def __init__(self, kernel: ObjectKernel, **options: Any) -> None:
        super().__init__(**options)
        self.watched = Watch(kernel, self._answer)
        self._shortcuts = add_shortcuts(self.router)
        self._directness = Directness(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.watched(scope, receive, send)
            return
        event = "startup"
        await receive()
        try:
            async with self.router.lifespan_context(self) as state:
                scope.setdefault("state", {}).update(state or {})
                await send({"type": "lifespan.startup.complete"})
                event = "shutdown"
                await receive()
        except KernelError as error:
            await send({"type": f"lifespan.{event}.failed", "message": error.text()})
            return
        except Exception:  # of what a host has added; a server that is not told would go on
            await send({"type": f"lifespan.{event}.failed", "message": traceback.format_exc()})
            raise
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = self._shortcuts.known(scope) if self._directness else None
        if known is None or self.router.middleware_stack is not self._shortcuts:
            if self.user_middleware:  # Starlette's own knows no such message, and loses or refuses it
                scope.get("extensions", {}).pop(ZEROCOPY, None)
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        known.take(scope)
        try:
            async with AsyncExitStack() as forms:
                scope[FORMS] = forms
                await known.route(scope, receive, send)
        except Exception as error:  # of a route whose answer has begun
            await self._fail(error, scope, receive)

    async def _fail(self, error: Exception, scope: Scope, receive: Receive) -> None:
        """Raise an error as it would be raised on the long way, where the application's own handler is told of it."""
        handlers = [handler for kind, handler in self.exception_handlers.items() if kind in (500, Exception)]

        async def fail(scope: Scope, receive: Receive, send: Send) -> None:
            raise error

        async def unheard(message: Message) -> None: ...

        await ServerErrorMiddleware(fail, handlers[-1] if handlers else None, self.debug)(scope, receive, unheard)


def asgi_app(
    kernel: ObjectKernel,
    *,
    limits: HttpLimits | None = None,
    title: str = "objectkernel",
    version: str = "0",
    documentation: bool = True,
    metrics: MetricsAccess | None = None,
) -> FastAPI:
    """One application of the routes that plugins contribute to `ROUTERS`; its lifespan boots and stops the kernel.

    Args:
        title, version: of its OpenAPI document.
        documentation: serve that document at ``/openapi.json``, and a page of it at ``/docs``.
        metrics: who may read ``/metrics``; without it, operators.
    """
    openapi_url = "/openapi.json" if documentation else None
    app = KernelApplication(
        kernel, title=title, version=version, openapi_url=openapi_url, docs_url=None, redoc_url=None
    )
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    readiness = Readiness(kernel)
    add_health(app, kernel, readiness)
    add_metrics(app, kernel, readiness, metrics or MetricsAccess(), limits or HttpLimits())
    if documentation:
        add_documentation(app)
    include_kernel(app, kernel, limits=limits)
    return app


def include_kernel(app: FastAPI, kernel: ObjectKernel, *, prefix: str = "", limits: HttpLimits | None = None) -> None:
    """Include the routes that plugins contribute into a FastAPI application: one application, one OpenAPI document.

    They take the place in the order of its routes that this call has. Its lifespan boots the kernel before anything
    else, and stops it after everything else. What the application itself does with errors stays as it is.

    Args:
        prefix: before each path, such as ``/shop``.
    """
    app.state.objectkernel = kernel
    site_of(kernel).add(app, prefix, limits or HttpLimits())
    inner, around = app.router.lifespan_context, kernel_lifespan(kernel)

    @asynccontextmanager
    async def lifespan(of: Any) -> AsyncIterator[Any]:
        async with around(of), inner(of) as state:
            yield state

    app.router.lifespan_context = lifespan
    app.openapi = with_components(app.openapi)  # type: ignore[method-assign]


def kernel_lifespan(kernel: ObjectKernel) -> Callable[[object], AbstractAsyncContextManager[None]]:
    """The lifespan of an application that an application of the kernel is mounted in.

    ``Starlette(lifespan=kernel_lifespan(kernel), routes=[Mount("/shop", asgi_app(kernel))])``
    """

    def lifespan(of: object) -> AbstractAsyncContextManager[None]:
        return site_of(kernel).running()

    return lifespan
