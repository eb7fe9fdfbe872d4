"""What every route's description says: its security and its errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http.client import responses
from typing import Any, Final

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from objectkernel_contracts import Access, ErrorShape, Public, error_shape_of, raised_by

from objectkernel_http.error_shapes import SHAPES
from objectkernel_http.problems import MEDIA_TYPE, TYPE

BEARER: Final = "bearer"
JSON: Final = "application/json"
PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457). `code` is stable.",
    "required": ["type", "title", "status", "detail", "code"],
    "examples": [
        {
            "type": "urn:objectkernel:error:H422",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "the request is not what this route takes",
            "code": "H422",
            "errors": [{"in": "body", "at": "/amount", "detail": "Field required"}],
        }
    ],
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

CLOSED: Final = {401: "No credential that is known", 403: "The credential is not for this"}
BODY: Final = {408: "The body comes too slowly", 413: "The body is too long"}
INVALID: Final = {422: "The request is not what this route takes"}


def describe(route: APIRoute, access: Access) -> None:
    """Say in a route's description who may use it, and what its errors look like."""
    told = dict(route.openapi_extra or {})
    told.setdefault("security", _security(access))
    route.openapi_extra = told
    shape = error_shape_of(route.endpoint)
    for status, problems in _problems(route, access).items():
        description = next(iter(problems.values())) if len(problems) == 1 else responses.get(status, "Error")
        examples = {code: _example(status, code, meaning) for code, meaning in problems.items()}
        route.responses.setdefault(status, _answer(description, examples, shape))
    route.responses.setdefault("default", _answer("What may be the matter with any request", ANY, shape))


def _problems(route: APIRoute, access: Access) -> dict[int, dict[str, str]]:
    """By status the codes of a route's errors, each with what it means: the host's own, and what its function says."""
    own = {} if isinstance(access, Public) else dict(CLOSED)
    own |= {} if route.body_field is None else BODY
    declared = raised_by(route.endpoint)
    if _takes_something(route) and not any(raised.invalid for raised in declared):
        own |= INVALID
    found: dict[int, dict[str, str]] = {status: {f"H{status}": meaning} for status, meaning in own.items()}
    for raised in declared:
        meaning = (raised.kind.__doc__ or raised.kind.__name__).split("\n")[0].partition(" Attributes: ")[0]
        found.setdefault(raised.status, {})[raised.kind.code] = meaning
    return dict(sorted(found.items()))


def _takes_something(route: APIRoute) -> bool:
    return route.body_field is not None or _takes_parameters(route.dependant)


def _takes_parameters(dependant: Dependant) -> bool:
    own = dependant.path_params or dependant.query_params or dependant.header_params or dependant.cookie_params
    return bool(own) or any(_takes_parameters(one) for one in dependant.dependencies)


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


def _answer(description: str, examples: Mapping[str, Any], name: ErrorShape | None) -> dict[str, Any]:
    """An error's description, with an example of each problem that it may be, in the shape that the route has."""
    if name is None:
        content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": dict(examples)}
        return {"description": description, "content": {MEDIA_TYPE: content}}
    shape = SHAPES[name]
    is_json = shape.media_type == JSON
    told = {code: {**one, "value": shape.told(one["value"])} for code, one in examples.items()}
    if is_json:
        told = {code: {**one, "value": json.loads(one["value"])} for code, one in told.items()}
    content = {"schema": {"type": "object" if is_json else "string"}, "examples": told}
    return {"description": description, "content": {shape.media_type: content}}


def _example(status: int, code: str, meaning: str) -> dict[str, Any]:
    title = responses.get(status, "Error")
    value = {"type": f"{TYPE}{code}", "title": title, "status": status, "detail": meaning, "code": code}
    return {"summary": meaning, "value": value}


ANY: Final = {
    f"H{status}": _example(status, f"H{status}", meaning)
    for status, meaning in {
        400: "The request cannot be read",
        415: "The body is of a kind, or in a coding, that is not read",
        429: "Too many requests",
        431: "The headers are too long",
        500: "The host failed",
        503: "What this needs is away for the moment",
    }.items()
}
"""Whatever the route, the host may answer with these."""
