"""Starting: forms, order, what runs at once, and what a failed boot leaves (G2, G3, G4, G10)."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from objectkernel import (
    BootError,
    Extension,
    KernelError,
    ObjectKernel,
    Plugin,
    PluginDef,
    Service,
    background,
    collects,
    configured_by,
    hookimpl,
    lifespan,
    needs,
    on,
    provides,
    wants,
)
from objectkernel.errors import (
    KernelStateInvalid,
    PluginExited,
    PluginStuck,
    ProviderInvalid,
    ServiceTypeMismatch,
    ServiceUnavailable,
    StartTimeout,
)

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
        await anyio.sleep(0)
        journal.append(f"+{name}")
        yield name
        await anyio.sleep(0)
        journal.append(f"-{name}")

    return plugin


# -- forms


async def test_every_form_of_provider_gives_its_object() -> None:
    """A provider is a plain function, an async def, a generator or an async generator; after yield is teardown."""
    journal: list[str] = []

    class Forms(Plugin):
        name = "forms"

        @provides(DB)
        def plain(self) -> str:
            return "plain"

        @provides(LEDGER)
        async def awaited(self) -> str:
            await anyio.sleep(0)
            return "awaited"

        @provides(APP)
        def yielded(self) -> Iterator[str]:
            yield "yielded"
            journal.append("yielded")

        @provides(CACHE)
        async def yielded_async(self) -> AsyncIterator[str]:
            yield "yielded_async"
            await anyio.sleep(0)
            journal.append("yielded_async")

    async with kernel_of(Forms) as kernel:
        assert [kernel.get(k) for k in (DB, LEDGER, APP, CACHE)] == ["plain", "awaited", "yielded", "yielded_async"]
        assert journal == []
    assert sorted(journal) == ["yielded", "yielded_async"]


@pytest.mark.parametrize("form", ["generator", "async_generator"])
@pytest.mark.parametrize("times", [0, 2])
async def test_provider_that_yields_never_or_twice_is_refused(form: str, times: int) -> None:
    """A provider yields its one object exactly once; never fails the boot, twice fails the stop."""
    plugin = PluginDef("yielding")

    if form == "generator":

        @plugin.provides(DB)
        def provider() -> Iterator[str]:
            for _ in range(times):
                yield "db"

    else:

        @plugin.provides(DB)
        async def provider_async() -> AsyncIterator[str]:
            for _ in range(times):
                yield "db"

    kernel = kernel_of(plugin)
    with pytest.raises(ExceptionGroup) as caught:
        async with kernel:
            assert times == 2
    (problem,) = caught.value.exceptions
    assert isinstance(problem, ProviderInvalid)
    assert problem.plugin == "yielding"
    assert problem.where.startswith(__file__)


@pytest.mark.parametrize("form", ["value", "async", "generator", "async_generator"])
async def test_object_of_another_type_fails_the_boot_and_is_torn_down(form: str) -> None:
    """A provided object is checked against its key's type; one that does not fit is left again."""
    journal: list[str] = []
    plugin = PluginDef("liar")
    wrong: Any = 3
    if form == "value":

        @plugin.provides(DB)
        def value() -> str:
            return wrong  # type: ignore[no-any-return]

    elif form == "async":

        @plugin.provides(DB)
        async def awaited() -> str:
            return wrong  # type: ignore[no-any-return]

    elif form == "generator":

        @plugin.provides(DB)
        def generator() -> Iterator[str]:
            yield wrong
            journal.append("down")

    else:

        @plugin.provides(DB)
        async def async_generator() -> AsyncIterator[str]:
            yield wrong
            journal.append("down")

    with pytest.raises(BootError) as caught:
        await kernel_of(plugin).bootstrap()
    (problem,) = caught.value.exceptions
    assert isinstance(problem, ServiceTypeMismatch)
    assert (problem.name, problem.plugin) == ("test.db", "liar")
    assert journal == (["down"] if "generator" in form else [])


