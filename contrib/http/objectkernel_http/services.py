"""Services in routes: ``Depends(service(LEDGER))``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from objectkernel import ObjectKernel, Scope, Service
from objectkernel_contracts import PRINCIPAL, Principal
from starlette.requests import HTTPConnection

from objectkernel_http.errors import LifespanMissing
from objectkernel_http.exchange import kernel_of

T = TypeVar("T")

SCOPE = "request"
"""The name of the scope that each request has."""


async def request_scope(connection: HTTPConnection) -> AsyncIterator[Scope]:
    """The kernel's scope of one request, for FastAPI's `Depends`: the same for all that ask in it.

    It is opened when the first one asks, and closed when the answer was sent, the route failed or its sender went away.

    Raises:
        LifespanMissing: no kernel was included into the application.
    """
    kernel = kernel_of(connection.scope)
    if kernel is None:
        raise LifespanMissing(
            "this application has no kernel",
            why="a service is looked up in the kernel that was included into the application",
            fix="include_kernel(app, kernel)",
        )
    async with scope_of(kernel, connection.scope) as scope:
        yield scope


def scope_of(kernel: ObjectKernel, connection: Mapping[str, Any]) -> Scope:
    """A new scope for a request, with its principal if it has one."""
    principal = connection.get("state", {}).get("principal")  # on a host's own route it may be anything
    return kernel.scope(SCOPE, {PRINCIPAL: principal} if isinstance(principal, Principal) else {})


def service(key: Service[T]) -> Callable[[Scope], Awaitable[T]]:
    """What gives a service to a route: ``ledger: Annotated[Ledger, Depends(service(LEDGER))]``.

    A scoped one is made once in a request; a singleton is not stopped while the request uses it.
    """

    async def get(scope: Annotated[Scope, Depends(request_scope)]) -> T:
        return await scope.aget(key)

    return get
