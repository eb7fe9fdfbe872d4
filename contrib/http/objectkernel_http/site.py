"""What one kernel serves: its plugins' routes, in every application that it was included into."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Final

import anyio
import attrs
from fastapi import APIRouter, FastAPI
from objectkernel.errors import BootError, KernelError
from objectkernel.kernel import ObjectKernel
from objectkernel_contracts import IDENTITY, ROUTERS, Public
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from objectkernel_http.checks import DeclaredRoute, conflicts, declared_routes, made_router
from objectkernel_http.errors import LifespanMissing
from objectkernel_http.guard import guard
from objectkernel_http.limits import HttpLimits
from objectkernel_http.openapi import describe
from objectkernel_http.problems import LOG, problem

ATTRIBUTE: Final = "_objectkernel_http_site"


@attrs.frozen(eq=False)
class Place:
    """An application that serves the kernel's routes, below a prefix.

    Attributes:
        mark: stands where the routes will be, and answers while they are not there.
    """

    app: FastAPI
    prefix: str
    limits: HttpLimits
    mark: Mount

    def routers(self, kernel: ObjectKernel) -> list[APIRouter]:
        """The routers of the plugins, made for this place.

        Raises:
            BootError: everything that is wrong with them.
        """
        problems: list[KernelError] = []
        routers: list[APIRouter] = []
        for make in kernel.contributions(ROUTERS):
            try:
                routers.append(made_router(make))
            except KernelError as error:
                problems.append(error)
        declared = [one for router in routers for one in declared_routes(router, problems)]
        problems += conflicts(declared)
        if problems:
            raise BootError(problems)
        for one in declared:
            guard(kernel, one.route, one.access, self.limits)
            describe(one.route, one.access)
        _warn(kernel, declared)
        return routers

    @contextmanager
    def filled(self, routers: Iterable[APIRouter]) -> Iterator[None]:
        """The routes of these routers in the place of the mark."""
        routes = self.app.router.routes
        before = len(routes)
        for router in routers:
            self.app.include_router(router, prefix=self.prefix)
        included = routes[before:]
        del routes[before:]
        at = next(number for number, route in enumerate(routes) if route is self.mark)
        routes[at : at + 1] = included
        try:
            yield
        finally:
            routes[:] = [route for route in routes if all(route is not one for one in included)]
            routes.insert(at, self.mark)


class Site:
    """The places where one kernel is served, and the one life that they share."""

    def __init__(self, kernel: ObjectKernel) -> None:
        self._kernel = kernel
        self._places: list[Place] = []
        self._open = False

    def add(self, app: FastAPI, prefix: str, limits: HttpLimits) -> None:
        """Serve the kernel's routes in an application, once `running` has begun."""
        mark = Mount(prefix, app=_NotStarted(self._kernel))
        app.router.routes.append(mark)
        self._places.append(Place(app, prefix, limits, mark))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Boot the kernel, serve its routes, and shut it down. Inside of itself it does nothing.

        A kernel that runs already is served, and left to whoever booted it.

        Raises:
            BootError, ShutdownError
            KernelStateInvalid: the kernel has run before.
        """
        if self._open:
            yield
            return
        self._open = True
        try:
            async with self._booted(), AsyncExitStack() as lives:
                for place in self._places:
                    routers = place.routers(self._kernel)
                    lives.enter_context(place.filled(routers))
                    for router in routers:
                        await lives.enter_async_context(router.lifespan_context(place.app))
                yield
        finally:
            self._open = False

    @asynccontextmanager
    async def _booted(self) -> AsyncIterator[None]:
        if self._kernel.state in ("running", "degraded"):
            yield
            return
        await self._kernel.bootstrap()
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self._kernel.shutdown()


def site_of(kernel: ObjectKernel) -> Site:
    """The site of a kernel; it lives as long as the kernel does."""
    site: Site = vars(kernel).setdefault(ATTRIBUTE, Site(kernel))
    return site


class _NotStarted:
    """Answers in the place of a kernel's routes while nobody runs its lifespan."""

    def __init__(self, kernel: ObjectKernel) -> None:
        self._kernel = kernel

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = LifespanMissing(
            "the kernel has not been started",
            where=self._kernel.where,
            why="the lifespan of the application that it was included into is not run",
            fix="give the outermost application lifespan=kernel_lifespan(kernel)",
        )
        if scope["type"] != "http":
            raise error
        LOG.error("%s", error)
        answer = problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{error.what}: {error.fix}", code=error.code)
        await answer(scope, receive, send)


def _warn(kernel: ObjectKernel, declared: list[DeclaredRoute]) -> None:
    closed = sum(not isinstance(one.access, Public) for one in declared)
    if closed and IDENTITY not in kernel.compose().graph.services:
        LOG.warning("no plugin provides 'identity': %d routes are closed to everybody", closed)
