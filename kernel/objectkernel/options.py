"""The host options: the ``[kernel]`` table of a configuration, and the keyword arguments of a kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from objectkernel.errors import HostOptionInvalid, KernelError, nearest

if TYPE_CHECKING:
    from objectkernel.document import Document

ARGUMENT: Final = "argument"


@attrs.frozen(kw_only=True)
class KernelOptions:
    """What a host decides about plugins and deadlines. All times are seconds above 0; ``inf`` is no limit.

    Attributes:
        discover: take plugins from entry points.
        optional: plugins that may fail without failing the boot; every other is critical.
        only: the discovered plugins to take, None for all.
        without: the discovered plugins to leave out.
        safe_mode: take nothing from entry points but `only`.
        providers: service → the plugin whose provider counts, where several provide it.
        distributions: plugin → the distribution that counts, where several have an entry point of the name.
        start_timeout: for a plugin to start; `start_timeouts` has it for single plugins.
        stop_timeout: for a plugin to stop; `stop_timeouts` has it for single plugins.
        shutdown_timeout: for the whole kernel to stop.
        drain_timeout: for the users of a service to give it back before it is stopped.
        sources: option → where it was given: ``file:line`` or ``argument``.
        problems: what was refused in `kernel_options`; the refused option has its default.
    """

    discover: bool = True
    optional: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    safe_mode: bool = False
    providers: Mapping[str, str] = attrs.field(factory=dict)
    distributions: Mapping[str, str] = attrs.field(factory=dict)
    start_timeout: float = 30.0
    stop_timeout: float = 60.0
    shutdown_timeout: float = 90.0
    drain_timeout: float = 30.0
    start_timeouts: Mapping[str, float] = attrs.field(factory=dict)
    stop_timeouts: Mapping[str, float] = attrs.field(factory=dict)
    sources: Mapping[str, str] = attrs.field(factory=dict, eq=False, repr=False)
    problems: tuple[KernelError, ...] = attrs.field(default=(), eq=False, repr=False)


class _Refused(ValueError):
    """A value that is not of the form its option asks for; the text says which that is."""


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Refused("true or false")
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value <= 0:
        raise _Refused("a number of seconds above 0")
    return float(value)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple | set | frozenset) or not all(isinstance(v, str) for v in value):
        raise _Refused("a list of plugin names")
    return tuple(str(v) for v in (value if isinstance(value, list | tuple) else sorted(value)))


def _names_or_none(value: Any) -> tuple[str, ...] | None:
    return None if value is None else _names(value)


def _table(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(v, str) for kv in value.items() for v in kv):
        raise _Refused("a table of name = name")
    return {str(k): str(v) for k, v in value.items()}


def _seconds_table(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping) or not all(isinstance(k, str) for k in value):
        raise _Refused("a table of plugin name = seconds")
    return {str(k): _seconds(v) for k, v in value.items()}


_READERS: Final[Mapping[str, Any]] = {
    "discover": _switch,
    "optional": _names,
    "only": _names_or_none,
    "without": _names,
    "safe_mode": _switch,
    "providers": _table,
    "distributions": _table,
    "start_timeout": _seconds,
    "stop_timeout": _seconds,
    "shutdown_timeout": _seconds,
    "drain_timeout": _seconds,
    "start_timeouts": _seconds_table,
    "stop_timeouts": _seconds_table,
}


def kernel_options(document: Document | None, arguments: Mapping[str, Any]) -> KernelOptions:
    """The host options of a configuration, overridden by `arguments`; what is refused is in `problems`."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    problems: list[KernelError] = []
    if document is not None:
        given = [(key, value, document.where("kernel", key)) for key, value in document.kernel.items()]
        _read(given, values, sources, problems)
    _read([(key, value, ARGUMENT) for key, value in arguments.items()], values, sources, problems)
    for name in sorted({*(values.get("only") or ())} & {*values.get("without", ())}):
        problems.append(
            HostOptionInvalid(
                f"plugin {name!r} is both in `only` and in `without`",
                where=sources["without"],
                why=f"`only` comes from {sources['only']}",
                fix="take it out of one of them",
                option="without",
            )
        )
    return KernelOptions(**values, sources=sources, problems=tuple(problems))


def _read(
    given: list[tuple[str, Any, str]],
    values: dict[str, Any],
    sources: dict[str, str],
    problems: list[KernelError],
) -> None:
    """Put what is valid of one source into `values`, and the rest into `problems`."""
    seen: dict[str, str] = {}
    for key, value, where in given:
        option = key.replace("-", "_")
        if option not in _READERS:
            problems.append(_unknown(key, where))
        elif option in seen:
            problems.append(_refused(option, f"is given twice: as {seen[option]!r} and as {key!r}", where, "keep one"))
        else:
            seen[option] = key
            try:
                values[option] = _READERS[option](value)
                sources[option] = where
            except _Refused as refused:
                fix = f"give {refused}, such as {_EXAMPLES[_READERS[option]].format(option)}"
                problems.append(_refused(option, f"is {value!r}, which is not {refused}", where, fix))


_EXAMPLES: Final[Mapping[Any, str]] = {
    _switch: "{} = true",
    _seconds: "{} = 30",
    _names: '{} = ["acme-billing"]',
    _names_or_none: '{} = ["acme-billing"]',
    _table: '{} = {{ "acme.ledger" = "acme-billing" }}',
    _seconds_table: "{} = {{ acme-billing = 5 }}",
}


def _refused(option: str, what: str, where: str, fix: str) -> HostOptionInvalid:
    return HostOptionInvalid(f"the host option {option!r} {what}", where=where, fix=fix, option=option)


def _unknown(key: str, where: str) -> HostOptionInvalid:
    close = nearest(key, _READERS)
    return HostOptionInvalid(
        f"there is no host option {key!r}",
        where=where,
        why=f"there are {', '.join(_READERS)}",
        fix=f"did you mean {close[0]!r}?" if close else "take it out",
        option=key,
        known=close,
    )
