"""`Gate`: whether a project is served, and its connection: opened when somebody needs it, once however many ask."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from copy import copy
from typing import Any, TypeAlias

import anyio
import attrs
from anyio.abc import TaskGroup
from objectkernel.errors import KernelError
from objectkernel_system_dialect.contracts import EntitySchema

from objectkernel_project_life.config import ProjectLifeConfig
from objectkernel_project_life.contracts import EntityService, ManagedProject
from objectkernel_project_life.crowd import Crowd
from objectkernel_project_life.errors import ProjectError, ProjectNotServed
from objectkernel_project_life.opened import CUT_PATIENCE, Opened
from objectkernel_project_life.opener import Opener

log = logging.getLogger("objectkernel.plugin.project-life")


Hearing: TypeAlias = Callable[[str, KernelError | None], Awaitable[None]]
"""Is told of a project that was to be opened because somebody needed it: its name, and why it could not be; None: after
it had failed it is open."""


@attrs.define
class Listener:
    """Who is told, if anybody."""

    hear: Hearing | None = None


@attrs.frozen
class Surroundings:
    """What all gates of a manager share."""

    opener: Opener
    config: ProjectLifeConfig
    tasks: TaskGroup
    listener: Listener
    files: Crowd

    def spawn(self, work: Callable[..., Coroutine[Any, Any, None]], *args: object) -> None:
        """Begin a task that belongs to no caller: nobody's transaction is known in it."""
        Context().run(lambda: self.tasks.start_soon(work, *args))

    def tell(self, name: str, error: KernelError | None) -> None:
        """Tell whoever listens what became of a project; nobody waits for that."""
        if self.listener.hear is not None:
            self.spawn(_told, self.listener.hear, name, error)


async def _told(hear: Hearing, name: str, error: KernelError | None) -> None:
    try:
        await hear(name, error)
    except Exception as raised:  # it is the listener's affair, and no reason to end the manager
        log.error("what became of %s could not be told: %s", name, type(raised).__name__)


class Attempt:
    """One attempt to open a project, and its outcome for those who wait for it."""

    __slots__ = ("done", "error", "project", "scope")

    def __init__(self, project: ManagedProject) -> None:
        self.project = project
        self.scope = anyio.CancelScope()
        self.done = anyio.Event()
        self.error: ProjectError | None = None

    async def outcome(self) -> None:
        """Wait for it.

        Raises:
            ProjectUnavailable, UriRefused: it failed.
        """
        await self.done.wait()
        if self.error is not None:
            raise copy(self.error) from self.error.__cause__  # one for each task: a traceback grows where it is raised


