"""Background tasks: none that crashes is lost; its plugin fails, restarts or degrades by its policy (G12)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
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
    hookimpl,
    needs,
    provides,
    wants,
)
from objectkernel.errors import PluginExited, ServiceUnavailable, StopTimeout
from objectkernel.plugin import CrashPolicy

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

DB = Service[str]("test.db")
LEDGER = Service[str]("test.ledger")
APP = Service[str]("test.app")
CACHE = Service[str]("test.cache")


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


def journaling(name: str, key: Service[str], journal: list[str], **needed: Service[Any]) -> PluginDef:
    """A plugin of one service that writes down when it is up and down."""
    plugin = PluginDef(name)

    @plugin.provides(key, needs=needed)
    async def service(**values: str) -> AsyncIterator[str]:
        journal.append(f"+{name}")
        yield name
        journal.append(f"-{name}")

    return plugin


class Bomb:
    """A plugin with a service and a background task that crashes when it is told to."""

    def __init__(self, policy: CrashPolicy, journal: list[str], error: BaseException | None = None) -> None:
        self.go = anyio.Event()
        self.runs = 0
        go, bomb = self.go, self

        class Crashing(Plugin):
            name = "crashing"

            @provides(DB)
            async def db(self) -> AsyncIterator[str]:
                journal.append("+db")
                yield "db"
                journal.append("-db")

            @background(on_crash=policy)
            async def work(self) -> None:
                bomb.runs += 1
                await go.wait()
                raise error or ValueError("boom")

        self.plugin = Crashing


async def until(kernel: ObjectKernel, name: str, state: str) -> None:
    """Wait until a plugin is in a state."""
    with anyio.fail_after(20):
        while next(p for p in kernel.plugins() if p.name == name).state != state:
            await anyio.sleep(0.001)


# -- fail


async def test_crash_of_a_critical_plugin_stops_the_kernel_and_is_raised() -> None:
    """The body of ``async with`` is cancelled, everything is stopped in order, and the crash is raised."""
    journal: list[str] = []
    bomb = Bomb("fail", journal)
    reached = False
    with anyio.fail_after(20), pytest.raises(ShutdownError) as caught:
        async with kernel_of(bomb.plugin, journaling("app", APP, journal, db=DB)) as kernel:
            bomb.go.set()
            await anyio.sleep_forever()
            reached = True
    (problem,) = caught.value.exceptions
    assert type(problem) is ValueError
    assert str(problem) == "boom"
    assert not reached
    assert journal == ["+db", "+app", "-app", "-db"]
    assert kernel.state == "stopped"
    assert {p.name: p.state for p in kernel.plugins()}["crashing"] == "failed"


async def test_crash_is_raised_by_shutdown_without_a_body() -> None:
    """A host that called `bootstrap()` learns of the crash from `wait_stopped` and gets it from `shutdown`."""
    bomb = Bomb("fail", [])
    kernel = await kernel_of(bomb.plugin).bootstrap()
    bomb.go.set()
    with anyio.fail_after(20):
        await kernel.wait_stopped()
    with pytest.raises(ShutdownError) as caught:
        await kernel.shutdown()
    assert [str(e) for e in caught.value.exceptions] == ["boom"]
    await kernel.shutdown()


async def test_crash_of_an_optional_plugin_fails_it_after_its_dependents() -> None:
    """Dependents are stopped first, then the plugin; the kernel is degraded and the neighbours run on."""
    journal: list[str] = []
    bomb = Bomb("fail", journal)

    class Soft(Plugin):
        name = "soft"
        db = wants(DB)

        @provides(CACHE)
        async def cache(self) -> AsyncIterator[str]:
            yield f"cache on {self.db}"

    neighbour: list[str] = []
    plugins = [bomb.plugin, journaling("app", APP, journal, db=DB), journaling("other", LEDGER, neighbour), Soft]
    async with kernel_of(*plugins, optional=["crashing"]) as kernel:
        assert kernel.get(CACHE) == "cache on db"
        bomb.go.set()
        await until(kernel, "app", "waiting")
        await anyio.wait_all_tasks_blocked()
        assert journal == ["+db", "+app", "-app", "-db"]
        told = {p.name: p for p in kernel.plugins()}
        assert {n: p.state for n, p in told.items()} == {
            "crashing": "failed",
            "app": "waiting",
            "other": "running",
            "soft": "running",
        }
        assert "boom" in told["crashing"].reason
        assert str(told["crashing"].error) == "boom"
        assert told["app"].because == "crashing"
        assert kernel.state == "degraded"
        assert kernel.get(CACHE) == "cache on None"
        assert neighbour == ["+other"]
        with pytest.raises(ServiceUnavailable):
            kernel.get(APP)


async def test_two_crashes_at_once_are_both_told() -> None:
    """Two optional plugins that crash in one moment both fail; nothing of them stays up."""
    go = anyio.Event()

    def crashing(name: str, key: Service[str]) -> PluginDef:
        plugin = PluginDef(name)

        @plugin.provides(key)
        def service() -> str:
            return name

        @plugin.background()
        async def work() -> None:
            await go.wait()
            raise ValueError(name)

        return plugin

    async with kernel_of(crashing("one", DB), crashing("two", APP), optional=["one", "two"]) as kernel:
        go.set()
        await until(kernel, "one", "failed")
        await until(kernel, "two", "failed")
        with anyio.fail_after(20):
            while kernel.services():
                await anyio.sleep(0.001)
        assert [str(p.error) for p in kernel.plugins()] == ["one", "two"]


async def test_crash_of_an_optional_plugin_before_the_boot_is_over_fails_it_as_later() -> None:
    """Background tasks run before the last boot phases: a crash then takes its plugin's services away too."""
    journal: list[str] = []
    bomb = Bomb("fail", journal)

    class Late(Plugin):
        name = "late"

        @hookimpl
        async def kernel_bootstrapped(self) -> None:
            bomb.go.set()
            await anyio.wait_all_tasks_blocked()

    plugins = [bomb.plugin, Late, journaling("app", APP, journal, db=DB)]
    async with kernel_of(*plugins, optional=["crashing", "app"]) as kernel:
        assert kernel.state == "degraded"
        assert journal == ["+db", "+app", "-app", "-db"]
        assert kernel.services() == ()


