"""Leases: a service is not stopped while it is used, up to a deadline (G14)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from objectkernel import ObjectKernel, PluginDef, Service
from objectkernel.errors import ChangeError, KernelStateInvalid, LeaseTimeout, ServiceMissing, ServiceUnavailable

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

DB = Service[str]("test.db")
APP = Service[str]("test.app")
REPORT = Service[str]("test.report")


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


def journaling(name: str, key: Service[str], journal: list[str], **needed: Service[Any]) -> PluginDef:
    plugin = PluginDef(name)

    @plugin.provides(key, needs=needed)
    async def service(**values: str) -> AsyncIterator[str]:
        journal.append(f"+{name}")
        yield name
        journal.append(f"-{name}")

    return plugin


async def test_disable_waits_for_a_lease_and_refuses_new_ones() -> None:
    """While a service drains, who has it keeps it and who asks for it is told that it is unavailable."""
    journal: list[str] = []
    async with kernel_of(journaling("db", DB, journal)) as kernel, anyio.create_task_group() as tasks:
        async with kernel.lease(DB) as db:
            assert db == "db"
            tasks.start_soon(kernel.disable, "db")
            await anyio.wait_all_tasks_blocked()
            assert journal == ["+db"]
            assert [p.state for p in kernel.plugins()] == ["draining"]
            with pytest.raises(ServiceUnavailable) as caught:
                async with kernel.lease(DB):
                    pass
            assert caught.value.name == "test.db"
        await anyio.wait_all_tasks_blocked()
        assert journal == ["+db", "-db"]
        assert [p.state for p in kernel.plugins()] == ["disabled"]


async def test_every_lease_counts() -> None:
    """The service is stopped when the last of several leases is given back."""
    journal: list[str] = []
    async with kernel_of(journaling("db", DB, journal)) as kernel, anyio.create_task_group() as tasks:
        async with kernel.lease(DB):
            async with kernel.lease(DB):
                tasks.start_soon(kernel.disable, "db")
                await anyio.wait_all_tasks_blocked()
            await anyio.wait_all_tasks_blocked()
            assert journal == ["+db"]
        await anyio.wait_all_tasks_blocked()
        assert journal == ["+db", "-db"]


async def test_lease_of_a_dependent_keeps_what_it_needs() -> None:
    """A leased service keeps all that it was made from: nothing below it stops first."""
    journal: list[str] = []
    plugins = [journaling("db", DB, journal), journaling("app", APP, journal, db=DB)]
    async with kernel_of(*plugins) as kernel, anyio.create_task_group() as tasks:
        async with kernel.lease(APP):
            tasks.start_soon(kernel.disable, "db")
            await anyio.wait_all_tasks_blocked()
            assert journal == ["+db", "+app"]
        await anyio.wait_all_tasks_blocked()
        assert journal == ["+db", "+app", "-app", "-db"]


async def test_lease_over_the_drain_deadline_does_not_stop_the_change(caplog: pytest.LogCaptureFixture) -> None:
    """At the drain deadline the stop goes on, and the lease is reported."""
    journal: list[str] = []
    kernel = kernel_of(journaling("db", DB, journal), drain_timeout=0.05)
    await kernel.bootstrap()
    held, told = anyio.Event(), anyio.Event()

    async def hold() -> None:
        async with kernel.lease(DB):
            held.set()
            with anyio.move_on_after(10):
                await told.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hold)
        await held.wait()
        with pytest.raises(ChangeError) as caught:
            await kernel.disable("db")
        told.set()
        assert journal == ["+db", "-db"]
        assert [type(e) for e in caught.value.exceptions] == [LeaseTimeout]
        assert {p.name: p.state for p in kernel.plugins()} == {"db": "disabled"}
    reported = [r.exc_info[1] for r in caplog.records if r.exc_info]
    assert [type(e) for e in reported] == [LeaseTimeout]
    await kernel.shutdown()  # it was told with the change, and is not told again


async def test_scope_leases_what_it_used() -> None:
    """An open scope keeps the singletons that it used from being stopped until it is left."""
    journal: list[str] = []
    request = PluginDef("request")

    @request.provides(REPORT, lifetime="scoped", needs={"db": DB})
    async def report(db: str) -> AsyncIterator[str]:
        yield "report"
        journal.append("-report")

    async with kernel_of(journaling("db", DB, journal), request) as kernel, anyio.create_task_group() as tasks:
        async with kernel.scope("request") as scope:
            await scope.aget(REPORT)
            await scope.aget(DB)
            tasks.start_soon(kernel.disable, "db")
            await anyio.wait_all_tasks_blocked()
            assert journal == ["+db"]
        await anyio.wait_all_tasks_blocked()
        assert journal == ["+db", "-report", "-db"]


async def test_lease_makes_a_lazy_service() -> None:
    """Leasing a lazy service makes it, and holds it."""
    journal: list[str] = []
    plugin = PluginDef("lazy")

    @plugin.provides(REPORT, lifetime="lazy")
    async def report() -> AsyncIterator[str]:
        yield "report"
        journal.append("-report")

    async with kernel_of(plugin) as kernel, anyio.create_task_group() as tasks:
        async with kernel.lease(REPORT) as got:
            assert got == "report"
            tasks.start_soon(kernel.disable, "lazy")
            await anyio.wait_all_tasks_blocked()
            assert journal == []
        await anyio.wait_all_tasks_blocked()
        assert journal == ["-report"]


async def test_lease_is_given_back_however_its_block_ends() -> None:
    """An error or a cancellation inside the block frees the service."""
    async with kernel_of(journaling("db", DB, [])) as kernel:
        with pytest.raises(ValueError, match="mine"):
            async with kernel.lease(DB):
                raise ValueError("mine")
        with anyio.CancelScope() as scope:
            async with kernel.lease(DB):
                scope.cancel()
                await anyio.sleep_forever()
        with anyio.fail_after(20):
            await kernel.disable("db")


async def test_host_given_service_may_be_leased() -> None:
    """A service that the host gave is leased like any other."""
    async with kernel_of().provide(DB, "given") as kernel, kernel.lease(DB) as db:
        assert db == "given"


async def test_lease_of_what_is_not_there_is_a_clear_error() -> None:
    """An unknown service, an idle kernel: the kernel's own errors."""
    kernel = kernel_of(journaling("db", DB, []))
    with pytest.raises(KernelStateInvalid):
        kernel.lease(DB)
    async with kernel:
        with pytest.raises(ServiceMissing):
            kernel.lease(APP)
    with pytest.raises(KernelStateInvalid):
        kernel.lease(DB)
