"""The routes of the data plane for databases that only a request can name: one router serves them all."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final, TypeVar

from fastapi import APIRouter
from objectkernel.errors import KernelError
from objectkernel_contracts import Audit, Scope, raises, requires
from starlette.requests import Request
from starlette.responses import Response

from objectkernel_system_dialect import http_models as models
from objectkernel_system_dialect.data_routes import DialectOf
from objectkernel_system_dialect.http import HELD, OPERATIONS, add_route, path_parameter
from objectkernel_system_dialect.http_entities import Known, ServedEntities, known_of
from objectkernel_system_dialect.http_entity_models import GENERIC, PATH_KEY
from objectkernel_system_dialect.http_errors import AWAY
from objectkernel_system_dialect.http_plane import DataPlane, raw_segment
from objectkernel_system_dialect.http_route import HttpLimits, expect_known, route_class
from objectkernel_system_dialect.problems import status_of_kind
from objectkernel_system_dialect.rest_api import IDEMPOTENCY_HEADER, ROUTES
from objectkernel_system_dialect.schema import EntitySchema

K = TypeVar("K")
V = TypeVar("V")

PARAMETER: Final = re.compile(r"\{(\w+)\}")
PATH: Final = re.compile(r"(?:/(?:[\w.~-]+|\{[A-Za-z_]\w*\}))+", re.ASCII)
OWN: Final = frozenset({"entity", "id"})
"""Parameters that the routes have themselves."""
SETS: Final = 256
"""Sets of entities of which it is kept what has been worked out for them."""
SWEPT: Final = 4096
"""Databases of which it is kept when they were swept."""
SWEEP_PAUSE: Final = 10.0
"""Seconds between two times that the records of ``Idempotency-Key`` in one database are looked through."""
ENTITY: Final = path_parameter(
    "entity",
    "the entity: its collection, and its name too where several share that",
    {"type": "string", "examples": ["books"]},
)


class Databases:
    """Planes of the dialects that requests are about, made for each of them from what is kept.

    Args:
        path: the prefix of the routes.
    """

    def __init__(self, path: str, dialect_of: DialectOf, limits: HttpLimits, audit: Audit | None) -> None:
        self._path = path
        self._names = tuple(PARAMETER.findall(path))
        self._dialect_of = dialect_of
        self._limits = limits
        self._audit = audit
        self._known: OrderedDict[tuple[int, ...], Known] = OrderedDict()
        self._swept: OrderedDict[tuple[str, ...], float] = OrderedDict()

    async def plane(self, request: Request) -> DataPlane:
        """The plane that a request is about."""
        dialect = await self._dialect_of(request)
        database = {name: request.path_params[name] for name in self._names}
        entities = ServedEntities(dialect, path=self._path, database=database, make=self._kept)
        return DataPlane(dialect, limits=self._limits, audit=self._audit, entities=entities)

    def _kept(self, schemas: tuple[EntitySchema, ...]) -> Known:
        """What is worked out for schemas: it holds them, so that no others have their ids."""
        ids = tuple(map(id, schemas))
        known = self._known.get(ids)
        if known is None:
            known = known_of(schemas)
        return _keep(self._known, ids, known, SETS)

    async def sweep(self, request: Request, plane: DataPlane) -> None:
        """Remove old records of ``Idempotency-Key`` from the database of a request, unless that was done just now."""
        place = tuple(request.path_params[name] for name in self._names)
        now = monotonic()
        if now - self._swept.get(place, -SWEEP_PAUSE) >= SWEEP_PAUSE:
            _keep(self._swept, place, now, SWEPT)
            with suppress(KernelError):  # the write is made, whatever has become of the database since
                await plane.idempotency.sweep(batches=1)


def databases_router(
    prefix: str,
    dialect_of: DialectOf,
    limits: HttpLimits,
    audit: Audit | None,
    *,
    tags: Sequence[str],
    errors: Sequence[type[KernelError]],
) -> APIRouter:
    """See `DataRoutes.router`."""
    names = PARAMETER.findall(prefix)
    if PATH.fullmatch(prefix) is None or not OWN.isdisjoint(names) or len(set(names)) < len(names):
        raise ValueError(f"{prefix!r} is no prefix: /words and /{{parameters}}, none twice, none called entity or id")
    databases = Databases(prefix, dialect_of, limits, audit)
    places = [path_parameter(name, "which database", PATH_KEY) for name in names]
    router = APIRouter(prefix=prefix, tags=list(tags), route_class=route_class(limits))

    @router.get("", summary="What is served", response_model=models.Described, openapi_extra={"parameters": [*places]})
    @requires(Scope())
    @raises(*AWAY, *errors, status=status_of_kind)
    async def describe(request: Request) -> Response:
        return await (await databases.plane(request)).describe(request)

    for key in OPERATIONS:
        endpoint = _endpoint(databases, key)
        add_route(router, key, endpoint, GENERIC, entity=None, shown=True, errors=errors, parameters=[*places, ENTITY])
    return router


def _endpoint(databases: Databases, key: str) -> Callable[..., Awaitable[Response]]:
    """The function of a route."""
    operation, route, held = OPERATIONS[key], ROUTES[key], key in HELD
    has_key = "{id}" in route.path

    async def endpoint(request: Request, given: Any) -> Response:
        expect_known(request, operation.parameters is not None, held)
        place = (raw_segment(request, key, request.path_params["id"]),) if has_key else ()
        plane = await databases.plane(request)
        asked = plane.entities.asked(request, request.path_params["entity"])
        with asked.telling():
            response: Response = await getattr(plane, key)(asked, *place, given)
        if route.writes and IDEMPOTENCY_HEADER in request.headers:
            await databases.sweep(request, plane)
        return response

    return endpoint


def _keep(kept: OrderedDict[K, V], key: K, value: V, most: int) -> V:
    """Keep a value as the one that was used last, and let go of those that were not used for longest."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
    return value