# -- order


async def test_start_follows_needs_and_stop_reverses_it() -> None:
    """A service starts after all it needs and stops only after all that used it."""
    journal: list[str] = []
    plugins = [
        journaling("a-app", APP, journal, ledger=LEDGER),
        journaling("b-ledger", LEDGER, journal, db=DB),
        journaling("c-db", DB, journal),
    ]
    async with kernel_of(*plugins):
        assert journal == ["+c-db", "+b-ledger", "+a-app"]
    assert journal[3:] == ["-a-app", "-b-ledger", "-c-db"]


async def test_want_orders_where_the_service_is_present() -> None:
    """A soft edge is an order when the service is there and None when it is not."""
    journal: list[str] = []
    seen: list[str | None] = []

    class App(Plugin):
        name = "a-app"
        cache = wants(CACHE)
        db = wants(DB)

        @provides(APP)
        async def app(self) -> AsyncIterator[str]:
            seen.extend((self.cache, self.db))
            journal.append("+a-app")
            yield "app"
            journal.append("-a-app")

    async with kernel_of(App, journaling("z-cache", CACHE, journal)):
        pass
    assert journal == ["+z-cache", "+a-app", "-a-app", "-z-cache"]
    assert seen == ["z-cache", None]


async def test_late_want_gives_no_order_and_breaks_a_ring() -> None:
    """`wants(KEY, late=True)` reads None until the service is up, and then the service."""
    seen: list[str | None] = []

    class Db(Plugin):
        name = "a-db"
        app = wants(APP, late=True)

        @provides(DB)
        async def db(self) -> AsyncIterator[str]:
            seen.append(self.app)
            yield "db"
            seen.append(self.app)

        @hookimpl
        async def kernel_ready(self) -> None:
            seen.append(self.app)

    async with kernel_of(Db, journaling("b-app", APP, [], db=DB)):
        assert seen == [None, "b-app"]
    assert seen == [None, "b-app", None]


async def test_two_plugins_may_serve_each_other() -> None:
    """Nodes are services: A gives X to B and takes Y from B, as long as the services make no ring."""

    class Storage(Plugin):
        name = "storage"
        ledger = needs(LEDGER)

        @provides(DB, uses=())
        async def db(self) -> str:
            return "db"

        @provides(APP)
        async def app(self) -> str:
            return f"app on {self.ledger}"

    class Books(Plugin):
        name = "books"
        db = needs(DB)

        @provides(LEDGER)
        async def ledger(self) -> str:
            return f"ledger on {self.db}"

    async with kernel_of(Storage, Books) as kernel:
        assert kernel.get(APP) == "app on ledger on db"


async def test_collected_items_come_in_plugin_start_order() -> None:
    """`collects` gives the items in the order in which their plugins start, ties by name."""
    key = Extension[str]("test.rules")

    def contributor(name: str, **needed: Service[Any]) -> PluginDef:
        plugin = PluginDef(name)

        @plugin.contributes(key, needs=needed)
        def rule(**values: str) -> str:
            return name

        return plugin

    class Reader(Plugin):
        name = "a-reader"
        rules = collects(key)

        @provides(APP)
        def app(self) -> str:
            return " ".join(self.rules)

    plugins = [
        Reader,
        contributor("b-late", db=DB),
        journaling("y-db", DB, []),
        contributor("z-free"),
        contributor("x-free"),
    ]
    async with kernel_of(*plugins) as kernel:
        # x-free and y-db are free; b-late may start once y-db has, and goes before z-free by name
        assert kernel.get(APP) == "x-free b-late z-free"
        assert kernel.contributions(key) == ("x-free", "b-late", "z-free")


