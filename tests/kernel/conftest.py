"""What the kernel's tests share: that a test leaves no task behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest


def tasks() -> dict[int, str]:
    """The tasks that are alive, but for those of the test runner itself."""
    alive = {task.id: task for task in anyio.get_running_tasks()}
    return {i: str(t.name) for i, t in alive.items() if not t.coro.__qualname__.startswith("TestRunner.")}


@pytest.fixture
async def no_task_left() -> AsyncIterator[None]:
    """Fails the test that leaves a task alive which was not there before it."""
    before = tasks()
    yield
    await anyio.wait_all_tasks_blocked()
    assert [name for task, name in tasks().items() if task not in before] == []
