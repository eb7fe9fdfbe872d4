"""Trying again what a database undid because of what others did at the same time."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio

T = TypeVar("T")

RETRIES: Final = 5
"""How often, before the error is the caller's."""
PAUSE: Final = 0.02
"""Seconds of the first pause before that, at most; each further one may be twice as long."""


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
