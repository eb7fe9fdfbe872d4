"""Changes to a running kernel: only what depends on the changed part is restarted, in order (G14)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from objectkernel import (
    BootError,
    ObjectKernel,
    Plugin,
    PluginDef,
    Service,
    configured_by,
    hookimpl,
    needs,
    on,
    provides,
    wants,
)
from objectkernel.errors import (
    ConfigError,
    KernelStateInvalid,
    PluginStateInvalid,
    PluginUnknown,
    ServiceMissing,
    ServiceTypeMismatch,
    ServiceUnavailable,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

DB = Service[str]("test.db")
LEDGER = Service[str]("test.ledger")
APP = Service[str]("test.app")
CACHE = Service[str]("test.cache")
OTHER = Service[str]("test.other")


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


def chain(name: str, key: Service[str], journal: list[str], need: Service[str] | None = None) -> PluginDef:
    """A plugin of one service that names what it is made of, and writes down when it is up and down."""
    plugin = PluginDef(name)

    @plugin.provides(key, needs={"need": need} if need is not None else {})
    async def service(need: str = "") -> AsyncIterator[str]:
        journal.append(f"+{name}")
        yield f"{name} on {need}" if need else name
        journal.append(f"-{name}")

    return plugin


class World:
    """db <- ledger <- app, a soft user of db, and a plugin beside them that nothing may touch."""

    def __init__(self, db: Any = None, **options: Any) -> None:
        self.journal: list[str] = []
        self.neighbour: list[str] = []
        journal = self.journal

        class Soft(Plugin):
            name = "soft"
            db = wants(DB)

            @provides(CACHE)
            async def cache(self) -> AsyncIterator[str]:
                journal.append("+soft")
                yield f"cache on {self.db}"
                journal.append("-soft")

        self.kernel = kernel_of(
            db or chain("db", DB, journal),
            chain("ledger", LEDGER, journal, DB),
            chain("app", APP, journal, LEDGER),
            Soft,
            chain("other", OTHER, self.neighbour),
            **options,
        )

    async def __aenter__(self) -> ObjectKernel:
        await self.kernel.bootstrap()
        self.journal.clear()
        return self.kernel

    async def __aexit__(self, *error: object) -> None:
        assert self.neighbour == ["+other"], "nothing else is touched"
        await self.kernel.shutdown()
        assert self.neighbour == ["+other", "-other"]

    def states(self) -> dict[str, str]:
        return {p.name: p.state for p in self.kernel.plugins()}


def ordered(journal: list[str], *lines: str) -> bool:
    """Whether these lines are in the journal in this order."""
    places = [journal.index(line) for line in lines]
    return places == sorted(places)


# -- disable, enable


async def test_disable_stops_dependents_first_and_they_wait() -> None:
    """Hard dependents stop before the plugin and wait for it; a soft user is restarted and reads None."""
    world = World()
    async with world as kernel:
        await kernel.disable("db")
        assert ordered(world.journal, "-app", "-ledger", "-db", "+soft")
        assert ordered(world.journal, "-soft", "-db")
        assert world.states() == {
            "db": "disabled",
            "ledger": "waiting",
            "app": "waiting",
            "soft": "running",
            "other": "running",
        }
        told = {p.name: p for p in kernel.plugins()}
        assert "test.db" in told["ledger"].reason
        assert told["ledger"].because == "db"
        assert kernel.get(CACHE) == "cache on None"
        assert kernel.state == "degraded"
        with pytest.raises(ServiceUnavailable) as caught:
            kernel.get(DB)
        assert "disabled" in str(caught.value)


async def test_enable_starts_the_plugin_and_all_that_waited_for_it() -> None:
    """What waited starts in order, and the soft user is restarted to read the service again."""
    world = World()
    async with world as kernel:
        await kernel.disable("db")
        world.journal.clear()
        await kernel.enable("db")
        assert ordered(world.journal, "+db", "+ledger", "+app")
        assert ordered(world.journal, "-soft", "+db", "+soft")
        assert kernel.get(APP) == "app on ledger on db"
        assert kernel.get(CACHE) == "cache on db"
        assert set(world.states().values()) == {"running"}
        assert kernel.state == "running"


async def test_disable_in_the_middle_leaves_what_is_below() -> None:
    """Only what depends on the disabled plugin stops."""
    world = World()
    async with world as kernel:
        await kernel.disable("ledger")
        assert world.journal == ["-app", "-ledger"]
        assert kernel.get(DB) == "db"
        await kernel.disable("ledger")
        assert world.journal == ["-app", "-ledger"]


async def test_plugin_that_waits_for_two_starts_when_both_are_back() -> None:
    """Enabling one of two disabled needs does not start who needs both."""
    journal: list[str] = []
    both = PluginDef("both")

    @both.provides(APP, needs={"db": DB, "ledger": LEDGER})
    def app(db: str, ledger: str) -> str:
        return f"{db} and {ledger}"

    async with kernel_of(chain("db", DB, journal), chain("ledger", LEDGER, journal), both) as kernel:
        await kernel.disable("db")
        await kernel.disable("ledger")
        await kernel.enable("db")
        assert {p.name: p.state for p in kernel.plugins()} == {
            "db": "running",
            "ledger": "disabled",
            "both": "waiting",
        }
        await kernel.enable("ledger")
        assert kernel.get(APP) == "db and ledger"


async def test_handlers_of_a_disabled_plugin_are_not_called() -> None:
    """A handler's subscription ends with its plugin and begins again with it."""
    heard: list[str] = []

    class Ping:
        pass

    class Listening(Plugin):
        name = "listening"

        @on(Ping)
        def ping(self, event: Ping) -> None:
            heard.append("ping")

    async with kernel_of(Listening) as kernel:
        await kernel.emit(Ping())
        await kernel.disable("listening")
        await kernel.emit(Ping())
        assert heard == ["ping"]
        await kernel.enable("listening")
        await kernel.emit(Ping())
        assert heard == ["ping", "ping"]


