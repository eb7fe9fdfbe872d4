"""Stopping: every teardown runs, within its deadlines, whoever asks and whatever they raise (G2, G11)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from objectkernel import (
    BootError,
    KernelError,
    ObjectKernel,
    Plugin,
    PluginDef,
    Service,
    ShutdownError,
    background,
    hookimpl,
    provides,
)
from objectkernel.errors import (
    BootAborted,
    KernelStateInvalid,
    LeaseTimeout,
    PluginExited,
    PluginStuck,
    StopTimeout,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

DB = Service[str]("test.db")
LEDGER = Service[str]("test.ledger")
APP = Service[str]("test.app")
LONG = 10
"""Seconds far behind every limit, and yet an end: where a limit fails the test does, and does not hang."""


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


def journaling(
    name: str, key: Service[str], journal: list[str], *, error: BaseException | None = None, **needed: Service[Any]
) -> PluginDef:
    """A plugin of one service that writes down when it is up and down, and may raise while it stops."""
    plugin = PluginDef(name)

    @plugin.provides(key, needs=needed)
    async def service(**values: str) -> AsyncIterator[str]:
        await anyio.sleep(0)
        journal.append(f"+{name}")
        yield name
        await anyio.sleep(0)
        journal.append(f"-{name}")
        if error is not None:
            raise error

    return plugin


def lasting(name: str, key: Service[str], gate: anyio.Event, journal: list[str]) -> PluginDef:
    """A plugin whose teardown waits at a gate."""
    plugin = PluginDef(name)

    @plugin.provides(key)
    async def service() -> AsyncIterator[str]:
        yield name
        journal.append(f"{name} stops")
        with anyio.move_on_after(LONG):
            await gate.wait()
        journal.append(f"-{name}")

    return plugin


# -- order


async def test_service_stops_only_after_every_user_has_stopped() -> None:
    """A service outlives the slowest of those that used it."""
    journal: list[str] = []
    slow = PluginDef("slow")

    @slow.provides(APP, needs={"db": DB})
    async def app(db: str) -> AsyncIterator[str]:
        yield "app"
        await anyio.sleep(0.05)
        journal.append("-slow")

    plugins = [journaling("db", DB, journal), journaling("quick", LEDGER, journal, db=DB), slow]
    async with kernel_of(*plugins):
        journal.clear()
    assert journal == ["-quick", "-slow", "-db"]


async def test_independent_services_stop_concurrently() -> None:
    """Twenty services that nobody uses and that take a while to stop take it together."""
    stopping = most = 0

    def slow(number: int) -> PluginDef:
        plugin = PluginDef(f"slow-{number}")

        @plugin.provides(Service[int](f"test.slow-{number}"))
        async def service() -> AsyncIterator[int]:
            nonlocal stopping, most
            yield number
            stopping += 1
            most = max(most, stopping)
            await anyio.sleep(0.02)
            stopping -= 1

        return plugin

    async with kernel_of(*(slow(n) for n in range(20))):
        pass
    assert (most, stopping) == (20, 0)


@pytest.mark.parametrize("form", ["generator", "async_generator"])
async def test_where_order_is_free_it_reverses_the_start(form: str) -> None:
    """Services without an edge between them stop in the reverse of the order in which they were up."""
    journal: list[str] = []

    def plugin_of(number: int) -> PluginDef:
        plugin = PluginDef(f"free-{number}")
        key = Service[int](f"test.free-{number}")
        if form == "generator":

            @plugin.provides(key)
            def service() -> Iterator[int]:
                journal.append(f"+{number}")
                yield number
                journal.append(f"-{number}")

        else:

            @plugin.provides(key)
            async def service_async() -> AsyncIterator[int]:
                journal.append(f"+{number}")
                yield number
                journal.append(f"-{number}")

        return plugin

    async with kernel_of(*(plugin_of(n) for n in range(5))):
        ups = [line.removeprefix("+") for line in journal]
        journal.clear()
    assert sorted(ups) == ["0", "1", "2", "3", "4"]
    assert [line.removeprefix("-") for line in journal] == ups[::-1]


# -- errors


async def test_every_teardown_runs_and_all_errors_come_as_one_group() -> None:
    """One teardown that throws does not stop the rest; the host gets all errors, unwrapped, in one group."""
    journal: list[str] = []
    plugins = [
        journaling("db", DB, journal, error=OSError("db")),
        journaling("ledger", LEDGER, journal, db=DB),
        journaling("app", APP, journal, error=ValueError("app"), ledger=LEDGER),
    ]
    kernel = await kernel_of(*plugins).bootstrap()
    with pytest.raises(ShutdownError) as caught:
        await kernel.shutdown()
    assert journal[3:] == ["-app", "-ledger", "-db"]
    assert [(type(e), str(e)) for e in caught.value.exceptions] == [(ValueError, "app"), (OSError, "db")]
    assert isinstance(caught.value, KernelError)
    assert isinstance(caught.value, ExceptionGroup)
    assert kernel.state == "stopped"


async def test_stopping_hooks_run_first_in_reverse_and_isolated() -> None:
    """`kernel_stopping` is called while every service is up, for every plugin, whatever one of them raises."""
    journal: list[str] = []

    class Db(Plugin):
        name = "db"

        @provides(DB)
        async def db(self) -> AsyncIterator[str]:
            yield "db"
            journal.append("-db")

        @hookimpl
        async def kernel_stopping(self) -> None:
            journal.append(f"db: {self.context.get(DB)}")

    class Loud(Plugin):
        name = "loud"

        @hookimpl
        def kernel_stopping(self) -> None:
            journal.append("loud")
            raise ValueError("loud")

    kernel = await kernel_of(Db, Loud).bootstrap()
    with pytest.raises(ShutdownError) as caught:
        await kernel.shutdown()
    assert [str(e) for e in caught.value.exceptions] == ["loud"]
    assert journal == ["loud", "db: db", "-db"]


async def test_error_of_the_body_is_joined_with_those_of_the_stop() -> None:
    """Neither the error of the ``async with`` body nor those of the teardown are lost."""
    kernel = kernel_of(journaling("db", DB, [], error=OSError("db")))
    with pytest.raises(ShutdownError) as caught:
        async with kernel:
            raise ValueError("body")
    assert [str(e) for e in caught.value.exceptions] == ["body", "db"]


async def test_error_of_the_body_comes_as_it_is_after_a_clean_stop() -> None:
    """``async with kernel`` stops everything and lets the error of its body pass."""
    journal: list[str] = []
    with pytest.raises(ValueError, match="body"):
        async with kernel_of(journaling("db", DB, journal)):
            raise ValueError("body")
    assert journal == ["+db", "-db"]


async def test_system_exit_of_a_teardown_does_not_end_the_process() -> None:
    """SystemExit while stopping is an error of the plugin like any other; the rest stops in order."""
    journal: list[str] = []
    kernel = kernel_of(journaling("db", DB, journal), journaling("app", APP, journal, error=SystemExit(1), db=DB))
    await kernel.bootstrap()
    with pytest.raises(ShutdownError) as caught:
        await kernel.shutdown()
    (problem,) = caught.value.exceptions
    assert isinstance(problem, PluginExited)
    assert isinstance(problem.__cause__, SystemExit)
    assert journal[-1] == "-db"


async def test_keyboard_interrupt_of_a_teardown_passes_when_all_has_stopped() -> None:
    """KeyboardInterrupt while stopping comes to the host as it is, and not before everything is down."""
    journal: list[str] = []
    kernel = kernel_of(journaling("db", DB, journal), journaling("app", APP, journal, error=KeyboardInterrupt(), db=DB))
    await kernel.bootstrap()
    with pytest.raises(KeyboardInterrupt):
        await kernel.shutdown()
    assert journal[-1] == "-db"


# -- deadlines


async def test_teardown_over_its_grace_is_cancelled_and_named() -> None:
    """Each plugin has its stop timeout; one that hangs is cancelled, named with its stack, and the rest stops."""
    journal: list[str] = []
    hanging = PluginDef("hanging")

    @hanging.provides(APP, needs={"db": DB})
    async def app(db: str) -> AsyncIterator[str]:
        yield "app"
        try:
            await anyio.sleep(LONG)
        finally:
            journal.append("cancelled")

    kernel = await kernel_of(hanging, journaling("db", DB, journal), stop_timeouts={"hanging": 0.05}).bootstrap()
    with pytest.raises(ShutdownError) as caught:
        await kernel.shutdown()
    (problem,) = caught.value.exceptions
    assert isinstance(problem, StopTimeout)
    assert problem.plugin == "hanging"
    assert "in app" in problem.stack
    assert journal == ["+db", "cancelled", "-db"]


async def test_overall_deadline_cancels_what_still_stops() -> None:
    """However long each plugin may take, the whole shutdown ends at its own deadline."""
    journal: list[str] = []

    def hanging(name: str, key: Service[str], **needed: Service[Any]) -> PluginDef:
        plugin = PluginDef(name)

        @plugin.provides(key, needs=needed)
        async def service(**values: str) -> AsyncIterator[str]:
            yield name
            try:
                await anyio.sleep(LONG)
            finally:
                journal.append(name)

        return plugin

    plugins = [hanging("db", DB), hanging("ledger", LEDGER, db=DB), hanging("app", APP, ledger=LEDGER)]
    kernel = await kernel_of(*plugins, stop_timeout=60, shutdown_timeout=0.1).bootstrap()
    with anyio.fail_after(20), pytest.raises(ShutdownError) as caught:
        await kernel.shutdown()
    assert journal == ["app", "ledger", "db"]
    assert [e.plugin for e in caught.value.exceptions if isinstance(e, StopTimeout)] == journal


async def test_stop_timeout_of_a_plugins_class_holds_for_it() -> None:
    """A plugin may state its own grace, which holds where the host gives it none."""

    class Hanging(Plugin):
        name = "hanging"
        stop_timeout = 0.05

        @provides(APP)
        async def app(self) -> AsyncIterator[str]:
            yield "app"
            await anyio.sleep(LONG)

    kernel = await kernel_of(Hanging).bootstrap()
    with pytest.raises(ShutdownError) as caught:
        await kernel.shutdown()
    assert [(type(e), e.seconds) for e in caught.value.exceptions] == [(StopTimeout, 0.05)]  # type: ignore[attr-defined]


async def test_overall_deadline_holds_for_the_teardown_of_a_failed_boot() -> None:
    """What a failed boot tears down has the time that a shutdown has."""
    failing = PluginDef("failing")

    @failing.provides(APP, needs={"db": DB})
    async def app(db: str) -> str:
        raise OSError("no")

    plugins = [lasting("db", DB, anyio.Event(), []), failing]
    with pytest.raises(BootError) as caught:
        await kernel_of(*plugins, shutdown_timeout=0.1).bootstrap()
    assert [type(e) for e in caught.value.exceptions] == [OSError, StopTimeout]


async def test_second_shutdown_may_hurry_the_first() -> None:
    """`shutdown(timeout=...)` shortens a stop that is already going on."""
    journal: list[str] = []
    kernel = await kernel_of(lasting("db", DB, anyio.Event(), journal)).bootstrap()
    errors: list[BaseException] = []

    async def first() -> None:
        try:
            await kernel.shutdown()
        except ShutdownError as error:
            errors.extend(error.exceptions)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await anyio.wait_all_tasks_blocked()
            assert journal == ["db stops"]
            await kernel.shutdown(timeout=0)
    assert [type(e) for e in errors] == [StopTimeout]
    assert journal == ["db stops"]


async def test_teardown_that_swallows_its_cancellation_is_given_up_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stuck code is given up and named; what it used is stopped nevertheless."""
    monkeypatch.setattr("objectkernel.deadlines.STUCK_AFTER", 0.05)
    released, dead = anyio.Event(), anyio.Event()
    journal: list[str] = []
    deaf = PluginDef("deaf")

    @deaf.provides(APP, needs={"db": DB})
    async def app(db: str) -> AsyncIterator[str]:
        yield "app"
        until = anyio.current_time() + LONG
        while not released.is_set() and anyio.current_time() < until:
            try:
                await anyio.sleep(0.01)
            except anyio.get_cancelled_exc_class():
                continue
        dead.set()

    kernel = await kernel_of(deaf, journaling("db", DB, journal), stop_timeouts={"deaf": 0.05}).bootstrap()
    with anyio.fail_after(20), pytest.raises(ShutdownError) as caught:
        await kernel.shutdown()
    (problem,) = caught.value.exceptions
    assert isinstance(problem, PluginStuck)
    assert problem.plugin == "deaf"
    assert isinstance(problem.__cause__, StopTimeout)
    assert journal == ["+db", "-db"]
    assert not dead.is_set()
    released.set()
    await dead.wait()


