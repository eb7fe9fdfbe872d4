"""`DATA_ROUTES`, without FastAPI until somebody wants a router."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs
from objectkernel.errors import KernelError
from objectkernel_contracts import Audit

from objectkernel_system_dialect.data_routes import DataRoutes, DialectOf

if TYPE_CHECKING:
    from objectkernel_system_dialect.http_route import HttpLimits


@attrs.frozen
class LazyRoutes:
    """See `DataRoutes`.

    Args:
        limits: how much may be asked for at once.
        audit: where every write is recorded.
    """

    limits: Callable[[], HttpLimits]
    audit: Audit | None

    def router(
        self,
        prefix: str,
        dialect_of: DialectOf,
        *,
        tags: Sequence[str] = ("data",),
        errors: Sequence[type[KernelError]] = (),
    ) -> Any:
        from objectkernel_system_dialect.http_databases import databases_router

        return databases_router(prefix, dialect_of, self.limits(), self.audit, tags=tags, errors=errors)


if TYPE_CHECKING:
    _are_routes: type[DataRoutes] = LazyRoutes