async def test_enable_that_fails_says_why_and_leaves_the_kernel_degraded() -> None:
    """A plugin that does not start again is failed; the error comes to who asked, and it may be enabled later."""
    broken = False
    flaky = PluginDef("db")

    @flaky.provides(DB)
    async def db() -> str:
        if broken:
            raise OSError("no disk")
        return "db"

    world = World(flaky)
    async with world as kernel:
        await kernel.disable("db")
        broken = True
        with pytest.raises(BootError) as caught:
            await kernel.enable("db")
        assert [str(e) for e in caught.value.exceptions] == ["no disk"]
        assert world.states()["db"] == "failed"
        assert world.states()["ledger"] == "waiting"
        assert kernel.state == "degraded"
        broken = False
        await kernel.enable("db")
        assert kernel.get(APP) == "app on ledger on db"
        assert kernel.state == "running"


async def test_optional_plugin_that_failed_at_boot_can_be_enabled() -> None:
    """What failed at boot may be started later, with those that were skipped because of it."""
    working = False
    flaky = PluginDef("db")

    @flaky.provides(DB)
    async def db() -> str:
        if not working:
            raise OSError("no disk")
        return "db"

    world = World(flaky, optional=["db", "ledger", "app"])
    async with world as kernel:
        assert world.states()["app"] == "skipped"
        working = True
        await kernel.enable("db")
        assert kernel.get(CACHE) == "cache on db"
        assert kernel.get(APP) == "app on ledger on db"
        assert set(world.states().values()) == {"running"}


