"""What a plugin may see: its declared services, through its attributes and its context (G16)."""

from __future__ import annotations

from collections.abc import AsyncIterator
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
    PluginContext,
    PluginDef,
    Service,
    collects,
    configured_by,
    lifespan,
    needs,
    provides,
    wants,
)
from objectkernel.errors import (
    ConfigError,
    KeyInvalid,
    ServiceNotReady,
    ServiceUnavailable,
    ServiceUndeclared,
    StartTimeout,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

DB = Service[str]("test.db")
CACHE = Service[str]("test.tax-cache")
LEDGER = Service[str]("test.ledger")
REPORT = Service[object]("test.report")
DOOR = Service[Any]("test.door")
ITEMS = Extension[str]("test.items")


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


def giving(name: str, key: Service[Any], **options: Any) -> type[Plugin]:
    return type(name.title(), (Plugin,), {"name": name, "give": provides(key, **options)(lambda self: name)})


async def context_of(kernel: ObjectKernel, name: str) -> PluginContext:
    instance = kernel.compose().records[name].instance
    context: PluginContext = instance.context
    return context


class Billing(Plugin):
    name = "billing"
    db = needs(DB)
    items = collects(ITEMS)
    report = wants(REPORT, late=True)

    @provides(LEDGER)
    def ledger(self) -> str:
        return "ledger"


async def test_a_declared_service_is_there() -> None:
    """What the class needs, wants or provides can be asked for through its context."""
    async with kernel_of(Billing, giving("db", DB), giving("report", REPORT, lifetime="lazy")) as kernel:
        context = await context_of(kernel, "billing")
        assert (context.get(DB), context.get(LEDGER), context.plugin) == ("db", "ledger", "billing")
        with pytest.raises(ServiceNotReady):
            context.get(REPORT)
        assert await context.aget(REPORT) == "report"
        assert repr(context) == "<context of billing>"


async def test_an_undeclared_service_is_an_error_that_shows_the_line_to_add() -> None:
    """It is refused although it is up, for the order would be luck; the fix can be pasted into the class (G16)."""
    async with kernel_of(Billing, giving("db", DB), giving("cache", CACHE)) as kernel:
        context = await context_of(kernel, "billing")
        assert kernel.get(CACHE) == "cache"
        with pytest.raises(ServiceUndeclared) as caught:
            context.get(CACHE)
        with pytest.raises(ServiceUndeclared):
            await context.aget(CACHE)
    assert caught.value.facts["name"] == "test.tax-cache"
    assert caught.value.where.startswith(f"{__file__}:")
    assert caught.value.fix == "add the line `tax_cache = needs(TAX_CACHE)` to the class"


@pytest.mark.parametrize("key", ["test.db", None, 5, ["x"], ITEMS])
async def test_a_context_takes_service_keys(key: Any) -> None:
    """Something else than a service key is refused with the kernel's own error."""
    async with kernel_of(Billing, giving("db", DB)) as kernel:
        context = await context_of(kernel, "billing")
        with pytest.raises(KernelError) as caught:
            context.get(key)
        assert isinstance(caught.value, KeyInvalid)
        with pytest.raises(KeyInvalid):
            await context.aget(key)


async def test_a_context_emits_subscribes_and_opens_scopes() -> None:
    """A plugin emits and subscribes through its context; what it subscribed ends with it.

    A tool uses the same bus as `kernel.events`.
    """
    heard: list[int] = []
    async with kernel_of(Billing, giving("db", DB)) as kernel:
        context = await context_of(kernel, "billing")
        context.on(int, heard.append)
        await context.emit(1)
        context.emit_sync(2)
        assert await context.notify(3) == ()
        async with context.scope("request") as scope:
            assert scope.name == "request"
        await kernel.disable("billing")
        await kernel.emit(4)
        assert heard == [1, 2, 3]
        with_tool = kernel.events.on(int, heard.append)
        await kernel.emit(5)
        with_tool.end()
        await kernel.emit(6)
    assert heard == [1, 2, 3, 5]


async def test_a_scope_that_a_plugin_opens_has_what_it_declares() -> None:
    """Through a scope of its own a plugin gets no more than through its context, made or not."""
    async with kernel_of(Billing, giving("db", DB), giving("cache", CACHE)) as kernel:
        context = await context_of(kernel, "billing")
        async with context.scope("request") as scope:
            assert scope.get(DB) == await scope.aget(DB) == "db"
            with pytest.raises(ServiceUndeclared):
                scope.get(CACHE)
            with pytest.raises(ServiceUndeclared):
                await scope.aget(CACHE)


async def test_a_plugin_reads_its_settings_again() -> None:
    """It gets what the environment says now, checked, and keeps what it started with; one without any gets None."""

    @attrs.frozen
    class Settings:
        size: int = attrs.field(default=1, metadata={"env": "SHOP_SIZE"})

    class Shop(Plugin):
        name = "shop"
        config = configured_by(Settings)

    environ: dict[str, str] = {}
    async with kernel_of(Shop, giving("db", DB), environ=environ) as kernel:
        context = await context_of(kernel, "shop")
        environ["SHOP_SIZE"] = "2"
        assert context.read_settings() == Settings(2)
        shop: Any = kernel.compose().records["shop"].instance
        assert shop.config == Settings(1)
        environ["SHOP_SIZE"] = "wide"
        with pytest.raises(ConfigError):
            context.read_settings()
        assert (await context_of(kernel, "db")).read_settings() is None


# -- more time to start --------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "starts"), [((30.0,), True), ((30.0, 0.01), True), ((0.2,), False), ((), False)])
async def test_a_service_gets_more_time_for_who_waits_for_it(asked: tuple[float, ...], starts: bool) -> None:
    """A provider that calls it may take as long as the service says; nothing makes the time shorter."""

    class Door(Plugin):
        name = "door"

        @provides(DOOR)
        def door(self) -> Any:
            return self

        async def opened(self) -> str:
            for seconds in asked:
                self.context.more_time(seconds)
            await anyio.sleep(0.25 if starts else 10)
            return "open"

    class House(Plugin):
        name = "house"
        start_timeout = 0.1
        door = needs(DOOR)

        @provides(LEDGER)
        async def ledger(self) -> str:
            opened: str = await self.door.opened()
            return opened

    kernel = kernel_of(Door, House)
    if not starts:
        with pytest.raises(BootError) as caught:
            await kernel.bootstrap()
        (problem,) = caught.value.exceptions
        assert isinstance(problem, StartTimeout)
        assert problem.seconds == max(0.1, *asked, 0.0)
        return
    async with kernel:
        assert kernel.get(LEDGER) == "open"
        (await context_of(kernel, "door")).more_time(1.0)  # nothing starts: nothing happens


# -- providers narrowed by uses= -----------------------------------------------------------------------


def narrowed(reads: str) -> type[Plugin]:
    class Narrowed(Plugin):
        name = "narrowed"
        db = needs(DB)
        cache = wants(CACHE)

        @provides(LEDGER, uses=("db",))
        async def ledger(self) -> AsyncIterator[str]:
            yield str(getattr(self, reads))

        @lifespan
        async def all_of_it(self) -> AsyncIterator[None]:
            assert (self.db, self.cache) == ("db", "cache")
            yield

    return Narrowed


async def test_a_narrowed_provider_reads_what_it_uses() -> None:
    """`uses=("db",)` gives the provider that attribute; the rest of the plugin has all of them."""
    async with kernel_of(narrowed("db"), giving("db", DB), giving("cache", CACHE)) as kernel:
        assert kernel.get(LEDGER) == "db"


async def test_a_narrowed_provider_reads_nothing_else() -> None:
    """An attribute left out of `uses` is an error with the line to write, whether it is up or not."""
    with pytest.raises(BootError) as caught:
        await kernel_of(narrowed("cache"), giving("db", DB), giving("cache", CACHE)).bootstrap()
    (error,) = caught.value.exceptions
    assert isinstance(error, ServiceUndeclared)
    assert error.fix == "write uses=('db', 'cache',)"
    assert error.facts["name"] == CACHE


async def test_narrowing_lets_two_plugins_serve_each_other() -> None:
    """Edges run between services: A gives what B needs and needs what B gives, as long as no service is in a ring."""

    class One(Plugin):
        name = "one"
        ledger = needs(LEDGER)

        @provides(DB, uses=())
        def db(self) -> str:
            return "db"

        @provides(CACHE)
        def cache(self) -> str:
            return f"cache of {self.ledger}"

    class Two(Plugin):
        name = "two"
        db = needs(DB)

        @provides(LEDGER)
        def ledger(self) -> str:
            return f"ledger on {self.db}"

    async with kernel_of(One, Two) as kernel:
        assert kernel.get(CACHE) == "cache of ledger on db"


# -- when attributes are there -------------------------------------------------------------------------


async def test_a_need_in_init_is_an_error() -> None:
    """Needs are not there in __init__; the error says where to read them."""

    class Hasty(Plugin):
        name = "hasty"
        db = needs(DB)

        def __init__(self) -> None:
            self.copy = self.db

    with pytest.raises(BootError) as caught:
        await kernel_of(Hasty, giving("db", DB)).bootstrap()
    (error,) = caught.value.exceptions
    assert isinstance(error, KernelError)
    assert error.code == "K210"
    assert "set after __init__" in error.why[0]


async def test_after_shutdown_a_plugin_has_no_services() -> None:
    """An instance that outlives its kernel reads nothing that has been stopped."""
    kernel = kernel_of(Billing, giving("db", DB))
    async with kernel:
        billing: Any = kernel.compose().records["billing"].instance
        assert billing.db == "db"
    with pytest.raises(KernelError):
        _ = billing.db
    with pytest.raises(KernelError):
        _ = billing.context


async def test_a_stopped_need_is_unavailable() -> None:
    """While a need is disabled, reading it tells the state of the plugin that reads."""
    async with kernel_of(Billing, giving("db", DB)) as kernel:
        billing: Any = kernel.compose().records["billing"].instance
        await kernel.disable("db")
        with pytest.raises(ServiceUnavailable) as caught:
            _ = billing.db
        assert "it needs 'test.db' of db" in caught.value.why[0]


async def test_a_read_need_is_a_plain_attribute() -> None:
    """An injected need stands in the instance's dictionary, so reading it costs no look-up in the kernel."""
    async with kernel_of(Billing, giving("db", DB)) as kernel:
        billing: Any = kernel.compose().records["billing"].instance
        assert billing.__dict__["db"] == "db"
        assert billing.__dict__["items"] == ()


async def test_functional_needs_are_only_what_is_named() -> None:
    """A function of a PluginDef receives what its `needs` name, and waits for nothing else."""
    plugin = PluginDef("functional")
    plugin.provides(DB, needs={"ledger": LEDGER})(lambda ledger: f"db on {ledger}")
    plugin.provides(LEDGER)(lambda: "ledger")
    async with kernel_of(plugin) as kernel:
        assert kernel.get(DB) == "db on ledger"