async def test_crash_of_a_critical_plugin_before_the_boot_is_over_fails_the_boot() -> None:
    """A background task that crashes at once is an error of the boot, and everything is exited."""
    journal: list[str] = []
    bomb = Bomb("fail", journal)
    bomb.go.set()

    class Late(Plugin):
        name = "late"

        @hookimpl
        async def kernel_bootstrapped(self) -> None:
            await anyio.wait_all_tasks_blocked()

    with pytest.raises(BootError) as caught:
        await kernel_of(bomb.plugin, Late).bootstrap()
    assert [str(e) for e in caught.value.exceptions] == ["boom"]
    assert journal == ["+db", "-db"]


async def test_system_exit_of_a_task_is_a_crash() -> None:
    """SystemExit in a background task does not end the process; it is the plugin's error."""
    bomb = Bomb("fail", [], SystemExit(2))
    with anyio.fail_after(20), pytest.raises(ShutdownError) as caught:
        async with kernel_of(bomb.plugin):
            bomb.go.set()
            await anyio.sleep_forever()
    (problem,) = caught.value.exceptions
    assert isinstance(problem, PluginExited)


async def test_keyboard_interrupt_of_a_task_stops_in_order_and_passes() -> None:
    """KeyboardInterrupt in a background task cancels the body, and comes as it is when all is down."""
    journal: list[str] = []
    bomb = Bomb("restart", journal, KeyboardInterrupt())
    with anyio.fail_after(20), pytest.raises(KeyboardInterrupt):
        async with kernel_of(bomb.plugin):
            bomb.go.set()
            await anyio.sleep_forever()
    assert journal == ["+db", "-db"]


# -- degrade


