"""What JSON schemas say of an entity's fields, rows and keys, each with an example that fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

import attrs

from objectkernel_system_dialect.schema import EntitySchema, Field, Relation
from objectkernel_system_dialect.tables import stored_fields
from objectkernel_system_dialect.values import FORMATS, INTEGER_MAX, INTEGER_MIN

Shape: TypeAlias = dict[str, Any]

UUID: Final = "6f1c2d5e-8a94-4b0e-9d3f-2b7c5a1e4f60"
BASE64: Final = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
WITHOUT_NUL: Final = "^[^\\u0000]*$"
ITEMS: Final[Mapping[str, Any]] = {"string": "text", "integer": 7, "number": 2.5, "boolean": True}


@attrs.frozen
class Shapes:
    """The JSON schemas of an entity.

    Attributes:
        columns: by name, of each field, and of each relation that has one.
        linked: by name, of the keys that each relation leads to.
        row, new, changes, page: see `EntityModels`.
        key: of a key in a path.
    """

    schema: EntitySchema
    fields: Mapping[str, Field]
    columns: Mapping[str, Shape]
    linked: Mapping[str, Shape]

    @classmethod
    def of(cls, schema: EntitySchema, by_name: Mapping[str, EntitySchema]) -> Shapes:
        fields = stored_fields(schema, by_name)
        columns = {name: field_shape(field) for name, field in fields.items()}
        linked = {}
        for name, relation in schema.relations.items():
            target = by_name[relation.target]
            linked[name] = field_shape(stored_fields(target, by_name)[target.key[0]])
        return cls(schema, fields, columns, linked)

    @property
    def row(self) -> Shape:
        made = {
            name: _or({"type": "object"}, _or_null(one)) if name in self.schema.relations else self._stored(name, one)
            for name, one in self.columns.items()
        }
        lists = {name: _list({}, f"of {one.target}: rows, when included") for name, one in self._lists()}
        example = self._example(self.columns)
        return _object(made | lists, required=self.schema.key, title=self.schema.name, examples=[example])

    @property
    def new(self) -> Shape:
        required = self._required()
        return _object(
            self._nullables(self._writable(), required),
            required=sorted(required),
            title=f"{self.schema.name}New",
            examples=[self._example(required)],
        )

    @property
    def changes(self) -> Shape:
        names = [name for name in self._own() if name not in (*self.schema.key, self.schema.tenant)]
        made = {name: one for name, one in self._writable().items() if name not in self.schema.key}
        return _object(
            self._nullables(made, self._required()),
            title=f"{self.schema.name}Changes",
            examples=[self._example(names[:2])],
        )

    @property
    def page(self) -> Shape:
        rows = {"type": "array", "items": {**self.row, "required": []}}
        after = {"type": ["string", "null"], "description": "`after` of the next page", "examples": [None]}
        return {
            "title": f"{self.schema.name}Page",
            "type": "object",
            "required": ["rows", "next"],
            "properties": {"rows": rows, "next": after},
        }

    @property
    def key(self) -> Shape:
        parts = [self.columns[name] for name in self.schema.key]
        if len(parts) == 1:
            return parts[0]
        count = len(parts)
        examples = [[one["examples"][0] for one in parts]]
        return {"type": "array", "prefixItems": parts, "minItems": count, "maxItems": count, "examples": examples}

    def increments(self) -> list[Shape]:
        """What may be added to what, one alternative for each field that holds numbers."""
        by = {"integer": {"type": "integer"}, "number": {"type": "number"}}
        return [
            _object({"field": {"const": name}, "by": self.columns[name] | {"default": "1"}}, required=["field", "by"])
            if field.type == "decimal"
            else _object({"field": {"const": name}, "by": {**by[field.type], "default": 1}}, required=["field"])
            for name, field in self._own().items()
            if field.type in ("integer", "number", "decimal") and name not in self.schema.key
        ]

    def set_changes(self) -> list[Shape]:
        """What may be put into what, one alternative for each field that holds an array."""
        return [
            _object({"field": {"const": name}, "value": {"type": field.items}}, required=["field", "value"])
            for name, field in self._own().items()
            if field.type == "array"
        ]

    def texts(self) -> list[str]:
        """The fields that can be searched."""
        return [name for name, field in self._own().items() if field.type in ("string", "text")]

    def _own(self) -> dict[str, Field]:
        """The fields that are written, without relations."""
        kept, relations = self.schema.kept, self.schema.relations
        return {name: field for name, field in self.fields.items() if name not in kept and name not in relations}

    def _required(self) -> set[str]:
        schema = self.schema
        names = {
            name
            for name, field in self.fields.items()
            if (field.required or name in schema.key) and field.default is None and name not in schema.kept
        }
        names |= {name for name, one in schema.relations.items() if one.required and one.has_column}
        return names - {schema.tenant}

    def _writable(self) -> dict[str, Shape]:
        links = {
            name: _list(self.linked[name], f"keys of {one.target}")
            for name, one in self._lists()
            if one.kind == "many-to-many"
        }
        return {name: one for name, one in self.columns.items() if name not in self.schema.kept} | links

    def _lists(self) -> Iterable[tuple[str, Relation]]:
        return ((name, one) for name, one in self.schema.relations.items() if not one.has_column)

    def _nullables(self, shapes: Mapping[str, Shape], required: set[str]) -> dict[str, Shape]:
        whole = {name for name in shapes if name in required or name not in self.columns or self.fields[name].required}
        return {name: one if name in whole else _or_null(one) for name, one in shapes.items()}

    def _stored(self, name: str, shape: Shape) -> Shape:
        return shape if self.fields[name].required else _or_null(shape)

    def _example(self, names: Iterable[str]) -> dict[str, Any]:
        wanted = set(names)
        return {name: one["examples"][0] for name, one in self.columns.items() if name in wanted}


def field_shape(field: Field) -> Shape:
    """The JSON schema of a field's values."""
    shape = _shape(field)
    return shape if "examples" in shape else {**shape, "examples": [_sample(field)]}


