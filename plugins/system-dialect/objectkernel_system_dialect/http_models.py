"""What bodies and answers of the data plane look like: pydantic models, and an entity's own from its schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import attrs
from pydantic import BaseModel, ConfigDict, Field, RootModel, SecretStr, WithJsonSchema, model_validator
from pydantic_core import CoreSchema

from objectkernel_system_dialect import schema as schemas
from objectkernel_system_dialect.data_plug import SchemaStrategy
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.tables import stored_fields
from objectkernel_system_dialect.values import INTEGER_MAX, INTEGER_MIN

Filter = dict[str, Any]
Names = list[str]
Sort = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": {"enum": [1, -1]}})]
Count = Annotated[int, Field(ge=0, le=2**53, strict=True)]


class Body(BaseModel):
    """A body: nothing that it does not know is let pass."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(Body):
    """Which rows, in which order, and what of them."""

    filter: Filter = {}
    sort: Sort | None = Field(default=None, description="fields in order of weight, 1 up and -1 down")
    skip: Count = 0
    limit: Annotated[int, Field(ge=1, le=2**53)] | None = None
    after: str | None = Field(default=None, description="`next` of the page before")
    select: Names | None = None
    exclude: Names | None = None
    include: Names | None = Field(default=None, description="relations to load")


class Matching(Body):
    """Rows that match a filter."""

    filter: Filter = {}


class Distinct(Matching):
    """The different values of a field."""

    field: str


class Pipeline(Body):
    """Stages, each a mapping with one key: `$match`, `$group`, `$sort`, `$skip`, `$limit`."""

    pipeline: Annotated[Any, WithJsonSchema({"type": "array", "items": {"type": "object"}})]


class Search(Matching):
    """Rows in which every word of a text is found."""

    text: str
    fields: Names | None = None
    sort: Sort | None = None
    skip: Count = 0
    limit: Annotated[int, Field(ge=1, le=2**53)] | None = None


class Increment(Body):
    """How much to add to which field."""

    field: str
    by: Annotated[Any, WithJsonSchema({"type": ["number", "string"]})] = Field(
        default=1, description="of a decimal a text"
    )


class SetChange(Body):
    """What to put into an array, or to take out."""

    field: str
    value: Any


class UpdateMany(Matching):
    """What to change in all rows that match."""

    changes: dict[str, Any]
    all: bool = Field(default=False, description="needed when every row matches")


class DeleteMany(Matching):
    """Which rows to delete."""

    all: bool = Field(default=False, description="needed when every row matches")
    hard: bool = Field(default=False, description="for good, where deleting is soft")


class Bulk(Body):
    """One of: rows to create, a change to many, a deletion of many."""

    create: list[dict[str, Any]] | None = None
    update: UpdateMany | None = None
    delete: DeleteMany | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1 or getattr(self, *self.model_fields_set) is None:
            raise ValueError("give exactly one of create, update, delete")
        return self


class Nothing(Body):
    """An empty body."""


class ChangeDialect(Body):
    """Another database for the business data."""

    dialect: str
    uri: SecretStr = Field(description="a connection string; it is neither logged nor stored")
    schema_strategy: SchemaStrategy | None = None


class ListParameters(BaseModel):
    """Which rows, in which order, and what of them, in a URL."""

    model_config = ConfigDict(extra="forbid")

    filter: str | None = Field(default=None, description="a filter as JSON")
    sort: str | None = Field(default=None, description="fields with commas between, with '-' before one going down")
    skip: int = Field(default=0, ge=0, le=2**53)
    limit: int | None = Field(default=None, ge=1, le=2**53)
    after: str | None = Field(default=None, description="`next` of the page before")
    select: str | None = Field(default=None, description="names with commas between, as all lists here")
    exclude: str | None = None
    include: str | None = Field(default=None, description="relations to load")


class ReadParameters(BaseModel):
    """What to load with a row."""

    model_config = ConfigDict(extra="forbid")

    include: str | None = Field(default=None, description="relations to load, with commas between")


