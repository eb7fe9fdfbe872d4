"""Booting plugins: register them, start them in a chain, stop them; ours and the peers'.

Classes and functions are made before the clock starts, as they are in a program that imported its plugins; making the
container or kernel, registering, starting and stopping is measured.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from graphlib import TopologicalSorter
from time import perf_counter
from typing import Any

import anyio
import dishka
import pluggy
import wireup
from asphalt.core import Component, ContainerComponent, Context, context_teardown
from measuring import LIMIT, OURS, Contender, Row, Target, best_of, growth, timed_async
from objectkernel import ObjectKernel, Plugin, Service, needs, provides
from stevedore import ExtensionManager
from stevedore.extension import Extension

Boot = Callable[[], Awaitable[object]]
AT_MOST = {10: 45 / 5.7, 100: 45 / 4.9, 1_000: 45 / 5.2}
"""Plugins → times the limit: 45 µs a plugin where the limit takes 5.7, 4.9 and 5.2."""
SIZES = (10, 100, 1_000, 10_000)
NAP = 0.02  # seconds


class Thing:
    """What every plugin provides."""


def numbers(size: int, order: str) -> list[int]:
    """The place in the chain of each plugin, in the order in which they are named and registered."""
    places = list(range(size))
    if order == "reversed":
        places.reverse()
    elif order == "shuffled":
        random.Random(size).shuffle(places)
    return places


# --- the limit: sort the graph, a task for each ------------------------------------------------------


def limit(places: Sequence[int]) -> Boot:
    """A task that holds each thing from its start to its stop."""

    async def boot() -> None:
        graph = {place: (place - 1,) if place else () for place in places}
        loop = asyncio.get_running_loop()
        up = {place: loop.create_future() for place in places}
        stop = {place: loop.create_future() for place in places}
        tasks = {}

        async def hold(place: int) -> None:
            if place:
                await up[place - 1]
            up[place].set_result(Thing())
            await stop[place]

        order = list(TopologicalSorter(graph).static_order())
        for place in order:
            tasks[place] = loop.create_task(hold(place))
        await up[len(places) - 1]
        for place in reversed(order):
            stop[place].set_result(None)
            await tasks[place]

    return boot


# --- ours --------------------------------------------------------------------------------------------


def ours(places: Sequence[int], form: str = "async generator") -> Boot:
    keys = [Service[Thing](f"bench.thing-{place}") for place in range(len(places))]
    plugins = [_plugin(f"bench-{number:05}", keys, place, form) for number, place in enumerate(places)]
    return partial(_boot_ours, plugins)


async def _boot_ours(plugins: Sequence[type[Plugin]]) -> None:
    kernel = ObjectKernel(plugins=plugins, discover=False, environ={})
    await kernel.bootstrap()
    await kernel.shutdown()


def _plugin(name: str, keys: Sequence[Service[Thing]], place: int, form: str) -> type[Plugin]:
    if form == "function":

        def thing(self: Any) -> Thing:
            return Thing()

    elif form == "nap":

        async def thing(self: Any) -> Thing:  # type: ignore[misc]
            await anyio.sleep(NAP)
            return Thing()

    else:

        async def thing(self: Any) -> AsyncIterator[Thing]:  # type: ignore[misc]
            yield Thing()

    body: dict[str, Any] = {"name": name, "thing": provides(keys[place])(thing)}
    if place and form != "nap":
        body["before"] = needs(keys[place - 1])
    return type("BenchPlugin", (Plugin,), body)


# --- the peers ---------------------------------------------------------------------------------------


class Carrier:
    """A plugin as pluggy and stevedore know one: it starts and stops, and nothing says in which order."""

    def start(self) -> None:
        self.thing = Thing()

    def stop(self) -> None:
        del self.thing


def stevedore(places: Sequence[int]) -> Boot:
    names = [f"bench-{place}" for place in places]

    async def boot() -> None:
        manager: Any = ExtensionManager.make_test_instance(
            [Extension(name, None, Carrier, Carrier()) for name in names]  # type: ignore[arg-type]
        )
        manager.map(lambda extension: extension.obj.start())
        manager.map(lambda extension: extension.obj.stop())

    return boot


class Specs:
    """What pluggy is to call."""

    @pluggy.HookspecMarker("bench")
    def start(self) -> None: ...

    @pluggy.HookspecMarker("bench")
    def stop(self) -> None: ...


class Hooked(Carrier):
    start = pluggy.HookimplMarker("bench")(Carrier.start)
    stop = pluggy.HookimplMarker("bench")(Carrier.stop)


def bare_pluggy(places: Sequence[int]) -> Boot:
    names = [f"bench-{place}" for place in places]

    async def boot() -> None:
        manager = pluggy.PluginManager("bench")
        manager.add_hookspecs(Specs)
        for name in names:
            manager.register(Hooked(), name)
        manager.hook.start()
        manager.hook.stop()

    return boot


def asphalt(places: Sequence[int]) -> Boot:
    class Link(Component):
        def __init__(self, place: int) -> None:
            self.place = place

        @context_teardown
        async def start(self, ctx: Context) -> AsyncIterator[None]:  # type: ignore[override]
            if self.place:
                await ctx.request_resource(Thing, f"thing{self.place - 1}")
            ctx.add_resource(Thing(), f"thing{self.place}")
            yield

    return partial(_boot_asphalt, Link, [{"place": place} for place in places])


async def _boot_asphalt(kind: type[Component], settings: Sequence[dict[str, Any]]) -> None:
    async with Context() as context:
        root = ContainerComponent()
        for number, each in enumerate(settings):
            root.add_component(f"link{number}", kind, **each)
        await root.start(context)


def _typed_chain(places: Sequence[int], yields: Any) -> tuple[list[Any], type]:
    """An async generator for each place that takes the type of the place before, and the type of the last."""
    types = [type(f"Thing{place}", (Thing,), {}) for place in range(len(places))]
    made = [_factory(types[place], types[place - 1] if place else None, yields) for place in places]
    return made, types[-1]


def _factory(kind: type, before: type | None, yields: Any) -> Any:
    if before is None:

        async def first() -> AsyncIterator[Any]:
            yield kind()

        first.__annotations__ = {"return": yields[kind]}
        return first

    async def follows(before: Any) -> AsyncIterator[Any]:
        yield kind()

    follows.__annotations__ = {"before": before, "return": yields[kind]}
    return follows


def with_dishka(places: Sequence[int]) -> Boot:
    factories, last = _typed_chain(places, AsyncIterable)

    async def boot() -> None:
        provider = dishka.Provider(scope=dishka.Scope.APP)
        for factory in factories:
            provider.provide(factory)
        container = dishka.make_async_container(provider)
        await container.get(last)
        await container.close()

    return boot


def with_wireup(places: Sequence[int]) -> Boot:
    factories, last = _typed_chain(places, AsyncIterator)

    async def boot() -> None:
        container = wireup.create_async_container(injectables=[wireup.injectable(f) for f in factories])
        await container.get(last)
        await container.close()

    return boot


PEERS: dict[str, Callable[[Sequence[int]], Boot]] = {
    "stevedore": stevedore,
    "asphalt": asphalt,
    "bare pluggy": bare_pluggy,
    "dishka": with_dishka,
    "wireup": with_wireup,
}


# --- rows --------------------------------------------------------------------------------------------


def chain(runner: asyncio.Runner, size: int, order: str, rounds: int) -> list[Row]:
    """A chain of `size` plugins: asynchronous generators beside every peer, and plain functions."""
    places = numbers(size, order)
    target = Target(of_limit=round(AT_MOST[size], 1))
    work = f"chain of {size:,}" + (f" {order}" if order != "in order" else "")
    boots = {LIMIT: limit(places), OURS: ours(places)}
    boots |= {name: make(places) for name, make in PEERS.items()}
    results = best_of(rounds, {name: timed_async(runner, boot) for name, boot in boots.items()})
    rows = [Row.of(f"{work}, async generators", "µs", results, target, per=size)]
    if order == "in order":
        plain = {LIMIT: limit(places), OURS: ours(places, "function")}
        results = best_of(rounds, {name: timed_async(runner, boot) for name, boot in plain.items()})
        rows.append(Row.of(f"{work}, plain functions", "µs", results, target, per=size))
    return rows


def growth_rows(runner: asyncio.Runner) -> list[Row]:
    """The largest chain, and the exponent with which the time grows over all sizes, both in shuffled order."""
    fitted: dict[str, float] = {}
    largest: dict[str, float | str] = {}
    for name, make in ((LIMIT, limit), (OURS, ours)):
        boots = {str(n): timed_async(runner, make(numbers(n, "shuffled"))) for n in SIZES}
        results = best_of(3, boots)
        times = {int(n): seconds for n, seconds in results.items() if not isinstance(seconds, str)}
        fitted[name] = growth(times)
        largest[name] = results[str(SIZES[-1])]
    work = f"chain of {SIZES[-1]:,} shuffled, async generators"
    target = Target(of_limit=round(AT_MOST[1_000], 1))
    exponent = Row(
        work=f"exponent of growth, {SIZES[0]} to {SIZES[-1]:,}",
        unit="",
        limit=fitted[LIMIT],
        ours=fitted[OURS],
        target=Target(at_most=1.05),
    )
    return [Row.of(work, "µs", largest, target, per=SIZES[-1]), exponent]


def naps() -> list[Row]:
    """50 plugins that need nothing of each other and sleep 20 ms to start."""
    places = list(range(50))

    class Sleeper(Component):
        def __init__(self, place: int) -> None:
            self.place = place

        async def start(self, ctx: Context) -> None:
            await asyncio.sleep(NAP)
            ctx.add_resource(Thing(), f"thing{self.place}")

    async def together() -> None:
        async with anyio.create_task_group() as group:
            for _ in places:
                group.start_soon(anyio.sleep, NAP)

    boot_ours = ours(places, "nap")
    rows = []
    for backend in ("asyncio", "trio"):
        boots: dict[str, Boot] = {LIMIT: together, OURS: boot_ours}
        if backend == "asyncio":
            boots["asphalt"] = partial(_boot_asphalt, Sleeper, [{"place": place} for place in places])
        results = best_of(5, {name: _on(backend, boot) for name, boot in boots.items()})
        rows.append(Row.of(f"50 starts of 20 ms, {backend}", "ms", results, Target(at_most=26.0)))
    return rows


def _on(backend: str, boot: Boot) -> Contender:
    async def measured() -> float:
        start = perf_counter()
        await boot()
        return perf_counter() - start

    return lambda: anyio.run(measured, backend=backend)


def rows() -> list[Row]:
    """All boots."""
    with asyncio.Runner() as runner:
        found = []
        for size, rounds in ((10, 30), (100, 8), (1_000, 4)):
            found += chain(runner, size, "in order", rounds)
        for order in ("reversed", "shuffled"):
            found += chain(runner, 1_000, order, 3)
        found += growth_rows(runner)
    return found + naps()
