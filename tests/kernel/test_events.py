"""Events: three ways to tell those who listen, and who hears (G13)."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import attrs
import pytest
from objectkernel import ObjectKernel, Plugin, PluginDef, Service, hookimpl, needs, on, provides
from objectkernel.errors import EventUndeclared, HandlerInvalid, KernelStateInvalid

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

DB = Service[str]("test.db")


@attrs.frozen
class OrderPaid:
    number: int = 1


class LateOrderPaid(OrderPaid):
    pass


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


async def test_emit_awaits_handlers_in_turn_and_propagates_the_first_error() -> None:
    """The first error ends the emit and comes to the emitter as it is; later handlers are not called."""
    heard: list[str] = []

    async def slow(event: OrderPaid) -> None:
        await anyio.sleep(0.01)
        heard.append(f"slow {event.number}")

    def quick(event: OrderPaid) -> None:
        heard.append(f"quick {event.number}")

    def failing(event: OrderPaid) -> None:
        raise ValueError("no")

    async with kernel_of() as kernel:
        kernel.on(OrderPaid, slow)
        kernel.on(OrderPaid, quick)
        await kernel.emit(OrderPaid(1))
        assert heard == ["slow 1", "quick 1"]
        kernel.on(OrderPaid, failing)
        kernel.on(OrderPaid, lambda event: heard.append("never"))
        with pytest.raises(ValueError, match="no"):
            await kernel.emit(OrderPaid(2))
        assert heard == ["slow 1", "quick 1", "slow 2", "quick 2"]


async def test_notify_isolates_handlers_and_returns_their_errors(caplog: pytest.LogCaptureFixture) -> None:
    """Every handler is called, whatever one raises; the errors are returned and each is logged."""
    heard: list[str] = []
    first, second = ValueError("first"), OSError("second")

    async def failing(event: OrderPaid) -> None:
        raise first

    def failing_too(event: OrderPaid) -> None:
        raise second

    async with kernel_of() as kernel:
        kernel.on(OrderPaid, failing)
        kernel.on(OrderPaid, failing_too)
        kernel.on(OrderPaid, lambda event: heard.append("third"))
        with caplog.at_level(logging.ERROR, logger="objectkernel.events"):
            assert await kernel.notify(OrderPaid()) == (first, second)
        assert heard == ["third"]
        assert [r.exc_info[1] for r in caplog.records if r.exc_info] == [first, second]
        assert "failing_too" in caplog.text


async def test_notify_lets_cancellation_pass() -> None:
    """A cancelled notify is cancelled; cancellation is no handler's error."""
    heard: list[str] = []

    async def hanging(event: OrderPaid) -> None:
        await anyio.sleep_forever()

    async with kernel_of() as kernel:
        kernel.on(OrderPaid, hanging)
        kernel.on(OrderPaid, lambda event: heard.append("next"))
        with anyio.move_on_after(0.01) as scope:
            await kernel.notify(OrderPaid())
        assert scope.cancelled_caught
        assert heard == []


async def test_emit_sync_calls_plain_handlers_only() -> None:
    """One asynchronous handler refuses the whole call before anyone has been called."""
    heard: list[int] = []

    async def asynchronous(event: OrderPaid) -> None:
        heard.append(-1)

    async with kernel_of() as kernel:
        kernel.on(OrderPaid, lambda event: heard.append(event.number))
        kernel.emit_sync(OrderPaid(7))
        assert heard == [7]
        subscription = kernel.on(OrderPaid, asynchronous)
        with pytest.raises(HandlerInvalid) as caught:
            kernel.emit_sync(OrderPaid(8))
        assert heard == [7]
        assert caught.value.event is OrderPaid
        assert caught.value.where.startswith(__file__)
        subscription.end()
        kernel.emit_sync(OrderPaid(9))
        assert heard == [7, 9]


async def test_emit_sync_propagates_the_first_error() -> None:
    """As with emit, the first error comes to the emitter."""

    def failing(event: OrderPaid) -> None:
        raise ValueError("no")

    async with kernel_of() as kernel:
        kernel.on(OrderPaid, failing)
        with pytest.raises(ValueError, match="no"):
            kernel.emit_sync(OrderPaid())


async def test_handler_is_found_by_the_exact_type_of_the_event() -> None:
    """A handler of a class does not hear of its subclasses' events, nor of its bases'."""
    heard: list[str] = []
    async with kernel_of() as kernel:
        kernel.on(OrderPaid, lambda event: heard.append("order"))
        kernel.on(LateOrderPaid, lambda event: heard.append("late"))
        await kernel.emit(LateOrderPaid())
        assert heard == ["late"]
        await kernel.emit(OrderPaid())
        assert heard == ["late", "order"]
        assert await kernel.notify(object()) == ()


@pytest.mark.parametrize("way", ["emit", "notify", "emit_sync"])
async def test_handler_subscribed_during_an_emit_is_called_from_the_next_one(way: str) -> None:
    """The handlers of an emit are those that were there when it began, in each way of emitting."""
    heard: list[str] = []
    async with kernel_of() as kernel:

        async def emit() -> None:
            result = getattr(kernel, way)(OrderPaid())
            if result is not None:
                await result

        def subscribes(event: OrderPaid) -> None:
            heard.append("first")
            kernel.on(OrderPaid, lambda event: heard.append("new"))

        first = kernel.on(OrderPaid, subscribes)
        await emit()
        assert heard == ["first"]
        first.end()
        await emit()
        assert heard == ["first", "new"]


