"""Hooks held against their specifications, before any of them runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from objectkernel.declaration import HOOK_MARK, Declaration, form_of, innermost
from objectkernel.errors import DeclarationInvalid, HookInvalid, HookUnknown, KernelError, nearest
from objectkernel.plugin import code_place


def spec_functions(module: Any) -> dict[str, Any]:
    names = getattr(module, "__dict__", {}).items()
    return {n: f for n, f in names if getattr(f, "objectkernel_spec", None) is not None}


def no_specs(declaration: Declaration) -> KernelError:
    return DeclarationInvalid(
        f"{declaration.name}: hookspecs is {declaration.hookspecs!r}, which has no specification",
        where=declaration.where,
        why="it is a module of functions marked with @hookspec",
        fix="mark them with objectkernel.hookspec, or take the attribute out",
    )


def hook_problem(declaration: Declaration, name: str, function: Any, specs: Mapping[str, Any]) -> KernelError | None:
    options = getattr(function, HOOK_MARK)
    function = innermost(function)
    where = code_place(function)
    spec = specs.get(name)
    if spec is None and options["optionalhook"]:
        return None
    unsupported = [o for o in ("wrapper", "hookwrapper", "specname") if options.get(o)]
    if unsupported or not where:
        return HookInvalid(
            f"{declaration.name} implements {name!r} "
            + (f"with the option {unsupported[0]!r}" if unsupported else f"with {function!r}, which is no function"),
            where=where or declaration.where,
            why="a hook is called once for each plugin, under its own name",
            fix=f"write @hookimpl above def {name}(self, ...)",
            name=name,
        )
    if spec is None:
        close = nearest(name, specs)
        return HookUnknown(
            f"{declaration.name} implements the hook {name!r}, which nobody specifies",
            where=where,
            why=f"there are {', '.join(sorted(specs))}",
            fix=f"did you mean {close[0]!r}?" if close else "remove @hookimpl, or install the plugin that calls it",
            name=name,
            known=close,
        )
    form, awaited = form_of(function), form_of(spec) == "async"
    if form in ("async", "async_generator") and not awaited:
        return HookInvalid(
            f"{declaration.name} implements the synchronous hook {name!r} with async def",
            where=where,
            why="it is called as a plain function; nobody would await it",
            fix=f"write def {name}(...), and do asynchronous work in kernel_ready or a @background task",
            name=name,
        )
    if form in ("generator", "async_generator") and awaited:
        return HookInvalid(
            f"{declaration.name} implements {name!r} with a yield",
            where=where,
            why="it is called once and awaited; nobody would go on after the yield",
            fix="remove the yield; what has a start and a stop is a @lifespan",
            name=name,
        )
    known = spec.__code__.co_varnames[: spec.__code__.co_argcount]
    taken = function.__code__.co_varnames[1 : function.__code__.co_argcount]
    unknown = [a for a in taken if a not in known]
    if unknown:
        return HookInvalid(
            f"{declaration.name} implements {name!r} with the argument {unknown[0]!r}, which it does not have",
            where=where,
            why=f"its arguments are {', '.join(known)}",
            fix="take only those, by name",
            name=name,
        )
    return None
