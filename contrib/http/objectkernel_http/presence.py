"""Whether what a plugin contributes is there, and which requests it answers at this moment."""

from __future__ import annotations

import anyio
from objectkernel.errors import ServiceUnavailable
from objectkernel.graph import Node
from objectkernel.leases import Lease
from starlette.types import ASGIApp, Receive, Scope, Send

from objectkernel_http.lifespans import GRACE
from objectkernel_http.problems import LOG
from objectkernel_http.task_scopes import Running, scope_kind


class Presence:
    """One contribution, from its start to its stop; while it answers a request, its plugin is not stopped."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._serial = node.life.serial
        self._scope = scope_kind()
        self._running: set[Running] = set()
        self._left = False
        self._idle = anyio.Event()

    @property
    def lasts(self) -> bool:
        """Whether it is there still; one that was started again is another one."""
        return not self._left and self.node.life.state == "up" and self.node.life.serial == self._serial

    def around(self, app: ASGIApp) -> ASGIApp:
        """`app`, answering while it is there.

        Raises, when it is called:
            ServiceUnavailable: it is not, or no longer: the request was cancelled.
        """

        async def present(scope: Scope, receive: Receive, send: Send) -> None:
            if not self.lasts:
                raise self._away()
            lease = Lease(self.node)
            running = self._scope()
            self._running.add(running)
            try:
                with running:
                    await app(scope, receive, send)
            finally:
                self._running.discard(running)
                lease.end()
                if self._left and not self._running:
                    self._idle.set()
            if running.cancelled_caught:
                raise self._away()

        return present

    async def leave(self, seconds: float) -> None:
        """Take no more requests, and let those that run finish; after as many seconds they are cancelled."""
        self._left = True
        if not self._running:
            return
        try:
            with anyio.move_on_after(seconds):
                await self._idle.wait()
        finally:
            if self._running:
                await self._cancel()

    async def _cancel(self) -> None:
        LOG.error("requests for what %s serves were cancelled, %d of them", self.node.plugin, len(self._running))
        for running in self._running:
            running.cancel()
        with anyio.move_on_after(GRACE, shield=True):
            await self._idle.wait()

    def _away(self) -> ServiceUnavailable:
        return ServiceUnavailable(
            f"what {self.node.plugin} serves is away",
            where=self.node.where,
            why="the plugin was stopped, or is being restarted",
            fix="wait until it runs again; `objectkernel plugins` tells its state",
            name=self.node.id,
        )
