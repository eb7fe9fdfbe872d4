"""The routes of the data plane, and those of its administrators; a host includes them into its application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final

import attrs
from fastapi import APIRouter, Query
from objectkernel.errors import KernelError
from objectkernel_contracts import Audit, Scope, raises, requires
from pydantic import BaseModel
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from objectkernel_system_dialect import http_models as models
from objectkernel_system_dialect.data_plug import DataPlug
from objectkernel_system_dialect.errors import RequestInvalid
from objectkernel_system_dialect.http_changes import Switches
from objectkernel_system_dialect.http_entity_models import GENERIC, EntityModels, entity_models
from objectkernel_system_dialect.http_errors import CHANGE, SWITCH, errors_of
from objectkernel_system_dialect.http_idempotency import LONGEST_KEY
from objectkernel_system_dialect.http_plane import DataPlane, raw_segment
from objectkernel_system_dialect.http_route import HttpLimits, expect_known, route_class
from objectkernel_system_dialect.problems import status_of_kind
from objectkernel_system_dialect.rest_api import (
    ADMIN,
    IDEMPOTENCY_HEADER,
    PREFIX,
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
    """One route for each entity: what it takes, and what it answers; a text is the name of one of `EntityModels`.

    Attributes:
        body: the model of its body.
        parameters: of its query.
        answer: as `body`; None: nothing.
    """

    summary: str
    answer: type[BaseModel] | str | None
    body: str | None = None
    parameters: type[BaseModel] | str | None = None
    status: HTTPStatus = HTTPStatus.OK


OPERATIONS: Final[Mapping[str, Operation]] = {  # a key may have slashes: paths that say more come first
    "list": Operation("List rows", "page", parameters="list"),
    "query": Operation("List rows by a filter of any size", "page", body="query"),
    "count": Operation("Count rows", models.Counted, body="matching"),
    "exists": Operation("Ask whether a row matches", models.Existing, body="matching"),
    "distinct": Operation("List the different values of a field", models.Values, body="distinct"),
    "aggregate": Operation("Group rows and sum them up", models.Groups, body="aggregate"),
    "search": Operation("Find rows with certain words", "page", body="search"),
    "create": Operation("Create a row", "row", body="new", status=HTTPStatus.CREATED),
    "upsert": Operation("Create a row, or change the one with its key", "row", body="new"),
    "bulk": Operation("Create, change or delete many rows, all or none", models.BulkDone, body="bulk"),
    "increment": Operation("Add to a number", "row", body="increment"),
    "add_to_set": Operation("Add a value to an array unless it is there", "row", body="set_change"),
    "pull": Operation("Take a value out of an array", "row", body="set_change"),
    "undelete": Operation("Bring a softly deleted row back", "row", body="nothing"),
    "read": Operation("Read a row", "row", parameters="read"),
    "patch": Operation("Change a row", "row", body="changes"),
    "delete": Operation("Delete a row", None, parameters=models.DeleteParameters, status=HTTPStatus.NO_CONTENT),
}
HELD: Final = frozenset({"patch", "delete", "increment", "add_to_set", "pull"})
"""What changes one row that is there, and holds it to ``If-Match``."""


def data_router(plane: DataPlane) -> APIRouter:
    """The routes below ``/api/v1/data``.

    An entity is served as soon as its schema is registered. The document describes those that are when this is called.
    """
    router = APIRouter(prefix=PREFIX, tags=["data"], route_class=route_class(plane.limits))

    @router.get("", summary="What is served", response_model=models.Described)
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
        endpoint = _endpoint(plane, key, operation, name)
        add_route(router, key, endpoint, own, entity=name, shown=name is not None and key not in own.absent)


def add_route(
    router: APIRouter,
    key: str,
    endpoint: Callable[..., Awaitable[Response]],
    own: EntityModels,
    *,
    entity: str | None,
    shown: bool,
    errors: Sequence[type[KernelError]] = (),
    parameters: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Add the route of an operation.

    Args:
        endpoint: takes the request, and `given`: what the route takes.
        entity: as it is called in paths; None: as the path says.
        shown: whether it is in the document.
        errors: what it raises beside those of data access.
        parameters: what its path has beside the key, for the document.
    """
    operation, route = OPERATIONS[key], ROUTES[key]
    answer = own.named(operation.answer)
    scope = WRITE if route.writes else READ
    given: Any = own.named(operation.body)
    if operation.parameters is not None:
        given = Annotated[own.named(operation.parameters), Query()]
    endpoint.__annotations__ |= {"request": Request, "given": given}
    every = (*errors_of(key, body=operation.body is not None, held=key in HELD), *errors)
    told = raises(*every, status=status_of_kind, invalid=RequestInvalid)
    router.add_api_route(
        f"/{entity or '{entity}'}" + route.path.replace("{id}", "{id:data_key}"),
        requires(Scope(scope, f"{scope}:{entity or '{entity}'}"))(told(endpoint)),
        methods=[route.method],
        name=f"{entity or 'entity'}.{key}",
        summary=operation.summary,
        status_code=operation.status,
        response_model=None,
        responses={} if answer is None else {int(operation.status): {"model": answer}},
        tags=None if entity is None else [entity],
        openapi_extra=_parameters(key, own.key, parameters),
        include_in_schema=shown,
    )


