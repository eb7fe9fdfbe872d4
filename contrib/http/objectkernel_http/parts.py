"""One contribution as it is served in one place: what it offers, and what it is while its plugin is up."""

from __future__ import annotations

import attrs
from fastapi import APIRouter, FastAPI
from objectkernel.errors import KernelError
from objectkernel.graph import Node
from objectkernel.kernel import ObjectKernel
from objectkernel_contracts import ROUTERS, Public
from starlette.routing import BaseRoute

from objectkernel_http.checks import DeclaredRoute, close, declared_routes, made_router
from objectkernel_http.guard import Guard, guard
from objectkernel_http.lifespans import Lifespan, Patience, of_application, of_context, patience_with
from objectkernel_http.limits import HttpLimits
from objectkernel_http.mounts import DeclaredMount, Mounted, MountRoute, made_mount
from objectkernel_http.openapi import describe
from objectkernel_http.presence import Presence
from objectkernel_http.problems import LOG


@attrs.frozen(kw_only=True, eq=False)
class Offer:
    """What a contribution asks to be served: a router with its routes, or an application."""

    node: Node
    router: APIRouter | None = None
    routes: list[DeclaredRoute] = attrs.field(factory=list)
    mount: DeclaredMount | None = None

    @property
    def closed(self) -> int:
        """How many of its routes need a credential."""
        accesses = [one.access for one in self.routes] + ([] if self.mount is None else [self.mount.access])
        return sum(not isinstance(access, Public) for access in accesses)


def offered(node: Node, problems: list[KernelError]) -> Offer:
    """What a contribution that is up offers; whatever is wrong with it is added to `problems`."""
    try:
        if node.key == ROUTERS:
            router = made_router(node.value)
            return Offer(node=node, router=router, routes=declared_routes(router, problems))
        return Offer(node=node, mount=made_mount(node.value, node.where))
    except KernelError as error:
        if error.__cause__ is not None:
            LOG.error("%s", error.what, exc_info=error.__cause__)
        problems.append(error)
        return Offer(node=node)


class Part:
    """An offer that is served.

    Attributes:
        route: its place among the application's routes.
    """

    def __init__(self, offer: Offer, presence: Presence, route: BaseRoute, lifespan: Lifespan, wait: Patience) -> None:
        self.offer = offer
        self.route = route
        self._presence = presence
        self._lifespan = lifespan
        self._wait = wait
        self._stopped = False

    @property
    def lasts(self) -> bool:
        """Whether it answers requests."""
        return self._presence.lasts

    async def start(self) -> None:
        """Run its lifespan.

        Raises:
            LifespanFailed: it did not start.
        """
        await self._lifespan.start(self._wait.start)

    async def stop(self) -> None:
        """Take no more requests, let those that run finish, and end its lifespan. A second call does nothing."""
        if not self._stopped:
            self._stopped = True
            try:
                await self._presence.leave(self._wait.drain)
            finally:  # it ends, too, when nobody waits for the requests any more
                await self._lifespan.stop(self._wait.stop)


def part_of(offer: Offer, kernel: ObjectKernel, app: FastAPI, prefix: str, limits: HttpLimits) -> Part:
    """An offer, ready to be served by an application below a prefix."""
    presence = Presence(offer.node)
    plugin = offer.node.plugin
    wait = patience_with(kernel, plugin)
    if offer.mount is not None:
        mount, path = offer.mount, prefix + offer.mount.path
        mounted = Mounted(mount.app, path)
        route = MountRoute(path, app=mounted)
        route.handle = Guard(kernel, presence.around(mounted), mount.access, limits, path=path)  # type: ignore[method-assign]
        run = of_application(mount.app, mounted.state)
        what = f"the application that {plugin} has at {mount.path}"
        return Part(offer, presence, route, Lifespan(what, run, mount.where), wait)
    router = offer.router
    assert router is not None
    methods: dict[str, set[str]] = {}
    for one in offer.routes:
        methods.setdefault(one.path, set()).update(one.methods)
    for one in offer.routes:
        guard(kernel, one.route, one.access, limits, prefix + one.path, methods[one.path], presence.around)
        describe(one.route, one.access)
    close(router)
    lifespan = Lifespan(f"a router of {plugin}", of_context(lambda: router.lifespan_context(app)), offer.node.where)
    return Part(offer, presence, _included(app, router, prefix), lifespan, wait)


def _included(app: FastAPI, router: APIRouter, prefix: str) -> BaseRoute:
    """A router as a route of an application, which shall not run its lifespan."""
    into = app.router
    lifespan, startup, shutdown = into.lifespan_context, [*into.on_startup], [*into.on_shutdown]
    app.include_router(router, prefix=prefix)
    into.lifespan_context, into.on_startup[:], into.on_shutdown[:] = lifespan, startup, shutdown
    return into.routes.pop()
