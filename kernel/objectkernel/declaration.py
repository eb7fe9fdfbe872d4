"""A plugin class or `PluginDef`, compiled into one value that says all the kernel will ever ask of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from objectkernel.checks import (
    Form,
    attribute_problems,
    call_problems,
    form_problems,
    name_problems,
    readable,
    specifier_problems,
)
from objectkernel.errors import DeclarationInvalid, KernelError
from objectkernel.keys import Key
from objectkernel.plugin import MARK, Configured, Edge, Mark, Plugin, PluginDef, code_place

HOOK_MARK: Final = "objectkernel_impl"  # what pluggy.HookimplMarker("objectkernel") sets
_CACHE: Final = "__declaration__"


@attrs.frozen(kw_only=True, eq=False)
class Step:
    """One function of a plugin: a provider, a contribution, a lifespan, a background task or a handler."""

    plugin: str
    kind: str
    name: str
    function: Callable[..., Any]
    form: Form
    where: str
    edges: tuple[Edge[Any], ...]
    by_keyword: bool
    narrowed: bool
    key: Key[Any] | None
    target: str
    lifetime: str
    on_crash: str
    event: type | None

    @classmethod
    def of_code(cls, plugin: str, name: str, function: Callable[..., Any], where: str) -> Step:
        """A step for code of a plugin that no decorator declares, so that it runs and fails as one."""
        return cls(
            plugin=plugin,
            kind="hook",
            name=name,
            function=function,
            form=form_of(function),
            where=where,
            edges=(),
            by_keyword=False,
            narrowed=False,
            key=None,
            target="",
            lifetime="singleton",
            on_crash="fail",
            event=None,
        )


@attrs.frozen(kw_only=True, eq=False)
class Declaration:
    """What one plugin needs, wants, collects, provides and runs.

    Attributes:
        target: the class or the `PluginDef` it was compiled from.
        edges: attribute name → edge.
        hooks: hook name → function, as marked with ``@hookimpl``.
        provided, handlers: the steps that provide a service, that handle an event.
        all_edges: the edges of the class and of every step.
        services, extensions: the names that it uses as the one and as the other.
        scoped: whether it provides or reads what lives in a scope.
        problems: what is wrong with it; a kernel refuses to boot a declaration that has any.
    """

    name: str
    target: type[Plugin] | PluginDef
    where: str
    version: str
    requires_kernel: str
    edges: Mapping[str, Edge[Any]]
    config: Configured[Any] | None
    steps: tuple[Step, ...]
    hooks: Mapping[str, Callable[..., Any]]
    hookspecs: Any
    start_timeout: float | None
    stop_timeout: float | None
    problems: tuple[KernelError, ...]
    provided: tuple[Step, ...] = attrs.field(init=False)
    handlers: tuple[Step, ...] = attrs.field(init=False)
    all_edges: tuple[Edge[Any], ...] = attrs.field(init=False)
    services: frozenset[str] = attrs.field(init=False)
    extensions: frozenset[str] = attrs.field(init=False)
    scoped: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Derive what every composition asks: it is computed once, and the declaration is kept on the class."""
        steps = self.steps
        edges = tuple(dict.fromkeys((*self.edges.values(), *(e for s in steps for e in s.edges))))
        keys = [s.key for s in steps if s.key is not None] + [e.key for e in edges]
        derived = {
            "provided": tuple(s for s in steps if s.kind == "provides"),
            "handlers": tuple(s for s in steps if s.kind == "on"),
            "all_edges": edges,
            "services": frozenset(str(k) for k in keys if k.kind == "service"),
            "extensions": frozenset(str(k) for k in keys if k.kind == "extension"),
            "scoped": any(e.key.scope is not None for e in edges) or any(s.lifetime == "scoped" for s in steps),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)


def form_of(function: Any) -> Form:
    """How a function gives its object: returned, awaited, yielded or yielded asynchronously.

    A plain wrapper (``functools.wraps``, ``functools.partial``) gives what the function that it wraps gives.
    """
    while True:
        flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
        if flags & 0x200:
            return "async_generator"
        if flags & 0x80:
            return "async"
        if flags & 0x20:
            return "generator"
        inner = getattr(function, "__wrapped__", None) or getattr(function, "func", None)
        if inner is None:
            return "value"
        function = inner


def innermost(function: Any) -> Any:
    """The function under all wrappers, which has the names of the arguments."""
    while True:
        inner = getattr(function, "__wrapped__", None) or getattr(function, "func", None)
        if inner is None:
            return function
        function = inner


def declare(target: type[Plugin] | PluginDef) -> Declaration:
    """Compile a plugin; the result is kept on the class, so that a second kernel pays nothing."""
    if isinstance(target, PluginDef):
        return _from_functions(target)
    kept = target.__dict__.get(_CACHE)
    if kept is None:
        kept = _from_class(target)
        setattr(target, _CACHE, kept)
    return kept


