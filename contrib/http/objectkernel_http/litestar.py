"""Services in the handlers of a Litestar application: ``Provide(service(LEDGER))``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from litestar.config.app import AppConfig
from litestar.plugins import InitPlugin
from litestar.types import ASGIApp, Receive, Scope, Send
from objectkernel import ObjectKernel, Service
from objectkernel import Scope as KernelScope

from objectkernel_http.application import kernel_lifespan
from objectkernel_http.errors import LifespanMissing
from objectkernel_http.services import scope_of

T = TypeVar("T")

ENTRY: Final = "objectkernel.scope"
"""Where an ASGI scope has the kernel's scope of the request."""


class KernelPlugin(InitPlugin):
    """Boots a kernel before the application's own lifespan, stops it after, and gives each request a scope.

    ``Litestar(handlers, plugins=[KernelPlugin(kernel)], dependencies={"ledger": Provide(service(LEDGER))})``
    """

    def __init__(self, kernel: ObjectKernel) -> None:
        self._kernel = kernel

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Called by Litestar."""
        app_config.lifespan.insert(0, kernel_lifespan(self._kernel))
        app_config.middleware.insert(0, self._scoped)
        return app_config

    def _scoped(self, app: ASGIApp, **options: Any) -> ASGIApp:
        async def scoped(scope: Scope, receive: Receive, send: Send) -> None:
            held: Any = scope  # its type has no room for entries of others
            async with scope_of(self._kernel, held) as held[ENTRY]:
                await app(scope, receive, send)

        return scoped


def service(key: Service[T]) -> Callable[[Scope], Awaitable[T]]:
    """What gives a service to a handler: a scoped one is made once in a request.

    It is torn down when the answer was sent, the handler failed or its sender went away. A singleton is not stopped
    while the request uses it.
    """

    async def get(scope: Scope) -> Any:
        held: Any = scope
        kernel_scope: KernelScope | None = held.get(ENTRY)
        if kernel_scope is None:
            raise LifespanMissing(
                "this application has no kernel",
                why="a service is looked up in the kernel that the application was given",
                fix="Litestar(..., plugins=[KernelPlugin(kernel)])",
            )
        return await kernel_scope.aget(key)

    return get
