"""How a plugin adds routes to a host's HTTP application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from objectkernel.keys import Extension

RouterMaker: TypeAlias = Callable[[], Any]
"""A callable without arguments that returns a `fastapi.APIRouter` whose functions declare their access with
`requires` or `public`; FastAPI is imported when it is called, not before.
"""

ROUTERS = Extension[RouterMaker]("routers")
"""Routes of plugins: a host includes them into its application, under their own paths."""