async def test_subscription_may_be_ended_twice_and_ends_only_itself() -> None:
    """Ending is idempotent; the same handler subscribed twice is two subscriptions."""
    heard: list[str] = []

    def handler(event: OrderPaid) -> None:
        heard.append("heard")

    async with kernel_of() as kernel:
        one, two = kernel.on(OrderPaid, handler), kernel.on(OrderPaid, handler)
        await kernel.emit(OrderPaid())
        assert heard == ["heard"] * 2
        one.end()
        one.end()
        await kernel.emit(OrderPaid())
        assert heard == ["heard"] * 3
        two.end()
        await kernel.emit(OrderPaid())
        assert heard == ["heard"] * 3


async def test_plugin_handler_hears_while_its_plugin_runs() -> None:
    """A handler is a method with the plugin's services; its subscription ends with its plugin."""
    heard: list[str] = []

    class Listening(Plugin):
        name = "listening"
        db = needs(DB)

        @on(OrderPaid)
        async def paid(self, event: OrderPaid) -> None:
            heard.append(f"{event.number} with {self.db}")

    kernel = kernel_of(Listening).provide(DB, "db")
    with pytest.raises(KernelStateInvalid):
        await kernel.emit(OrderPaid(0))
    async with kernel:
        await kernel.emit(OrderPaid(1))
    with pytest.raises(KernelStateInvalid):
        await kernel.notify(OrderPaid(2))
    assert heard == ["1 with db"]


async def test_functional_handler_receives_the_event_and_its_needs() -> None:
    """A handler of a `PluginDef` gets the event first, then its needs as keywords; synchronous or not."""
    heard: list[str] = []
    plugin = PluginDef("listening")

    @plugin.on(OrderPaid, needs={"db": DB})
    async def paid(event: OrderPaid, db: str) -> None:
        heard.append(f"async {event.number} with {db}")

    @plugin.on(OrderPaid, needs={"db": DB})
    def paid_too(event: OrderPaid, db: str) -> None:
        heard.append(f"sync {event.number} with {db}")

    @plugin.on(LateOrderPaid)
    def late(event: LateOrderPaid) -> None:
        heard.append(f"late {event.number}")

    async with kernel_of(plugin).provide(DB, "db") as kernel:
        await kernel.emit(OrderPaid(3))
        kernel.emit_sync(LateOrderPaid(4))
    assert heard == ["async 3 with db", "sync 3 with db", "late 4"]


async def test_handlers_are_called_in_plugin_start_order() -> None:
    """Those who are up first hear first."""
    heard: list[str] = []

    class First(Plugin):
        name = "z-first"

        @provides(DB)
        def db(self) -> str:
            return "db"

        @on(OrderPaid)
        def paid(self, event: OrderPaid) -> None:
            heard.append("z-first")

    class Second(Plugin):
        name = "a-second"
        db = needs(DB)

        @on(OrderPaid)
        def paid(self, event: OrderPaid) -> None:
            heard.append("a-second")

    async with kernel_of(First, Second) as kernel:
        await kernel.emit(OrderPaid())
    assert heard == ["z-first", "a-second"]


async def test_plugin_emits_and_subscribes_through_its_view() -> None:
    """The view has `emit`, `notify`, `emit_sync` and `on`; what it subscribes ends with the plugin."""
    heard: list[int] = []

    class Talking(Plugin):
        name = "talking"

        @hookimpl
        async def kernel_ready(self) -> None:
            self.context.on(OrderPaid, lambda event: heard.append(event.number))
            await self.context.emit(OrderPaid(1))
            assert await self.context.notify(OrderPaid(2)) == ()
            self.context.emit_sync(OrderPaid(3))

    async with kernel_of(Talking) as kernel:
        assert heard == [1, 2, 3]
        await kernel.disable("talking")
        await kernel.emit(OrderPaid(4))
    assert heard == [1, 2, 3]


async def test_subscribing_to_what_is_no_class_is_a_clear_error() -> None:
    """Handlers are found by class; an instance or a name is refused."""
    event: Any = "order.paid"
    async with kernel_of() as kernel:
        with pytest.raises(EventUndeclared) as caught:
            kernel.on(event, lambda event: None)
        assert "'order.paid'" in str(caught.value)
        assert caught.value.where.startswith(__file__)


async def test_asynchronous_callable_object_is_awaited() -> None:
    """A handler may be an object with ``async def __call__``, or a partial of a coroutine function."""
    from functools import partial

    heard: list[str] = []

    class Handler:
        async def __call__(self, event: OrderPaid) -> None:
            heard.append("object")

    async def handler(name: str, event: OrderPaid) -> None:
        heard.append(name)

    async with kernel_of() as kernel:
        kernel.on(OrderPaid, Handler())
        kernel.on(OrderPaid, partial(handler, "partial"))
        await kernel.emit(OrderPaid())
    assert heard == ["object", "partial"]
