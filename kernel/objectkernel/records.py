"""What a kernel keeps of each plugin: its declaration, instance, state and the reason for it."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

import attrs

from objectkernel.errors import PluginDuplicate, ServiceUnavailable, ServiceUndeclared
from objectkernel.host import current_host
from objectkernel.plugin import BINDING, Edge

if TYPE_CHECKING:
    from objectkernel.context import PluginContext
    from objectkernel.declaration import Declaration
    from objectkernel.graph import Node
    from objectkernel.kernel import ObjectKernel
    from objectkernel.lifecycle import Lifecycle

STATES: Final = (
    "discovered",
    "blocked",
    "failed",
    "skipped",
    "starting",
    "running",
    "degraded",
    "draining",
    "waiting",
    "disabled",
    "stopped",
)


@attrs.frozen(kw_only=True)
class PluginInfo:
    """A plugin as `kernel.plugins()` tells it.

    Attributes:
        state: one of `STATES`.
        reason: why it is in that state, "" where that is plain.
        because: the plugin or service behind the reason, "" without one.
        source: ``entry point``, ``host`` (given by hand), or both where the host's took the other's place.
    """

    name: str
    state: str
    version: str
    distribution: str
    reason: str
    because: str
    source: str
    where: str
    critical: bool
    provides: tuple[str, ...]
    error: Exception | None = attrs.field(repr=False)


class Record:
    """The run-time state of one plugin; also the `__binding__` through which its instance reads services."""

    __slots__ = (
        "_context",
        "_kernel",
        "_lifecycle",
        "because",
        "config_seconds",
        "critical",
        "declaration",
        "distribution",
        "error",
        "import_seconds",
        "injected",
        "instance",
        "name",
        "narrowed",
        "node",
        "reason",
        "reference",
        "source",
        "state",
        "subscriptions",
        "transients",
        "version",
        "where",
    )

    def __init__(self, name: str, *, source: str, where: str = "", distribution: str = "", version: str = "") -> None:
        self.name = name
        self.source = source
        self.where = where
        self.distribution = distribution
        self.version = version
        self.declaration: Declaration | None = None
        self.instance: Any = None
        self.state = "discovered"
        self.reason = ""
        self.because = ""
        self.error: Any = None
        self.critical = True
        self.injected = False
        self.narrowed = False
        self.node: Node | None = None
        self.transients: dict[Edge[Any], tuple[Any]] = {}
        self.reference = ""
        self.subscriptions: list[Any] = []
        self._context: PluginContext | None = None
        self._kernel: ObjectKernel | None = None
        self._lifecycle: Lifecycle | None = None
        self.import_seconds = 0.0
        self.config_seconds = 0.0

    def __repr__(self) -> str:
        return f"<plugin {self.name} {self.state}>"

    @property
    def log(self) -> logging.Logger:
        return logging.getLogger(f"objectkernel.plugin.{self.name}")

    def become(self, state: str, reason: str = "", because: str = "") -> None:
        self.state, self.reason, self.because = state, reason, because

    def info(self) -> PluginInfo:
        return PluginInfo(
            name=self.name,
            state=self.state,
            version=self.version,
            distribution=self.distribution,
            reason=self.reason,
            because=self.because,
            source=self.source,
            where=self.where,
            critical=self.critical,
            provides=tuple(str(s.key) for s in self.declaration.provided) if self.declaration else (),
            error=self.error,
        )

    # -- what the instance reads

    def bind(self, instance: Any, kernel: ObjectKernel, lifecycle: Lifecycle) -> None:
        """Let `instance` read its needs through this record."""
        assert self.declaration is not None
        self.instance = instance
        self._kernel = kernel
        self._lifecycle = lifecycle
        self.narrowed = any(s.narrowed for s in self.declaration.steps)
        other = instance.__dict__.get(BINDING)
        if other is not None:
            raise PluginDuplicate(
                f"this instance of {type(instance).__qualname__} already belongs to a running kernel",
                where=self.where,
                why="an instance serves one kernel at a time",
                fix=f"give each kernel the class, or a {type(instance).__qualname__}() of its own",
                name=self.name,
            )
        instance.__dict__[BINDING] = self

    @property
    def context(self) -> PluginContext:
        """The kernel as this plugin may see it."""
        if self._context is None:
            from objectkernel.context import PluginContext

            assert self._kernel is not None
            self._context = PluginContext(self._kernel, self)
        return self._context

    def _value_of(self, edge: Edge[Any]) -> Any:
        return self._lifecycle.value(self, edge) if self._lifecycle is not None else NO_VALUE

    def inject(self, edges: Collection[Edge[Any]] | None = None) -> None:
        """Put the values of `edges`, by default of all, into the instance: reading one is an attribute read then."""
        if self.injected or self.instance is None or self.declaration is None:
            return
        values = self.instance.__dict__
        every = self.declaration.edges.values()
        for edge in every if edges is None else edges:
            if not edge.late and edge.key.scope is None:
                value = self._value_of(edge)
                if value is not NO_VALUE:
                    values[edge.name] = value
        self.injected = edges is None or len(edges) == len(every)

    def forget(self) -> None:
        """The plugin stops: its next start reads every value anew. Its teardown still has the ones it used."""
        self.injected = False
        if self.narrowed and self.instance is not None and self.declaration is not None:
            for name in self.declaration.edges:  # its providers may stay up, and read through this record again
                self.instance.__dict__.pop(name, None)

    def withdraw(self, attribute: str) -> None:
        """Take one value back; the next start puts it in again."""
        if self.instance is not None:
            self.instance.__dict__.pop(attribute, None)
        self.injected = False
        self.transients.clear()

    def read(self, edge: Edge[Any]) -> Any:
        """The value of an attribute that is not injected: late, narrowed, or not there."""
        assert self.declaration is not None
        host = current_host.get()
        if host is not None and host.node.plugin == self.name and host.node.step is not None:
            step = host.node.step
            if (
                edge not in step.edges
                and not edge.late
                and step.kind != "hook"
                and (host.open is not None or host.node.value is None)
            ):
                names = ", ".join(repr(e.name) for e in (*step.edges, edge))
                raise ServiceUndeclared(
                    f"{self.name}.{step.name} reads self.{edge.name}, which is not among what it uses",
                    where=step.where,
                    why="whether it is up at this moment would be luck",
                    fix=f"write uses=({names},)",
                    name=str(edge.key),
                )
        value = self._value_of(edge)
        if value is not NO_VALUE:
            return value
        raise ServiceUnavailable(
            f"self.{edge.name} ({str(edge.key)!r}) of {self.name} is not up",
            where=edge.where,
            why=f"the plugin is {self.state}" + (f": {self.reason}" if self.reason else "")
            if edge.key.scope is None
            else f"it lives in the scope {edge.key.scope!r}: only scoped and transient providers can read it",
            fix="read it between start and stop of what needs it",
            name=str(edge.key),
        )


NO_VALUE: Final = object()
"""What `Lifecycle.value` answers where a service is not up."""