async def test_lease_held_over_the_drain_deadline_is_reported() -> None:
    """At the drain deadline the stop goes on, and the lease that was still held is an error."""
    journal: list[str] = []
    kernel = await kernel_of(journaling("db", DB, journal), drain_timeout=0.05).bootstrap()
    async with kernel.lease(DB):
        with pytest.raises(ShutdownError) as caught:
            await kernel.shutdown()
    (problem,) = caught.value.exceptions
    assert isinstance(problem, LeaseTimeout)
    assert (problem.name, problem.plugin) == ("test.db", "db")
    assert journal == ["+db", "-db"]


async def test_shutdown_waits_for_open_leases() -> None:
    """A leased service is stopped when the lease is given back, not before."""
    journal: list[str] = []
    kernel = await kernel_of(journaling("db", DB, journal)).bootstrap()
    async with anyio.create_task_group() as tasks, kernel.lease(DB) as db:
        tasks.start_soon(kernel.shutdown)
        await anyio.wait_all_tasks_blocked()
        assert kernel.state == "stopping"
        assert (db, journal) == ("db", ["+db"])
    assert journal == ["+db", "-db"]


# -- who asks, and when


async def test_teardown_is_shielded_from_the_callers_cancellation() -> None:
    """A cancelled `shutdown()` does not tear the teardown: it ends in order first."""
    journal: list[str] = []
    kernel = await kernel_of(journaling("db", DB, journal), journaling("app", APP, journal, db=DB)).bootstrap()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await kernel.shutdown()
    assert journal == ["+db", "+app", "-app", "-db"]
    assert kernel.state == "stopped"


