"""`Opened`: a project's open database, and what is under way in it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import anyio
from objectkernel_system_dialect.contracts import Dialect, EntitySchema

from objectkernel_project_life.contracts import ManagedProject

log = logging.getLogger("objectkernel.plugin.project-life")

CUT_PATIENCE: Final = 5.0
"""Seconds that operations have to end once they have been cancelled."""


class Opened:
    """One connection, or pool, to a project's database. It is left by many and closed once.

    Everything here happens in one event loop: an operation that has taken it is counted before anybody can end it.

    Attributes:
        dialect: the database itself.
        project: what it was opened for.
        schemas: the project's entities.
        is_quick: whether a single operation is not worth a scope: on SQLite it takes as long as one, runs in a thread
            that nobody can cancel, and waits for transactions only, which have theirs.
        calls: operations that were begun so far.
        cut: whether what is under way is cancelled, and nothing more can begin.
        ended: whether it is closed.
    """

    __slots__ = (
        "_idle",
        "_plain",
        "_release",
        "_scopes",
        "calls",
        "cut",
        "dialect",
        "ended",
        "is_quick",
        "project",
        "schemas",
    )

    def __init__(
        self,
        dialect: Dialect,
        project: ManagedProject,
        schemas: tuple[EntitySchema, ...],
        release: Callable[[], None],
    ) -> None:
        """Take what was opened; `release` is called once, when it is closed."""
        self.dialect = dialect
        self.project = project
        self.schemas = schemas
        self.is_quick = dialect.name == "sqlite"
        self._release = release
        self.calls = 0
        self.cut = False
        self.ended = anyio.Event()
        self._scopes: set[anyio.CancelScope] = set()
        self._plain = 0
        self._idle: anyio.Event | None = None

    @property
    def running(self) -> int:
        """How many operations, transactions and streams are under way."""
        return len(self._scopes) + self._plain

    # --- operations -----------------------------------------------------------------------------------------

    def enter(self, scope: anyio.CancelScope) -> None:
        """Count an operation, which runs in this scope."""
        self.calls += 1
        self._scopes.add(scope)
        if self.cut:
            scope.cancel()

    def leave(self, scope: anyio.CancelScope) -> None:
        """An operation has ended."""
        self._scopes.discard(scope)
        self._left()

    def begin(self) -> None:
        """Count what has no scope of its own: a stream, between whose pages its reader is at work, and `is_quick`."""
        self.calls += 1
        self._plain += 1

    def finish(self) -> None:
        """What had begun has ended."""
        self._plain -= 1
        self._left()

    def _left(self) -> None:
        if self._idle is not None and not (self._scopes if self.cut else self.running):
            self._idle.set()

    async def idle(self) -> None:
        """Until nothing is under way; of what was cut only that which can be cancelled."""
        while self._scopes if self.cut else self.running:
            if self._idle is None or self._idle.is_set():
                self._idle = anyio.Event()
            await self._idle.wait()

    # --- its end --------------------------------------------------------------------------------------------

    def cut_off(self) -> None:
        """Cancel everything that is under way."""
        self.cut = True
        self._left()
        for scope in tuple(self._scopes):
            scope.cancel()

    async def end(self, deadline: float) -> None:
        """Wait for what is under way, cancel the rest after `deadline` seconds, close. Never raises an error.

        A caller who is cancelled has no time: what is under way is cancelled at once, and it is closed all the same.
        """
        try:
            if self.running and not self.cut:
                with anyio.move_on_after(deadline):
                    await self.idle()
        finally:
            with anyio.CancelScope(shield=True):
                if self.running:
                    log.warning("%s: %d operations are cancelled: their time is over", self.project.name, self.running)
                    self.cut_off()
                    with anyio.move_on_after(CUT_PATIENCE):
                        await self.idle()
                await self.close()

    async def close(self) -> None:
        """Close the connections, whoever is in it."""
        try:
            with anyio.CancelScope(shield=True):
                await self.dialect.aclose()
        except Exception as error:
            log.warning("%s: its connection did not close properly: %s", self.project.name, type(error).__name__)
        finally:
            self._release()
            self.ended.set()
