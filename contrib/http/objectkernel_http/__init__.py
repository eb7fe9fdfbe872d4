"""The HTTP host of objectkernel: the routes of its plugins as one ASGI application.

Names are imported when they are first used, so that the plugin costs a host that serves nothing no framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from objectkernel_http.application import asgi_app, include_kernel, kernel_lifespan
    from objectkernel_http.exposing import MetricsAccess
    from objectkernel_http.limits import HttpLimits
    from objectkernel_http.rate_store import RATE_STORE, RateStore, Taken
    from objectkernel_http.services import request_scope, service

__all__ = [
    "RATE_STORE",
    "HttpLimits",
    "MetricsAccess",
    "RateStore",
    "Taken",
    "asgi_app",
    "include_kernel",
    "kernel_lifespan",
    "request_scope",
    "service",
]

_MODULES = {
    "application": ("asgi_app", "include_kernel", "kernel_lifespan"),
    "exposing": ("MetricsAccess",),
    "limits": ("HttpLimits",),
    "rate_store": ("RATE_STORE", "RateStore", "Taken"),
    "services": ("request_scope", "service"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