async def test_lifespan_is_up_after_the_services_and_down_before_them() -> None:
    """A lifespan is start and stop code of a plugin around which its own services are up."""
    journal: list[str] = []

    class Warm(Plugin):
        name = "warm"

        @lifespan
        async def cache(self) -> AsyncIterator[None]:
            journal.append("+lifespan")
            yield
            journal.append("-lifespan")

        @provides(DB)
        async def db(self) -> AsyncIterator[str]:
            journal.append("+db")
            yield "db"
            journal.append("-db")

    async with kernel_of(Warm):
        pass
    assert journal == ["+db", "+lifespan", "-lifespan", "-db"]


# -- at once (G10)


async def test_independent_services_start_concurrently() -> None:
    """Fifty plugins start together: each one's start waits until all the others have begun theirs."""
    begun = 0
    all_begun = anyio.Event()

    def sleeper(number: int) -> PluginDef:
        plugin = PluginDef(f"sleeper-{number}")

        @plugin.provides(Service[int](f"test.sleeper-{number}"))
        async def service() -> int:
            nonlocal begun
            begun += 1
            if begun == 50:
                all_begun.set()
            with anyio.fail_after(60):
                await all_begun.wait()
            return number

        return plugin

    async with kernel_of(*(sleeper(n) for n in range(50))) as kernel:
        assert len(kernel.services()) == 50


async def test_service_starts_as_soon_as_its_last_need_is_up() -> None:
    """There are no level barriers: what needs only the quick one does not wait for a slow one beside it."""
    released = anyio.Event()
    slow, quick, user = PluginDef("slow"), PluginDef("quick"), PluginDef("user")

    @slow.provides(DB)
    async def waits_for_the_user() -> str:
        await released.wait()
        return "slow"

    @quick.provides(CACHE)
    async def at_once() -> str:
        return "quick"

    @user.provides(APP, needs={"cache": CACHE})
    async def releases(cache: str) -> str:
        released.set()
        return "user"

    with anyio.fail_after(10):
        async with kernel_of(slow, quick, user) as kernel:
            assert len(kernel.services()) == 3


async def test_waiting_for_a_need_is_not_start_time() -> None:
    """The start timeout counts from the moment the last need is up."""
    slow, quick = PluginDef("slow"), PluginDef("quick")

    @slow.provides(DB)
    async def db() -> str:
        await anyio.sleep(0.2)
        return "db"

    @quick.provides(APP, needs={"db": DB})
    async def app(db: str) -> str:
        await anyio.sleep(0)
        return "app"

    async with kernel_of(slow, quick, start_timeouts={"quick": 0.1}) as kernel:
        assert kernel.get(APP) == "app"


# -- a failed boot (G3)


def failing_in(phase: str, journal: list[str]) -> type[Plugin]:
    """A plugin that enters something of its own and then fails in one phase of the boot."""

    @asynccontextmanager
    async def half() -> AsyncIterator[None]:
        journal.append("+half")
        try:
            yield
        finally:
            await anyio.sleep(0)
            journal.append("-half")

    class Failing(Plugin):
        name = "failing"
        db = needs(DB)

        def fail(self, now: str) -> None:
            if now == phase:
                raise ValueError(f"failing in {now}")

        @provides(APP)
        async def app(self) -> AsyncIterator[str]:
            async with half():
                self.fail("provider")
                yield "app"

        @hookimpl
        async def kernel_ready(self) -> None:
            self.fail("ready")

        @hookimpl
        async def kernel_bootstrapped(self) -> None:
            self.fail("bootstrapped")

        @hookimpl
        def kernel_listening(self) -> None:
            self.fail("listening")

    return Failing