async def test_crashed_plugin_can_be_enabled_again() -> None:
    """A plugin that crashed is enabled like a failed one, and what waited for it starts."""
    crash = anyio.Event()
    journal: list[str] = []
    plugin = PluginDef("db")

    @plugin.provides(DB)
    def db() -> str:
        return "db"

    @plugin.background()
    async def work() -> None:
        await crash.wait()
        if not journal:
            journal.append("crashed")
            raise ValueError("boom")

    world = World(plugin, optional=["db"])
    async with world as kernel:
        world.journal.clear()
        crash.set()
        with anyio.fail_after(20):
            while world.states()["app"] != "waiting" or "test.cache" not in kernel.services():
                await anyio.sleep(0.001)
        journal.append("crashed")
        await kernel.enable("db")
        assert kernel.get(APP) == "app on ledger on db"
        assert kernel.state == "running"


# -- reload


async def test_reload_restarts_the_plugin_and_its_dependents_once() -> None:
    """Each is stopped in reverse and started in order, once; the instance of the class stays."""
    world = World()
    async with world as kernel:
        await kernel.reload("ledger")
        assert world.journal == ["-app", "-ledger", "+ledger", "+app"]
        assert kernel.get(APP) == "app on ledger on db"
        assert kernel.state == "running"


@attrs.frozen
class DbConfig:
    url: str = "memory"
    size: int = 1


class ConfiguredDb(Plugin):
    name = "db"
    config = configured_by(DbConfig)

    @provides(DB)
    async def db(self) -> AsyncIterator[str]:
        if self.config.url == "broken":
            raise OSError("cannot open broken")
        yield f"db at {self.config.url}"


async def test_reload_reads_the_configuration_again(tmp_path: Path) -> None:
    """A plugin is restarted with the file as it is now."""
    file = tmp_path / "objectkernel.toml"
    file.write_text('[plugins.db]\nurl = "one"\n')
    world = World(ConfiguredDb, config=file, environ={})
    async with world as kernel:
        assert kernel.get(LEDGER) == "ledger on db at one"
        file.write_text('[plugins.db]\nurl = "two"\n')
        assert kernel.get(DB) == "db at one"
        await kernel.reload("db")
        assert kernel.get(APP) == "app on ledger on db at two"


@pytest.mark.parametrize("text", ['[plugins.db]\nulr = "x"\n', "[plugins.db]\nsize = 'many'\n"])
async def test_reload_refuses_an_invalid_configuration_before_anything_stops(tmp_path: Path, text: str) -> None:
    """Nothing is stopped for a configuration that would be refused at boot."""
    file = tmp_path / "objectkernel.toml"
    file.write_text('[plugins.db]\nurl = "one"\n')
    world = World(ConfiguredDb, config=file, environ={})
    async with world as kernel:
        file.write_text(text)
        with pytest.raises(ConfigError) as caught:
            await kernel.reload("db")
        assert len(caught.value.exceptions) == 1
        assert world.journal == []
        assert kernel.get(DB) == "db at one"
        assert kernel.state == "running"


async def test_reload_that_does_not_start_returns_to_the_old_configuration(tmp_path: Path) -> None:
    """If the new one fails, the old one is started again, with all that depends on it, and the error is raised."""
    file = tmp_path / "objectkernel.toml"
    file.write_text('[plugins.db]\nurl = "one"\n')
    world = World(ConfiguredDb, config=file, environ={})
    async with world as kernel:
        file.write_text('[plugins.db]\nurl = "broken"\n')
        with pytest.raises(BootError) as caught:
            await kernel.reload("db")
        assert [str(e) for e in caught.value.exceptions] == ["cannot open broken"]
        assert kernel.get(APP) == "app on ledger on db at one"
        assert kernel.get(CACHE) == "cache on db at one"
        assert set(world.states().values()) == {"running"}
        assert kernel.state == "running"


async def test_reloads_are_taken_one_at_a_time() -> None:
    """Two changes that are asked for at once follow one another."""
    world = World()
    async with world as kernel:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kernel.reload, "ledger")
            tasks.start_soon(kernel.reload, "ledger")
        assert world.journal == ["-app", "-ledger", "+ledger", "+app"] * 2


