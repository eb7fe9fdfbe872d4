"""Whether an application has anything of its own around its routes, or what FastAPI puts there for everybody."""

from __future__ import annotations

from time import monotonic
from typing import Any, Final

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Router

KEPT: Final = 1.0
"""Seconds for which what was found is taken to be so still: who traces an application may begin at any time."""
CALLED: Final = (
    (FastAPI, "__call__"),
    (FastAPI, "build_middleware_stack"),
    (Starlette, "__call__"),
    (Router, "__call__"),
)
"""What a request comes through on the long way to its route; libraries that watch applications replace these."""


class Directness:
    """Whether a request that leads to a known route may go there at once.

    What stands between is left out then: the middleware that every application of FastAPI has, which does something
    for errors (a guarded route answers its own), for limits and traces that were asked for, and for uploaded forms.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._until = 0.0
        self._found = False
        self._stack: Any = None

    def __bool__(self) -> bool:
        now = monotonic()
        if now >= self._until or self._stack is not self._app.middleware_stack:
            self._until = now + KEPT
            self._stack = self._app.middleware_stack
            self._found = self._look()
        return self._found

    def _look(self) -> bool:
        app = self._app
        own = app.user_middleware or app.root_path or app.max_body_size is not None or app._native_telemetry.enabled()
        return not own and "build_middleware_stack" not in vars(app) and all(_is_original(*one) for one in CALLED)


def _is_original(kind: type, name: str) -> bool:
    function = getattr(kind, name)
    return function.__module__ == kind.__module__ and not hasattr(function, "__wrapped__")
