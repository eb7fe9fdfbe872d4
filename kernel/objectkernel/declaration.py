"""A plugin class or `PluginDef`, compiled into one value that says all the kernel will ever ask of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import attrs

from objectkernel.errors import DeclarationInvalid, KernelError, PluginNameInvalid, nearest
from objectkernel.keys import NAME, Key
from objectkernel.plugin import MARK, Configured, Edge, Mark, Plugin, PluginDef, code_place
from objectkernel.versions import clauses

Form = Literal["value", "async", "generator", "async_generator"]

HOOK_MARK: Final = "objectkernel_impl"  # what pluggy.HookimplMarker("objectkernel") sets
LIFETIMES: Final = ("singleton", "lazy", "transient", "scoped")
CRASH_POLICIES: Final = ("fail", "degrade", "restart")
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


@attrs.frozen(kw_only=True, eq=False)
class Declaration:
    """What one plugin needs, wants, collects, provides and runs.

    Attributes:
        target: the class or the `PluginDef` it was compiled from.
        edges: attribute name → edge.
        hooks: hook name → function, as marked with ``@hookimpl``.
        provided: the steps that provide a service.
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
            "all_edges": edges,
            "services": frozenset(str(k) for k in keys if k.kind == "service"),
            "extensions": frozenset(str(k) for k in keys if k.kind == "extension"),
            "scoped": any(e.key.scope is not None for e in edges) or any(s.lifetime == "scoped" for s in steps),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)


def form_of(function: Any) -> Form:
    """How a function gives its object: returned, awaited, yielded or yielded asynchronously."""
    code = getattr(function, "__code__", None)
    while code is None and hasattr(function, "func"):  # functools.partial
        function = function.func
        code = getattr(function, "__code__", None)
    flags = getattr(code, "co_flags", 0)
    if flags & 0x200:
        return "async_generator"
    if flags & 0x80:
        return "async"
    return "generator" if flags & 0x20 else "value"


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
    for klass in reversed(cls.__mro__[:-1]):
        for name, value in klass.__dict__.items():
            for found in (edges, configs, marked, hooks, unbound):
                found.pop(name, None)
            if isinstance(value, Edge):
                edges[name] = value
            elif isinstance(value, Configured):
                configs[name] = value
            else:
                mark = getattr(value, MARK, None)
                if isinstance(value, staticmethod | classmethod):
                    if any(hasattr(f, m) for f in (value, value.__func__) for m in (MARK, HOOK_MARK)):
                        unbound[name] = value
                elif type(mark) is Mark:
                    marked[name] = (value, mark)
                elif isinstance(getattr(value, HOOK_MARK, None), dict):
                    hooks[name] = value
    where = _class_place(cls, edges, marked)
    problems = _name_problems(cls.name, f"class {cls.__qualname__}", where)
    problems += _attribute_problems(cls, configs, unbound, where)
    steps = tuple(
        _step(cls.name, name, function, mark, _edges_used(mark, edges), False, problems, edges)
        for name, (function, mark) in marked.items()
    )
    return Declaration(
        name=cls.name,
        target=cls,
        where=where,
        version=cls.version,
        requires_kernel=_readable(cls.requires_kernel),
        edges=edges,
        config=next(iter(configs.values()), None),
        steps=steps,
        hooks=hooks,
        hookspecs=cls.hookspecs,
        start_timeout=cls.start_timeout,
        stop_timeout=cls.stop_timeout,
        problems=tuple(problems),
    )


