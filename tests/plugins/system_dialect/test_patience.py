"""Trying again what others had undone: a few times, and nothing else."""

from __future__ import annotations

import pytest
from objectkernel_system_dialect.patience import RETRIES, patiently


class Undone(Exception):
    """What may be tried again."""


class Attempts:
    """Fails as often as it is told to, and counts.

    Attributes:
        made: how often it was run.
    """

    def __init__(self, failures: int, error: Exception) -> None:
        self.made = 0
        self._failures = failures
        self._error = error

    async def __call__(self) -> str:
        self.made += 1
        if self.made <= self._failures:
            raise self._error
        return "done"


def is_undone(error: Exception) -> bool:
    return isinstance(error, Undone)


@pytest.mark.anyio
@pytest.mark.parametrize("failures", [0, 1, RETRIES])
async def test_what_was_undone_is_tried_again(failures: int) -> None:
    """An attempt that others had undone is made again until it succeeds."""
    attempts = Attempts(failures, Undone())
    assert await patiently(attempts, is_undone) == "done"
    assert attempts.made == failures + 1


@pytest.mark.anyio
async def test_patience_ends() -> None:
    """What is undone each time is the caller's error in the end."""
    attempts = Attempts(RETRIES + 1, Undone())
    with pytest.raises(Undone):
        await patiently(attempts, is_undone)
    assert attempts.made == RETRIES + 1


@pytest.mark.anyio
async def test_other_errors_are_the_callers_at_once() -> None:
    """An error of which nobody knows that nothing was done is not tried again."""
    attempts = Attempts(1, ValueError())
    with pytest.raises(ValueError):
        await patiently(attempts, is_undone)
    assert attempts.made == 1
