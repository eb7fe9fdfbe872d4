"""What a plugin's router must be, to be served: everything that is wrong with it is told before anything is served."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import is_dataclass
from typing import Any, Final, get_args, get_type_hints

import attrs
from fastapi import APIRouter
from fastapi.params import Form
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from objectkernel.errors import KernelError
from objectkernel.plugin import code_place
from objectkernel_contracts import Access, Public, RouterMaker, access_of
from objectkernel_contracts.access import PARAMETER
from pydantic import BaseModel, RootModel
from starlette.routing import BaseRoute

from objectkernel_http.errors import RouteConflict, RouteInvalid, RouterBroken, RouteUndeclared
from objectkernel_http.guard import Guard

TAKE_ONE: Final = "take the whole body as one model"
MAKE_IT_REFUSE: Final = 'give the model `model_config = ConfigDict(extra="forbid")`'
SAY_IT_REFUSES: Final = 'put @with_config(ConfigDict(extra="forbid")) of pydantic before the class'
NAME: Final = re.compile(r"\{\w+")
"""Of a parameter of a path."""


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


def made_router(make: RouterMaker) -> APIRouter:
    """The router that a plugin contributes.

    Raises:
        RouterBroken: making it raised, or gave something else.
    """
    where = code_place(make)
    try:
        router: object = make()
    except (Exception, SystemExit) as error:
        broken = RouterBroken(
            f"making a router raised {type(error).__name__}",
            where=where,
            why=[str(error) or "it says nothing", "a plugin contributes it to the extension 'routers'"],
            fix="install what is missing, such as the plugin's extra for HTTP"
            if isinstance(error, ImportError)
            else "correct the function; the log has its traceback",
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
    if any(router._iter_low_priority_routes()):  # FastAPI keeps them apart, and asks them after all others
        problems.append(_refused("a router serves the files of a folder", ""))
    return found


class ClosedRoutes(list[BaseRoute]):
    """The routes of a router that is served: one that came later would be reached without a guard."""

    def append(self, route: BaseRoute) -> None:
        """Called by the router when a route is declared.

        Raises:
            RouteInvalid: it is too late.
        """
        path = getattr(route, "path", "")
        raise RouteInvalid(
            f"a route {path or type(route).__name__} was added to a router that is served already",
            why="what a router serves is checked, and guarded, before",
            fix="declare all routes in the function that makes the router",
            route=path,
        )


def close(router: APIRouter) -> None:
    """Let a router, and those that are included in it, have no more routes than it has."""
    for route in router.routes:
        inner = getattr(route, "original_router", None)
        if isinstance(inner, APIRouter):
            close(inner)
    # FastAPI looks at these for each request, and only ever appends to them
    router.routes = ClosedRoutes(router.routes)
    router._low_priority_routes = ClosedRoutes()


def conflicts(
    routes: Iterable[DeclaredRoute], others: Iterable[RouteContext] = (), prefix: str = ""
) -> Iterator[KernelError]:
    """Routes of which one hides the other, since both have one method and one path.

    Args:
        others: of the application that they are served in.
        prefix: what `routes` have there before their paths.
    """
    seen = {(method, _shape(one.path)): "a route of the host" for one in others for method in one.methods or ()}
    for declared in routes:
        for method in declared.methods:
            key = method, _shape(prefix + declared.path)
            if key not in seen:
                seen[key] = f"the one at {declared.where}"
                continue
            name = f"{method} {declared.path}"
            yield RouteConflict(
                f"there are two routes {name}",
                where=declared.where,
                why=f"one of the two answers for both, and the other one is {seen[key]}",
                fix="give one of them another path",
                route=name,
            )


def _shape(path: str | None) -> str:
    """A path without the names of its parameters."""
    return NAME.sub("{", path or "")


def _other(route: object) -> RouteInvalid:
    kind, path = type(route).__name__, getattr(route, "path", "")
    return _refused(f"a router has a {kind} {path}".rstrip(), path)


def _refused(what: str, path: str) -> RouteInvalid:
    return RouteInvalid(
        what,
        why="the host keeps access, limits and errors of HTTP routes; it could not keep them here",
        fix="declare routes with @router.get and the like; contribute an application to the extension 'mounts'",
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
    for parameter in sorted(parameters_of(access) - set(context.param_convertors)):
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
            fix=_how_to_refuse(model),
            route=name,
        )


def _how_to_refuse(model: type) -> str:
    if not issubclass(model, BaseModel):
        return SAY_IT_REFUSES
    return TAKE_ONE if model.__module__.startswith("fastapi.") else MAKE_IT_REFUSE


def parameters_of(access: Access) -> set[str]:
    """The parameters of a path that the names of a scope have in braces."""
    names = () if isinstance(access, Public) else access.any_of
    return {found for name in names for found in PARAMETER.findall(name)}


def _open_models(route: APIRoute) -> set[type]:
    """The models of a JSON body that ignore fields; one that keeps what it does not know shows it to its route."""
    field = route.body_field
    if field is None or isinstance(field.field_info, Form):
        return set()
    todo: list[Any] = [field.field_info.annotation]
    seen: set[type] = set()
    while todo:
        kind = todo.pop()
        todo += get_args(kind)
        if isinstance(kind, type) and kind not in seen and (issubclass(kind, BaseModel) or _fielded(kind)):
            seen.add(kind)
            todo += _inner(kind)
    return {kind for kind in seen if not issubclass(kind, RootModel) and _extra(kind) == "ignore"}


def _fielded(kind: type) -> bool:
    """Whether it has fields without being a model: pydantic makes these of JSON objects too."""
    return is_dataclass(kind) or hasattr(kind, "__total__")  # a TypedDict, whosever


def _inner(kind: type) -> list[Any]:
    """The types of its fields."""
    if issubclass(kind, BaseModel):
        return [inner.annotation for inner in kind.model_fields.values()]
    with suppress(NameError):  # of a class within a function
        return list(get_type_hints(kind).values())
    return []


def _extra(kind: type) -> str:
    """What becomes of fields that it does not know."""
    config = kind.model_config if issubclass(kind, BaseModel) else getattr(kind, "__pydantic_config__", {})
    return str(config.get("extra") or "ignore")
