"""Dialects that follow one another behind a handle: connecting once however many ask, and leaving none in mid-work.

Everything here happens in one event loop. Between two suspensions nothing changes, so that an operation which has
taken the current generation is counted before anybody can retire it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from copy import copy
from typing import Final, Protocol, TypeVar

import anyio
from anyio.abc import TaskGroup

from objectkernel_system_dialect.closed import closed
from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import DatabaseUnavailable, DataError
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.schema_exchange import ExchangesSchemas, inexchangeable

T = TypeVar("T")

log = logging.getLogger("objectkernel.plugin.system-dialect")

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
"""Seconds between two attempts to connect; the pause doubles from the first to the longest."""
TRUST: Final = 10.0
"""Seconds for which a statement that fails says nothing about the tables, after one that failed with them in place."""
PING_PATIENCE: Final = 5.0
"""Seconds that a connection from which an operation got no answer has for a sign of life."""
CLOSE_PATIENCE: Final = 5.0
"""Seconds that whoever leaves an idle connection waits for its end."""


class Opening(Protocol):
    """A database as it can be opened, again and again. Two that would open the same one in the same way are equal."""

    @property
    def owned(self) -> bool:
        """Whether what `open` gives is closed when it is left."""
        ...

    @property
    def renewable(self) -> bool:
        """Whether the same data is there when it is opened anew, so that a lost connection is replaced."""
        ...

    async def open(self, schemas: Sequence[EntitySchema]) -> Dialect:
        """An open dialect that knows these schemas and answers; what fails leaves nothing open."""
        ...


class Generation:
    """One opened dialect, and how many operations are in it."""

    __slots__ = ("closed", "dialect", "opening", "retired", "since", "users")

    def __init__(self, dialect: Dialect, opening: Opening) -> None:
        self.dialect = dialect
        self.opening = opening
        self.users = 0
        self.retired = False
        self.since = anyio.current_time()
        self.closed = anyio.Event()


class _Attempt:
    """One attempt to connect, and its outcome for those who wait for it."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.error: Exception | None = None

    async def outcome(self) -> None:
        await self.done.wait()
        if isinstance(self.error, DataError):
            raise copy(self.error) from self.error.__cause__  # one for each task: a traceback grows where it is raised
        if self.error is not None:
            raise self.error


