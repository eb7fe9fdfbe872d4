"""Opening a project's database: whether it may be there, within which time, and for how many at once."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final, Protocol

import anyio
from anyio.abc import TaskGroup
from objectkernel.errors import KernelError
from objectkernel.secret import Secret
from objectkernel_system_dialect.contracts import (
    DATA_PLANE_SCHEMAS,
    DatabasePlace,
    DataPlug,
    Dialect,
    EntitySchema,
    IsolatedOptions,
    OperationUnsupported,
    database_place,
)

from objectkernel_project_life.config import ProjectLifeConfig
from objectkernel_project_life.contracts import ManagedProject
from objectkernel_project_life.errors import ProjectUnavailable, UriRefused
from objectkernel_project_life.opened import Opened
from objectkernel_project_life.servers import Servers

log = logging.getLogger("objectkernel.plugin.project-life")

QUICK: Final = 0.5
"""Seconds after which an opening gives its turn to the next: it waits for a server, and keeps nobody busy."""
FRESH: Final = 5.0
"""Seconds for which the host's own databases are taken to be where they were."""


class UriCheck(Protocol):
    """Says where projects may have their databases."""

    def check(self, account: str, dialect: str, uri: Secret[str]) -> DatabasePlace | None:
        """Look at a URI before anything connects to it.

        Returns:
            The place, where it was read for that.

        Raises:
            UriRefused: an account's project may not have its database there.
        """
        ...


class _Turn:
    """A turn among those who open projects."""

    def __init__(self, turns: anyio.Semaphore) -> None:
        self._turns = turns
        self._held = False
        self.is_connecting = False

    async def take(self) -> None:
        """Wait for it."""
        await self._turns.acquire()
        self._held = True

    async def take_again(self, time: anyio.CancelScope) -> None:
        """Wait for it, if it was given back; meanwhile the time of the scope stands still."""
        if not self._held:
            left, time.deadline = time.deadline - anyio.current_time(), math.inf
            await self.take()
            time.deadline = anyio.current_time() + left

    def give_back(self) -> None:
        """Let the next one have it, once."""
        if self._held:
            self._held = False
            self._turns.release()


