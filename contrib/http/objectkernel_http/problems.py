"""Errors as problem details (RFC 9457): one shape for all that goes wrong between a request and its answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from objectkernel.errors import KernelError, KernelStateInvalid, ServiceUnavailable
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from objectkernel_http.exchange import exchange_of

LOG: Final = logging.getLogger("objectkernel.http")
MEDIA_TYPE: Final = "application/problem+json"
TYPE: Final = "urn:objectkernel:error:"
SHOWN: Final = 1000
"""How many problems of one request are listed."""
RETRY_SECONDS: Final = 1
RETRIED: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""The same request may do better a little later: these tell when, with ``Retry-After``."""
BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED})
PLACES: Final = frozenset({"body", "query", "path", "header", "cookie"})


class Refusal(HTTPException):
    """A request that is refused, with a code of its own where its status does not say everything."""

    def __init__(
        self, status: HTTPStatus, detail: str, *, code: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, headers)
        self.code = code


def problem(
    status: int, detail: str, *, code: str | None = None, headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    """A problem as an answer.

    Args:
        detail: one sentence for whoever sent the request.
        code: stable; ``H`` and the status where there is none that says more.
        members: further members, of which those that are None are left out.
    """
    status = int(status)
    told = code or f"H{status}"
    content = {"type": f"{TYPE}{told}", "title": _title(status), "status": status, "detail": detail, "code": told}
    content |= {name: value for name, value in members.items() if value is not None}
    sent = dict(headers or {})
    if status in RETRIED and "retry-after" not in {name.lower() for name in sent}:
        sent["Retry-After"] = str(RETRY_SECONDS)
    return Response(json.dumps(content, default=str).encode(), status, sent, media_type=MEDIA_TYPE)


async def http_problem(request: Request, error: Exception) -> Response:
    """The answer to an `HTTPException`. What one of 500 and more says is for the log only."""
    assert isinstance(error, HTTPException)
    status = error.status_code
    if status in BODILESS or status < HTTPStatus.BAD_REQUEST:
        return Response(status_code=status, headers=error.headers)
    code = getattr(error, "code", None)
    given: object = error.detail
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        LOG.error("request %s: %s %s", exchange_of(request.scope).id, status, given, exc_info=error.__cause__)
        return _own_fault(request, status, code, error.headers)
    if isinstance(given, str):
        return problem(status, given, code=code, headers=error.headers)
    return problem(status, _title(status), code=code, headers=error.headers, info=given)


async def validation_problem(request: Request, error: Exception) -> Response:
    """The answer to a request that its route does not take: everything that is wrong with it, and none of it again."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    listed = [_invalid(one) for one in found[:SHOWN]]
    more = len(found) - len(listed)
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "the request is not what this route takes",
        errors=listed,
        more=more or None,
    )


async def kernel_problem(request: Request, error: Exception) -> Response:
    """The answer to a `KernelError`: what it says where its class has an ``http_status`` below 500, else its code."""
    assert isinstance(error, KernelError)
    status = status_of(error)
    if isinstance(error, ServiceUnavailable) and status == HTTPStatus.SERVICE_UNAVAILABLE:
        LOG.warning("request %s: [%s] %s", exchange_of(request.scope).id, error.code, error.what)
        return _own_fault(request, status, error.code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        LOG.error("request %s: %s", exchange_of(request.scope).id, error.text(), exc_info=error)
        return _own_fault(request, status, error.code)
    return problem(status, error.what, code=error.code, why=list(error.why) or None, fix=error.fix or None)


async def unforeseen_problem(request: Request, error: Exception) -> Response:
    """The answer to an exception that nobody foresaw: an id, under which the log has the rest."""
    LOG.error("request %s: %s", exchange_of(request.scope).id, type(error).__name__, exc_info=error)
    return _own_fault(request, HTTPStatus.INTERNAL_SERVER_ERROR)


def status_of(error: KernelError) -> int:
    """The status of an error: its class's ``http_status``; 503 while a service is away; 500."""
    declared = getattr(type(error), "http_status", None)
    if isinstance(declared, int):
        return declared
    away = isinstance(error, ServiceUnavailable | KernelStateInvalid)
    return HTTPStatus.SERVICE_UNAVAILABLE if away else HTTPStatus.INTERNAL_SERVER_ERROR


HANDLERS: Final = {
    HTTPException: http_problem,
    RequestValidationError: validation_problem,
    KernelError: kernel_problem,
    Exception: unforeseen_problem,
}
"""For Starlette's `ExceptionMiddleware`."""


def _own_fault(
    request: Request, status: int, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    away = status == HTTPStatus.SERVICE_UNAVAILABLE
    detail = "what this needs is away for the moment" if away else "the host failed; its log tells more under this id"
    return problem(status, detail, code=code, headers=headers, instance=f"urn:uuid:{exchange_of(request.scope).id}")


def _invalid(error: Mapping[str, Any]) -> dict[str, str]:
    """One problem of a request: where it is, as a JSON Pointer (RFC 6901), and what it is."""
    place, *path = error["loc"] or ("body",)
    if place not in PLACES:
        place, path = "body", [place, *path]
    if error["type"] == "json_invalid":
        return {"in": "body", "at": "", "detail": f"it is no JSON: {error['ctx']['error']} (character {path[0]})"}
    escaped = [str(part).replace("~", "~0").replace("/", "~1") for part in path]
    return {"in": str(place), "at": "".join(f"/{part}" for part in escaped), "detail": str(error["msg"])}


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
