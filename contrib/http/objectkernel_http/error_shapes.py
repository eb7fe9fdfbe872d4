"""Which routes tell errors in another shape than problem details, since a standard of theirs says so: this table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import attrs
from objectkernel_contracts import ErrorShape
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from objectkernel_http.problems import HANDLERS

OF_RESPONSES: Final = frozenset({"content-length", "content-type"})
OAUTH_CODES: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "invalid_client",
    HTTPStatus.FORBIDDEN: "access_denied",
    HTTPStatus.TOO_MANY_REQUESTS: "temporarily_unavailable",
    HTTPStatus.SERVICE_UNAVAILABLE: "temporarily_unavailable",
}


@attrs.frozen
class Shape:
    """How errors are told.

    Attributes:
        standard: what says so.
        media_type: of such an answer.
        told: makes its body of a problem's members.
    """

    standard: str
    media_type: str
    told: Callable[[Mapping[str, Any]], str]


def _oauth(problem: Mapping[str, Any]) -> str:
    """``error`` and ``error_description``, which has no quotes and no backslashes."""
    status = problem["status"]
    unknown = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request"
    description = problem["detail"].translate({ord('"'): "'", ord("\\"): "/"}).encode("ascii", "replace").decode()
    return json.dumps({"error": OAUTH_CODES.get(status, unknown), "error_description": description})


def _text(problem: Mapping[str, Any]) -> str:
    return f"{problem['code']}: {problem['detail']}\n"


SHAPES: Final[Mapping[ErrorShape, Shape]] = {
    "oauth": Shape("RFC 6749, section 5.2, and those that build on it", "application/json", _oauth),
    "tus": Shape("tus 1.0, whose clients read the status alone", "text/plain", _text),
    "metrics": Shape("Prometheus, which shows people what it could not read", "text/plain", _text),
}
"""A route's function names one with `objectkernel_contracts.errors_as`; every other route has problem details."""


def handlers_of(name: ErrorShape | None) -> Mapping[Any, ExceptionHandler]:
    """The handlers of errors for Starlette's `ExceptionMiddleware`, of a shape, or of problem details."""
    if name is None:
        return HANDLERS
    return {kind: _reshaping(handler, SHAPES[name]) for kind, handler in HANDLERS.items()}


def _reshaping(handler: Callable[[Request, Exception], Any], shape: Shape) -> ExceptionHandler:
    async def reshaped(request: Request, error: Exception) -> Response:
        answer: Response = await handler(request, error)
        if not answer.body:
            return answer
        headers = {name: value for name, value in answer.headers.items() if name not in OF_RESPONSES}
        told = shape.told(json.loads(bytes(answer.body)))
        return Response(told, answer.status_code, headers, media_type=shape.media_type)

    return reshaped
