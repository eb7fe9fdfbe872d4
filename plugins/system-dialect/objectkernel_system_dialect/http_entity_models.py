"""The models of one entity: what its routes take and answer, said in JSON schemas that its `EntitySchema` decides."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, TypeVar, cast

import attrs
from pydantic import BaseModel, ConfigDict, Field, RootModel, WithJsonSchema, create_model
from pydantic_core import CoreSchema

from objectkernel_system_dialect import http_models as models
from objectkernel_system_dialect.http_shapes import Shape, Shapes
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.wire import dump

M = TypeVar("M", bound=BaseModel)

PATH_KEY: Shape = {"type": "string", "examples": ["6f1c2d5e-8a94-4b0e-9d3f-2b7c5a1e4f60"]}


class Document(RootModel[dict[str, Any]]):
    """An object whose names an entity decides: the dialect checks it, and this says what it will find."""

    shape: ClassVar[Mapping[str, Any]] = {"type": "object"}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return dict(cls.shape)


@attrs.frozen(kw_only=True)
class EntityModels:
    """The models of one entity: of its rows, of what is asked about them, and of what is done with them.

    Attributes:
        row, new, changes, page: a whole row, what makes one, what changes one, and a page of rows.
        key: the JSON schema of a key in a path.
        absent: the operations that this entity's rows cannot have; they are not in the document.
    """

    row: type[Document] = Document
    new: type[Document] = Document
    changes: type[Document] = Document
    page: type[Document] = Document
    list: type[models.ListParameters] = models.ListParameters
    read: type[models.ReadParameters] = models.ReadParameters
    query: type[models.Query] = models.Query
    matching: type[models.Matching] = models.Matching
    distinct: type[models.Distinct] = models.Distinct
    aggregate: type[models.Pipeline] = models.Pipeline
    search: type[models.Search] = models.Search
    bulk: type[models.Bulk] = models.Bulk
    increment: type[models.Increment] = models.Increment
    set_change: type[models.SetChange] = models.SetChange
    nothing: type[models.Nothing] = models.Nothing
    key: Shape = attrs.field(factory=lambda: PATH_KEY)
    absent: frozenset[str] = frozenset()

    def named(self, model: type[BaseModel] | str | None) -> Any:
        """The model of a name; what is a model already, or nothing, stays."""
        return getattr(self, model) if isinstance(model, str) else model


def entity_models(schema: EntitySchema, by_name: Mapping[str, EntitySchema]) -> EntityModels:
    """The models of an entity."""
    shapes, name = Shapes.of(schema, by_name), schema.name
    names, relations = [*shapes.columns], [*schema.relations]
    first = next(field for field in names if field != schema.tenant)
    filter = {first: shapes.columns[first]["examples"][0]}
    listed = {
        "filter": dump(filter).decode(),
        "sort": f"-{first}",
        "after": "MA",
        "select": first,
        "exclude": names[-1],
        "include": ",".join(relations[:1]),
    }
    included = _included(relations)
    increments, set_changes, texts = shapes.increments(), shapes.set_changes(), shapes.texts()
    changes = shapes.changes["examples"][0]
    return EntityModels(
        row=_document(name, shapes.row),
        new=_document(f"{name}New", shapes.new),
        changes=_document(f"{name}Changes", shapes.changes),
        page=_document(f"{name}Page", shapes.page),
        list=_parameters(name, models.ListParameters, listed, included),
        read=_parameters(name, models.ReadParameters, listed, included),
        query=_body(name, models.Query, {"filter": filter, "sort": {first: -1}, "limit": 10}),
        matching=_body(name, models.Matching, {"filter": filter}),
        distinct=_body(name, models.Distinct, {"field": first}),
        aggregate=_body(name, models.Pipeline, {"pipeline": [{"$group": {"_id": f"${first}", "rows": {"$sum": 1}}}]}),
        search=_body(name, models.Search, {"text": "text", "fields": texts[:1]}),
        bulk=_body(name, models.Bulk, {"update": {"filter": filter, "changes": changes}}),
        increment=_body(name, models.Increment, _first(increments), anyOf=increments),
        set_change=_body(name, models.SetChange, _first(set_changes), anyOf=set_changes),
        key=shapes.key,
        absent=_absent(schema, shapes),
    )


def _absent(schema: EntitySchema, shapes: Shapes) -> frozenset[str]:
    possible = {
        "increment": bool(shapes.increments()),
        "add_to_set": bool(shapes.set_changes()),
        "pull": bool(shapes.set_changes()),
        "search": bool(shapes.texts()),
        "undelete": schema.soft_delete,
    }
    return frozenset(name for name, there in possible.items() if not there)


def _first(alternatives: list[Shape]) -> dict[str, Any]:
    """An example of the first alternative."""
    if not alternatives:
        return {}
    return {name: _example(one) for name, one in alternatives[0]["properties"].items()}


def _example(shape: Shape) -> Any:
    samples = {"string": "text", "integer": 1, "number": 1, "boolean": True}
    return shape["const"] if "const" in shape else shape.get("default", samples.get(shape.get("type", "")))


def _document(name: str, shape: Mapping[str, Any]) -> type[Document]:
    return type(name, (Document,), {"__module__": __name__, "shape": {"title": name, **shape}})


def _body(name: str, kind: type[M], example: Mapping[str, Any], **members: Any) -> type[M]:
    """The model of a body with an example, and with what this entity's schema can say of it."""
    before: Any = kind.model_config.get("json_schema_extra")

    def say(shape: Shape) -> None:
        if before is not None:
            before(shape)
        shape |= {**members, "examples": [example]}

    config = ConfigDict(json_schema_extra=say)
    made: Any = type(f"{name}{kind.__name__}", (kind,), {"__module__": __name__, "model_config": config})
    return cast("type[M]", made)


