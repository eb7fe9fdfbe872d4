"""FastAPI's routes without what FastAPI does for each request, where it would come to nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, TypeVar

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

F = TypeVar("F", bound=Callable[..., Any])
Direct: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

ATTRIBUTE: Final = "__objectkernel_direct__"
TELEMETRY: Final = "fastapi.telemetry"
"""In the scope of a request that FastAPI traces."""


def directly(app: Direct) -> Callable[[F], F]:
    """Name the ASGI application that does the same as a route's function; see `DirectRoute`."""

    def mark(function: F) -> F:
        setattr(function, ATTRIBUTE, app)
        return function

    return mark


class DirectRoute(APIRoute):
    """A route that is declared as every other one, and served by the application that its function is marked with.

    That application finds the path's parameters in the scope. FastAPI itself serves a request whose parameters it could
    refuse, or which it has more to do for: dependencies of whoever includes the router, a limit of its body, a trace.
    """

    _of: Dependant | None = None
    _direct: Direct | None = None

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `starlette.routing.Route.handle`."""
        within: Any = scope.get("fastapi", {}).get("effective_route_context") or self
        if within.dependant is not self._of:
            self._of = of = within.dependant
            can_be = within.max_body_size is None and _is_plain(of)
            self._direct = getattr(self.endpoint, ATTRIBUTE, None) if can_be else None
        direct = self._direct
        if direct is not None and scope["method"] in (self.methods or ()) and TELEMETRY not in scope:
            await direct(scope, receive, send)
        else:
            await super().handle(scope, receive, send)


def _is_plain(dependant: Dependant) -> bool:
    """Whether all that a function takes is text of its path, whatever that text is."""
    others = (
        dependant.dependencies,
        dependant.query_params,
        dependant.header_params,
        dependant.cookie_params,
        dependant.body_params,
    )
    infos = [field.field_info for field in dependant.path_params]
    return not any(others) and all(info.annotation is str and not info.metadata for info in infos)
