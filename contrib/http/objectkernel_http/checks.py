"""What a plugin's router must be, to be served: everything that is wrong with it is told before anything is served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args

import attrs
from fastapi import APIRouter
from fastapi.params import Form
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from objectkernel.errors import KernelError
from objectkernel.plugin import code_place
from objectkernel_contracts import Access, Public, RouterMaker, access_of
from objectkernel_contracts.access import PARAMETER
from pydantic import BaseModel, RootModel

from objectkernel_http.errors import RouteConflict, RouteInvalid, RouterBroken, RouteUndeclared
from objectkernel_http.guard import Guard

TAKE_ONE: Final = "take the whole body as one model"
MAKE_IT_REFUSE: Final = 'give the model `model_config = ConfigDict(extra="forbid")`'


@attrs.frozen(kw_only=True)
class DeclaredRoute:
    """A route that may be served.

    Attributes:
        methods: in capitals, sorted.
        path: with its router's prefix, without the application's; parameters in braces.
        access: who may use it.
        where: ``file:line`` of its function.
    """

    route: APIRoute
    methods: tuple[str, ...]
    path: str
    access: Access
    where: str

    @property
    def names(self) -> Iterator[str]:
        """``GET /path``, for each of its methods."""
        return (f"{method} {self.path}" for method in self.methods)


def made_router(make: RouterMaker) -> APIRouter:
    """The router that a plugin contributes.

    Raises:
        RouterBroken: making it raised, or gave something else.
    """
    where = code_place(make)
    try:
        router: object = make()
    except Exception as error:
        broken = RouterBroken(
            f"making a router raised {type(error).__name__}",
            where=where,
            why="a plugin contributes it to the extension 'routers'",
            fix="correct the function; the log has its traceback",
        )
        raise broken from error
    if not isinstance(router, APIRouter):
        raise RouterBroken(
            f"what should make a router gave {type(router).__name__}",
            where=where,
            why="items of the extension 'routers' are functions that return a fastapi.APIRouter",
            fix="return one, or give the function and not its result",
        )
    return router


def declared_routes(router: APIRouter, problems: list[KernelError]) -> list[DeclaredRoute]:
    """The routes of a router; whatever is wrong with them is added to `problems`."""
    found: list[DeclaredRoute] = []
    for context in iter_route_contexts(router.routes):
        route = context.original_route
        if not isinstance(route, APIRoute):
            problems.append(_other(route))
            continue
        where = code_place(route.endpoint)
        name = f"{'/'.join(sorted(route.methods or ()))} {context.path}"
        access = access_of(route.endpoint)
        if access is None:
            problems.append(_undeclared(name, where))
            continue
        wrong = list(_wrong(name, where, context, route, access))
        problems += wrong
        if not wrong:
            methods = tuple(sorted(route.methods or ()))
            found.append(
                DeclaredRoute(route=route, methods=methods, path=context.path or "", access=access, where=where)
            )
    return found


def conflicts(routes: Iterable[DeclaredRoute]) -> Iterator[KernelError]:
    """Routes that another one hides, since both have one method and one path."""
    seen: dict[str, DeclaredRoute] = {}
    for declared in routes:
        for name in declared.names:
            first = seen.setdefault(name, declared)
            if first is not declared:
                yield RouteConflict(
                    f"there are two routes {name}",
                    where=declared.where,
                    why=f"the first one, at {first.where}, answers for both",
                    fix="give one of them another path",
                    route=name,
                )


def _other(route: object) -> RouteInvalid:
    kind, path = type(route).__name__, getattr(route, "path", "")
    return RouteInvalid(
        f"a router has a {kind} {path}".rstrip(),
        why="the host keeps access, limits and errors of HTTP routes; it could not keep them here",
        fix="declare routes with @router.get and the like",
        route=path,
    )


def _undeclared(name: str, where: str) -> RouteUndeclared:
    return RouteUndeclared(
        f"the route {name} does not say who may use it",
        where=where,
        why="a route without a declaration is not served",
        fix='write @requires(Scope("...")), or @public(), between the route\'s decorator and its function',
        route=name,
    )


def _wrong(name: str, where: str, context: RouteContext, route: APIRoute, access: Access) -> Iterator[RouteInvalid]:
    guarded = vars(route).get("handle")
    if isinstance(guarded, Guard) and guarded.kernel.state in ("initializing", "running", "degraded"):
        yield RouteInvalid(
            f"the route {name} is served already",
            where=where,
            why="one router cannot be in two places: each has limits, and a kernel, of its own",
            fix="let the plugin's function make a new router each time it is called",
            route=name,
        )
    for parameter in sorted(_parameters(access) - set(context.param_convertors)):
        yield RouteInvalid(
            f"the scope of {name} names {{{parameter}}}, which its path has not",
            where=where,
            why="nobody could ever have such a scope",
            fix="name a parameter of the path",
            route=name,
        )
    for model in sorted(_open_models(route), key=lambda one: one.__name__):
        yield RouteInvalid(
            f"the body of {name} ignores unknown fields",
            where=where,
            why=f"the model {model.__name__} lets them pass unseen: a misspelt field would be lost in silence",
            fix=TAKE_ONE if model.__module__.startswith("fastapi.") else MAKE_IT_REFUSE,
            route=name,
        )


def _parameters(access: Access) -> set[str]:
    names = () if isinstance(access, Public) else access.any_of
    return {found for name in names for found in PARAMETER.findall(name)}


def _open_models(route: APIRoute) -> set[type[BaseModel]]:
    """The models of a JSON body that ignore fields; one that keeps what it does not know shows it to its route."""
    field = route.body_field
    if field is None or isinstance(field.field_info, Form):
        return set()
    todo: list[Any] = [field.field_info.annotation]
    seen: set[type[BaseModel]] = set()
    while todo:
        kind = todo.pop()
        todo += get_args(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
            seen.add(kind)
            todo += [inner.annotation for inner in kind.model_fields.values()]
    fielded = {model for model in seen if not issubclass(model, RootModel)}
    return {model for model in fielded if model.model_config.get("extra", "ignore") == "ignore"}
