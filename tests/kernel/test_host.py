"""One task for each provider: stopped, reloaded or crashed from any task without a cancel-scope error (G15)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from objectkernel import ObjectKernel, Plugin, PluginDef, Service, ShutdownError, provides, wants
from objectkernel.errors import ProviderInvalid

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

DB = Service[str]("test.db")
APP = Service[str]("test.app")
POOL = Service[list[str]]("test.pool")


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


class Pool:
    """A provider that keeps a task group open across its yield, with a child that can be made to crash."""

    def __init__(self) -> None:
        self.journal: list[str] = []
        self.crash = anyio.Event()
        self.tasks: list[int] = []
        pool = self

        class Pooling(Plugin):
            name = "pooling"

            @provides(DB)
            async def db(self) -> AsyncIterator[str]:
                pool.tasks.append(anyio.get_current_task().id)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(pool.child)
                    pool.journal.append("+db")
                    yield "db"
                    pool.tasks.append(anyio.get_current_task().id)
                    tasks.cancel_scope.cancel()
                pool.journal.append("-db")

        self.plugin = Pooling

    async def child(self) -> None:
        try:
            await self.crash.wait()
            raise ValueError("child")
        finally:
            self.journal.append("child over")


def user(journal: list[str]) -> PluginDef:
    plugin = PluginDef("user")

    @plugin.provides(APP, needs={"db": DB})
    async def app(db: str) -> AsyncIterator[str]:
        journal.append("+app")
        yield f"app on {db}"
        journal.append("-app")

    return plugin


async def in_another_task(function: Any, *args: Any) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(function, *args)


async def test_task_group_stays_open_across_the_yield() -> None:
    """A provider enters and leaves its task group in one task, whoever boots and stops the kernel."""
    pool = Pool()
    kernel = kernel_of(pool.plugin, user(pool.journal))
    await in_another_task(kernel.bootstrap)
    assert kernel.get(APP) == "app on db"
    await in_another_task(kernel.shutdown)
    assert pool.journal == ["+db", "+app", "-app", "child over", "-db"]
    assert len(set(pool.tasks)) == 1
    assert pool.tasks[0] != anyio.get_current_task().id


async def test_crash_inside_a_providers_task_group_fails_a_critical_plugin() -> None:
    """A child that crashes while the service is up cancels its provider; users stop first, the crash is raised."""
    pool = Pool()
    with anyio.fail_after(20), pytest.raises(ShutdownError) as caught:
        async with kernel_of(pool.plugin, user(pool.journal)):
            pool.crash.set()
            await anyio.sleep_forever()
    (group,) = caught.value.exceptions
    assert isinstance(group, ExceptionGroup)
    assert [str(e) for e in group.exceptions] == ["child"]
    assert pool.journal == ["+db", "+app", "child over", "-app"]


async def test_crash_inside_a_providers_task_group_spares_the_neighbours_of_an_optional_plugin() -> None:
    """An optional plugin that crashes in its own task group is failed; its soft users read None."""
    pool = Pool()

    class Soft(Plugin):
        name = "soft"
        db = wants(DB)

        @provides(APP)
        async def app(self) -> AsyncIterator[str]:
            yield f"app on {self.db}"

    async with kernel_of(pool.plugin, Soft, optional=["pooling"]) as kernel:
        assert kernel.get(APP) == "app on db"
        pool.crash.set()
        with anyio.fail_after(20):
            while {p.name: p.state for p in kernel.plugins()} != {"pooling": "failed", "soft": "running"}:
                await anyio.sleep(0.001)
            while "test.app" not in kernel.services():
                await anyio.sleep(0.001)
        assert kernel.get(APP) == "app on None"
        assert kernel.state == "degraded"


async def test_reload_from_another_task_leaves_and_enters_in_host_tasks() -> None:
    """A plugin with an open task group is restarted from any task; the new run has a task of its own."""
    pool = Pool()
    async with kernel_of(pool.plugin, user(pool.journal)) as kernel:
        await in_another_task(kernel.reload, "pooling")
        assert kernel.get(APP) == "app on db"
        assert pool.journal == ["+db", "+app", "-app", "child over", "-db", "+db", "+app"]
        await in_another_task(kernel.disable, "pooling")
        assert kernel.services() == ()
    first, second = pool.tasks[:2], pool.tasks[2:]
    assert (len(set(first)), len(set(second))) == (1, 1)


async def test_cancel_scope_of_a_provider_does_not_reach_its_neighbours() -> None:
    """A deadline that a provider opens around its whole life ends it, and nothing else."""
    plugin, neighbour = PluginDef("short"), PluginDef("neighbour")
    expire = anyio.Event()

    @plugin.provides(DB)
    async def db() -> AsyncIterator[str]:
        async with anyio.create_task_group() as tasks:

            async def expires() -> None:
                await expire.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(expires)
            yield "db"

    @neighbour.provides(APP)
    async def app() -> AsyncIterator[str]:
        yield "app"

    async with kernel_of(plugin, neighbour, optional=["short"]) as kernel:
        expire.set()
        with anyio.fail_after(20):
            while kernel.state != "degraded" or "test.db" in kernel.services():
                await anyio.sleep(0.001)
        (told,) = [p for p in kernel.plugins() if p.name == "short"]
        assert isinstance(told.error, ProviderInvalid)
        assert kernel.get(APP) == "app"


async def test_provider_sees_the_context_of_the_bootstrap() -> None:
    """A provider runs in a copy of the context variables that `bootstrap()` was called with."""
    tenant: ContextVar[str] = ContextVar("tenant", default="none")
    seen: list[str] = []
    plugin = PluginDef("reading")

    @plugin.provides(DB)
    async def db() -> AsyncIterator[str]:
        seen.append(tenant.get())
        tenant.set("changed")
        yield "db"
        seen.append(tenant.get())

    token = tenant.set("acme")
    try:
        async with kernel_of(plugin):
            assert tenant.get() == "acme"
    finally:
        tenant.reset(token)
    assert seen == ["acme", "changed"]
