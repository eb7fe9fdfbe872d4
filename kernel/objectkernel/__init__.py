"""A plugin kernel: typed services, declared edges, and a lifecycle that keeps its word.

Names are imported when they are first used, so that a module of keys costs its importer no event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from objectkernel.context import PluginContext
    from objectkernel.errors import BootError, KernelError, ShutdownError
    from objectkernel.hookspecs import hookimpl, hookspec
    from objectkernel.kernel import ObjectKernel
    from objectkernel.keys import Extension, Service
    from objectkernel.plugin import (
        Plugin,
        PluginDef,
        background,
        collects,
        configured_by,
        contributes,
        lifespan,
        needs,
        on,
        provides,
        wants,
    )
    from objectkernel.scopes import Scope
    from objectkernel.secret import Secret

__version__ = "0.1.0"

__all__ = [
    "BootError",
    "Extension",
    "KernelError",
    "ObjectKernel",
    "Plugin",
    "PluginContext",
    "PluginDef",
    "Scope",
    "Secret",
    "Service",
    "ShutdownError",
    "background",
    "collects",
    "configured_by",
    "contributes",
    "hookimpl",
    "hookspec",
    "lifespan",
    "needs",
    "on",
    "provides",
    "wants",
]

_MODULES = {
    "context": ("PluginContext",),
    "errors": ("BootError", "KernelError", "ShutdownError"),
    "hookspecs": ("hookimpl", "hookspec"),
    "kernel": ("ObjectKernel",),
    "keys": ("Extension", "Service"),
    "scopes": ("Scope",),
    "secret": ("Secret",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'objectkernel' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"objectkernel.{_HOME.get(name, 'plugin')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
