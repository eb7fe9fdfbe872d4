"""What is made on demand: lazy, transient and scoped services; single flight and disposal (G1, G7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from objectkernel import (
    BootError,
    ObjectKernel,
    Plugin,
    PluginDef,
    Service,
    ShutdownError,
    background,
    needs,
    provides,
    wants,
)
from objectkernel.errors import (
    ScopeInvalid,
    ScopeMismatch,
    ServiceMissing,
    ServiceNotReady,
    ServiceTypeMismatch,
    ServiceUnavailable,
    StartTimeout,
    StopTimeout,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

DB = Service[str]("test.db")
REPORT = Service[str]("test.report")
CLOCK = Service[list[int]]("test.clock")
SESSION = Service[str]("test.session")
TENANT = Service[str]("test.tenant", scope="request")
APP = Service[str]("test.app")


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


class Counted:
    """Plugins that count what they make, with a gate that the making waits at."""

    def __init__(self) -> None:
        self.made = 0
        self.gate = anyio.Event()
        self.journal: list[str] = []
        self.error: Exception | None = None
        self.plugin = PluginDef("counted")

    def lazy(self) -> PluginDef:
        @self.plugin.provides(REPORT, lifetime="lazy")
        async def report() -> AsyncIterator[str]:
            await self._make()
            yield f"report {self.made}"
            self.journal.append("-report")

        return self.plugin

    def scoped(self) -> PluginDef:
        @self.plugin.provides(SESSION, lifetime="scoped")
        async def session() -> AsyncIterator[str]:
            await self._make()
            name = f"session {self.made}"
            yield name
            self.journal.append(f"-{name}")

        return self.plugin

    async def _make(self) -> None:
        self.made += 1
        try:
            await self.gate.wait()
        except BaseException:
            self.journal.append("cancelled")
            raise
        if self.error is not None:
            raise self.error


async def ask_many(ask: Any, count: int, gate: anyio.Event) -> list[Any]:
    """What `count` tasks get that ask before the gate opens."""
    got: list[Any] = []

    async def one() -> None:
        got.append(await ask())

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        gate.set()
    return got


# -- lazy


async def test_lazy_service_is_made_at_the_first_aget_and_once() -> None:
    """Nothing is made at boot; however many ask at once, one object is made, and `get` then gives it."""
    counted = Counted()
    async with kernel_of(counted.lazy()) as kernel:
        assert counted.made == 0
        with pytest.raises(ServiceNotReady) as caught:
            kernel.get(REPORT)
        assert "aget" in caught.value.fix
        assert await ask_many(lambda: kernel.aget(REPORT), 20, counted.gate) == ["report 1"] * 20
        assert await kernel.aget(REPORT) == "report 1"
        assert kernel.get(REPORT) == "report 1"
    assert counted.journal == ["-report"]


async def test_cancelled_first_asker_does_not_fail_the_others() -> None:
    """The object is made in a task of the kernel: who asked first may be cancelled, the others get it."""
    counted = Counted()
    got: list[str] = []
    first = anyio.CancelScope()

    async def ask_first() -> None:
        with first:
            await kernel.aget(REPORT)
            got.append("never")

    async def ask_second() -> None:
        got.append(await kernel.aget(REPORT))

    async with kernel_of(counted.lazy()) as kernel:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask_first)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(ask_second)
            await anyio.wait_all_tasks_blocked()
            first.cancel()
            await anyio.wait_all_tasks_blocked()
            counted.gate.set()
        assert first.cancelled_caught
        assert got == ["report 1"]
        assert counted.made == 1


async def test_lazy_failure_reaches_every_asker_and_the_next_one_tries_again() -> None:
    """All who waited get the provider's own error; a later `aget` makes a new attempt."""
    counted = Counted()
    counted.error = OSError("printer on fire")
    errors: list[Exception] = []

    async def ask() -> None:
        try:
            await kernel.aget(REPORT)
        except OSError as error:
            errors.append(error)

    async with kernel_of(counted.lazy()) as kernel:
        await ask_many(ask, 3, counted.gate)
        assert errors == [counted.error] * 3
        assert counted.made == 1
        assert kernel.state == "running"
        counted.error = None
        assert await kernel.aget(REPORT) == "report 2"


