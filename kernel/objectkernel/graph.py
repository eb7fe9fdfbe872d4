"""Who needs whom: the nodes of a composition, their order, and everything that is wrong with it.

A node is one step of a plugin: a service, a contribution, a lifespan, a background task, or the plugin itself as a
whole (up when all the others of it are). Edges run between nodes, so two plugins may serve each other.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from objectkernel.declaration import Declaration, Step
from objectkernel.errors import (
    KernelError,
    KeyConflict,
    ScopeMismatch,
    ServiceCycle,
    ServiceDuplicate,
    ServiceMissing,
    ServiceVersionMismatch,
    nearest,
    shortened,
)
from objectkernel.host import wrong_type
from objectkernel.keys import Key
from objectkernel.plugin import Edge, PluginDef

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "(host)"
"""The provider name of services that the host gives."""


class Node:
    """One thing that starts and stops. `objectkernel.lifecycle` keeps its run-time state on it, as `life`."""

    __slots__ = (
        "before",
        "bound",
        "consumers",
        "dependents",
        "eager",
        "edges",
        "hard",
        "id",
        "key",
        "kind",
        "life",
        "lifetime",
        "plugin",
        "rank",
        "soft",
        "step",
        "value",
        "where",
    )

    def __init__(
        self,
        id: str,
        kind: str,
        plugin: str,
        *,
        step: Step | None = None,
        key: Key[Any] | None = None,
        lifetime: str = "singleton",
        where: str = "",
    ) -> None:
        self.id = id
        self.kind = kind
        self.plugin = plugin
        self.step = step
        self.key = key
        self.lifetime = lifetime
        self.where = where
        self.edges: tuple[Edge[Any], ...] = ()
        self.hard: dict[Node, None] = {}  # an ordered set
        self.soft: dict[Node, None] = {}
        self.before: tuple[Node, ...] = ()  # all that must be settled before this one starts
        self.dependents: list[Node] = []
        self.consumers: tuple[tuple[str, str], ...] = ()  # (plugin, attribute) that hold the value
        self.eager = lifetime == "singleton"
        self.bound = lifetime == "scoped"
        self.rank = 0
        self.value: Any = None
        self.life: Any = None

    def __repr__(self) -> str:
        return f"<{self.kind} {self.id}>"


class Graph:
    """The nodes of a composition in start order.

    Attributes:
        nodes: every node, in an order in which each comes after all that it depends on (empty while there is a cycle).
        services: name → node.
        contributions: extension name → its nodes, in plugin order.
        plugins: plugin name → its nodes.
        order: plugin names in start order, ties by name; `place` is the index in it.
        passed_over: (service, plugin) of providers that a choice of the host put aside.
        problems: all that is wrong; each carries `plugins`, the plugins concerned, as a fact.
    """

    def __init__(
        self,
        declarations: Mapping[str, Declaration],
        given: Mapping[Key[Any], Any] | None = None,
        picks: Mapping[str, str] | None = None,
        elsewhere: Callable[[str], str] = lambda name: "",
    ) -> None:
        self.declarations = declarations
        self.problems: list[KernelError] = []
        self.services: dict[str, Node] = {}
        self.contributions: dict[str, list[Node]] = {}
        self.plugins: dict[str, list[Node]] = {}
        self.passed_over: list[tuple[str, str]] = []
        self.transients = False  # whether there is any
        self._scoped = any(d.scoped for d in declarations.values())
        self._elsewhere = elsewhere
        self._all: list[Node] = []
        self._names = sorted(declarations)
        self._add_given(given or {})
        self._add_steps(picks or {})
        self._check_kinds()
        self._connect()
        self.nodes = self._sort()
        self._check_scopes()
        self.order = self._plugin_order()
        self.place = {name: index for index, name in enumerate(self.order)}
        for items in self.contributions.values():
            items.sort(key=lambda n: (self.place[n.plugin], n.rank))

    # -- nodes

    def _add_given(self, given: Mapping[Key[Any], Any]) -> None:
        for key, value in given.items():
            node = Node(str(key), "given", HOST, key=key, where=key.where)
            node.value = value
            problem = wrong_type(value, node)
            if problem is not None:
                self._problem(problem)
            self.services[str(key)] = node
            self._all.append(node)

    def _add_steps(self, picks: Mapping[str, str]) -> None:
        offers: dict[str, list[Step]] = {}
        for name in self._names:
            for step in self.declarations[name].provided:
                offers.setdefault(step.target, []).append(step)
        chosen: set[int] = set()
        for service, steps in offers.items():
            choice = self._choose(service, steps, picks)
            if choice is not None:
                chosen.add(id(choice))
        for service, plugin in picks.items():
            if not any(s.plugin == plugin for s in offers.get(service, ())):
                self._problem(self._bad_pick(service, plugin, offers))
        for name in self._names:
            self._add_plugin(self.declarations[name], chosen)

    def _choose(self, service: str, steps: list[Step], picks: Mapping[str, str]) -> Step | None:
        if service in self.services:  # the host gives it
            self.passed_over += [(service, s.plugin) for s in steps]
            return None
        if len(steps) == 1:
            return steps[0]
        picked = [s for s in steps if s.plugin == picks.get(service)]
        if len(picked) == 1:
            self.passed_over += [(service, s.plugin) for s in steps if s is not picked[0]]
            return picked[0]
        providers = tuple(s.plugin for s in steps)
        same = len(set(providers)) == 1
        self._problem(
            ServiceDuplicate(
                f"service {service!r} is provided {len(steps)} times",
                where=steps[1].where,
                why=[f"{s.plugin} provides it at {s.where}" for s in steps],
                fix="remove one of the two providers"
                if same
                else f'pick one: [kernel.providers] {service!r} = "{providers[0]}", or leave one plugin out',
                name=service,
                providers=providers,
                plugins=tuple(dict.fromkeys(providers)),
            )
        )
        return steps[0]

    def _bad_pick(self, service: str, plugin: str, offers: Mapping[str, list[Step]]) -> KernelError:
        by = [s.plugin for s in offers.get(service, ())]
        close = nearest(plugin, by) or nearest(service, offers)
        return ServiceMissing(
            f"[kernel.providers] picks {plugin!r} for {service!r}, which it does not provide",
            why=f"{service!r} is provided by {', '.join(by)}" if by else f"nobody provides {service!r}",
            fix=f"did you mean {close[0]!r}?" if close else "remove the line",
            name=service,
            path=(),
            known=close,
            plugins=(),
        )

    def _add_plugin(self, declaration: Declaration, chosen: set[int]) -> None:
        mine: list[Node] = []
        name = declaration.name
        for step in declaration.steps:
            if step.kind == "provides":
                if id(step) in chosen:
                    node = Node(
                        step.target,
                        "service",
                        name,
                        step=step,
                        key=step.key,
                        lifetime=step.lifetime,
                        where=step.where,
                    )
                    self.services[node.id] = node
                    self.transients |= step.lifetime == "transient"
                    mine.append(node)
            elif step.kind == "contributes":
                node = Node(f"{name}.{step.name}", "contribution", name, step=step, key=step.key, where=step.where)
                self.contributions.setdefault(step.target, []).append(node)
                mine.append(node)
            elif step.kind in ("lifespan", "background"):
                mine.append(Node(f"{name}.{step.name}", step.kind, name, step=step, where=step.where))
        mine.append(Node(f"plugin {name}", "plugin", name, where=declaration.where))
        self.plugins[name] = mine
        self._all += mine

    def _check_kinds(self) -> None:
        """One name is a service or an extension, never both."""
        services = frozenset[str]().union(*(d.services for d in self.declarations.values()))
        services |= self.services.keys()
        extensions = frozenset[str]().union(*(d.extensions for d in self.declarations.values()))
        if not services & extensions:
            return
        uses: dict[str, dict[str, tuple[str, str]]] = {}
        for node in self._all:
            if node.kind == "given":
                uses[node.id] = {"service": (HOST, node.where)}
        for name in self._names:
            declaration = self.declarations[name]
            keys = [(s.key, s.where) for s in declaration.steps if s.key is not None]
            keys += [(e.key, e.where) for e in declaration.all_edges]
            for key, where in keys:
                uses.setdefault(str(key), {}).setdefault(key.kind, (name, where))
        for text, kinds in uses.items():
            if len(kinds) > 1:
                self._problem(
                    KeyConflict(
                        f"{text!r} is used as a service and as an extension",
                        where=kinds["service"][1],
                        why=[f"{plugin} uses it as {kind} at {where}" for kind, (plugin, where) in kinds.items()],
                        fix="give one of the two another name",
                        name=text,
                        plugins=tuple(dict.fromkeys(plugin for plugin, _ in kinds.values() if plugin != HOST)),
                    )
                )

    # -- edges

    def _connect(self) -> None:
        for name in self._names:
            nodes = self.plugins[name]
            declaration = self.declarations[name]
            whole = nodes[-1]
            own = [n for n in nodes if n.kind == "service" and n.eager]
            reported: set[Edge[Any]] = set()
            for node in nodes[:-1]:
                assert node.step is not None
                node.edges = node.step.edges
                if self._scoped and node.kind != "service" and not node.step.by_keyword:  # it may open scopes itself
                    node.edges = tuple(e for e in node.edges if not self._is_scoped(e))
                self._connect_edges(node, reported)
                if node.kind == "lifespan":
                    self._link(node, own, hard=True)
                elif node.kind == "background":
                    self._link(node, [whole], hard=True)
            whole.edges = tuple(declaration.edges.values())
            if isinstance(declaration.target, PluginDef):
                whole.edges = tuple(e for s in declaration.handlers for e in s.edges)
            if self._scoped:
                whole.edges = tuple(e for e in whole.edges if not self._is_scoped(e))
            self._connect_edges(whole, reported)
            self._link(whole, [n for n in nodes[:-1] if n.eager and n.kind != "background"], hard=True)
        for node in self._all:
            node.before = (*node.hard, *node.soft)
            for edge in node.edges if node.kind == "plugin" else ():
                for target in self.targets(edge):
                    target.consumers += ((node.plugin, edge.name),)

    def targets(self, edge: Edge[Any]) -> list[Node]:
        """The nodes an edge leads to; none where the service is absent or given by a scope."""
        if edge.kind == "collects":
            return self.contributions.get(edge.target, [])
        node = self.services.get(edge.target)
        return [node] if node is not None else []

    def _is_scoped(self, edge: Edge[Any]) -> bool:
        return edge.key.scope is not None or any(n.lifetime == "scoped" for n in self.targets(edge))

    def _connect_edges(self, node: Node, reported: set[Edge[Any]]) -> None:
        for edge in node.edges:
            targets = self.targets(edge)
            if edge.kind == "collects":
                self._link(node, [t for t in targets if t is not node], hard=False)
                continue
            if edge.key.scope is not None:
                continue
            if not targets:
                if edge.hard and edge not in reported:
                    reported.add(edge)
                    self._problem(self.missing(str(edge.key), node.plugin, edge.where))
                continue
            if not edge.late:
                self._link(node, targets, hard=edge.hard)
            if edge.version and edge not in reported and not _admits(edge.version, targets[0].key):
                reported.add(edge)
                self._problem(self._wrong_version(node, edge, targets[0]))

    @staticmethod
    def _link(node: Node, targets: Iterable[Node], *, hard: bool) -> None:
        for target in targets:
            if target in node.hard or target in node.soft:
                continue
            (node.hard if hard else node.soft)[target] = None
            target.dependents.append(node)

    # -- order

    def _sort(self) -> list[Node]:
        """Kahn's algorithm with the free nodes in order of plugin name; linear in nodes and edges but for the heap."""
        for index, node in enumerate(self._all):
            node.rank = index
        waiting = {node: len(node.hard) + len(node.soft) for node in self._all}
        free = [node.rank for node in self._all if not waiting[node]]
        heapq.heapify(free)
        ordered: list[Node] = []
        while free:
            node = self._all[heapq.heappop(free)]
            ordered.append(node)
            for dependent in node.dependents:
                waiting[dependent] -= 1
                if not waiting[dependent]:
                    heapq.heappush(free, dependent.rank)
        if len(ordered) < len(self._all):
            for ring in _rings([n for n in self._all if waiting[n]]):
                self._problem(self._cycle(ring))
            return []
        for index, node in enumerate(ordered):
            node.rank = index
        return ordered

    def _plugin_order(self) -> list[str]:
        """Plugins in start order, ties by name; where two serve each other, the one with the first node leads."""
        names = self._names
        before: dict[str, set[str]] = {name: set() for name in names}
        after: dict[str, list[str]] = {name: [] for name in names}
        for node in self._all:
            plugin = node.plugin
            for target in node.before:
                other = target.plugin
                if other is not plugin and other != plugin and other != HOST and other not in before[plugin]:
                    before[plugin].add(other)
                    after[other].append(plugin)
        left = {name: len(needed) for name, needed in before.items()}
        free = [name for name in names if not left[name]]
        heapq.heapify(free)
        rest = sorted(names, key=lambda n: min((m.rank for m in self.plugins[n]), default=0), reverse=True)
        order: list[str] = []
        done: set[str] = set()
        while len(order) < len(names):
            if free:
                name = heapq.heappop(free)
            else:
                while rest[-1] in done:
                    rest.pop()
                name = rest.pop()
            if name in done:
                continue
            done.add(name)
            order.append(name)
            for dependent in after[name]:
                left[dependent] -= 1
                if not left[dependent] and dependent not in done:
                    heapq.heappush(free, dependent)
        return order

    def _check_scopes(self) -> None:
        """What outlives a scope may not need what a scope gives. A transient that needs it lives in a scope itself."""
        if not self._scoped:
            return
        for node in self.nodes:
            inner: list[tuple[Edge[Any], str]] = []
            for edge in node.edges:
                if edge.key.scope is not None:
                    inner.append((edge, f"given by whoever opens the scope {edge.key.scope!r}"))
                else:
                    inner += [(edge, f"{t.lifetime}, provided at {t.where}") for t in self.targets(edge) if t.bound]
            if not inner or node.bound:
                continue
            if node.lifetime == "transient":
                node.bound = True
                continue
            for edge, why in inner:
                self._problem(
                    ScopeMismatch(
                        f"{node.plugin}.{node.step.name if node.step else ''} ({node.kind} {node.id!r}, "
                        f"{node.lifetime}) outlives {str(edge.key)!r}, which it needs",
                        where=edge.where,
                        why=f"{str(edge.key)!r} lives in a scope: {why}",
                        fix='provide it with lifetime="scoped", or leave the attribute out with uses=(...)',
                        name=str(edge.key),
                        plugins=(node.plugin,),
                    )
                )

    # -- problems

    def _problem(self, problem: KernelError) -> None:
        self.problems.append(problem)

    def missing(self, name: str, wanting: str, where: str) -> ServiceMissing:
        """The error for a service that nobody provides: the wanting chain, near names, and who would provide it.

        `wanting` is the plugin that needs it, "" if it is the host that asks.
        """
        chain = self._chain(wanting) if wanting else ()
        close = nearest(name, self.services)
        why = [f"wanted by {' -> '.join((*chain, repr(name)))} ???"] if chain else []
        for candidate in close:
            why.append(f"close to {candidate!r} (provided by {self.services[candidate].plugin})")
        elsewhere = self._elsewhere(name)
        if elsewhere:
            why.append(elsewhere)
        fix = f"compose a plugin that provides {name!r}"
        if close:
            fix = f"ask for {close[0]!r}, or {fix}"
        elif elsewhere:
            fix = f"bring that plugin back, or {fix}"
        return ServiceMissing(
            f"no service {name!r}",
            where=where,
            why=why,
            fix=f"{fix}; or declare it with wants(...) and do without" if wanting else fix,
            name=name,
            path=chain,
            known=close,
            plugins=(wanting,) if wanting else (),
        )

    def _chain(self, plugin: str) -> tuple[str, ...]:
        """Plugins from one that nobody needs down to `plugin`, each needing the next."""
        chain = [plugin]
        while True:
            users = sorted(
                {d.plugin for n in self.plugins.get(chain[0], ()) for d in n.dependents} - set(chain) - {HOST}
            )
            if not users:
                return tuple(chain)
            chain.insert(0, users[0])

    def _wrong_version(self, node: Node, edge: Edge[Any], target: Node) -> KernelError:
        provided = getattr(target.key, "version", None) or "(none stated)"
        return ServiceVersionMismatch(
            f"{node.plugin} needs {str(edge.key)!r} {edge.version}",
            where=edge.where,
            why=f"{target.plugin} provides version {provided} at {target.where}",
            fix=f"install a {target.plugin} whose {str(edge.key)!r} is {edge.version}, or widen the range",
            name=str(edge.key),
            plugins=(node.plugin,),
        )

    def _cycle(self, ring: list[Node]) -> KernelError:
        steps = []
        for node, target in zip(ring, ring[1:] + ring[:1], strict=True):
            edge = next((e for e in node.edges if target in self.targets(e)), None)
            spelled = f"{edge.kind} {str(edge.key)!r} (self.{edge.name}) at {edge.where}" if edge else "is part of it"
            steps.append(f"{node.id!r} of {node.plugin} {spelled}")
        path = (*(n.id for n in ring), ring[0].id)
        shown = " -> ".join(path if len(path) <= 20 else (*path[:10], f"({len(path) - 11} more)", path[-1]))
        return ServiceCycle(
            f"services need each other in a ring: {shown}",
            where=ring[0].where,
            why=shortened(steps, 20),
            fix="narrow one provider with uses=(...), split it in two, or read one of them late: wants(KEY, late=True)",
            path=path,
            plugins=tuple(dict.fromkeys(n.plugin for n in ring)),
        )


