"""`DATA_ROUTES`: the routes of the data plane for databases that only a request can name, such as a tenant's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from objectkernel.errors import KernelError
from objectkernel.keys import Service

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.idempotency_record import IDEMPOTENCY
from objectkernel_system_dialect.schema import EntitySchema

DialectOf: TypeAlias = Callable[[Any], Awaitable[Dialect]]
"""Gives the dialect that a request is about: of a Starlette request whose caller has been admitted.

``request.path_params`` has the parameters of the prefix, ``request.state.principal`` the caller. A KernelError that it
raises is answered with problem details, with the status that the class's ``http_status`` names.
"""

DATA_PLANE_SCHEMAS: Final[tuple[EntitySchema, ...]] = (IDEMPOTENCY,)
"""What a dialect has registered that the data plane serves; never served itself.

Where it is not, the first write with an ``Idempotency-Key`` registers it.
"""


class DataRoutes(Protocol):
    """Makes routers of the data plane, for plugins that know more databases than the business one."""

    def router(
        self,
        prefix: str,
        dialect_of: DialectOf,
        *,
        tags: Sequence[str] = ("data",),
        errors: Sequence[type[KernelError]] = (),
    ) -> Any:
        """A `fastapi.APIRouter` with the routes of ``/api/v1/data``, for the dialect that each request is about.

        Every entity that is registered with the dialect is served at once, but for `DATA_PLANE_SCHEMAS`. What a caller
        needs are the same scopes: ``data:read`` and ``data:write``, or ``data:read:{entity}``. Whether the caller may
        see this database at all is for `dialect_of` to say. FastAPI is imported when this is called.

        Args:
            prefix: the path before the entity's, with parameters: ``/api/v1/projects/{project_id}/data``; none of them
                is called ``entity`` or ``id``.
            dialect_of: called once for each request.
            tags: what the API's document puts the routes under.
            errors: what `dialect_of` raises beside errors of data access, for that document; each class has an
                ``http_status``.

        Raises:
            ValueError: the prefix cannot be used.
        """
        ...


DATA_ROUTES = Service[DataRoutes]("data-routes")
"""Makes routers of the data plane."""
