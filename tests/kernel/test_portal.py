"""A kernel for blocking code, from any thread."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest
from objectkernel import BootError, ObjectKernel, PluginDef, Service, ShutdownError
from objectkernel.errors import KernelStateInvalid, ServiceUnavailable

DB = Service[str]("test.db")
REPORT = Service[str]("test.report")
SESSION = Service[str]("test.session")
TENANT = Service[str]("test.tenant", scope="request")


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


class World:
    def __init__(self) -> None:
        self.journal: list[str] = []
        self.plugin = PluginDef("world")
        journal = self.journal

        @self.plugin.provides(DB)
        async def db() -> AsyncIterator[str]:
            journal.append("+db")
            yield "db"
            journal.append("-db")

        @self.plugin.provides(REPORT, lifetime="lazy")
        async def report() -> AsyncIterator[str]:
            await anyio.sleep(0.01)
            journal.append("+report")
            yield "report"

        @self.plugin.provides(SESSION, lifetime="scoped", needs={"tenant": TENANT})
        async def session(tenant: str) -> AsyncIterator[str]:
            yield f"session of {tenant}"
            journal.append(f"-session of {tenant}")


def test_portal_boots_serves_and_stops() -> None:
    """``with kernel.portal() as k:`` runs the kernel in a thread of its own and stops it at the end."""
    world = World()
    kernel = kernel_of(world.plugin)
    threads = threading.active_count()
    with kernel.portal() as portal:
        assert portal.get(DB) == "db"
        assert kernel.state == "running"
        assert portal.aget(REPORT) == "report"
    assert kernel.state == "stopped"
    assert world.journal == ["+db", "+report", "-db"]
    assert threading.active_count() == threads


def test_threads_share_one_lazy_object() -> None:
    """However many threads ask at once, a lazy service is made once."""
    world = World()
    with kernel_of(world.plugin).portal() as portal, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: portal.aget(REPORT), range(16))) == ["report"] * 16
    assert world.journal.count("+report") == 1


def test_call_runs_in_the_kernels_event_loop() -> None:
    """`call` awaits a coroutine function where the kernel runs, and raises what it raises."""
    with kernel_of(World().plugin).portal() as portal:

        async def fails(number: int) -> int:
            await anyio.sleep(0)
            if number:
                raise ValueError(number)
            return threading.get_ident()

        assert portal.call(fails, 0) != threading.get_ident()
        with pytest.raises(ValueError, match="3"):
            portal.call(fails, 3)


def test_scope_and_lease_around_blocking_code() -> None:
    """Blocking code opens scopes and leases; they are left where the block ends."""
    world = World()
    kernel = kernel_of(world.plugin)
    with kernel.portal() as portal:
        with portal.scope("request", {TENANT: "acme"}) as scope:
            assert portal.call(scope.aget, SESSION) == "session of acme"
            assert "-session of acme" not in world.journal
        assert world.journal[-1] == "-session of acme"
        with ThreadPoolExecutor(1) as pool, portal.lease(DB) as db:
            disabled = pool.submit(portal.call, kernel.disable, "world")
            while kernel.plugins()[0].state != "draining":
                assert not disabled.done()
            assert (db, "-db" in world.journal) == ("db", False)
            with pytest.raises(ServiceUnavailable), portal.lease(DB):
                pass
            portal_lease_left = disabled
        portal_lease_left.result(timeout=20)
        assert world.journal[-1] == "-db"


def test_portal_raises_what_the_boot_raises() -> None:
    """A failed boot comes out of the `with` statement, and leaves no thread behind."""
    failing = PluginDef("failing")

    @failing.provides(DB)
    async def db() -> str:
        raise OSError("no")

    threads = threading.active_count()
    with pytest.raises(BootError) as caught, kernel_of(failing).portal():
        pass
    assert [str(e) for e in caught.value.exceptions] == ["no"]
    assert threading.active_count() == threads


def test_portal_stops_the_kernel_when_its_block_raises() -> None:
    """An error of the blocking code passes, after everything was stopped."""
    world = World()
    kernel = kernel_of(world.plugin)
    with pytest.raises(ValueError, match="mine"), kernel.portal():
        raise ValueError("mine")
    assert kernel.state == "stopped"
    assert world.journal == ["+db", "-db"]


def test_portal_raises_what_the_stop_raises() -> None:
    """Errors of the teardown come out of the `with` statement."""
    loud = PluginDef("loud")

    @loud.provides(DB)
    async def db() -> AsyncIterator[str]:
        yield "db"
        raise OSError("stop")

    with pytest.raises(ShutdownError) as caught, kernel_of(loud).portal():
        pass
    assert [str(e) for e in caught.value.exceptions] == ["stop"]


def test_kernel_of_a_portal_runs_once() -> None:
    """As everywhere, a kernel runs once."""
    kernel = kernel_of()
    with kernel.portal():
        pass
    with pytest.raises(KernelStateInvalid), kernel.portal():
        pass


def test_two_portals_are_two_kernels() -> None:
    """Two kernels of one process run in threads of their own and do not see each other."""
    one, two = kernel_of().provide(DB, "one"), kernel_of().provide(DB, "two")
    with one.portal() as first, two.portal() as second:
        assert (first.get(DB), second.get(DB)) == ("one", "two")


def test_portal_tells_the_errors_of_its_block_and_of_the_teardown() -> None:
    """As `async with` does."""
    bad = PluginDef("bad")

    @bad.provides(DB)
    async def a() -> AsyncIterator[str]:
        yield "a"
        raise OSError("teardown")

    with pytest.raises(ShutdownError) as caught, ObjectKernel(plugins=[bad], discover=False).portal():
        raise ValueError("body")
    assert [str(e) for e in caught.value.exceptions] == ["body", "teardown"]
    with pytest.raises(KeyboardInterrupt) as interrupted, ObjectKernel(plugins=[bad], discover=False).portal():
        raise KeyboardInterrupt
    assert "teardown" in interrupted.value.__notes__[0]
