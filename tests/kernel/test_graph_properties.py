"""Random service graphs against `graphlib.TopologicalSorter`: order, rings, a failure at every node, a stop at
every moment, any sequence of changes (G2, G3, G11, G14)."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from objectkernel import BootError, ObjectKernel, PluginDef, Service, wants
from objectkernel.errors import BootAborted, ServiceCycle

FORMS = ("value", "async", "generator", "async_generator")


@attrs.frozen(kw_only=True)
class Shape:
    """A composition: service i is made by plugin `owners[i]` in `forms[i]`, and depends on others by `edges`.

    Attributes:
        edges: (service, what it depends on) → whether the edge is hard.
    """

    owners: tuple[int, ...]
    forms: tuple[str, ...]
    edges: dict[tuple[int, int], bool]

    @property
    def size(self) -> int:
        return len(self.owners)

    def before(self, service: int) -> set[int]:
        return {target for source, target in self.edges if source == service}

    def oracle(self) -> TopologicalSorter[int]:
        return TopologicalSorter({i: self.before(i) for i in range(self.size)})

    def has_teardown(self, service: int) -> bool:
        return self.forms[service] in ("generator", "async_generator")

    def users(self, service: int, *, soft: bool = True) -> set[int]:
        """All services that depend on this one, over any number of edges; without `soft`, those that cannot be up
        but on top of it: of the edges beyond the first, the hard ones only."""
        found: set[int] = set()
        todo = [service]
        while todo:
            target = todo.pop()
            edges = [(s, hard) for (s, t), hard in self.edges.items() if t == target]
            fresh = {s for s, hard in edges if hard or soft or target == service} - found
            found |= fresh
            todo += fresh
        return found


@st.composite
def shapes(draw: st.DrawFn, *, acyclic: bool = True, most: int = 7) -> Shape:
    size = draw(st.integers(1, most))
    pairs = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1))
    edges = draw(st.dictionaries(pairs, st.booleans(), max_size=2 * size))
    if acyclic:  # from a service to one of a smaller place in a drawn order
        place = draw(st.permutations(range(size)))
        edges = {(a, b) if place[a] > place[b] else (b, a): hard for (a, b), hard in edges.items() if a != b}
    return Shape(
        owners=tuple(draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))),
        forms=tuple(draw(st.lists(st.sampled_from(FORMS), min_size=size, max_size=size))),
        edges=edges,
    )


class World:
    """A kernel of a shape, and the journal of what it started and stopped.

    Attributes:
        failing: the service whose start raises, or None.
        moment: at this checkpoint of the starts `happens` is called, once.
        half_open: parts that a provider has entered and not left.
    """

    def __init__(self, shape: Shape, **options: Any) -> None:
        self.shape = shape
        self.journal: list[tuple[str, int]] = []
        self.failing: int | None = None
        self.error = ValueError("as told")
        self.moment = -1
        self.checkpoints = 0
        self.happens: Callable[[], None] = lambda: None
        self.half_open = 0
        self.names = {i: f"plugin-{i}" for i in shape.owners}
        plugins = {i: PluginDef(name) for i, name in self.names.items()}
        self.keys = [Service[int](f"test.s{i}") for i in range(shape.size)]
        for service in range(shape.size):
            self._add(plugins[shape.owners[service]], service)
        self.kernel = ObjectKernel(plugins=plugins.values(), discover=False, **options)

    def _add(self, plugin: PluginDef, service: int) -> None:
        edges = {
            f"s{target}": self.keys[target] if hard else wants(self.keys[target])
            for (source, target), hard in self.shape.edges.items()
            if source == service
        }
        function: Any = getattr(self, f"_{self.shape.forms[service]}")(service)
        function.__name__ = f"make_s{service}"
        plugin.provides(self.keys[service], needs=edges)(function)

    async def _checkpoint(self) -> None:
        self.checkpoints += 1
        if self.checkpoints == self.moment:
            self.happens()
        await anyio.sleep(0)

    def _begin(self, service: int) -> None:
        if service == self.failing:
            raise self.error

    def _value(self, service: int) -> Any:
        def value(**values: int | None) -> int:
            self._begin(service)
            self.journal.append(("+", service))
            return service

        return value

    def _async(self, service: int) -> Any:
        async def awaited(**values: int | None) -> int:
            self.half_open += 1
            try:
                await self._checkpoint()
                self._begin(service)
                await self._checkpoint()
            finally:
                self.half_open -= 1
            self.journal.append(("+", service))
            return service

        return awaited

    def _generator(self, service: int) -> Any:
        def generator(**values: int | None) -> Iterator[int]:
            self.half_open += 1
            try:
                self._begin(service)
                self.journal.append(("+", service))
                yield service
                self.journal.append(("-", service))
            finally:
                self.half_open -= 1

        return generator

    def _async_generator(self, service: int) -> Any:
        async def async_generator(**values: int | None) -> AsyncIterator[int]:
            self.half_open += 1
            try:
                await self._checkpoint()
                self._begin(service)
                await self._checkpoint()
                self.journal.append(("+", service))
                yield service
                await anyio.sleep(0)
                self.journal.append(("-", service))
            finally:
                self.half_open -= 1

        return async_generator

    def starts(self) -> list[int]:
        return [s for sign, s in self.journal if sign == "+"]

    def stops(self) -> list[int]:
        return [s for sign, s in self.journal if sign == "-"]

    def assert_legal(self) -> None:
        """At each line of the journal: who starts has its hard needs, who stops has no user left."""
        up: set[int] = set()
        for sign, service in self.journal:
            if sign == "+":
                assert service not in up or not self.shape.has_teardown(service), "started twice"
                needed = {t for (s, t), hard in self.shape.edges.items() if s == service and hard}
                assert needed <= up, f"{service} started without {needed - up}"
                up.add(service)
            else:
                assert service in up, "stopped twice"
                users = {u for u in self.shape.users(service, soft=False) if self.shape.has_teardown(u)}
                assert not users & up, f"{service} stopped before {users & up}"
                up.remove(service)

    async def assert_all_over(self) -> None:
        """Everything entered was exited exactly once in a legal order, and nothing else is alive."""
        self.assert_legal()
        assert sorted(self.stops()) == sorted(s for s in self.starts() if self.shape.has_teardown(s))
        assert self.half_open == 0
        assert self.kernel.state in ("stopped", "failed")
        assert self.kernel.services() == ()
        await anyio.wait_all_tasks_blocked()
        left = [t.name for t in anyio.get_running_tasks() if t.name and "objectkernel" in t.name]
        assert left == []
        assert [t.name for t in anyio.get_running_tasks() if t.name and t.name.startswith("plugin-")] == []


# -- order and rings


@given(shapes(acyclic=False))
def test_ring_is_reported_if_and_only_if_there_is_one(shape: Shape) -> None:
    """The kernel finds a ring where graphlib does, and each path it shows is a real one."""
    try:
        tuple(shape.oracle().static_order())
        expected = False
    except CycleError:
        expected = True
    problems = World(shape).kernel.check()
    assert bool(problems) == expected
    for problem in problems:
        assert isinstance(problem, ServiceCycle)
        path = [int(name.removeprefix("test.s")) for name in problem.path]
        assert path[0] == path[-1]
        assert len(set(path[:-1])) == len(path) - 1
        assert all(pair in shape.edges for pair in itertools.pairwise(path))


@given(shapes())
def test_order_of_the_graph_is_one_that_graphlib_admits(shape: Shape) -> None:
    """Taking the services in the kernel's order, each is ready by graphlib when its turn comes."""
    nodes = World(shape).kernel.graph.nodes
    order = [int(n.id.removeprefix("test.s")) for n in nodes if n.kind == "service"]
    assert_admitted(shape.oracle(), order)
    assert len(order) == shape.size


