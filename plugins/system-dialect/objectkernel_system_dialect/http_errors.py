"""Which errors the routes of the data plane answer with, for the document."""

from __future__ import annotations

from typing import Final

from objectkernel.errors import ConfigError, KernelError

from objectkernel_system_dialect import errors
from objectkernel_system_dialect.rest_api import ROUTES

Kinds = tuple[type[KernelError], ...]

AWAY: Final[Kinds] = (errors.DatabaseUnavailable, errors.DatabaseBusy)
EVERY: Final[Kinds] = (errors.RequestInvalid, errors.AccessDenied, errors.EntityUnknown, *AWAY)
BODY: Final[Kinds] = (errors.RequestTooLarge,)
ROW: Final[Kinds] = (errors.RowMissing, errors.ValueInvalid)
FILTER: Final[Kinds] = (
    errors.UnknownField,
    errors.UnknownOperator,
    errors.FilterInvalid,
    errors.ValueInvalid,
    errors.OptionInvalid,
    errors.OperationUnsupported,
)
WRITE: Final[Kinds] = (
    errors.UnknownField,
    errors.ValueInvalid,
    errors.OperationUnsupported,
    errors.TenantRequired,
    errors.DuplicateKey,
    errors.ConstraintViolated,
    errors.IdempotencyKeyReused,
    errors.IdempotencyKeyBusy,
    errors.DatabaseFull,
    errors.DatabaseReadOnly,
)
HELD: Final[Kinds] = (errors.RowChanged, errors.VersionConflict)
MORE: Final[dict[str, Kinds]] = {
    "list": (*FILTER, errors.CursorInvalid),
    "query": (*FILTER, errors.CursorInvalid),
    "count": FILTER,
    "exists": FILTER,
    "distinct": FILTER,
    "aggregate": FILTER,
    "search": FILTER,
    "bulk": (*FILTER, errors.FilterEmpty),
    "read": (errors.UnknownField, errors.OptionInvalid),
    "undelete": (errors.OptionInvalid,),
    "increment": (errors.OptionInvalid,),
    "add_to_set": (errors.OptionInvalid,),
    "pull": (errors.OptionInvalid,),
}
SWITCH: Final[Kinds] = (
    errors.SchemaOutdated,
    errors.SchemaForeign,
    errors.SchemaInvalid,
    errors.OperationUnsupported,
    ConfigError,
    *AWAY,
)
"""Those of the administrators' routes."""
CHANGE: Final[Kinds] = (errors.DialectUnsupported, errors.RequestInvalid, errors.RequestTooLarge, *SWITCH)
"""Those of the one that says which database."""


def errors_of(operation: str, *, body: bool, held: bool) -> Kinds:
    """The errors of one of the `ROUTES`.

    Args:
        body: whether it takes one.
        held: whether it holds a row to ``If-Match``.
    """
    route = ROUTES[operation]
    parts = (
        EVERY,
        BODY if body else (),
        ROW if "{id}" in route.path else (),
        WRITE if route.writes else (),
        HELD if held else (),
        MORE.get(operation, ()),
    )
    return tuple(dict.fromkeys(kind for part in parts for kind in part))
