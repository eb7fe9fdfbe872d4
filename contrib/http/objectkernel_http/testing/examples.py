"""Examples out of an OpenAPI document: those that stand in it, and those that its parts make together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Shape = Mapping[str, Any]

SCHEMAS: Final = "#/components/schemas/"
JSON: Final = "application/json"


class Unexampled(LookupError):
    """There is no example, for want of one at this place."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


def example_of(told: Shape, document: Shape, place: str = "") -> Any:
    """An example of a parameter, of the content of a body or an answer, or of a schema.

    Raises:
        Unexampled: it has none, and its parts have not all of them one.
    """
    if "example" in told:
        return told["example"]
    if told.get("examples"):
        return _first(told["examples"])
    if "schema" in told:
        return example_of(told["schema"], document, place)
    return _of_schema(told, document, place)


def body_of(operation: Shape, document: Shape) -> Any:
    """An example of the JSON body that an operation takes; None: it takes none.

    Raises:
        Unexampled: it has none.
    """
    content = operation.get("requestBody", {}).get("content", {})
    return example_of(content[JSON], document) if JSON in content else None


def _first(examples: Any) -> Any:
    """Of a list of values (JSON Schema), or a mapping to objects that hold them (OpenAPI)."""
    return next(iter(examples.values()))["value"] if isinstance(examples, Mapping) else examples[0]


def _of_schema(shape: Shape, document: Shape, place: str) -> Any:
    if "$ref" in shape:
        return example_of(_referred(shape["$ref"], document), document, place)
    if "const" in shape:
        return shape["const"]
    if shape.get("enum"):
        return shape["enum"][0]
    if shape.get("default") is not None:
        return shape["default"]
    for alternatives in ("anyOf", "oneOf"):
        if alternatives in shape:
            return _any_of(shape[alternatives], document, place)
    match shape.get("type"):
        case "boolean":
            return True
        case "null":
            return None
        case "array" if "items" in shape:
            return [example_of(shape["items"], document, f"{place}/0")]
        case "object" if shape.get("properties"):
            return {name: example_of(part, document, f"{place}/{name}") for name, part in shape["properties"].items()}
    raise Unexampled(place)


def _any_of(alternatives: Any, document: Shape, place: str) -> Any:
    """Of the first alternative that has one; null shows nothing."""
    missing = Unexampled(place)
    for one in alternatives:
        if one.get("type") == "null":
            continue
        try:
            return example_of(one, document, place)
        except Unexampled as error:
            missing = error
    raise missing


def _referred(reference: str, document: Shape) -> Shape:
    found: Shape = document["components"]["schemas"][reference.removeprefix(SCHEMAS)]
    return found