class Opener:
    """Opens projects: at most `boot_concurrency` of them at once.

    While one waits for a server that keeps silent, for `open_timeout` at most, it gives its turn to the next after
    `QUICK`: servers that are out of reach delay nobody. Before there is work to do it waits for another turn, so that
    a host that is slow itself does not begin everything at once.

    Attributes:
        servers: the connections of each server.
        opened, failed: how many attempts ended so, since the host started.
    """

    def __init__(self, plug: DataPlug, policy: UriCheck, config: ProjectLifeConfig, tasks: TaskGroup) -> None:
        self.servers = Servers(config.max_connections_total)
        self.opened = 0
        self.failed = 0
        self._plug = plug
        self._policy = policy
        self._config = config
        self._tasks = tasks
        self._turns = anyio.Semaphore(config.boot_concurrency, fast_acquire=True)
        self._own: tuple[frozenset[str], float] = frozenset(), float("-inf")
        self._asking = anyio.Lock(fast_acquire=True)
        self._holders: dict[str, list[str]] = {}
        self._connecting: deque[tuple[float, _Turn]] = deque()

    async def open(self, project: ManagedProject, more: Callable[[], Sequence[EntitySchema]] = tuple) -> Opened:
        """Connect to a project's database and bring it to the project's schemas; what fails leaves nothing open.

        Args:
            more: tells what to register beside the project's schemas, but for other schemas of the same names.

        Raises:
            ProjectUnavailable: it cannot be opened; `why` shows nothing of the URI.
            UriRefused: it is where projects may not be.
        """
        turn = _Turn(self._turns)
        await turn.take()
        try:
            with anyio.fail_after(self._config.open_timeout) as time:
                opened = await self._open(project, more, turn, time)
        except BaseException as error:
            self.failed += 1
            if isinstance(error, UriRefused) or not isinstance(error, Exception):
                raise
            raised = self._unavailable(project, error)
            raise raised from (error if isinstance(error, KernelError) else None)
        finally:
            turn.give_back()
        self.opened += 1
        return opened

    async def _open(
        self,
        project: ManagedProject,
        more: Callable[[], Sequence[EntitySchema]],
        turn: _Turn,
        time: anyio.CancelScope,
    ) -> Opened:
        dialect = await self._connected(project, turn)
        async with AsyncExitStack() as undoing:
            undoing.push_async_callback(_closed, dialect)
            await turn.take_again(time)
            identity = await self._plug.database_identity(dialect)
            if identity in await self._own_databases():
                raise _refused(project, "the host has its own data in that database")
            release = self._claim(project, identity)  # before a table is made
            undoing.callback(release)
            schemas = project.schemas()
            names = {schema.name for schema in schemas}
            await dialect.register(*schemas, *DATA_PLANE_SCHEMAS)
            registered: list[EntitySchema] = []
            while wanted := [one for one in more() if one.name not in names and one not in registered]:
                await dialect.register(*wanted)  # meanwhile somebody may have asked for another
                registered += wanted
            undoing.pop_all()
        return Opened(dialect, project, schemas, release)

    async def _connected(self, project: ManagedProject, turn: _Turn) -> Dialect:
        """The database, connected; a turn that this takes too long for is given to the next."""
        uri = project.reveal()
        place = self._policy.check(project.home or project.account, project.dialect, uri)
        options = IsolatedOptions(
            pool_size=project.pool_size,
            pool_min=project.pool_min,
            connect_timeout=self._config.open_timeout,
            command_timeout=self._config.command_timeout,
            limit=self.servers.limit_of(place or database_place(project.dialect, uri.reveal())),
            migrations=False,  # those are of the host's own tables, and a tenant may have called theirs so too
        )
        turn.is_connecting = True
        self._connecting.append((anyio.current_time() + QUICK, turn))
        if len(self._connecting) == 1:
            self._tasks.start_soon(self._give_on)
        try:
            return await self._plug.open_isolated_dialect(project.dialect, uri.reveal(), "update", options=options)
        finally:
            turn.is_connecting = False

    async def _give_on(self) -> None:
        """Have those who connect for too long give their turns to the next, until nobody has begun to."""
        while self._connecting:
            when, turn = self._connecting[0]
            await anyio.sleep_until(when)
            self._connecting.popleft()
            if turn.is_connecting:
                turn.give_back()

    # --- whose database it is -------------------------------------------------------------------------------

    def _claim(self, project: ManagedProject, identity: str) -> Callable[[], None]:
        """Keep a database for a project, until what this returns is called.

        Raises:
            UriRefused: another project has it open.
        """
        holders = self._holders.setdefault(identity, [])
        if any(holder != project.project_id for holder in holders):
            raise _refused(project, "that database belongs to another project")
        holders.append(project.project_id)

        def release() -> None:
            holders.remove(project.project_id)
            if not holders:
                del self._holders[identity]

        return release

    async def _own_databases(self) -> frozenset[str]:
        """What the host's own databases are."""
        async with self._asking:
            own, known_at = self._own
            if anyio.current_time() - known_at > FRESH:
                dialects = (await self._plug.get_dialect(), await self._plug.get_system_dialect())
                found = [await self._identity(dialect) for dialect in dict.fromkeys(dialects)]
                own = frozenset(identity for identity in found if identity is not None)
                self._own = own, anyio.current_time()
        return own

    async def _identity(self, dialect: Dialect) -> str | None:
        try:
            return await self._plug.database_identity(dialect)
        except OperationUnsupported:  # of data on a server: it is in no database that this host could reach
            return None

    # --- what is told ---------------------------------------------------------------------------------------

    def _unavailable(self, project: ManagedProject, error: Exception) -> ProjectUnavailable:
        why: tuple[str, ...]
        if isinstance(error, KernelError):
            why, fix = (error.what, *error.why), error.fix
        elif isinstance(error, TimeoutError):
            why = (f"that takes longer than {self._config.open_timeout:g} seconds",)
            fix = "look whether its server is up and within reach, and whether somebody holds its tables"
        else:
            log.error("%s: opening it raised %s", project.name, type(error).__name__)
            why, fix = (f"opening it raised {type(error).__name__}",), "look at the project's settings"
        return ProjectUnavailable(
            f"the database of {project.name} cannot be opened",
            why=why,
            fix=fix,
            project=project.name,
            reason=type(error).__name__,
        )


def _refused(project: ManagedProject, why: str) -> UriRefused:
    return UriRefused(
        f"{project.name} may not have its database there",
        why=why,
        fix="give each project a database of its own",
        project=project.name,
    )


async def _closed(dialect: Dialect) -> None:
    with anyio.CancelScope(shield=True):
        await dialect.aclose()
