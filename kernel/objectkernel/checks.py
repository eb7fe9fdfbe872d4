"""What cannot be meant in a declaration, told as problems: nothing of a plugin runs for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from objectkernel.errors import DeclarationInvalid, KernelError, PluginNameInvalid, nearest
from objectkernel.keys import NAME
from objectkernel.plugin import Edge, Mark, Plugin, code_place
from objectkernel.versions import clauses

Form = Literal["value", "async", "generator", "async_generator"]

LIFETIMES: Final = ("singleton", "lazy", "transient", "scoped")
CRASH_POLICIES: Final = ("fail", "degrade", "restart")


def form_problems(mark: Mark, form: Form, declared: Mapping[str, Edge[Any]]) -> list[tuple[str, str, str]]:
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
    if isinstance(mark.uses, str):
        return [*found, (f"uses={mark.uses!r} is a string", "it is a tuple of names", f"write uses=({mark.uses!r},)")]
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


def call_problems(function: Any, mark: Mark, keywords: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """(what, why, fix) where a function cannot be called with what the kernel gives it."""
    positional = (mark.needs is None) + (mark.kind == "on")
    code = getattr(function, "__code__", None)
    if code is not None and code.co_filename.endswith("contextlib.py"):
        return [
            ("it is decorated as a context manager", "the kernel calls the generator itself", "remove the decorator")
        ]
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


def attribute_problems(
    cls: type[Plugin], configs: Mapping[str, Any], unbound: Mapping[str, Any], where: str
) -> list[KernelError]:
    """What cannot be meant about the class apart from its name and its functions."""
    found = specifier_problems(cls.name, cls.requires_kernel, where)
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


def readable(requires_kernel: Any) -> str:
    """The specifier, "" for one that `specifier_problems` reports."""
    return "" if specifier_problems("", requires_kernel, "") else requires_kernel


def specifier_problems(plugin: str, requires_kernel: Any, where: str) -> list[KernelError]:
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


def name_problems(name: Any, who: str, where: str) -> list[KernelError]:
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
