"""What every route's description says: its security and its errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi.routing import APIRoute
from objectkernel_contracts import Access, Public

from objectkernel_http.problems import MEDIA_TYPE

BEARER: Final = "bearer"
PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457). `code` is stable.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "instance": {"type": "string", "format": "uri", "description": "Under this id the log tells more."},
        "errors": {
            "type": "array",
            "description": "Everything that is wrong with the request.",
            "items": {
                "type": "object",
                "required": ["in", "at", "detail"],
                "properties": {
                    "in": {"enum": ["body", "query", "path", "header", "cookie"]},
                    "at": {"type": "string", "format": "json-pointer"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
SCHEME: Final = {"type": "http", "scheme": "bearer", "description": "An API key, or a token (RFC 6750)."}

CLOSED: Final[dict[int | str, str]] = {401: "No credential that is known", 403: "A scope is missing"}


def describe(route: APIRoute, access: Access) -> None:
    """Say in a route's description who may use it, and what its errors look like."""
    told = dict(route.openapi_extra or {})
    told.setdefault("security", _security(access))
    route.openapi_extra = told
    errors: dict[int | str, str] = {} if isinstance(access, Public) else dict(CLOSED)
    for status, description in (errors | {"default": "A problem"}).items():
        route.responses.setdefault(status, _problem(description))


def with_components(openapi: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """An application's ``openapi`` whose document has what the descriptions of `describe` refer to."""

    def document() -> dict[str, Any]:
        made = openapi()
        components = made.setdefault("components", {})
        components.setdefault("schemas", {}).setdefault("Problem", PROBLEM)
        components.setdefault("securitySchemes", {}).setdefault(BEARER, SCHEME)
        return made

    return document


def _security(access: Access) -> list[dict[str, list[str]]]:
    """Each item lets in; with OpenAPI 3.1 every scheme may name what it must have been granted."""
    if isinstance(access, Public):
        return []
    return [{BEARER: [name]} for name in access.any_of] or [{BEARER: []}]


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