async def test_cancelled_body_stops_everything_in_order() -> None:
    """Cancelling the task inside ``async with kernel`` runs every teardown, with its awaits."""
    journal: list[str] = []
    with anyio.CancelScope() as scope:
        async with kernel_of(journaling("db", DB, journal), journaling("app", APP, journal, db=DB)):
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert journal == ["+db", "+app", "-app", "-db"]


async def test_second_shutdown_waits_for_the_first_and_returns() -> None:
    """Whoever asks while the kernel stops waits until it has stopped; the errors go to the first alone."""
    journal: list[str] = []
    gate = anyio.Event()
    slow = PluginDef("slow")

    @slow.provides(DB)
    async def db() -> AsyncIterator[str]:
        yield "db"
        await gate.wait()
        raise OSError("slow")

    kernel = await kernel_of(slow).bootstrap()

    async def ask(name: str) -> None:
        try:
            await kernel.shutdown()
            journal.append(f"{name} returned")
        except ShutdownError:
            journal.append(f"{name} raised")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "first")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask, "second")
        await anyio.wait_all_tasks_blocked()
        assert journal == []
        gate.set()
    assert sorted(journal) == ["first raised", "second returned"]
    await kernel.shutdown()


async def test_bootstrap_and_shutdown_may_be_called_from_different_tasks() -> None:
    """The task that boots may be long over when another one stops the kernel (ASGI lifespan, pytest-asyncio)."""
    journal: list[str] = []
    kernel = kernel_of(journaling("db", DB, journal))

    async def in_a_task_of_its_own(function: Any) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(function)

    await in_a_task_of_its_own(kernel.bootstrap)
    assert kernel.get(DB) == "db"
    await in_a_task_of_its_own(kernel.shutdown)
    assert journal == ["+db", "-db"]


