"""Hooks between pluggy and plugins: what is registered for one, and how another calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from objectkernel.declaration import innermost
from objectkernel.errors import HookUnknown, nearest

if TYPE_CHECKING:
    import pluggy


class HookCarrier:
    """What pluggy registers for a plugin: an object of its hooks only, since pluggy looks at every attribute."""

    def __init__(self, instance: Any, hooks: Mapping[str, Callable[..., Any]]) -> None:
        self.__dict__.update({name: function.__get__(instance) for name, function in hooks.items()})

    def __dir__(self) -> Iterable[str]:
        return self.__dict__


def call_hook(function: Callable[..., Any], instance: Any, kernel: Any) -> Any:
    """Call a plugin's implementation of one of the kernel's hooks, with the argument if it takes it."""
    code = innermost(function).__code__
    taken = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    return function(instance, **({"kernel": kernel} if "kernel" in taken else {}))


class HookCalls:
    """Each specified hook as an attribute: called with keywords, it returns the answers of all plugins that are up."""

    def __init__(self, manager: pluggy.PluginManager | None) -> None:
        self._manager = manager

    def __getattr__(self, name: str) -> Any:
        relay = self._manager.hook if self._manager is not None else None
        known = [n for n in vars(relay) if not n.startswith("_")] if relay is not None else []
        if name in known:
            return getattr(relay, name)
        close = nearest(name, known)
        raise HookUnknown(
            f"there is no hook {name!r}",
            why=f"there are {', '.join(known)}" if known else "no plugin of this kernel specifies or implements a hook",
            fix=f"did you mean {close[0]!r}?" if close else "specify it: `hookspecs = module` on a plugin",
            name=name,
            known=close,
        )
