"""How busy the connections of a database are: what an executor tells, where it knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import attrs


@attrs.frozen(kw_only=True)
class Usage:
    """The connections of one database, now.

    Attributes:
        limit: the most that may be open.
        used, idle: those that work, and those that wait for work; None where nobody counts them.
        waiting: calls that nobody serves yet, by what they wait for: ``connection``, ``reader``, ``writer``.
    """

    limit: int
    used: int | None = None
    idle: int | None = None
    waiting: Mapping[str, int]


@runtime_checkable
class TellsUsage(Protocol):
    """An executor, or a dialect, that knows it."""

    def usage(self) -> Usage | None:
        """At once, from memory; None: what is behind it does not know."""
        ...
