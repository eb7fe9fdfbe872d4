"""The routes of the data plane, and those of its administrators; a host includes them into its application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

import attrs
from fastapi import APIRouter, Query
from objectkernel_contracts import Scope, requires
from pydantic import BaseModel
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from objectkernel_system_dialect import http_models as models
from objectkernel_system_dialect.data_plug import DataPlug
from objectkernel_system_dialect.http_idempotency import LONGEST_KEY
from objectkernel_system_dialect.http_models import GENERIC, EntityModels, entity_models
from objectkernel_system_dialect.http_plane import DataPlane, raw_segment
from objectkernel_system_dialect.http_route import HttpLimits, expect_known, route_class
from objectkernel_system_dialect.rest_api import (
    ADMIN,
    IDEMPOTENCY_HEADER,
    PREFIX,
    PROBLEM,
    READ,
    ROUTES,
    TENANT_HEADER,
    WRITE,
)


class KeyConvertor(Convertor[str]):
    """A key in a path, which may have whatever a text may have: slashes, and ends of lines too."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("data_key", KeyConvertor())


@attrs.frozen
class Operation:
    """One route for each entity: what it takes, and what it answers.

    Attributes:
        body: its body: a model, or the name of one of `EntityModels`.
        parameters: of its query.
        answer: as `body`; None: nothing.
    """

    summary: str
    answer: type[BaseModel] | str | None
    body: type[BaseModel] | str | None = None
    parameters: type[BaseModel] | None = None
    status: HTTPStatus = HTTPStatus.OK


OPERATIONS: Final[Mapping[str, Operation]] = {  # a key may have slashes: paths that say more come first
    "list": Operation("List rows", "page", parameters=models.ListParameters),
    "query": Operation("List rows by a filter of any size", "page", body=models.Query),
    "count": Operation("Count rows", models.Counted, body=models.Matching),
    "exists": Operation("Ask whether a row matches", models.Existing, body=models.Matching),
    "distinct": Operation("List the different values of a field", models.Values, body=models.Distinct),
    "aggregate": Operation("Group rows and sum them up", models.Groups, body=models.Pipeline),
    "search": Operation("Find rows with certain words", "page", body=models.Search),
    "create": Operation("Create a row", "row", body="new", status=HTTPStatus.CREATED),
    "upsert": Operation("Create a row, or change the one with its key", "row", body="new"),
    "bulk": Operation("Create, change or delete many rows, all or none", None, body=models.Bulk),
    "increment": Operation("Add to a number", "row", body=models.Increment),
    "add_to_set": Operation("Add a value to an array unless it is there", "row", body=models.SetChange),
    "pull": Operation("Take a value out of an array", "row", body=models.SetChange),
    "undelete": Operation("Bring a softly deleted row back", "row", body=models.Nothing),
    "read": Operation("Read a row", "row", parameters=models.ReadParameters),
    "patch": Operation("Change a row", "row", body="changes"),
    "delete": Operation("Delete a row", None, parameters=models.DeleteParameters, status=HTTPStatus.NO_CONTENT),
}
HELD: Final = frozenset({"patch", "delete", "increment", "add_to_set", "pull"})
"""What changes one row that is there, and holds it to ``If-Match``."""
ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "A problem (RFC 9457)",
        "content": {
            PROBLEM: {
                "schema": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail", "code"],
                    "properties": {
                        "type": {"type": "string", "format": "uri"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "code": {"type": "string"},
                    },
                }
            }
        },
    }
}


def data_router(plane: DataPlane) -> APIRouter:
    """The routes below ``/api/v1/data``.

    An entity is served as soon as its schema is registered. The document describes those that are when this is called.
    """
    router = APIRouter(prefix=PREFIX, tags=["data"], route_class=route_class(plane.limits))

    @router.get("", summary="What is served", response_model=models.Described, responses=ERRORS)
    @requires(Scope())
    async def describe(request: Request) -> Response:
        return await plane.describe(request)

    _add(router, plane, None, GENERIC)
    known = plane.entities.known()
    by_name = {schema.name: schema for schema in known.schemas}
    for name, entity in known.served.items():
        _add(router, plane, name, entity_models(entity.schema, by_name))
    return router


