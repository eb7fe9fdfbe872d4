"""Routes that are found again without looking for them: a framework tries one after the other, each time anew."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import attrs
from fastapi import APIRouter
from starlette.routing import BaseRoute, Host
from starlette.types import ASGIApp, Receive, Scope, Send

from objectkernel_http.exchange import REMEMBER

MOST: Final = 1000
"""Shortcuts that are kept to paths without parameters, of which an application has so many and no more."""
LATEST: Final = 256
"""Those to paths with parameters: somebody reads one thing in many requests, and there is no end of such paths."""
LONGEST: Final = 256
"""Characters of such a path."""
TELEMETRY: Final = "fastapi.telemetry"
"""In the scope of a request that FastAPI traces: its router has to see it."""


@attrs.frozen
class Shortcut:
    """What a router came to: the guarded route, and what it has left in the scope.

    Attributes:
        left: by its name in the scope.
        own: the dictionaries of that, of which each request has copies.
    """

    route: ASGIApp
    left: dict[str, Any]
    own: dict[str, dict[Any, Any]]

    def take(self, scope: Scope) -> None:
        """Leave in a scope what the router would."""
        scope.update(self.left)
        for name, value in self.own.items():
            scope[name] = value.copy()


class Shortcuts:
    """Stands before a router, and goes straight to a route whose path has led there before.

    Which route a method and a path lead to changes only with the list of routes; then everything is looked for anew.
    Where a route of the list looks at the host's name, everything is looked for each time.
    """

    def __init__(self, router: APIRouter) -> None:
        self._router = router
        self._search: ASGIApp = router.middleware_stack
        self._routes: list[BaseRoute] = []
        self._known: dict[tuple[str, str, str], Shortcut] = {}
        self._latest: OrderedDict[tuple[str, str, str], Shortcut] = OrderedDict()
        self._by_path = True

    def known(self, scope: Scope) -> Shortcut | None:
        """Where the request of a scope leads to, if others have come there before."""
        if scope["type"] != "http" or TELEMETRY in scope:
            return None
        if self._routes != self._router.routes:
            self._routes = list(self._router.routes)
            self._known.clear()
            self._latest.clear()
            self._by_path = not any(isinstance(route, Host) for route in self._routes)
        asked = (scope["method"], scope["path"], scope.get("root_path", ""))
        return self._known.get(asked) or self._latest.get(asked)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = self.known(scope)
        if known is not None:
            known.take(scope)
            await known.route(scope, receive, send)
            return
        if scope["type"] == "http" and TELEMETRY not in scope:
            scope[REMEMBER] = self._remembering(scope)
        await self._search(scope, receive, send)

    def _remembering(self, scope: Scope) -> Callable[[ASGIApp], None]:
        """What the guarded route calls that the request of a scope comes to."""
        asked = (scope["method"], scope["path"], scope.get("root_path", ""))
        before, routes = frozenset(scope), self._routes

        def remember(route: ASGIApp) -> None:
            if not self._by_path or routes is not self._routes:
                return
            left = {name: value for name, value in scope.items() if name not in before}
            own = {name: left.pop(name).copy() for name in list(left) if type(left[name]) is dict}
            shortcut = Shortcut(route, left, own)
            if not scope["path_params"]:
                if len(self._known) < MOST:
                    self._known[asked] = shortcut
            elif len(scope["path"]) <= LONGEST:
                self._latest[asked] = shortcut
                if len(self._latest) > LATEST:
                    self._latest.popitem(last=False)

        return remember


def add_shortcuts(router: APIRouter) -> Shortcuts:
    """Let the router of an application find routes again by itself."""
    made = router.middleware_stack = Shortcuts(router)
    return made