async def test_degrade_goes_on_without_the_task() -> None:
    """The plugin is degraded with the reason; its services stay up, and so does everything else."""
    journal: list[str] = []
    bomb = Bomb("degrade", journal)
    async with kernel_of(bomb.plugin, journaling("app", APP, journal, db=DB)) as kernel:
        bomb.go.set()
        await until(kernel, "crashing", "degraded")
        assert kernel.state == "degraded"
        assert (kernel.get(DB), kernel.get(APP)) == ("db", "app")
        (told,) = [p for p in kernel.plugins() if p.name == "crashing"]
        assert str(told.error) == "boom"
        assert "work" in told.reason
        assert journal == ["+db", "+app"]
    assert bomb.runs == 1


# -- restart


async def test_restart_backs_off_doubling_with_jitter_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restarted task waits 0.1 s, doubling to 30 s, a quarter more or less; the plugin runs on."""
    pauses: list[float] = []
    enough = anyio.Event()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 12:
            enough.set()
            await anyio.sleep_forever()
        await anyio.sleep(0)

    fake = SimpleNamespace(sleep=sleep, current_time=anyio.current_time)
    monkeypatch.setattr("objectkernel.background_tasks.anyio", fake)
    bomb = Bomb("restart", [])
    bomb.go.set()
    async with kernel_of(bomb.plugin) as kernel:
        with anyio.fail_after(20):
            await enough.wait()
        assert kernel.state == "running"
        assert kernel.get(DB) == "db"
        assert bomb.runs == 12
    expected = [min(0.1 * 2**n, 30.0) for n in range(12)]
    assert all(0.75 * e <= p <= 1.25 * e for p, e in zip(pauses, expected, strict=True))
    assert expected[-1] == 30.0
    assert [round(p / e, 6) for p, e in zip(pauses, expected, strict=True)] != [1.0] * 12


async def test_pause_is_short_again_after_the_task_ran_well_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run longer than the longest pause counts as recovery: the next crash waits 0.1 s again."""
    pauses: list[float] = []
    enough = anyio.Event()
    now = 0.0

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 4:
            enough.set()
            await anyio.sleep_forever()

    fake = SimpleNamespace(sleep=sleep, current_time=lambda: now)
    monkeypatch.setattr("objectkernel.background_tasks.anyio", fake)
    plugin = PluginDef("flaky")

    @plugin.background(on_crash="restart")
    async def work() -> None:
        nonlocal now
        now += 31 if len(pauses) == 3 else 1
        raise OSError("again")

    async with kernel_of(plugin):
        with anyio.fail_after(20):
            await enough.wait()
    expected = [0.1, 0.2, 0.4, 0.1]
    assert all(0.75 * e <= p <= 1.25 * e for p, e in zip(pauses, expected, strict=True))


