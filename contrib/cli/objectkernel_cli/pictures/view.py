"""`GraphView`: what the pictures of a composition show, free of the kernel's own objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
from objectkernel.graph import HOST

if TYPE_CHECKING:
    from objectkernel.graph import Graph, Node
    from objectkernel.kernel import ObjectKernel
    from objectkernel.records import PluginInfo

MISSING: Final = "missing"
PASSED_OVER: Final = "passed over"

COLOURS: Final = {
    "discovered": "#d6e9f8",
    "running": "#d5f0d8",
    "degraded": "#fdeeb5",
    "skipped": "#fdeeb5",
    "failed": "#f8c9c4",
    MISSING: "#f8c9c4",
    "host": "#e4dcf5",
    PASSED_OVER: "#f4f4f4",
    "blocked": "#e6e6e6",
}
"""Fill colours by state, light enough for black text."""

OTHER_COLOUR: Final = "#e6e6e6"


@attrs.frozen(kw_only=True)
class Item:
    """One box.

    Attributes:
        id: unique in the picture.
        kind: service, contribution, lifespan, background, plugin (with nothing to show of its own), missing.
        plugin: who it belongs to, "" for a missing service.
        state: its plugin's state, or ``passed over``, ``missing``, ``host``.
        where: ``file:line``.
    """

    id: str
    name: str
    kind: str
    plugin: str
    state: str
    where: str

    @property
    def colour(self) -> str:
        return COLOURS.get(self.state, OTHER_COLOUR)

    @property
    def subtitle(self) -> str:
        """The second line of the box."""
        told = [self.plugin, "" if self.kind == "service" else self.kind]
        told.append("" if self.state in ("discovered", "running", "host", self.kind) else self.state)
        return " · ".join(dict.fromkeys(part for part in told if part))


@attrs.frozen(kw_only=True)
class Arrow:
    """From who needs to what is needed. `kind` is needs, wants or collects; only `needs` is hard."""

    source: str
    target: str
    kind: str

    @property
    def hard(self) -> bool:
        return self.kind == "needs"


@attrs.frozen(kw_only=True)
class GraphView:
    """Boxes and arrows, in start order as far as there is one."""

    host: str
    items: tuple[Item, ...]
    arrows: tuple[Arrow, ...]

    def plugins(self) -> dict[str, list[Item]]:
        """The boxes by plugin; missing services stand under ""."""
        found: dict[str, list[Item]] = {}
        for item in self.items:
            found.setdefault(item.plugin, []).append(item)
        return found

    def as_dict(self) -> dict[str, Any]:
        return {
            "host": self.host,
            "items": [attrs.asdict(item) for item in self.items],
            "arrows": [{**attrs.asdict(arrow), "hard": arrow.hard} for arrow in self.arrows],
        }


def view(kernel: ObjectKernel, host: str) -> GraphView:
    """The composition of `kernel` as it is drawn."""
    graph = kernel.graph
    infos = {info.name: info for info in kernel.plugins()}
    items: dict[str, Item] = {}
    arrows: dict[tuple[str, str], Arrow] = {}
    for node in _shown(graph):
        state = infos[node.plugin].state if node.plugin in infos else "host"
        items[node.id] = Item(
            id=node.id,
            name=node.id.removeprefix("plugin "),
            kind="service" if node.kind == "given" else node.kind,
            plugin="the host" if node.plugin == HOST else node.plugin,
            state=state,
            where=node.where,
        )
    for node in _shown(graph):
        for edge in node.edges:
            targets = [t.id for t in graph.targets(edge)]
            if not targets and edge.hard and edge.key.scope is None:
                targets = [_missing(str(edge.key), edge.where, items)]
            for target in targets:
                if target in items and (node.id, target) not in arrows and target != node.id:
                    arrows[node.id, target] = Arrow(source=node.id, target=target, kind=edge.kind)
    for item in [*_passed_over(graph), *_left_out(infos, graph)]:
        items[item.id] = item
    return GraphView(host=host, items=tuple(items.values()), arrows=tuple(arrows.values()))


def _shown(graph: Graph) -> list[Node]:
    """Every node, but a plugin as a whole only where it needs something that no part of it needs."""
    nodes = graph.nodes or [
        *(n for n in graph.services.values() if n.plugin == HOST),
        *(n for mine in graph.plugins.values() for n in mine),
    ]  # no order while there is a cycle
    return [n for n in nodes if n.kind != "plugin" or _says_more(n, graph)]


def _says_more(whole: Node, graph: Graph) -> bool:
    parts = [n for n in graph.plugins[whole.plugin] if n is not whole]
    return not parts or not {e.key for e in whole.edges} <= {e.key for n in parts for e in n.edges}


def _missing(name: str, where: str, items: dict[str, Item]) -> str:
    id = f"missing {name}"
    items.setdefault(id, Item(id=id, name=name, kind=MISSING, plugin="", state=MISSING, where=where))
    return id


def _passed_over(graph: Graph) -> list[Item]:
    found = []
    for service, plugin in graph.passed_over:
        step = next(s for s in graph.declarations[plugin].provided if str(s.key) == service)
        id = f"{service} of {plugin}"
        found.append(Item(id=id, name=service, kind="service", plugin=plugin, state=PASSED_OVER, where=step.where))
    return found


def _left_out(infos: dict[str, PluginInfo], graph: Graph) -> list[Item]:
    """Plugins that take no part, each one box."""
    return [
        Item(id=f"plugin {n}", name=n, kind="plugin", plugin=n, state=info.state, where=info.where)
        for n, info in infos.items()
        if n not in graph.plugins
    ]