class Generations:
    """The dialects of one handle: the current one, and those that are still at work.

    Attributes:
        current: where operations go; None where the next one has to connect first.
        latest: the dialect that was current last; it answers what needs no connection.
        opening: what `current` was opened with, or was last.
        schemas: every schema that was registered through the handle, by name.
        closed: whether the handle has ended.
    """

    def __init__(self, dialect: Dialect, opening: Opening, schemas: Sequence[EntitySchema], tasks: TaskGroup) -> None:
        self.current: Generation | None = Generation(dialect, opening)
        self.latest = dialect
        self.opening = opening
        self.schemas = {schema.name: schema for schema in schemas}
        self._tasks = tasks
        self._living = {self.current}
        self._next: Callable[[], Opening] | None = None
        self._suspect: Generation | None = None
        self._trusted_until = 0.0
        self._changing = anyio.Lock()
        self._attempt: _Attempt | None = None
        self._pause = 0.0
        self._not_before = 0.0
        self.closed = False

    # --- operations -------------------------------------------------------------------------------------

    async def connected(self) -> Generation:
        """The current generation. Where there is none one caller connects, and the others get what becomes of it.

        Raises:
            DialectClosed: the handle has been closed.
            DataError: the database cannot be opened; whoever comes next tries again.
        """
        while (generation := self.current) is None:
            self._expect_open()
            if self._attempt is None:
                await self._connect()
            else:
                await self._attempt.outcome()
        return generation

    def left(self, generation: Generation) -> None:
        """An operation has ended in a generation that was retired meanwhile: the last one out closes it."""
        if not generation.users:
            self._close_soon(generation)

    def lost(self, generation: Generation, error: DatabaseUnavailable) -> None:
        """An operation got no answer: the next one asks for a sign of life, and else connects anew."""
        if generation is not self.current or not generation.opening.renewable or type(error) is not DatabaseUnavailable:
            return
        log.warning("%s does not answer: the next operation connects anew", error.facts.get("database", "the database"))
        self._suspend(generation)
        self._suspect = generation

    def doubts(self, generation: Generation) -> bool:
        """A table was not as it was made: the database may be a new one. Whether to try once more, elsewhere."""
        if not generation.opening.renewable:
            return False
        if generation is not self.current:
            return not self.closed
        if anyio.current_time() < self._trusted_until:
            return False
        log.warning("a table is missing or another: the next operation connects anew and looks after the tables")
        self._suspend(generation)
        self._retire(generation)
        return True

    def trust(self) -> None:
        """It was not for want of tables that a statement failed: for a while no other is a reason to doubt."""
        self._trusted_until = anyio.current_time() + TRUST

    def _suspend(self, generation: Generation) -> None:
        self.current = None
        if anyio.current_time() - generation.since > LONGEST_PAUSE:  # it ran well for a while
            self._pause = 0.0
        else:
            self._postpone()

    # --- changes ------------------------------------------------------------------------------------------

    async def register(self, schemas: Sequence[EntitySchema]) -> None:
        """Register schemas with the current dialect, and from now on with each that follows."""

        async def registering(dialect: Dialect) -> None:
            await dialect.register(*schemas)
            self.schemas |= {schema.name: schema for schema in schemas}

        await self._change(registering)

    async def exchange(
        self, remove: Sequence[EntitySchema], add: Sequence[EntitySchema], drop: Collection[str]
    ) -> tuple[str, ...]:
        """See `ExchangesSchemas.exchange`: it holds for each dialect that follows."""
        gone = {schema.name for schema in remove}

        async def exchanging(dialect: Dialect) -> tuple[str, ...]:
            if not isinstance(dialect, ExchangesSchemas):
                raise inexchangeable(dialect.name)
            made = await dialect.exchange(remove, add, drop)
            kept = {name: schema for name, schema in self.schemas.items() if name not in gone}
            self.schemas = kept | {schema.name: schema for schema in add}
            return made

        return await self._change(exchanging)

    async def _change(self, change: Callable[[Dialect], Awaitable[T]]) -> T:
        """Change what the current dialect has registered, as the only one who does."""
        while True:
            await self.connected()
            async with self._changing:
                generation = self.current
                if generation is None:
                    continue
                generation.users += 1
                try:
                    return await change(generation.dialect)
                except DatabaseUnavailable as error:
                    self.lost(generation, error)
                    raise
                finally:
                    generation.users -= 1

    async def switch(self, opening: Opening) -> None:
        """Open another database and let new operations go there; what is under way ends where it began.

        Raises:
            DataError: it cannot be opened, or the schemas do not fit it; nothing has changed.
        """
        async with self._changing:
            self._expect_open()
            generation = await self._open(opening)
            old = self.current
            self._become(generation)
        await self._closing_of(old)

    async def disconnect(self, then: Callable[[], Opening] | None) -> None:
        """Let the connection go; the next operation opens what `then` gives, otherwise the same database."""
        async with self._changing:
            old, self.current = self.current, None
            for generation in (old, self._suspect):
                if generation is not None:
                    self._retire(generation)
            self._suspect = None
            self._next = then
            self._pause = self._not_before = 0.0
        await self._closing_of(old)

    async def aclose(self) -> None:
        """Close everything that is open and owned, whoever is in it."""
        self.closed = True
        self.current = None
        for generation in tuple(self._living):
            await self._close(generation)

    # --- connecting -----------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        """Make one attempt; a caller that is cancelled leaves it to one of those who wait."""
        attempt = self._attempt = _Attempt()
        try:
            async with self._changing:
                if self.current is None and not self.closed and not await self._answers():
                    await anyio.sleep_until(self._not_before)
                    await self._renew()
        except Exception as error:
            attempt.error = error
            raise
        finally:
            self._attempt = None
            attempt.done.set()

    async def _answers(self) -> bool:
        """Whether the connection from which an operation got no answer gives a sign of life: then it is current."""
        if self._suspect is None:
            return False
        try:
            with anyio.fail_after(PING_PATIENCE):
                await self._suspect.dialect.ping()
        except Exception:  # TimeoutError too
            return False
        if self.closed:  # meanwhile
            return False
        log.info("the database answers again")
        self._suspect.since = anyio.current_time()
        self.current, self._suspect = self._suspect, None
        return True

    async def _renew(self) -> None:
        try:
            generation = await self._open(self.opening if self._next is None else self._next())
        except Exception:
            self._postpone()
            raise
        self._become(generation)
        log.info("connected anew")

    def _postpone(self) -> None:
        self._pause = min(max(FIRST_PAUSE, self._pause * 2), LONGEST_PAUSE)
        self._not_before = anyio.current_time() + self._pause

    async def _open(self, opening: Opening) -> Generation:
        generation = Generation(await opening.open(tuple(self.schemas.values())), opening)
        self._living.add(generation)
        if self.closed:  # meanwhile
            await self._close(generation)
        self._expect_open()
        return generation

    def _expect_open(self) -> None:
        if self.closed:
            raise closed()

    def _become(self, generation: Generation) -> None:
        left = (self.current, self._suspect)
        self.current, self._suspect, self._next = generation, None, None
        self.latest, self.opening = generation.dialect, generation.opening
        for old in left:
            if old is not None:
                self._retire(old)

    # --- closing --------------------------------------------------------------------------------------------

    def _retire(self, generation: Generation) -> None:
        generation.retired = True
        self.left(generation)

    def _close_soon(self, generation: Generation) -> None:
        if not self.closed:
            self._tasks.start_soon(self._close, generation)

    async def _close(self, generation: Generation) -> None:
        if generation not in self._living:
            return
        self._living.discard(generation)
        try:
            if generation.opening.owned:
                with anyio.CancelScope(shield=True):
                    await generation.dialect.aclose()
        except Exception as error:
            log.warning("a connection did not close properly: %s", type(error).__name__)
        finally:
            generation.closed.set()

    async def _closing_of(self, generation: Generation | None) -> None:
        """Wait for the end of a generation that nobody is in."""
        if generation is not None and not generation.users:
            with anyio.move_on_after(CLOSE_PATIENCE):
                await generation.closed.wait()
