"""One job at a time for each key; who comes while it is under way shares what becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import anyio

T = TypeVar("T")


class _Flight(Generic[T]):
    def __init__(self, strong: bool) -> None:
        self.strong = strong
        self.ended = anyio.Event()
        self.value: T | None = None
        self.error: Exception | None = None


class SingleFlight(Generic[T]):
    """Runs jobs, of each key one. A job that fails fails everybody who waits for it; one that is cancelled, nobody."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def run(self, key: Hashable, job: Callable[[], Awaitable[T]], *, strong: bool = False) -> T:
        """What the job gives, or one that was under way.

        Args:
            strong: only what another strong job gives is good enough.
        """
        while (flight := self._flights.get(key)) is not None:
            await flight.ended.wait()
            if flight.strong or not strong:
                if flight.error is not None:
                    raise flight.error
                if flight.value is not None:
                    return flight.value
        flight = self._flights[key] = _Flight(strong)
        try:
            flight.value = value = await job()
        except Exception as error:
            flight.error = error
            raise
        finally:
            del self._flights[key]
            flight.ended.set()
        return value