async def test_shutdown_ends_a_change_that_is_going_on() -> None:
    """A stop that comes during a reload cancels the restart: everything is down at once, exited exactly once."""
    gate = anyio.Event()
    runs: list[str] = []
    slow = PluginDef("db")

    @slow.provides(DB)
    async def db() -> AsyncIterator[str]:
        if runs:
            await gate.wait()
        runs.append("+db")
        yield "db"
        runs.append("-db")

    kernel = await kernel_of(slow).bootstrap()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:

            async def reload() -> None:
                with pytest.raises(KernelStateInvalid):
                    await kernel.reload("db")

            tasks.start_soon(reload)
            await anyio.wait_all_tasks_blocked()
            await kernel.shutdown()
    assert runs == ["+db", "-db"]
    assert kernel.state == "stopped"
    assert not gate.is_set()


async def test_cancelled_reload_leaves_a_kernel_that_can_be_stopped() -> None:
    """Who asked for a change may be cancelled; everything that was entered is still exited."""
    gate = anyio.Event()
    journal: list[str] = []
    slow = PluginDef("db")

    @slow.provides(DB)
    async def db() -> AsyncIterator[str]:
        if journal:
            await gate.wait()
        journal.append("+db")
        yield "db"
        journal.append("-db")

    kernel = await kernel_of(slow).bootstrap()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kernel.reload, "db")
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    gate.set()
    await anyio.wait_all_tasks_blocked()
    with anyio.fail_after(20):
        await kernel.shutdown()
    assert journal in (["+db", "-db"], ["+db", "-db", "+db", "-db"])


# -- replace, restore, override


async def test_replace_stops_the_provider_and_restarts_its_users_with_the_new_object() -> None:
    """The replacement lasts until `restore`, which brings the provider back."""
    world = World()
    async with world as kernel:
        await kernel.replace(DB, "fake")
        assert ordered(world.journal, "-app", "-ledger", "-db", "+ledger", "+app")
        assert "+db" not in world.journal
        assert kernel.get(APP) == "app on ledger on fake"
        assert kernel.get(CACHE) == "cache on fake"
        await kernel.reload("ledger")
        assert kernel.get(APP) == "app on ledger on fake"
        world.journal.clear()
        await kernel.restore(DB)
        assert ordered(world.journal, "-ledger", "+db", "+ledger", "+app")
        assert kernel.get(APP) == "app on ledger on db"


async def test_replace_of_a_host_given_service_and_back() -> None:
    """A service that the host gave is replaced and restored like a plugin's."""
    journal: list[str] = []
    async with kernel_of(chain("ledger", LEDGER, journal, DB)).provide(DB, "given") as kernel:
        await kernel.replace(DB, "fake")
        assert (kernel.get(DB), kernel.get(LEDGER)) == ("fake", "ledger on fake")
        await kernel.restore(DB)
        assert (kernel.get(DB), kernel.get(LEDGER)) == ("given", "ledger on given")
    assert journal == ["+ledger", "-ledger"] * 3


async def test_override_lasts_for_its_block() -> None:
    """`override` replaces for the length of the block, whatever ends it."""
    world = World()
    async with world as kernel:
        async with kernel.override(DB, "fake"):
            assert kernel.get(APP) == "app on ledger on fake"
        assert kernel.get(APP) == "app on ledger on db"
        with pytest.raises(ValueError, match="mine"):
            async with kernel.override(DB, "fake"):
                raise ValueError("mine")
        assert kernel.get(APP) == "app on ledger on db"
        with anyio.CancelScope() as scope:
            async with kernel.override(DB, "fake"):
                scope.cancel()
                await anyio.sleep_forever()
        assert kernel.get(APP) == "app on ledger on db"


async def test_replacement_of_another_type_is_refused_before_anything_stops() -> None:
    """A replacement is checked against the key's type as a provided object is."""
    world = World()
    wrong: Any = 3
    async with world as kernel:
        with pytest.raises(ServiceTypeMismatch):
            await kernel.replace(DB, wrong)
        assert world.journal == []