def _endpoint(plane: DataPlane, key: str, operation: Operation, name: str | None) -> Callable[..., Awaitable[Response]]:
    """The function of a route."""
    perform = getattr(plane, key)
    has_key, held = "{id}" in ROUTES[key].path, key in HELD

    async def endpoint(request: Request, given: Any) -> Response:
        expect_known(request, operation.parameters is not None, held)
        place = (raw_segment(request, key, request.path_params["id"]),) if has_key else ()
        asked = plane.entities.asked(request, name or request.path_params["entity"])
        with asked.telling():
            response: Response = await perform(asked, *place, given)
        return response

    return endpoint


def _parameters(key: str, row: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is read from the request itself, for the document; `row`: what a key looks like."""
    route = ROUTES[key]
    made = [*others, _header(TENANT_HEADER, "for which tenant, with the scope data:tenants", {"examples": ["ada"]})]
    if route.writes:
        shape = {"pattern": "^[ -~]+$", "maxLength": LONGEST_KEY, "examples": ["4f8a2c1e-7d05-4b9a-8a53-c6e0f1d2b3a4"]}
        made.append(_header(IDEMPOTENCY_HEADER, "the same for each attempt of one write: it is made once", shape))
    if key in HELD:
        made.append(_header("If-Match", "the ETag that the row must have", {"examples": ['"1"']}))
    if "{id}" in route.path:
        made.append(path_parameter("id", "the key, percent-encoded; of several fields, with commas between", row))
    return {"parameters": made}


def path_parameter(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A part of a path, for the document."""
    return {"name": name, "in": "path", "required": True, "description": description, "schema": dict(schema)}


def _header(name: str, description: str, shape: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"type": "string", **shape}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def admin_router(plug: DataPlug, limits: HttpLimits | None = None, audit: Audit | None = None) -> APIRouter:
    """The routes that switch the business database. No URI is stored, logged or answered."""

    switches, made = raises(*SWITCH, status=status_of_kind), Switches(audit).made
    router = APIRouter(prefix="/api", tags=["data administration"], route_class=route_class(limits or HttpLimits()))

    @router.post("/change-dialect", summary="Use another database", response_model=models.Done)
    @requires(Scope(ADMIN))
    @raises(*CHANGE, status=status_of_kind, invalid=RequestInvalid)
    async def change_dialect(request: Request, body: models.ChangeDialect) -> Response:
        change = partial(plug.change_dialect, body.dialect, body.uri.get_secret_value(), body.schema_strategy)
        await made(request.state.principal, "data.change-dialect", body.dialect, change)
        return JSONResponse({"changed": True})

    @router.post("/reload-config", summary="Read the settings again", response_model=models.Done)
    @requires(Scope(ADMIN))
    @switches
    async def reload_config(request: Request) -> Response:
        principal, action = request.state.principal, "data.reload-config"
        changed = await made(principal, action, "business", plug.reload_config, lambda changed: {"changed": changed})
        return JSONResponse({"changed": changed})

    @router.post("/reconnect", summary="Connect anew", response_model=models.Done)
    @requires(Scope(ADMIN))
    @switches
    async def reconnect(request: Request) -> Response:
        await made(request.state.principal, "data.reconnect", "business", plug.reconnect)
        return JSONResponse({"changed": True})

    return router
