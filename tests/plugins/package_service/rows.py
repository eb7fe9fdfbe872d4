"""A row for any entity: a value in every field that takes one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal


def sample(schema, keys):
    """Values for every field of an entity that is written, but for that of its tenant.

    Args:
        keys: of rows that are there, by entity; a relation to one that has none is left out, unless it is required.
    """
    row = {}
    for name, field in schema.all_fields.items():
        if name not in schema.kept and name not in ("id", schema.tenant):
            row[name] = value(field)
    for name, relation in schema.relations.items():
        if relation.target in keys:
            row[name] = [keys[relation.target]] if relation.kind == "many-to-many" else keys[relation.target]
    return row


def value(field):
    """A value that the field takes, with what databases get wrong: case, spaces at the end, all the digits."""
    text = "Grüße 客户 'x' "
    match field.type:
        case "string" if field.format is not None:
            return {"date": "2024-02-29", "time": "23:59:59.5"}[field.format]
        case "string":
            return text[: field.length]
        case "text":
            return text * 200
        case "integer" | "number":
            return 3 if field.min is None else field.min
        case "decimal":
            digits = Decimal(7).scaleb(-field.scale)
            return (Decimal(1) if field.min is None else field.min) + digits
        case "boolean":
            return True
        case "datetime":
            return datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
        case "json":
            return {"a": [1, None, text]}
        case "array":
            return [text, "b"]
        case "enum":
            return field.enum[-1]
    raise AssertionError(field.type)


def in_order(schemas):
    """Entities such that those that must be there first come first."""
    waiting, done = list(schemas), []
    while waiting:
        names = {schema.name for schema in done}
        ready = [
            schema
            for schema in waiting
            if all(not one.required or one.target in names for one in schema.relations.values())
        ]
        assert ready, "rows that need each other"
        done += ready
        waiting = [schema for schema in waiting if schema not in ready]
    return done