def closure(start: Iterable[Node], *, soft: bool = True) -> set[Node]:
    """`start` and every node that depends on it, over any number of edges; without `soft`, over hard ones only."""
    found = set(start)
    todo = list(found)
    while todo:
        node = todo.pop()
        for dependent in node.dependents:
            if dependent not in found and (soft or node in dependent.hard):
                found.add(dependent)
                todo.append(dependent)
    return found


def _admits(specifier: str, key: Key[Any] | None) -> bool:
    version = getattr(key, "version", None)
    if version is None:
        return False
    from objectkernel.versions import admits

    return admits(specifier, version)


def _rings(nodes: list[Node]) -> list[list[Node]]:
    """One ring of each strongly connected component (Tarjan, without recursion), shortest from its first node."""
    inside = set(nodes)
    index: dict[Node, int] = {}
    low: dict[Node, int] = {}
    stack: list[Node] = []
    on_stack: set[Node] = set()
    rings: list[list[Node]] = []
    for root in nodes:
        if root in index:
            continue
        work: list[tuple[Node, Iterator[Node]]] = [(root, iter(root.before))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in inside:
                    continue
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(target.before)))
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component: set[Node] = set()
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        component.add(member)
                        if member is node:
                            break
                    if len(component) > 1 or node in node.before:
                        rings.append(_shortest_ring(min(component, key=lambda n: n.rank), component))
    return rings


def _shortest_ring(start: Node, component: set[Node]) -> list[Node]:
    """The shortest way from `start` back to it inside its component, breadth first."""
    came: dict[Node, Node] = {}
    todo = [start]
    for node in todo:
        for target in node.before:
            if target is start:
                ring = [node]
                while ring[0] is not start:
                    ring.insert(0, came[ring[0]])
                return ring
            if target in component and target not in came:
                came[target] = node
                todo.append(target)
    return [start]  # pragma: no cover - every node of a component has a way back
