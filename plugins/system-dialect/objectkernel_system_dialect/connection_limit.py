"""`ConnectionLimit`: how many connections to one server may be open, whichever pools they belong to."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from asyncio import Future, Lock


class Asker(Protocol):
    """Who waits for a place."""

    def granted(self) -> bool:
        """A place is there. Whether it is still wanted: then it is taken."""
        ...


class Rester(Protocol):
    """A pool with idle connections."""

    @property
    def rests_since(self) -> float:
        """When that of its idle connections was used which was used longest ago."""
        ...

    def let_go(self) -> None:
        """Close that connection; meanwhile it counts as `ConnectionLimit.leaving`."""
        ...


class ConnectionLimit:
    """The places for connections to one server, shared by the pools that were opened with it.

    A pool of PostgreSQL, MariaDB or MySQL takes a place before it connects, and gives it back when the connection is
    closed. Where none is free, the pool whose idle connection was used longest ago closes that one, whatever its
    `IsolatedOptions.pool_min`: a request that waits is worth more than a connection that rests. Otherwise the request
    waits, in the order of arrival, for as long as ``pool_timeout`` lets it; then it ends with `DatabaseBusy`, whose
    `why` has this limit and its setting. Pools that are busy give connections up in turn, so that nobody waits for
    ever. Other databases take no notice of it. It belongs to one event loop.

    To end a statement of MariaDB's whose caller was cancelled needs a connection beside that one, for an instant. Where
    there is neither an idle one nor a place, it is made all the same, one at a time.

    Attributes:
        most: how many places there are.
        setting: what the host calls that number, for messages.
        open: how many are taken.
        peak: how many have been at a time.
        leaving: how many of those that are taken will be free at once, since their connections are being closed.
    """

    def __init__(self, most: int, *, setting: str = "the limit of connections") -> None:
        """Make a limit.

        Args:
            most: at least 1.

        Raises:
            ValueError: `most` is less.
        """
        if most < 1:
            raise ValueError(f"a limit of {most} connections lets nobody in")
        self.most = most
        self.setting = setting
        self.open = 0
        self.peak = 0
        self.leaving = 0
        self._queue: deque[Asker] = deque()
        self._resting: dict[Rester, None] = {}

    @property
    def waiting(self) -> int:
        """How many places are being waited for."""
        return len(self._queue)

    # --- for pools --------------------------------------------------------------------------------------

    @property
    def is_short(self) -> bool:
        """Whether somebody waits for whom no place is about to be free."""
        return len(self._queue) > self.leaving

    def is_next(self, asker: Asker) -> bool:
        """Whether the next place is this one's."""
        return bool(self._queue) and self._queue[0] is asker

    def try_take(self) -> bool:
        """Take a place if there is one, and nobody waits for it."""
        if self._queue or self.open >= self.most:
            return False
        self._count()
        return True

    async def take(self) -> None:
        """Take a place, as soon as there is one. A caller that is cancelled has none."""
        if self.try_take():
            return
        from asyncio import get_running_loop

        ticket = _Ticket(get_running_loop().create_future())
        self.ask(ticket)
        try:
            await ticket.place
        except BaseException:
            if ticket.place.cancelled():
                with suppress(ValueError):  # it was passed over
                    self.withdraw(ticket)
            else:  # it came together with the cancellation
                self.give_back()
            raise

    @cached_property
    def beyond(self) -> Lock:
        """Held by the one who goes beyond the limit for an instant, to end a connection on the server."""
        from asyncio import Lock

        return Lock()

    def ask(self, asker: Asker) -> None:
        """Wait for a place; who waits for several asks as often."""
        self._queue.append(asker)
        self._serve()

    def withdraw(self, asker: Asker) -> None:
        """Wait for one place less."""
        self._queue.remove(asker)

    def give_back(self) -> None:
        """Give a place back: its connection is closed."""
        self.open -= 1
        self._serve()

    def rests(self, pool: Rester) -> None:
        """A pool has idle connections."""
        self._resting[pool] = None

    def stirs(self, pool: Rester) -> None:
        """It has none any more."""
        self._resting.pop(pool, None)

    def _serve(self) -> None:
        while self._queue and self.open < self.most:
            asker = self._queue.popleft()
            self._count()
            if not asker.granted():
                self.open -= 1
        while self.is_short and self._resting:
            min(self._resting, key=lambda pool: pool.rests_since).let_go()

    def _count(self) -> None:
        self.open += 1
        self.peak = max(self.peak, self.open)


class _Ticket:
    """One place for one who waits."""

    def __init__(self, place: Future[None]) -> None:
        self.place = place

    def granted(self) -> bool:
        if self.place.done():
            return False
        self.place.set_result(None)
        return True