def _from_class(cls: type[Plugin]) -> Declaration:
    edges: dict[str, Edge[Any]] = {}
    configs: dict[str, Configured[Any]] = {}
    marked: dict[str, tuple[Any, Mark]] = {}
    hooks: dict[str, Any] = {}
    unbound: dict[str, Any] = {}
    for name, value in _attributes(cls).items():
        if isinstance(value, Edge):
            edges[name] = value
        elif isinstance(value, Configured):
            configs[name] = value
        elif isinstance(value, staticmethod | classmethod):
            if any(hasattr(f, m) for f in (value, value.__func__) for m in (MARK, HOOK_MARK)):
                unbound[name] = value
        else:
            mark = getattr(value, MARK, None)
            if type(mark) is Mark:
                marked[name] = (value, mark)
            elif isinstance(getattr(value, HOOK_MARK, None), dict):
                hooks[name] = value
    where = _class_place(cls, edges, marked)
    problems = name_problems(cls.name, f"class {cls.__qualname__}", where)
    problems += attribute_problems(cls, configs, unbound, where)
    steps = tuple(
        _step(cls.name, name, function, mark, _edges_used(mark, edges), False, problems, edges)
        for name, (function, mark) in marked.items()
    )
    return Declaration(
        name=cls.name,
        target=cls,
        where=where,
        version=cls.version,
        requires_kernel=readable(cls.requires_kernel),
        edges=edges,
        config=next(iter(configs.values()), None),
        steps=steps,
        hooks=hooks,
        hookspecs=cls.hookspecs,
        start_timeout=cls.start_timeout,
        stop_timeout=cls.stop_timeout,
        problems=tuple(problems),
    )


def _attributes(cls: type) -> dict[str, Any]:
    """All attributes of a class in the order of their definition, the inherited ones first."""
    found: dict[str, Any] = {}
    for klass in reversed(cls.__mro__[:-1]):
        for name, value in klass.__dict__.items():
            found.pop(name, None)
            found[name] = value
    return found


def _from_functions(plugin: PluginDef) -> Declaration:
    problems = name_problems(plugin.name, repr(plugin), plugin.where)
    problems += specifier_problems(plugin.name, plugin.requires_kernel, plugin.where)
    steps = []
    for function in plugin.functions:
        mark: Mark = getattr(function, MARK)
        edges = tuple((mark.needs or {}).values())
        steps.append(_step(plugin.name, innermost(function).__name__, function, mark, edges, True, problems, {}))
    return Declaration(
        name=plugin.name,
        target=plugin,
        where=plugin.where,
        version=plugin.version,
        requires_kernel=readable(plugin.requires_kernel),
        edges={},
        config=None,
        steps=tuple(steps),
        hooks={},
        hookspecs=None,
        start_timeout=None,
        stop_timeout=None,
        problems=tuple(problems),
    )


def _edges_used(mark: Mark, edges: Mapping[str, Edge[Any]]) -> tuple[Edge[Any], ...]:
    """The edges of a step: those it names in ``uses``, else all; a contribution collects nothing by default."""
    if mark.uses is not None:
        return tuple(edges[name] for name in mark.uses if name in edges)
    if mark.kind == "contributes":
        return tuple(e for e in edges.values() if e.kind != "collects")
    return tuple(edges.values())


def _step(
    plugin: str,
    name: str,
    function: Any,
    mark: Mark,
    edges: tuple[Edge[Any], ...],
    by_keyword: bool,
    problems: list[KernelError],
    declared: Mapping[str, Edge[Any]],
) -> Step:
    form = form_of(function)
    where = code_place(function) or mark.where
    taken = tuple(e.name for e in edges) if by_keyword else ()
    for problem, why, fix in (*form_problems(mark, form, declared), *call_problems(function, mark, taken)):
        problems.append(DeclarationInvalid(f"{plugin}.{name}: {problem}", where=where, why=why, fix=fix))
    return Step(
        plugin=plugin,
        kind=mark.kind,
        name=name,
        function=function,
        form=form,
        where=where,
        edges=edges,
        by_keyword=by_keyword,
        narrowed=mark.uses is not None,
        key=mark.key,
        target=str(mark.key),
        lifetime=mark.lifetime,
        on_crash=mark.on_crash,
        event=mark.event,
    )


def _class_place(cls: type, edges: Mapping[str, Edge[Any]], marked: Mapping[str, tuple[Any, Mark]]) -> str:
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None) or "<" + cls.__module__ + ">"
    line = cls.__dict__.get("__firstlineno__")  # Python 3.13
    if line is not None:
        return f"{file}:{line}"
    for value in cls.__dict__.values():
        if isinstance(value, Edge):
            return value.where
        if code_place(value):
            return code_place(value)
    return file
