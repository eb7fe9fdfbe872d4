"""Examples out of an OpenAPI document."""

from __future__ import annotations

from typing import Any

import pytest
from objectkernel_http.testing import Unexampled, body_of, example_of

DOCUMENT: dict[str, Any] = {
    "components": {
        "schemas": {
            "Line": {"type": "object", "properties": {"amount": {"type": "integer", "examples": [3]}}},
            "Bare": {"type": "object", "properties": {"line": {"$ref": "#/components/schemas/Line"}, "text": {}}},
        }
    }
}


@pytest.mark.parametrize(
    ("told", "example"),
    [
        ({"example": 1, "schema": {"examples": [2]}}, 1),
        ({"examples": {"small": {"value": 1}}}, 1),
        ({"schema": {"type": "string", "examples": ["a", "b"]}}, "a"),
        ({"const": "x"}, "x"),
        ({"enum": ["x", "y"]}, "x"),
        ({"type": "integer", "default": 0}, 0),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"anyOf": [{"type": "null"}, {"type": "string"}, {"enum": [5]}]}, 5),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Line"}}, [{"amount": 3}]),
    ],
    ids=["own", "named", "schema", "const", "enum", "default", "boolean", "null", "alternatives", "parts"],
)
def test_what_is_an_example(told: Any, example: Any) -> None:
    """What stands there, what can be nothing else, and what the parts make together."""
    assert example_of(told, DOCUMENT) == example


@pytest.mark.parametrize(
    ("told", "place"),
    [
        ({"type": "string"}, ""),
        ({"$ref": "#/components/schemas/Bare"}, "/text"),
        ({"type": "array", "items": {"type": "number"}}, "/0"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, ""),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, ""),
        ({"type": "string", "default": None}, ""),
    ],
    ids=["text", "property", "item", "any names", "alternatives", "no default"],
)
def test_what_lacks_one(told: Any, place: str) -> None:
    """The part of it that has none is named."""
    with pytest.raises(Unexampled) as caught:
        example_of(told, DOCUMENT)
    assert caught.value.place == place


def test_bodies() -> None:
    """Of an operation that takes JSON; one that takes nothing, or something else, has none."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Line"}}}
    assert body_of({"requestBody": {"content": content}}, DOCUMENT) == {"amount": 3}
    assert body_of({}, DOCUMENT) is None
    assert body_of({"requestBody": {"content": {"text/plain": {}}}}, DOCUMENT) is None