def _from_functions(plugin: PluginDef) -> Declaration:
    problems = _name_problems(plugin.name, repr(plugin), plugin.where)
    problems += _specifier_problems(plugin.name, plugin.requires_kernel, plugin.where)
    steps = []
    for function in plugin.functions:
        mark: Mark = getattr(function, MARK)
        edges = tuple((mark.needs or {}).values())
        steps.append(_step(plugin.name, function.__name__, function, mark, edges, True, problems, {}))
    return Declaration(
        name=plugin.name,
        target=plugin,
        where=plugin.where,
        version=plugin.version,
        requires_kernel=_readable(plugin.requires_kernel),
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
    for problem, why, fix in (*_form_problems(mark, form, declared), *_call_problems(function, mark, taken)):
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


def _form_problems(mark: Mark, form: Form, declared: Mapping[str, Edge[Any]]) -> list[tuple[str, str, str]]:
    """(what, why, fix) of everything about one function that cannot be meant."""
    found: list[tuple[str, str, str]] = []
    if mark.lifetime not in LIFETIMES:
        found.append(_unknown_word("lifetime", mark.lifetime, LIFETIMES))
    if mark.lifetime == "transient" and form in ("generator", "async_generator"):
        found.append(
            (
                "a transient provider yields",
                "nobody tears down what is made anew for everyone who asks",
                'return the object, or use lifetime="scoped"',
            )
        )
    if mark.kind == "lifespan" and form not in ("generator", "async_generator"):
        found.append(
            (
                "a lifespan does not yield",
                "what stands before the yield is start, after it stop",
                "add a yield",
            )
        )
    if mark.kind == "contributes" and form != "value":
        found.append(
            (
                "a contribution is not a plain function",
                "an item of an extension is returned; it has no start and stop of its own",
                "return the item, and start things in a provider or a lifespan",
            )
        )
    if mark.kind == "background" and form != "async":
        found.append(("a background task is not an async def", "it runs beside the application", "write async def"))
    if mark.on_crash not in CRASH_POLICIES:
        found.append(_unknown_word("crash policy", mark.on_crash, CRASH_POLICIES))
    if mark.kind == "on" and form in ("generator", "async_generator"):
        found.append(("a handler yields", "it is called or awaited once for each event", "remove the yield"))
    for name in mark.uses or ():
        if name not in declared:
            close = nearest(name, declared)
            found.append(
                (
                    f"uses={name!r} is no attribute declared with needs, wants or collects",
                    f"declared are {', '.join(declared) or 'none'}",
                    f"did you mean {close[0]!r}?" if close else f"declare it: {name} = needs(KEY)",
                )
            )
    return found


def _unknown_word(what: str, word: str, known: tuple[str, ...]) -> tuple[str, str, str]:
    close = nearest(word, known)
    fix = f"write {close[0]!r}" if close else "write one of them"
    return f"unknown {what} {word!r}", f"there are {', '.join(known)}", fix


def _call_problems(function: Any, mark: Mark, keywords: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """(what, why, fix) where a function cannot be called with what the kernel gives it."""
    positional = (mark.needs is None) + (mark.kind == "on")
    code = getattr(function, "__code__", None)
    if code is not None and code.co_argcount == positional and not keywords and not code.co_kwonlyargcount:
        return []
    from inspect import signature

    try:
        signature(function).bind(*range(positional), **dict.fromkeys(keywords))
    except TypeError as error:
        given = [
            *(["self"] if mark.needs is None else []),
            *(["the event"] if mark.kind == "on" else []),
            *keywords,
        ]
        why = f"it is called with {', '.join(given) or 'nothing'}: {error}"
        return [("it cannot be called", why, "take these arguments, or give the others a default")]
    except ValueError:  # a callable that tells no signature
        pass
    return []


def _attribute_problems(
    cls: type[Plugin], configs: Mapping[str, Any], unbound: Mapping[str, Any], where: str
) -> list[KernelError]:
    """What cannot be meant about the class apart from its name and its functions."""
    found = _specifier_problems(cls.name, cls.requires_kernel, where)
    for option in ("start_timeout", "stop_timeout"):
        seconds: Any = getattr(cls, option)
        if seconds is not None and (
            isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0
        ):
            found.append(
                DeclarationInvalid(
                    f"{cls.name}: {option} is {seconds!r}",
                    where=where,
                    why="it is a number of seconds above 0, or None for the host's",
                    fix=f"write {option} = 30",
                )
            )
    if len(configs) > 1:
        found.append(
            DeclarationInvalid(
                f"{cls.name} is configured twice: {' and '.join(configs)}",
                where=list(configs.values())[1].where,
                why="a plugin has one section, and one class that describes it",
                fix="put all settings into one class",
            )
        )
    for name, value in unbound.items():
        found.append(
            DeclarationInvalid(
                f"{cls.name}.{name} is a {type(value).__name__}",
                where=code_place(value.__func__) or where,
                why="the kernel calls it with the plugin's instance",
                fix=f"write def {name}(self, ...) without the decorator",
            )
        )
    return found


def _readable(requires_kernel: Any) -> str:
    """The specifier, "" for one that `_specifier_problems` reports."""
    return "" if _specifier_problems("", requires_kernel, "") else requires_kernel


def _specifier_problems(plugin: str, requires_kernel: Any, where: str) -> list[KernelError]:
    if requires_kernel == "":
        return []
    try:
        clauses(requires_kernel, where)
    except DeclarationInvalid as error:
        return [
            DeclarationInvalid(
                f"{plugin}: requires_kernel is {requires_kernel!r}, which is no version specifier",
                where=where,
                why=error.why,
                fix='write requires_kernel = ">=1,<2"',
            )
        ]
    return []


def _name_problems(name: Any, who: str, where: str) -> list[KernelError]:
    if isinstance(name, str) and NAME.match(name):
        return []
    return [
        PluginNameInvalid(
            f"{who} has no name" if not name else f"{who} has the name {name!r}",
            where=where,
            why="a name is lower case letters and digits, parts joined by '.', '-' or '_'",
            fix='write name = "vendor-plugin"',
            name=name,
        )
    ]


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