@pytest.mark.parametrize("phase", ["provider", "ready", "bootstrapped", "listening"])
async def test_failed_phase_exits_everything_that_was_entered(phase: str) -> None:
    """Whatever phase fails, all that was entered is exited, the failing plugin's half-entered part too."""
    journal: list[str] = []
    kernel = kernel_of(failing_in(phase, journal), journaling("db", DB, journal))
    with pytest.raises(BootError) as caught:
        await kernel.bootstrap()
    (problem,) = caught.value.exceptions
    assert type(problem) is ValueError
    assert str(problem) == f"failing in {phase}"
    assert journal == ["+db", "+half", "-half", "-db"]
    assert kernel.state == "failed"
    (info,) = [p for p in kernel.plugins() if p.name == "failing"]
    assert info.state == "failed"
    assert info.error is problem
    with pytest.raises(KernelStateInvalid):
        kernel.get(DB)


async def test_failed_import_enters_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that cannot be imported fails the boot before any provider has run; its traceback is kept."""
    (tmp_path / "broken_on_import.py").write_text("raise RuntimeError('no such luck')\n")
    info = tmp_path / "broken_on_import-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-on-import\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[objectkernel.plugins.v1]\nbroken = broken_on_import:Broken\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    journal: list[str] = []
    kernel = ObjectKernel(plugins=[journaling("db", DB, journal)], only=["broken"])
    with pytest.raises(BootError) as caught:
        await kernel.bootstrap()
    assert caught.value.codes == ("K401",)
    cause = caught.value.exceptions[0].__cause__
    assert isinstance(cause, RuntimeError)
    assert cause.__traceback__ is not None
    assert journal == []
    assert "broken_on_import" not in sys.modules
    assert kernel.state == "failed"


async def test_refused_configuration_enters_nothing() -> None:
    """An invalid configuration fails the boot before any plugin code has run."""
    journal: list[str] = []

    @attrs.frozen
    class Settings:
        size: int = 1

    class Configured(Plugin):
        name = "configured"
        config = configured_by(Settings)

        def __init__(self) -> None:
            journal.append("init")

    kernel = kernel_of(
        Configured, journaling("db", DB, journal), config={"plugins": {"configured": {"siez": 2}}}, environ={}
    )
    with pytest.raises(BootError) as caught:
        await kernel.bootstrap()
    assert caught.value.codes == ("K301",)
    assert journal == []
    assert kernel.state == "failed"


async def test_failing_constructor_of_a_plugin_exits_nothing_and_raises() -> None:
    """A plugin whose `__init__` raises fails the boot; no provider has run by then."""
    journal: list[str] = []

    class Broken(Plugin):
        name = "broken"

        def __init__(self) -> None:
            raise OSError("no disk")

    with pytest.raises(BootError) as caught:
        await kernel_of(Broken, journaling("db", DB, journal)).bootstrap()
    assert [type(e) for e in caught.value.exceptions] == [OSError]
    assert journal == []


async def test_failure_cancels_what_is_still_starting() -> None:
    """When one service fails, its neighbours that are starting are cancelled and run their cleanup."""
    journal: list[str] = []
    entered = anyio.Event()
    slow, failing = PluginDef("slow"), PluginDef("failing")

    @slow.provides(DB)
    async def never_up() -> AsyncIterator[str]:
        try:
            entered.set()
            await anyio.sleep_forever()
            yield "db"
        finally:
            journal.append("slow cleaned up")

    @failing.provides(APP)
    async def app() -> str:
        await entered.wait()
        raise ValueError("no")

    with pytest.raises(BootError) as caught:
        await kernel_of(slow, failing).bootstrap()
    assert [str(e) for e in caught.value.exceptions] == ["no"]
    assert journal == ["slow cleaned up"]


async def test_error_of_a_teardown_in_a_failed_boot_is_reported_too() -> None:
    """A failed boot raises what failed and what its teardown raised, in one group."""
    good, failing = PluginDef("good"), PluginDef("failing")

    @good.provides(DB)
    async def db() -> AsyncIterator[str]:
        yield "db"
        raise OSError("teardown")

    @failing.provides(APP, needs={"db": DB})
    async def app(db: str) -> str:
        raise ValueError("start")

    with pytest.raises(BootError) as caught:
        await kernel_of(good, failing).bootstrap()
    assert [str(e) for e in caught.value.exceptions] == ["start", "teardown"]
    assert isinstance(caught.value, KernelError)
    assert isinstance(caught.value, ExceptionGroup)


async def test_system_exit_of_a_provider_does_not_end_the_process() -> None:
    """SystemExit from plugin code fails the plugin; it is wrapped, with itself as the cause."""
    journal: list[str] = []
    plugin = PluginDef("quitter")

    @plugin.provides(APP, needs={"db": DB})
    async def app(db: str) -> str:
        raise SystemExit(3)

    with pytest.raises(BootError) as caught:
        await kernel_of(plugin, journaling("db", DB, journal)).bootstrap()
    (problem,) = caught.value.exceptions
    assert isinstance(problem, PluginExited)
    assert isinstance(problem.__cause__, SystemExit)
    assert journal == ["+db", "-db"]


@pytest.mark.parametrize("form", ["value", "async", "constructor"])
async def test_keyboard_interrupt_passes_after_everything_was_exited(form: str) -> None:
    """KeyboardInterrupt in plugin code comes to the host as it is, when all that was entered has been exited."""
    journal: list[str] = []

    class Interrupted(Plugin):
        name = "interrupted"
        db = needs(DB)

        def __init__(self) -> None:
            if form == "constructor":
                raise KeyboardInterrupt

    if form == "value":

        class Value(Interrupted):
            name = "value"

            @provides(APP)
            def app(self) -> str:
                raise KeyboardInterrupt

        plugin: type[Plugin] = Value
    else:

        class Async(Interrupted):
            name = "async"

            @provides(APP)
            async def app(self) -> str:
                raise KeyboardInterrupt

        plugin = Async
    kernel = kernel_of(plugin, journaling("db", DB, journal))
    with pytest.raises(KeyboardInterrupt):
        await kernel.bootstrap()
    assert journal == ([] if form == "constructor" else ["+db", "-db"])
    assert kernel.state == "failed"


# -- start timeout (G4)


async def test_start_timeout_kills_names_and_shows_the_stack() -> None:
    """A start that hangs is cancelled and dead before the error, which shows its stack and who waited for it."""
    journal: list[str] = []
    hanging, user, last = PluginDef("hanging"), PluginDef("user"), PluginDef("last")

    async def somewhere_deep() -> None:
        await anyio.sleep(10)

    @hanging.provides(DB)
    async def db() -> AsyncIterator[str]:
        try:
            await somewhere_deep()
            journal.append("ran on")
            yield "db"
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.05)
            journal.append("dead")

    @user.provides(APP, needs={"db": DB})
    async def app(db: str) -> str:
        journal.append("user ran")
        return "app"

    @last.provides(LEDGER, needs={"app": APP})
    async def ledger(app: str) -> str:
        journal.append("last ran")
        return "ledger"

    kernel = kernel_of(hanging, user, last, start_timeout=0.05)
    with pytest.raises(BootError) as caught:
        await kernel.bootstrap()
    assert journal == ["dead"]
    (problem,) = caught.value.exceptions
    assert isinstance(problem, StartTimeout)
    assert (problem.plugin, problem.node) == ("hanging", "test.db")
    assert "in somewhere_deep" in problem.stack
    assert problem.waiting == (
        "'test.app' of user waits for 'test.db' of hanging",
        "'test.ledger' of last waits for 'test.app' of user",
    )
    assert "somewhere_deep" in str(problem)
    assert all(line in str(problem) for line in problem.waiting)


async def test_stack_of_a_start_that_hangs_leads_through_context_managers() -> None:
    """Where a provider hangs inside an asynchronous context manager, the stack shows where in that one."""
    plugin = PluginDef("hanging")

    @asynccontextmanager
    async def connection() -> AsyncIterator[str]:
        await anyio.sleep(10)
        yield "connection"

    @plugin.provides(DB)
    async def db() -> AsyncIterator[str]:
        async with connection() as found:
            yield found

    with pytest.raises(BootError) as caught:
        await kernel_of(plugin, start_timeout=0.05).bootstrap()
    (problem,) = caught.value.exceptions
    assert isinstance(problem, StartTimeout)
    assert "in db" in problem.stack
    assert "in connection" in problem.stack


async def test_start_timeout_of_a_hook_names_its_plugin() -> None:
    """A lifecycle hook that hangs is ended by its plugin's start timeout."""

    class Hanging(Plugin):
        name = "hanging"
        start_timeout = 0.05

        @hookimpl
        async def kernel_ready(self) -> None:
            await anyio.sleep(10)

    with pytest.raises(BootError) as caught:
        await kernel_of(Hanging).bootstrap()
    (problem,) = caught.value.exceptions
    assert isinstance(problem, StartTimeout)
    assert problem.plugin == "hanging"
    assert "in kernel_ready" in problem.stack


