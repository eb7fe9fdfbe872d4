"""From what the host gives and what is installed to a checked composition, before any plugin code has run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from objectkernel import __version__ as KERNEL_VERSION
from objectkernel.declaration import declare
from objectkernel.errors import (
    EntryPointInvalid,
    KernelError,
    KernelVersionMismatch,
    KeyInvalid,
    PluginDuplicate,
    PluginNameInvalid,
    PluginUnknown,
    nearest,
)
from objectkernel.graph import Graph
from objectkernel.keys import Key
from objectkernel.options import KernelOptions
from objectkernel.plugin import BINDING, Plugin, PluginDef
from objectkernel.records import Record
from objectkernel.versions import admits

if TYPE_CHECKING:
    import pluggy

    from objectkernel.config import Configuration
    from objectkernel.discovery import EntryPoint
    from objectkernel.document import Document


class Composition:
    """What a kernel would boot, and everything that is wrong with it.

    Attributes:
        records: plugin name → record, also of those that are blocked or failed.
        graph: the nodes of the plugins that take part.
        configuration: the settings of all plugins with their sources, or None where no plugin has any.
        problems: what keeps the kernel from booting.
        tolerated: problems of optional plugins, which leaves them out.
    """

    def __init__(
        self,
        targets: Iterable[Any],
        given: Mapping[Key[Any], Any],
        options: KernelOptions,
        document: Document | None,
        environ: Mapping[str, str],
        settings: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.options = options
        self.given = given
        self.records: dict[str, Record] = {}
        self.problems: list[KernelError] = [*options.problems]
        self.tolerated: list[KernelError] = []
        self.configuration: Configuration | None = None
        self._would_provide: dict[str, list[str]] = {}
        self._targets: dict[str, Any] = {}
        self._take(targets)
        if options.discover:
            self._discover()
        self._declare()
        self._check_options()
        self._configure(document, environ, settings)
        self.hooks: pluggy.PluginManager | None = None
        self._check_hooks()
        self.graph = self._settle()
        for record in self.records.values():
            if record.error is not None and record.state == "discovered":
                record.become("failed", record.error.what)

    # -- plugins

    def _take(self, targets: Iterable[Any]) -> None:
        """What the host gives by hand: instances, classes, PluginDefs."""
        seen: dict[Any, str] = {}
        for target in targets:
            kind = target if isinstance(target, PluginDef | type) else type(target)
            if not (
                isinstance(target, PluginDef | Plugin) or (isinstance(target, type) and issubclass(target, Plugin))
            ):
                self._fatal(
                    EntryPointInvalid(
                        f"{target!r} is no plugin",
                        why=f"it is of type {type(target).__name__}",
                        fix="give a subclass of objectkernel.Plugin, an instance of one, or a PluginDef",
                    )
                )
                continue
            name = target.name
            problem = _unnamed(target, kind)
            if problem is not None:
                self._fatal(problem)
                continue
            if kind in seen or name in self._targets:
                other = self._targets.get(name)
                self._fatal(
                    PluginDuplicate(
                        f"plugin {name!r} is composed twice",
                        where=declare(kind).where,
                        why=f"{_spelled(target)} and {_spelled(other)} have one name"
                        if kind not in seen
                        else f"{getattr(kind, '__qualname__', kind)} is given more than once",
                        fix="give one of them; a subclass with another name is another plugin",
                        name=name,
                    )
                )
                continue
            if isinstance(target, Plugin) and target.__dict__.get(BINDING) is not None:
                self._fatal(
                    PluginDuplicate(
                        f"this instance of {type(target).__qualname__} already belongs to a kernel",
                        why="an instance serves one kernel",
                        fix=f"give the class, or a new {type(target).__qualname__}()",
                        name=name,
                    )
                )
                continue
            seen[kind] = name
            self._targets[name] = target
            self.records[name] = Record(name, source="host", version=target.version)

    def _discover(self) -> None:
        from objectkernel.discovery import conflict, discover

        discovery = discover()
        self._would_provide = {service: list(refs) for service, refs in discovery.provides.items()}
        offered: dict[str, list[EntryPoint]] = {}
        for found in discovery.entry_points:
            offered.setdefault(found.name, []).append(found)
        for name, entries in sorted(offered.items()):
            given = self.records.get(name)
            if given is not None:
                given.source = f"host, in place of {entries[0].distribution}"
                continue
            picked = [e for e in entries if e.distribution == self.options.distributions.get(name)]
            entry = picked[0] if len(picked) == 1 else entries[0]
            record = self.records[name] = Record(
                name,
                source="entry point",
                where=entry.where,
                distribution=entry.distribution,
                version=entry.version,
            )
            record.reference = entry.reference
            blocked = self._blocked(name)
            if blocked:
                record.become("blocked", blocked)
            elif len(entries) > 1 and len(picked) != 1:
                problem = conflict(name, entries)
                record.become("failed", problem.what)
                self._fatal(problem)
            else:
                self._load(record, entry)

    def _blocked(self, name: str) -> str:
        """Why a discovered plugin is not taken, "" if it is."""
        options = self.options
        if name in options.without:
            return "left out by `without`"
        if options.only is not None and name not in options.only:
            return "not among `only`"
        if options.safe_mode and options.only is None:
            return "safe mode takes nothing from entry points but `only`"
        return ""

    def _load(self, record: Record, entry: EntryPoint) -> None:
        from objectkernel.discovery import load

        began = perf_counter()
        try:
            target = load(entry)
            self._check_loaded(target, entry)
        except KernelError as error:
            self._fail(record, error)
        else:
            self._targets[record.name] = target
        finally:
            record.import_seconds = perf_counter() - began

    @staticmethod
    def _check_loaded(target: Any, entry: EntryPoint) -> None:
        if not (isinstance(target, PluginDef | Plugin) or (isinstance(target, type) and issubclass(target, Plugin))):
            raise EntryPointInvalid(
                f"entry point {entry.name!r} leads to {target!r}, which is no plugin",
                where=entry.where,
                why=f"{entry.reference} is of type {type(target).__name__}",
                fix="let it name a subclass of objectkernel.Plugin or a PluginDef",
                name=entry.name,
            )
        if target.name != entry.name:
            raise EntryPointInvalid(
                f"entry point {entry.name!r} leads to a plugin of the name {target.name!r}",
                where=entry.where,
                why="messages and configuration go by the entry point's name before the plugin is imported",
                fix=f"call both {target.name!r}, and reinstall {entry.distribution}",
                name=entry.name,
            )

    # -- declarations

    def _declare(self) -> None:
        for name, target in self._targets.items():
            record = self.records[name]
            kind = type(target) if isinstance(target, Plugin) else target
            declaration = record.declaration = declare(kind)
            record.where = declaration.where
            record.version = declaration.version or record.version
            problems = list(declaration.problems)
            wanted = declaration.requires_kernel
            if wanted and not admits(wanted, KERNEL_VERSION):
                problems.append(
                    KernelVersionMismatch(
                        f"{name} needs a kernel {wanted}",
                        where=declaration.where,
                        why=f"this is objectkernel {KERNEL_VERSION}",
                        fix=f"install a version of {name} for this kernel, or another kernel",
                        name=name,
                    )
                )
            for problem in problems:
                self._fail(record, problem)

    def _check_options(self) -> None:
        options = self.options
        known = list(self.records)
        named = [("optional", options.optional), ("only", options.only or ()), ("without", options.without)]
        named += [
            ("start_timeouts", tuple(options.start_timeouts)),
            ("stop_timeouts", tuple(options.stop_timeouts)),
        ]
        named += [("distributions", tuple(options.distributions))]
        for option, names in named:
            for name in names:
                if name not in self.records:
                    close = nearest(name, known)
                    self._fatal(
                        PluginUnknown(
                            f"the option {option!r} names {name!r}, which is not installed",
                            why=f"installed are {', '.join(known) or 'no plugins'}",
                            fix=f"did you mean {close[0]!r}?" if close else "install it, or take the name out",
                            name=name,
                            known=close,
                        )
                    )
        for record in self.records.values():
            record.critical = record.name not in options.optional

    def _configure(
        self, document: Document | None, environ: Mapping[str, str], settings: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Read and check the settings of all plugins that take part."""
        specs = {
            name: record.declaration.config.settings if record.declaration.config else None
            for name, record in self.records.items()
            if record.declaration is not None
        }
        if document is None and not settings and not any(specs.values()):
            return
        from objectkernel.config import resolve

        self.configuration = resolve(specs, document, environ, overrides=settings, installed=tuple(self.records))
        for name, seconds in self.configuration.seconds.items():
            self.records[name].config_seconds = seconds
        for problem in self.configuration.problems:
            owner = getattr(problem, "plugin", None)
            if owner in specs:
                self._fail(self.records[owner], problem)
            else:
                self._fatal(problem)

    # -- the graph, without what may be left out

    def _settle(self) -> Graph:
        """The graph of the plugins that can take part; an optional plugin with a problem is left out of it."""
        while True:
            self._skip_dependents()
            active = {n: r.declaration for n, r in self.records.items() if r.declaration and r.state == "discovered"}
            graph = Graph(active, self.given, self.options.providers, self._elsewhere)
            dropped = False
            fatal = []
            for problem in graph.problems:
                concerned = [self.records[name] for name in getattr(problem, "plugins", ())]
                if concerned and not any(r.critical for r in concerned):
                    dropped = True
                    for record in concerned:
                        self._fail(record, problem)
                else:
                    fatal.append(problem)
            if not dropped:
                self.problems += fatal
                return graph

    def _skip_dependents(self) -> None:
        """Skip every plugin with a hard need that only a failed or skipped plugin would meet."""
        out = [r for r in self.records.values() if r.state in ("failed", "skipped")]
        if not out:
            return
        offered = {str(key): 1 for key in self.given}
        needing: dict[str, list[Record]] = {}
        for record in self.records.values():
            if record.state == "discovered" and record.declaration is not None:
                for step in record.declaration.provided:
                    offered[step.target] = offered.get(step.target, 0) + 1
                for edge in record.declaration.all_edges:
                    if edge.hard:
                        needing.setdefault(edge.target, []).append(record)
        for lost in out:
            for service in self._offers(lost):
                if lost.state == "skipped" and offered.get(service):
                    offered[service] -= 1
                if offered.get(service):
                    continue
                for record in needing.get(service, ()):
                    if record.state == "discovered":
                        record.become("skipped", f"it needs {service!r} of {lost.name}", lost.name)
                        out.append(record)

    def _offers(self, record: Record) -> list[str]:
        """The services of a plugin, as its class or else its metadata tells them."""
        if record.declaration is not None:
            return [step.target for step in record.declaration.provided]
        return [service for service, refs in self._would_provide.items() if record.reference in refs]

    def _elsewhere(self, service: str) -> str:
        """Who would provide a missing service but takes no part, for the error's text."""
        for name, record in self.records.items():
            offers = [str(s.key) for s in record.declaration.provided] if record.declaration else []
            named = record.reference in self._would_provide.get(service, ()) if record.reference else False
            if (service in offers or named) and record.state != "discovered":
                return f"{name} would provide it, but is {record.state}: {record.reason}"
        return ""

    # -- hooks

    def _check_hooks(self) -> None:
        """Hold the hooks of all plugins against their specifications: a misspelt one is a problem."""
        there = [r.declaration for r in self.records.values() if r.declaration and r.state == "discovered"]
        with_hooks = [d for d in there if d.hooks or d.hookspecs is not None]
        if not with_hooks:
            return
        import pluggy

        from objectkernel import hookspecs
        from objectkernel.hook_checks import hook_problem, no_specs, spec_functions

        manager = self.hooks = pluggy.PluginManager("objectkernel")
        manager.add_hookspecs(hookspecs)
        specs = spec_functions(hookspecs)
        for declaration in with_hooks:
            if declaration.hookspecs is None:
                continue
            own = spec_functions(declaration.hookspecs)
            if own:
                manager.add_hookspecs(declaration.hookspecs)
                specs.update(own)
            else:
                self._fail(self.records[declaration.name], no_specs(declaration))
        for declaration in with_hooks:
            for name, function in declaration.hooks.items():
                problem = hook_problem(declaration, name, function, specs)
                if problem is not None:
                    self._fail(self.records[declaration.name], problem)

    # -- answers

    def target(self, name: str) -> Any:
        """The class, instance or `PluginDef` of a plugin that takes part."""
        return self._targets[name]

    # -- problems

    def _fatal(self, problem: KernelError) -> None:
        self.problems.append(problem)

    def _fail(self, record: Record, problem: KernelError) -> None:
        """A plugin cannot take part: the boot fails if it is critical, else it is left out."""
        record.critical = record.name not in self.options.optional
        record.error = record.error or problem
        if not record.critical or record.declaration is None:  # a critical one stays, so that all of its problems show
            record.become("failed", problem.what)
        if problem not in self.problems and problem not in self.tolerated:
            (self.problems if record.critical else self.tolerated).append(problem)


def _unnamed(target: Any, kind: Any) -> KernelError | None:
    """The error for a name that cannot even be listed: no string, or one that only an instance has."""
    if isinstance(target.name, str) and target.name == kind.name:
        return None
    if isinstance(kind, PluginDef) or target.name == kind.name:
        return declare(kind).problems[0]
    return PluginNameInvalid(
        f"an instance of {kind.__qualname__} has the name {target.name!r}",
        where=declare(kind).where,
        why=f"the name of a plugin is that of its class, {kind.name!r}",
        fix=f"write name = {target.name!r} in the class, or make a subclass with that name",
        name=target.name,
    )


def _spelled(target: Any) -> str:
    kind = type(target) if isinstance(target, Plugin) else target
    return getattr(kind, "__qualname__", repr(kind))


def checked_key(key: Any, spelling: str) -> None:
    """Raise KeyInvalid unless `key` is a service key."""
    from objectkernel.keys import Service
    from objectkernel.plugin import caller, expect_key

    expect_key(key, Service, spelling, caller(3))


def environment() -> Mapping[str, str]:
    """The process environment; one place, so that tests may give their own."""
    return os.environ


__all__ = ["KERNEL_VERSION", "Composition", "KeyInvalid", "checked_key", "environment"]