async def test_shutdown_during_bootstrap_cancels_it() -> None:
    """A boot that is stopped ends in BootError; what had been entered has been exited by then."""
    journal: list[str] = []
    starting = anyio.Event()
    slow = PluginDef("slow")

    @slow.provides(APP, needs={"db": DB})
    async def app(db: str) -> str:
        starting.set()
        try:
            await anyio.sleep_forever()
        finally:
            journal.append("slow cancelled")
        return "app"

    kernel = kernel_of(slow, journaling("db", DB, journal))
    caught: list[BootError] = []

    async def boot() -> None:
        with pytest.raises(BootError) as error:
            await kernel.bootstrap()
        caught.append(error.value)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(boot)
        await starting.wait()
        await kernel.shutdown()
        assert journal == ["+db", "slow cancelled", "-db"]
        assert kernel.state == "failed"
    assert [type(e) for e in caught[0].exceptions] == [BootAborted]


@pytest.mark.parametrize("phase", ["kernel_ready", "kernel_bootstrapped", "kernel_listening"])
async def test_shutdown_during_a_hook_phase_cancels_it(phase: str) -> None:
    """A hook that is waiting is cancelled by a shutdown, and the services go down in order."""
    journal: list[str] = []
    waiting = anyio.Event()

    async def wait(self: Plugin) -> None:
        waiting.set()
        try:
            await anyio.sleep_forever()
        finally:
            journal.append("hook cancelled")

    wait.__name__ = phase
    hooked = type("Hooked", (Plugin,), {"name": "hooked", phase: hookimpl(wait)})
    kernel = kernel_of(hooked, journaling("db", DB, journal))

    async def boot() -> None:
        with pytest.raises(BootError) as caught:
            await kernel.bootstrap()
        assert [type(e) for e in caught.value.exceptions] == [BootAborted]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(boot)
        await waiting.wait()
        await kernel.shutdown()
    assert journal == ["+db", "hook cancelled", "-db"]