async def test_lazy_service_brings_up_the_lazy_services_it_needs() -> None:
    """A chain of lazy services is made from its root, and torn down in reverse."""
    journal: list[str] = []
    plugin = PluginDef("chain")

    @plugin.provides(DB, lifetime="lazy")
    async def db() -> AsyncIterator[str]:
        journal.append("+db")
        yield "db"
        journal.append("-db")

    @plugin.provides(REPORT, lifetime="lazy", needs={"db": DB})
    async def report(db: str) -> AsyncIterator[str]:
        journal.append("+report")
        yield f"report on {db}"
        journal.append("-report")

    async with kernel_of(plugin) as kernel:
        assert await kernel.aget(REPORT) == "report on db"
        assert kernel.get(DB) == "db"
    assert journal == ["+db", "+report", "-report", "-db"]


async def test_lazy_service_that_a_singleton_needs_is_made_at_boot() -> None:
    """A hard edge to a lazy service is an edge like any other: it is up before its user starts."""
    counted = Counted()
    counted.gate.set()
    user = PluginDef("user")

    @user.provides(APP, needs={"report": REPORT})
    def app(report: str) -> str:
        return f"app with {report}"

    async with kernel_of(counted.lazy(), user) as kernel:
        assert kernel.get(APP) == "app with report 1"


async def test_lazy_service_that_is_being_made_is_cancelled_by_the_shutdown() -> None:
    """A stop does not wait for a lazy service that is still starting: it is cancelled, and its asker is told."""
    counted = Counted()
    caught: list[Exception] = []

    async def ask() -> None:
        try:
            await kernel.aget(REPORT)
        except ServiceUnavailable as error:
            caught.append(error)

    kernel = await kernel_of(counted.lazy()).bootstrap()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            await kernel.shutdown()
    assert len(caught) == 1
    assert counted.journal == ["cancelled"]


async def test_lazy_service_has_its_plugins_start_timeout() -> None:
    """A lazy provider that hangs is cancelled and its asker gets the timeout."""
    counted = Counted()
    async with kernel_of(counted.lazy(), start_timeout=0.05) as kernel:
        with pytest.raises(StartTimeout) as caught:
            await kernel.aget(REPORT)
        assert caught.value.plugin == "counted"
        assert counted.journal == ["cancelled"]


# -- transient


async def test_transient_is_made_anew_for_everyone_who_asks() -> None:
    """Each `aget` and each plugin that needs it gets an object of its own; `get` cannot make one."""
    made: list[list[int]] = []
    clock = PluginDef("clock")

    @clock.provides(CLOCK, lifetime="transient")
    def make() -> list[int]:
        made.append([len(made)])
        return made[-1]

    class One(Plugin):
        name = "one"
        clock = needs(CLOCK)

        @provides(DB)
        def db(self) -> str:
            return f"{self.clock}"

    class Two(Plugin):
        name = "two"
        clock = needs(CLOCK)

        @provides(APP)
        async def app(self) -> str:
            return f"{self.clock} {self.clock}"

    async with kernel_of(clock, One, Two) as kernel:
        assert kernel.get(DB) != kernel.get(APP)
        assert len(set(kernel.get(APP).split())) == 1, "within one plugin it is one object"
        first, second = await kernel.aget(CLOCK), await kernel.aget(CLOCK)
        assert first is not second
        with pytest.raises(ServiceNotReady):
            kernel.get(CLOCK)
        assert "test.clock" not in kernel.services()


async def test_transient_may_be_asynchronous_and_is_checked() -> None:
    """An ``async def`` transient is awaited, for askers and for plugins; its type is checked each time."""
    numbers = iter(range(10))
    wrong: list[Any] = []
    clock = PluginDef("clock")

    @clock.provides(CLOCK, lifetime="transient")
    async def make() -> list[int]:
        await anyio.sleep(0)
        return wrong[0] if wrong else [next(numbers)]  # type: ignore[no-any-return]

    class User(Plugin):
        name = "user"
        clock = needs(CLOCK)

        @provides(APP)
        async def app(self) -> str:
            return f"{self.clock} {self.clock}"

    async with kernel_of(clock, User) as kernel:
        assert kernel.get(APP) == "[0] [0]"
        assert await kernel.aget(CLOCK) == [1]
        wrong.append("noon")
        with pytest.raises(ServiceTypeMismatch):
            await kernel.aget(CLOCK)