class DeleteParameters(BaseModel):
    """How to delete."""

    model_config = ConfigDict(extra="forbid")

    hard: bool = Field(default=False, description="for good, where deleting is soft")


class Counted(BaseModel):
    """How many rows."""

    count: int


class Existing(BaseModel):
    """Whether there is one."""

    exists: bool


class Values(BaseModel):
    """Values, sorted."""

    values: list[Any]


class Groups(BaseModel):
    """What a pipeline gives: `_id` and the accumulators."""

    rows: list[dict[str, Any]]


class Described(BaseModel):
    """What this server offers to the caller."""

    dialect: str
    capabilities: list[str]
    page_default: int
    page_max: int
    entities: dict[str, dict[str, Any]]


class Done(BaseModel):
    """The switch is made."""

    changed: bool


# --- an entity's own ------------------------------------------------------------------------------------


class Document(RootModel[dict[str, Any]]):
    """An object whose names an entity decides: the dialect checks it, and this says what it will find."""

    shape: ClassVar[Mapping[str, Any]] = {"type": "object"}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return dict(cls.shape)


@attrs.frozen
class EntityModels:
    """The models of one entity: a whole row, what makes one, what changes one, and a page of rows."""

    row: type[Document]
    new: type[Document]
    changes: type[Document]
    page: type[Document]


GENERIC = EntityModels(Document, Document, Document, Document)
"""For entities that are not known yet."""


def entity_models(schema: EntitySchema, by_name: Mapping[str, EntitySchema]) -> EntityModels:
    """The models of an entity, whose JSON schemas say what its `EntitySchema` says."""
    fields = stored_fields(schema, by_name)
    columns = {name: _field_schema(field) for name, field in fields.items()}
    lists = {
        name: {"type": "array", "items": {}, "description": f"of {relation.target}: keys, or rows when included"}
        for name, relation in schema.relations.items()
        if not relation.has_column
    }
    required = {
        name
        for name, field in fields.items()
        if (field.required or name in schema.key) and field.default is None and name not in schema.kept
    }
    required |= {name for name, one in schema.relations.items() if one.required and one.has_column}
    required -= {schema.tenant} if schema.tenant else set()
    written = {name: one for name, one in columns.items() if name not in schema.kept}
    written |= {name: lists[name] for name, one in schema.relations.items() if one.kind == "many-to-many"}
    changed = {name: one for name, one in written.items() if name not in schema.key}
    row = {
        name: {"anyOf": [one, {"type": "object"}, {"type": "null"}]}
        if name in schema.relations
        else _nullable(one, fields[name])
        for name, one in columns.items()
    }
    page = {
        "type": "object",
        "required": ["rows", "next"],
        "properties": {
            "rows": {"type": "array", "items": _object(row | lists)},
            "next": {"type": ["string", "null"], "description": "`after` of the next page"},
        },
    }
    name = schema.name
    return EntityModels(
        row=_document(name, {**_object(row | lists), "required": list(schema.key)}),
        new=_document(f"{name}New", {**_object(_nullables(written, required)), "required": sorted(required)}),
        changes=_document(f"{name}Changes", _object(_nullables(changed, required))),
        page=_document(f"{name}Page", page),
    )


def _document(name: str, shape: Mapping[str, Any]) -> type[Document]:
    return type(name, (Document,), {"__module__": __name__, "shape": {"title": name, **shape}})


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _nullables(properties: Mapping[str, Any], required: set[str]) -> dict[str, Any]:
    return {name: one if name in required else _or_null(one) for name, one in properties.items()}


def _nullable(shape: dict[str, Any], field: schemas.Field) -> dict[str, Any]:
    return shape if field.required else _or_null(shape)


def _or_null(shape: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [shape, {"type": "null"}]} if shape else shape


def _field_schema(field: schemas.Field) -> dict[str, Any]:
    match field.type:
        case "string":
            return {"type": "string", "maxLength": field.length}
        case "text":
            return {"type": "string"}
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
            return {"type": "string", "contentEncoding": "base64"}
        case "array":
            return {"type": "array", "items": {"type": field.items}}
        case _:
            return {}
