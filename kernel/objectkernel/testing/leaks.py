"""Finding kernels that were started and not stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from objectkernel.errors import KernelLeaked


@contextmanager
def watch_for_leaks(run_module: Any) -> Iterator[None]:
    """Raise KernelLeaked at the end of the block for a kernel that was started in it and still runs."""
    started: list[Any] = []
    original = run_module.Run.start

    def start(run: Any) -> None:
        started.append(run)
        original(run)

    run_module.Run.start = start
    try:
        yield
    finally:
        run_module.Run.start = original
    left = [run for run in started if not (run.closed.is_set() and run.ended_in_order)]
    if left:
        kernel = left[0].kernel
        raise KernelLeaked(
            f"the test left {len(left)} kernel(s) running",
            where=kernel.where,
            why="what it started lives on in the tests that follow",
            fix="use `async with kernel:`, await kernel.shutdown(), or let kernel_factory make it",
        )