def assert_admitted(oracle: TopologicalSorter[int], order: list[int]) -> None:
    oracle.prepare()
    ready = set(oracle.get_ready())
    for service in order:
        assert service in ready
        oracle.done(service)
        ready |= set(oracle.get_ready())
        ready.discard(service)


# -- life


@pytest.mark.anyio
@settings(max_examples=60)
@given(shape=shapes())
async def test_start_and_stop_are_orders_that_graphlib_admits(shape: Shape, anyio_backend: str) -> None:
    """Services start in an order that the graph admits and stop in one that the reversed graph admits."""
    world = World(shape)
    async with world.kernel as kernel:
        assert [kernel.get(key) for key in world.keys] == list(range(shape.size))
        assert_admitted(shape.oracle(), world.starts())
        assert len(world.starts()) == shape.size
    backwards: TopologicalSorter[int] = TopologicalSorter()
    silent = [s for s in range(shape.size) if not shape.has_teardown(s)]
    for service in set(range(shape.size)) - set(silent):
        backwards.add(service, *(u for u in shape.users(service) if u not in silent))
    assert_admitted(backwards, world.stops())
    await world.assert_all_over()


@pytest.mark.anyio
@settings(max_examples=40)
@given(shape=shapes())
async def test_failure_at_every_node_exits_what_was_entered(shape: Shape, anyio_backend: str) -> None:
    """Whichever service fails, the boot raises its error, and all that was entered is exited once, in order."""
    for failing in range(shape.size):
        world = World(shape)
        world.failing = failing
        with pytest.raises(BootError) as caught:
            await world.kernel.bootstrap()
        assert caught.value.exceptions == (world.error,)
        assert failing not in world.starts()
        await world.assert_all_over()