def _add(router: APIRouter, plane: DataPlane, name: str | None, own: EntityModels) -> None:
    """Add the routes of one entity, or, not in the document, of whichever the path names."""
    for key, operation in OPERATIONS.items():
        route = ROUTES[key]
        answer = getattr(own, operation.answer) if isinstance(operation.answer, str) else operation.answer
        scope = WRITE if route.writes else READ
        endpoint = _endpoint(plane, key, operation, name, own)
        router.add_api_route(
            ("/{entity}" if name is None else f"/{name}") + route.path.replace("{id}", "{id:data_key}"),
            requires(Scope(scope, f"{scope}:{name or '{entity}'}"))(endpoint),
            methods=[route.method],
            name=f"{name or 'entity'}.{key}",
            summary=operation.summary,
            status_code=operation.status,
            response_model=None,
            responses={**ERRORS, **({int(operation.status): {"model": answer}} if answer is not None else {})},
            tags=None if name is None else [name],
            openapi_extra=_parameters(key),
            include_in_schema=name is not None,
        )


def _endpoint(
    plane: DataPlane, key: str, operation: Operation, name: str | None, own: EntityModels
) -> Callable[..., Awaitable[Response]]:
    """The function of a route, with the signature that FastAPI reads."""
    perform = getattr(plane, key)
    has_key, held = "{id}" in ROUTES[key].path, key in HELD

    async def endpoint(request: Request, given: Any) -> Response:
        expect_known(request, operation.parameters is not None, held)
        place = (raw_segment(request, key, request.path_params["id"]),) if has_key else ()
        asked = plane.entities.asked(request, name or request.path_params["entity"])
        with asked.telling():
            response: Response = await perform(asked, *place, given)
        return response

    kind: Any = getattr(own, operation.body) if isinstance(operation.body, str) else operation.body
    if operation.parameters is not None:
        kind = Annotated[operation.parameters, Query()]
    endpoint.__annotations__ |= {"request": Request, "given": kind}
    return endpoint


def _parameters(key: str) -> dict[str, Any]:
    """What is read from the request itself, for the document."""
    route = ROUTES[key]
    headers = {TENANT_HEADER: "for which tenant, with the scope data:tenants"}
    if route.writes:
        headers[IDEMPOTENCY_HEADER] = "the same for each attempt of one write: it is made once"
    if key in HELD:
        headers["If-Match"] = "the ETag that the row must have"
    text = {"type": "string"}
    shapes = {IDEMPOTENCY_HEADER: {**text, "pattern": "^[ -~]+$", "maxLength": LONGEST_KEY}}
    made: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": description,
            "schema": shapes.get(name, text),
        }
        for name, description in headers.items()
    ]
    if "{id}" in route.path:
        description = "the key, percent-encoded; of several fields, with commas between"
        made.append({"name": "id", "in": "path", "required": True, "description": description, "schema": text})
    return {"parameters": made}


def admin_router(plug: DataPlug, limits: HttpLimits | None = None) -> APIRouter:
    """The routes that switch the business database. No URI is stored, logged or answered."""
    router = APIRouter(prefix="/api", tags=["data administration"], route_class=route_class(limits or HttpLimits()))

    @router.post("/change-dialect", summary="Use another database", response_model=models.Done, responses=ERRORS)
    @requires(Scope(ADMIN))
    async def change_dialect(body: models.ChangeDialect) -> Response:
        await plug.change_dialect(body.dialect, body.uri.get_secret_value(), body.schema_strategy)
        return JSONResponse({"changed": True})

    @router.post("/reload-config", summary="Read the settings again", response_model=models.Done, responses=ERRORS)
    @requires(Scope(ADMIN))
    async def reload_config() -> Response:
        return JSONResponse({"changed": await plug.reload_config()})

    @router.post("/reconnect", summary="Connect anew", response_model=models.Done, responses=ERRORS)
    @requires(Scope(ADMIN))
    async def reconnect() -> Response:
        await plug.reconnect()
        return JSONResponse({"changed": True})

    return router