async def test_cleanup_error_of_a_timed_out_start_is_a_note() -> None:
    """What the cleanup of a cancelled start raises is not lost: it is a note of the timeout."""
    plugin = PluginDef("hanging")

    @plugin.provides(DB)
    async def db() -> str:
        try:
            await anyio.sleep_forever()
        finally:
            raise OSError("cleanup")

    with pytest.raises(BootError) as caught:
        await kernel_of(plugin, start_timeout=0.05).bootstrap()
    (problem,) = caught.value.exceptions
    assert isinstance(problem, StartTimeout)
    assert "OSError: cleanup" in problem.__notes__[0]
    assert "OSError: cleanup" in str(caught.value)


async def test_start_that_swallows_its_cancellation_is_given_up_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that goes on although it was cancelled is given up after a while; the error names it and its stack."""
    monkeypatch.setattr("objectkernel.deadlines.STUCK_AFTER", 0.05)
    released, dead = anyio.Event(), anyio.Event()
    journal: list[str] = []
    plugin = PluginDef("deaf")

    @plugin.provides(APP, needs={"db": DB})
    async def app(db: str) -> str:
        with anyio.move_on_after(10, shield=True):
            await released.wait()
        dead.set()
        return "app"

    kernel = kernel_of(plugin, journaling("db", DB, journal), start_timeouts={"deaf": 0.05})
    with pytest.raises(BootError) as caught:
        await kernel.bootstrap()
    (problem,) = caught.value.exceptions
    assert isinstance(problem, PluginStuck)
    assert problem.plugin == "deaf"
    assert "in app" in problem.stack
    assert isinstance(problem.__cause__, StartTimeout)
    assert journal == ["+db", "-db"]
    assert not dead.is_set()
    released.set()
    await dead.wait()
    assert kernel.state == "failed"


# -- optional plugins


async def test_optional_failure_skips_dependents_and_spares_the_rest() -> None:
    """An optional plugin that fails leaves a degraded kernel; who needed it is skipped with the reason."""
    journal: list[str] = []
    failing = PluginDef("failing")

    @failing.provides(DB)
    async def db() -> str:
        raise ValueError("no database")

    class Soft(Plugin):
        name = "soft"
        db = wants(DB)

        @provides(CACHE)
        async def cache(self) -> str:
            return f"cache on {self.db}"

    plugins = [
        failing,
        journaling("app", APP, journal, ledger=LEDGER),
        journaling("ledger", LEDGER, journal, db=DB),
        Soft,
    ]
    async with kernel_of(*plugins, optional=["failing", "ledger", "app"]) as kernel:
        assert kernel.state == "degraded"
        told = {p.name: (p.state, p.because) for p in kernel.plugins()}
        assert told == {
            "failing": ("failed", ""),
            "ledger": ("skipped", "failing"),
            "app": ("skipped", "ledger"),
            "soft": ("running", ""),
        }
        assert kernel.get(CACHE) == "cache on None"
        with pytest.raises(ServiceUnavailable) as caught:
            kernel.get(APP)
        assert "test.ledger" in str(caught.value)
    assert journal == []


async def test_soft_user_of_a_plugin_that_fails_later_is_restarted_with_none() -> None:
    """A plugin is lost as a whole: who already had one of its services softly starts again and reads None."""
    seen: list[str | None] = []
    journal: list[str] = []
    had_it = anyio.Event()

    class Half(Plugin):
        name = "half"

        @provides(DB)
        async def db(self) -> AsyncIterator[str]:
            journal.append("+db")
            yield "db"
            journal.append("-db")

        @provides(LEDGER)
        async def ledger(self) -> str:
            await had_it.wait()
            raise ValueError("second half")

    class Soft(Plugin):
        name = "soft"
        db = wants(DB)

        @provides(CACHE)
        async def cache(self) -> AsyncIterator[str]:
            seen.append(self.db)
            journal.append("+cache")
            yield f"cache on {self.db}"
            journal.append("-cache")

        @lifespan
        async def after(self) -> AsyncIterator[None]:
            had_it.set()
            yield

    async with kernel_of(Half, Soft, optional=["half"]) as kernel:
        assert kernel.get(CACHE) == "cache on None"
        assert journal == ["+db", "+cache", "-cache", "-db", "+cache"]
        assert kernel.state == "degraded"
    assert seen == ["db", None]


async def test_start_timeout_of_an_optional_plugin_lets_the_boot_go_on() -> None:
    """An optional plugin that hangs is cancelled at its timeout, and the others are up."""
    journal: list[str] = []
    hanging = PluginDef("hanging")

    @hanging.provides(DB)
    async def db() -> str:
        try:
            await anyio.sleep_forever()
        finally:
            journal.append("dead")
        return "db"

    plugins = [hanging, journaling("user", APP, journal, db=DB), journaling("other", CACHE, journal)]
    async with kernel_of(*plugins, optional=["hanging", "user"], start_timeouts={"hanging": 0.05}) as kernel:
        told = {p.name: p for p in kernel.plugins()}
        assert [told[n].state for n in ("hanging", "user", "other")] == ["failed", "skipped", "running"]
        assert isinstance(told["hanging"].error, StartTimeout)
        assert sorted(journal) == ["+other", "dead"]


async def test_dependent_of_an_optional_plugin_is_skipped_though_it_is_critical() -> None:
    """The boot goes on without an optional plugin, and without whatever needed it, named optional or not."""
    failing = PluginDef("failing")

    @failing.provides(DB)
    async def db() -> str:
        raise ValueError("no database")

    async with kernel_of(failing, journaling("app", APP, [], db=DB), optional=["failing"]) as kernel:
        assert kernel.state == "degraded"
        (app,) = [p for p in kernel.plugins() if p.name == "app"]
        assert (app.state, app.because, app.critical) == ("skipped", "failing", True)
        assert "test.db" in app.reason


# -- what is handled while it starts


async def test_handlers_and_tasks_see_a_plugin_that_is_up() -> None:
    """Handlers are subscribed when their plugin is up; background tasks start after the ready phase."""
    journal: list[str] = []
    ran = anyio.Event()

    class Ping:
        pass

    class Listening(Plugin):
        name = "listening"

        @provides(DB)
        async def db(self) -> str:
            await self.context.emit(Ping())
            journal.append("db")
            return "db"

        @on(Ping)
        def heard(self, event: Ping) -> None:
            journal.append("heard")

        @hookimpl
        async def kernel_ready(self) -> None:
            await self.context.emit(Ping())

        @background
        async def work(self) -> None:
            journal.append("work")
            ran.set()

    async with kernel_of(Listening):
        await ran.wait()
    assert journal == ["db", "heard", "work"]
