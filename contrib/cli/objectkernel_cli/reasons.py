"""Why a plugin, service or extension is there, or is not: the facts behind ``objectkernel why``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from objectkernel.errors import KernelError, nearest
from objectkernel.graph import HOST, closure

from objectkernel_cli.errors import NameUnknown

if TYPE_CHECKING:
    from objectkernel.graph import Graph, Node
    from objectkernel.kernel import ObjectKernel
    from objectkernel.plugin import Edge
    from objectkernel.records import PluginInfo


@attrs.frozen(kw_only=True)
class Use:
    """One edge: `plugin` reads `name` as ``self.<attribute>``.

    `chain` leads from a plugin that nobody needs down to `plugin`, each needing the next.
    """

    plugin: str
    attribute: str
    kind: str
    name: str
    where: str
    chain: tuple[str, ...]


@attrs.frozen(kw_only=True)
class PluginReason:
    """Attributes:
    needs: what it reads.
    used_by: who reads what it provides.
    because: the plugins behind its state, each because of the next.
    lost: the plugins that would not start without it.
    """

    name: str
    state: str
    reason: str
    source: str
    distribution: str
    version: str
    where: str
    critical: bool
    provides: tuple[str, ...]
    needs: tuple[Use, ...]
    used_by: tuple[Use, ...]
    because: tuple[str, ...]
    lost: tuple[str, ...]
    problems: tuple[KernelError, ...]


@attrs.frozen(kw_only=True)
class ServiceReason:
    """Attributes:
    provider: the plugin, ``(host)``, or "" if the service is missing.
    passed_over: plugins that provide it too, and were put aside by a choice of the host.
    off: plugins that would provide it and take no part, with the reason.
    """

    name: str
    provider: str
    state: str
    lifetime: str
    where: str
    needs: tuple[Use, ...]
    used_by: tuple[Use, ...]
    passed_over: tuple[str, ...]
    off: tuple[str, ...]
    problems: tuple[KernelError, ...]


@attrs.frozen(kw_only=True)
class ExtensionReason:
    """Attributes:
    contributed_by: plugins, in plugin order.
    """

    name: str
    contributed_by: tuple[str, ...]
    used_by: tuple[Use, ...]


@attrs.frozen(kw_only=True)
class Reasons:
    """All that has the name; at least one of the three."""

    name: str
    plugin: PluginReason | None
    service: ServiceReason | None
    extension: ExtensionReason | None


def reasons(kernel: ObjectKernel, name: str) -> Reasons:
    """Why what is called `name` is there, or is not.

    Raises:
        NameUnknown: nothing is.
        ServiceMissing: nobody needs this service, and who would provide it takes no part.
    """
    seen = _Composed(kernel)
    found = Reasons(name=name, plugin=seen.plugin(name), service=seen.service(name), extension=seen.extension(name))
    if found.plugin or found.service or found.extension:
        return found
    missing = seen.graph.missing(name, "", "")
    if len(missing.why) > len(missing.facts["known"]):  # not only near names
        raise missing
    known = [*seen.infos, *seen.graph.services, *seen.graph.contributions]
    close = nearest(name, dict.fromkeys(known))
    raise NameUnknown(
        f"nothing is called {name!r}",
        why=f"there are the plugins {', '.join(seen.infos) or '(none)'} and the services "
        f"{', '.join(seen.graph.services) or '(none)'}",
        fix=f"did you mean {close[0]!r}?" if close else "see `objectkernel plugins` and `objectkernel graph`",
        name=name,
        known=close,
    )


class _Composed:
    """A composition, read for reasons."""

    def __init__(self, kernel: ObjectKernel) -> None:
        composition = kernel.compose()
        self.graph: Graph = kernel.graph
        self.infos: dict[str, PluginInfo] = {info.name: info for info in kernel.plugins()}
        self.problems = [*composition.problems, *composition.tolerated]
        self.edges: list[tuple[Node, Edge[Any]]] = [
            (node, edge) for nodes in self.graph.plugins.values() for node in nodes for edge in node.edges
        ]

    def plugin(self, name: str) -> PluginReason | None:
        info = self.infos.get(name)
        if info is None:
            return None
        nodes = self.graph.plugins.get(name, [])
        lost = {n.plugin for n in closure(nodes, soft=False)} - {name, HOST}
        told = [p for p in self.problems if name in _plugins_of(p)]
        if isinstance(info.error, KernelError) and info.error not in told:
            told.insert(0, info.error)
        return PluginReason(
            name=name,
            state=info.state,
            reason=info.reason,
            source=info.source,
            distribution=info.distribution,
            version=info.version,
            where=info.where,
            critical=info.critical,
            provides=info.provides,
            needs=self._uses(lambda node, edge: node.plugin == name),
            used_by=self._uses(lambda node, edge: node.plugin != name and str(edge.key) in info.provides),
            because=self._because(info),
            lost=tuple(sorted(lost)),
            problems=tuple(told),
        )

    def service(self, name: str) -> ServiceReason | None:
        node = self.graph.services.get(name)
        used_by = self._uses(lambda _, edge: str(edge.key) == name and edge.kind != "collects")
        off = tuple(
            f"{i.name} is {i.state}: {i.reason}"
            for i in self.infos.values()
            if name in i.provides and i.name not in self.graph.plugins
        )
        if node is None and not used_by and not off:
            return None
        provider = node.plugin if node is not None else ""
        return ServiceReason(
            name=name,
            provider=provider,
            state=self.infos[provider].state if provider in self.infos else "given" if node else "missing",
            lifetime=node.lifetime if node is not None else "",
            where=node.where if node is not None else "",
            needs=self._uses(lambda other, _: other is node),
            used_by=used_by,
            passed_over=tuple(plugin for service, plugin in self.graph.passed_over if service == name),
            off=off,
            problems=tuple(p for p in self.problems if p.facts.get("name") == name),
        )

    def extension(self, name: str) -> ExtensionReason | None:
        nodes = self.graph.contributions.get(name, [])
        used_by = self._uses(lambda _, edge: str(edge.key) == name and edge.kind == "collects")
        if not nodes and not used_by:
            return None
        return ExtensionReason(name=name, contributed_by=tuple(n.plugin for n in nodes), used_by=used_by)

    def _uses(self, fits: Any) -> tuple[Use, ...]:
        found = {}
        for node, edge in self.edges:
            if fits(node, edge):
                found[node.plugin, edge.name] = Use(
                    plugin=node.plugin,
                    attribute=edge.name,
                    kind=edge.kind,
                    name=str(edge.key),
                    where=edge.where,
                    chain=self._chain(node.plugin),
                )
        return tuple(found.values())

    def _chain(self, plugin: str) -> tuple[str, ...]:
        """From a plugin that nobody needs down to this one, each needing the next."""
        chain = [plugin]
        while True:
            users = {d.plugin for n in self.graph.plugins.get(chain[0], ()) for d in n.dependents}
            users -= {*chain, HOST}
            if not users:
                return tuple(chain)
            chain.insert(0, min(users))

    def _because(self, info: PluginInfo) -> tuple[str, ...]:
        path: list[str] = []
        while info.because in self.infos and info.because not in path:
            info = self.infos[info.because]
            path.append(info.name)
        return tuple(path)


def _plugins_of(problem: KernelError) -> tuple[str, ...]:
    facts = problem.facts
    return tuple(facts.get("plugins", ())) + ((facts["plugin"],) if "plugin" in facts else ())