async def test_restarted_task_that_recovers_just_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that crashes once and returns at its second run is done; each crash is logged."""
    monkeypatch.setattr("objectkernel.background_tasks.FIRST_PAUSE", 0.001)
    runs: list[str] = []
    done = anyio.Event()
    plugin = PluginDef("flaky")

    @plugin.background(on_crash="restart")
    async def work() -> None:
        runs.append("run")
        if len(runs) == 1:
            raise OSError("first")
        done.set()

    async with kernel_of(plugin) as kernel:
        with anyio.fail_after(20):
            await done.wait()
        assert kernel.state == "running"
    assert runs == ["run", "run"]


async def test_task_is_not_restarted_while_its_plugin_stops(caplog: pytest.LogCaptureFixture) -> None:
    """A stop ends the pause between two runs at once."""
    bomb = Bomb("restart", [])
    bomb.go.set()
    with caplog.at_level(logging.ERROR), anyio.fail_after(20):
        async with kernel_of(bomb.plugin):
            await anyio.wait_all_tasks_blocked()
    assert bomb.runs == 1
    assert "crashed" in caplog.text


# -- life


async def test_normal_return_is_fine() -> None:
    """A background task may end; its plugin runs on."""
    done = anyio.Event()
    plugin = PluginDef("short")

    @plugin.background()
    async def work() -> None:
        done.set()

    async with kernel_of(plugin) as kernel:
        await done.wait()
        await anyio.wait_all_tasks_blocked()
        assert kernel.state == "running"


async def test_tasks_start_after_the_ready_phase_with_their_needs() -> None:
    """A task runs when every plugin has handled `kernel_ready`, and reads what its plugin needs."""
    journal: list[str] = []
    done = anyio.Event()

    class Working(Plugin):
        name = "a-working"
        db = needs(DB)

        @background
        async def work(self) -> None:
            journal.append(f"work on {self.db}")
            done.set()

    class Ready(Plugin):
        name = "z-ready"

        @provides(DB)
        def db(self) -> str:
            return "db"

        @hookimpl
        async def kernel_ready(self) -> None:
            await anyio.sleep(0.01)
            journal.append("ready")

    class AlsoReady(Plugin):
        name = "zz-ready"

        @hookimpl
        async def kernel_ready(self) -> None:
            journal.append("also ready")

    async with kernel_of(Working, Ready, AlsoReady):
        await done.wait()
    assert journal == ["ready", "also ready", "work on db"]


async def test_task_is_cancelled_before_its_plugin_stops() -> None:
    """Background work ends while the services of its plugin are still up; its cleanup is awaited."""
    journal: list[str] = []

    class Working(Plugin):
        name = "working"

        @provides(DB)
        async def db(self) -> AsyncIterator[str]:
            yield "db"
            journal.append("-db")

        @background
        async def work(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.02)
                journal.append(f"work over: {self.context.get(DB)}")

    async with kernel_of(Working):
        await anyio.wait_all_tasks_blocked()
    assert journal == ["work over: db", "-db"]


async def test_error_of_a_task_that_is_stopped_is_collected() -> None:
    """What a task raises while it is cancelled comes with the errors of the shutdown."""
    plugin = PluginDef("loud")

    @plugin.background(on_crash="restart")
    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise OSError("cleanup")

    kernel = await kernel_of(plugin).bootstrap()
    await anyio.wait_all_tasks_blocked()
    with pytest.raises(ShutdownError) as caught:
        await kernel.shutdown()
    assert [str(e) for e in caught.value.exceptions] == ["cleanup"]


async def test_task_that_outlives_its_grace_is_given_up_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that does not end when it is cancelled is named by the shutdown; the rest stops."""
    monkeypatch.setattr("objectkernel.deadlines.STUCK_AFTER", 0.05)
    released, dead = anyio.Event(), anyio.Event()
    journal: list[str] = []
    plugin = PluginDef("deaf")

    @plugin.background(needs={"db": DB})
    async def work(db: str) -> None:
        with anyio.CancelScope(shield=True):
            await released.wait()
        dead.set()

    kernel = await kernel_of(plugin, journaling("db", DB, journal), stop_timeouts={"deaf": 0.05}).bootstrap()
    await anyio.wait_all_tasks_blocked()
    with anyio.fail_after(20), pytest.raises(ShutdownError) as caught:
        await kernel.shutdown()
    (problem,) = caught.value.exceptions
    assert getattr(problem, "plugin", "") == "deaf"
    assert "in work" in str(problem)
    assert not isinstance(problem, StopTimeout)
    assert journal == ["+db", "-db"]
    released.set()
    await dead.wait()


async def test_task_may_open_a_task_group_and_its_crash_is_the_group() -> None:
    """A task's own children belong to it: their crash ends it, and nothing of it stays alive."""
    journal: list[str] = []
    plugin = PluginDef("parent")

    @plugin.background()
    async def work() -> None:
        async def neighbour() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                journal.append("neighbour cancelled")

        async def crashes() -> None:
            await anyio.sleep(0)
            raise ValueError("child")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(neighbour)
            tasks.start_soon(crashes)

    with anyio.fail_after(20), pytest.raises(ShutdownError) as caught:
        async with kernel_of(plugin):
            await anyio.sleep_forever()
    (group,) = caught.value.exceptions
    assert isinstance(group, ExceptionGroup)
    assert [str(e) for e in group.exceptions] == ["child"]
    assert journal == ["neighbour cancelled"]
