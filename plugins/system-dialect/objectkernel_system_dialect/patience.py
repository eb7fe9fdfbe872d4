"""Trying again what a database undid because of what others did at the same time."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio

from objectkernel_system_dialect.errors import DatabaseBusy

T = TypeVar("T")

RETRIES: Final = 5
"""How often, before the error is the caller's."""
PAUSE: Final = 0.02
"""Seconds of the first pause before that, at most; each further one may be twice as long."""

CLASHES: Final = frozenset({"40001", "40P01", "ER_LOCK_DEADLOCK"})
"""What PostgreSQL and MariaDB report when others, at the same time, had a whole transaction undone."""


def clashed(error: Exception) -> bool:
    """Whether a transaction was undone because of what others did, so that it may be tried again as a whole."""
    return isinstance(error, DatabaseBusy) and error.facts.get("reason") in CLASHES


async def patiently(attempt: Callable[[], Awaitable[T]], undone: Callable[[Exception], bool]) -> T:
    """Run `attempt`, and again where it ends with an error of which `undone` is true: of it nothing was done."""
    for number in range(RETRIES):
        try:
            return await attempt()
        except Exception as error:
            if not undone(error):
                raise
        await anyio.sleep(random.uniform(0, PAUSE * 2**number))
    return await attempt()
