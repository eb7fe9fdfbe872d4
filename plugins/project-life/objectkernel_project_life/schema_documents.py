"""Entity schemas as JSON values, the way that schema files and the register have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
from objectkernel_system_dialect.contracts import Discriminator, EntitySchema, Field, Index, Relation

AS_TEXT: Final = frozenset({"decimal", "uuid"})
"""Types whose values JSON has as text."""


def document_of(schema: EntitySchema) -> dict[str, Any]:
    """The JSON value that `DataPlug.read_schema` makes this schema of; what has its default is left out.

    Raises:
        ValueError: a default is a function, or bytes, which JSON has not.
    """
    document: dict[str, Any] = _told(schema)
    for name, field in schema.fields.items():
        document["fields"][name] = _field(f"{schema.name}.{name}", field)
    return document


def _field(place: str, field: Field) -> dict[str, Any]:
    document: dict[str, Any] = _told(field)
    for name in ("default", "min", "max"):
        value = getattr(field, name)
        if callable(value) or isinstance(value, bytes):
            raise ValueError(f"{place} has a {name} that cannot be stored: it is no JSON value")
        if value is None:
            continue
        document[name] = value.isoformat() if field.type == "datetime" else value
        if field.type in AS_TEXT:
            document[name] = str(value)
    return document


def _told(value: Any) -> Any:
    match value:
        case Index():
            return {"fields": dict(value.fields)} | ({"unique": True} if value.unique else {})
        case EntitySchema() | Field() | Relation() | Discriminator():
            return {
                field.name: _told(getattr(value, field.name))
                for field in attrs.fields(type(value))
                if field.init and getattr(value, field.name) != _default(field)
            }
        case Mapping():
            return {name: _told(one) for name, one in value.items()}
        case tuple():
            return [_told(one) for one in value]
        case _:
            return value


def _default(field: attrs.Attribute[Any]) -> Any:
    default: Any = field.default
    return default.factory() if hasattr(default, "factory") else default
