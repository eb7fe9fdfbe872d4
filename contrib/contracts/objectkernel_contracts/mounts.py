"""How a plugin serves an ASGI application of its own below a path of the host."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import attrs
from objectkernel.keys import Extension

from objectkernel_contracts.access import Access

ApplicationMaker: TypeAlias = Callable[[], Any]
"""A callable without arguments that returns an ASGI 3 application; its framework is imported when it is called."""

_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def _absolute(mounted: Any, attribute: attrs.Attribute[Any], path: str) -> None:
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} is no path to mount at: it begins with a slash and does not end with one: /console")


@attrs.frozen(kw_only=True)
class MountedApplication:
    """An ASGI application of any framework, to be served below a path.

    Attributes:
        path: where, such as ``/console``; the application sees it as its ``root_path``.
        make: makes the application; its lifespan runs within the host's.
        access: who may send it anything at all, as of a route: ``Scope("console:use")`` or ``Public()``.
    """

    path: str = attrs.field(validator=_absolute)
    make: ApplicationMaker
    access: Access


MOUNTS = Extension[MountedApplication]("mounts")
"""Applications of plugins: a host serves each below its path."""