# -- scoped


async def test_scoped_service_is_made_once_in_its_scope_and_torn_down_with_it() -> None:
    """Two scopes have an object each; leaving one tears down what it made, the last first."""
    journal: list[str] = []
    numbers = iter("123456")
    plugin = PluginDef("request")

    @plugin.provides(SESSION, lifetime="scoped")
    async def session() -> AsyncIterator[str]:
        number = next(numbers)
        yield f"session {number}"
        journal.append(f"-session {number}")

    @plugin.provides(REPORT, lifetime="scoped", needs={"session": SESSION})
    def report(session: str) -> Iterator[str]:
        yield f"report in {session}"
        journal.append(f"-report in {session}")

    async with kernel_of(plugin) as kernel:
        async with kernel.scope("request") as outer, kernel.scope("request") as inner:
            assert await outer.aget(REPORT) == "report in session 1"
            assert await outer.aget(SESSION) == "session 1"
            assert await inner.aget(SESSION) == "session 2"
            assert outer.get(REPORT) == "report in session 1"
            with pytest.raises(ServiceNotReady):
                inner.get(REPORT)
        assert journal == ["-session 2", "-report in session 1", "-session 1"]
        with pytest.raises(ServiceNotReady) as caught:
            kernel.get(SESSION)
        assert "scope" in caught.value.fix
        with pytest.raises(ServiceNotReady):
            await kernel.aget(SESSION)


async def test_scoped_service_is_made_once_however_many_ask_at_once() -> None:
    """Single flight per key and scope."""
    counted = Counted()
    async with kernel_of(counted.scoped()) as kernel, kernel.scope("request") as scope:
        assert await ask_many(lambda: scope.aget(SESSION), 20, counted.gate) == ["session 1"] * 20
    assert counted.journal == ["-session 1"]


async def test_cancelled_first_asker_in_a_scope_does_not_fail_the_others() -> None:
    """A scoped object is made in a task of the kernel as well."""
    counted = Counted()
    first = anyio.CancelScope()
    got: list[str] = []

    async def ask_first() -> None:
        with first:
            await scope.aget(SESSION)

    async def ask_second() -> None:
        got.append(await scope.aget(SESSION))

    async with (
        kernel_of(counted.scoped()) as kernel,
        kernel.scope("request") as scope,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(ask_first)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask_second)
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        await anyio.wait_all_tasks_blocked()
        counted.gate.set()
    assert got == ["session 1"]
    assert counted.journal == ["-session 1"]


async def test_scoped_failure_reaches_every_asker_and_the_next_one_tries_again() -> None:
    """A provider that raises fails who asked; the scope stays open and the next `aget` makes it anew."""
    counted = Counted()
    counted.error = OSError("no session")
    errors: list[Exception] = []

    async def ask() -> None:
        try:
            await scope.aget(SESSION)
        except OSError as error:
            errors.append(error)

    async with kernel_of(counted.scoped()) as kernel, kernel.scope("request") as scope:
        await ask_many(ask, 3, counted.gate)
        assert errors == [counted.error] * 3
        counted.error = None
        assert await scope.aget(SESSION) == "session 2"
    assert counted.journal == ["-session 2"]


async def test_scope_that_is_left_while_it_makes_something_cancels_that() -> None:
    """Leaving a scope ends what is half made in it; nothing stays alive."""
    counted = Counted()
    async with kernel_of(counted.scoped()) as kernel:
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                with pytest.raises(ScopeInvalid):
                    await scope.aget(SESSION)

            async with kernel.scope("request") as scope:
                tasks.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
        assert counted.journal == ["cancelled"]


