"""A kernel as an ASGI application, of its own or within one of the host's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from objectkernel.errors import KernelError
from objectkernel.kernel import ObjectKernel
from starlette.types import Receive, Scope, Send

from objectkernel_http.documentation import add_documentation
from objectkernel_http.health import add_health
from objectkernel_http.limits import HttpLimits
from objectkernel_http.openapi import with_components
from objectkernel_http.problems import HANDLERS
from objectkernel_http.site import site_of


class KernelApplication(FastAPI):
    """A FastAPI application whose lifespan fails with the kernel's own report, and not with a traceback."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await super().__call__(scope, receive, send)
            return
        event = "startup"
        await receive()
        try:
            async with self.router.lifespan_context(self):
                await send({"type": "lifespan.startup.complete"})
                event = "shutdown"
                await receive()
        except KernelError as error:
            await send({"type": f"lifespan.{event}.failed", "message": error.text()})
            return
        await send({"type": "lifespan.shutdown.complete"})


def asgi_app(
    kernel: ObjectKernel,
    *,
    limits: HttpLimits | None = None,
    title: str = "objectkernel",
    version: str = "0",
    documentation: bool = True,
) -> FastAPI:
    """One application of the routes that plugins contribute to `ROUTERS`; its lifespan boots and stops the kernel.

    Args:
        title, version: of its OpenAPI document.
        documentation: serve that document at ``/openapi.json``, and a page of it at ``/docs``.
    """
    openapi_url = "/openapi.json" if documentation else None
    app = KernelApplication(title=title, version=version, openapi_url=openapi_url, docs_url=None, redoc_url=None)
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    add_health(app, kernel)
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