@pytest.mark.anyio
@settings(max_examples=40)
@given(shape=shapes())
async def test_failure_of_an_optional_plugin_spares_what_does_not_need_it(shape: Shape, anyio_backend: str) -> None:
    """The failing plugin and its hard dependents are out as wholes, everything else is up; all is exited once."""
    for failing in range(shape.size):
        world = World(shape, optional=sorted({f"plugin-{i}" for i in shape.owners}))
        world.failing = failing
        async with world.kernel as kernel:
            lost = {shape.owners[failing]}
            while True:
                more = {
                    shape.owners[s] for (s, t), hard in shape.edges.items() if hard and shape.owners[t] in lost
                } - lost
                if not more:
                    break
                lost |= more
            expected = {str(world.keys[s]) for s in range(shape.size) if shape.owners[s] not in lost}
            assert set(kernel.services()) == expected
            assert kernel.state == "degraded"
            told = {p.name: p.state for p in kernel.plugins()}
            assert told.pop(world.names[shape.owners[failing]]) == "failed"
            assert {n for n, state in told.items() if state == "skipped"} == {
                world.names[i] for i in lost - {shape.owners[failing]}
            }
        await world.assert_all_over()


@pytest.mark.anyio
@settings(max_examples=30)
@given(shape=shapes(most=6))
async def test_cancelled_at_every_moment_of_the_boot_all_is_exited(shape: Shape, anyio_backend: str) -> None:
    """Whenever `bootstrap()` is cancelled, everything that was entered is exited once, in order."""
    for moment in moments(shape):
        world = World(shape)
        world.moment = moment
        with anyio.CancelScope() as scope:
            world.happens = scope.cancel
            await world.kernel.bootstrap()
        if scope.cancelled_caught:
            await world.assert_all_over()
        else:  # the boot was over by then
            await world.kernel.shutdown()
            await world.assert_all_over()


@pytest.mark.anyio
@settings(max_examples=30)
@given(shape=shapes(most=6))
async def test_stopped_at_every_moment_of_the_boot_all_is_exited(shape: Shape, anyio_backend: str) -> None:
    """Whenever `shutdown()` comes, the boot ends with BootAborted and everything entered is exited once, in order."""
    for moment in moments(shape):
        world = World(shape)
        world.moment = moment
        asked = anyio.Event()
        world.happens = asked.set

        async def stop(world: World = world, asked: anyio.Event = asked) -> None:
            await asked.wait()
            with suppress(BootError):
                await world.kernel.shutdown()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
            try:
                await world.kernel.bootstrap()
            except BootError as error:
                assert [type(e) for e in error.exceptions] == [BootAborted]
                assert asked.is_set()
            asked.set()
        await world.assert_all_over()


def moments(shape: Shape) -> range:
    """The checkpoints of a boot, from 1: two in each asynchronous start."""
    return range(1, 2 * sum("async" in form for form in shape.forms) + 1)


@pytest.mark.anyio
@settings(max_examples=60)
@given(shape=shapes(), data=st.data())
async def test_any_sequence_of_changes_keeps_the_order(shape: Shape, data: st.DataObject, anyio_backend: str) -> None:
    """Whatever is disabled, enabled and reloaded in turn, what can run does, and each is exited once, in order."""
    names = st.sampled_from(sorted({f"plugin-{i}" for i in shape.owners}))
    changes = data.draw(st.lists(st.tuples(st.sampled_from(["switch", "reload"]), names), max_size=6))
    world = World(shape)
    off: set[str] = set()
    async with world.kernel as kernel:
        for change, name in changes:
            if change == "switch" and name in off:
                off.remove(name)
                await kernel.enable(name)
            elif change == "switch":
                off.add(name)
                await kernel.disable(name)
            elif name not in off:
                await kernel.reload(name)
            world.assert_legal()
            assert set(kernel.services()) == running(world, off)
            assert kernel.state == ("degraded" if world_waits(world, off) else "running")
    await world.assert_all_over()


def running(world: World, off: set[str]) -> set[str]:
    """The services whose plugins are on, and whose hard needs run."""
    shape = world.shape
    order = list(shape.oracle().static_order())
    up: set[int] = set()
    for service in order:
        needed = {t for (s, t), hard in shape.edges.items() if s == service and hard}
        if world.names[shape.owners[service]] not in off and needed <= up:
            up.add(service)
    return {str(world.keys[s]) for s in up}


def world_waits(world: World, off: set[str]) -> bool:
    """Whether a plugin that is on is not up as a whole."""
    up = running(world, off)
    shape = world.shape
    return any(world.names[shape.owners[s]] not in off and str(world.keys[s]) not in up for s in range(shape.size))


@given(shapes())
def test_composing_runs_nothing(shape: Shape) -> None:
    """Whatever the graph, checking it calls no provider."""
    assume(shape.size > 1)
    world = World(shape)
    world.kernel.check()
    assert world.journal == []