async def test_opener_gives_the_keys_of_the_scope() -> None:
    """A key with ``scope=`` is given by whoever opens the scope, and read by scoped providers like a need."""

    class Requests(Plugin):
        name = "requests"
        tenant = needs(TENANT)
        db = needs(DB)

        @provides(SESSION, lifetime="scoped")
        async def session(self) -> str:
            return f"session of {self.tenant} on {self.db}"

        @provides(REPORT, lifetime="transient")
        def report(self) -> str:
            return f"report for {self.tenant}"

    async with kernel_of(Requests).provide(DB, "db") as kernel:
        async with kernel.scope("request", {TENANT: "acme"}) as one, kernel.scope("request", {TENANT: "emca"}) as two:
            assert await one.aget(SESSION) == "session of acme on db"
            assert await two.aget(SESSION) == "session of emca on db"
            assert (one.get(TENANT), await two.aget(TENANT)) == ("acme", "emca")
            assert await two.aget(REPORT) == "report for emca"
            assert one.get(DB) == await one.aget(DB) == "db"
        async with kernel.scope("request") as empty:
            with pytest.raises(ScopeInvalid) as caught:
                await empty.aget(SESSION)
            assert caught.value.name == "test.tenant"
        with pytest.raises(ServiceNotReady):
            await kernel.aget(REPORT)


async def test_wanted_key_of_a_scope_may_be_left_out() -> None:
    """A scoped provider that wants a key reads None where the opener did not give it."""

    class Requests(Plugin):
        name = "requests"
        tenant = wants(TENANT)
        db = wants(DB)

        @provides(SESSION, lifetime="scoped")
        def session(self) -> str:
            return f"session of {self.tenant} on {self.db}"

    async with kernel_of(Requests) as kernel, kernel.scope("request") as scope:
        assert await scope.aget(SESSION) == "session of None on None"


async def test_singleton_that_needs_a_scoped_service_is_a_boot_error() -> None:
    """What outlives a scope cannot hold what lives in it."""
    counted = Counted()

    class Holder(Plugin):
        name = "holder"
        session = needs(SESSION)

        @provides(APP)
        def app(self) -> str:
            return self.session

    with pytest.raises(BootError) as caught:
        await kernel_of(counted.scoped(), Holder).bootstrap()
    (problem,) = caught.value.exceptions
    assert isinstance(problem, ScopeMismatch)
    assert problem.name == "test.session"


async def test_scoped_teardown_errors_come_when_the_scope_is_left() -> None:
    """Every object of the scope is torn down; what they raise comes as one group to who left it."""
    plugin = PluginDef("loud")

    @plugin.provides(SESSION, lifetime="scoped")
    async def session() -> AsyncIterator[str]:
        yield "session"
        raise OSError("session")

    @plugin.provides(REPORT, lifetime="scoped")
    def report() -> Iterator[str]:
        yield "report"
        raise ValueError("report")

    async with kernel_of(plugin) as kernel:
        with pytest.raises(ExceptionGroup) as caught:
            async with kernel.scope("request") as scope:
                await scope.aget(SESSION)
                await scope.aget(REPORT)
        assert [str(e) for e in caught.value.exceptions] == ["report", "session"]


async def test_scoped_teardown_errors_of_a_shutdown_are_reported_by_it() -> None:
    """Where the kernel closes a scope, what its objects raise is not lost."""
    plugin = PluginDef("loud")

    @plugin.provides(SESSION, lifetime="scoped")
    async def session() -> AsyncIterator[str]:
        yield "session"
        raise OSError("session")

    kernel = await kernel_of(plugin).bootstrap()
    scope = await kernel.scope("request").__aenter__()
    await scope.aget(SESSION)
    raised: list[Exception] = []
    try:
        await kernel.shutdown()
    except ShutdownError as error:
        raised += error.exceptions
    try:
        await scope.__aexit__(None, None, None)
    except ExceptionGroup as group:
        raised += group.exceptions
    assert [str(e) for e in raised] == ["session"]


