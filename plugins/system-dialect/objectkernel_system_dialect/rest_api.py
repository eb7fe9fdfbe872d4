"""The REST data plane as both its ends know it: paths, operations, headers, and what an entity looks like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

import attrs

from objectkernel_system_dialect.schema import EntitySchema, Field
from objectkernel_system_dialect.tables import stored_fields

PREFIX: Final = "/api/v1/data"
TENANT_HEADER: Final = "Data-Tenant"
"""For which tenant a caller acts who has the scope `TENANTS`, percent-encoded."""
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
PROBLEM: Final = "application/problem+json"
READ: Final = "data:read"
WRITE: Final = "data:write"
ADMIN: Final = "data:admin"
TENANTS: Final = "data:tenants"
"""The scope of a host that keeps the data of all its tenants here: its key sees every tenant's rows."""


@attrs.frozen
class Route:
    """How an operation is asked for: its method, and its path behind the entity's."""

    method: str
    path: str
    writes: bool = False


ROUTES: Final[Mapping[str, Route]] = {
    "list": Route("GET", ""),
    "query": Route("POST", "/query"),
    "count": Route("POST", "/count"),
    "exists": Route("POST", "/exists"),
    "distinct": Route("POST", "/distinct"),
    "aggregate": Route("POST", "/aggregate"),
    "search": Route("POST", "/search"),
    "create": Route("POST", "", writes=True),
    "upsert": Route("POST", "/upsert", writes=True),
    "bulk": Route("POST", "/bulk", writes=True),
    "read": Route("GET", "/{id}"),
    "patch": Route("PATCH", "/{id}", writes=True),
    "delete": Route("DELETE", "/{id}", writes=True),
    "increment": Route("POST", "/{id}/increment", writes=True),
    "add_to_set": Route("POST", "/{id}/add-to-set", writes=True),
    "pull": Route("POST", "/{id}/pull", writes=True),
    "undelete": Route("POST", "/{id}/undelete", writes=True),
}


def path_name(schema: EntitySchema) -> str:
    """What an entity is called in paths and scopes: its collection, and its name too where several share that."""
    return schema.collection if schema.discriminator is None else f"{schema.collection}.{schema.name}"


def key_path(parts: Iterable[Any]) -> str:
    """A key as one segment of a path: its parts percent-encoded (RFC 3986), with commas between."""
    return ",".join(_escaped(str(part)) for part in parts)


def key_parts(segment: str) -> tuple[str, ...]:
    """The texts of a key's parts.

    Raises:
        ValueError: it is no text in UTF-8.
    """
    return tuple(unquote(part, errors="strict") for part in segment.split(","))


def _escaped(text: str) -> str:
    encoded = quote(text, safe="")
    return encoded.replace(".", "%2E") if not text.strip(".") else encoded  # "." and ".." are parts of a path


def described(schema: EntitySchema, by_name: Mapping[str, EntitySchema]) -> dict[str, str]:
    """What each name of an entity holds, as far as both ends must agree on it."""
    made = {name: _kind(field) for name, field in stored_fields(schema, by_name).items()}
    for name, relation in schema.relations.items():
        made[name] = " ".join((made.get(name, "list"), relation.kind, relation.target))
    for name in schema.key:
        made[name] += " key"
    if schema.tenant is not None:
        made[schema.tenant] += " tenant"
    if schema.discriminator is not None:
        made[schema.discriminator.field] += f" discriminator {schema.discriminator.value}"
    for name in schema.kept:
        made[name] += " kept"
    return made


def _kind(field: Field) -> str:
    match field.type:
        case "decimal":
            return f"decimal({field.precision},{field.scale})"
        case "array":
            return f"array of {field.items}"
        case "enum":
            return f"enum of {', '.join(field.enum)}"
        case kind:
            return kind