class Gate:
    """What stands before a project's data. It stays while anybody holds it, whatever becomes of the project.

    Attributes:
        name: what the manager knows the project by.
        project: as it is served; None while it is not.
        kind: the last known kind of its database.
        current: its connection; None where the next operation makes one.
        ticket: changes with everything that the manager does about the project.
        error: why it could not be opened last time.
        service: the project's data, for those behind it.
    """

    __slots__ = (
        "__weakref__",
        "_around",
        "_attempt",
        "_known",
        "_leaving",
        "_more",
        "_not_before",
        "_pause",
        "_quiet",
        "current",
        "error",
        "kind",
        "name",
        "project",
        "service",
        "ticket",
    )

    def __init__(self, name: str, kind: str, around: Surroundings, serving: Callable[[Gate], EntityService]) -> None:
        self.name = name
        self.kind = kind
        self.service = serving(self)
        self.project: ManagedProject | None = None
        self.current: Opened | None = None
        self.ticket = 0
        self.error: ProjectError | None = None
        self._around = around
        self._attempt: Attempt | None = None
        self._known: tuple[EntitySchema, ...] | None = None
        self._leaving: tuple[Opened, ...] = ()
        self._more: tuple[EntitySchema, ...] = ()
        self._not_before = float("-inf")
        self._pause = 0.0
        self._quiet = (0, 0.0)

    @property
    def running(self) -> int:
        """How many operations are under way, also on older connections."""
        return sum(opened.running for opened in self._all())

    def _all(self) -> tuple[Opened, ...]:
        return self._leaving if self.current is None else (*self._leaving, self.current)

    # --- operations -----------------------------------------------------------------------------------------

    async def connected(self) -> Opened:
        """The connection. Where there is none one attempt is made, for all who wait for it.

        Raises:
            ProjectNotServed: the project is not served, or not any more.
            ProjectUnavailable, UriRefused: it cannot be opened. Whoever comes soon after gets the same.
        """
        while (opened := self.current) is None:
            project = self.expect_served()
            attempt = self._attempt
            if attempt is None:
                if self.error is not None and anyio.current_time() < self._not_before:
                    raise copy(self.error) from self.error.__cause__
                attempt = self._begin(project)
            await attempt.outcome()
        return opened

    async def try_now(self) -> Opened:
        """`connected`, whatever came of it before."""
        self._not_before = float("-inf")
        return await self.connected()

    def expect_served(self) -> ManagedProject:
        """The project.

        Raises:
            ProjectNotServed: it is not served.
        """
        if self.project is None:
            raise not_served(self.name, "it is paused, or not there any more")
        return self.project

    def schemas(self) -> tuple[EntitySchema, ...]:
        """The project's entities.

        Raises:
            ProjectNotServed: it is not served.
        """
        if self.current is not None:
            return self.current.schemas
        project = self.expect_served()
        if self._known is None:
            self._known = project.schemas()
        return self._known

    def more(self) -> tuple[EntitySchema, ...]:
        """Schemas that were registered by those who use the project."""
        return self._more

    def remember(self, schemas: Sequence[EntitySchema]) -> None:
        """Register schemas with every connection that follows."""
        self._more = tuple(dict.fromkeys((*self._more, *schemas)))

    # --- what the manager does ------------------------------------------------------------------------------

    def serve(self, project: ManagedProject, opened: Opened | None) -> None:
        """Serve a project from now on. What is under way on an older connection ends there, within the deadline."""
        self._change()
        self.project, self.kind, self._known = project, project.dialect, None
        if opened is not None:
            self._become(opened)

    async def refuse(self, deadline: float) -> None:
        """Serve it no more: new operations are refused at once; return when the others have ended or were cancelled."""
        self.project, self._known = None, None
        leaving = self._all()
        self._change(deadline)
        with anyio.move_on_after(deadline):
            for opened in leaving:
                await opened.ended.wait()
        for opened in leaving:
            if not opened.ended.is_set():
                opened.cut_off()
        with anyio.move_on_after(CUT_PATIENCE):
            for opened in leaving:
                await opened.ended.wait()

    def _change(self, deadline: float | None = None) -> None:
        """Let go of the connection, of an attempt to make one, and of what is known about earlier ones."""
        self.ticket += 1
        if self._attempt is not None:
            self._attempt.scope.cancel()
            self._attempt = None
        self.error, self._pause = None, 0.0
        self.let_go(deadline)

    def let_go(self, deadline: float | None = None) -> Opened | None:
        """Leave the connection: it is closed behind the last operation, and the next one makes another."""
        opened, self.current = self.current, None
        if opened is not None:
            self._around.files.left(opened)
            self._leaving = (*self._leaving, opened)
            seconds = self._around.config.pause_deadline if deadline is None else deadline
            self._around.spawn(self._see_off, opened, seconds)
        return opened

    def close_idle(self, now: float, patience: float) -> bool:
        """Close the connection if nobody has needed it for so many seconds; whether that was so."""
        opened = self.current
        if opened is None or opened.running or self._quiet[0] != opened.calls:
            self._quiet = (0 if opened is None else opened.calls, now)
            return False
        if now - self._quiet[1] < patience:
            return False
        self.let_go()
        return True

    async def _see_off(self, opened: Opened, deadline: float) -> None:
        await opened.end(deadline)
        self._leaving = tuple(one for one in self._leaving if one is not opened)

    # --- connecting -----------------------------------------------------------------------------------------

    def _begin(self, project: ManagedProject) -> Attempt:
        attempt = self._attempt = Attempt(project)
        self._around.spawn(self._attempt_to_open, attempt)
        return attempt

    async def _attempt_to_open(self, attempt: Attempt) -> None:
        try:
            with attempt.scope:
                opened = await self._around.opener.open(attempt.project, self.more)
                if self._attempt is attempt:
                    self._become(opened)
                else:  # overtaken
                    await opened.close()
        except ProjectError as error:
            if self._attempt is attempt:
                attempt.error = error
                self._failed(error)
        finally:
            if self._attempt is attempt:
                self._attempt = None
            attempt.done.set()

    def _become(self, opened: Opened) -> None:
        if self.error is not None:
            self._around.tell(self.name, None)
        self.current = opened
        self.error, self._pause = None, 0.0
        if opened.dialect.name == "sqlite":
            self._around.files.joined(opened, self.let_go)

    def _failed(self, error: ProjectError) -> None:
        config = self._around.config
        self._pause = min(max(config.retry_first, self._pause * 2), config.retry_longest)
        self._not_before = anyio.current_time() + self._pause
        self.error = error
        self._around.tell(self.name, error)


def not_served(name: str, why: str) -> ProjectNotServed:
    """The error for a project whose data is not to be had."""
    return ProjectNotServed(
        f"{name} is not served", why=why, fix="resume it, if it is paused, and try again", project=name
    )