async def test_scoped_start_has_its_plugins_start_timeout() -> None:
    """A scoped provider that hangs is cancelled, and its asker gets the timeout."""
    plugin = PluginDef("hanging")

    @plugin.provides(SESSION, lifetime="scoped")
    async def session() -> str:
        await anyio.sleep(10)
        return "session"

    async with kernel_of(plugin, start_timeout=0.05) as kernel, kernel.scope("request") as scope:
        with pytest.raises(StartTimeout) as caught:
            await scope.aget(SESSION)
        assert caught.value.plugin == "hanging"


async def test_scoped_teardown_has_its_plugins_stop_timeout() -> None:
    """A scoped object whose teardown hangs is cancelled and named."""
    plugin = PluginDef("hanging")

    @plugin.provides(SESSION, lifetime="scoped")
    async def session() -> AsyncIterator[str]:
        yield "session"
        await anyio.sleep(10)

    async with kernel_of(plugin, stop_timeout=0.05) as kernel:
        with pytest.raises(ExceptionGroup) as caught:
            async with kernel.scope("request") as scope:
                await scope.aget(SESSION)
        (problem,) = caught.value.exceptions
        assert isinstance(problem, StopTimeout)
        assert problem.plugin == "hanging"


async def test_scope_disposes_though_its_body_is_cancelled() -> None:
    """Cancelling the task inside a scope still awaits the teardown of what it made."""
    journal: list[str] = []
    plugin = PluginDef("request")

    @plugin.provides(SESSION, lifetime="scoped")
    async def session() -> AsyncIterator[str]:
        yield "session"
        await anyio.sleep(0.01)
        journal.append("-session")

    kernel = await kernel_of(plugin).bootstrap()
    with anyio.CancelScope() as cancelled:
        async with kernel.scope("request") as scope:
            await scope.aget(SESSION)
            cancelled.cancel()
            await anyio.sleep_forever()
    assert journal == ["-session"]
    await kernel.shutdown()


async def test_scoped_service_that_needs_itself_in_a_ring_is_a_cycle() -> None:
    """Scoped services make rings as any others do, and they are found before anything runs."""
    plugin = PluginDef("ring")

    @plugin.provides(SESSION, lifetime="scoped", needs={"report": REPORT})
    def session(report: str) -> str:
        return report

    @plugin.provides(REPORT, lifetime="scoped", needs={"session": SESSION})
    def report(session: str) -> str:
        return session

    with pytest.raises(BootError) as caught:
        await kernel_of(plugin).bootstrap()
    assert caught.value.codes == ("K202",)


async def test_scope_misused_is_a_clear_error() -> None:
    """A scope is entered once and used until it is left; it takes only keys that were declared for it."""
    other = Service[str]("test.other", scope="session")
    async with kernel_of() as kernel:
        scope = kernel.scope("request", {TENANT: "acme"})
        with pytest.raises(ScopeInvalid):
            await scope.aget(TENANT)
        async with scope:
            with pytest.raises(ScopeInvalid):
                await scope.__aenter__()
            with pytest.raises(ServiceMissing):
                await scope.aget(DB)
            with pytest.raises(ScopeInvalid):
                scope.get(other)
        with pytest.raises(ScopeInvalid):
            scope.get(TENANT)
        for key in (other, DB):
            with pytest.raises(ScopeInvalid) as caught:
                kernel.scope("request", {key: "x"})
            assert caught.value.name == str(key)


async def test_plugin_opens_a_scope_of_its_own() -> None:
    """A plugin's view opens scopes, for work that it does request by request."""
    got: list[str] = []
    done = anyio.Event()

    class Sessions(Plugin):
        name = "sessions"
        tenant = needs(TENANT)

        @provides(SESSION, lifetime="scoped")
        def session(self) -> str:
            return f"session of {self.tenant}"

    class Worker(Plugin):
        name = "worker"
        session = needs(SESSION)

        @background
        async def work(self) -> None:
            async with self.context.scope("request", {TENANT: "acme"}) as scope:
                got.append(await scope.aget(SESSION))
            done.set()

    async with kernel_of(Sessions, Worker):
        with anyio.fail_after(20):
            await done.wait()
    assert got == ["session of acme"]
