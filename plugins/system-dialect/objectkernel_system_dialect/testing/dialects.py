"""The dialects that a behaviour suite works with: opened when a test asks, closed together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.testing.schemas import SCHEMAS


class Dialects:
    """Opens dialects on one database, which belongs to the suite and may have anything in the suite's collections.

    Args:
        open: opens a dialect. Each that it gives sees the same database, but where only `DialectSuite` runs.
    """

    def __init__(self, open: Callable[[], Awaitable[Dialect]]) -> None:
        self._open = open
        self._shared: Dialect | None = None
        self._opened: list[Dialect] = []

    async def shared(self) -> Dialect:
        """The dialect that all tests share, opened for the first."""
        if self._shared is None:
            self._shared = await self.another()
        return self._shared

    async def another(self) -> Dialect:
        """A further dialect; the suite's schemas are registered."""
        dialect = await self._open()
        self._opened.append(dialect)
        await dialect.register(*SCHEMAS)
        return dialect

    async def __aenter__(self) -> Dialects:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for dialect in reversed(self._opened):
            await dialect.aclose()
