"""What the document of an API does not say of its routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from objectkernel.kernel import ObjectKernel

from objectkernel_http.application import asgi_app, kernel_lifespan
from objectkernel_http.guard import Guard
from objectkernel_http.problems import MEDIA_TYPE
from objectkernel_http.testing.examples import Shape, Unexampled, example_of


async def undescribed(kernel: ObjectKernel) -> tuple[str, ...]:
    """Boot a kernel, read what its document says of each route, stop it, and tell what is missing, a line each.

    A route has a summary of its own; its parameters, and what it takes and answers as JSON or as a form, have examples:
    by themselves, or each of their parts. ``assert await undescribed(kernel) == ()``
    """
    app = asgi_app(kernel)
    async with kernel_lifespan(kernel)(app):
        return (*_without_summary(app), *_without_examples(app.openapi()))


def _without_summary(app: FastAPI) -> Iterator[str]:
    for context in iter_route_contexts(app.router.routes):
        route = context.original_route
        guarded = isinstance(vars(route).get("handle"), Guard)
        if guarded and isinstance(route, APIRoute) and route.include_in_schema and not route.summary:
            yield f"{'/'.join(sorted(route.methods or ()))} {context.path}: it has no summary"


def _without_examples(document: Shape) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for place, told in _told(operation):
                try:
                    example_of(told, document)
                except Unexampled as missing:
                    yield f"{method.upper()} {path}: no example of {place}{missing.place}"


def _told(operation: Shape) -> Iterator[tuple[str, Shape]]:
    """Everything of an operation that is to have an example."""
    for parameter in operation.get("parameters", ()):
        yield f"the {parameter['in']} parameter {parameter['name']}", parameter
    for kind, content in _content(operation.get("requestBody", {})):
        yield f"the body ({kind})", content
    for status, answer in operation["responses"].items():
        for kind, content in _content(answer):
            yield f"the answer {status} ({kind})", content


def _content(told: Shape) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What is JSON, or a form; pages and files speak for themselves."""
    for kind, content in told.get("content", {}).items():
        if kind != MEDIA_TYPE and (kind.endswith(("/json", "+json")) or "form" in kind):
            yield kind, content