async def test_cancelled_bootstrap_leaves_nothing_alive() -> None:
    """Cancelling `bootstrap()` cancels what starts and exits what was entered, before the cancellation passes."""
    journal: list[str] = []
    slow = PluginDef("slow")

    @slow.provides(APP, needs={"db": DB})
    async def app(db: str) -> str:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.02)
            journal.append("slow cancelled")
        return "app"

    kernel = kernel_of(slow, journaling("db", DB, journal))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kernel.bootstrap)
        await anyio.wait_all_tasks_blocked()
        assert kernel.state == "initializing"
        tasks.cancel_scope.cancel()
    assert journal == ["+db", "slow cancelled", "-db"]
    assert kernel.state == "failed"


async def test_shutdown_asked_for_by_a_plugin_stops_the_kernel() -> None:
    """A plugin's own task may ask for the stop; it is stopped like every other, without a deadlock."""
    journal: list[str] = []
    running = anyio.Event()
    kernel = kernel_of(journaling("db", DB, journal))

    class Quitting(Plugin):
        name = "quitting"

        @background
        async def work(self) -> None:
            await running.wait()
            try:
                await kernel.shutdown()
            finally:
                journal.append("work over")

    kernel.use(Quitting)
    with anyio.fail_after(20):
        async with kernel:
            running.set()
            await anyio.sleep_forever()
    assert kernel.state == "stopped"
    assert journal == ["+db", "work over", "-db"]


async def test_wait_stopped_returns_when_the_kernel_has_stopped() -> None:
    """A host that only serves waits for the end of the kernel, whoever brings it about."""
    journal: list[str] = []
    kernel = await kernel_of(journaling("db", DB, journal)).bootstrap()

    async def serve() -> None:
        await kernel.wait_stopped()
        journal.append("host")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await anyio.wait_all_tasks_blocked()
        assert journal == ["+db"]
        await kernel.shutdown()
    assert journal == ["+db", "-db", "host"]


async def test_open_scopes_are_closed_before_anything_stops() -> None:
    """Scoped objects are torn down while the singletons they used are still up."""
    journal: list[str] = []
    request = PluginDef("request")

    @request.provides(APP, lifetime="scoped", needs={"db": DB})
    async def app(db: str) -> AsyncIterator[str]:
        yield "app"
        journal.append("-scoped")

    kernel = await kernel_of(request, journaling("db", DB, journal)).bootstrap()
    async with kernel.scope("request") as scope:
        await scope.aget(APP)
        await kernel.shutdown()
        assert journal == ["+db", "-scoped", "-db"]