def _shape(field: Field) -> Shape:
    match field.type:
        case "string" if field.format is not None:
            told = {"format": "date"} if field.format == "date" else {}  # JSON schema's times have all the parts
            return {"type": "string", "maxLength": field.length, "pattern": f"^{FORMATS[field.format][0]}$", **told}
        case "string":
            return {"type": "string", "maxLength": field.length, "pattern": WITHOUT_NUL}
        case "text":
            return {"type": "string", "pattern": WITHOUT_NUL}
        case "enum":
            return {"type": "string", "enum": list(field.enum)}
        case "integer" | "sequence":
            least = INTEGER_MIN if field.min is None else field.min
            return {"type": "integer", "minimum": least, "maximum": INTEGER_MAX if field.max is None else field.max}
        case "number":
            bounds = {"minimum": field.min, "maximum": field.max}
            return {"type": "number"} | {name: bound for name, bound in bounds.items() if bound is not None}
        case "decimal":
            whole, scale = field.precision - field.scale, field.scale
            fraction = rf"(\.[0-9]{{1,{scale}}})?" if scale else ""
            return {"type": "string", "pattern": rf"^-?[0-9]{{1,{max(1, whole)}}}{fraction}$"}
        case "boolean":
            return {"type": "boolean"}
        case "datetime":
            return {"type": "string", "format": "date-time"}
        case "uuid":
            return {"type": "string", "format": "uuid"}
        case "binary":
            return {"type": "string", "contentEncoding": "base64", "pattern": BASE64}
        case "array":
            return {"type": "array", "items": {"type": field.items}}
        case "json":
            return {"description": "any JSON value"}


def _sample(field: Field) -> Any:
    match field.type:
        case "string" if field.format is not None:
            return FORMATS[field.format][2]
        case "string":
            return UUID if field.length == len(UUID) else "text"[: field.length]
        case "text":
            return "text"
        case "enum":
            return field.enum[0]
        case "integer" | "sequence":
            return _within(field, 7)
        case "number":
            return _within(field, 2.5)
        case "decimal":
            return str(_within(field, Decimal("0.5") if field.scale else Decimal(7)))
        case "boolean":
            return True
        case "datetime":
            return "2026-01-31T09:30:00Z"
        case "uuid":
            return UUID
        case "binary":
            return "b2JqZWN0"
        case "array":
            return [ITEMS[field.items]]
        case "json":
            return {"any": ["JSON", 1]}


def _within(field: Field, value: Any) -> Any:
    if field.min is not None and value < field.min:
        return field.min
    return value if field.max is None or value <= field.max else field.max


def _object(properties: Mapping[str, Any], *, required: Iterable[str] = (), **members: Any) -> Shape:
    made: Shape = {**members, "type": "object", "properties": dict(properties), "additionalProperties": False}
    return made | ({"required": list(required)} if required else {})


def _list(items: Shape, description: str) -> Shape:
    return {"type": "array", "items": items, "description": description, "examples": [[]]}


def _or_null(shape: Shape) -> Shape:
    return _or({"type": "null"}, shape) if shape.get("type") else shape


def _or(other: Shape, shape: Shape) -> Shape:
    alternatives = shape["anyOf"] if "anyOf" in shape else [{k: v for k, v in shape.items() if k != "examples"}]
    return {"anyOf": [*alternatives, other], "examples": shape["examples"]}