async def test_replacement_that_its_users_do_not_start_with_is_told() -> None:
    """If a dependent does not start with the new object, the provider comes back, and whoever replaced is told."""
    picky = PluginDef("picky")

    @picky.provides(LEDGER, needs={"db": DB})
    async def ledger(db: str) -> str:
        if db == "fake":
            raise ValueError("I do not take fakes")
        return f"ledger on {db}"

    async with kernel_of(chain("db", DB, []), picky) as kernel:
        with pytest.raises(BootError) as caught:
            await kernel.replace(DB, "fake")
        assert [str(e) for e in caught.value.exceptions] == ["I do not take fakes"]
        assert {p.name: p.state for p in kernel.plugins()} == {"db": "running", "picky": "running"}
        assert kernel.get(LEDGER) == "ledger on db"
        assert kernel.state == "running"


# -- what is refused


@pytest.mark.parametrize("change", ["disable", "enable", "reload"])
async def test_change_of_an_unknown_plugin_names_the_nearest(change: str) -> None:
    """A plugin that is not there is an error with the nearest name."""
    async with World() as kernel:
        with pytest.raises(PluginUnknown) as caught:
            await getattr(kernel, change)("legder")
        assert caught.value.known[0] == "ledger"


@pytest.mark.parametrize(
    "change",
    [
        lambda kernel: kernel.disable("db"),
        lambda kernel: kernel.enable("db"),
        lambda kernel: kernel.reload("db"),
        lambda kernel: kernel.replace(DB, "fake"),
        lambda kernel: kernel.restore(DB),
    ],
)
async def test_change_of_a_kernel_that_does_not_run_is_refused(change: Callable[[ObjectKernel], Any]) -> None:
    """Run-time changes are for a running kernel; before and after, the error tells its state."""
    kernel = kernel_of(chain("db", DB, []))
    for state in ("idle", "stopped"):
        with pytest.raises(KernelStateInvalid) as caught:
            await change(kernel)
        assert caught.value.state == state
        if state == "idle":
            await kernel.bootstrap()
            await kernel.shutdown()


async def test_change_that_makes_no_sense_is_refused() -> None:
    """Enabling what runs, restoring what is not replaced, replacing what nobody provides: clear errors."""
    async with World() as kernel:
        with pytest.raises(PluginStateInvalid):
            await kernel.enable("db")
        with pytest.raises(PluginStateInvalid):
            await kernel.restore(DB)
        with pytest.raises(ServiceMissing):
            await kernel.replace(Service[str]("test.nobody"), "x")


async def test_plugin_may_not_change_the_kernel_from_its_own_task() -> None:
    """A change that would stop the task that waits for it is refused, not a deadlock."""
    refused: list[str] = []

    class Self(Plugin):
        name = "self"
        db = needs(DB)

        @hookimpl
        async def kernel_ready(self) -> None:
            pass

    plugin = PluginDef("meddling")
    done = anyio.Event()

    @plugin.background()
    async def work() -> None:
        await running.wait()
        try:
            await kernel.disable("meddling")
        except PluginStateInvalid as error:
            refused.append(error.what)
        done.set()

    running = anyio.Event()
    kernel = kernel_of(chain("db", DB, []), Self, plugin)
    async with kernel:
        running.set()
        with anyio.fail_after(20):
            await done.wait()
    assert len(refused) == 1
    assert "meddling" in refused[0]


async def test_reload_of_a_disabled_plugin_is_refused() -> None:
    """A disabled plugin stays disabled until it is enabled: reloading it is a clear error."""
    async with World() as kernel:
        await kernel.disable("db")
        with pytest.raises(PluginStateInvalid):
            await kernel.reload("db")
        with pytest.raises(ServiceUnavailable):
            kernel.get(DB)
