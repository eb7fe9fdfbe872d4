"""The page that describes an application for people: one file, which loads nothing and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs
from fastapi import FastAPI
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from objectkernel_http.openapi import BEARER

PATH: Final = "/docs"
OTHERS: Final = "other"
"""The heading of routes without a tag."""


@attrs.frozen(kw_only=True)
class Operation:
    """One method of one path, as the page shows it.

    Attributes:
        access: in words: who may use it.
        body, and each of the responses: media types with what they hold: schema, and examples by name.
    """

    id: str
    method: str
    path: str
    summary: str
    description: str
    access: str
    parameters: list[Mapping[str, Any]]
    body: Mapping[str, Any]
    responses: Mapping[str, Any]


def add_documentation(app: FastAPI) -> None:
    """Serve the page of an application at ``/docs``."""

    async def documentation(request: Request) -> Response:
        text = page(app.openapi(), request.scope.get("root_path", "").rstrip("/"))
        return HTMLResponse(text, headers={"Content-Security-Policy": POLICY})

    app.add_route(PATH, documentation, include_in_schema=False)


def page(document: Mapping[str, Any], root: str) -> str:
    """An OpenAPI document as HTML.

    Args:
        root: what stands before each path where the application is reached.
    """
    groups: dict[str, list[Operation]] = {}
    for group, operation in _operations(document):
        groups.setdefault(group, []).append(operation)
    return TEMPLATE.render(
        info=document["info"],
        openapi=document["openapi"],
        schemas=document.get("components", {}).get("schemas", {}),
        groups=groups,
        root=root,
        style=STYLE,
    )


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Operation]]:
    for path, methods in document.get("paths", {}).items():
        for method, told in methods.items():
            yield (
                (told.get("tags") or [OTHERS])[-1],
                Operation(
                    id=told["operationId"],
                    method=method.upper(),
                    path=path,
                    summary=told["summary"],
                    description=told.get("description", ""),
                    access=_access(told.get("security")),
                    parameters=[{"description": "", **one} for one in told.get("parameters", ())],
                    body=_content(told.get("requestBody", {})),
                    responses={status: {**one, "content": _content(one)} for status, one in told["responses"].items()},
                ),
            )


def _content(told: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {kind: {"schema": {}, "examples": {}, **one} for kind, one in told.get("content", {}).items()}


def _access(security: list[Mapping[str, list[str]]] | None) -> str:
    """In words. A route of the host itself may say nothing."""
    if security is None:
        return ""
    scopes = [scope for one in security for scope in one.get(BEARER, ())]
    if scopes:
        return f"Needs the scope {' or '.join(scopes)}."
    return "Needs a credential." if security else "For everybody."


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("objectkernel_http"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["json"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    return made


ENVIRONMENT: Final = _environment()
TEMPLATE: Final = ENVIRONMENT.get_template("documentation.html")
STYLE: Final = Markup(ENVIRONMENT.get_template("documentation.css").render())
POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