async def test_open_scopes_are_closed_in_reverse() -> None:
    """Of several open scopes the one that was opened last is closed first."""
    journal: list[str] = []
    label = Service[str]("test.label", scope="request")
    request = PluginDef("request")

    @request.provides(APP, lifetime="scoped", needs={"label": label})
    async def app(label: str) -> AsyncIterator[str]:
        yield label
        journal.append(f"-{label}")

    kernel = await kernel_of(request).bootstrap()
    async with kernel.scope("request", {label: "first"}) as first, kernel.scope("request", {label: "second"}) as second:
        await second.aget(APP)
        await first.aget(APP)
        await kernel.shutdown()
        assert journal == ["-second", "-first"]


# -- states


async def test_kernel_runs_once_through_its_states() -> None:
    """idle, initializing, running, stopping, stopped; bootstrapping a second time is a clear error."""
    states: list[str] = []

    class Watching(Plugin):
        name = "watching"

        @provides(DB)
        async def db(self) -> AsyncIterator[str]:
            states.append(kernel.state)
            yield "db"
            states.append(kernel.state)

    kernel = kernel_of(Watching)
    states.append(kernel.state)
    await kernel.bootstrap()
    states.append(kernel.state)
    with pytest.raises(KernelStateInvalid) as running:
        await kernel.bootstrap()
    await kernel.shutdown()
    states.append(kernel.state)
    assert states == ["idle", "initializing", "running", "stopping", "stopped"]
    with pytest.raises(KernelStateInvalid) as stopped:
        await kernel.bootstrap()
    assert (running.value.state, stopped.value.state) == ("running", "stopped")
    with pytest.raises(KernelStateInvalid):
        kernel.get(DB)


async def test_shutting_down_a_kernel_that_never_ran_is_a_clear_error() -> None:
    """There is nothing to stop in an idle kernel, and the error says so."""
    kernel = kernel_of()
    with pytest.raises(KernelStateInvalid) as caught:
        await kernel.shutdown()
    assert caught.value.state == "idle"
    with pytest.raises(KernelStateInvalid):
        await kernel.wait_stopped()


async def test_shutdown_after_a_failed_boot_has_nothing_to_do() -> None:
    """A failed boot has already exited everything and told its errors: a shutdown after it just returns."""
    kernel = kernel_of(journaling("app", APP, [], db=DB))
    with pytest.raises(BootError):
        await kernel.bootstrap()
    await kernel.shutdown()
    assert kernel.state == "failed"


async def test_two_kernels_in_one_process_never_see_each_other() -> None:
    """Two kernels of the same plugin classes have instances, services, handlers and states of their own."""
    heard: list[str] = []

    class Ping:
        pass

    class Db(Plugin):
        name = "db"

        @provides(DB)
        def db(self) -> str:
            return f"db {id(self)}"

    async with kernel_of(Db) as one, kernel_of(Db) as two:
        assert one.get(DB) != two.get(DB)
        one.on(Ping, lambda event: heard.append("one"))
        two.on(Ping, lambda event: heard.append("two"))
        await one.emit(Ping())
        assert heard == ["one"]
        await two.shutdown()
        assert (one.state, two.state) == ("running", "stopped")
        assert one.get(DB)


async def test_kernel_inside_a_plugin_of_another_is_a_kernel_of_its_own() -> None:
    """A plugin may run a whole kernel; the inner one starts and stops within the outer one's service."""
    journal: list[str] = []

    class Outer(Plugin):
        name = "outer"

        @provides(APP)
        async def app(self) -> AsyncIterator[str]:
            async with kernel_of(journaling("inner", DB, journal)) as inner:
                yield f"outer of {inner.get(DB)}"

    async with kernel_of(Outer) as kernel:
        assert kernel.get(APP) == "outer of inner"
        assert kernel.services() == ("test.app",)
    assert journal == ["+inner", "-inner"]
