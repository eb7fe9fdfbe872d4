"""What ends a request from another task."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from objectkernel_http.task_scopes import Running, TaskScope, scope_kind

pytestmark = pytest.mark.anyio


class Work:
    """Waits in a scope, in a task."""

    def __init__(self) -> None:
        self.scope: Running | None = None
        self.waiting = anyio.Event()
        self.after = False

    async def run(self) -> None:
        with scope_kind()() as self.scope:
            self.waiting.set()
            await anyio.sleep_forever()
        await anyio.sleep(0)
        self.after = True

    @property
    def caught(self) -> bool:
        return self.scope is not None and self.scope.cancelled_caught

    async def started(self) -> Running:
        await self.waiting.wait()
        assert self.scope is not None
        return self.scope


async def test_it_ends_what_runs_in_it_and_no_more() -> None:
    """The task goes on after it, however often it is cancelled."""
    work = Work()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work.run)
        scope = await work.started()
        scope.cancel()
        scope.cancel()
    assert (work.after, work.caught) == (True, True)


async def test_who_cancels_the_task_too_is_not_deceived() -> None:
    """What is around it ends as well."""
    work = Work()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work.run)
        scope = await work.started()
        scope.cancel()
        tasks.cancel_scope.cancel()
    assert not work.after


async def test_a_cancellation_from_elsewhere_passes() -> None:
    """It is none of this scope's."""
    work = Work()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work.run)
        await work.started()
        tasks.cancel_scope.cancel()
    assert (work.after, work.caught) == (False, False)


async def test_an_error_passes() -> None:
    """Also one that is raised in the place of the cancellation."""
    waiting = anyio.Event()
    scopes: list[Running] = []

    async def fails() -> None:
        with pytest.raises(OSError, match="no disk"), scope_kind()() as scope:
            scopes.append(scope)
            waiting.set()
            try:
                await anyio.sleep_forever()
            finally:
                raise OSError("no disk")
        await anyio.sleep(0)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fails)
        await waiting.wait()
        scopes[0].cancel()
    assert not scopes[0].cancelled_caught


async def test_an_event_loop_has_its_own(anyio_backend_name: str) -> None:
    """Where a task can be cancelled by itself, nothing dearer is taken."""
    assert scope_kind() is (TaskScope if anyio_backend_name == "asyncio" else anyio.CancelScope)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_is_being_cancelled_already() -> None:
    """Its scope counts from there."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await anyio.sleep(0)
    scope = scope_kind()()
    with scope:
        asyncio.get_running_loop().call_soon(scope.cancel)
        await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert task.uncancel() == 0