def _parameters(name: str, kind: type[M], examples: Mapping[str, str], included: Shape) -> type[M]:
    """The model of what a URL says, with examples of this entity's names, and of what can be included."""
    fields: dict[str, Any] = {}
    for field in kind.model_fields.keys() & examples.keys():
        own = kind.model_fields[field]
        shape: Shape = {"type": "string", "examples": [examples[field]]}
        shape |= included if field == "include" else {}
        told = Field(default=own.default, description=own.description)
        fields[field] = (Annotated[str | None, WithJsonSchema(shape)], told)
    made: type[M] = create_model(f"{name}{kind.__name__}", __base__=kind, __module__=__name__, **fields)
    return made


def _included(relations: Sequence[str]) -> Shape:
    one = "|".join(re.escape(relation) for relation in relations)
    return {"pattern": f"^({one})(,({one}))*$"} if relations else {"maxLength": 0}


def _any_entity() -> EntityModels:
    """The models of whichever entity a path names: of its rows only that they are objects."""
    row = {"id": PATH_KEY["examples"][0], "title": "Read the manual", "effort": 2}
    some, listed = {"title": "Read the manual"}, {"rows": [row], "next": None}
    thing: Shape = {"type": "object", "additionalProperties": True}
    page: Shape = {
        "type": "object",
        "properties": {"rows": {"type": "array", "items": thing}, "next": {"type": ["string", "null"]}},
        "required": ["rows", "next"],
        "examples": [listed],
    }
    asked = {
        "filter": '{"effort":{"$gte":2}}',
        "sort": "-effort",
        "after": "MA",
        "select": "title",
        "exclude": "effort",
        "include": "author",
    }
    filter, group = {"effort": {"$gte": 2}}, {"_id": "$title", "rows": {"$sum": 1}}
    return EntityModels(
        row=_document("Row", {**thing, "examples": [row]}),
        new=_document("RowNew", {**thing, "examples": [some]}),
        changes=_document("RowChanges", {**thing, "examples": [some]}),
        page=_document("RowPage", page),
        list=_parameters("Row", models.ListParameters, asked, {}),
        read=_parameters("Row", models.ReadParameters, asked, {}),
        query=_body("Row", models.Query, {"filter": filter, "sort": {"effort": -1}, "limit": 10}),
        matching=_body("Row", models.Matching, {"filter": filter}),
        distinct=_body("Row", models.Distinct, {"field": "title"}),
        aggregate=_body("Row", models.Pipeline, {"pipeline": [{"$group": group}]}),
        search=_body("Row", models.Search, {"text": "manual", "fields": ["title"]}),
        bulk=_body("Row", models.Bulk, {"update": {"filter": filter, "changes": some}}),
        increment=_body("Row", models.Increment, {"field": "effort", "by": 1}),
        set_change=_body("Row", models.SetChange, {"field": "tags", "value": "text"}),
    )


GENERIC = _any_entity()
"""For entities that are not known until somebody asks."""
