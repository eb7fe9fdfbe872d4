"""`HostManager`: the projects of this host, each with a connection of its own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

import anyio
import attrs
from anyio.abc import TaskGroup
from objectkernel_system_dialect.contracts import DataError, DataPlug

from objectkernel_project_life.config import ProjectLifeConfig
from objectkernel_project_life.contracts import EntityService, ManagedProject, ManagedState, ProjectManager
from objectkernel_project_life.crowd import Crowd
from objectkernel_project_life.entity_service import ProjectEntityService
from objectkernel_project_life.errors import ProjectConflict, ProjectUnavailable
from objectkernel_project_life.gate import Gate, Hearing, Listener, Surroundings, not_served
from objectkernel_project_life.opener import Opener, UriCheck
from objectkernel_project_life.servers import connections_of

log = logging.getLogger("objectkernel.plugin.project-life")

SWEEPS: Final = 4
"""How often idle projects are looked for within `idle_close_after`."""


@attrs.frozen(kw_only=True)
class Tally:
    """How many projects have a connection, have none, or could not be opened last time; and operations under way."""

    open: int
    closed: int
    failed: int
    running: int


class HostManager:
    """The projects of this host; see `ProjectManager`.

    Many may be added at once: the manager itself sees to it that no more than `boot_concurrency` are opened at a time,
    and that those whose server keeps silent do not hold up the others. Idle projects are closed in the background.

    Args:
        plug: opens databases.
        policy: where these may be.
        tasks: what ends after `aclose`.
    """

    def __init__(self, plug: DataPlug, policy: UriCheck, config: ProjectLifeConfig, tasks: TaskGroup) -> None:
        self._opener = Opener(plug, policy, config, tasks)
        self._listener = Listener()
        self._around = Surroundings(self._opener, config, tasks, self._listener, Crowd(config.max_open_files))
        self._config = config
        self._present: dict[str, Gate] = {}
        self._known: WeakValueDictionary[str, Gate] = WeakValueDictionary()

    @property
    def opener(self) -> Opener:
        """What opens the projects, and knows the servers."""
        return self._opener

    def listen(self, hear: Hearing) -> None:
        """Tell somebody of projects that are opened because they are needed; of `add_project` its caller knows."""
        self._listener.hear = hear

    # --- which there are ------------------------------------------------------------------------------------

    async def add_project(self, project: ManagedProject, *, open: bool = True) -> None:
        """See `ProjectManager.add_project`.

        Raises:
            ProjectConflict: the project was added again, or removed, while it was being opened.
        """
        gate = self._gate(project)
        if not open:
            gate.serve(project, None)
        else:
            gate.ticket += 1
            ticket = gate.ticket
            opened = await self._opener.open(project, gate.more)
            if gate.ticket != ticket:
                await opened.close()
                raise ProjectConflict(
                    f"{project.name} was not taken on",
                    why="it was added again or removed while it was being opened",
                    fix="look at its state, and try again",
                    project=project.name,
                )
            gate.serve(project, opened)
        self._present[project.name] = gate

    async def remove_project(self, name: str, *, deadline: float | None = None) -> bool:
        """See `ProjectManager.remove_project`; without a deadline that of the settings holds."""
        gate = self._present.pop(name, None)
        if gate is None:
            if (known := self._known.get(name)) is not None:
                known.ticket += 1  # whoever is adding it at this moment
            return False
        await gate.refuse(self._config.pause_deadline if deadline is None else deadline)
        return True

    def has_project(self, name: str) -> bool:
        return name in self._present

    def get(self, name: str) -> EntityService:
        return self._there(name).service

    def entity_service(self, name: str) -> EntityService:
        return self.get(name)

    def list(self) -> tuple[ManagedState, ...]:
        return tuple(_state(gate) for _, gate in sorted(self._present.items()))

    def tally(self) -> Tally:
        """How they stand, counted."""
        gates = tuple(self._present.values())
        open = sum(gate.current is not None for gate in gates)
        failed = sum(gate.current is None and gate.error is not None for gate in gates)
        running = sum(gate.running for gate in gates)
        return Tally(open=open, closed=len(gates) - open - failed, failed=failed, running=running)

    def _there(self, name: str) -> Gate:
        gate = self._present.get(name)
        if gate is None:
            raise not_served(name, "no such project is active on this host")
        return gate

    def _gate(self, project: ManagedProject) -> Gate:
        """The gate of this name, the same for as long as anybody holds it, its dialect or a repository."""
        gate = self._known.get(project.name)
        if gate is None:
            gate = self._known[project.name] = Gate(project.name, project.dialect, self._around, ProjectEntityService)
        return gate

    # --- signs of life --------------------------------------------------------------------------------------

    async def try_project(self, name: str) -> None:
        """See `ProjectManager.ping`; a project that has failed a moment ago is tried all the same.

        One that is opened by this has shown that it answers.
        """
        gate = self._there(name)
        before = gate.current
        if await gate.try_now() is not before:
            return
        try:
            await gate.service.dialect.ping()
        except DataError as error:
            raise ProjectUnavailable(
                f"the database of {name} does not answer",
                why=(error.what, *error.why),
                fix=error.fix,
                project=name,
                reason=type(error).__name__,
            ) from error

    async def close_idle(self) -> None:
        """Close the connections of projects that nobody needs, for as long as this runs."""
        patience = self._config.idle_close_after
        while True:
            await anyio.sleep(patience / SWEEPS)
            now = anyio.current_time()
            for gate in tuple(self._present.values()):
                gate.close_idle(now, patience)

    async def aclose(self) -> None:
        """Remove all of them, at once: what is under way has the deadline of the settings."""
        async with anyio.create_task_group() as tasks:
            for name in tuple(self._present):
                tasks.start_soon(self.remove_project, name)


@asynccontextmanager
async def host_manager(plug: DataPlug, policy: UriCheck, config: ProjectLifeConfig) -> AsyncIterator[HostManager]:
    """A manager for the length of a block."""
    async with anyio.create_task_group() as tasks:
        manager = HostManager(plug, policy, config, tasks)
        if config.idle_close_after:
            tasks.start_soon(manager.close_idle)
        try:
            yield manager
        finally:
            with anyio.CancelScope(shield=True):
                await manager.aclose()
            tasks.cancel_scope.cancel()


def _state(gate: Gate) -> ManagedState:
    project = gate.project
    assert project is not None  # the manager has it
    return ManagedState(
        name=gate.name,
        project_id=project.project_id,
        open=gate.current is not None,
        running=gate.running,
        pool_size=project.pool_size,
        connections=0 if gate.current is None else connections_of(gate.current.dialect),
        error=None if gate.error is None else str(gate.error),
    )


if TYPE_CHECKING:
    _is_a_manager: type[ProjectManager] = HostManager
