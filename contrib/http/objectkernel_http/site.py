"""What one kernel serves: its plugins' routes and applications, in every application that it was included into."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Final

import anyio
from fastapi import FastAPI
from fastapi.routing import RouteContext, iter_route_contexts
from objectkernel.changes import PluginsChanged, PluginsChanging
from objectkernel.errors import BootError, KernelError
from objectkernel.graph import Node
from objectkernel.kernel import ObjectKernel
from objectkernel_contracts import IDENTITY, MOUNTS, ROUTERS
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Receive, Scope, Send

from objectkernel_http.checks import conflicts
from objectkernel_http.errors import LifespanFailed, LifespanMissing
from objectkernel_http.limits import HttpLimits
from objectkernel_http.mounts import Taken, mount_conflicts
from objectkernel_http.parts import Offer, Part, offered, part_of
from objectkernel_http.problems import LOG, problem

ATTRIBUTE: Final = "_objectkernel_http_site"


class Mark(Mount):
    """Stands before the kernel's routes among those of an application, and answers for them while they are away."""

    closed = True

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is for routes that are not there."""
        return super().matches(scope) if self.closed else (Match.NONE, {})


class Place:
    """An application that serves what the plugins of a kernel contribute, below a prefix."""

    def __init__(self, kernel: ObjectKernel, app: FastAPI, prefix: str, limits: HttpLimits) -> None:
        self._kernel = kernel
        self._app = app
        self._prefix = prefix
        self._limits = limits
        self._mark = Mark(prefix, app=_NotStarted(kernel))
        self._parts: dict[Node, Part] = {}
        self._shown: list[BaseRoute] = []
        app.router.routes.append(self._mark)

    async def open(self) -> None:
        """Serve what the running plugins contribute.

        Raises:
            BootError: everything that is wrong with it.
        """
        problems: list[KernelError] = []
        offers = [offered(node, problems) for node in _up(self._kernel)]
        problems += self._conflicts(offers)
        if problems:
            raise BootError(problems)
        for offer in offers:
            try:
                await self._serve(offer)
            except LifespanFailed as error:
                raise BootError([error]) from None
        self._mark.closed = False
        self._show()
        self._warn(offers)

    async def close(self) -> None:
        """Serve nothing any more."""
        self._mark.closed = True
        self._show()
        parts = list(self._parts.values())
        self._parts.clear()
        await _stop(parts)

    def parts_of(self, plugins: frozenset[str]) -> list[Part]:
        """What these plugins have here; once it has stopped, it answers that they are away."""
        return [part for node, part in self._parts.items() if node.plugin in plugins]

    async def follow(self) -> None:
        """Serve what is up since a change. What cannot be served as it is now is told by the log."""
        await _stop(part for part in self._parts.values() if not part.lasts)
        for node in _up(self._kernel):
            there = self._parts.get(node)
            if not self._mark.closed and (there is None or not there.lasts):
                await self._follow(node)
        self._show()

    async def _follow(self, node: Node) -> None:
        problems: list[KernelError] = []
        offer = offered(node, problems)
        problems += self._conflicts([*(part.offer for part in self._parts.values() if part.lasts), offer])
        try:
            if problems:
                raise BootError(problems)
            await self._serve(offer)
        except KernelError as error:
            LOG.error("what %s contributes is not served: %s", node.plugin, error.text())

    async def _serve(self, offer: Offer) -> None:
        part = part_of(offer, self._kernel, self._app, self._prefix, self._limits)
        before = self._parts.get(offer.node)
        self._parts[offer.node] = part  # at once: `close` may come while it starts
        try:
            await part.start()
        except LifespanFailed:
            self._parts.pop(offer.node, None)
            if before is not None:
                self._parts[offer.node] = before
            raise

    def _show(self) -> None:
        """Put the routes of the parts behind the mark; those of plugins that are away come last."""
        routes = self._app.router.routes
        others = [route for route in routes if not _among(route, self._shown)]
        nodes = () if self._mark.closed else _nodes(self._kernel)
        parts = [self._parts[node] for node in nodes if node in self._parts]
        # an application has a path of its own, but a route may have parameters that would take it
        parts.sort(key=lambda part: (not part.lasts, part.offer.mount is None))
        self._shown = [part.route for part in parts]
        at = next(number for number, route in enumerate(others) if route is self._mark) + 1
        routes[:] = [*others[:at], *self._shown, *others[at:]]
        self._app.openapi_schema = None

    def _conflicts(self, offers: list[Offer]) -> Iterator[KernelError]:
        routes = [route for offer in offers for route in offer.routes]
        others = self._others()
        yield from conflicts(routes, others, self._prefix)
        mounts = [offer.mount for offer in offers if offer.mount is not None]
        taken = [
            Taken(path=other.path, by="a route of the host", whole=isinstance(other.original_route, Mount))
            for other in others
            if other.path
        ]
        yield from mount_conflicts(mounts, routes, taken, self._prefix)

    def _others(self) -> list[RouteContext]:
        """The application's other routes."""
        others = [r for r in self._app.router.routes if not _among(r, self._shown) and not isinstance(r, Mark)]
        return list(iter_route_contexts(others))

    def _warn(self, offers: list[Offer]) -> None:
        closed = sum(offer.closed for offer in offers)
        if closed and IDENTITY not in self._kernel.compose().graph.services:
            LOG.warning("no plugin provides 'identity': %d routes are closed to everybody", closed)


class Site:
    """The places where one kernel is served, and the one life that they share."""

    def __init__(self, kernel: ObjectKernel) -> None:
        self._kernel = kernel
        self._places: list[Place] = []
        self._open = False
        self._changing = anyio.Lock()

    def add(self, app: FastAPI, prefix: str, limits: HttpLimits) -> None:
        """Serve the kernel's routes in an application, once `running` has begun."""
        self._places.append(Place(self._kernel, app, prefix, limits))

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
            async with self._booted(), self._served():
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

    @asynccontextmanager
    async def _served(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as ends:
            async with self._changing:
                ends.callback(self._kernel.on(PluginsChanging, self._leave).end)
                ends.callback(self._kernel.on(PluginsChanged, self._follow).end)
                for place in self._places:
                    ends.push_async_callback(place.close)
                    await place.open()
            yield

    async def _leave(self, change: PluginsChanging) -> None:
        async with self._changing:
            await _stop(part for place in self._places for part in place.parts_of(change.plugins))

    async def _follow(self, change: PluginsChanged) -> None:
        async with self._changing:
            for place in self._places:
                await place.follow()


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


def _nodes(kernel: ObjectKernel) -> list[Node]:
    """What plugins contribute to be served, in their order."""
    contributions = kernel.graph.contributions
    return [*contributions.get(str(ROUTERS), ()), *contributions.get(str(MOUNTS), ())]


def _up(kernel: ObjectKernel) -> list[Node]:
    return [node for node in _nodes(kernel) if node.life.state == "up"]


def _among(route: BaseRoute, routes: Iterable[BaseRoute]) -> bool:
    """By identity: routes are equal when they look alike."""
    return any(route is one for one in routes)


async def _stop(parts: Iterable[Part]) -> None:
    """All of them at once."""
    async with anyio.create_task_group() as tasks:
        for part in parts:
            tasks.start_soon(part.stop)
