"""The dialects that a behaviour suite works with: opened when a test asks, closed together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType

import pytest

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.testing.schemas import SCHEMAS


def missing_members(dialect: object) -> tuple[str, ...]:
    """The members of `Dialect` that a dialect has not."""
    return tuple(name for name in vars(Dialect) if not name.startswith("_") and not hasattr(dialect, name))


class Dialects:
    """Opens dialects on one database, which belongs to the suite and may have anything in the suite's collections.

    Args:
        open: opens a dialect. Each that it gives sees the same database, but where only `DialectSuite` runs.
    """

    def __init__(self, open: Callable[[], Awaitable[Dialect]]) -> None:
        self._open = open
        self._shared: Dialect | None = None
        self._opened: list[Dialect] = []
        self._missing: tuple[str, ...] = ()

    async def shared(self) -> Dialect:
        """The dialect that all tests share, opened for the first."""
        if self._shared is None:
            self._shared = await self.another()
        return self._shared

    async def another(self) -> Dialect:
        """A further dialect; the suite's schemas are registered.

        One that lacks members of `Dialect` fails the first test that asks for it, and the others are skipped.
        """
        if self._missing:
            pytest.skip(f"the dialect has not all members of Dialect: {', '.join(self._missing)}")
        dialect = await self._open()
        if hasattr(dialect, "aclose"):
            self._opened.append(dialect)
        self._missing = missing_members(dialect)
        if self._missing:
            pytest.fail(
                f"{type(dialect).__name__} lacks these members of Dialect: {', '.join(self._missing)}; "
                "every other test is skipped until they are there",
                pytrace=False,
            )
        await dialect.register(*SCHEMAS)
        return dialect

    async def __aenter__(self) -> Dialects:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for dialect in reversed(self._opened):
            await dialect.aclose()
