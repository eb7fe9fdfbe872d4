"""JSON schemas of entities: examples fit them, and so does whatever the entity itself takes."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from objectkernel_system_dialect.contracts import EntitySchema, Field
from objectkernel_system_dialect.http_shapes import Shapes, field_shape
from objectkernel_system_dialect.schema import FieldType

from tests.plugins.system_dialect.net_entities import BUSINESS

BY_NAME = {schema.name: schema for schema in BUSINESS}
FIELDS = (
    Field("string", length=3),
    Field("string", format="date"),
    Field("string", format="time"),
    Field("text"),
    Field("integer", min=10),
    Field("integer", max=-5),
    Field("sequence"),
    Field("number", min=3),
    Field("decimal", precision=4, scale=0),
    Field("decimal", precision=4, scale=2, max=0),
    Field("boolean"),
    Field("datetime"),
    Field("uuid"),
    Field("binary"),
    Field("enum", enum=("a", "b")),
    Field("array", items="integer"),
    Field("json"),
)


def fits(shape: dict[str, Any], value: Any) -> bool:
    return jsonschema_rs.is_valid(shape, value, validate_formats=True)


@pytest.mark.parametrize(
    "field", FIELDS, ids=lambda field: f"{field.type} {field.min} {field.max} {field.items} {field.format}"
)
def test_a_fields_example_fits(field: Field) -> None:
    """Within its bounds, whatever they are."""
    shape = field_shape(field)
    assert all(fits(shape, example) for example in shape["examples"])


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("string", ["", "ä"], ["\0", 1, "x" * 256]),
        ("text", ["", "x" * 1000], ["a\0b", None]),
        ("integer", [-(2**63), 2**63 - 1], [2**63, "1", 1.5]),
        ("decimal", ["0", "-12.5"], [12.5, "1e3", "1.1234567"]),
        ("binary", ["", "YQ==", "YWI=", "YWJj"], ["Y", "YQ=", "Y*=="]),
        ("uuid", ["00000000-0000-0000-0000-000000000000"], ["0"]),
        ("datetime", ["2026-01-31T09:30:00Z", "2026-01-31T09:30:00+02:00"], ["2026-01-31", "now"]),
    ],
)
def test_what_fits_a_field(kind: FieldType, good: list[Any], bad: list[Any]) -> None:
    """What the dialect takes, and nothing that it refuses."""
    shape = field_shape(Field(kind))
    assert [value for value in good if not fits(shape, value)] == []
    assert [value for value in bad if fits(shape, value)] == []


@pytest.mark.parametrize("schema", BUSINESS, ids=lambda schema: schema.name)
def test_examples_of_an_entity_fit(schema: EntitySchema) -> None:
    """A row, what makes one, what changes one, and its key."""
    shapes = Shapes.of(schema, BY_NAME)
    for shape in (shapes.row, shapes.new, shapes.changes, shapes.key):
        assert all(fits(shape, example) for example in shape["examples"])


def test_what_an_entity_leaves_to_others() -> None:
    """The tenant need not be given, kept fields cannot; a required field may be left out for its default, not null."""
    schema = EntitySchema(
        name="Thing",
        collection="things",
        fields={"owner": Field("string", required=True), "kind": Field("string", required=True, default="x")},
        tenant="owner",
        version=True,
    )
    new = Shapes.of(schema, {"Thing": schema}).new
    assert fits(new, {})
    assert fits(new, {"kind": "y", "id": "z"})
    for refused in ({"kind": None}, {"id": None}, {"version": 1}, {"nonsense": 1}):
        assert not fits(new, refused)


def test_keys_in_paths() -> None:
    """Of several fields an array, which has commas between its parts in a path (OpenAPI: style simple)."""
    key = Shapes.of(BY_NAME["Visit"], BY_NAME).key
    assert [part["format"] for part in key["prefixItems"]] == ["uuid", "date-time"]
    assert (key["minItems"], key["maxItems"]) == (2, 2)
    assert Shapes.of(BY_NAME["Tag"], BY_NAME).key["type"] == "integer"


def test_what_can_be_added_to_what() -> None:
    """One alternative for each field of numbers, or of arrays."""
    shapes = Shapes.of(BY_NAME["Thing"], BY_NAME)
    by = {one["properties"]["field"]["const"]: one["properties"]["by"]["type"] for one in shapes.increments()}
    assert by == {"size": "integer", "weight": "number", "price": "string"}
    assert [one["properties"]["field"]["const"] for one in shapes.set_changes()] == ["labels"]
    assert shapes.texts() == ["id", "name", "note"]
    assert Shapes.of(BY_NAME["Folder"], BY_NAME).increments() == []
