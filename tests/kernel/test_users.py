"""Who uses a service keeps it up: handlers that run, open scopes, leases; and what replaces one is what they get."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import attrs
import pytest
from objectkernel import (
    ObjectKernel,
    Plugin,
    PluginDef,
    Service,
    ShutdownError,
    contributes,
    needs,
    on,
    provides,
    wants,
)
from objectkernel.errors import (
    ChangeError,
    KernelStateInvalid,
    LeaseTimeout,
    ScopeInvalid,
    ServiceNotReady,
    ServiceUnavailable,
)
from objectkernel.keys import Extension
from objectkernel.plugin import collects

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

A = Service[str]("test.a")
B = Service[str]("test.b")
RULES = Extension[str]("test.rules")
TENANT = Service[str]("test.tenant", scope="request")


@attrs.frozen
class Paid:
    number: int = 0


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


def source(journal: list[str], lifetime: Any = "singleton") -> PluginDef:
    plugin = PluginDef("source")

    @plugin.provides(A, lifetime=lifetime)
    async def a() -> AsyncIterator[str]:
        journal.append("+a")
        yield "a"
        journal.append("-a")

    return plugin


def plain(lifetime: Any, value: str = "original") -> PluginDef:
    plugin = PluginDef("source")

    @plugin.provides(A, lifetime=lifetime)
    def a() -> str:
        return value

    return plugin


async def test_running_handler_keeps_its_plugin_up() -> None:
    """A stop waits for it; events that come meanwhile do not reach it any more (G2, G13)."""
    journal: list[str] = []
    running, go = anyio.Event(), anyio.Event()

    class Hears(Plugin):
        name = "hears"
        a = needs(A)

        @on(Paid)
        async def paid(self, event: Paid) -> None:
            running.set()
            await go.wait()
            journal.append(f"{self.a} {event.number}")

        @on(Paid)
        def plainly(self, event: Paid) -> None:
            journal.append(f"plain {event.number}")

    async with kernel_of(source(journal), Hears) as kernel, anyio.create_task_group() as tasks:
        tasks.start_soon(kernel.emit, Paid(1))
        await running.wait()
        tasks.start_soon(kernel.disable, "hears")
        await anyio.wait_all_tasks_blocked()
        await kernel.emit(Paid(2))
        assert {p.name: p.state for p in kernel.plugins()}["hears"] == "draining"
        go.set()
    assert journal == ["+a", "a 1", "-a"]


async def test_scope_keeps_what_it_got_and_what_it_made_on() -> None:
    """`scope.get` leases like `aget`, and a scoped object keeps its plugin up."""
    journal: list[str] = []
    made = PluginDef("made")

    @made.provides(B, lifetime="scoped")
    async def b() -> AsyncIterator[str]:
        yield "b"
        journal.append("-b")

    async with (
        kernel_of(source(journal), made) as kernel,
        anyio.create_task_group() as tasks,
        kernel.scope("request") as scope,
    ):
        assert scope.get(A) == "a"
        assert await scope.aget(B) == "b"
        tasks.start_soon(kernel.disable, "source")
        tasks.start_soon(kernel.disable, "made")
        await anyio.wait_all_tasks_blocked()
        assert journal == ["+a"]
    assert journal == ["+a", "-b", "-a"]


async def test_lease_that_outlived_its_object_counts_for_nothing() -> None:
    """After a drain deadline the next stop does not wait for a lease of the object before."""
    journal: list[str] = []
    async with kernel_of(source(journal), drain_timeout=0.05) as kernel:
        async with kernel.lease(A):
            with pytest.raises(ChangeError) as caught:
                await kernel.reload("source")
            assert [type(e) for e in caught.value.exceptions] == [LeaseTimeout]
            await kernel.reload("source")  # the lease is one of the first object
        async with kernel.lease(A) as a:
            assert a == "a"
    assert journal == ["+a", "-a"] * 3


async def test_lease_of_what_nobody_stops_is_refused() -> None:
    """A transient has no life to hold, a scoped service one only in its scope."""
    for lifetime in ("transient", "scoped"):
        async with kernel_of(plain(lifetime)) as kernel:
            with pytest.raises(ServiceNotReady):
                async with kernel.lease(A):
                    pass


async def test_lazy_service_can_be_leased() -> None:
    """It is made for the lease."""
    journal: list[str] = []
    async with kernel_of(source(journal, "lazy")) as kernel, kernel.lease(A) as a:
        assert a == "a"


@pytest.mark.parametrize("lifetime", ["singleton", "lazy", "transient", "scoped"])
async def test_override_counts_for_every_lifetime(lifetime: str) -> None:
    """Inside the block everybody gets the other object, and overrides nest."""
    async with kernel_of(plain(lifetime)) as kernel:

        async def seen() -> str:
            async with kernel.scope("request") as scope:
                return await scope.aget(A)

        async with kernel.override(A, "outer"):
            inner = kernel.override(A, "inner")
            async with inner:
                assert await seen() == "inner"
            assert await seen() == "outer"
        assert await seen() == "original"


async def test_override_left_after_the_kernel_has_stopped_is_silent() -> None:
    """There is nothing to put back."""
    kernel = await kernel_of(plain("singleton")).bootstrap()
    async with kernel.override(A, "other"):
        await kernel.shutdown()
    assert kernel.state == "stopped"


async def test_a_service_given_by_the_host_can_be_replaced() -> None:
    """And comes back."""

    class User(Plugin):
        name = "user"
        a = needs(A)

        @provides(B)
        def b(self) -> str:
            return f"b on {self.a}"

    async with kernel_of(User).provide(A, "given") as kernel:
        await kernel.replace(A, "other")
        assert (kernel.get(A), kernel.get(B)) == ("other", "b on other")
        await kernel.restore(A)
        assert (kernel.get(A), kernel.get(B)) == ("given", "b on given")


async def test_late_edge_between_scoped_services_is_read_when_it_is_there() -> None:
    """A ring closed by ``late=True`` does not hang; the one made later is seen by the one made before."""

    ring: Service[Any] = Service("test.ring")

    class Ring(Plugin):
        name = "ring"
        b = wants(B, late=True)

        @provides(ring, lifetime="scoped")
        def a(self) -> Any:
            return self

    other = PluginDef("other")

    @other.provides(B, lifetime="scoped", needs={"a": ring})
    def b(a: Any) -> str:
        return "b"

    async with kernel_of(Ring, other) as kernel, kernel.scope("request") as scope:
        with anyio.fail_after(20):
            view: Any = await scope.aget(ring)
            assert view.b is None
            await scope.aget(B)
            assert view.b == "b"
            assert view.context.plugin == "ring"


async def test_plugin_that_collects_what_it_contributes_to_has_it_all() -> None:
    """Its own contribution is made before the collection is read."""

    class Both(Plugin):
        name = "both"
        rules = collects(RULES)

        @contributes(RULES)
        def rule(self) -> str:
            return "own"

        @provides(A)
        def a(self) -> str:
            return ",".join(self.rules)

    more = PluginDef("more")

    @more.contributes(RULES)
    def rule() -> str:
        return "other"

    async with kernel_of(Both, more) as kernel:
        assert kernel.get(A) == "other,own"


async def test_objects_given_to_a_scope_are_of_their_keys_type() -> None:
    """As those given to the kernel are."""
    async with kernel_of() as kernel:
        with pytest.raises(Exception, match="K207"):
            kernel.scope("request", {TENANT: 5})  # type: ignore[dict-item]
        with pytest.raises(ScopeInvalid):
            kernel.scope("")


async def test_nothing_is_made_while_the_kernel_stops() -> None:
    """A lazy service that a stopping plugin asks for is unavailable: who would tear it down?"""
    journal: list[str] = []
    asked: list[type[Exception]] = []

    class Asks(Plugin):
        name = "asks"
        a = wants(A, late=True)

        @provides(B)
        async def b(self) -> AsyncIterator[str]:
            yield "b"
            try:
                await self.context.aget(A)
            except ServiceUnavailable as error:
                asked.append(type(error))

    async with kernel_of(source(journal, "lazy"), Asks):
        pass
    assert asked == [ServiceUnavailable]
    assert journal == []


async def test_error_of_the_body_and_of_the_teardown_are_both_told() -> None:
    """The body's comes first; an interrupt or a cancellation passes, with the errors noted on it."""
    bad = PluginDef("bad")

    @bad.provides(A)
    async def a() -> AsyncIterator[str]:
        yield "a"
        raise OSError("teardown")

    with pytest.raises(ShutdownError) as caught:
        async with kernel_of(bad):
            raise ValueError("body")
    assert [str(e) for e in caught.value.exceptions] == ["body", "teardown"]
    with pytest.raises(KeyboardInterrupt) as interrupted:
        async with kernel_of(bad):
            raise KeyboardInterrupt
    assert "teardown" in interrupted.value.__notes__[0]
    with anyio.move_on_after(0.05) as limit:
        async with kernel_of(bad):
            await anyio.sleep_forever()
    assert limit.cancelled_caught


async def test_shutdown_asked_for_by_the_body_does_not_cut_it_short() -> None:
    """What stands after it still runs."""
    after: list[str] = []
    async with kernel_of(plain("singleton")) as kernel:
        await kernel.shutdown()
        await anyio.sleep(0)
        after.append("ran")
    assert after == ["ran"]


async def test_leaving_a_kernel_that_was_not_entered_is_an_error() -> None:
    """`__aexit__` without `__aenter__`."""
    with pytest.raises(KernelStateInvalid):
        await kernel_of().__aexit__(None, None, None)


async def test_change_asked_for_by_another_plugin_is_made() -> None:
    """A plugin may reload one that it has nothing to do with, and is refused where that would stop itself (G15)."""
    journal: list[str] = []
    told: list[str] = []

    class Admin(Plugin):
        name = "admin"

        @on(Paid)
        async def paid(self, event: Paid) -> None:
            await event_kernel[0].reload("source")
            told.append("reloaded")

    event_kernel: list[ObjectKernel] = []
    async with kernel_of(source(journal), Admin) as kernel:
        event_kernel.append(kernel)
        await kernel.emit(Paid())
    assert told == ["reloaded"]
    assert journal == ["+a", "-a", "+a", "-a"]
