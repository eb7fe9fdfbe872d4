"""A kernel that is entered and left from different tasks of one asyncio loop, as pytest-asyncio and ASGI do it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from objectkernel import ObjectKernel, PluginDef, Service, ShutdownError

DB = Service[str]("test.db")


class World:
    """A kernel with a service that keeps a task group open, and may crash on request."""

    def __init__(self) -> None:
        self.journal: list[str] = []
        self.crash = False
        self.plugin = PluginDef("world")
        self.kernel = ObjectKernel(plugins=[self.plugin], discover=False)

        @self.plugin.provides(DB)
        async def db() -> AsyncIterator[str]:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.child)
                self.journal.append("+db")
                yield "db"
                tasks.cancel_scope.cancel()
            self.journal.append("-db")

    async def child(self) -> None:
        while not self.crash:
            await anyio.sleep(0.001)
        raise ValueError("child")

    async def fixture(self) -> AsyncIterator[ObjectKernel]:
        async with self.kernel:
            yield self.kernel


async def step(generator: Any) -> Any:
    return await anext(generator, None)


def test_fixture_may_be_left_in_another_task_than_it_was_entered_in() -> None:
    """Each half of an async generator fixture runs in a task of its own; the kernel minds neither."""
    world = World()
    with asyncio.Runner() as runner:
        fixture = world.fixture()
        kernel = runner.run(step(fixture))
        assert kernel.get(DB) == "db"

        async def test() -> str:
            async with kernel.lease(DB) as db:
                return str(db)

        assert runner.run(test()) == "db"
        runner.run(step(fixture))
        assert world.journal == ["+db", "-db"]
        assert kernel.state == "stopped"


def test_crash_between_tasks_is_raised_where_the_fixture_is_left() -> None:
    """A crash while nobody is in the body stops the kernel; it is raised by the other half."""
    world = World()
    with asyncio.Runner() as runner:
        fixture = world.fixture()
        kernel = runner.run(step(fixture))
        world.crash = True
        runner.run(kernel.wait_stopped())
        with pytest.raises(ShutdownError) as caught:
            runner.run(step(fixture))
    (group,) = caught.value.exceptions
    assert isinstance(group, ExceptionGroup)
    assert [str(e) for e in group.exceptions] == ["child"]


def test_kernels_run_in_one_event_loop_after_another() -> None:
    """The same plugins boot in one event loop after another: nothing of a kernel is kept in the process."""
    for _ in range(2):
        world = World()
        with asyncio.Runner() as runner:
            runner.run(world.kernel.bootstrap())
            runner.run(world.kernel.shutdown())
        assert world.journal == ["+db", "-db"]
