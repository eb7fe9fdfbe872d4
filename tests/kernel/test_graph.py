"""The graph of a composition: nodes, order, rings, and what depends on what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from objectkernel import (
    Extension,
    ObjectKernel,
    Plugin,
    PluginDef,
    Service,
    background,
    contributes,
    lifespan,
    provides,
    wants,
)
from objectkernel import needs as need
from objectkernel.errors import ServiceCycle
from objectkernel.graph import Graph, closure

RULES = Extension[str]("test.rules")


def key(name: str) -> Service[str]:
    return Service[str](f"test.{name}")


def plugin(name: str, **edges: Any) -> PluginDef:
    """A plugin of one service of its own name, with these needs."""
    made = PluginDef(name)

    @made.provides(key(name), needs=edges)
    def service(**values: str) -> str:
        return name

    return made


def graph_of(*plugins: Any, **options: Any) -> Graph:
    return ObjectKernel(plugins=plugins, discover=False, **options).graph


def test_nodes_stand_behind_all_that_they_depend_on() -> None:
    """The order of the nodes is one in which they can start, over hard and soft edges."""
    graph = graph_of(plugin("a", b=key("b")), plugin("b", c=wants(key("c"))), plugin("c"))
    services = [n.id for n in graph.nodes if n.kind == "service"]
    assert services == ["test.c", "test.b", "test.a"]
    assert all(target.rank < node.rank for node in graph.nodes for target in node.before)


def test_plugin_order_is_start_order_with_ties_by_name() -> None:
    """Among those that may start, the first by name is first."""
    graph = graph_of(plugin("d"), plugin("b", z=key("z")), plugin("z"), plugin("c"))
    assert graph.order == ["c", "d", "z", "b"]


def test_order_does_not_depend_on_the_order_of_composing() -> None:
    """The same plugins give the same order, however they are listed."""
    plugins = [plugin("d", a=key("a")), plugin("b"), plugin("a", b=key("b")), plugin("c", d=wants(key("d")))]
    assert graph_of(*plugins).order == graph_of(*reversed(plugins)).order == ["b", "a", "d", "c"]


def test_plugin_has_a_node_for_each_step_and_one_for_the_whole() -> None:
    """Services, contributions, lifespans and tasks are nodes; the plugin is up when all but the tasks are."""

    class Whole(Plugin):
        name = "whole"

        @provides(key("s"))
        def service(self) -> str:
            return "s"

        @contributes(RULES)
        def rule(self) -> str:
            return "r"

        @lifespan
        def warm(self) -> Iterator[None]:
            yield

        @background
        async def work(self) -> None:
            pass

    graph = graph_of(Whole)
    nodes = {n.kind: n for n in graph.nodes}
    assert sorted(nodes) == ["background", "contribution", "lifespan", "plugin", "service"]
    assert graph.nodes[-2:] == [nodes["plugin"], nodes["background"]]
    assert graph.plugins["whole"] == sorted(graph.plugins["whole"], key=graph.plugins["whole"].index)
    assert nodes["service"] in nodes["lifespan"].hard
    assert graph.services["test.s"] is nodes["service"]
    assert graph.contributions["test.rules"] == [nodes["contribution"]]


def test_host_given_service_takes_the_place_of_a_plugins() -> None:
    """The graph shows the provider that was passed over."""
    kernel = ObjectKernel(plugins=[plugin("a"), plugin("b", a=key("a"))], discover=False).provide(key("a"), "given")
    assert kernel.graph.services["test.a"].kind == "given"
    assert kernel.graph.passed_over == [("test.a", "a")]


def test_closure_holds_all_dependents_over_any_number_of_edges() -> None:
    """With soft edges by default, and over hard ones only on request."""
    graph = graph_of(plugin("a"), plugin("b", a=key("a")), plugin("c", b=wants(key("b"))), plugin("d"))
    start = [graph.services["test.a"]]
    assert {n.id for n in closure(start) if n.kind == "service"} == {"test.a", "test.b", "test.c"}
    assert {n.id for n in closure(start, soft=False) if n.kind == "service"} == {"test.a", "test.b"}


def test_ring_is_reported_once_with_its_shortest_path() -> None:
    """One ring of each knot is shown, the shortest from its first service, first name repeated at the end."""
    graph = graph_of(
        plugin("a", b=key("b")),
        plugin("b", c=key("c"), a=key("a")),
        plugin("c", a=key("a")),
        plugin("user", a=key("a")),
    )
    (problem,) = graph.problems
    assert isinstance(problem, ServiceCycle)
    assert problem.path == ("test.a", "test.b", "test.a")
    assert problem.plugins == ("a", "b")
    assert graph.nodes == []


def test_service_that_needs_itself_is_a_ring_of_one() -> None:
    """The smallest ring is reported like the others."""
    (problem,) = graph_of(plugin("a", a=key("a"))).problems
    assert isinstance(problem, ServiceCycle)
    assert problem.path == ("test.a", "test.a")


@pytest.mark.parametrize("size", [3_000])
def test_long_chains_and_rings_do_not_exhaust_the_stack(size: int) -> None:
    """Order, rings and closure take no recursion, however deep the graph is."""
    chain = [plugin(f"p{n:05}", **({"before": key(f"p{n - 1:05}")} if n else {})) for n in range(size)]
    graph = graph_of(*chain)
    assert [n.id for n in graph.nodes if n.kind == "service"] == [f"test.p{n:05}" for n in range(size)]
    assert len(closure([graph.services["test.p00000"]])) == 2 * size
    ring = [plugin("p00000", before=key(f"p{size - 1:05}")), *chain[1:]]
    (problem,) = graph_of(*ring).problems
    assert isinstance(problem, ServiceCycle)
    assert len(problem.path) == size + 1
    assert len(str(problem)) < 10_000


def test_needs_of_a_class_count_for_each_of_its_providers_unless_narrowed() -> None:
    """By default a provider depends on all that its plugin needs; `uses` narrows that."""

    class Two(Plugin):
        name = "two"
        a = need(key("a"))

        @provides(key("x"))
        def x(self) -> str:
            return "x"

        @provides(key("y"), uses=())
        def y(self) -> str:
            return "y"

    graph = graph_of(Two, plugin("a"))
    assert graph.services["test.a"] in graph.services["test.x"].hard
    assert graph.services["test.y"].before == ()
