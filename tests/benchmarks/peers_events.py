"""An event that ten handlers hear, ours and the peers'."""

from __future__ import annotations

import asyncio
from typing import Any

import blinker
import pluggy
from asphalt.core import Event, Signal
from measuring import LIMIT, OURS, Row, Target, best_of, repeated
from objectkernel import ObjectKernel

HANDLERS = 10
COUNT = 20_000


class Paid:
    """What happened."""


class Source:
    """Where asphalt keeps its signal."""

    paid = Signal(Event)


class Spec:
    """What pluggy is to call."""

    @pluggy.HookspecMarker("bench")
    def paid(self, event: Paid) -> None: ...


def handler() -> Any:
    """A plain handler, another one at each call."""

    def handle(event: Any) -> None:
        pass

    return handle


def async_handler() -> Any:
    """An asynchronous handler, another one at each call."""

    async def handle(event: Any) -> None:
        pass

    return handle


def manager() -> pluggy.PluginManager:
    """A pluggy manager with ten implementations."""
    made = pluggy.PluginManager("bench")
    made.add_hookspecs(Spec)
    for _ in range(HANDLERS):

        class Hears:
            @pluggy.HookimplMarker("bench")
            def paid(self, event: Paid) -> None:
                pass

        made.register(Hears())
    return made


def called() -> Row:
    """Ten plain functions."""
    handlers = tuple(handler() for _ in range(HANDLERS))
    kernel = ObjectKernel(discover=False)
    signal = blinker.Signal()
    for one in handlers:
        kernel.on(Paid, one)
        signal.connect(one)
    event = Paid()
    with asyncio.Runner() as runner:
        runner.run(kernel.bootstrap())
        row = _called(handlers, kernel, signal, event)
        runner.run(kernel.shutdown())
    return row


def _called(handlers: tuple[Any, ...], kernel: ObjectKernel, signal: blinker.Signal, event: Paid) -> Row:
    contenders = {
        LIMIT: repeated("for each in handlers: each(event)", COUNT, handlers=handlers, event=event),
        OURS: repeated("it.emit_sync(event)", COUNT, it=kernel, event=event),
        "pluggy": repeated("it.paid(event=event)", COUNT, it=manager().hook, event=event),
        "blinker": repeated("it.send(event)", COUNT, it=signal, event=event),
    }
    return Row.of("event to 10 handlers", "ns", best_of(9, contenders), Target(of_limit=2.0, ahead=True))


def awaited() -> Row:
    """Ten coroutine functions, awaited in turn."""
    handlers = tuple(async_handler() for _ in range(HANDLERS))
    kernel = ObjectKernel(discover=False)
    signal = blinker.Signal()
    source = Source()
    for one in handlers:
        kernel.on(Paid, one)
        signal.connect(one)
        source.paid.connect(one)
    event = Paid()
    with asyncio.Runner() as runner:
        runner.run(kernel.bootstrap())
        contenders = {
            LIMIT: repeated("for each in handlers: await each(event)", COUNT, runner, handlers=handlers, event=event),
            OURS: repeated("await it.emit(event)", COUNT, runner, it=kernel, event=event),
            "blinker": repeated("await it.send_async(event)", COUNT, runner, it=signal, event=event),
            "asphalt": repeated("await it.dispatch()", COUNT // 10, runner, it=source.paid),
        }
        results = best_of(7, contenders)
        runner.run(kernel.shutdown())
    return Row.of("event to 10 handlers, awaited", "ns", results, Target(of_limit=2.0, ahead=True))


def rows() -> list[Row]:
    """The events."""
    return [called(), awaited()]
